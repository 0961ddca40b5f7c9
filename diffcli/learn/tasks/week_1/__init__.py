"""Week 1: DDPM."""
