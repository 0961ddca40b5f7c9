"""Measures of quality on features: coverage of their intervals, what they refuse, and their edges."""

import math

import pytest
import torch
from torch import Tensor

from diffcli.metrics.coverage import coverage
from diffcli.metrics.distances import mind, sliced_error
from diffcli.metrics.frechet import Moments, frechet_distance, moments, shrunk
from diffcli.metrics.kernel_distance import kernel_distance
from diffcli.metrics.likelihood_divergence import feature_likelihood_divergence
from diffcli.metrics.resampling import frechet_differences, frechet_resampled


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standard(dimensions: int) -> Moments:
    return Moments(10**6, torch.zeros(dimensions).double(), torch.eye(dimensions).double())


def test_the_interval_about_a_frechet_distance_less_its_bias_holds_the_true_one_in_most_of_200_repeats() -> None:
    true = 4 * (0.3**2 + 0.2**2)
    found = [frechet_resampled(1.2 * normal(400, 4, i) + 0.3, standard(4), 60, seed=i) for i in range(200)]
    held = sum(abs(one.value - one.bias - true) < 1.96 * one.error for one in found)
    assert 0.90 <= held / 200 <= 0.99


def test_without_the_bias_taken_off_it_does_not_in_many_dimensions() -> None:
    true = 12 * (0.3**2 + 0.2**2)
    found = [frechet_resampled(1.2 * normal(150, 12, i) + 0.3, standard(12), 40, seed=i) for i in range(60)]
    assert sum(abs(one.value - true) < 1.96 * one.error for one in found) < 40
    assert sum(abs(one.value - one.bias - true) < 1.96 * one.error for one in found) >= 54


def mean_kernel(m: float, s: float, n: float, t: float, dimensions: int) -> float:
    """E (z + 1)³ of z = x·y / D, by the cumulants of a sum of D products, for normal x and y with these coordinates."""
    first, second, third = m * n, (m**2 + s**2) * (n**2 + t**2), (m**3 + 3 * m * s**2) * (n**3 + 3 * n * t**2)
    mean, variance = first, (second - first**2) / dimensions
    skew = (third - 3 * second * first + 2 * first**3) / dimensions**2
    return (1 + mean) ** 3 + 3 * (1 + mean) * variance + skew


def test_the_interval_about_a_kernel_distance_holds_the_true_one_in_most_of_200_repeats() -> None:
    """On the line it would not, at this count: cubes of normal numbers are too skewed."""
    x, y = (0.0, 1.0), (0.3, 1.2)
    true = mean_kernel(*x, *x, 16) + mean_kernel(*y, *y, 16) - 2 * mean_kernel(*x, *y, 16)
    found = [kernel_distance(normal(200, 16, i), 1.2 * normal(250, 16, 999 + i) + 0.3) for i in range(200)]
    held = sum(abs(one.value - true) < 1.96 * one.error for one in found)
    assert 0.90 <= held / 200 <= 0.99


def test_the_interval_about_a_sliced_distance_holds_the_true_one_in_most_of_200_repeats() -> None:
    """On the line two normal laws are at 3 (m² + (s - 1)²); so far apart the bias, about 1 / N, hardly counts."""
    pairs = [(normal(300, 1, i), 1.5 * normal(300, 1, 999 + i) + 2) for i in range(200)]
    found = [(mind(x, y, projections=1), sliced_error(x, y, projections=1)) for x, y in pairs]
    held = sum(abs(value - 3 * (4 + 0.25)) < 1.96 * error for value, error in found)
    assert 0.90 <= held / 200 <= 0.99


def test_the_kernel_distance_does_not_depend_on_the_order_and_its_error_hardly() -> None:
    """Blocks of rows as they come would take the difference between classes for an error, if they are sorted."""
    x = torch.cat([normal(100, 2, i) + 5 * i for i in range(4)])
    y = torch.cat([normal(100, 2, 9 + i) + 5 * i for i in range(4)])
    mixed = [some[torch.randperm(400, generator=torch.Generator().manual_seed(1))] for some in (x, y)]
    sorted_, shuffled = kernel_distance(x, y), kernel_distance(*mixed)
    assert sorted_.value == pytest.approx(shuffled.value, rel=1e-9)
    assert sorted_.error == pytest.approx(shuffled.error, rel=0.7)


