"""Exact models by name: exact:gaussian, :mixture, :dataset and :pixels, accepted wherever a checkpoint is."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.exact import Exact, Gaussian, Mixture
from diffcli.core.diffusion.exact_pixels import PixelHistogram, Pixelwise
from diffcli.core.processes.laws import toys
from diffcli.data import loading as datasets
from diffcli.data import tables
from diffcli.data.kinds import IMAGES, POINTS, Items
from diffcli.errors import DataProblem

PREFIX = "exact:"
MOST_NUMBERS = 100_000
LARGEST = 1e6  # of any number in a law; float32 must hold its square with ease
STD, DIM = "0.5", 2  # of `gaussian`, unless told


class ExactModel(NamedTuple):
    """An exact law and what its data are."""

    exact: Exact
    items: Items


def exact_model(target: str, data_folder: Path | None = None) -> ExactModel:
    """The law that the target describes, e.g. exact:gaussian,std=1,dim=3."""

    def dataset(name: str = "mnist", count: int = 0) -> ExactModel:
        return of_dataset(name, count, data_folder)

    def pixels(name: str = "mnist", count: int = 10_000) -> ExactModel:
        return of_pixels(name, count, data_folder)

    known: dict[str, Callable[..., ExactModel]] = {
        "gaussian": gaussian, "mixture": mixture, "dataset": dataset, "pixels": pixels,
    }  # fmt: skip
    return specs.make(known, target.removeprefix(PREFIX), "exact model")


def gaussian(mean: str = "0", std: str = STD, dim: int = DIM, covariance: str = "") -> ExactModel:
    """N(mean, std²) in `dim` dimensions, or with the covariance matrix in a .csv or .npy file.

    mean, std:  a number, or one per dimension with colons between them
    """
    if covariance:
        matrix = torch.from_numpy(tables.read_square(Path(covariance)))
        if std != STD or dim not in (DIM, len(matrix)):
            raise ValueError("std and dim are those of the covariance: leave them out")
        dim = len(matrix)
    if not 1 <= dim <= MOST_NUMBERS:
        raise ValueError(f"dim must be from 1 to {MOST_NUMBERS}, not {dim}")
    middle = vector(mean, dim, "mean")
    if covariance:
        try:
            return ExactModel(Gaussian.of_covariance(middle, matrix), Items(POINTS, (dim,)))
        except ValueError as error:
            raise DataProblem(f"{covariance}: {error}") from None
    spread = vector(std, dim, "std")
    if not (spread > 0).all():
        raise ValueError("std must be positive")
    return ExactModel(Gaussian(middle, spread), Items(POINTS, (dim,)))


def mixture(weights: str = "", means: str = "", stds: str = "") -> ExactModel:
    """Round Gaussians; without parameters the toy `mixture`, eight on a circle. Parameters as for `mixture_law`."""
    law = mixture_law(weights, means, stds)
    return ExactModel(law, Items(POINTS, tuple(law.shape)))


def mixture_law(weights: str, means: str, stds: str) -> Mixture:
    """The mixture of round Gaussians that is written so, in float64; the toy `mixture` where nothing is written.

    means:    points with slashes between them, their coordinates with colons: 1:0/0:1/-1:0
    weights:  numbers with slashes between them, one per point; they are normalised.  [equal]
    stds:     the same, or one for all  [0.1]

    Raises ValueError.
    """
    if not means:
        if weights or stds:
            raise ValueError("weights and stds go with means")
        return Mixture(*toys.MIXTURE)
    return Mixture(*mixture_parts(weights or "1", means, stds or "0.1"))


class MixtureParts(NamedTuple):
    """Weights [K], positive but not normalised, means [K, D] and standard deviations [K] of round Gaussians."""

    weights: Tensor
    means: Tensor
    stds: Tensor


def mixture_parts(weights: str, means: str, stds: str) -> MixtureParts:
    """The numbers of a mixture, written as for `mixture_law`, with one weight or one std for all if there is one."""
    points = [[number(c, "means") for c in point.split(":")] for point in means.split("/")]
    if len({len(point) for point in points}) > 1:
        raise ValueError("all means must have the same number of coordinates")
    shares, spreads = (_per_mean(text, len(points), what) for text, what in ((weights, "weights"), (stds, "stds")))
    if not (shares > 0).all() or not (spreads >= 0).all():
        raise ValueError("weights must be positive and stds not negative")
    return MixtureParts(shares, torch.tensor(points, dtype=torch.float64), spreads)


def of_dataset(name: str, count: int, data_folder: Path | None) -> ExactModel:
    """The training images of a data set or folder as they are: its posterior mean is the memorising denoiser.

    count:  of the first images only; 0 is all
    """
    if count < 0:
        raise ValueError("count must not be negative")
    found = datasets.load_dataset(name, data=data_folder)
    images, _ = found.take(range(min(count or len(found), len(found))))
    return ExactModel(
        Mixture(torch.ones(len(images)), images, torch.zeros(len(images))), Items(found.items.kind, found.shape)
    )


def of_pixels(name: str, count: int, data_folder: Path | None) -> ExactModel:
    """Every number drawn on its own from the histogram of a data set's training images: no structure, known entropy.

    count:  images that the histogram is of, at most
    """
    if count < 1:
        raise ValueError("count must be at least 1")
    found = datasets.load_dataset(name, data=data_folder)
    if found.items.kind is not IMAGES:
        raise ValueError(f"{name} holds points, which have no histogram of 256 values")
    histogram = PixelHistogram()
    histogram.count(found.take(range(min(count, len(found))))[0])
    return ExactModel(Pixelwise(histogram, found.shape), Items(IMAGES, found.shape))


def vector(text: str, dim: int, what: str) -> Tensor:
    """Numbers with colons between them, one for all or `dim`; [dim] float64. Raises ValueError."""
    values = [number(part, what) for part in text.split(":")]
    if len(values) not in (1, dim):
        raise ValueError(f"{what} has {len(values)} numbers for {dim} dimensions")
    return torch.tensor(values, dtype=torch.float64).expand(dim)


def _per_mean(text: str, count: int, what: str) -> Tensor:
    values = [number(part, what) for part in text.split("/")]
    if len(values) not in (1, count):
        raise ValueError(f"{what} has {len(values)} numbers for {count} means")
    return torch.tensor(values, dtype=torch.float64).expand(count)


def number(text: str, what: str) -> float:
    """A finite number of moderate size; raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{what} must be numbers, not '{text}'") from None
    if not abs(value) <= LARGEST:
        raise ValueError(f"{what} must be from -{LARGEST:g} to {LARGEST:g}, not {text}")
    return value
