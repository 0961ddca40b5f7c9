"""Langevin dynamics on mixtures, whose modes have known weights: three walks compared."""

NAMES = {"ula": "unadjusted", "mala": "adjusted", "annealed": "annealed"}
"""The dynamics, and what texts call them."""

ALL = "all"
