"""Annealed importance sampling: normalising constants that are known."""

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Generator, Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.laws.rbm import Machine
from diffcli.core.processes.montecarlo.annealing import (
    LADDERS,
    ais,
    between,
    log_ratio,
    metropolis,
    reverse,
    stepping,
    tuned,
)
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc, random_walk
from diffcli.core.processes.montecarlo.unnormalised import bimodal, draw_standard, mixture, rbm, standard, unimodal
from diffcli.core.randomness import keyed
from diffcli.lessons.annealing import weights
from diffcli.metrics.statistics import standard_error

START = [0.5, 0.3, 0.2]
TARGET = [1.2, 0.1, 3.1]
BETAS = [0.0, 0.15, 0.4, 1.0]


def _transition(density: list[float]) -> list[list[float]]:
    """Metropolis' matrix on three states: each other state is proposed with probability 1/2."""
    rows = []
    for i in range(3):
        row = [0.5 * min(1.0, density[j] / density[i]) if j != i else 0.0 for j in range(3)]
        row[i] = 1 - sum(row)
        rows.append(row)
    return rows


def _log(values: list[float]) -> LogDensity:
    """The logarithm of a table, for states [B, 1]."""
    return lambda x: torch.tensor(values, dtype=torch.float64).log()[x.flatten().long()]


@check(
    "summed over all paths of three states: mean weights are ratios of constants, upwards and downwards",
    "Neal 2001, eq. 5-11; Jarzynski 1997; Crooks 1999",
)
def every_path() -> Iterator[Finding]:
    rungs = len(BETAS) - 1
    matrices = [_transition([s ** (1 - b) * t**b for s, t in zip(START, TARGET, strict=True)]) for b in BETAS]
    paths = list(product(range(3), repeat=rungs + 1))
    states = torch.tensor(paths, dtype=torch.float64)
    laws_met: dict[int, Tensor] = {}

    def upward(x: Tensor, log_density: LogDensity, k: int, _: Generator) -> Move:
        laws_met[k] = log_density(torch.arange(3).unsqueeze(1)).exp()
        return Move(states[:, k : k + 1], torch.ones(len(x)))

    def downward(x: Tensor, log_density: LogDensity, k: int, _: Generator) -> Move:
        laws_met[-k] = log_density(torch.arange(3).unsqueeze(1)).exp()
        return Move(states[:, k - 1 : k], torch.ones(len(x)))

    laws, betas, generator = (_log(START), _log(TARGET)), torch.tensor(BETAS, dtype=torch.float64), Generator()
    up = list(ais(states[:, :1], *laws, betas, upward, generator))
    down = list(reverse(states[:, -1:], *laws, betas, downward, generator))
    chances_up, chances_down = [], []
    for path in paths:
        steps = list(enumerate(zip(path, path[1:], strict=False), start=1))
        chances_up.append(START[path[0]] * math.prod(matrices[k][i][j] for k, (i, j) in steps))
        chances_down.append(TARGET[path[-1]] / sum(TARGET) * math.prod(matrices[k][j][i] for k, (i, j) in steps))
    forth, back = (torch.tensor(v, dtype=torch.float64) for v in (chances_up, chances_down))
    yield near("every path is there", 1, forth.sum(), abs=1e-12)
    for k, state in enumerate(up, start=1):
        law = [s ** (1 - BETAS[k]) * t ** BETAS[k] for s, t in zip(START, TARGET, strict=True)]
        for way in (k, -k):
            yield near(f"the law of move {way}", torch.tensor(law, dtype=torch.float64), laws_met[way], rel=1e-12)
        for i in range(3):
            here = state.x.flatten() == i
            yield near(f"state {i} at rung {k}", law[i], (forth * state.log_weight.exp())[here].sum(), rel=1e-12)
    for k, state in zip(reversed(range(rungs)), down, strict=True):
        for i in range(3):
            here, wanted = state.x.flatten() == i, START[i] ** (1 - BETAS[k]) * TARGET[i] ** BETAS[k] / sum(TARGET)
            yield near(f"state {i}, down to {k}", wanted, (back * state.log_weight.exp())[here].sum(), rel=1e-12)
    yield near("upwards", sum(TARGET), (forth * up[-1].log_weight.exp()).sum(), rel=1e-12)
    yield near("downwards", 1 / sum(TARGET), (back * down[-1].log_weight.exp()).sum(), rel=1e-12)
    yield near("Crooks, path by path", back * sum(TARGET), forth * up[-1].log_weight.exp(), rel=1e-12)
    end = between(_log([0.0, 1.0, 0.0]), laws[1], 1.0)(torch.arange(3))
    yield near("the target, where the start has no density", laws[1](torch.arange(3)), end, rel=1e-12)
    yield near("the same weight both ways", -up[-1].log_weight, down[-1].log_weight, abs=1e-12)


