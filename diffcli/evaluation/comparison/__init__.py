"""Samplers, grids and numbers of steps side by side: `compare`."""
