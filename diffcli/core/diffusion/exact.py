"""Denoisers whose answer is known, and the loss of the best linear one."""

import math
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import TARGETS, Denoise, Prediction
from diffcli.core.diffusion.schedules import Level
from diffcli.core.processes.gaussian import kl


def gaussian(mean: Tensor | float, std: Tensor | float) -> Denoise:
    """The posterior mean for data N(mean, std²), each coordinate on its own; mean and std broadcast against x."""

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        alpha, sigma = level
        surplus = (x - alpha * mean) / (alpha**2 * std**2 + sigma**2)
        return Prediction(mean + alpha * std**2 * surplus, sigma * surplus)

    return denoise


def covariance_spectrum(images: Tensor) -> Tensor:
    """Eigenvalues of the covariance of images [N, ...] (N >= 2), [min(N, D)], float64; the other D - N are 0.

    The covariance has divisor N: it is that of the empirical distribution, whose samples the images are.
    """
    flat = images.flatten(1).double()
    flat = flat - flat.mean(0)
    small = flat.T @ flat if flat.shape[1] <= len(flat) else flat @ flat.T
    return torch.linalg.eigvalsh(small / len(flat)).clamp(min=0)


def linear_loss(spectrum: Tensor, dimensions: int, level: Level, predicts: str) -> Tensor:
    """Expected loss of the best affine denoiser at a level, in the units of `Denoiser.loss`; like level.alpha.

    In the eigenbasis each coordinate of variance v has x0 error v sigma² / (alpha² v + sigma²) (the Wiener
    filter). The output a x0 + b eps, given x, errs by (a sigma - b alpha) / sigma times the error of x0.

    spectrum:    eigenvalues of the data's covariance, any number up to `dimensions`, the rest being 0
    dimensions:  numbers per image
    """
    length = torch.hypot(level.alpha, level.sigma)
    alpha, sigma = (part.double() / length for part in level)
    a, b = TARGETS[predicts](alpha, sigma)
    spectrum = spectrum.reshape(-1, *[1] * alpha.dim())
    error = (spectrum / (alpha**2 * spectrum + sigma**2)).sum(0) / dimensions
    return error * (a * sigma - b * alpha) ** 2 / (a**2 + b**2)


def prior_kl(x0: Tensor, level: Level) -> Tensor:
    """KL(q(x_T | x0) || N(0, alpha² + sigma²)) at the last level, mean over each image's values in bits, [B].

    What starting from pure noise costs: the first term of the bound (Ho et al. 2020, eq. 5), per dimension.
    """
    length = torch.hypot(level.alpha, level.sigma)
    nats = kl(level.alpha * x0, level.sigma, 0.0, length)
    return nats.flatten(1).mean(1) / math.log(2)
