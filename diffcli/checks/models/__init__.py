"""Checks of the networks, by hand from their weights."""
