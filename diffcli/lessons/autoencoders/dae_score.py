"""A denoiser of points in the plane, trained here, and the score in it: (r(x) - x) / sigma² beside the exact one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
from diffcli.core.diffusion.exact import Mixture
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import Source
from diffcli.core.levels import Level
from diffcli.core.models.mlp import MLP
from diffcli.core.processes.corruption import GaussianNoise, denoising_score, draw_amounts
from diffcli.core.processes.laws import toys
from diffcli.core.processes.montecarlo.kernels import value_and_gradient
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.lessons.autoencoders.dae_pictures import LearnedScore
from diffcli.metrics.fields import compare
from diffcli.training.fit import fit
from diffcli.training.optimizers import Optimizer
from diffcli.training.trainer import Losses, Objective, Plan, Trainer

LOW, HIGH = 0.05, 1.0  # of the sigmas trained on and measured
SMALL, LARGE = 0.01, 5.0  # of the sigma of the field that is drawn
BATCH, LR, WARMUP, CLIP, EMA = 512, 2e-3, 30, 1.0, 0.99
MEASURED = 9  # sigmas
ARROWS, CELLS = 17, 100  # along each side of a picture


@dataclass(frozen=True)
class DenoisingScoreStudy:
    """How long to train on the mixture's points, at how many points to measure, and the sigma whose field is drawn."""

    sigma: float
    steps: int
    count: int
    seed: int

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest sigma trained on and measured."""
        return min(LOW, self.sigma), max(HIGH, self.sigma)

    @property
    def law(self) -> Mixture:
        """The points without noise."""
        return Mixture(*toys.MIXTURE)


@dataclass(frozen=True)
class DenoisingScore:
    """The denoiser trained, the errors of its score at each sigma, and its field at one of them."""

    model: Autoencoder
    rows: list[dict[str, float]]
    field: LearnedScore


def denoising_score_study(sigma: float, steps: int, count: int, seed: int) -> DenoisingScoreStudy:
    """Checked; raises UsageProblem for a sigma out of range."""
    if not SMALL <= sigma <= LARGE:
        raise UsageProblem(f"--sigma must be from {SMALL:g} to {LARGE:g}, not {sigma}", "the data have variance 1")
    return DenoisingScoreStudy(sigma, steps, count, seed)


def find_score(study: DenoisingScoreStudy, show: Show) -> DenoisingScore:
    """Train the denoiser, and compare its score with the exact one."""
    model, (low, high) = _trained(study, show), study.range
    grid = torch.logspace(math.log10(low), math.log10(high), MEASURED, dtype=torch.float64).tolist()
    rows = [_errors(model, study, sigma) for sigma in sorted({*grid, study.sigma})]
    return DenoisingScore(model, rows, _field(model, study))


def _trained(study: DenoisingScoreStudy, show: Show) -> Autoencoder:
    """The average of a denoiser of the mixture's points, trained at all sigmas of the range."""

    def batches(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        while True:
            yield toys.mixture(BATCH, keyed(study.seed, "points", first)), {}
            first += BATCH

    def loss(model: Autoencoder, x0: Tensor, _: Conditions, source: Source) -> Losses:
        amount = draw_amounts(GaussianNoise(), len(x0), source, *study.range)
        return Losses(model.loss(x0, GaussianNoise().apply(x0, amount, source), amount))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed(study.seed, "weights").initial_seed())
        model = Autoencoder(MLP(2, width=128, depth=2), GaussianNoise())
        optimizer = Optimizer(model, name="adamw", lr=LR, muon_lr=LR, weight_decay=0.0)
        trainer = Trainer(model, optimizer, Objective(loss), Plan(study.steps))
        walk = fit(trainer, batches, seed=study.seed, batch=BATCH, warmup=WARMUP, clip=CLIP, ema=EMA)
        with show.progress("training", study.steps, "steps") as bar:
            for progress in walk:
                bar.update(progress.step, f"loss {progress.loss:.4f}")
    return trainer.ema  # type: ignore[return-value]


def _scores(model: Autoencoder, law: Mixture, x: Tensor, sigma: float) -> dict[str, Tensor]:
    """At points [N, 2]: the exact score of the noised data, that in the network, and that in the best denoiser."""
    level = Level.of(1.0, sigma)
    _, true = value_and_gradient(lambda places: law.log_density(places, level), x)
    with torch.no_grad():
        learned = model(x.float(), torch.full((len(x),), sigma)).double()
    best = law(x, level).x0
    return {"true": true, "learned": denoising_score(learned, x, sigma), "best": denoising_score(best, x, sigma)}


def _errors(model: Autoencoder, study: DenoisingScoreStudy, sigma: float) -> dict[str, float]:
    """Errors at one sigma, over points of the noised data and over points of the data."""
    law, generator = study.law, keyed(study.seed, "places")
    data = law.draw(study.count, generator)
    noise = torch.randn(data.shape, generator=generator, dtype=torch.float64)
    there = _scores(model, law, data + sigma * noise, sigma)
    here = _scores(model, law, data, sigma)
    _, of_data = value_and_gradient(law.log_density, data)
    found = compare(there["learned"], there["true"])
    return {
        "sigma": sigma,
        **found._asdict(),
        "exact_error": compare(there["best"], there["true"]).relative_error,
        "learned_to_data": compare(here["learned"], of_data).relative_error,
        "exact_to_data": compare(here["best"], of_data).relative_error,
    }


def _field(model: Autoencoder, study: DenoisingScoreStudy) -> LearnedScore:
    """Scores over a grid of the plane, and the density over a finer one."""
    law, sigma = study.law, study.sigma
    reach = 2.2 + sigma
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share * reach, share * reach, side, dtype=torch.float64)])
        for share, side in ((0.92, ARROWS), (1.0, CELLS))
    )
    density = law.log_density(cells, Level.of(1.0, sigma)).exp().reshape(CELLS, CELLS).T
    found = _scores(model, law, places, sigma)
    return LearnedScore(reach, density, places, found["true"], found["learned"])
