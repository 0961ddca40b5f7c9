"""Checks of what judges a model."""
