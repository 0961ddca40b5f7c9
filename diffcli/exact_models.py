"""Exact models by name: exact:gaussian, exact:mixture and exact:dataset, accepted wherever a checkpoint is."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffcli import data, specs
from diffcli.core.diffusion.exact import Exact, Gaussian, Mixture
from diffcli.core.processes import toys
from diffcli.errors import DataProblem, UsageProblem

PREFIX = "exact:"
MOST_NUMBERS = 100_000


class Law(NamedTuple):
    """An exact law and the shape of its data."""

    exact: Exact
    shape: tuple[int, ...]


def load(target: str, data_folder: Path | None = None) -> Law:
    """The law that the target describes, e.g. exact:gaussian,std=1,dim=3."""
    known: dict[str, Callable[..., Law]] = dict(EXACT)
    if data_folder is not None:
        known["dataset"] = lambda name="mnist", count=0: dataset(name, count, data_folder)
    return specs.make(known, target.removeprefix(PREFIX), "exact model")


def gaussian(mean: str = "0", std: str = "0.5", dim: int = 2, covariance: str = "") -> Law:
    """N(mean, std²) in `dim` dimensions, or with the covariance matrix in a .csv or .npy file.

    mean, std:  a number, or one per dimension with colons between them
    """
    if covariance:
        matrix = _matrix(Path(covariance))
        dim = len(matrix)
    if not 1 <= dim <= MOST_NUMBERS:
        raise ValueError(f"dim must be from 1 to {MOST_NUMBERS}, not {dim}")
    middle = _vector(mean, dim, "mean")
    if covariance:
        return Law(Gaussian.of_covariance(middle, matrix), (dim,))
    spread = _vector(std, dim, "std")
    if not (spread > 0).all():
        raise ValueError("std must be positive")
    return Law(Gaussian(middle, spread), (dim,))


def mixture(weights: str = "", means: str = "", stds: str = "") -> Law:
    """Round Gaussians; without parameters the toy `mixture`, eight on a circle.

    means:    points with slashes between them, their coordinates with colons: 1:0/0:1/-1:0
    weights:  numbers with slashes between them, one per point; they are normalised.  [equal]
    stds:     the same, or one for all  [0.1]
    """
    if not means:
        if weights or stds:
            raise ValueError("weights and stds go with means")
        return Law(Mixture(*toys.MIXTURE), (2,))
    points = [[_number(c, "means") for c in point.split(":")] for point in means.split("/")]
    if len({len(point) for point in points}) > 1:
        raise ValueError("all means must have the same number of coordinates")
    count = len(points)
    shares, spreads = _list(weights or "1", count, "weights"), _list(stds or "0.1", count, "stds")
    if not (shares > 0).all() or not (spreads >= 0).all():
        raise ValueError("weights must be positive and stds not negative")
    return Law(Mixture(shares, torch.tensor(points, dtype=torch.float64), spreads), (len(points[0]),))


def dataset(name: str = "mnist", count: int = 0, data_folder: Path | None = None) -> Law:
    """The training images of a data set or folder as they are: its posterior mean is the memorising denoiser.

    count:  of the first images only; 0 is all
    """
    found = data.load(name, data=data_folder)
    if count < 0:
        raise ValueError("count must not be negative")
    images, _ = found.take(range(min(count or len(found), len(found))))
    return Law(Mixture(torch.ones(len(images)), images, torch.zeros(len(images))), found.shape)


EXACT: dict[str, Callable[..., Law]] = {"gaussian": gaussian, "mixture": mixture, "dataset": dataset}


def _vector(text: str, dim: int, what: str) -> Tensor:
    values = [_number(part, what) for part in text.split(":")]
    if len(values) not in (1, dim):
        raise ValueError(f"{what} has {len(values)} numbers for {dim} dimensions")
    return torch.tensor(values, dtype=torch.float64).expand(dim)


def _list(text: str, count: int, what: str) -> Tensor:
    values = [_number(part, what) for part in text.split("/")]
    if len(values) not in (1, count):
        raise ValueError(f"{what} has {len(values)} numbers for {count} means")
    return torch.tensor(values, dtype=torch.float64).expand(count)


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{what} must be numbers, not '{text}'") from None
    if not abs(value) < float("inf"):
        raise ValueError(f"{what} must be finite, not {text}")
    return value


def _matrix(path: Path) -> Tensor:
    """A square matrix in a file; raises DataProblem."""
    try:
        content = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=2)
        matrix = torch.from_numpy(np.asarray(content, dtype=np.float64))
    except OSError as error:
        raise DataProblem(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:
        raise DataProblem(f"{path} is not a matrix: {error}", "rows of numbers with commas, or .npy") from None
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.isfinite().all():
        raise UsageProblem(f"{path} holds {list(matrix.shape)} numbers, not a square matrix of finite ones")
    return matrix
