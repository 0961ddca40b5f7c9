"""A training run and its folder."""
