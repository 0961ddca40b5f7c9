"""Exact models by name: exact:gaussian, :mixture, :dataset and :pixels, accepted wherever a checkpoint is."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.exact import Exact, Gaussian, Mixture
from diffcli.core.diffusion.exact_pixels import PixelHistogram, Pixelwise
from diffcli.core.processes.laws import toys
from diffcli.data import loading as datasets
from diffcli.errors import DataProblem

PREFIX = "exact:"
MOST_NUMBERS = 100_000
LARGEST = 1e6  # of any number in a law; float32 must hold its square with ease
STD, DIM = "0.5", 2  # of `gaussian`, unless told


class ExactModel(NamedTuple):
    """An exact law and the shape of its data."""

    exact: Exact
    shape: tuple[int, ...]


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
        matrix = matrix_in(Path(covariance))
        if std != STD or dim not in (DIM, len(matrix)):
            raise ValueError("std and dim are those of the covariance: leave them out")
        dim = len(matrix)
    if not 1 <= dim <= MOST_NUMBERS:
        raise ValueError(f"dim must be from 1 to {MOST_NUMBERS}, not {dim}")
    middle = vector(mean, dim, "mean")
    if covariance:
        try:
            return ExactModel(Gaussian.of_covariance(middle, matrix), (dim,))
        except ValueError as error:
            raise DataProblem(f"{covariance}: {error}") from None
    spread = vector(std, dim, "std")
    if not (spread > 0).all():
        raise ValueError("std must be positive")
    return ExactModel(Gaussian(middle, spread), (dim,))


def mixture(weights: str = "", means: str = "", stds: str = "") -> ExactModel:
    """Round Gaussians; without parameters the toy `mixture`, eight on a circle.

    means:    points with slashes between them, their coordinates with colons: 1:0/0:1/-1:0
    weights:  numbers with slashes between them, one per point; they are normalised.  [equal]
    stds:     the same, or one for all  [0.1]
    """
    if not means:
        if weights or stds:
            raise ValueError("weights and stds go with means")
        return ExactModel(Mixture(*toys.MIXTURE), (2,))
    points = [[number(c, "means") for c in point.split(":")] for point in means.split("/")]
    if len({len(point) for point in points}) > 1:
        raise ValueError("all means must have the same number of coordinates")
    count = len(points)
    shares, spreads = _list(weights or "1", count, "weights"), _list(stds or "0.1", count, "stds")
    if not (shares > 0).all() or not (spreads >= 0).all():
        raise ValueError("weights must be positive and stds not negative")
    return ExactModel(Mixture(shares, torch.tensor(points, dtype=torch.float64), spreads), (len(points[0]),))


def of_dataset(name: str, count: int, data_folder: Path | None) -> ExactModel:
    """The training images of a data set or folder as they are: its posterior mean is the memorising denoiser.

    count:  of the first images only; 0 is all
    """
    if count < 0:
        raise ValueError("count must not be negative")
    found = datasets.load_dataset(name, data=data_folder)
    images, _ = found.take(range(min(count or len(found), len(found))))
    return ExactModel(Mixture(torch.ones(len(images)), images, torch.zeros(len(images))), found.shape)


def of_pixels(name: str, count: int, data_folder: Path | None) -> ExactModel:
    """Every number drawn on its own from the histogram of a data set's training images: no structure, known entropy.

    count:  images that the histogram is of, at most
    """
    if count < 1:
        raise ValueError("count must be at least 1")
    found = datasets.load_dataset(name, data=data_folder)
    if len(found.shape) != 3:
        raise ValueError(f"{name} holds points, which have no histogram of 256 values")
    histogram = PixelHistogram()
    histogram.count(found.take(range(min(count, len(found))))[0])
    return ExactModel(Pixelwise(histogram, found.shape), found.shape)


def vector(text: str, dim: int, what: str) -> Tensor:
    """Numbers with colons between them, one for all or `dim`; [dim] float64. Raises ValueError."""
    values = [number(part, what) for part in text.split(":")]
    if len(values) not in (1, dim):
        raise ValueError(f"{what} has {len(values)} numbers for {dim} dimensions")
    return torch.tensor(values, dtype=torch.float64).expand(dim)


def _list(text: str, count: int, what: str) -> Tensor:
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


def matrix_in(path: Path) -> Tensor:
    """A square matrix in a file; raises DataProblem."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a file is empty is said below
            numpy = path.suffix == ".npy"
            content = np.lib.format.read_array(file) if numpy else np.loadtxt(file, delimiter=",", ndmin=2)
    except OSError as error:
        raise DataProblem(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataProblem(f"{path} is not a matrix: {error}", "rows of numbers with commas, or .npy") from None
    square = content.ndim == 2 and 0 < content.shape[0] == content.shape[1]
    if not square or content.dtype.kind not in "iuf" or not np.isfinite(content).all():
        raise DataProblem(f"{path} is not a square matrix of finite numbers")
    return torch.from_numpy(content.astype(np.float64))
