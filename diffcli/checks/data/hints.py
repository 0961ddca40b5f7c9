"""Pictures that a model is told beside noise: what is computed from an image, and that it stays with it."""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes import hints
from diffcli.data.augmentation import AUGMENTATIONS, Augment
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.streaming import stream


def _square(low: float, high: float, channels: int = 1) -> Tensor:
    """One of ten pixels a side in twenty, [1, C, 20, 20]."""
    found = torch.full((1, channels, 20, 20), float(low))
    found[..., 5:15, 5:15] = high
    return found


def _noise(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(3)) - 1


@check(
    "the edges of a square are its outline, one pixel thick and on its lighter side, whatever its contrast",
    "Canny 1986, section 7",
)
def edges_of_a_square() -> Iterator[Finding]:
    outline = torch.tensor(
        [[1.0 if max(abs(y - 9.5), abs(x - 9.5)) == 4.5 else -1.0 for x in range(20)] for y in range(20)]
    )
    yield near("white on black", outline, hints.edges(_square(-1, 1)))
    yield near("grey on black", outline, hints.edges(_square(-1, -0.6)))
    yield near("in colour", outline, hints.edges(_square(-1, 1, 3)))
    dark = hints.edges(_square(1, -1))[0, 0, :, 8:12]
    sides = torch.tensor([1.0 if y in (4, 15) else -1.0 for y in range(20)]).unsqueeze(1)
    yield near("black on white, away from corners", sides, dark)
    yield near("nothing to see", -1, hints.edges(_square(0.2, 0.21)))


@check("an edge begins where it is strong and goes on where it is weak, and weak ones alone are none", "Canny 1986")
def weak_edges() -> Iterator[Finding]:
    image = torch.full((1, 1, 30, 30), -1.0)
    image[..., 8:14, :] += torch.linspace(2, 0.4, 30)
    image[..., 22:27, 3:10] += 0.4
    found = hints.edges(image)[0, 0]
    yield near("the upper side, all along", 1, found[8])
    yield near("nothing around the weak one", -1, found[20:29, 1:12])


@check("a blur keeps the mean of each channel and makes a Gaussian of a point", "the normal density")
def blur_is_gaussian() -> Iterator[Finding]:
    images = _noise(2, 3, 21, 28)
    yield near("means", images.mean((2, 3)), hints.blur(images).mean((2, 3)), abs=1e-6)
    point = torch.zeros(1, 1, 56, 56)
    point[..., 28, 28] = 1
    found, deviation = hints.blur(point)[0, 0], 56 / 14
    for y, x in ((0, 0), (2, 3), (-5, 4), (8, -8)):
        truth = math.exp(-(y * y + x * x) / (2 * deviation**2)) / (2 * math.pi * deviation**2)
        yield near(f"{y}, {x} away from the point", truth, found[28 + y, 28 + x], rel=2e-3)
    line = torch.zeros(1, 1, 1, 4)
    line[..., 0] = 1
    weights = [math.exp(-(d * d) / 2) for d in range(-40, 41)]
    for place in range(4):  # the images of the first pixel in mirrors at both ends
        truth = sum(w for d, w in zip(range(-40, 41), weights, strict=True) if (place + d) % 8 in (0, 7)) / sum(weights)
        yield near(f"mirrored, at {place}", truth, hints.smoothed(line, 1.0)[0, 0, 0, place], abs=5e-4)


