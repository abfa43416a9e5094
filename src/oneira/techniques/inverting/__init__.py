"""The parts of inversion: what is read back, how, and whose settings to borrow."""
