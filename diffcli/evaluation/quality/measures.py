"""Distances and coverage of features: of samples, and of real images that are measured in the same way."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from diffcli.errors import DataProblem
from diffcli.evaluation.features.encoders import Encoder
from diffcli.evaluation.quality.reference import shuffled
from diffcli.metrics.coverage import Coverage, coverage
from diffcli.metrics.distances import mind, sliced_error
from diffcli.metrics.frechet import Moments, frechet_distance, shrunk
from diffcli.metrics.kernel_distance import Measured, kernel_distance
from diffcli.metrics.resampling import Resampled, frechet_resampled

METRICS = ("frechet", "kernel", "sliced", "coverage", "classes", "copies")
COMPARED = 10_000  # images on each side where all pairs are looked at
REPEATS = 100  # of the bootstrap
FEW_REPEATS, WIDE = 20, 256  # and where features have more numbers than this, whose matrices take long
FID_FEATURES, FID_COUNT = "inception", 10_000  # what alone is called FID


@dataclass(frozen=True)
class RealFeatures:
    """Of the real images: the moments of all their features, and the features [M, D] of some."""

    moments: Moments
    some: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "RealFeatures":
        """Of features [N, D] of all real images."""
        return cls(Moments.of(features), features[shuffled(len(features))[:COMPARED]])


class Measures(NamedTuple):
    """What features [N, D] are like beside those of real images; None where it was not asked for."""

    images: int
    frechet: Resampled | None
    kernel: Measured | None
    sliced: Measured | None
    coverage: Coverage | None


def measure(features: Tensor, real: RealFeatures, metrics: Collection[str], *, shrink: bool) -> Measures:
    """All that is asked for, of features [N, D]."""
    some = features[:COMPARED]
    equal = real.some[: len(some)]
    return Measures(
        len(features),
        _frechet(features, real, shrink=shrink) if "frechet" in metrics else None,
        kernel_distance(some, real.some) if "kernel" in metrics else None,
        Measured(mind(some, equal), sliced_error(some, equal)) if "sliced" in metrics else None,
        coverage(equal, some[: len(equal)]) if "coverage" in metrics else None,
    )


def _frechet(features: Tensor, real: RealFeatures, *, shrink: bool) -> Resampled:
    if shrink:
        return Resampled(frechet_distance(shrunk(features), shrunk(real.some)), float("nan"), float("nan"))
    repeats = REPEATS if features.shape[1] <= WIDE else FEW_REPEATS
    return frechet_resampled(features, real.moments, repeats=repeats)


def check_enough(count: int, what: str, encoder: Encoder, metrics: Collection[str], *, shrink: bool) -> None:
    """Raise DataProblem where there are too few images for a covariance of the features, or for neighbours."""
    if "frechet" in metrics and not shrink and count <= encoder.dimensions:
        raise DataProblem(
            f"{count} {what} are too few for a Fréchet distance in {encoder.dimensions} features ({encoder.name}): "
            f"their covariance would be singular",
            f"take {encoder.dimensions + 1} or more, --shrink for shrunk covariances, or other --metrics",
        )
    if count < 10:
        raise DataProblem(f"{count} {what} are too few to judge", "take 10 or more")


def distance_name(encoder: Encoder, count: int) -> str:
    """FID where it is the one that everybody means, else the Fréchet distance in these features."""
    return "FID" if encoder.name == FID_FEATURES and count >= FID_COUNT else f"Fréchet distance, {encoder.name}"
