"""Several processes that do one thing: rank 0 leads, the others follow."""
