"""Schedules against the papers' formulas, written out again here in the papers' own way."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.schedules import SCHEDULES, BetaTable
from diffcli.core.diffusion.tables import cosine_betas, linear_betas
from diffcli.core.levels import CLEAN

T = 1000


def test_linear_table_has_the_papers_ends() -> None:
    betas = linear_betas()
    assert (betas[0].item(), betas[-1].item(), len(betas)) == (1e-4, 0.02, 1000)


def test_cosine_table_is_clipped_at_its_end_only() -> None:
    betas = cosine_betas()
    assert (betas == 0.999).sum() == 1
    assert betas[-1] == 0.999


def test_flow_is_the_straight_line() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    level = SCHEDULES["flow"]()(t)
    assert torch.equal(level.alpha, 1 - t)
    assert torch.equal(level.sigma, t)


@pytest.mark.parametrize("name", SCHEDULES)
def test_time_zero_is_clean_or_the_least_noise_of_those_that_keep_some(name: str) -> None:
    level = SCHEDULES[name]()(torch.zeros((), dtype=torch.float64))
    least = {"ve": 0.01, "edm": 0.002, "log-snr": (1 + math.exp(13.3)) ** -0.5}.get(name, 0)
    assert level.alpha == pytest.approx((1 - least**2) ** 0.5 if name == "log-snr" else 1, abs=1e-15)
    assert level.sigma == pytest.approx(least, abs=1e-8)


@pytest.mark.parametrize("name", SCHEDULES)
def test_snr_falls_all_the_way(name: str) -> None:
    log_snr = SCHEDULES[name]()(torch.linspace(0.001, 0.999, 999, dtype=torch.float64)).log_snr
    assert (log_snr.diff() < 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 30, 50, 333, 1000])
def test_a_walk_starts_in_noise_ends_clean_and_never_turns(name: str, steps: int) -> None:
    levels = grids.levels(SCHEDULES[name](), steps)
    end = SCHEDULES[name]()(torch.ones((), dtype=torch.float64))
    assert len(levels) == steps + 1
    assert levels[-1] == CLEAN
    assert levels[0] == end
    ratios = torch.stack([level.sigma / level.alpha for level in levels])
    assert (ratios.diff() < 0).all()
    assert all(part.dtype == torch.float64 and part.dim() == 0 for level in levels for part in level)


def test_fifty_steps_are_the_trailing_grid() -> None:
    times = grids.times(SCHEDULES["linear"](), 50) * T
    assert times.tolist() == pytest.approx(list(range(1000, 0, -20)))


def test_more_steps_than_the_table_has_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 steps"):
        grids.levels(SCHEDULES["linear"](), 1001)
    with pytest.raises(ValueError, match="at least 1"):
        grids.levels(SCHEDULES["flow"](), 0)


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.1, math.nan])
def test_impossible_betas_are_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        BetaTable(torch.tensor([0.1, beta]))


@pytest.mark.parametrize("name", SCHEDULES)
@settings(max_examples=30, deadline=None)
@given(t=st.floats(0.01, 0.98))
def test_rates_are_the_derivatives(name: str, t: float) -> None:
    schedule = SCHEDULES[name]()
    # Stay inside one cell of the tables, where alpha is smooth.
    middle = torch.tensor((math.floor(t * T) + 0.5) / T, dtype=torch.float64)
    h = 1e-5
    up, down = schedule(middle + h), schedule(middle - h)
    alpha_rate, sigma_rate = schedule.rates(middle)
    torch.testing.assert_close(alpha_rate, (up.alpha - down.alpha) / (2 * h), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(sigma_rate, (up.sigma - down.sigma) / (2 * h), rtol=1e-4, atol=1e-6)


def test_the_linear_tables_sde_is_the_vp_sde() -> None:
    """f = -T b / 2 and g² = T b, with b = -log(1 - beta) constant in each cell (Song et al. 2021, eq. 11)."""
    index = torch.tensor([0, 1, 10, 500, 999])
    rate = -torch.log1p(-linear_betas()[index]) * T
    f, g2 = SCHEDULES["linear"]().sde((index.double() + 0.5) / T)
    torch.testing.assert_close(f, -rate / 2, rtol=1e-9, atol=0)
    torch.testing.assert_close(g2, rate, rtol=1e-7, atol=0)


def test_flows_sde_in_closed_form() -> None:
    """alpha = 1 - t, sigma = t: f = -1 / (1 - t) and g² = 2 t / (1 - t)."""
    t = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    f, g2 = SCHEDULES["flow"]().sde(t)
    torch.testing.assert_close(f, -1 / (1 - t))
    torch.testing.assert_close(g2, 2 * t / (1 - t))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_variance_equation_of_the_sde_gives_the_marginals(name: str) -> None:
    """d var / dt = 2 f var + g² for data of variance v must be solved by alpha² v + sigma²."""
    schedule, v, h = SCHEDULES[name](), 0.37, 1e-6
    t = (torch.tensor([100, 400, 800]) + 0.5).double() / T

    def variance(at: torch.Tensor) -> torch.Tensor:
        level = schedule(at)
        return level.alpha**2 * v + level.sigma**2

    f, g2 = schedule.sde(t)
    rate = (variance(t + h) - variance(t - h)) / (2 * h)
    torch.testing.assert_close(rate, 2 * f * variance(t) + g2, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_drawn_times_are_uniform_and_spread_within_a_batch(name: str) -> None:
    schedule, generator = SCHEDULES[name](), torch.Generator().manual_seed(0)
    batch, draws = 8, 4000
    drawn = torch.cat([schedule.draw(torch.zeros(batch, 1, 2, 2), generator).sigma for _ in range(draws)])
    assert drawn.shape == (batch * draws, 1, 1, 1)
    assert drawn.dtype == torch.float32
    times = torch.linspace(0, 1, 20001, dtype=torch.float64)
    expected = schedule(schedule.training_time(times[1:])).sigma
    slope = expected.diff().abs().max().item() * 20000  # the steepest
    rough = 4 / batch / 12**0.5 / draws**0.5 * slope  # four standard errors of a shift
    assert drawn.double().mean() == pytest.approx(expected.mean().item(), abs=rough)
    assert drawn.double().std() == pytest.approx(expected.std().item(), abs=rough)
    one = schedule.draw(torch.zeros(batch, 1, 2, 2), generator).sigma.flatten().sort().values
    edges = schedule(schedule.training_time(torch.linspace(0, 1, batch + 1, dtype=torch.float64))).sigma
    widest = edges.diff().max() * 2 + 1e-3
    assert (one.diff() < widest).all(), "two neighbours of a batch lie at most two of its cells apart"


def test_every_entry_of_the_table_is_drawn_equally_often() -> None:
    small = BetaTable(torch.full((4,), 0.5))
    t = 1 - torch.arange(4000, dtype=torch.float64) / 4000
    counts = torch.bincount((small.training_time(t) * 4).round().long(), minlength=5)
    assert counts.tolist() == [0, 1000, 1000, 1000, 1000]
