"""A diffusion laboratory on the command line."""
