"""The best walk of few steps for one model: costs of steps, the search among walks, what is said of it."""
