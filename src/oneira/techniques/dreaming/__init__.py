"""The parts of the dream: what to amplify, how to climb, where a journey goes, and whose settings to borrow."""
