"""Core 3: noise prediction with a network."""
