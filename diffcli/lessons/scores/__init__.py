"""Score matching on points in the plane: the data and their true score, the estimators, and what they are worth."""

NAMES = ("explicit", "denoising", "sliced")
"""The estimators."""

ALL = "all"
