"""Weeks 5 and 6: continuous time."""
