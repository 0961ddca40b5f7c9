"""Pre 2: sampling from distributions."""