@check("the low resolution is the mean of 4 x 4 pixels, and the mask is what is light", "the definitions")
def means_and_masks() -> Iterator[Finding]:
    images = _noise(1, 2, 10, 8)
    found = hints.lowres(images)
    for y, x in ((0, 0), (5, 6), (9, 7)):
        top, left = 4 * (y // 4), 4 * (x // 4)
        values = [images[0, 1, i, j].item() for i in range(top, min(10, top + 4)) for j in range(left, left + 4)]
        yield near(f"at {y}, {x}", sum(values) / len(values), found[0, 1, y, x], abs=1e-6)
    yield near("grey", torch.tensor([-1.0, -1, 1, 1]), hints.mask(torch.tensor([-1, -0.01, 0.01, 1]).view(1, 1, 1, 4)))
    colours = torch.tensor([[0, 0, 0], [140, 140, 140], [0, 150, 0], [92, 246, 255]]) / 127.5 - 1
    yield near("colour", torch.tensor([-1.0, -1, 1, 1]), hints.mask(colours.T.reshape(1, 3, 1, 4)))


@check("a sketch is 1 on the steepest line, -1 where nothing is, and the same whatever the contrast", "the definition")
def sketch_of_a_square() -> Iterator[Finding]:
    found = hints.sketch(_square(-1, 1))[0, 0]
    yield near("the side", 1, found[5, 9:11], abs=0.05)
    yield near("the middle", -1, found[9:11, 9:11], abs=0.01)
    yield near("far outside", -1, found[0], abs=0.01)
    yield near("fainter", found, hints.sketch(_square(-1, -0.5))[0, 0], abs=1e-5)


@check(
    "a hole is one grey box in each image: of any size from a quarter to three quarters, anywhere, and always the same",
    "the definition; moments of the uniform law",
)
def holes_anywhere() -> Iterator[Finding]:
    images = (_noise(3000, 1, 12, 16).sign() * 0.5) * (1 - 0.4 * _noise(3000, 1, 12, 16))
    found = hints.hole(images)
    where = hints.is_hole(found)
    yield near("grey inside, as it was outside", torch.where(where, 0.0, images), found)
    rows, columns = where.any(3).squeeze(1), where.any(2).squeeze(1)
    yield near("a whole box", (rows.sum(1) * columns.sum(1)).float(), where.flatten(1).sum(1).float())
    for name, cells in (("height", rows), ("width", columns)):
        side, lengths = cells.shape[1], cells.sum(1).float()
        ends = cells.int().diff(dim=1).abs().sum(1) + cells[:, 0] + cells[:, -1]
        yield near(f"{name}: without a gap", 2, ends.float())
        yield near(f"{name}: least and most", torch.tensor([side / 4, side * 3 / 4]), torch.stack(lengths.aminmax()))
        sizes = torch.arange(side // 4, side * 3 // 4 + 1).float()
        chances = torch.ones(len(sizes))
        chances[[0, -1]] = 0.5  # of rounded lengths the outermost have half
        mean = (sizes * chances).sum() / chances.sum()
        yield near(f"{name}: its mean", mean, lengths.mean(), abs=0.15)
        first = cells.int().argmax(1).float()
        share = first / (side - lengths)
        yield near(f"{name}: where it begins, of where it could", 0.5, share.mean(), abs=0.02)
        yield near(f"{name}: from one end to the other", torch.tensor([0.0, 1.0]), torch.stack(share.aminmax()))
        yield near(
            f"{name}: says nothing of the place", 0, torch.corrcoef(torch.stack([share, lengths]))[0, 1], abs=0.08
        )
    both = torch.corrcoef(torch.stack([rows.sum(1).float(), columns.sum(1).float()]))[0, 1]
    yield near("height and width are independent", 0, both, abs=0.08)
    yield near("the same again, and alone", found[5:8], torch.cat([hints.hole(images[i : i + 1]) for i in (5, 6, 7)]))
    other = images[:1].clone()
    other[..., 3, 4] *= -1
    yield near("another hole in another image", 1, float(bool((hints.is_hole(hints.hole(other)) != where[:1]).any())))
    stored = ((found[:50] + 1) * 127.5).round() / 127.5 - 1
    yield near("known again from 8 bits", 1, float(bool((hints.is_hole(stored) == where[:50]).all())))


@check("a hint stays with its item: in other orders, in parts of a set, and when the image is moved", "the definition")
def hints_stay() -> Iterator[Finding]:
    pixels = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    dataset = Dataset("", Items(IMAGES, (3, 8, 8)), pixels, None, "", hints=pixels[:, 1:])
    x0, conditions = dataset.only(torch.arange(39, 0, -2)).take([3, 0, 7])
    yield near("in parts of a set", x0[:, 1:], conditions["hint"])
    for names in ((), ("flip",), ("vflip",), ("crop",), ("crop", "flip")):
        for x0, conditions in islice(
            stream(dataset, torch.arange(40), batch=16, seed=1, augment=Augment(names, 2))(0), 3
        ):
            yield near(f"{' and '.join(names) or 'as it is'}", x0[:, 1:], conditions["hint"])
    for name, one in AUGMENTATIONS.items():
        yield near(f"{name} moves", float(name != "color"), float(one.moves))