def _normal(x: Tensor, mean: float, std: float) -> Tensor:
    return (-((x - mean) ** 2) / (2 * std**2)).exp()


@check(
    "between Gaussians with a perfect kernel: mean and variance of every step's log-weight, and the mean weight",
    "Neal 2001, eq. 3-11; the annealed laws of Gaussians are Gaussians",
)
def gaussian_ladder() -> Iterator[Finding]:
    mean, std, height = 1.5, 0.5, 3.0
    nodes = torch.linspace(-9, 9, 3601, dtype=torch.float64).unsqueeze(1)
    betas = LADDERS["sigmoid"](6)

    def target(x: Tensor) -> Tensor:
        return math.log(height) - ((x - mean) ** 2).sum(1) / (2 * std**2)

    def stay(x: Tensor, _: LogDensity, __: int, ___: Generator) -> Move:
        return Move(x, torch.ones(len(x)))

    before, whole = torch.zeros(len(nodes), dtype=torch.float64), 1.0
    for k, state in enumerate(ais(nodes, standard, target, betas, stay, Generator())):
        gain, before, beta = state.log_weight - before, state.log_weight, betas[k].item()
        precision = 1 - beta + beta / std**2
        centre, variance = beta * mean / std**2 / precision, 1 / precision
        law = _normal(nodes.flatten(), centre, variance**0.5)
        law = law / law.sum()
        step = betas[k + 1].item() - beta
        a, b = step * (1 - 1 / std**2) / 2, step * mean / std**2
        c = step * (math.log(height) - mean**2 / (2 * std**2) + math.log(2 * math.pi) / 2)
        average, spread = a * (centre**2 + variance) + b * centre + c, 2 * a**2 * variance**2
        spread += (2 * a * centre + b) ** 2 * variance
        yield near(f"mean of step {k}", average, (law * gain).sum(), abs=1e-9)
        yield near(f"variance of step {k}", spread, (law * (gain - average) ** 2).sum(), abs=1e-9)
        whole *= (law * gain.exp()).sum().item()
    yield near("the product", height * std * math.sqrt(2 * math.pi), whole, rel=1e-9)


@check(
    "the problems are what their formulas say, and their constants are integrals of them",
    "in the manner of Neal 2001; quadrature in one and two dimensions",
)
def problems_by_quadrature() -> Iterator[Finding]:
    line = torch.linspace(-3, 3, 12001, dtype=torch.float64)
    places = 1 + 0.1 * torch.randn(20, 6, generator=keyed(0, "truth-places"), dtype=torch.float64)
    places = torch.cat([places, -1 + (places - 1) / 2])
    wide, narrow = (((places - m) ** 2).sum(1) / (2 * s**2) for m, s in ((1, 0.1), (-1, 0.05)))
    yield near("unimodal", -wide, unimodal().log_density(places), rel=1e-9, abs=1e-9)
    both = ((-wide).exp() + 128 * (-narrow).exp()).log()
    yield near("bimodal", both, bimodal().log_density(places), rel=1e-9, abs=1e-9)
    one, other = (torch.trapezoid(_normal(line, m, s), line).item() for m, s in ((1, 0.1), (-1, 0.05)))
    yield near("log Z of unimodal", 6 * math.log(one), unimodal().log_z, abs=1e-9)
    yield near("log Z of bimodal", math.log(one**6 + 128 * other**6), bimodal().log_z, abs=1e-9)
    side = torch.linspace(-6, 6, 601, dtype=torch.float64)
    square = torch.cartesian_prod(side, side)
    for problem in (mixture(dimension=2), bimodal(dimension=2, std=0.3, narrow=0.2, weight=0.2)):
        whole = problem.log_density(square).exp().sum() * (side[1] - side[0]) ** 2
        yield near("log Z in the plane", whole.log(), problem.log_z, abs=1e-6)


