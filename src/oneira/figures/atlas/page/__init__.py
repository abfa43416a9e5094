"""The page of an atlas: its text, its looks and what it does, as the browser reads them."""
