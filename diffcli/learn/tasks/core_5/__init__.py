"""Core 5: training a basic model."""
