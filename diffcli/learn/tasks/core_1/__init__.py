"""Core 1: forward diffusion."""
