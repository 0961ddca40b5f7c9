"""What training comes to before it is done: the law of the validation loss of the default network, fitted to trials.

`benchmarks/law.py` holds the trials, fits and draws it. It was fitted on MNIST: for other images of its size it tells
which network is best, and not what its loss will be.
"""

import bisect
from typing import NamedTuple


class LossLaw(NamedTuple):
    """loss = limit + size (w / 32)^-a + data (D / 10^5)^-b + steps (S / 1000)^-c (w / 32)^-d.

    w:  channels of the network at the finest resolution; twice as many at the next
    D:  images seen, S: steps taken
    The first three terms are those of Hoffmann et al. 2022, eq. 2; the last is what few steps cost, however many images
    each of them has.
    """

    limit: float
    size: float
    a: float
    data: float
    b: float
    steps: float
    c: float
    d: float

    def loss(self, width: float, images: float, batch: float) -> float:
        """The validation loss after so many images."""
        w, seen, taken = width / 32, images / 1e5, images / batch / 1000
        few_steps: float = self.steps * taken**-self.c * w**-self.d
        return self.limit + self.size * w**-self.a + self.data * seen**-self.b + few_steps


LAW = LossLaw(limit=0.08639, size=0.005303, a=0.9689, data=0.01445, b=0.3673, steps=0.002616, c=1.577, d=0.868)
ERROR = 0.0088
"""Of the law's loss, relative: the root mean square over the trials."""

READ = (
    (0.0918, 0.9925), (0.0946, 0.987), (0.0958, 0.983), (0.1015, 0.988), (0.1041, 0.987), (0.1148, 0.981),
    (0.119, 0.983), (0.137, 0.883), (0.146, 0.81), (0.161, 0.627), (0.3, 0.1),
)  # fmt: skip
"""Validation losses, and the share of samples that are read as the class asked for.

The first comes from a GPU, the next six from runs of the dial for an hour, five minutes and one, with AVX-512 and
without, medians of three seeds each. They do not fall evenly, as the dial takes less guidance the lower the loss. The
next three are trials with guidance 1.5, less than the dial takes there; the last one is chance.
"""


def read(loss: float) -> float:
    """The share at a loss, linear between those of `READ`."""
    losses = [point[0] for point in READ]
    i = min(max(1, bisect.bisect(losses, loss)), len(READ) - 1)
    (a, low), (b, high) = READ[i - 1], READ[i]
    return low + (high - low) * min(1.0, max(0.0, (loss - a) / (b - a)))
