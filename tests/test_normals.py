"""Gaussians and the forward chain: identities that hold for any of them, and what is refused. The rest is in truths."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffcli.core.diffusion.schedules import SCHEDULES, VP
from diffcli.core.levels import CLEAN, chain
from diffcli.core.processes.laws.gaussian import Normal
from diffcli.core.randomness import keyed
from diffcli.lessons.gaussians.measures import accepted, along_regression, moments, regression_error
from diffcli.lessons.gaussians.noising.measures import correlated, correlation_error, law_at_level
from diffcli.metrics.statistics import kolmogorov_distance


def some(seed: int, dim: int) -> Normal:
    """A Gaussian that is far from special."""
    numbers = torch.randn(dim + 1, dim, generator=keyed(seed, "some"), dtype=torch.float64)
    return Normal(numbers[0], numbers[1:] @ numbers[1:].mT + 0.1 * torch.eye(dim, dtype=torch.float64))


LAWS = st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 5))


@settings(max_examples=25, deadline=None)
@given(LAWS)
def test_a_product_does_not_depend_on_the_order(case: tuple[int, int, int]) -> None:
    first, other = (some(seed, case[2]) for seed in case[:2])
    (product, constant), (turned, same) = first.times(other), other.times(first)
    torch.testing.assert_close(product.mean, turned.mean, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(product.covariance, turned.covariance, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(constant, same, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(LAWS)
def test_kl_is_not_negative_and_does_not_change_under_an_affine_map(case: tuple[int, int, int]) -> None:
    first, other, map_ = some(case[0], case[2]), some(case[1], case[2]), some(case[0] + 1, case[2])
    mapped = (law.affine(map_.covariance, map_.mean) for law in (first, other))
    assert first.kl(other) >= -1e-12
    torch.testing.assert_close(next(mapped).kl(next(mapped)), first.kl(other), rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(LAWS)
def test_a_sum_is_an_affine_map_of_the_pair(case: tuple[int, int, int]) -> None:
    first, other = (some(seed, case[2]) for seed in case[:2])
    pair = Normal(torch.cat([first.mean, other.mean]), torch.block_diag(first.covariance, other.covariance))
    eye = torch.eye(case[2], dtype=torch.float64)
    added, plus = pair.affine(torch.cat([eye, eye], 1), torch.zeros(case[2]).double()), first.plus(other)
    torch.testing.assert_close(added.mean, plus.mean)
    torch.testing.assert_close(added.covariance, plus.covariance)


def test_conditioning_one_by_one_is_conditioning_at_once() -> None:
    law, values = some(3, 4), torch.tensor([0.3, -1.0], dtype=torch.float64)
    at_once = law.given([1, 3], values)
    one_by_one = law.given([3], values[1:]).given([1], values[:1])
    torch.testing.assert_close(one_by_one.mean, at_once.mean)
    torch.testing.assert_close(one_by_one.covariance, at_once.covariance)


@pytest.mark.parametrize(
    "covariance",
    [
        [[1.0, 0.5], [0.4, 1.0]],
        [[1.0, 2.0], [2.0, 1.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[0.0, 0.0], [0.0, 1.0]],
        [[float("nan"), 0.0], [0.0, 1.0]],
        [[1e-9, 5e-10], [0.0, 1e-9]],
        [[1.0]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    ],
)
def test_what_is_no_covariance_is_refused(covariance: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="covariance"):
        Normal(torch.zeros(2, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64))


def test_a_map_to_a_law_without_a_density_is_refused() -> None:
    with pytest.raises(ValueError, match="positive definite"):
        some(1, 2).affine(torch.zeros(2, 2, dtype=torch.float64), torch.zeros(2).double())


def test_draws_are_those_of_their_key() -> None:
    law = some(5, 3)
    assert torch.equal(law.draw(7, keyed(1, "x")), law.draw(7, keyed(1, "x")))
    assert not torch.equal(law.draw(7, keyed(1, "x")), law.draw(7, keyed(2, "x")))


# The chain


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_chain_from_data_of_any_schedule_is_finite(name: str) -> None:
    levels = [CLEAN, *(SCHEDULES[name]()(torch.tensor(i / 50, dtype=torch.float64)) for i in range(1, 51))]
    walk = list(chain(torch.ones(3, 2).double(), levels, lambda i: torch.full((3, 2), (-1.0) ** i).double()))
    assert len(walk) == 50
    assert all(x.isfinite().all() for x in walk)


def test_a_chain_asks_for_the_noise_of_each_step_once_and_in_order() -> None:
    asked = []

    def noise(step: int) -> Tensor:
        asked.append(step)
        return torch.zeros(1, dtype=torch.float64)

    levels = [CLEAN, *(VP()(torch.tensor(t, dtype=torch.float64)) for t in (0.2, 0.5, 1.0))]
    list(chain(torch.ones(1).double(), levels, noise))
    assert asked == [0, 1, 2]


# What is measured


def test_the_distance_from_the_uniform_law_of_points_that_are_known() -> None:
    assert kolmogorov_distance(torch.tensor([0.5])) == pytest.approx(0.5)
    assert kolmogorov_distance(torch.tensor([1.0, 1.0])) == pytest.approx(1)
    assert kolmogorov_distance(torch.tensor([0.0])) == pytest.approx(1)
    eighths = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    assert kolmogorov_distance(eighths) == pytest.approx(1 / 8)
    assert kolmogorov_distance(eighths, torch.full((4,), 0.25).double()) == pytest.approx(1 / 8)


def test_what_is_held_against_the_law_has_the_standard_errors_of_the_literature() -> None:
    level = VP()(torch.tensor(0.4, dtype=torch.float64))
    x0 = torch.linspace(-1, 1, 1000, dtype=torch.float64)
    eps = torch.randn(200, 1000, generator=keyed(0, "many"), dtype=torch.float64)
    many = [law_at_level(level.noised(x0, one), x0, level) for one in eps]
    means, variances = (torch.tensor([getattr(h, key) for h in many]) for key in ("mean", "variance"))
    assert means.std().item() == pytest.approx(many[0].mean_standard_error, rel=0.2)
    assert variances.std().item() == pytest.approx(many[0].variance_standard_error, rel=0.2)
    assert many[0].variance_true == pytest.approx(level.sigma.item() ** 2)
    assert 0.35 < torch.tensor([h.p_value for h in many]).mean().item() < 0.65


def test_a_wrong_variance_shows_in_the_p_value() -> None:
    level, x0 = VP()(torch.tensor(0.4, dtype=torch.float64)), torch.zeros(20_000, dtype=torch.float64)
    eps = torch.randn(20_000, generator=keyed(1, "wrong"), dtype=torch.float64)
    wrong = law_at_level(level.noised(x0, 1.1 * eps), x0, level)
    assert wrong.p_value < 1e-6
    assert wrong.deviation > 10


def test_the_standard_error_of_a_correlation_is_its_spread() -> None:
    a, b = torch.randn(2, 300, 400, generator=keyed(0, "pairs"), dtype=torch.float64)
    b = 0.6 * a + 0.8 * b
    found = torch.tensor([correlated(*pair) for pair in zip(a, b, strict=True)])
    assert found.mean().item() == pytest.approx(0.6, abs=0.01)
    assert found.std().item() == pytest.approx(correlation_error(0.6, 400), rel=0.2)


def test_errors_of_the_regression_are_its_spread() -> None:
    law = some(2, 2)
    truth = law.given([1], torch.tensor([1.5], dtype=torch.float64))
    means, variances = [], []
    for i in range(300):
        moved = along_regression(law.draw(200, keyed(i, "regression")), 1.5)
        means.append(moved.mean().item())
        variances.append(((moved - moved.mean()).square().sum() / 198).item())
    mean_error, variance_error = regression_error(law.draw(200, keyed(0, "regression")), 1.5, truth.covariance[0, 0])
    assert torch.tensor(means).std().item() == pytest.approx(mean_error.item(), rel=0.3)
    assert torch.tensor(variances).std().item() == pytest.approx(variance_error.item(), rel=0.2)
    assert sum(variances) / 300 == pytest.approx(truth.covariance.item(), rel=0.05)


def test_nothing_is_accepted_from_a_law_far_away() -> None:
    far = Normal(torch.full((1,), 1000.0).double(), torch.eye(1, dtype=torch.float64))
    draws = torch.zeros(10, 1, dtype=torch.float64)
    assert len(accepted(draws, far, torch.full((10,), 0.5).double())) == 0


def test_the_deviation_is_that_of_the_worst_entry() -> None:
    law = Normal(torch.zeros(2).double(), torch.eye(2, dtype=torch.float64))
    found = moments(law.draw(1000, keyed(0, "x")), law)
    worse = found._replace(mean=torch.tensor([0.0, 7 / math.sqrt(1000)], dtype=torch.float64))
    assert worse.deviation(law) == pytest.approx(7)
