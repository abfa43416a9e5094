"""The page that draws: its text, its looks and what it does, as the browser reads them."""
