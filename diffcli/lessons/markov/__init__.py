"""The lesson of `diffcli markov`: chains, exactly and simulated."""
