"""What a variational autoencoder makes of images: its bound in parts, tighter bounds, and log p(x) by annealing."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcli.core.models.vae import VAE
from diffcli.core.processes import variational
from diffcli.core.processes.montecarlo import annealing
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc
from diffcli.core.processes.variational import Posterior, Terms
from diffcli.core.randomness import image_noise, keyed
from diffcli.data import loading as datasets
from diffcli.data.bits import binarised
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.evaluation.subject import held_out
from diffcli.runs.loading import Trained
from diffcli.training.families.vae import BITS as BITS

AT_ONCE = 250  # images
LEAPS = 5  # of a Hamiltonian move
PILOT_RUNGS, PILOT_CHAINS = 8, 2  # of the run that finds step sizes


def in_full_precision(trained: Trained) -> VAE:
    """The model, computing in float32: a bound must not depend on rounding."""
    model: VAE = copy.copy(trained.model)
    model.bf16 = False
    return model


def test_images(trained: Trained, count: int, data: Path | None) -> tuple[Dataset, Tensor, Tensor | None]:
    """The data set; test images of it [N, C, H, W] as the model sees pixels, of a folder those held out; their classes.

    Raises DataProblem where the data have changed their shape.
    """
    found, places = held_out(trained, data)
    recipe = trained.recipe
    if recipe.pixels.name in BITS:
        found = binarised(found, "test" if datasets.has_test_split(recipe.data.name, data) else "train")
    x, conditions = found.take(places[:count])
    return found, x, conditions.get(CLASS)


@torch.no_grad()
def encoded(model: VAE, x: Tensor) -> Posterior:
    """q(z | x) of many images."""
    parts = [model.encode(part) for part in x.split(AT_ONCE)]
    return Posterior(torch.cat([p.mean for p in parts]), torch.cat([p.std for p in parts]))


@torch.no_grad()
def decoded(model: VAE, z: Tensor) -> Tensor:
    """The means of the pixels at many places [N, D]."""
    return torch.cat([model.pixels.mean(model.decode(part)) for part in z.split(AT_ONCE)])


@torch.no_grad()
def bound(model: VAE, x: Tensor, seed: int) -> Terms:
    """The two terms of the bound for images [N, C, H, W], with noise keyed by image."""
    parts = []
    for first in range(0, len(x), AT_ONCE):
        part = x[first : first + AT_ONCE]
        noise = image_noise(seed, "bound", range(first, first + len(part)), (model.latent,)).to(x.dtype)
        parts.append(variational.terms(model.encode(part), model.log_likelihood(part), noise))
    return Terms(torch.cat([p.reconstruction for p in parts]), torch.cat([p.kl for p in parts]))


@torch.no_grad()
def log_weights(model: VAE, x: Tensor, samples: int, seed: int) -> Iterator[Tensor]:
    """Blocks of log p(x, z) - log q(z | x), [N, samples of the block], until there are so many for each image."""
    posterior = encoded(model, x)
    generator, most = keyed(seed, "iwae"), max(1, 2000 // len(x))
    done = 0
    while done < samples:
        here = min(most, samples - done)
        many, repeated = _repeated(posterior, here), x.repeat_interleave(here, 0)
        noise = torch.randn(many.mean.shape, generator=generator, dtype=x.dtype)
        found = variational.log_weight(many, model.log_likelihood(repeated), noise)
        done += here
        yield found.reshape(len(x), here)


@dataclass(frozen=True)
class Annealing:
    """log p(x) of images x [N, C, H, W] by a ladder from q(z | x) to p(x, z), with chains in u = (z - mean) / std.

    betas, kernel:  the ladder, and Hamiltonian moves with step sizes from a short run of its own
    """

    model: VAE
    x: Tensor
    chains: int
    seed: int
    betas: Tensor
    kernel: annealing.Kernel

    @classmethod
    def of(cls, model: VAE, x: Tensor, *, chains: int, temperatures: int, seed: int) -> "Annealing":
        """chains: per image; temperatures: rungs of the ladder."""

        def walk(u: Tensor, log_density: LogDensity, step: float, generator: torch.Generator) -> Move:
            return hmc(u, log_density, step, LEAPS, generator)

        few = annealing.LADDERS["linear"](min(PILOT_RUNGS, temperatures))
        u, target = start(model, x, PILOT_CHAINS, keyed(seed, "pilot start")), whitened(model, x, PILOT_CHAINS)
        sizes = annealing.tuned(walk, u, variational.log_normal, target, few, keyed(seed, "pilot"), first=0.2)
        betas = annealing.LADDERS["linear"](temperatures)
        steps = torch.from_numpy(np.interp(betas[1:].numpy(), few[1:].numpy(), sizes[1:].numpy()))
        return cls(model, x, chains, seed, betas, annealing.stepping(walk, torch.cat([steps[:1], steps])))

    def lower(self) -> Iterator[tuple[int, Tensor]]:
        """Rungs climbed, and log-weights [N, chains] so far: the log of their mean is a lower bound of log p(x)."""
        u = start(self.model, self.x, self.chains, keyed(self.seed, "ais start"))
        target = whitened(self.model, self.x, self.chains)
        climb = annealing.ais(u, variational.log_normal, target, self.betas, self.kernel, keyed(self.seed, "ais"))
        for rung, state in enumerate(climb, 1):
            yield rung, state.log_weight.reshape(len(self.x), self.chains)

    def upper(self, z: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Log-weights on the way down from z [N, D], exact draws of p(z | x): the images must be drawn from them.

        Minus the log of the mean weight is an upper bound of log p(x) (Wu et al. 2017, section 3.2).
        """
        posterior = encoded(self.model, self.x)
        u = ((z - posterior.mean) / posterior.std).repeat_interleave(self.chains, 0)
        target = whitened(self.model, self.x, self.chains)
        descent = annealing.reverse(
            u, variational.log_normal, target, self.betas, self.kernel, keyed(self.seed, "bdmc")
        )
        for rung, state in enumerate(descent, 1):
            yield rung, state.log_weight.reshape(len(self.x), self.chains)


def whitened(model: VAE, x: Tensor, chains: int) -> LogDensity:
    """log p(x, z) of each image, `chains` times over, as a density of u = (z - mean) / std."""
    posterior = _repeated(encoded(model, x), chains)
    return variational.whitened(posterior, model.log_likelihood(x.repeat_interleave(chains, 0)))


def start(model: VAE, x: Tensor, chains: int, generator: torch.Generator) -> Tensor:
    """u of exact draws from q(z | x), `chains` for each image."""
    return torch.randn(len(x) * chains, model.latent, generator=generator, dtype=x.dtype)


@torch.no_grad()
def simulated(model: VAE, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images [count, C, H, W] that the model draws, and the z [count, D] that each was drawn from."""
    z = image_noise(seed, "simulated", range(count), (model.latent,))
    return model.pixels.draw(model.decode(z), keyed(seed, "simulated pixels")), z


def log_mean_exp(weights: Tensor) -> Tensor:
    """log of the mean weight of each image, from log-weights [N, chains], [N]."""
    return variational.log_mean_exp(weights, 1)


def bits_per_dim(nats: float, numbers: int) -> float:
    """Bits per dimension of images of so many numbers each, from their log-likelihood in nats."""
    return -nats / (numbers * math.log(2))


def _repeated(posterior: Posterior, times: int) -> Posterior:
    return Posterior(*(part.repeat_interleave(times, 0) for part in posterior))
