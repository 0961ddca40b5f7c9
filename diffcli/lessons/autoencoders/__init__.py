"""Variational autoencoders and their bounds; denoising autoencoders, other denoisers, and the score in them."""
