"""The estimators trained side by side: the same first weights, batches and steps, each with a loss of its own."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from diffcli.core.diffusion import score_matching as losses
from diffcli.core.models.field import FieldNet
from diffcli.core.randomness import keyed
from diffcli.errors import DivergedProblem, UsageProblem, one_of
from diffcli.lessons.scores import ALL, NAMES
from diffcli.lessons.scores.points import NoisedPoints, noised_points
from diffcli.metrics.fields import Agreement, compare
from diffcli.metrics.statistics import standard_error

BATCH, LR, EVALUATIONS = 256, 1e-2, 25
TESTED, NOISE_BATCHES = 10_000, 64
RARE = 0.1  # the share of the points that are called rare: those where the density is lowest
BETWEEN = 2000  # points at which the error is measured on the way


SMALL, LARGE = 0.02, 5.0  # of --sigma


@dataclass(frozen=True)
class EstimatorSetting:
    """Data and how to train on them; the estimators to train, all of them unless told.

    projections, directions, reduced:  of sliced score matching
    """

    data: NoisedPoints
    steps: int
    projections: int
    directions: str
    reduced: bool
    seed: int
    methods: tuple[str, ...] = NAMES

    def loss(self, name: str, field: losses.Field, x: Tensor, eps: Tensor, generator: Generator) -> Tensor:
        """The loss of an estimator at x = x0 + sigma eps, [B, 2] each; [B]. The generator draws directions only."""
        if name == "explicit":
            return losses.explicit(field, x)
        if name == "denoising":
            return losses.denoising(field, x, eps, self.data.sigma)
        v = losses.DIRECTIONS[self.directions](self.projections, x, generator)
        return losses.sliced(field, x, v, reduced=self.reduced)

    def network(self) -> FieldNet:
        """A network with the first weights, the same for all estimators."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(keyed(self.seed, "weights").initial_seed())
            return FieldNet(2, scale=self.data.scale, sigma=self.data.sigma)


def estimator_setting(
    data: str, method: str, *, sigma: float, steps: int, projections: int, directions: str, reduced: bool, count: int,
    seed: int,
) -> EstimatorSetting:  # fmt: skip
    """What was asked for, checked; raises UsageProblem."""
    if not SMALL <= sigma <= LARGE:
        raise UsageProblem(f"--sigma must be from {SMALL:g} to {LARGE:g}, not {sigma:g}", "the data have variance 1")
    methods = NAMES if method == ALL else (one_of(method, (*NAMES, ALL), "method"),)
    one_of(directions, losses.DIRECTIONS, "law of directions")
    points = noised_points(data, count, sigma, seed)
    return EstimatorSetting(points, steps, projections, directions, reduced, seed, methods)


@dataclass
class FreshPoints:
    """Points drawn afresh from the noised law of the truth, their noise, true score and log-density."""

    x: Tensor
    eps: Tensor
    true: Tensor
    log_density: Tensor

    @classmethod
    def of(cls, data: NoisedPoints, seed: int) -> "FreshPoints":
        x, eps = data.fresh(TESTED, keyed(seed, "test"))
        return cls(x, eps, data.score(x.double()), data.law.log_density(x.double(), data.level))

    @property
    def rare(self) -> Tensor:
        """Which of the points lie where the density is lowest, bool [N]."""
        return self.log_density <= self.log_density.quantile(RARE)

    @property
    def size(self) -> float:
        """Root mean square of the true score."""
        return self.true.square().sum(1).mean().sqrt().item()

    @property
    def least(self) -> float:
        """The least that the explicit loss can be, -E |score|² / 2."""
        return -(self.size**2) / 2


