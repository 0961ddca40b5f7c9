"""Features that several processes make together."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.errors import CheckpointProblem
from diffcli.evaluation.features.encoder import Encoder, EncoderElsewhere
from diffcli.evaluation.features.encoders import encoder
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import own_device
from diffcli.system import device as devices


@dataclass(frozen=True)
class SharedFeatures:
    """The features of images, which travel with it where they are in memory. digest: that the encoder must have"""

    encoder: EncoderElsewhere
    digest: str
    images: Dataset

    def begin(self, place: Place) -> Do[Tensor]:
        """Raises CheckpointProblem where there is another encoder, or none."""
        found = _encoder(self.encoder, own_device(self.encoder.device, place))
        if found.digest != self.digest:
            raise CheckpointProblem(f"{found.name} is not the same in every process")
        return parts_of(found, self.images)


def parts_of(encoder: Encoder, images: Dataset) -> Do[Tensor]:
    """How to make the features of each batch of images by its number, [B, D]."""
    return partial(_part, encoder, images)


def _part(encoder: Encoder, images: Dataset, number: int) -> Iterator[tuple[float, Tensor | None]]:
    first = number * encoder.batch
    places = range(first, min(len(images), first + encoder.batch))
    yield 1.0, encoder.encode(images.take(places)[0])


@functools.lru_cache(maxsize=2)
def _encoder(wanted: EncoderElsewhere, device: str) -> Encoder:
    return encoder(
        wanted.name, wanted.reference, wanted.data, devices.pick(device), Show(quiet=True), reading=wanted.reading,
        train=False,
    )  # fmt: skip
