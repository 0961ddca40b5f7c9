"""Gaussians as users write them: numbers with colons, matrices inline or in a file."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.data import tables
from diffcli.errors import DataProblem, UsageProblem
from diffcli.sampling.exact_models import LARGEST, number, vector

LEAST = 1e-6  # of a standard deviation; and of the least variance, relative to the greatest, its square
FILES = (".csv", ".npy")


class WrittenGaussian(NamedTuple):
    """--mean, and --std or --covariance, as they were written; None for what was not."""

    mean: str
    std: str | None
    covariance: str | None


def normal(written: WrittenGaussian, dim: int, usual: str, prefix: str = "") -> Normal:
    """The Gaussian that is written so; raises UsageProblem, or DataProblem for files.

    usual:   the covariance where neither it nor a standard deviation was written
    prefix:  of the options, for messages
    """
    mean, std, covariance = written
    name = f"--{prefix}covariance"
    if std is not None and covariance is not None:
        raise UsageProblem(f"--{prefix}std and {name} do not go together", "leave one out")
    middle = numbers(mean, dim, f"--{prefix}mean")
    if std is None:
        spread = matrix(usual if covariance is None else covariance, (dim, dim), name)
    else:
        stds = numbers(std, dim, f"--{prefix}std")
        if not (stds >= LEAST).all():
            raise UsageProblem(f"--{prefix}std must be at least {LEAST:g}, not {std}")
        spread = stds.square().diag()
    try:
        law = Normal(middle, spread)
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}") from None
    variances = torch.linalg.eigvalsh(spread)
    if not variances[0] >= max(LEAST**2, LEAST**2 * variances[-1]):
        raise UsageProblem(f"{name} is too near to one without a density: its least eigenvalue is {variances[0]:.3g}")
    return law


def numbers(text: str, count: int, name: str) -> Tensor:
    """Numbers with colons between them, as many as told or one for all, [count]; raises UsageProblem."""
    try:
        return vector(text, count, name).clone()
    except ValueError as error:
        raise UsageProblem(str(error), f"as in {name} {':'.join(['0.5', '-1'][:count])}, and see --dim") from None


def matrix(text: str, shape: tuple[int, int], name: str) -> Tensor:
    """Rows with slashes between them, their numbers with commas, or a file of them.

    Raises UsageProblem, DataProblem for files.
    """
    if text.lower().endswith(FILES):
        found = torch.from_numpy(tables.read_square(Path(text)))
        if not bool((found.abs() <= LARGEST).all()):
            raise DataProblem(f"{text} has numbers beyond {LARGEST:g}")
    else:
        try:
            rows = [[number(entry, name) for entry in row.split(",")] for row in text.split("/")]
        except ValueError as error:
            raise UsageProblem(str(error), f"as in {name} 1,0.6/0.6,2, or a .csv or .npy file") from None
        if len({len(row) for row in rows}) > 1:
            raise UsageProblem(f"the rows of {name} differ in length", "as in 1,0.6/0.6,2")
        found = torch.tensor(rows, dtype=torch.float64)
    if found.shape != shape:
        wanted, got = (" x ".join(map(str, size)) for size in (shape, found.shape))
        raise UsageProblem(f"{name} must be {wanted}, not {got}", "--dim says how many dimensions there are")
    return found
