"""Markov chains: finite ones, those with a name, autoregressions, the Ising model."""
