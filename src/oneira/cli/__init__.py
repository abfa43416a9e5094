"""The command line. The only layer that prints, and that ends the program."""
