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
REPEATS = ((256, 100), (1024, 20), (10**9, 4))  # of the bootstrap, by the most numbers that features have
FID_FEATURES, FID_COUNT = "inception", 10_000  # what alone is called FID


@dataclass(frozen=True)
class RealFeatures:
    """Of the real images: the moments of all their features, and features [M, D] of some with their classes [M]."""

    moments: Moments
    some: Tensor
    classes: Tensor | None = None

    @classmethod
    def of(cls, features: Tensor, labels: Tensor | None = None) -> "RealFeatures":
        """Of features [N, D] of all real images, and their classes [N]."""
        places = shuffled(len(features))[:COMPARED]
        return cls(Moments.of(features), features[places], None if labels is None else labels[places])


class Measures(NamedTuple):
    """What features [N, D] are like beside those of real images; None where it was not asked for."""

    images: int
    frechet: Resampled | None
    kernel: Measured | None
    sliced: Measured | None
    coverage: Coverage | None


def measure(
    features: Tensor, real: RealFeatures, metrics: Collection[str], *, shrink: bool, asked: Tensor | None = None
) -> Measures:
    """All that is asked for, of features [N, D].

    asked:  the class of each [N], where they are in fixed numbers: errors are then those of such samples
    """
    some = features[:COMPARED]
    equal = real.some[: len(some)]
    strata = (None, None) if asked is None or real.classes is None else (asked[:COMPARED], real.classes)
    alike = (strata[0], None if strata[1] is None else strata[1][: len(some)])
    return Measures(
        len(features),
        _frechet(features, real, asked, shrink=shrink) if "frechet" in metrics else None,
        kernel_distance(some, real.some, strata=strata) if "kernel" in metrics else None,
        Measured(mind(some, equal), sliced_error(some, equal, strata=alike)) if "sliced" in metrics else None,
        coverage(equal, some[: len(equal)]) if "coverage" in metrics else None,
    )


def _frechet(features: Tensor, real: RealFeatures, asked: Tensor | None, *, shrink: bool) -> Resampled:
    if shrink:
        return Resampled(frechet_distance(shrunk(features), shrunk(real.some)), float("nan"), float("nan"))
    return frechet_resampled(features, real.moments, repeats_for(features.shape[1]), strata=asked)


def repeats_for(dimensions: int) -> int:
    """Of the bootstrap: a distance in thousands of dimensions takes seconds."""
    return next(repeats for most, repeats in REPEATS if dimensions <= most)


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
