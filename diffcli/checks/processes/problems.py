"""Densities with a known constant: mixtures on a circle and Boltzmann machines, in any number of dimensions."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.laws.rbm import random_machine
from diffcli.core.processes.montecarlo import unnormalised
from diffcli.core.randomness import keyed

CIRCLES = ((3, 2.0, 0.7, 1.5, 5.0), (2, 1.0, 1.2, 0.5, -1.0), (1, 1.0, 1.0, 3.0, 0.0))
"""Modes, radius, width, ratio and the logarithm of the constant."""


def _points(count: int, dimensions: int) -> Tensor:
    return torch.randn(count, dimensions, generator=keyed(0, "problems"), dtype=torch.float64)


@check(
    "a mixture on a circle: equal widths, angles by equal parts, each mode `ratio` heavier than the last",
    "written out",
)
def mixture_on_a_circle() -> Iterator[Finding]:
    x = 1.5 * _points(6, 4)
    for modes, radius, std, ratio, log_z in (
        (3, 2.0, 0.7, 1.5, 5.0),
        (2, 1.0, 1.2, 0.5, -1.0),
        (1, 1.0, 1.0, 3.0, 0.0),
    ):
        density = torch.zeros(6, dtype=torch.float64)
        for k in range(modes):
            centre = torch.zeros(4, dtype=torch.float64)
            centre[0] = radius * math.cos(2 * math.pi * k / modes)
            centre[1] = radius * math.sin(2 * math.pi * k / modes)
            share = ratio**k / sum(ratio**j for j in range(modes))
            square = (x - centre).square().sum(1)
            density += share * (-square / (2 * std**2)).exp() / (2 * math.pi * std**2) ** 2
        problem = unnormalised.mixture(4, modes, radius, std, ratio, log_z)
        yield near(f"{modes} modes", density.log() + log_z, problem.log_density(x), abs=1e-9)
        yield near(f"{modes} modes, log Z", log_z, problem.log_z)
        yield near(f"{modes} modes, plane", torch.eye(4)[:, :2], problem.plane)


@check("the plane of problems on the diagonal holds it and a direction across it", "written out")
def planes_of_problems() -> Iterator[Finding]:
    for dimension in (2, 5):
        plane = unnormalised.unimodal(dimension).plane
        yield near(f"along, {dimension}", 1 / math.sqrt(dimension), plane[:, 0], rel=1e-12)
        across = [1 / math.sqrt(2), -1 / math.sqrt(2), *(dimension - 2) * [0.0]]
        yield near(f"across, {dimension}", torch.tensor(across, dtype=torch.float64), plane[:, 1], abs=1e-12)
    problem = unnormalised.rbm(5, 4, 2.0, 1)
    u, _, _ = torch.linalg.svd(problem_weights())
    apart = (problem.plane.T @ u[:, :2]).abs() - torch.eye(2)
    yield near("the two longest directions of a machine's weights", 0, apart, abs=1e-9)


def problem_weights() -> Tensor:
    """The weights of the machine of seed 1 with 5 and 4 units, columns of length 2 or so."""
    return 2 / math.sqrt(5) * torch.randn(5, 4, generator=keyed(1, "rbm"), dtype=torch.float64)


@check(
    "a random machine has normal weights of a given length, and biases with which no unit alone changes the mass",
    "completing the square: the mass of a single unit is exp(bias + |w|² / 2)",
)
def random_machines() -> Iterator[Finding]:
    machine = random_machine(5, 4, 2.0, 1)
    yield near("weights", problem_weights(), machine.weights, rel=1e-12)
    masses = machine.biases + machine.weights.square().sum(0) / 2
    yield near("a unit alone", 0, masses, abs=1e-12)
    wide = random_machine(100, 12, 3.0, 0).weights
    error = 9 * math.sqrt(2 / wide.numel())  # of a chi square's mean
    yield near("mean square length of a column", 9, wide.square().sum(0).mean(), abs=4.5 * error)


@check(
    "marginal densities of a machine: whole where the plane is all there is, and a sum of Gaussians in it at the end",
    "Hinton 2012, section 13.2; Bishop 2006, section 2.3",
)
def marginals_of_machines() -> Iterator[Finding]:
    points = _points(5, 2)
    flat = unnormalised.rbm(2, 3, 1.5, 4)
    x = points @ flat.plane.T
    start = -x.square().sum(1) / 2
    for beta in (0.0, 0.4, 1.0):
        wanted = (1 - beta) * start + beta * flat.log_density(x)
        found = flat.marginal(beta, points)
        assert found is not None
        yield near(f"in the plane, beta {beta}", wanted - wanted[0], found - found[0], abs=1e-9)
    deep, machine = unnormalised.rbm(3, 2, 1.5, 4), random_machine(3, 2, 1.5, 4)
    yield near("unknown between", 1, float(deep.marginal(0.5, points) is None))
    begin = deep.marginal(0.0, points)
    assert begin is not None
    yield near("at the start", start - start[0], begin - begin[0], abs=1e-9)
    third = torch.linalg.svd(machine.weights).U[:, 2]
    line = torch.linspace(-12, 12, 2401, dtype=torch.float64).reshape(-1, 1, 1)
    places = (points @ deep.plane.T) + line * third  # [2401, 5, 3]
    whole = machine.log_density(places.reshape(-1, 3)).reshape(2401, 5).logsumexp(0)
    end = deep.marginal(1.0, points)
    assert end is not None
    yield near("at the end, by an integral over the rest", whole - whole[0], end - end[0], abs=1e-9)


@check(
    "between start and target the marginal density of modes of different width is an integral over the rest",
    "quadrature over the third dimension",
)
def modes_seen_in_a_plane() -> Iterator[Finding]:
    points = _points(5, 2)
    problem = unnormalised.bimodal(3, 0.5, 0.6, 0.3, 0.4)
    third = torch.linalg.svd(problem.plane).U[:, 2]
    line = torch.linspace(-15, 15, 3001, dtype=torch.float64).reshape(-1, 1, 1)
    x = (points @ problem.plane.T + line * third).reshape(-1, 3)
    for beta in (0.0, 0.3, 0.7, 1.0):
        path = beta * problem.log_density(x) - (1 - beta) * x.square().sum(1) / 2
        wanted, found = path.reshape(3001, 5).logsumexp(0), problem.marginal(beta, points)
        assert found is not None
        yield near(f"beta {beta}", wanted - wanted[0], found - found[0], abs=1e-3)


@check(
    "the marginal density of modes of different width in the plane itself is the density there", "nothing is left out"
)
def modes_in_the_plane() -> Iterator[Finding]:
    points = _points(5, 2)
    problem = unnormalised.bimodal(2, 0.5, 0.6, 0.3, 0.4)
    x = points @ problem.plane.T
    for beta in (0.0, 0.5, 1.0):
        wanted = beta * problem.log_density(x) - (1 - beta) * x.square().sum(1) / 2
        found = problem.marginal(beta, points)
        assert found is not None
        yield near(f"beta {beta}", wanted - wanted[0], found - found[0], abs=1e-9)
