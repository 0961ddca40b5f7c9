"""Checks of core/processes: laws, Monte Carlo, chains, corruption."""
