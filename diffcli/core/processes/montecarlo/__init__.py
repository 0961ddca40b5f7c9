"""Drawing from laws: exact methods, Markov kernels, Langevin dynamics, annealing."""
