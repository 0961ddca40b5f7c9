"""Annealed importance sampling: normalising constants that are known."""
