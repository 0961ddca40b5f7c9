"""What turns images into the features that distances are measured in, and what must be told of it beside a number."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from diffcli.data.reading import Reading

BATCH = 100  # of 28x28 on a processor faster than 500: more stays in its cache


@dataclass(frozen=True)
class EncoderElsewhere:
    """How another process makes the same encoder: the arguments of `encoders.encoder`, the device by name."""

    name: str
    reference: str
    data: Path | None
    device: str
    reading: Reading


@dataclass(frozen=True)
class Encoder:
    """A way to make features of images.

    name:           as it was asked for: judge, pixels, inception, ..., or a file's name
    digest:         16 hexadecimal digits of all that its features depend on
    dimensions:     features of an image
    preprocessing:  what is done to images before, in words
    classes:        the classes that it tells apart; () where it knows none
    accuracy:       share of images it has not seen that it reads right; None where it reads nothing
    encode:         float32 [B, C, H, W] in [-1, 1] -> float32 [B, dimensions], both on the CPU; raises UsageProblem for
                    images that it was not made for
    probabilities:  features [B, dimensions] -> those of its classes, [B, K]; None where it knows none
    chance:         accuracy of always naming the most frequent class
    origin:         what it is and where it comes from, in words
    batch:          images encoded at once
    kept:           whether its features cost more than to read them from a file
    elsewhere:      for other processes; None where they cannot make it
    """

    name: str
    digest: str
    dimensions: int
    preprocessing: str
    classes: tuple[str, ...]
    accuracy: float | None
    encode: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor], Tensor] | None
    chance: float | None = None
    origin: str = ""
    batch: int = BATCH
    kept: bool = True
    elsewhere: EncoderElsewhere | None = None

    @property
    def judges(self) -> bool:
        """Whether what it says of images is worth something: it errs at most half as often as a guess would.

        The guess always names the most frequent class. Whoever reads nothing cannot be found wanting.
        """
        if self.accuracy is None or self.chance is None:
            return True
        return 1 - self.accuracy <= (1 - self.chance) / 2
