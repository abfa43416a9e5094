"""Figures of many pictures: the channel atlas."""