@check(
    "a Boltzmann machine: its density is a sum over hidden states, its constant an integral; its draws",
    "Hinton 2012, section 13.2; enumeration, and quadrature over one visible unit",
)
def machine_by_enumeration() -> Iterator[Finding]:
    rows, biases = [1.5, -0.7, 0.4], [0.3, -1.0, 0.2]
    machine = Machine(torch.tensor([rows], dtype=torch.float64), torch.tensor(biases, dtype=torch.float64))
    line = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    whole, first, second = torch.zeros_like(line), 0.0, 0.0
    for state in product((0, 1), repeat=3):
        field, push = (sum(v * h for v, h in zip(values, state, strict=True)) for values in (biases, rows))
        whole = whole + (-(line**2) / 2 + field + line * push).exp()
    constant = torch.trapezoid(whole, line)
    first, second = ((torch.trapezoid(whole * line**k, line) / constant).item() for k in (1, 2))
    yield near("density", whole.log(), machine.log_density(line.unsqueeze(1)), abs=1e-9)
    yield near("log Z", constant.log(), machine.log_z(), abs=1e-9)
    drawn = machine.draw(40_000, keyed(0, "truth-machine")).flatten()
    error = math.sqrt((second - first**2) / len(drawn))
    yield near("mean of the draws", first, drawn.mean(), abs=4.5 * error)
    yield near("their square", second, drawn.square().mean(), abs=4.5 * standard_error(drawn.square()))


@check(
    "exact draws of every problem: the mean of exp(log f_start - log f) is 1 / Z where the start is the narrower one",
    "Neal 2001, eq. 11, turned round, with one temperature",
)
def draws_of_problems() -> Iterator[Finding]:
    laws = {
        "unimodal": unimodal(dimension=3, mean=0.4, std=1.3),
        "bimodal": bimodal(dimension=3, separation=0.8, std=1.3, narrow=1.1, weight=0.3),
        "mixture": mixture(dimension=3, modes=3, radius=1.2, std=1.2, log_z=2.0),
        "rbm": rbm(visible=3, hidden=3, scale=1.0),
    }
    for name, problem in laws.items():
        x = problem.draw(20_000, keyed(1, "truth-draws"))
        found = weights.estimate(-log_ratio(x, standard, problem.log_density))
        yield near(name, -problem.log_z, found.value, abs=4.5 * found.standard_error)
        centre = torch.zeros(3, dtype=torch.float64)
        if name == "bimodal":
            centre = centre + 0.8 * (0.7 - 0.3)
            yield near("its mean", centre, x.mean(0), abs=4.5 * 1.6 / math.sqrt(len(x)))


@check(
    "marginal densities in the plane: of an annealed Gaussian, and of each target, where they are Gaussians again",
    "Bishop 2006, section 2.3",
)
def marginals_in_the_plane() -> Iterator[Finding]:
    points = 0.4 * torch.randn(7, 2, generator=keyed(0, "truth-plane"), dtype=torch.float64) + 0.5
    for dimension in (2, 3, 6):
        problem, root = unimodal(dimension=dimension, mean=0.6, std=0.5), math.sqrt(dimension)
        for beta in (0.0, 0.3, 1.0):
            precision = 1 - beta + beta / 0.25
            centre = torch.tensor([beta * 0.6 * root / 0.25 / precision, 0], dtype=torch.float64)
            wanted = -((points - centre) ** 2).sum(1) * precision / 2
            found = problem.marginal(beta, points)
            assert found is not None
            yield near(f"{dimension} dimensions, beta {beta}", wanted - wanted[0], found - found[0], abs=1e-4)
    problem = bimodal(dimension=5, separation=0.3, std=0.5, narrow=0.3, weight=0.4)
    shares = [
        share / std**2 * (-((points - torch.tensor([far, 0]).double()) ** 2).sum(1) / (2 * std**2)).exp()
        for share, std, far in ((0.6, 0.5, 0.3 * math.sqrt(5)), (0.4, 0.3, -0.3 * math.sqrt(5)))
    ]
    wanted, found = (shares[0] + shares[1]).log(), problem.marginal(1.0, points)
    assert found is not None
    yield near("bimodal at beta 1", wanted - wanted[0], found - found[0], abs=1e-4)


