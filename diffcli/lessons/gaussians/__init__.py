"""Gaussians: what is done with them and what their draws show; and how data become noise, step by step or at once."""