def test_blocks_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, z = normal(60, 3, 1), 1.2 * normal(50, 3, 2), normal(40, 3, 3)

    def all_of_them() -> list[float]:
        found = [kernel_distance(x, y).value, kernel_distance(x, y).error, *coverage(x, y), mind(x, y, 20)]
        return [*found, sliced_error(x, y, 20), feature_likelihood_divergence(x, y, z)]

    whole = all_of_them()
    monkeypatch.setattr("diffcli.metrics.distances.AT_ONCE", 130)
    monkeypatch.setattr("diffcli.metrics.kernel_distance.AT_ONCE", 10)
    assert all_of_them() == pytest.approx(whole, rel=1e-9)


def test_float32_features_are_measured_as_float64_ones() -> None:
    x, y = normal(80, 4, 1).float(), normal(70, 4, 2).float() + 1e3  # far off, where float32 sums would lose it all
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(
        frechet_distance(Moments.of(x.double()), Moments.of(y.double())), rel=1e-12
    )
    assert Moments.of(x).covariance.dtype == torch.float64
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(x.double(), y.double()), rel=1e-12)
    assert coverage(x, y) == coverage(x.double(), y.double())


def test_a_frechet_distance_of_the_same_features_is_0_or_rounding_and_never_below() -> None:
    for count in (5, 30, 200):
        of = Moments.of(normal(count, 20, count))
        assert 0 <= frechet_distance(of, of) < 1e-5


def test_shrinkage_brings_few_features_nearer_to_their_law() -> None:
    few = normal(30, 40, 1)
    assert Moments.of(few).singular
    assert frechet_distance(shrunk(few), standard(40)) < frechet_distance(Moments.of(few), standard(40)) / 3


def test_shrinkage_leaves_many_features_as_they_are_and_equal_ones_at_0() -> None:
    scales = torch.tensor([1.0, 3.0]).double()
    many = normal(20_000, 2, 1) * scales
    assert torch.allclose(shrunk(many).covariance, Moments.of(many).covariance, rtol=1e-3, atol=1e-3)
    assert shrunk(torch.ones(5, 3)).covariance.abs().max() == 0


def test_copies_on_a_grid_of_pixels_are_inside_and_covered() -> None:
    """Many distances are equal there; the neighbour that a ball reaches to must count, from either set."""
    grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)) / 7 + 0.3
    found = coverage(grid, grid.flip(0), nearest=4, of_manifold=4)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    reach = torch.cdist(grid.double(), grid.double())
    radii = reach.sort(dim=1).values[:, 4:5]
    assert found.density == pytest.approx((reach <= radii + 1e-9).sum().item() / (4 * 36), rel=1e-12)


def test_collapse_is_seen_by_recall_and_density_not_by_precision() -> None:
    real = normal(300, 3, 1)
    found = coverage(real, real[:1].repeat(300, 1))
    assert found.precision == 1
    assert found.recall <= 1 / 300
    assert found.coverage < 0.1


def test_one_seed_gives_one_number_and_another_nearly_the_same() -> None:
    x, y = normal(200, 6, 1), 1.1 * normal(200, 6, 2)
    assert mind(x, y, seed=1) == mind(x, y, seed=1)
    assert mind(x, y, seed=1) == pytest.approx(mind(x, y, seed=2), rel=0.1)
    reference = Moments.of(y)
    assert frechet_resampled(x, reference, 10, seed=1) == frechet_resampled(x, reference, 10, seed=1)
    assert frechet_resampled(x, reference, 10, seed=1).bias != frechet_resampled(x, reference, 10, seed=2).bias


def test_copies_of_the_training_features_raise_the_likelihood_divergence_in_sixteen_dimensions() -> None:
    train, test, fresh = normal(500, 16, 1), normal(500, 16, 2), normal(400, 16, 3)
    shares = [torch.cat([fresh[n:], train[:n]]) for n in (0, 100, 200, 400)]
    found = [feature_likelihood_divergence(some, train, test) for some in shares]
    assert found == sorted(found)
    assert found[-1] > found[0] + 5
    assert all(math.isfinite(one) for one in found)


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (lambda: Moments.of(torch.zeros(1, 3)), "two features"),
        (lambda: moments([]), "two features"),
        (lambda: kernel_distance(torch.zeros(3, 2), torch.zeros(9, 2)), "four features"),
        (lambda: coverage(torch.zeros(5, 2), torch.zeros(9, 2)), "too few"),
        (lambda: coverage(torch.zeros(9, 2), torch.zeros(3, 2)), "too few"),
        (lambda: frechet_differences([torch.zeros(5, 2), torch.zeros(6, 2)], standard(2)), "one length"),
    ],
)
def test_too_few_features_are_refused(measure, said: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(ValueError, match=said):
        measure()
