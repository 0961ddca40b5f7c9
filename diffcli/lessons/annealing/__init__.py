"""Annealed importance sampling of a constant that is known: up a ladder of laws, down again, and bounds both ways."""

KERNELS = ("random-walk", "hmc")

COUNTS = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)
"""Numbers of temperatures with which the bounds are shown, up to the number asked for."""
