"""Markov chains: stationary laws, classes, periods, gaps and times."""
