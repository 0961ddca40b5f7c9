"""Ideas and keys of the recipe, each trained to its end: `python benchmarks/trials.py IDEA... [--set KEY=VALUE]`.

Prints a row of recipe.md for each idea, value and seed. What is trained is that of the law's trials: the default
network of widths 32,64 with batch 64, on the bundled MNIST, by one thread.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from measuring import note, number
from racing.judging import Verdict, judged, written
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from diffcli import specs
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import Conditions, clipped, dropped, guided
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.times import stratified
from diffcli.core.draws import Source, drawn_normal
from diffcli.core.levels import Level
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.data.loading import load_dataset
from diffcli.runs.fitting import fit_by
from diffcli.training.families import family_of
from diffcli.training.families.diffusion import DiffusionPreview
from diffcli.training.objectives import objective
from diffcli.training.recipes import override, parse_settings
from diffcli.training.recipes.diffusion import RECIPES, Recipe
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Losses, Objective, Plan

ORDINARY = RECIPES["default"]
GUIDANCE = 1.25, 1.5
DRAWN, STEPS, GRID = 2000, 10, "karras"
CONTRAST = 0.05  # of contrastive flow matching (Stoica et al. 2025)
LEAST_VARIANCE = 1e-3  # of the linear denoiser's axes: else it is sure that what was never lit is black
MANY = 3.0  # sigma / alpha from which on many images count: that of a posterior over MNIST has over ten of them
POWERS = {"0.05": 16.97, "0.1": 6.94, "0.2": 1.83}  # lengths of power-function averages and their gamma


@dataclass(frozen=True)
class Noised:
    """A batch on its way to its loss. x is alpha x0 + sigma eps, whatever becomes the target."""

    x0: Tensor
    eps: Tensor
    level: Level
    told: dict[str, Tensor]

    def predicted(self, denoiser: Any) -> Prediction:
        """What a denoiser says of x."""
        found: Prediction = denoiser(self.level.noised(self.x0, self.eps), self.level, **self.told)
        return found

    def error(self, found: Prediction, x0: Tensor, eps: Tensor) -> Tensor:
        """Mean squared error of v per item, [B], the target being that of these (Salimans & Ho 2022, appendix D)."""
        alpha, sigma = self.level
        return (alpha * (found.eps - eps) - sigma * (found.x0 - x0)).square().flatten(1).mean(1)


Idea = Callable[[Any, Noised], Tensor]
"""(denoiser, batch) -> the loss of each item, [B]."""


def default(denoiser: Any, batch: Noised) -> Tensor:
    """The recipe's own loss."""
    found: Tensor = denoiser.loss(batch.x0, batch.level, batch.eps, **batch.told)
    return found


def immiscible(denoiser: Any, batch: Noised) -> Tensor:
    """Each image gets the noise of the batch that makes all distances together smallest (Li et al. 2024)."""
    _, chosen = linear_sum_assignment(torch.cdist(batch.x0.flatten(1), batch.eps.flatten(1)).square())
    eps = batch.eps[torch.as_tensor(chosen)]
    found: Tensor = denoiser.loss(batch.x0, batch.level, eps, **batch.told)
    return found


def contrastive(denoiser: Any, batch: Noised) -> Tensor:
    """Away from what another item of the batch has for a target (Stoica et al. 2025)."""
    found = batch.predicted(denoiser)
    own, other = (batch.error(found, batch.x0.roll(by, 0), batch.eps.roll(by, 0)) for by in (0, 1))
    return own - CONTRAST * other


