"""Core 6: efficient sampling with DDIM."""
