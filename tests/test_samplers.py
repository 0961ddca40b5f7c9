"""DDPM and DDIM against closed forms: on Gaussian data every walk is a linear map plus independent noise."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from diffcli.core.diffusion import exact, grids
from diffcli.core.diffusion.samplers import SAMPLERS, VARIANCES, ddim, ddpm
from diffcli.core.diffusion.schedules import CLEAN, SCHEDULES, Level
from diffcli.core.processes.gaussian import bridge, kl

MEAN, STD = 0.3, 0.5
GAUSSIAN = exact.Gaussian(MEAN, STD)


def alpha_bars(steps: int) -> list[float]:
    """The paper's alpha bar along a trailing walk over the linear table, ending with 1, in plain Python."""
    product, table = 1.0, []
    for i in range(1000):
        product *= 1 - (1e-4 + i * (0.02 - 1e-4) / 999)
        table.append(product)
    return [table[round(1000 * k / steps) - 1] for k in range(steps, 0, -1)] + [1.0]


def law(sampler: str, steps: int, schedule: str = "linear", **options: object) -> tuple[float, float]:
    """Mean and variance of the result from x ~ N(0, 1), exactly: by the response to each source of noise."""
    levels = grids.levels(SCHEDULES[schedule](), steps)
    start = torch.hypot(*levels[0]).item()

    # Run many walks at once: the zero walk, one started at 1, and one per step with noise 1 at that step only.
    x = torch.zeros(steps + 2, dtype=torch.float64)
    x[1] = start

    def noise(step: int) -> Tensor:
        pulse = torch.zeros_like(x)
        pulse[step + 2] = 1
        return pulse

    *_, end = SAMPLERS[sampler](GAUSSIAN, x, levels, noise=noise, **options)
    response = end.x[1:] - end.x[0]
    return end.x[0].item(), response.square().sum().item()


@pytest.mark.parametrize("eta", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 20, 50, 100, 1000])
def test_ddim_on_a_gaussian_has_the_closed_forms_mean_and_spread(steps: int, eta: float) -> None:
    """Song et al. 2021, eq. 12 and 16, with the posterior mean of N(m, s²) put in: a product over the steps."""
    mean, variance = 0.0, 1.0
    for a, b in pairwise(alpha_bars(steps)):
        total = a * STD**2 + 1 - a
        sigma = eta * math.sqrt((1 - b) / (1 - a)) * math.sqrt(1 - a / b)
        direction = math.sqrt(max(0.0, 1 - b - sigma**2))
        factor = math.sqrt(b) * math.sqrt(a) * STD**2 / total + direction * math.sqrt(1 - a) / total
        mean = factor * (mean - math.sqrt(a) * MEAN) + math.sqrt(b) * MEAN
        variance = factor**2 * variance + sigma**2
    found = law("ddim", steps, eta=eta)
    assert found == pytest.approx((mean, variance), rel=1e-8)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_ddpm_on_a_gaussian_has_the_closed_forms_mean_and_spread(steps: int, variance: str) -> None:
    """Ho et al. 2020, eq. 7 and algorithm 2, with alpha_t = alpha bar_t / alpha bar_s and beta_t = 1 - alpha_t."""
    mean, spread = 0.0, 1.0
    for a, b in pairwise(alpha_bars(steps)):
        alpha, beta = a / b, 1 - a / b
        of_x0 = math.sqrt(b) * beta / (1 - a)
        of_x = math.sqrt(alpha) * (1 - b) / (1 - a)
        x0_of_x = math.sqrt(a) * STD**2 / (a * STD**2 + 1 - a)
        x0_constant = MEAN - x0_of_x * math.sqrt(a) * MEAN
        factor = of_x + of_x0 * x0_of_x
        fresh = {"small": (1 - b) / (1 - a) * beta, "large": beta}[variance] if b < 1 else 0.0
        mean = factor * mean + of_x0 * x0_constant
        spread = factor**2 * spread + fresh
    assert law("ddpm", steps, variance=variance) == pytest.approx((mean, spread), rel=1e-8)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("sampler", "options"), [("ddpm", {}), ("ddpm", {"variance": "large"}), ("ddim", {}), ("ddim", {"eta": 1.0})]
)
def test_a_thousand_steps_land_on_the_data(schedule: str, sampler: str, options: dict[str, object]) -> None:
    mean, variance = law(sampler, 1000, schedule, **options)
    assert mean == pytest.approx(MEAN, abs=0.01)
    assert math.sqrt(variance) == pytest.approx(STD, rel=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddims_error_falls_in_proportion_to_the_step(schedule: str) -> None:
    errors = [abs(math.sqrt(law("ddim", steps, schedule)[1]) - STD) for steps in (125, 250, 500)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(0.8 < order < 1.3 for order in orders), orders


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 7, 50, 1000])
def test_ddim_with_eta_one_is_ddpm_with_beta_tilde_step_by_step(schedule: str, steps: int) -> None:
    levels = grids.levels(SCHEDULES[schedule](), steps)
    x = torch.randn(5, 3, dtype=torch.float64)
    noises = torch.randn(steps, 5, 3, dtype=torch.float64)
    for a, b in zip(
        ddim(GAUSSIAN, x, levels, eta=1.0, noise=lambda i: noises[i]),
        ddpm(GAUSSIAN, x, levels, variance="small", noise=lambda i: noises[i]),
        strict=True,
    ):
        torch.testing.assert_close(a.x, b.x, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(a.x0, b.x0, rtol=1e-9, atol=1e-9)


def test_ddpms_step_is_algorithm_2_line_4() -> None:
    """x_{t-1} = (x_t - beta / sqrt(1 - alpha bar) eps) / sqrt(alpha) + sqrt(beta) z, the mean in its other form."""
    levels, a_bars = grids.levels(SCHEDULES["linear"](), 1000), alpha_bars(1000)
    x, z = torch.randn(2, 4, dtype=torch.float64)
    for k in (0, 300, 998):
        a, b = a_bars[k], a_bars[k + 1]
        alpha, beta = a / b, 1 - a / b
        eps = GAUSSIAN(x, levels[k]).eps
        wanted = (x - beta / math.sqrt(1 - a) * eps) / math.sqrt(alpha) + math.sqrt(beta) * z
        (step,) = ddpm(GAUSSIAN, x, levels[k : k + 2], variance="large", noise=lambda _: z)
        torch.testing.assert_close(step.x, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 50, 1000])
