"""Checks of defaults, and of what is refused."""
