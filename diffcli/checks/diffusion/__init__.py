"""Checks of core/diffusion: schedules, denoisers, samplers, bounds, likelihoods."""
