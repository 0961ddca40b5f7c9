"""What a training step measured, read when somebody looks: an accelerator would be waited for."""

from collections.abc import Sequence

import torch
from torch import Tensor

LOOK_EVERY = 10  # steps of an accelerator between looks at what was measured


class Diverged(Exception):
    """The loss or its gradient was nan or inf three times in a row."""


class Progress:
    """One optimiser step, and what was measured in it.

    That stays where the model is until it is read, for which an accelerator must have finished the step.

    step:      from 1
    scale:     factor of the learning rate
    stopping:  whether somebody wants the training to end here; the same on all ranks
    measured:  loss, gradient norm, and how many steps in a row were refused by now: [3]
    """

    def __init__(self, step: int, scale: float, stopping: bool, measured: Tensor) -> None:
        self.step, self.scale, self.stopping = step, scale, stopping
        self._measured, self._read = measured, False

    @property
    def known(self) -> bool:
        """Whether it has been read."""
        return self._read

    @property
    def loss(self) -> float:
        """Mean of the batch."""
        return self._values()[0]

    @property
    def gradient_norm(self) -> float:
        """Before it was clipped."""
        return self._values()[1]

    @property
    def refused_in_a_row(self) -> int:
        """Refused steps up to this one."""
        return int(self._values()[2])

    @property
    def refused(self) -> bool:
        """Whether it was: loss or gradient were nan or inf."""
        return self.refused_in_a_row > 0

    def _values(self) -> list[float]:
        read([self])
        return self._measured.tolist()


def read(steps: Sequence[Progress]) -> None:
    """Read what was measured in these steps, all at once."""
    unread = [step for step in steps if not step.known]
    if unread:
        values = torch.stack([step._measured for step in unread]).cpu()
        for step, value in zip(unread, values, strict=True):
            step._measured, step._read = value, True


def check(steps: Sequence[Progress]) -> None:
    """Raise Diverged where three steps in a row were refused."""
    read(steps)
    for step in steps:
        if step.refused_in_a_row >= 3:
            raise Diverged(
                f"the loss was {step.loss} and the gradient's norm {step.gradient_norm} three times in a row"
            )
