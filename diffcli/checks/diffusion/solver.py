"""The solver of differential equations: the conditions on its coefficients, and how it chooses its steps."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core import ode


def _lower() -> tuple[list[float], list[list[float]]]:
    """The times of all seven slopes, and the weights before each."""
    return [0.0, *(time for time, _ in ode.STAGES)], [[], *(list(weights) for _, weights in ode.STAGES)]


@check(
    "the coefficients meet the conditions of order 5, and of order 4 for the solution that it is compared with",
    "Hairer, Nørsett & Wanner 1993, table II.2.1 and eq. II.1.11; Dormand & Prince 1980",
)
def conditions_of_order() -> Iterator[Finding]:
    c, a = _lower()
    for i, row in enumerate(a):
        yield near(f"time of slope {i}", c[i], sum(row), abs=1e-12)
    fifth = [*a[-1], 0.0]
    fourth = [b - e for b, e in zip(fifth, ode.ERROR, strict=True)]
    before = [sum(w * c[j] for j, w in enumerate(row)) for row in a]  # sum of a_ij c_j
    squares = [sum(w * c[j] ** 2 for j, w in enumerate(row)) for row in a]
    deep = [sum(w * before[j] for j, w in enumerate(row)) for row in a]
    for name, order, b in (("order 5", 5, fifth), ("order 4", 4, fourth)):
        for power in range(order):
            total = sum(w * t**power for w, t in zip(b, c, strict=True))
            yield near(f"{name}, t^{power}", 1 / (power + 1), total, abs=1e-12)
        yield near(f"{name}, 1/6", 1 / 6, sum(w * v for w, v in zip(b, before, strict=True)), abs=1e-12)
        yield near(f"{name}, 1/8", 1 / 8, sum(w * t * v for w, t, v in zip(b, c, before, strict=True)), abs=1e-12)
        yield near(f"{name}, 1/12", 1 / 12, sum(w * v for w, v in zip(b, squares, strict=True)), abs=1e-12)
        yield near(f"{name}, 1/24", 1 / 24, sum(w * v for w, v in zip(b, deep, strict=True)), abs=1e-12)
    yield near("order 5, 1/10", 1 / 10, sum(w * t**2 * v for w, t, v in zip(fifth, c, before, strict=True)), abs=1e-12)
    yield near("order 5, 1/20", 1 / 20, sum(w * v**2 for w, v in zip(fifth, before, strict=True)), abs=1e-12)
    fast = sum(w * t**4 for w, t in zip(ode.ERROR, c, strict=True))
    yield near("order 4 is not order 5", 2.63e-4, fast, rel=0.001)


def _times(slope: Callable[[float], float], end: float, atol: float, start: float = 1.0) -> tuple[list[float], int]:
    """When the steps of one number end, and how many were refused, with an absolute tolerance only."""

    def asked(t: float, _: ode.State) -> ode.State:
        return (torch.tensor([slope(t)], dtype=torch.float64),)

    begin: Tensor = torch.tensor([start], dtype=torch.float64)
    steps = list(ode.dormand_prince(asked, (begin,), 0.0, end, rtol=0.0, atol=atol))
    return [t for t, _, _ in steps], steps[-1][2]


@check(
    "the first step is a hundredth of state over slope; then 0.9 error^(-1/5) times the last, from 0.2 to 10 times",
    "Hairer, Nørsett & Wanner 1993, section II.4",
)
def steps_of_the_solver() -> Iterator[Finding]:
    times, refused = _times(lambda t: 1.0, 2.0, 1e-3)  # no error at all
    yield near("ten times as long each", torch.tensor([0.01, 0.11, 1.11, 2.0]), torch.tensor(times), abs=1e-6)
    yield near("none refused", 0, refused)
    for end in (0.3, 0.7, 1.1, 1.9):
        yield near(f"exactly at the end, {end}", end, _times(lambda t: math.cos(t), end, 1e-6)[0][-1])
    yield near("no slope", 1e-3, _times(lambda t: 0.0, 1.0, 1e-3)[0][0], rel=1e-12)
    yield near("no further than the end", 1e-4, _times(lambda t: 1.0, 1e-4, 1e-3)[0][0])
    functional = sum(w * t**4 for w, t in zip(ode.ERROR, _lower()[0], strict=True))  # of t⁴, times the step⁵
    first = 1e-3
    for error, wanted, wait in (
        (0.5, [1.0, 0.9 * 0.5**-0.2], 0),
        (1e-9, [1.0, 10.0], 0),
        (2.0, [0.9 * 2**-0.2], 1),
        (1e6, [0.2 * 0.9 * (1e6 * 0.2**5) ** -0.2], 2),
    ):
        times, refused = _times(lambda t: t**4, 0.02, functional * first**5 / error)
        ends = [sum(wanted[: k + 1]) * first for k in range(len(wanted))]
        yield near(f"error {error}, steps", torch.tensor(ends), torch.tensor(times[: len(ends)]), rel=1e-5)
        yield near(f"error {error}, refused at first", 1, float(refused >= wait))
    asked: list[float] = []

    def hole(t: float) -> float:
        asked.append(t)
        return math.nan if 1 < len(asked) < 8 else 1.0

    times, refused = _times(hole, 0.5, 1e-3)
    yield near("after what is no number a fifth", 0.2 * 0.01, times[0], rel=1e-6)
    yield near("and once refused", 1, refused)
    try:
        _times(lambda t: 1.0 if t == 0 else math.nan, 1.0, 1e-3)
        raised = 0.0
    except ArithmeticError:
        raised = 1.0
    yield near("steps too small to go on are an error", 1, raised)
