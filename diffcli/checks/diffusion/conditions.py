"""What a denoiser is told: how conditions are dropped in training, left out by guidance, and handed on by walks."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Corrector, Denoiser, Prediction
from diffcli.core.diffusion.guidance import dropped, guided
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import VP
from diffcli.core.draws import BatchDraws
from diffcli.core.levels import Level
from diffcli.core.randomness import keyed

COUNT = 20_000
LEVEL = Level.of(0.6, 0.8)


@check(
    "each condition becomes its null for its share of the items, drawn by itself; one without a null is always given",
    "Ho & Salimans 2022, algorithm 1",
)
def dropped_conditions() -> Iterator[Finding]:
    told = {
        "label": torch.arange(COUNT) % 10,
        "picture": 1 + torch.rand(COUNT, 1, 2, 2, generator=keyed(0, "pictures")),
        "mask": torch.ones(COUNT),
    }
    nulls = {"label": 10, "picture": -3.0}
    for name, source in (("by item", BatchDraws(0, 3, 0, COUNT, COUNT)), ("by step", keyed(0, "dropped"))):
        found = dropped(told, nulls, 0.3, source)
        yield near(f"{name}: mask, always given", told["mask"], found["mask"])
        lost = found["label"] == 10
        gone = (found["picture"] == -3).flatten(1)
        yield near(f"{name}: a picture is lost as a whole", 0, (gone.any(1) != gone.all(1)).sum())
        yield near(f"{name}: labels that stay", told["label"][~lost], found["label"][~lost])
        yield near(f"{name}: pictures that stay", told["picture"][~gone.all(1)], found["picture"][~gone.all(1)])
        error = math.sqrt(0.3 * 0.7 / COUNT)
        yield near(f"{name}: share of labels", 0.3, lost.double().mean(), abs=4.5 * error)
        yield near(f"{name}: share of pictures", 0.3, gone.all(1).double().mean(), abs=4.5 * error)
        both = (lost & gone.all(1)).double().mean()
        yield near(f"{name}: both, each by itself", 0.09, both, abs=4.5 * math.sqrt(0.09 * 0.91 / COUNT))
        for share, wanted in ((0.0, 0), (1.0, COUNT)):
            none = dropped(told, nulls, share, source)["label"] == 10
            yield near(f"{name}: share {share}", wanted, none.sum())


def _summed(x: Tensor, level: Level, **cond: Any) -> Prediction:
    """A denoiser whose estimate is the sum of what it is told."""
    x0 = torch.zeros_like(x) + sum(torch.as_tensor(value).reshape(-1, 1).double() for value in cond.values())
    return Prediction(x0, (x - level.alpha * x0) / level.sigma)


@check(
    "guidance follows the conditions that null is not told: null + scale (conditional - null)",
    "Ho & Salimans 2022, eq. 6; Brooks et al. 2023, section 3.2, of several conditions",
)
def followed_conditions() -> Iterator[Finding]:
    x = torch.zeros(2, 3, dtype=torch.float64)
    told = {"label": torch.tensor([1.0, 2.0]), "picture": torch.tensor([10.0, 20.0])}
    label, picture = told["label"].reshape(-1, 1), told["picture"].reshape(-1, 1)
    for drop, wanted in (
        (None, 3 * (label + picture)),
        (("label",), picture + 3 * label),
        (("picture",), label + 3 * picture),
        ((), label + picture),
    ):
        found = guided(_summed, 3.0, drop=drop)(x, LEVEL, **told)
        yield near(f"dropping {drop}", wanted.expand(2, 3), found.x0, abs=1e-12)
    yield near("scale 0 ignores", picture.expand(2, 3), guided(_summed, 0.0, drop=("label",))(x, LEVEL, **told).x0)


@check("walks and jobs hand conditions on to the denoiser, each item its own, and keep their options", "the protocol")
def conditions_on_the_way() -> Iterator[Finding]:
    levels = grids.levels(VP(), 3, "log-snr")
    told = {"label": torch.tensor([1.0, 2.0, 3.0])}
    for name, sampler in SAMPLERS.items():
        *_, end = sampler.on(VP())(_summed, torch.zeros(3, 2, dtype=torch.float64), levels, **told)
        yield near(f"{name}, the end", told["label"].reshape(-1, 1).expand(3, 2), end.x, abs=1e-9)
    seen: list[str] = []

    def denoise(x: Tensor, level: Level, **cond: Any) -> Prediction:
        seen.extend(cond)
        return _summed(x, level)

    list(SAMPLERS["ddim"](denoise, torch.zeros(1, 2, dtype=torch.float64), levels, eta=0.5, label=told["label"][:1]))
    yield near("options are no conditions", 0, float(set(seen) != {"label"}))
    job = Job(_summed, levels, SAMPLERS["ddim"], (2,), conditions=told)
    yield near("a job's items, by twos", told["label"].reshape(-1, 1).expand(3, 2), job.drawn(3, 2), abs=1e-6)
    *_, step = job.walk([2, 0])
    yield near("some of them", torch.tensor([[3.0, 3.0], [1.0, 1.0]]), step.x, abs=1e-6)


class _Knows(nn.Module):
    """A network that knows one condition, and outputs it."""

    def __init__(self) -> None:
        super().__init__()
        self.nulls = {"label": 0.0}

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x[:, :2]) if label is None else label.reshape(-1, 1).to(x).expand(-1, 2)


class _Halves(nn.Module):
    """A prior whose mean is half of x, and whose standard deviation is 2."""

    def forward(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        return x / 2, torch.full_like(x, 2.0)


@check(
    "a network is told what it knows; under a prior its output counts in standard deviations, and so does its loss",
    "design; the unit of the loss as of Salimans & Ho 2022, section 4",
)
def told_what_it_knows() -> Iterator[Finding]:
    x = torch.tensor([[0.3, -1.0], [0.5, 2.0]], dtype=torch.float64)
    more = {"label": torch.tensor([0.7, -0.2]), "picture": torch.ones(2)}
    found = Denoiser(_Knows(), "x0")(x, LEVEL, **more).x0
    yield near("x0 by the label", more["label"].reshape(-1, 1).double().expand(2, 2), found, abs=1e-7)
    for predicts, unit in (("x0", 1.0), ("eps", 0.6 / 0.8), ("v", 1 / 0.8)):
        corrector = Corrector(_Knows(), _Halves(), predicts)
        x0 = x / 2 + 2 * more["label"].reshape(-1, 1).double()
        yield near(f"mean and deviation, {predicts}", x0, corrector(x, LEVEL, **more).x0, abs=1e-6)
        truth = torch.tensor([[0.1, 0.2], [-0.4, 0.6]], dtype=torch.float64)
        eps = (x - LEVEL.alpha * truth) / LEVEL.sigma
        wanted = unit**2 * (x0 - truth).square().mean(1)  # an error of x0 is so many of a x0 + b eps
        yield near(f"loss, {predicts}", wanted, corrector.loss(truth, LEVEL, eps, **more), rel=1e-6)
