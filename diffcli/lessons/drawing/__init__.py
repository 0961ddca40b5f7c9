"""Drawing from a known law by every method that works, and what the draws are worth."""

ALL = "all"
"""Every method that works, compared."""
