"""Many pictures through one technique: a job is a list of items, an item may be made twice without harm."""
