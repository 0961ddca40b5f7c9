"""What speed.py compares: diffcli and its peers, each with one training step and two ways to draw images, on the CPU.

The peers are the networks and steps of their own documentation, in float32. They get their images from memory at no
cost and without a data loader; ours pays for its real stream of MNIST.

As a script, `contestants.py NAME BATCH STEPS` takes a few training steps and prints the peak memory of the process.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from racing.peers import diffusers_network, diffusers_optimizer, lucidrains_network, lucidrains_optimizer
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli import specs
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
from diffcli.runs.fitting import fit_by
from diffcli.training.recipes import override
from diffcli.training.recipes.diffusion import RECIPES, Recipe
from diffcli.training.recipes.networks import UNetKeys
from diffcli.training.recipes.optimizers import AdamWKeys
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Plan

LENGTH = 1000  # steps of the DDPM chain
SHORT = 50  # steps of DDIM
ENDLESS = 100_000  # optimiser steps of a run that is cut off long before, and the end that learning rates aim at


@dataclass(frozen=True)
class Contestant:
    """One network in training.

    batch:       images per training step
    parameters:  of the network
    train:       takes one training step
    ddpm:        number of images -> a walk of DDPM-1000, an item per step
    ddim:        draws this number of images by DDIM-50
    """

    batch: int
    parameters: int
    train: Callable[[], Any]
    ddpm: Callable[[int], Iterator[Any]]
    ddim: Callable[[int], Any]


# diffcli


def default(batch: int) -> Contestant:
    """The recipe `default` as `diffcli train` runs it, with a network of the peers' size."""
    return _ours(override(RECIPES["default"], {"batch": batch, "network.widths": (64, 128)}), mnist())


def same_shape(batch: int) -> Contestant:
    """Our network in the shape of the diffusers one: widths, blocks, attention, no folding, no classes, AdamW."""
    network = UNetKeys(widths=(32, 64, 128), blocks=2, attention=(1, 2), fold=1)
    recipe = Recipe(network=network, optimizer=AdamWKeys(), batch=batch)
    dataset = mnist()
    unlabelled = dataclasses.replace(dataset, labels=None, items=Items(dataset.items.kind, dataset.shape))
    return _ours(recipe, unlabelled)


def _ours(recipe: Recipe, dataset: Dataset) -> Contestant:
    """A recipe on a data set, trained through `fit`, drawn from without a class through `Job`."""
    denoiser = build(recipe, dataset.items, torch.device("cpu"))
    trainer, schedule = new_trainer(recipe, dataset.items, denoiser), specs.schedule(recipe.schedule)
    trainer.plan = Plan(ENDLESS)
    places, _ = dataset.holdout()
    steps = fit_by(recipe, trainer, dataset, places)

    def job(sampler: str, length: int) -> Job:
        return Job(clipped(trainer.ema), levels(schedule, length), SAMPLERS[sampler], dataset.shape)

    return Contestant(
        recipe.batch,
        count_parameters(denoiser),
        train=lambda: next(steps),
        ddpm=lambda count: job("ddpm", LENGTH).walk(range(count)),
        ddim=lambda count: job("ddim", SHORT).drawn(count, count),
    )


# Peers


def diffusers(batch: int) -> Contestant:
    """UNet2DModel in the step of the library's example of unconditional training, its average of weights left out."""
    from diffusers import DDIMScheduler, DDPMScheduler
    from diffusers.optimization import get_scheduler

    network = diffusers_network()
    x0 = images(batch)
    chain = DDPMScheduler(num_train_timesteps=LENGTH)
    optimizer = diffusers_optimizer(network, 1e-4)
    rate = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=500, num_training_steps=ENDLESS)

    def train() -> float:
        network.train()
        noise = torch.randn(x0.shape)
        t = torch.randint(0, LENGTH, (batch,))
        loss = F.mse_loss(network(chain.add_noise(x0, noise, t), t).sample, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        return loss.item()

    @torch.no_grad()
    def walk(scheduler: Any, steps: int, count: int) -> Iterator[Tensor]:
        network.eval()
        scheduler.set_timesteps(steps)
        x = torch.randn(count, *x0.shape[1:])
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t).sample, t, x).prev_sample
            yield x

    return Contestant(
        batch,
        count_parameters(network),
        train,
        ddpm=lambda count: walk(DDPMScheduler(num_train_timesteps=LENGTH), LENGTH, count),
        ddim=lambda count: exhaust(walk(DDIMScheduler(num_train_timesteps=LENGTH), SHORT, count)),
    )


def lucidrains(batch: int) -> Contestant:
    """Unet in GaussianDiffusion with the step of the library's Trainer, on one process without accelerate."""
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as library
    from ema_pytorch import EMA

    library.tqdm = lambda walk, **_: walk  # ddim_sample draws a progress bar otherwise
    network = lucidrains_network()
    diffusion = library.GaussianDiffusion(network, image_size=28, timesteps=LENGTH, sampling_timesteps=SHORT)
    x0 = (images(batch) + 1) / 2  # GaussianDiffusion takes [0, 1]
    optimizer = lucidrains_optimizer(network, 1e-4)
    ema = EMA(diffusion, beta=0.995, update_every=10)

    def train() -> float:
        diffusion.train()
        loss = diffusion(x0)
        value = loss.item()
        loss.backward()
        nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.update()
        return value

    def ddpm(count: int) -> Iterator[Tensor]:
        model = ema.ema_model.eval()
        x = torch.randn(count, *x0.shape[1:])
        for t in reversed(range(LENGTH)):
            x, _ = model.p_sample(x, t)
            yield x

    def ddim(count: int) -> Tensor:
        return ema.ema_model.eval().ddim_sample((count, *x0.shape[1:]))

    return Contestant(batch, count_parameters(network), train, ddpm, ddim)


CONTESTANTS: dict[str, Callable[[int], Contestant]] = {
    "diffcli": default,
    "diffusers": diffusers,
    "lucidrains": lucidrains,
    "diffcli-same-shape": same_shape,
}
PACKAGES = {"diffusers": "diffusers", "lucidrains": "denoising_diffusion_pytorch"}
"""The peers, and the package that each of them needs."""


@functools.cache
def mnist() -> Dataset:
    """The bundled training set."""
    return datasets.load_dataset("mnist")


def images(batch: int) -> Tensor:
    """The batch of real images that a peer is trained on at every step; in [-1, 1]."""
    return mnist().take(range(batch))[0]


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def exhaust(walk: Iterator[Any]) -> None:
    """Walk to the end."""
    for _ in walk:
        pass


@dataclass
class Bench:
    """What all parts share. batches: images per training step, of a peer the best one once `training` has found it."""

    rounds: int
    seconds: float
    peers: list[str]
    batches: dict[str, int]

    def build(self, name: str, batch: int | None = None) -> Contestant:
        """A fresh contestant, warmed up by two training steps."""
        contestant = CONTESTANTS[name](batch or self.batches[name])
        contestant.train()
        contestant.train()
        return contestant


# Memory


def peak_memory() -> int:
    """The most memory this process has held at once, in bytes.

    Where there is /proc it is read there: ru_maxrss begins, across fork and exec, at what the parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Train one contestant for a few steps and print the peak memory in bytes."""
    parser = argparse.ArgumentParser(description="Peak memory of a few training steps, in bytes.")
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("batch", type=int)
    parser.add_argument("steps", type=int)
    options = parser.parse_args()
    contestant = CONTESTANTS[options.name](options.batch)
    for _ in range(options.steps):
        contestant.train()
    print(peak_memory())


if __name__ == "__main__":
    main()