@dataclass
class Posterior:
    """Where many images count, the target is the mean over all of them given x and the class (Xu et al. 2023)."""

    dataset: Dataset
    places: Tensor
    images: Tensor = field(init=False)
    squares: Tensor = field(init=False)
    of_class: dict[int, slice] = field(init=False)

    def __post_init__(self) -> None:
        """All images in the order of their classes, so that those of one are a slice."""
        images, told = self.dataset.take(self.places)
        order = told[CLASS].argsort(stable=True)
        self.images, labels = images[order].flatten(1), told[CLASS][order]
        self.squares = self.images.square().sum(1)
        ends = labels.bincount().cumsum(0).tolist()
        self.of_class = {i: slice(a, b) for i, (a, b) in enumerate(zip([0, *ends], ends, strict=False))}

    def __call__(self, denoiser: Any, batch: Noised) -> Tensor:
        x0, eps = batch.x0.clone(), batch.eps.clone()
        ratio = (batch.level.sigma / batch.level.alpha).flatten()
        labels = batch.told[CLASS].tolist()
        noised = batch.level.noised(batch.x0, batch.eps)
        for label in set(labels):
            here = torch.tensor([i for i, other in enumerate(labels) if other == label and ratio[i] >= MANY])
            if len(here):
                alpha, sigma = (part[here].flatten(1) for part in batch.level)
                mean = self.mean(noised[here].flatten(1), alpha, sigma, label).reshape(x0[here].shape)
                x0[here] = mean
                eps[here] = (noised[here] - batch.level.alpha[here] * mean) / batch.level.sigma[here]
        return batch.error(batch.predicted(denoiser), x0, eps)

    def mean(self, x: Tensor, alpha: Tensor, sigma: Tensor, label: int) -> Tensor:
        """E[x0 | x, class] over the images, [b, D]; a label of no class means all images."""
        some = self.of_class.get(label, slice(None))
        logits = alpha / sigma**2 * (x @ self.images[some].mT - alpha / 2 * self.squares[some])
        return logits.softmax(1) @ self.images[some]


class LinearPrior(nn.Module):
    """(x, level) -> mean and std of x0 were the images Gaussian with their mean and covariance, number by number."""

    def __init__(self, dataset: Dataset, places: Tensor) -> None:
        super().__init__()
        images = dataset.take(places)[0].flatten(1).double()
        variance, axes = torch.linalg.eigh(images.T.cov())
        parts = {"mean": images.mean(0), "variance": variance.clamp(min=LEAST_VARIANCE), "axes": axes}
        for name, part in parts.items():
            self.register_buffer(name, part.float())

    def forward(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        alpha, sigma = (part.to(x).expand(len(x), 1, 1, 1).flatten(1) for part in level)
        mean, variance, axes = (self.get_buffer(name) for name in ("mean", "variance", "axes"))
        total = alpha**2 * variance + sigma**2
        along = (x.flatten(1) - alpha * mean) @ axes * (alpha * variance / total)
        std = (variance * sigma**2 / total @ axes.square().mT).sqrt()
        return (mean + along @ axes.mT).reshape(x.shape), std.reshape(x.shape)


def objective_of(recipe: Recipe, idea: Idea) -> Objective:
    """The recipe's objective, but for the loss of an item; images, times, noise and dropped classes are its own."""
    schedule = specs.schedule(recipe.schedule)

    def loss(denoiser: Any, x0: Tensor, conditions: Conditions, source: Source) -> Losses:
        t = stratified(len(x0), source)
        eps = drawn_normal(source, "noise", x0.shape)
        told = dropped(conditions, denoiser.network.nulls, recipe.objective.drop, source)
        wide = schedule(schedule.training_time(t).reshape(-1, 1, 1, 1))
        return Losses(idea(denoiser, Noised(x0, eps, Level(*(part.to(x0.dtype) for part in wide)), told)))

    return Objective(loss)


class PowerAverages:
    """Averages of the weights whose length is a share of the training so far (Karras et al. 2024, section 3.1)."""

    def __init__(self, model: nn.Module) -> None:
        self.models = {name: deepcopy(model).eval().requires_grad_(False) for name in POWERS}

    @torch.no_grad()
    def add(self, model: nn.Module, step: int) -> None:
        """The weights after this step, which counts from 1."""
        for name, average in self.models.items():
            kept = (1 - 1 / step) ** (POWERS[name] + 1)
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - kept)


IDEAS: dict[str, Callable[[Dataset, Tensor], Idea] | None] = {
    "default": None,
    "averages": None,
    "linear": None,
    "immiscible": lambda *_: immiscible,
    "contrastive": lambda *_: contrastive,
    "posterior": Posterior,
}
"""What makes an idea of the data that are trained on; None trains by the recipe's own loss: `averages` keeps more
averages, and `linear` has a network that corrects the best linear denoiser."""


