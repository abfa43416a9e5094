"""The parts of style transfer: what is compared, how the picture is painted, and whose settings to borrow."""
