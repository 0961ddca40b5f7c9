"""Langevin dynamics on mixtures: the targets, the three walks compared, and their figures."""
