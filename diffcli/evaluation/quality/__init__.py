"""How good images are: `evaluate`."""
