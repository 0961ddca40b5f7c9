"""Pre 4: variational autoencoders."""
