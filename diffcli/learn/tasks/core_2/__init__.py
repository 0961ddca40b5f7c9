"""Core 2: reverse diffusion."""
