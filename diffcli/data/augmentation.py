"""What is done to training images at random. Importing this is cheap: torch and torchvision come when an image does.

Every image of the stream has random numbers of its own, keyed by the seed, the augmentation and the image's number
there. So a run that goes on, another size of batch and any number of worker processes see the same images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from diffcli.errors import UsageProblem, one_of

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1024  # images that share a generator
ANGLE = 10.0  # degrees
SHIFT = 8  # a side is shifted by at most this part of it: 4 pixels of 32 (He et al. 2016, section 4.2)
STRENGTH = 0.2  # a brightness, contrast or saturation is multiplied by 1 - STRENGTH to 1 + STRENGTH


class Augmentation(NamedTuple):
    """One way to change images.

    text:     what it does
    numbers:  how many random ones an image takes
    apply:    uint8 [B, C, H, W] and numbers in [0, 1), [B, numbers] -> uint8 [B, C, H, W]
    at_once:  whether all images are changed at once, on any device; else one by one, each waited for
    moves:    whether it moves what is in the image, and so what is in the hint beside it
    """

    text: str
    numbers: int
    apply: "Callable[[Tensor, Tensor], Tensor]"
    at_once: bool = True
    moves: bool = True


@dataclass(frozen=True)
class Augment:
    """Augmentations one after the other, for images of a stream: picklable, as worker processes need it.

    names:  of `AUGMENTATIONS`
    """

    names: tuple[str, ...]
    seed: int

    @property
    def at_once(self) -> bool:
        """Whether all of them change a batch at once, on any device."""
        return all(AUGMENTATIONS[name].at_once for name in self.names)

    def __call__(self, pixels: "Tensor", first: int) -> "Tensor":
        """The images [B, C, H, W], uint8, that are numbers first, first + 1, ... of the stream."""
        return self.together(pixels, None, first)[0]

    def together(self, pixels: "Tensor", hints: "Tensor | None", first: int) -> "tuple[Tensor, Tensor | None]":
        """Images and the hints beside them [B, k, H, W]: both are moved alike, and only images change their colours."""
        from diffcli.core.devices import sent

        for name in self.names:
            augmentation = AUGMENTATIONS[name]
            numbers = sent(self._numbers(name, augmentation.numbers, first, len(pixels)), pixels.device)
            pixels = augmentation.apply(pixels, numbers)
            if hints is not None and augmentation.moves:
                hints = augmentation.apply(hints, numbers)
        return pixels, hints

    def _numbers(self, name: str, numbers: int, first: int, count: int) -> "Tensor":
        """Uniform random numbers [count, numbers] of the images from `first` on."""
        import torch

        from diffcli.core.randomness import keyed

        begin, end = first // BLOCK, (first + count - 1) // BLOCK + 1
        drawn = [
            torch.rand(BLOCK, numbers, generator=keyed(self.seed, f"augment {name}", block))
            for block in range(begin, end)
        ]
        return torch.cat(drawn)[first - begin * BLOCK :][:count]


def augmentations(text: str) -> tuple[str, ...]:
    """The names in a list with commas; raises UsageProblem for an unknown one, and for one that is there twice."""
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        one_of(name, AUGMENTATIONS, "augmentation")
    if len(set(names)) < len(names):
        raise UsageProblem(f"augment names something twice: {text}", "name each augmentation once")
    return names


def _flip(pixels: "Tensor", numbers: "Tensor") -> "Tensor":
    return pixels.where(numbers.reshape(-1, 1, 1, 1) < 0.5, pixels.flip(-1))


def _vflip(pixels: "Tensor", numbers: "Tensor") -> "Tensor":
    return pixels.where(numbers.reshape(-1, 1, 1, 1) < 0.5, pixels.flip(-2))


def _crop(pixels: "Tensor", numbers: "Tensor") -> "Tensor":
    import torch

    (count, channels, height, width), device = pixels.shape, pixels.device
    rows, columns = (
        _mirrored(torch.arange(side, device=device) + _shift(numbers[:, i : i + 1], side // SHIFT), side)
        for i, side in enumerate((height, width))
    )
    images = torch.arange(count, device=device).reshape(-1, 1, 1, 1)
    planes = torch.arange(channels, device=device).reshape(1, -1, 1, 1)
    return pixels[images, planes, rows[:, None, :, None], columns[:, None, None, :]]


def _shift(numbers: "Tensor", most: int) -> "Tensor":
    """Whole numbers from -most to most."""
    return (numbers * (2 * most + 1)).long() - most


def _mirrored(places: "Tensor", side: int) -> "Tensor":
    """Places at most side - 1 beyond the edges, reflected there."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def _rotate(pixels: "Tensor", numbers: "Tensor") -> "Tensor":
    """Through angles from -ANGLE to ANGLE; what comes into the picture at its corners is its reflection."""
    import torch

    from diffcli.data.vision import transforms

    v2, (height, width) = transforms(), pixels.shape[-2:]
    reach = math.ceil(max(height, width) / 2 * math.sin(math.radians(ANGLE))) + 1
    rows, columns = (_mirrored(torch.arange(-reach, side + reach).clamp(1 - side, 2 * side - 2), side)
                     for side in (height, width))  # fmt: skip
    larger = pixels[:, :, rows[:, None], columns]
    turned = [
        v2.functional.rotate(image, float(angle), interpolation=v2.InterpolationMode.BILINEAR)
        for image, angle in zip(larger, (2 * numbers[:, 0] - 1) * ANGLE, strict=True)
    ]
    return v2.functional.center_crop(torch.stack(turned), [height, width])


def _color(pixels: "Tensor", numbers: "Tensor") -> "Tensor":
    import torch

    from diffcli.data.vision import transforms

    f = transforms().functional
    jitters = (f.adjust_brightness, f.adjust_contrast, f.adjust_saturation)[: 3 if pixels.shape[1] == 3 else 2]
    deep = pixels.is_floating_point()  # torchvision's floats lie in [0, 1]
    pixels = (pixels + 1) / 2 if deep else pixels
    changed = []
    for image, factors in zip(pixels, 1 + (2 * numbers - 1) * STRENGTH, strict=True):
        for jitter, factor in zip(jitters, factors.tolist(), strict=False):
            image = jitter(image, factor)
        changed.append(image)
    return 2 * torch.stack(changed) - 1 if deep else torch.stack(changed)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Augmentation("left to right, half of the images", 1, _flip),
    "vflip": Augmentation("upside down, half of the images", 1, _vflip),
    "crop": Augmentation("shifted by up to an eighth of each side, the edges reflected", 2, _crop),
    "rotate": Augmentation("turned by up to 10 degrees either way, the edges reflected", 1, _rotate, at_once=False),
    "color": Augmentation(
        "brightness, contrast and saturation changed by up to a fifth each", 3, _color, at_once=False, moves=False
    ),
}