@dataclass
class EstimatorOutcome:
    """What one estimator found.

    curve:       steps done and the relative error then
    agreement:   of the field with the true one, at the points of the test
    rare:        the error where the density is lowest, in the same units; common: elsewhere
    loss:        its mean over the test, with its standard error; loss_least: the least that it can be in expectation
    noise:       √trace of the covariance of a batch's gradient, over the length of the first gradient
    """

    network: FieldNet
    curve: list[tuple[int, float]]
    milliseconds: float
    agreement: Agreement = Agreement(*4 * [math.nan])
    rare: float = math.nan
    common: float = math.nan
    loss: float = math.nan
    loss_se: float = math.nan
    loss_least: float = math.nan
    noise: float = math.nan

    @property
    def document(self) -> dict[str, Any]:
        return {
            **self.agreement._asdict(),
            "rare_error": self.rare,
            "common_error": self.common,
            "loss": self.loss,
            "loss_se": self.loss_se,
            "loss_least": self.loss_least,
            "gradient_noise": self.noise,
            "milliseconds_per_step": self.milliseconds,
            "error_over_steps": self.curve,
        }


def train_estimator(
    setting: EstimatorSetting, name: str, test: FreshPoints
) -> Iterator[tuple[int, float, EstimatorOutcome]]:
    """Steps done, the mean loss of the step's batch and the outcome so far, after every step.

    Raises DivergedProblem where the loss is no number any more.
    """
    network = setting.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=0.0, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setting.steps)
    some = slice(0, BETWEEN)
    measured = {round(i * setting.steps / EVALUATIONS) for i in range(1, EVALUATIONS + 1)}
    curve, seconds = [(0, 1.0)], 0.0  # a field of 0 is off by all of it
    for step in range(1, setting.steps + 1):
        began = time.perf_counter()
        x, eps = setting.data.batch(BATCH, keyed(setting.seed, "batch", step))
        loss = setting.loss(name, network, x, eps, keyed(setting.seed, "directions", step)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - began
        value = loss.item()
        if not math.isfinite(value):
            raise DivergedProblem(f"{name} score matching diverged at step {step}", "use a larger --sigma")
        if step in measured:
            curve.append((step, compare(_at(network, test.x[some]), test.true[some]).relative_error))
        yield step, value, EstimatorOutcome(network, curve, 1000 * seconds / step)


@torch.no_grad()
def _at(network: FieldNet, x: Tensor) -> Tensor:
    return network(x).double()


def measure_outcome(
    setting: EstimatorSetting, name: str, outcome: EstimatorOutcome, test: FreshPoints, unit: float
) -> None:
    """Fill in what the estimator's field is worth, and how noisy its loss and its gradient are.

    unit:  of the noise of the gradient, see `first_gradient`
    """
    found = _at(outcome.network, test.x)
    outcome.agreement = compare(found, test.true)
    square = (found - test.true).square().sum(1)
    outcome.rare, outcome.common = (square[part].mean().sqrt().item() / test.size for part in (test.rare, ~test.rare))
    each = setting.loss(name, outcome.network, test.x, test.eps, keyed(setting.seed, "test directions")).detach()
    outcome.loss, outcome.loss_se = each.double().mean().item(), standard_error(each)
    surplus = losses.denoising_surplus(2, setting.data.sigma) if name == "denoising" else 0.0
    outcome.loss_least = test.least + surplus
    outcome.noise = _gradients(setting, name, outcome.network).var(0).sum().sqrt().item() / unit


def first_gradient(setting: EstimatorSetting) -> float:
    """Length of the expected gradient at the first weights. It is the same for all; explicit's has the least noise."""
    return _gradients(setting, "explicit", setting.network()).mean(0).norm().item()


def _gradients(setting: EstimatorSetting, name: str, network: FieldNet) -> Tensor:
    """The gradients of so many batches, by all weights, [batches, weights] float64."""
    weights, found = list(network.parameters()), []
    for i in range(NOISE_BATCHES):
        x, eps = setting.data.batch(BATCH, keyed(setting.seed, "noise batch", i))
        loss = setting.loss(name, network, x, eps, keyed(setting.seed, "noise directions", i)).mean()
        parts = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        found.append(torch.cat([part.flatten() for part in parts]).double())
    return torch.stack(found)


def seconds_per_step(setting: EstimatorSetting, name: str, test: FreshPoints, tries: int = 5) -> float:
    """How long a step of the estimator takes on this machine, the first of them left out."""
    times = [time.perf_counter()]
    for _ in zip(train_estimator(setting, name, test), range(tries), strict=False):
        times.append(time.perf_counter())
    return min(b - a for a, b in zip(times, times[1:], strict=False))
