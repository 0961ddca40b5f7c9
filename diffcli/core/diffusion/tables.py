"""The papers' tables of beta, the share of noise that each step of a chain mixes in."""

import math

import torch
from torch import Tensor


def linear_betas(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """DDPM's table (Ho et al. 2020, section 4): 1e-4 ... 0.02; [steps], float64.

    For other numbers of steps than 1000 the betas are scaled by 1000 / steps, so that the chain ends in the same noise.
    """
    return torch.linspace(first, last, steps, dtype=torch.float64) * (1000 / steps)


def scaled_linear_betas(steps: int = 1000, first: float = 0.00085, last: float = 0.012) -> Tensor:
    """The table of latent diffusion, linear in sqrt(beta) (code of Rombach et al. 2022), scaled as `linear_betas`."""
    return torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2 * (1000 / steps)


def cosine_betas(steps: int = 1000, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    """The table whose alpha² follows a squared cosine (Nichol & Dhariwal 2021, eq. 17); [steps], float64."""
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha2 = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha2[1:] / alpha2[:-1]).clamp(max=limit)
