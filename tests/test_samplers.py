"""What the truths of `diffcli verify` do not say of samplers: ends of walks, options, exact models as objects."""

import math

import pytest
import torch
from torch import Tensor

from diffcli.checks.diffusion.on_gaussians import law
from diffcli.core.diffusion import bound, exact, grids
from diffcli.core.diffusion.samplers import SAMPLERS, ddpm
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.levels import CLEAN, Level, bridge
from diffcli.core.processes.laws.gaussian import kl

GAUSSIAN = exact.Gaussian(0.3, 0.5)


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "scaled-linear"])
@pytest.mark.parametrize(
    ("sampler", "options"), [("ddpm", {}), ("ddpm", {"variance": "large"}), ("ddim", {}), ("ddim", {"eta": 1.0})]
)
def test_a_thousand_steps_from_pure_noise_land_on_the_data(
    schedule: str, sampler: str, options: dict[str, object]
) -> None:
    levels = grids.levels(SCHEDULES[schedule](), 1000)
    mean, variance = law(SAMPLERS[sampler], levels, (0.0, torch.hypot(*levels[0]).item() ** 2), **options)
    assert mean == pytest.approx(0.3, abs=0.012)
    assert math.sqrt(variance) == pytest.approx(0.5, rel=0.02)


def test_a_schedule_that_keeps_some_signal_leaves_the_mean_of_the_noise_in_the_samples() -> None:
    """Lin et al. 2024, section 3.1: pure noise has mean 0, the last level of the chain alpha times the mean."""
    levels = grids.levels(SCHEDULES["scaled-linear"](), 1000)
    began_wrong, _ = law(SAMPLERS["ddim"], levels, (0.0, 1.0))
    began_right, _ = law(SAMPLERS["ddim"], levels, (0.3 * levels[0].alpha.item(), 1.0))
    assert began_right == pytest.approx(0.3, abs=1e-6)
    assert began_wrong < 0.3 - 0.25 * 0.3 * levels[0].alpha.item()


def test_the_last_step_adds_no_noise_even_with_the_large_variance() -> None:
    levels = grids.levels(SCHEDULES["linear"](), 10)[-2:]
    calls: list[int] = []

    def noise(step: int) -> Tensor:
        calls.append(step)
        return torch.ones(1)

    list(ddpm(GAUSSIAN, torch.ones(1), levels, variance="large", noise=noise))
    assert calls == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_walk_keeps_float32_and_yields_a_step_per_level(sampler: str) -> None:
    x = torch.randn(4, 2)
    schedule = SCHEDULES["cosine"]()
    steps = list(SAMPLERS[sampler].on(schedule)(GAUSSIAN, x, grids.levels(schedule, 5, "karras")))
    assert [step.x.dtype for step in steps] == [torch.float32] * 5
    assert all(step.x.shape == step.x0.shape == x.shape for step in steps)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_without_noise_of_its_own_never_asks_for_it(sampler: str) -> None:
    asked: list[int] = []

    def noise(number: int) -> Tensor:
        asked.append(number)
        return torch.zeros(1, 1)

    schedule = SCHEDULES["vp"]()
    walk = SAMPLERS[sampler].on(schedule)
    list(walk(GAUSSIAN, torch.ones(1, 1), grids.levels(schedule, 6), noise=noise))
    stochastic = {
        "ddpm": list(range(5)),
        "euler-ancestral": list(range(5)),
        "dpmpp-sde": list(range(5)),
        "predictor-corrector": list(range(10)),
        "annealed-langevin": list(range(6 * 50)),
        "euler-maruyama": list(range(5)),
    }
    assert asked == stochastic.get(sampler, [])


@pytest.mark.parametrize(("snr", "wide"), [(0.2236, 0.061), (0.35, 0.025)])
def test_annealed_langevin_leaves_gaussian_data_too_wide_by_what_the_page_says(snr: float, wide: float) -> None:
    levels = grids.levels(SCHEDULES["vp"](), 20, "log-snr")
    alpha, sigma = (part.item() for part in levels[0])
    start = alpha * 0.3, alpha**2 * 0.25 + sigma**2
    mean, variance = law(SAMPLERS["annealed-langevin"], levels, start, corrections=50, snr=snr)
    assert mean == pytest.approx(0.3, abs=1e-6)
    assert math.sqrt(variance) / 0.5 - 1 == pytest.approx(wide, abs=0.002)


def test_at_the_data_the_bridge_is_the_point_x0() -> None:
    end = bridge(grids.levels(SCHEDULES["linear"](), 10)[-2], CLEAN)
    assert (end.of_x.item(), end.of_x0.item(), end.variance.item()) == (0, 1, 0)


@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.5), (-2.0, 0.01), (0.0, 3.0)])
def test_the_exact_gaussian_is_the_regression_of_x0_on_x(mean: float, std: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 200_000, generator=generator, dtype=torch.float64)
    x0 = mean + std * x0
    level = SCHEDULES["flow"]()(torch.tensor(0.4, dtype=torch.float64))
    x = level.noised(x0, eps)
    slope = ((x - x.mean()) * (x0 - x0.mean())).mean() / x.var()
    found = exact.Gaussian(mean, std)(x, level)
    torch.testing.assert_close(found.x0, x0.mean() + slope * (x - x.mean()), rtol=0.02, atol=0.02 * std)


def test_draws_of_exact_models_have_their_moments() -> None:
    generator = torch.Generator().manual_seed(0)
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.8]], dtype=torch.float64)
    gaussian = exact.Gaussian.of_covariance(torch.tensor([1.0, -1.0]), covariance).draw(100_000, generator)
    torch.testing.assert_close(gaussian.mean(0), torch.tensor([1.0, -1.0], dtype=torch.float64), atol=0.015, rtol=0)
    torch.testing.assert_close(gaussian.T.cov(), covariance, atol=0.02, rtol=0)
    mixture = exact.Mixture(torch.tensor([1.0, 3.0]), torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.tensor([0.1, 0.5]))
    points = mixture.draw(100_000, generator)
    right = points[:, 0] > 2
    assert right.double().mean() == pytest.approx(0.75, abs=0.006)
    assert points[right].std(0).tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    assert points[~right].std(0).tolist() == pytest.approx([0.1, 0.1], abs=0.005)


@pytest.mark.parametrize("covariance", [[[1.0, 0.5], [0.4, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_impossible_covariances_are_refused(covariance: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="symmetric|positive definite"):
        exact.Gaussian.of_covariance(0.0, torch.tensor(covariance))


def test_the_prior_of_the_bound_against_the_library() -> None:
    x0 = torch.rand(3, 2, 4, dtype=torch.float64) * 2 - 1
    level = Level.of(0.3, 0.8)
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(0.3 * x0, 0.8), normal(0.0, math.hypot(0.3, 0.8)))
    torch.testing.assert_close(bound.prior(x0, level), wanted.sum((1, 2)))
    one = torch.ones((), dtype=torch.float64)
    assert kl(one, one, one, one) == 0