@check(
    "with both kernels the estimate is right, and mean log-weights up and down hold the truth between them",
    "Grosse, Ghahramani & Adams 2015; Neal 2011, section 5.3.2",
)
def sandwich() -> Iterator[Finding]:
    problem, betas = bimodal(dimension=2, separation=0.7, std=0.5, narrow=0.35, weight=0.5), LADDERS["linear"](20)
    steps = torch.full((21,), 0.3, dtype=torch.float64)
    kernels = {
        "random walk": metropolis(repeats=2),
        "hmc": stepping(lambda x, p, s, g: hmc(x, p, s, 3, g), steps),
    }
    for name, kernel in kernels.items():
        generator = keyed(2, f"truth-sandwich-{name}")
        *_, up = ais(draw_standard(4000, 2, generator), standard, problem.log_density, betas, kernel, generator)
        *_, down = reverse(problem.draw(4000, generator), standard, problem.log_density, betas, kernel, generator)
        for way, log_weight, sign in (("up", up.log_weight, 1), ("down", down.log_weight, -1)):
            found, bound = weights.estimate(log_weight), weights.mean_log(log_weight)
            yield near(f"{name}, {way}", sign * problem.log_z, found.value, abs=4.5 * found.standard_error)
            outside = max(0.0, bound.value - sign * problem.log_z - 4.5 * bound.standard_error)
            yield near(f"{name}, {way}: bound", 0, outside)


@check(
    "estimates from weights: log of their mean, its error by the delta method, their worth, Markov's bound",
    "Kong 1992; Grosse, Ghahramani & Adams 2015",
)
def estimates_from_weights() -> Iterator[Finding]:
    numbers = [1.0, 2.0, 3.0, 6.0]
    found = weights.estimate(torch.tensor(numbers, dtype=torch.float64).log() - 2000)
    variance = sum((w - 3) ** 2 for w in numbers) / 3
    yield near("log of the mean", math.log(3) - 2000, found.value, rel=1e-12)
    yield near("standard error", math.sqrt(variance / 4) / 3, found.standard_error, rel=1e-9)
    yield near("worth", 144 / 50, found.effective, rel=1e-9)
    bound = weights.mean_log(torch.tensor(numbers, dtype=torch.float64).log())
    yield near("mean of the logarithms", math.log(36) / 4, bound.value, rel=1e-12)
    yield near("Markov's inequality", 0.01, math.exp(-weights.surely(0.01)), rel=1e-12)


@check(
    "the ladders: equal steps, equal factors, a logistic curve, and both one after the other",
    "in the manner of Neal 2001; Wu et al. 2017, code",
)
def ladders() -> Iterator[Finding]:
    logistic = [1 / (1 + math.exp(4 - 8 * k / 10)) for k in range(11)]
    wanted = {
        "linear": [k / 10 for k in range(11)],
        "geometric": [0, *(1e-4 ** (1 - k / 9) for k in range(10))],
        "sigmoid": [(v - logistic[0]) / (logistic[-1] - logistic[0]) for v in logistic],
        "neal": [0, 0.005, *(0.01 * 100 ** (k / 8) for k in range(9))],
    }
    for name, betas in wanted.items():
        yield near(name, torch.tensor(betas, dtype=torch.float64), LADDERS[name](10), abs=1e-12)
        yield near(f"{name}, one step", torch.tensor([0.0, 1.0]), LADDERS[name](1))
        for count in (2, 4, 5, 6):
            found = LADDERS[name](count)
            yield near(f"{name}, {count} steps", count + 1, len(found))
            yield near(f"{name}, {count} steps rise", 1, float((found.diff() > 0).all()))


@check(
    "on a normal law a step of s is accepted with probability 2/π arctan(2/s); tuning finds the step for a share",
    "Gelman, Roberts & Gilks 1996",
)
def accepted_and_tuned() -> Iterator[Finding]:
    generator = keyed(0, "truth-tuned")
    x, scales = draw_standard(20_000, 1, generator), (0.05, 0.15, 0.5)
    move = metropolis()(x, standard, 1, generator)
    wanted = sum(2 / math.pi * math.atan(2 / s) for s in scales) / 3
    yield near("three widths", wanted, move.accepted.mean(), abs=4.5 * standard_error(move.accepted))
    steps = torch.tensor([9.0, 9.0, 2.0], dtype=torch.float64)
    move = stepping(random_walk, steps, 2)(x, standard, 2, generator)
    yield near("the step of this rung", 0.5, move.accepted.mean(), abs=4.5 * standard_error(move.accepted))
    found = tuned(random_walk, x[:4000], standard, standard, LADDERS["linear"](10), generator, goal=0.5, first=1.0)
    yield near("tuned for a half", 2, found[-1], abs=0.12)
    yield near("no step backwards", 0, (found <= 0).sum())
    one = tuned(random_walk, x[:4000], standard, standard, LADDERS["linear"](1), generator, goal=0.5, first=1.0)
    yield near("of the first temperature, which is not used", 1.0, one[0])
    yield near("more than the first step, of which more than half is accepted", 1, float(one[1] > 1))
