"""Diffusion: levels, schedules, denoisers, samplers."""
