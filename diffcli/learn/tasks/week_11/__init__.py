"""Weeks 11 and 12: research of your own."""
