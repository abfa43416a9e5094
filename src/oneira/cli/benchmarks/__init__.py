"""What `oneira bench` measures: an iteration, the same as others write it, and the time to a finished picture."""
