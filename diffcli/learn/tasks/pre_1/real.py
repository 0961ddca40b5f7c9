"""The learner's Gaussians beside `diffcli noise gaussian`, and in the place of the package's in checks of `verify`."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from diffcli.learn.exercise import CLOSE, EXACT
from diffcli.learn.running import Outcome

NEEDS = (
    "log_density", "reparameterise", "chain", "kl", "product", "multivariate_log_density", "score", "conditional",
)  # fmt: skip
CHECKS = ("divergences", "bridge-from-normals", "denoiser-from-normals", "distances-by-quadrature")
MEAN, STD, NOISE, SEEN, COUNT = 0.5, 1.2, 0.6, 1.5, 20_000  # x ~ N(0.5, 1.2²), z ~ N(0, 0.6²), x + z is 1.5
STEPS, BETA = 20, 0.05  # of a forward process that begins at x
CHANCE = 4.5 * STD**2 * (2 / COUNT) ** 0.5  # that the mean or the variance of draws may be off: 4.5 standard errors

IMPL = '''
"""Your functions in the place of the package's, for diffcli verify --impl pre_1_impl.py"""

import torch
from pre_1 import conditional, multivariate_log_density, product
from pre_1 import kl as own_kl

from diffcli.core.processes.laws import gaussian


def exact(value):
    return torch.as_tensor(value, dtype=torch.float64)


class Normal(gaussian.Normal):
    def log_density(self, x):
        return exact(multivariate_log_density(x, self.mean, self.covariance))

    def given(self, places, values):
        mean, covariance = map(exact, conditional(self.mean, self.covariance, list(places), values))
        return Normal(mean, gaussian.symmetric(covariance))

    def times(self, other):  # of one dimension
        mean, variance, log_c = product(self.mean, self.covariance[0], other.mean, other.covariance[0])
        return Normal(exact(mean).reshape(1), exact(variance).reshape(1, 1)), exact(log_c)

    def affine(self, matrix, shift):
        return Normal(*vars(super().affine(matrix, shift)).values())

    def marginal(self, places):
        return Normal(*vars(super().marginal(places)).values())


def kl(mean, std, other_mean, other_std):
    given = torch.broadcast_tensors(mean, std, exact(other_mean), other_std)
    return exact(own_kl(*(value.clone() for value in given)))
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    laws = f"--dim 1 --mean {MEAN} --std {STD} --other-mean 0 --other-std {NOISE} --given {SEEN} --count {COUNT}"
    return [["noise", "gaussian", *laws.split(), "--seed", "0", "--out", str(out / "gaussian")]]


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    yield "what your functions say of the same laws"
    rows = {name: float(torch.as_tensor(value).reshape(())) for name, value in predicted(functions)}
    yield f"your functions in the place of the package's: {', '.join(CHECKS)}"
    (out / "yours.json").write_text(json.dumps({"rows": rows, "checks": dict(checked())}), "utf-8")


