"""Pre 1: Gaussian distributions."""
