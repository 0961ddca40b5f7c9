"""Pre 5: denoising autoencoders."""
