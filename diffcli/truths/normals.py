"""Gaussians, and the chain of the forward process: sums, products, conditionals, divergences."""
