"""Every factor of two whole runs, held to the two parts of the schedule in a table."""

import math
from collections.abc import Iterator

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def learning_rate(step: int, total: int, warmup: int) -> float:
    """What the learning rate is multiplied by at a step: a rise over the first steps, times a fall along half a cosine.

    step:    number of the step, 0, 1, ... total − 1
    total:   steps of the whole training
    warmup:  steps that the rise takes, 1 or more

    Returns the product of two numbers:
    the rise: the first step has 1/warmup, each further one 1/warmup more, until it is 1; from there it stays 1
    the fall: half of 1 + cos, where the angle grows evenly from 0 at step 0; at step `total`, which is no longer taken,
              it would be π. The fall does not wait for the rise
    """
    rise = min(1, (step + 1) / warmup)
    return rise * (1 + math.cos(math.pi * step / total)) / 2


def truth(step: int, total: int, warmup: int) -> float:
    rises = [(i + 1) / warmup for i in range(warmup)] + [1.0] * total
    return rises[step] * math.cos(math.pi * step / (2 * total)) ** 2


def questions(ask: Ask) -> Iterator[Seen]:
    for total, warmup in ((7, 3), (10, 1), (4, 8)):
        factors = [float(ask(step, total, warmup)) for step in range(total)]
        yield Seen(f"the factors of a training of {total} steps with warmup {warmup}, one after the other", factors)


WRONG = [
    Swap("from-zero", "when the first step has the rate 0 and does nothing", "the first value of the rise: 1/warmup",
         "(step + 1) / warmup", "step / warmup"),
    Swap("never-stops-rising", "when the rise goes on beyond 1", "the end of the rise: it stays at 1",
         "min(1, (step + 1) / warmup)", "(step + 1) / warmup"),
    Swap("no-rise", "without the rise", "`warmup`", "rise = min(1, (step + 1) / warmup)", "rise = 1"),
    Swap("no-fall", "without the fall", "`total`", "rise * (1 + math.cos(math.pi * step / total)) / 2", "rise"),
    Swap("twice", "with 1 + cos, not half of it: the rate begins at twice what it should be", "half of 1 + cos",
         "(1 + math.cos(math.pi * step / total)) / 2", "(1 + math.cos(math.pi * step / total))"),
    Swap("whole-cosine", "with a whole turn, so that the rate rises again", "the angle at the end: π, not 2π",
         "math.pi *", "2 * math.pi *"),
    Swap("falls-to-zero", "when the fall is at 0 in the last step, which then does nothing",
         "the step at which the angle is π: `total`, after the last", "step / total)", "step / max(1, total - 1))"),
]  # fmt: skip


@wrong(
    "with a first step of rate 0, and a fall that begins after the rise",
    "the first value of the rise, 1/warmup, and the last sentence of the docstring",
)
def from_zero_and_late(step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return step / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


@wrong("when the fall begins after the rise, as in some codes", "the last sentence of the docstring")
def one_after_the_other(step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


@right
def by_half_the_angle(step: int, total: int, warmup: int) -> float:
    fall = math.cos(step / total * math.pi / 2) ** 2
    return fall if step >= warmup else fall * (step + 1) / warmup


@right
def by_sine(step: int, total: int, warmup: int) -> float:
    return min(step + 1, warmup) / warmup * (1 - math.sin(math.pi * step / total / 2) ** 2)


@right
def by_adding_up(step: int, total: int, warmup: int) -> float:
    rise = 0.0
    for _ in range(step + 1):
        rise = min(1.0, rise + 1 / warmup)
    return rise * (0.5 + 0.5 * math.cos(math.pi / total * step))
