"""Score matching on points in the plane: the data and their true score, the estimators, and what they are worth."""

NAMES = {"explicit": "explicit", "denoising": "denoising", "sliced": "sliced"}
"""The estimators, and what texts call them."""
