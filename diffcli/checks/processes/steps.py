"""How far methods walk, from where, and how many draws they give."""

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.processes.line import LAWS, TABLE
from diffcli.core.processes.laws.line import Beta, Exponential, Law, LineNormal, Scales
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.core.processes.montecarlo import kernels, methods
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move
from diffcli.core.randomness import keyed


def even_table(count: int) -> TableLaw:
    """So many entries, all alike."""
    return TableLaw(count * (1.0,), count * (1 / count,))


@check(
    "how far to walk: the roots of a covariance's eigenvalues; across a ridge; an eighth of a table",
    "Gelman, Roberts & Gilks 1996; Neal 2011, section 5.4.2.2",
)
def scales_of_laws() -> Iterator[Finding]:
    for rho in (0.7, -0.4, 0.0):
        covariance = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
        wanted = torch.linalg.eigvalsh(covariance).sqrt()
        yield near(f"correlation {rho}", wanted, torch.tensor(Normal2(rho).scales()), rel=1e-6, abs=1e-9)
    for bend, std in ((0.2, 1.5), (0.03, 10.0), (-0.01, 0.5)):
        slope = 2 * bend * std  # of the ridge, one deviation from its top
        across = min(std, 1) / math.sqrt(1 + slope**2)
        tall = math.sqrt(1 + 2 * bend**2 * std**4)  # E x1⁴ - (E x1²)² = 2 std⁴
        found = Banana(bend, std).scales()
        yield near(f"banana {bend}, {std}", torch.tensor([across, max(std, tall)]), torch.tensor(found), rel=1e-6)
    yield near("a steep banana", 1e-3, Banana(100.0, 1000.0).scales().narrow)
    for count in (4, 24):
        yield near(
            f"a table of {count}", max(1, count / 8), TableLaw(count * (1.0,), count * (1 / count,)).scales().narrow
        )
        yield near("all of it", count, TableLaw(count * (1.0,), count * (1 / count,)).scales().wide)
    for law, std in ((LineNormal(1, 2), 2.0), (Exponential(4.0), 0.25), (Beta(1, 1), 1 / math.sqrt(12))):
        yield near(f"{law}", Scales(std, std).narrow, law.scales().narrow, rel=1e-9)
        yield near(f"{law}, wide", std, law.scales().wide, rel=1e-9)


@check(
    "exactly as many draws as are asked for, never none, by every method; chains by as many states as that takes",
    "counted",
)
def counts_of_draws() -> Iterator[Finding]:
    for name in ("normal", "beta 0.5, 3", "normal2", "table"):
        law = LAWS[name]
        for method, how in methods.METHODS.items():
            if how.refusal(law):
                continue
            options = {"chains": 3, "burn_in": 1} if how.chained else {}
            for count in (1, 2, 7):
                batches = list(how.draw(law, count, keyed(count, "counts"), **options))
                found = sum(batch.x.shape[0] * batch.x.shape[1] for batch in batches)
                yield near(f"{count} by {method}, {name}", 3 * math.ceil(count / 3) if how.chained else count, found)
    *_, last = methods.rejection(LineNormal(), 3000, keyed(0, "rejection"))
    yield near("independent draws are states of one chain", 1, last.x.shape[1])
    blocks = [len(batch.x) for batch in methods.inverse(LineNormal(), 65_536 + 5, keyed(0, "blocks"))]
    yield near("and at most 65,536 at once", torch.tensor([65_536, 5]), torch.tensor(blocks))


@check(
    "normal laws alone have Box and Muller's map, a pair Gibbs' conditionals, and all but tables a gradient",
    "Box & Muller 1958; Geman & Geman 1984; Neal 2011",
)
def which_method_for_which_law() -> Iterator[Finding]:
    only = {"box-muller": {"normal", "normal2", "normal2, falling"}, "gibbs": {"normal2", "normal2, falling"}}
    only["hmc"] = set(LAWS) - {"table"}
    for method, how in methods.METHODS.items():
        for name, law in LAWS.items():
            yield near(f"{method} for {name}", name in only.get(method, LAWS), not how.refusal(law))


class Steps:
    """Stands for a kernel and remembers how far it was to go."""

    def __init__(self) -> None:
        self.sizes: list[Tensor] = []
        self.leaps = 0

    def hmc(self, x: Tensor, log_density: LogDensity, step: Tensor, leaps: int, generator: Generator) -> Move:
        self.sizes.append(step)
        self.leaps = leaps
        return kernels.hmc(x, log_density, step, leaps, generator)

    def random_walk(self, x: Tensor, log_density: LogDensity, scale: float, generator: Generator) -> Move:
        self.sizes.append(torch.tensor(scale))
        return kernels.random_walk(x, log_density, scale, generator)

    def ring_walk(self, x: Tensor, log_density: LogDensity, generator: Generator, size: int, reach: int) -> Move:
        self.sizes.append(torch.tensor(reach))
        return Move(x, torch.ones(len(x)))


def walked(method: str, law: Law, **options: float) -> Steps:
    """The steps of some moves of a method."""
    steps, originals = Steps(), {name: getattr(methods, name) for name in ("hmc", "random_walk", "ring_walk")}
    for name in originals:
        setattr(methods, name, getattr(steps, name))
    try:
        list(methods.METHODS[method].draw(law, 50_000, keyed(8, "steps"), chains=5000, burn_in=0, **options))
    finally:
        for name, original in originals.items():
            setattr(methods, name, original)
    return steps


@check(
    "a step of Hamiltonian dynamics is its own for every chain, even from 0.8 to 1.2 of it; a random walk's is 2.4"
    " deviations, a table's an eighth of it",
    "Neal 2011, section 5.4.2.2; Gelman, Roberts & Gilks 1996",
)
def steps_of_methods() -> Iterator[Finding]:
    for law, options, step, leaps in (
        (LineNormal(0, 2), {}, 1.6, 2),
        (Normal2(0.99), {}, 0.08, 28),
        (Normal2(0.999), {}, 0.8 * math.sqrt(0.001), 50),
        (LineNormal(0, 2), {"step": 9.0}, 9.0, 1),
        (LineNormal(0, 2), {"step": 0.5, "leaps": 3}, 0.5, 3),
    ):
        steps = walked("hmc", law, **options)
        shares = torch.cat(steps.sizes).flatten() / step
        even = 0.8 + 0.4 * (torch.arange(len(shares)) + 0.5) / len(shares)
        yield near(f"steps of {law}, {options}", even, shares.sort().values, abs=0.4 * 1.95 / math.sqrt(len(shares)))
        yield near(f"leaps of {law}, {options}", leaps, steps.leaps)
    walks: list[tuple[Law, dict[str, float], float]] = [
        (LineNormal(0, 2), {}, 4.8),
        (Normal2(0.75), {}, 1.2),
        (LineNormal(0, 2), {"scale": 0.3}, 0.3),
        (TABLE, {}, 1),
        (even_table(24), {}, 3),
        (TABLE, {"scale": 2}, 2),
    ]
    for any_law, told, wanted in walks:
        steps = walked("metropolis", any_law, **told)
        yield near(f"a walk on {type(any_law).__name__}, {told}", wanted, torch.stack(steps.sizes), rel=1e-6)
