"""The parts of texture synthesis: samples, layouts, what is compared, how it is made, and whose settings to borrow."""
