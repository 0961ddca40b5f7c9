"""How a loss weighs the levels: every usual weighting as one function of log-SNR, in units of the error of eps.

The loss of a level is weight(log-SNR) times the mean squared error of eps. What training then minimises is the
integral over log-SNR of weight times the density of the levels that it draws (Kingma & Gao 2023).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp

from diffcli.core.diffusion.denoiser import TARGETS
from diffcli.core.diffusion.schedules import Schedule

Weight = Callable[[Tensor, Tensor], Tensor]
"""(log-SNR, its rate: how fast it falls where levels are drawn evenly in t) -> weight of the squared error of eps."""

GAMMA = 5.0  # of min-SNR (Hang et al. 2023)
SOFT_GAMMA = 4.0  # of its soft form (Crowson et al. 2024)
DATA_STD = 0.5  # sigma_data of EDM (Karras et al. 2022, table 1)
BIAS = 2.0  # of the sigmoid (Kingma & Gao 2023; Hoogeboom et al. 2024)

WEIGHTINGS: dict[str, Weight] = {
    "eps": lambda log_snr, rate: torch.ones_like(log_snr),  # L_simple (Ho et al. 2020, eq. 14)
    "x0": lambda log_snr, rate: (-log_snr).exp(),
    "v": lambda log_snr, rate: 1 + (-log_snr).exp(),  # Salimans & Ho 2022, section 4: SNR + 1 of the error of x0
    "vlb": lambda log_snr, rate: rate / 2,  # the bound itself (Kingma et al. 2021, section 4)
    "min-snr": lambda log_snr, rate: (GAMMA * (-log_snr).exp()).clamp(max=1),  # Hang et al. 2023
    "soft-min-snr": lambda log_snr, rate: SOFT_GAMMA / (log_snr.exp() + SOFT_GAMMA),  # Crowson et al. 2024
    "p2": lambda log_snr, rate: 1 / (1 + log_snr.exp()),  # k = gamma = 1 (Choi et al. 2022)
    "edm": lambda log_snr, rate: 1 + (-log_snr).exp() / DATA_STD**2,  # Karras et al. 2022, table 1
    "sigmoid": lambda log_snr, rate: rate / 2 * (BIAS - log_snr).sigmoid(),  # Kingma & Gao 2023
}


def target_weight(predicts: str, log_snr: Tensor) -> Tensor:
    """The weight that the plain loss of what a network predicts has, in the units above; like log_snr.

    With x given, an error of x0 is alpha / sigma times one of eps, and (a - b alpha / sigma) times one of a x0 + b eps.
    """
    alpha, sigma = log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()
    a, b = TARGETS[predicts](alpha, sigma)
    return (a * sigma - b * alpha) ** 2 / (alpha**2 * (a**2 + b**2))


def rate(schedule: Schedule, t: Tensor) -> Tensor:
    """How fast the log-SNR of training falls with the time t that was drawn; like t. A table's is between entries."""

    def log_snr(t: Tensor) -> Tensor:
        return schedule(t if schedule.length else schedule.training_time(t)).log_snr

    return -jvp(log_snr, (t,), (torch.ones_like(t),))[1]