def test_every_walk_is_finite_and_ends_at_its_clean_estimate(sampler: str, schedule: str, steps: int) -> None:
    x = torch.randn(4, 2)
    *_, end = SAMPLERS[sampler](GAUSSIAN, x, grids.levels(SCHEDULES[schedule](), steps))
    assert end.x.isfinite().all()
    assert end.x.dtype == torch.float32
    assert torch.equal(end.x, end.x0.float())


def test_the_last_step_adds_no_noise_even_with_the_large_variance() -> None:
    levels = grids.levels(SCHEDULES["linear"](), 10)[-2:]
    calls: list[int] = []

    def noise(step: int) -> Tensor:
        calls.append(step)
        return torch.ones(1)

    list(ddpm(GAUSSIAN, torch.ones(1), levels, variance="large", noise=noise))
    assert calls == []


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_forward_process_step_by_step_equals_the_jump(schedule: str) -> None:
    """q(x_t | x_s) chained from clean data: factors multiply and variances add up to alpha and sigma² of each level."""
    factor, variance = 1.0, 0.0
    for t, s in pairwise(grids.levels(SCHEDULES[schedule](), 1000)[::-1]):
        step = bridge(s, t)  # from the cleaner level t to s
        ratio = (s.alpha / t.alpha).item()
        factor, variance = factor * ratio, ratio**2 * variance + step.forward_variance.item()
        assert factor == pytest.approx(s.alpha.item(), rel=1e-9, abs=1e-15)
        assert variance == pytest.approx(s.sigma.item() ** 2, rel=1e-9)


def test_the_forward_step_of_the_table_is_beta() -> None:
    levels = grids.levels(SCHEDULES["linear"](), 1000)[::-1]
    betas = [bridge(s, t).forward_variance.item() for t, s in pairwise(levels)]
    assert betas == pytest.approx([1e-4 + i * (0.02 - 1e-4) / 999 for i in range(1000)], rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bridge_is_bayes_rule(schedule: str) -> None:
    """Condition the joint Gaussian of (x_s, x_t) given x0 on x_t, with its covariance alpha_t / alpha_s sigma_s²."""
    levels = grids.levels(SCHEDULES[schedule](), 10)
    x0, x = 0.7, -0.4
    for t, s in pairwise(levels):
        covariance = t.alpha / s.alpha * s.sigma**2
        mean = s.alpha * x0 + covariance / t.sigma**2 * (x - t.alpha * x0)
        variance = s.sigma**2 - covariance**2 / t.sigma**2
        found = bridge(t, s)
        torch.testing.assert_close(found.of_x * x + found.of_x0 * x0, mean, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.variance, variance, rtol=1e-9, atol=1e-12)
    end = bridge(levels[-2], CLEAN)
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
    torch.testing.assert_close(level.noised(found.x0, found.eps), x)


def test_prior_kl_against_the_library() -> None:
    x0 = torch.rand(3, 2, 4, dtype=torch.float64) * 2 - 1
    level = Level(torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.8, dtype=torch.float64))
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(0.3 * x0, 0.8), normal(0.0, math.hypot(0.3, 0.8)))
    torch.testing.assert_close(exact.prior_kl(x0, level), wanted.mean((1, 2)) / math.log(2))
    one = torch.ones((), dtype=torch.float64)
    assert kl(one, one, one, one) == 0
