"""Held to the same quotient written with differences; of Euler, Heun, Runge and Kutta, and of DDIM."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

Solve = Callable[[int], Tensor]


def measured_order(solve: Callable[[int], Tensor], steps: int) -> float:
    """The order of convergence of a solver, from three of its own answers, where nobody knows the right one.

    With n steps the answer is off by about c n^−p; p is the order. So ask for n, 2n and 4n steps and compare how far
    the answers lie apart, by the Euclidean norm over all numbers: |x_n − x_2n| and |x_2n − x_4n|.

    solve: number of steps -> where the solver ends, [B]
    steps: n

    Returns p, a number.
    """
    first, second, third = (torch.as_tensor(solve(factor * steps)) for factor in (1, 2, 4))
    return math.log2(float((first - second).norm()) / float((second - third).norm()))


def questions(ask: Ask) -> Iterator[Seen]:
    methods = {"Euler's method": euler, "Heun's method": heun, "the method of Runge and Kutta": runge_kutta}
    for name, solve in methods.items():
        for steps in (5, 20):
            yield Seen(f"{name}, {steps} steps", ask(solve, steps))
    yield Seen("DDIM on a Gaussian of standard deviation 0.3, 10 steps that are even in σ/α", ask(walked, 10))


START = torch.tensor([1.0, -0.5, 2.0, 0.3], dtype=torch.float64)


def slope(t: float, x: Tensor) -> Tensor:
    return -x * (1 + t) + math.sin(3 * t)


def euler(steps: int) -> Tensor:
    x, h = START, 1 / steps
    for i in range(steps):
        x = x + h * slope(i * h, x)
    return x


def heun(steps: int) -> Tensor:
    x, h = START, 1 / steps
    for i in range(steps):
        here = slope(i * h, x)
        x = x + h / 2 * (here + slope(i * h + h, x + h * here))
    return x


def runge_kutta(steps: int) -> Tensor:
    x, h = START, 1 / steps
    for i in range(steps):
        t = i * h
        a = slope(t, x)
        b = slope(t + h / 2, x + h / 2 * a)
        c = slope(t + h / 2, x + h / 2 * b)
        x = x + h / 6 * (a + 2 * b + 2 * c + slope(t + h, x + h * c))
    return x


def walked(steps: int) -> Tensor:
    """The package's DDIM from σ/α = 2 to 0.2, of points in the plane."""
    law = Gaussian(0.0, 0.3)
    ratios = torch.linspace(2.0, 0.2, steps + 1, dtype=torch.float64).tolist()
    x = START.unsqueeze(1)
    for step in ddim(law, x, [Level.of(1.0, ratio) for ratio in ratios]):
        x = step.x
    return x.squeeze(1)


def truth(solve: Solve, steps: int) -> float:
    gaps = [(solve(2 * n).double() - solve(n).double()).square().sum().log() / 2 for n in (steps, 2 * steps)]
    return float((gaps[0] - gaps[1]) / math.log(2))


WRONG = [
    Swap(
        "turned-over",
        "with the quotient turned over, so that the order is negative",
        "which of the two gaps is the larger",
        "float((first - second).norm()) / float((second - third).norm())",
        "float((second - third).norm()) / float((first - second).norm())",
    ),
    Swap(
        "natural-logarithm",
        "with a natural logarithm",
        "by how much the steps grow from answer to answer: twofold",
        "math.log2(",
        "math.log(",
    ),
    Swap(
        "squared-lengths",
        "with the squares of the gaps, which have twice the order",
        "the norm: a length, not its square",
        "float((first - second).norm()) / float((second - third).norm())",
        "float((first - second).norm()) ** 2 / float((second - third).norm()) ** 2",
    ),
    Swap(
        "against-the-finest",
        "with |x_n − x_4n| over |x_2n − x_4n|, as if x_4n were the truth",
        "which answers are compared: each with the next",
        "float((first - second).norm())",
        "float((first - third).norm())",
    ),
    Swap(
        "steps-of-one-more",
        "with n, n + 1 and n + 2 steps",
        "how many steps are asked for",
        "solve(factor * steps)) for factor in (1, 2, 4)",
        "solve(steps + more)) for more in (0, 1, 2)",
    ),
]


@wrong("with the quotient itself, without a logarithm", "p, which stands in the exponent")
def no_logarithm(solve: Solve, steps: int) -> float:
    return 2 ** measured_order(solve, steps)


@wrong("with a mean of signed differences for a length", "the norm: what is off up and off down must not cancel")
def signed(solve: Solve, steps: int) -> float:
    first, second, third = (torch.as_tensor(solve(factor * steps)) for factor in (1, 2, 4))
    return math.log2(abs(float((first - second).mean())) / abs(float((second - third).mean())))


@right
def by_root_mean_squares(solve: Solve, steps: int) -> float:
    coarse, middle, fine = solve(steps), solve(2 * steps), solve(4 * steps)
    return float(torch.log2((coarse - middle).square().mean().sqrt() / (middle - fine).square().mean().sqrt()))


@right
def by_lists(solve: Solve, steps: int) -> float:
    answers = [solve(steps * 2**i).tolist() for i in range(3)]
    lengths = [
        math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))
        for x, y in zip(answers, answers[1:], strict=False)
    ]
    return (math.log(lengths[0]) - math.log(lengths[1])) / math.log(2)


@right
def by_numpy(solve: Solve, steps: int) -> float:
    import numpy as np

    answers = np.stack([solve(steps * factor).numpy() for factor in (1, 2, 4)])
    gaps = np.linalg.norm(np.diff(answers, axis=0), axis=1)
    return float(np.log2(gaps[0] / gaps[1]))
