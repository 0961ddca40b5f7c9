"""How far every parameter may go: at its bound it is taken, and just beyond it is refused with a ValueError."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.bound import best_path
from diffcli.core.diffusion.denoiser import check_pair
from diffcli.core.diffusion.schedules import (
    EDM,
    SCHEDULES,
    VE,
    VP,
    BetaTable,
    Flow,
    LogSNR,
    Sigmoid,
    SubVP,
    ZeroTerminal,
)
from diffcli.core.processes.chains import named
from diffcli.core.processes.chains.finite import finite
from diffcli.core.processes.laws.gaussian import Normal, factored
from diffcli.core.processes.laws.line import Beta, Exponential, LineNormal
from diffcli.core.processes.laws.plane import Banana, Normal2
from diffcli.core.processes.laws.rbm import random_machine
from diffcli.core.processes.montecarlo import unnormalised

Edge = tuple[str, Callable[..., object], Sequence[object], Sequence[object]]
"""What, the function of one parameter, values that it takes, values that it refuses."""


def between(what: str, make: Callable[..., object], least: float, most: float) -> Edge:
    """Both ends are allowed."""
    return what, make, (least, most), (_beyond(least, -1), _beyond(most, 1))


def inside(what: str, make: Callable[..., object], least: float, most: float) -> Edge:
    """Neither end is."""
    return what, make, (_beyond(least, 1), _beyond(most, -1)), (least, most)


def _beyond(value: float, way: int) -> float:
    """The next whole number, or a number a millionth away."""
    return value + way * (1 if isinstance(value, int) else max(1e-6 * abs(value), 1e-12))


def refused(make: Callable[..., object], value: object) -> bool:
    try:
        make(value)
    except ValueError:
        return True
    return False


def found(edges: Sequence[Edge]) -> Iterator[Finding]:
    for what, make, taken, beyond in edges:
        for value in taken:
            yield near(f"{what} = {value} refused", 0, float(refused(make, value)))
        for value in beyond:
            yield near(f"{what} = {value} refused", 1, float(refused(make, value)))


@check("parameters of laws are taken up to their bounds and refused beyond", "their messages of error")
def limits_of_laws() -> Iterator[Finding]:
    machine = partial(random_machine, visible=3, hidden=2, scale=1.0, seed=0)
    yield from found(
        [
            between("mean", LineNormal, -1e6, 1e6),
            between("std", lambda v: LineNormal(std=v), 1e-6, 1e6),
            between("rate", Exponential, 1e-6, 1e6),
            between("a", lambda v: Beta(a=v), 0.5, 1000.0),
            between("b", lambda v: Beta(b=v), 0.5, 1000.0),
            between("rho", Normal2, -0.999, 0.999),
            between("bend", Banana, -100.0, 100.0),
            between("std of the banana", lambda v: Banana(std=v), 0.01, 1000.0),
            between("visible", lambda v: machine(visible=v), 2, 100),
            between("hidden", lambda v: machine(hidden=v), 1, 12),
            between("scale", lambda v: machine(scale=v), 0.0, 20.0),
            ("seed", lambda v: machine(seed=v), (0, 1), (-1,)),
        ]
    )
    eye, twisted = torch.eye(2, dtype=torch.float64), torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    yield from found(
        [
            ("asymmetry", lambda v: factored(3 * eye + v * twisted), (0.0, 1.499e-9), (1.501e-9,)),
            ("covariance", factored, (eye, eye[:1, :1]), (eye[:1], eye[0], eye[:0, :0], torch.stack([eye, eye]))),
            ("least eigenvalue", lambda v: factored(torch.diag(torch.tensor([1.0, v]))), (1e-30,), (0.0, -0.1)),
            ("mean", lambda v: Normal(v, eye), (zero,), (zero[:1], zero.unsqueeze(0), torch.zeros(3).double())),
            ("covariance of a law", lambda v: Normal(zero[:1], v), (eye[:1, :1],), (eye, eye[:1])),
        ]
    )


@check("parameters of densities with a known constant are taken up to their bounds and refused beyond", "the same")
def limits_of_problems() -> Iterator[Finding]:
    one, two, many = unnormalised.unimodal, unnormalised.bimodal, unnormalised.mixture
    yield from found(
        [
            between("dimension", one, 2, 100),
            between("dimension of two", two, 2, 100),
            between("dimension of many", many, 2, 100),
            between("std", lambda v: one(std=v), 1e-3, 100.0),
            between("std of two", lambda v: two(std=v), 1e-3, 100.0),
            between("narrow", lambda v: two(narrow=v), 1e-3, 100.0),
            between("std of many", lambda v: many(std=v), 1e-3, 100.0),
            between("mean", lambda v: one(mean=v), -100.0, 100.0),
            between("separation", lambda v: two(separation=v), -100.0, 100.0),
            between("radius", lambda v: many(radius=v), -100.0, 100.0),
            inside("weight", lambda v: two(weight=v), 0.0, 1.0),
            between("modes", lambda v: many(modes=v), 1, 50),
            between("ratio", lambda v: many(ratio=v), 0.1, 10.0),
            between("log_z", lambda v: many(log_z=v), -1000.0, 1000.0),
        ]
    )


@check("parameters of chains are taken up to their bounds and refused beyond; so is what is no matrix", "the same")
def limits_of_chains() -> Iterator[Finding]:
    shares: list[tuple[str, Callable[..., object]]] = [
        ("a", lambda v: named.two_state(a=v)),
        ("b", lambda v: named.two_state(b=v)),
        ("up", lambda v: named.random_walk(up=v)),
        ("forward", lambda v: named.cycle(forward=v)),
        ("lazy", lambda v: named.cycle(lazy=v)),
        ("lazy urns", lambda v: named.ehrenfest(lazy=v)),
        ("births", lambda v: named.birth_death(up=v, down=0.0)),
        ("deaths", lambda v: named.birth_death(up=0.0, down=v)),
    ]
    yield from found([between(what, make, 0.0, 1.0) for what, make in shares])
    yield from found([("births and deaths", lambda v: named.birth_death(up=0.5, down=v), (0.5,), (0.5 + 1e-6,))])
    for chain, least in ((named.random_walk, 1), (named.birth_death, 1), (named.ehrenfest, 1), (named.cycle, 3)):
        yield from found([between(f"n of {chain.__name__}", chain, least, 511)])
    yield from found(
        [
            ("ends", lambda v: named.random_walk(ends=v), ("reflecting", "absorbing"), ("open",)),
            inside("rho", named.ar1, -1.0, 1.0),
            between("noise", lambda v: named.ar1(noise=v), 1e-9, 1e9),
            between("volatility", lambda v: named.ou(volatility=v), 1e-9, 1e9),
            between("rate", lambda v: named.ou(rate=v, dt=1 / v), 1e-9, 1e9),
            between("dt", lambda v: named.ou(rate=1 / v, dt=v), 1e-9, 1e9),
            inside("rate times dt", lambda v: named.ou(rate=0.5, dt=2 * v), 1e-9, 100.0),
            between("side", named.ising, 2, 32),
            between("beta", lambda v: named.ising(beta=v), 0.0, 10.0),
            between("field", lambda v: named.ising(field=v), -10.0, 10.0),
            ("states", lambda v: finite(torch.eye(v)), (1, 512), (0, 513)),
            ("a matrix", finite, (torch.eye(2),), (torch.eye(2)[0], torch.ones(1, 2), torch.eye(2)[None])),
            (
                "a row's sum less 1",
                lambda v: finite(1 + torch.tensor([[v]]).double()),
                (-9e-7, 9e-7),
                (-1.09e-6, 1.09e-6),
            ),
            ("an entry", lambda v: finite(torch.tensor([[v, 1 - v], [0, 1]])), (0.0, 1.0), (-0.1, math.inf, math.nan)),
            ("names", lambda v: finite(torch.eye(2), v), ((), "ab"), ("a", "aa", "abc", "aab")),
        ]
    )
    yield near("rows sum to 1 exactly", 1, finite(torch.full((3, 3), 1 / 3)).matrix.sum(1), abs=1e-15)


@check("parameters of schedules and walks are taken up to their bounds and refused beyond", "the same")
def limits_of_schedules() -> Iterator[Finding]:
    table, flow = SCHEDULES["linear"], Flow()
    short = SCHEDULES["cosine"](steps=20)
    yield from found(
        [
            inside("a beta", lambda v: BetaTable(torch.tensor([0.1, v])), 0.0, 1.0),
            ("end of the sigmoid", lambda v: Sigmoid(end=v), (-2.9,), (-3.0, -4.0)),
            ("temperature", lambda v: Sigmoid(temperature=v), (0.1,), (0.0, -1.0)),
            ("rho", lambda v: EDM(rho=v), (0.1,), (0.0, -1.0)),
            ("least log-SNR", lambda v: LogSNR(least=v), (13.0,), (13.3, 14.0)),
            ("steps", lambda v: grids.times(flow, v), (1, 2), (0, -1)),
            ("steps of a table", lambda v: grids.times(short, v), (1, 20), (21,)),
            ("entries", lambda v: table(steps=v, first=1e-7, last=1e-6), (1, 1_000_000), (0, 1_000_001)),
            ("a table to shift", lambda v: ZeroTerminal(SCHEDULES["cosine"](steps=v)), (2,), (1,)),
            ("a schedule to shift", lambda v: ZeroTerminal(v), (VP(),), (VE(), SubVP(), flow)),
        ]
    )
    for name in ("vp", "sub-vp"):
        make = SCHEDULES[name]
        yield from found(
            [(f"beta_min of {name}", lambda v, make=make: make(beta_min=v), (0.1, 20.0), (0.0, -0.1, 20.1))]
        )
    for name in ("ve", "edm"):
        make = SCHEDULES[name]
        yield from found(
            [(f"sigma_min of {name}", lambda v, make=make: make(sigma_min=v), (1e-9, 49.0), (0.0, -1.0, 80.0))]
        )
    pure = ZeroTerminal(short)
    yield from found(
        [
            ("target at pure noise", lambda v: check_pair(pure, v), ("x0", "v", "flow"), ("eps", "score")),
            ("target", lambda v: check_pair(VP(), v), ("x0", "v", "flow", "eps", "score"), ()),
        ]
    )
    costs = torch.zeros(3)
    yield from found([between("levels of a walk", lambda v: best_path(costs, torch.zeros(3, 3), costs, v), 1, 3)])
