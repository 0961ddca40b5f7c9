"""Denoising autoencoders: the best denoisers, and the score that they hold."""
