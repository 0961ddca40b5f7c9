"""Our measures against those of torch-fidelity and torchmetrics, on the same features."""

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from diffcli.metrics.coverage import coverage
from diffcli.metrics.frechet import Moments, frechet_distance, moments
from diffcli.metrics.kernel_distance import kernel_distance


def features(count: int, dimensions: int, seed: int, scale: float = 1.0) -> Tensor:
    """As a network has them after a rectifier: not normal, none below 0, and correlated; float32."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(0)) / dimensions**0.5
    return (scale * torch.randn(count, dimensions, generator=generator) @ mixing + 0.3).relu()


REAL, GENERATED = features(600, 24, 1), features(500, 24, 2, scale=1.2)
PAIRS = [(REAL, GENERATED), (REAL, features(600, 24, 3)), (features(300, 64, 4), features(200, 64, 5, scale=0.7))]
FEW = (features(20, 64, 6), features(30, 64, 7))  # singular: eigenvalues of a product that is not symmetric


@pytest.mark.parametrize("pair", [*PAIRS, FEW], ids=["other", "same law", "64 numbers", "fewer than numbers"])
def test_the_frechet_distance_is_that_of_both_libraries(pair: tuple[Tensor, Tensor]) -> None:
    ours = frechet_distance(*(Moments.of(some) for some in pair))
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(some.double()) for some in pair), verbose=False)
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    known = [(some.double().mean(0), some.double().T.cov()) for some in pair]
    assert ours == pytest.approx(_compute_fid(*known[0], *known[1]).item(), rel=1e-5)


def test_the_distance_of_streamed_moments_is_theirs_too() -> None:
    ours = frechet_distance(moments(REAL.split(77)), moments(GENERATED.split(64)))
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(s) for s in (REAL, GENERATED)), verbose=False)
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)


@pytest.mark.parametrize("pair", PAIRS, ids=["other", "same law", "64 numbers"])
def test_the_kernel_distance_is_that_of_both_libraries(pair: tuple[Tensor, Tensor]) -> None:
    count = min(map(len, pair))  # theirs takes as many of each
    x, y = (some[:count].double() for some in pair)
    ours = kernel_distance(x, y).value
    whole = {"kid_subsets": 1, "kid_subset_size": count, "verbose": False}
    assert ours == pytest.approx(kid_features_to_metric(x, y, **whole)["kernel_inception_distance_mean"], rel=1e-6)
    assert ours == pytest.approx(poly_mmd(x, y).item(), rel=1e-6)


@pytest.mark.parametrize("pair", PAIRS, ids=["other", "same law", "64 numbers"])
@pytest.mark.parametrize("nearest", [3, 5])
def test_precision_and_recall_are_those_of_torch_fidelity(pair: tuple[Tensor, Tensor], nearest: int) -> None:
    real, generated = (some.double() for some in pair)
    ours = coverage(real, generated, of_manifold=nearest)
    theirs = prc_features_to_metric(generated, real, prc_neighborhood=nearest, verbose=False)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)
