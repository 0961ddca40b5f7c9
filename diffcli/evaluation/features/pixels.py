"""The pixels themselves as features: no network between the images and a distance."""

import math
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from diffcli.data.fitting import digest
from diffcli.errors import UsageProblem
from diffcli.evaluation.features.encoder import Encoder

MOST = 3072  # numbers of an image: a covariance of more takes minutes


def pixels(shape: tuple[int, ...]) -> Encoder:
    """The values of images of this shape (C, H, W), averaged over squares where they are more than 3072."""
    channels, height, width = shape
    square = 1
    while channels * math.ceil(height / square) * math.ceil(width / square) > MOST:
        square += 1
    sides = math.ceil(height / square), math.ceil(width / square)
    text = f"images of {channels}x{height}x{width} in [-1, 1]"
    if square > 1:
        text += f", averaged over areas down to {channels}x{sides[0]}x{sides[1]}"
    return Encoder(
        name="pixels",
        digest=digest(b"pixels", text.encode()),
        dimensions=channels * sides[0] * sides[1],
        preprocessing=text,
        classes=(),
        accuracy=None,
        encode=partial(_values, shape, sides),
        probabilities=None,
        origin="the values of the pixels",
        kept=False,
    )


def _values(shape: tuple[int, ...], sides: tuple[int, int], images: Tensor) -> Tensor:
    if tuple(images.shape[1:]) != tuple(shape):
        seen, given = ("x".join(map(str, s)) for s in (shape, images.shape[1:]))
        raise UsageProblem(f"pixels are compared with images of {seen}, and these are {given}", "name --features judge")
    return F.adaptive_avg_pool2d(images.float(), sides).flatten(1) if sides != shape[1:] else images.float().flatten(1)
