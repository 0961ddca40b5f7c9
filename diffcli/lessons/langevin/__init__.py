"""Langevin dynamics on mixtures: the targets, the three walks compared, and their figures."""

NAMES = {"ula": "unadjusted", "mala": "adjusted", "annealed": "annealed"}
"""The dynamics, and what texts call them."""
