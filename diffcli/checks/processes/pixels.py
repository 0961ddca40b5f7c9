"""The laws of pixels: bits, one of 256 values, and reals; their probabilities, and that draws have them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Normal

from diffcli.checks.check import Finding, check, near
from diffcli.checks.processes.variational import rows
from diffcli.core.processes.laws.pixels import STEP, Bits, Bytes, Pixels, Reals, bits


def _total(law: Pixels, parameters: Tensor, values: Tensor) -> Tensor:
    """The sum of the probabilities of all values of a single pixel, [len(parameters)]."""
    grid = values.reshape(-1, 1, 1, 1).repeat_interleave(len(parameters), 0)
    return law.log_prob(parameters.repeat(values.numel(), 1, 1, 1), grid).exp().reshape(values.numel(), -1).sum(0)


@check(
    "bits and the 256 values are laws: their probabilities are the papers' and sum to one",
    "Kingma & Welling 2014, appendix C.1; Salimans et al. 2017, eq. 1-2",
)
def laws_of_pixels() -> Iterator[Finding]:
    logits = rows([-30.0], [-1.3], [0.0], [2.0]).reshape(4, 1, 1, 1)
    yield near("bits sum to one", 1.0, _total(Bits(), logits, rows([-1.0, 1.0])), rel=1e-12)
    share = 1 / (1 + math.exp(-2.0))
    picture = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64).reshape(1, 1, 1, 3)
    found = Bits().log_prob(torch.full_like(picture, 2.0), picture)
    yield near("a picture of bits", 2 * math.log(share) + math.log(1 - share), found, rel=1e-12)

    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    values = torch.tensor([[m, s] for m in (-1.2, -0.3, 0.98) for s in (-5.0, -2.0, 0.0)], dtype=torch.float64)
    parameters = values.reshape(-1, 2, 1, 1)
    yield near("the 256 values sum to one", 1.0, _total(Bytes(), parameters, levels), rel=1e-9)
    for mean, log_scale in ((-0.9, -2.0), (0.1, -3.0), (0.7, -1.0)):
        scale = math.exp(log_scale)
        for value in (0, 1, 100, 254, 255):
            x = value / 127.5 - 1
            upper = 1.0 if value == 255 else 1 / (1 + math.exp(-(x + 1 / 255 - mean) / scale))
            lower = 0.0 if value == 0 else 1 / (1 + math.exp(-(x - 1 / 255 - mean) / scale))
            one = rows([mean, log_scale]).reshape(1, 2, 1, 1)
            got = Bytes().log_prob(one, torch.full((1, 1, 1, 1), x, dtype=torch.float64))
            yield near(f"value {value} at {mean}, {log_scale}", math.log(upper - lower), got, rel=1e-6)
    both = torch.cat([torch.full((1, 3, 1, 2), v, dtype=torch.float64) for v in (0.1, -3.0)], dim=1)
    white = torch.ones(1, 3, 1, 2, dtype=torch.float64)
    one = Bytes().log_prob(both[:, ::3, :, :1], white[:, :1, :, :1])
    yield near("three colours of two pixels", 6 * one, Bytes().log_prob(both, white), rel=1e-9)
    centre, seen = (rows(v).reshape(1, 2, 1, 1) for v in ([0.2, -0.5], [0.9, -0.4]))
    wanted = Normal(centre, 0.3).log_prob(seen).sum()
    yield near("reals", wanted, Reals(0.3).log_prob(centre, seen), rel=1e-12)


@check("drawn pixels have the law that log_prob says", "Salimans et al. 2017, eq. 1-2")
def draws_of_pixels() -> Iterator[Finding]:
    generator, count = torch.Generator().manual_seed(2), 200_000
    brightness = torch.tensor([-1.0, -0.6, 0.1, 1.0], dtype=torch.float64)
    mean = bits(brightness.expand(count, 4), generator).mean(0)
    spread = ((1 - brightness**2) / count).sqrt()
    yield near("bits have the brightness as their mean", 0.0, (mean - brightness) / spread.clamp(min=1e-12), abs=4.5)
    drawn = Bits().draw(torch.full((count, 1, 1, 1), 0.8, dtype=torch.float64), generator)
    share = 1 / (1 + math.exp(-0.8))
    error = math.sqrt(share * (1 - share) / count)
    yield near("share of ones at logit 0.8", share, (drawn > 0).double().mean(), abs=4.5 * error)
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for centre, log_scale in (
        (0.7, -2.0),
        (-0.7, -2.0),
        (0.1, -4.5),
    ):  # wide, up to the edges, and about as narrow as a bin
        parameters = rows([centre, log_scale]).reshape(1, 2, 1, 1)
        chances = Bytes().log_prob(parameters.expand(256, 2, 1, 1), levels.reshape(256, 1, 1, 1)).exp()
        values = Bytes().draw(parameters.expand(count, 2, 1, 1), generator)
        counts = torch.bincount(((values.flatten() + 1) / STEP).round().long(), minlength=256)
        enough = chances * count > 25
        worst = ((counts - chances * count) / (chances * count).sqrt())[enough].abs().max()
        yield near(
            f"the 256 values at {centre}, {log_scale}, the worst of them in standard errors", 0.0, worst, abs=5.0
        )
    reals = Reals(0.3).draw(torch.full((count, 1, 1, 1), 0.2, dtype=torch.float64), generator)
    yield near("reals, mean", 0.2, reals.mean(), abs=4.5 * 0.3 / math.sqrt(count))
    yield near("reals, spread", 0.3, reals.std(), abs=4.5 * 0.3 / math.sqrt(2 * count))
    extremes = Bytes().mean(rows([1.7, 0.0], [-0.2, 0.0]).reshape(2, 2, 1, 1)).flatten()
    yield near("what is shown of 256 values stays in range", torch.tensor([1.0, -0.2]), extremes, abs=1e-7)
    shown = Bits().mean(torch.tensor([0.8])).double()
    yield near("what is shown of bits is their mean", 2 * share - 1, shown, abs=1e-6)
