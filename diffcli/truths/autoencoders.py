"""Variational autoencoders: bounds beside likelihoods that are known."""