def rows(name: str, images: int, seed: int, changes: dict[str, Any]) -> Iterator[str]:
    """Train to the end, and what recipe.md says of it: a row, and one more for each further average."""
    torch.set_num_threads(1)
    dataset = load_dataset("mnist")
    places, held = dataset.holdout()
    changes = {"widths": (32, 64), "batch": 64, "seed": seed, **changes}
    prior = {"prior": "pixels"} if name == "linear" else {}
    recipe = override(ORDINARY, {**changes, **prior, "steps": images // changes["batch"]})
    model = build(recipe, dataset.items, torch.device("cpu"))
    family_of(recipe).begin(model, dataset, places)
    if name == "linear":  # the corrector of the pixels' histogram, with another prior
        model.prior = LinearPrior(dataset, places)
    trainer = new_trainer(recipe, dataset.items, model)
    if idea := IDEAS[name]:
        trainer.objective = objective_of(recipe, idea(dataset, places))
    averages = PowerAverages(trainer.model) if name == "averages" else None
    trainer.plan, began = Plan(recipe.steps), time.process_time()
    for progress in fit_by(recipe, trainer, dataset, places):
        if averages:
            averages.add(trainer.model, progress.step)
    seconds = time.process_time() - began
    validation = DiffusionPreview(recipe, dataset, places, held).validation
    alike = (recipe.schedule, recipe.objective.predict) == (ORDINARY.schedule, ORDINARY.objective.predict)
    title = " ".join([name, *(f"{key}={value}" for key, value in changes.items())])
    weights = sum(p.numel() for p in trainer.ema.parameters())
    for which, model in {"": trainer.ema, **(averages.models if averages else {})}.items():
        found = [_judged(recipe, dataset, model, scale) for scale in GUIDANCE]
        cells = [
            f"{title}{which and f', length {which}'}", f"{weights / 1e6:.2f} M", f"{recipe.steps * recipe.batch:,}",
            number(seconds), f"{validation.loss(model):.4f}" if alike else "–",
            ", ".join(f"{scale:g}" for scale in GUIDANCE),
            ", ".join(f"{verdict.frechet:.2f}" for verdict in found),
            ", ".join(f"{100 * (verdict.read or 0):.1f}" for verdict in found) + " %",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _judged(recipe: Recipe, dataset: Dataset, model: Any, scale: float) -> Verdict:
    """What the judge says of samples, all classes in turn."""
    told = dataset.items.in_turn(DRAWN)
    walk = levels(specs.schedule(recipe.schedule), STEPS, GRID)
    job = Job(guided(clipped(model), scale), walk, SAMPLERS["dpmpp-2m"], dataset.shape, recipe.seed, told)
    images = ((job.drawn(DRAWN, 100).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        return judged(written(Path(folder) / "images.npz", images.numpy(), classed=True))


def check(recipe: Recipe, dataset: Dataset) -> None:
    """The loss that ideas are put into is that of the recipe, to the bit; else they would be compared with another."""
    x0, conditions = dataset.take(torch.arange(16))
    denoiser = build(recipe, dataset.items, torch.device("cpu"))
    ours, package = (
        made.loss(denoiser, x0, conditions, torch.Generator().manual_seed(0)).each
        for made in (objective_of(recipe, default), objective(recipe, dataset.items))
    )
    if not torch.equal(ours, package):
        raise SystemExit("error: with these keys the loss that ideas are put into is not the recipe's")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the default with other keys, and with ideas that are none.")
    parser.add_argument("ideas", nargs="+", choices=IDEAS)
    parser.add_argument("--images", type=int, default=50_368, help="seen in training (default 50368: 90 s of a thread)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of the recipe, as of `train`")
    options = parser.parse_args()
    changes = parse_settings(options.set)
    if any(IDEAS[name] for name in options.ideas):
        check(override(ORDINARY, changes), load_dataset("mnist"))
    for seed in options.seeds:
        for name in options.ideas:
            note(f"{name}, seed {seed} ...")
            for row in rows(name, options.images, seed, changes):
                print(row, flush=True)


if __name__ == "__main__":
    main()
