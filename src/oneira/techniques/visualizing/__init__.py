"""The parts of feature visualization: what is to be seen, how it is drawn, and whose settings to borrow."""
