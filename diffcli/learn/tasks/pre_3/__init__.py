"""Pre 3: Markov chains and stochastic processes."""
