"""Data laws whose denoiser is known at every level, and the loss of the best linear denoiser."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import TARGETS, Prediction
from diffcli.core.levels import CLEAN, Level
from diffcli.core.processes.laws.gaussian import factored

BLOCK = 1 << 22  # distances computed at once


class Exact(ABC):
    """A law of data x0 with its posterior mean, density and draws. Everything is computed in float64."""

    @abstractmethod
    def __call__(self, x: Tensor, level: Level, **_: Any) -> Prediction:
        """E[x0 | x] and E[eps | x] for x [B, ...] at a level; each like x."""

    @abstractmethod
    def log_density(self, x: Tensor, level: Level = CLEAN) -> Tensor:
        """log p(x) at a level in nats, [B] float64; at CLEAN that of the data."""

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Data, [count, ...] float64."""

    def score(self, x: Tensor, level: Level) -> Tensor:
        """The gradient of log p(x) at a level, like x: Tweedie's formula (Robbins 1956; Efron 2011, eq. 1.4)."""
        return -self(x, level).eps / level.sigma


class Gaussian(Exact):
    """N(mean, std²), each coordinate on its own, or with any covariance along the axes of a basis.

    mean, std:  numbers or [D]; they broadcast against x [B, D]
    basis:      [D, D], orthogonal: std[i] is along its column i; None is the identity
    """

    def __init__(self, mean: Tensor | float, std: Tensor | float, basis: Tensor | None = None) -> None:
        self.mean, self.std = (torch.as_tensor(v, dtype=torch.float64) for v in (mean, std))
        self.basis = basis

    @classmethod
    def of_covariance(cls, mean: Tensor | float, covariance: Tensor) -> "Gaussian":
        """With a covariance [D, D]; raises ValueError unless it is symmetric and positive definite."""
        variance, basis = factored(covariance)
        return cls(mean, variance.sqrt(), basis)

    def __call__(self, x: Tensor, level: Level, **_: Any) -> Prediction:
        alpha, sigma = level
        surplus = self.along(x.double() - alpha * self.mean) / (alpha**2 * self.std**2 + sigma**2)
        x0 = self.mean + self.back(alpha * self.std**2 * surplus)
        return Prediction(x0.to(x.dtype), self.back(sigma * surplus).to(x.dtype))

    def log_density(self, x: Tensor, level: Level = CLEAN) -> Tensor:
        std = torch.hypot(level.alpha * self.std, level.sigma)
        unit = self.along(x.double() - level.alpha * self.mean) / std
        return -(unit**2 / 2 + std.log() + math.log(2 * math.pi) / 2).flatten(1).sum(1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        shape = torch.broadcast_shapes(self.mean.shape, self.std.shape)
        return self.mean + self.back(self.std * torch.randn(count, *shape, generator=generator, dtype=torch.float64))

    def along(self, x: Tensor) -> Tensor:
        """Coordinates of x [B, D] along the axes."""
        return x if self.basis is None else x @ self.basis

    def back(self, x: Tensor) -> Tensor:
        """x [B, D] again from its coordinates along the axes."""
        return x if self.basis is None else x @ self.basis.mT


class Mixture(Exact):
    """A mixture of round Gaussians. With all stds 0 it is the law of a data set, and its denoiser the memorising one.

    weights:  [K], positive; they are normalised
    means:    [K, ...], of the shape of the data
    stds:     [K], not negative
    """

    def __init__(self, weights: Tensor, means: Tensor, stds: Tensor) -> None:
        self.shape = means.shape[1:]
        self.weights = weights.double() / weights.double().sum()
        self.means, self.stds = means.flatten(1), stds.double()

    def __call__(self, x: Tensor, level: Level, **_: Any) -> Prediction:
        x0 = torch.cat([self._posterior(*part)[0] for part in self._parts(x, level)]).reshape(x.shape)
        eps = (x.double() - level.alpha * x0) / level.sigma
        return Prediction(x0.to(x.dtype), eps.to(x.dtype))

    def log_density(self, x: Tensor, level: Level = CLEAN) -> Tensor:
        return torch.cat([self._posterior(*part)[1] for part in self._parts(x, level)])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[chosen] + self.stds[chosen].unsqueeze(1) * noise).reshape(count, *self.shape)

    def _parts(self, x: Tensor, level: Level) -> Iterator[tuple[Tensor, Level]]:
        """Rows [b, D] with their level, [] or [b, 1]: so few that their distances to a block of means fit in memory."""
        rows = max(1, BLOCK // self._chunk)
        for first in range(0, len(x), rows):
            here = slice(first, first + rows)
            yield x[here].flatten(1).double(), Level(*(v[here].flatten(1).double() if v.dim() else v for v in level))

    @property
    def _chunk(self) -> int:
        return min(len(self.means), 8192)

    def _posterior(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """E[x0 | x] [b, D] and log p(x) [b], by a running log-sum-exp over blocks of components; level [] or [b, 1]."""
        alpha, sigma = level
        top = torch.full((len(x), 1), -math.inf, dtype=torch.float64)
        total, of_x, of_means = torch.zeros_like(top), torch.zeros_like(top), torch.zeros_like(x)
        blocks = zip(*(part.split(self._chunk) for part in (self.weights, self.means, self.stds)), strict=True)
        for weights, block, stds in blocks:
            means = block.double()
            variance = alpha**2 * stds**2 + sigma**2
            distance = (x**2).sum(1, keepdim=True) - 2 * alpha * x @ means.mT + alpha**2 * (means**2).sum(1)
            constant = weights.log() - x.shape[1] / 2 * (2 * math.pi * variance).log()
            logits = constant - distance.clamp(min=0) / (2 * variance)
            highest = torch.maximum(top, logits.amax(1, keepdim=True))
            shrink, shares = (top - highest).exp(), (logits - highest).exp()
            gain = alpha * stds**2 / variance
            total = total * shrink + shares.sum(1, keepdim=True)
            of_x = of_x * shrink + (shares * gain).sum(1, keepdim=True)
            of_means = of_means * shrink + (shares * (1 - alpha * gain)) @ means
            top = highest
        return (of_means + of_x * x) / total, (top + total.log()).squeeze(1)


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