def predicted(f: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[str, Any]]:
    """The numbers of `noise gaussian`: x has the variance v, the noise z the variance w."""
    mean, v, w, zero, seen = torch.tensor([[MEAN], [STD**2], [NOISE**2], [0.0], [SEEN]], dtype=torch.float64)
    joint = torch.stack([torch.cat([v, v]), torch.cat([v, v + w])])
    yield from zip(("sum, mean", "sum, variance"), f["chain"](MEAN, STD**2, torch.ones_like(w), w), strict=True)
    yield from zip(
        ("product, mean", "product, variance", "product, log c"), f["product"](mean, v, zero, w), strict=True
    )
    laws = f["conditional"](torch.cat([mean, mean]), joint, [1], seen)
    yield from zip(("conditional, mean", "conditional, variance"), laws, strict=True)
    yield "conditional, by the score", seen + w * torch.as_tensor(f["score"](seen.unsqueeze(0), mean, joint[1:, 1:]))
    yield "KL of x from z", f["kl"](mean, v.sqrt(), zero, w.sqrt())
    yield "KL of z from x", f["kl"](zero, w.sqrt(), mean, v.sqrt())
    beta = torch.full((STEPS,), BETA, dtype=torch.float64)
    means, variances = f["chain"](MEAN, STD**2, (1 - beta).sqrt(), beta)
    yield from ((f"{STEPS} noisy steps, mean", means[-1]), (f"{STEPS} noisy steps, variance", variances[-1]))
    line = torch.linspace(-14, 15, 4001, dtype=torch.float64)
    log_p, log_q = (torch.as_tensor(f["log_density"](line, m, s)) for m, s in ((MEAN, STD), (0.0, NOISE)))
    yield "KL of x from z, an integral", torch.trapezoid(log_p.exp() * (log_p - log_q), line)
    eps = torch.randn(COUNT, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    draws = torch.as_tensor(f["reparameterise"](mean.expand_as(eps), v.log().expand_as(eps), eps))
    yield from (("your draws, mean", draws.mean()), ("your draws, variance", draws.var()))


def checked() -> Iterator[tuple[str, str]]:
    """What is wrong in each check with what IMPL defines, "" for nothing; what float32 rounds is not wrong.

    Adding 0.0 makes a plain 0 of a −0.
    """
    from diffcli.checks.every import all_checks
    from diffcli.checks.handed import run_with, stand_ins

    checks, space = {name: all_checks()[name] for name in CHECKS}, {"__name__": "pre_1_impl"}
    exec(IMPL, space)
    for name, check in checks.items():
        report = run_with(check, stand_ins(checks, space))
        worst = report.worst
        rounded = worst is not None and abs(worst.got - worst.truth) <= CLOSE * abs(worst.truth) + EXACT
        said = f"{worst.case}: {worst.got + 0.0:.6g} where {worst.truth + 0.0:.6g} is right" if worst else "no numbers"
        yield name, report.error or ("" if report.passed or rounded else said)


def judged(out: Path) -> Outcome:
    """Each number against the package's own formula, and the checks."""
    yours = json.loads((out / "yours.json").read_text("utf-8"))
    theirs = formulas(json.loads((out / "gaussian" / "metrics.json").read_text("utf-8")))
    lines, right = [f"{'':<30}{'yours':>10}{'formula':>10}"], not any(yours["checks"].values())
    for name, found in yours["rows"].items():
        within = CHANCE if name.startswith("your draws") else CLOSE * max(1.0, abs(theirs[name]))
        right &= (near := abs(found - theirs[name]) <= within)
        lines.append(f"{name:<30}{found:>10.4f}{theirs[name]:>10.4f}{'' if near else '  <- off'}")
    lines += [f"check {name}: {wrong or 'holds'}" for name, wrong in yours["checks"].items()]
    return Outcome(right, tuple(lines), ("gaussian/density.png", "gaussian/algebra.png"))


def formulas(document: dict[str, Any]) -> dict[str, float]:
    """What the package's own formulas say, by row."""
    laws, found = {**document["operations"], "your draws": document}, {}
    for name, law in laws.items():
        found[f"{name}, mean"], found[f"{name}, variance"] = law["mean_true"][0], law["covariance_true"][0][0]
    found |= {"product, log c": document["product_constant"]["log"]}
    found |= {"KL of x from z": document["kl"]["first_from_other"]["closed"]}
    found |= {"KL of z from x": document["kl"]["other_from_first"]["closed"]}
    kept = (1 - BETA) ** STEPS
    found[f"{STEPS} noisy steps, mean"] = kept**0.5 * MEAN
    found[f"{STEPS} noisy steps, variance"] = kept * STD**2 + 1 - kept
    again = {"conditional, by the score": "conditional, mean", "KL of x from z, an integral": "KL of x from z"}
    return found | {name: found[same] for name, same in again.items()}
