"""Weeks 7 and 8: few steps, and latents."""
