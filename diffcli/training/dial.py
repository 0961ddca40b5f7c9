"""The dial: from a time and the speed of this machine to the settings that come furthest in that time."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from diffcli.training.law import ERROR, LAW, read

WIDTHS = 8, 16, 24, 32, 48, 64, 96, 128  # of the finest resolution, that are chosen from
BATCHES = 16, 32, 64, 128, 256, 512
KEYS = (  # of a recipe, that the dial may choose
    "network.widths", "batch", "optimizer.warmup", "optimizer.ema", "sampling.guidance",
)  # fmt: skip
LOOKING = 7.0  # seconds that trials, previews and the last checkpoint take of a run on two cores
LEAST = 0.5  # of the time, that is trained for all the same
SHARED = 0.95  # of the speed of processes that is left where they train together


class Speed(NamedTuple):
    """Seconds of a step with B items: (B + extra) (item + work w²), for w channels at the finest resolution.

    processes:  that share the items of a step; each has the extra
    """

    extra: float
    item: float
    work: float
    processes: int = 1

    def seconds(self, width: float, batch: int) -> float:
        """Of a step."""
        alone = (batch / self.processes + self.extra) * (self.item + self.work * width**2)
        return alone / SHARED if self.processes > 1 else alone


class Probe(NamedTuple):
    """A step whose time is taken."""

    width: int
    batch: int


NARROW, WIDE, FEW = Probe(24, 64), Probe(64, 32), Probe(64, 8)
MANY = Probe(64, 512)  # for an accelerator: what a step costs beside its items is large there, and is measured
EXTRA = 20.0  # items' worth of time that a step costs on a processor, the same for all networks (25 in the trials)


def speed_of(seconds: Callable[[Probe], float], *, accelerator: bool) -> Speed:
    """From the seconds of two or three steps, asked for one after the other."""
    narrow, extra = seconds(NARROW), EXTRA
    if accelerator:
        few, many = seconds(FEW), seconds(MANY)
        item = max(1e-9, (many - few) / (MANY.batch - FEW.batch))
        extra, wide, at = max(0.0, few / item - FEW.batch), many, MANY
    else:
        wide, at = seconds(WIDE), WIDE
    each, more = narrow / (NARROW.batch + extra), wide / (at.batch + extra)
    work = max(0.0, more - each) / (at.width**2 - NARROW.width**2)
    return Speed(extra, max(each * 0.1, each - work * NARROW.width**2), work)


class Prospect(NamedTuple):
    """What comes furthest. loss: the validation loss to expect, by the law; of other data than MNIST it is a rank"""

    width: int
    batch: int
    images: int
    loss: float

    @property
    def steps(self) -> int:
        """That there is time for."""
        return self.images // self.batch

    @property
    def error(self) -> float:
        """One standard deviation of what the loss will be."""
        return self.loss * ERROR

    @property
    def read(self) -> tuple[float, float]:
        """The share of samples that are read as the class asked for, and what it may be off by."""
        least, most = (read(loss) for loss in (self.loss + self.error, self.loss - self.error))
        return read(self.loss), max(0.003, (most - least) / 2)


def choose(
    seconds: float, speed: Speed, *, widths: Sequence[int] = WIDTHS, batches: Sequence[int] = BATCHES, most: int = 0
) -> Prospect:
    """The network and the batch with the least loss after so many seconds.

    most:  items that there are: a batch is not larger; 0 is any number
    """
    choices = []
    for width, batch in itertools.product(widths, batches):
        steps = max(1, int(max(LEAST * seconds, seconds - LOOKING) / speed.seconds(width, batch)))
        choices.append(Prospect(width, batch, steps * batch, LAW.loss(width, steps * batch, batch)))
    fitting = [choice for choice in choices if not most or choice.batch <= most]
    return min(fitting or choices, key=lambda choice: choice.loss)


def settings(choice: Prospect) -> dict[str, Any]:
    """Values for all KEYS."""
    return {
        "network.widths": (choice.width, 2 * choice.width),
        "batch": choice.batch,
        "optimizer.warmup": min(300, max(10, choice.steps // 30)),
        "optimizer.ema": round(1 - 1 / min(2000, max(10, choice.steps / 20)), 4),
        "sampling.guidance": guidance(choice.loss),
    }


def guidance(loss: float) -> float:
    """How strongly a class is followed by a network of this validation loss: the better it is, the less it needs.

    Below, samples are not read as the class asked for; above, they lose the variety of the data.
    """
    return round(20 * min(2.0, max(1.1, 1.25 + 22 * (loss - 0.102)))) / 20
