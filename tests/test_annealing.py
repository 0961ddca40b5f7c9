"""Annealed importance sampling where its answer is known, at its edges, and on densities of every kind."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from diffcli.core.processes.montecarlo.annealing import LADDERS, ais, between, metropolis, reverse, stepping, tuned
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc, random_walk
from diffcli.core.processes.montecarlo.unnormalised import (
    PROBLEMS,
    bimodal,
    draw_standard,
    mixture,
    rbm,
    standard,
    unimodal,
)
from diffcli.core.randomness import keyed
from diffcli.lessons.annealing import weights
from diffcli.metrics.statistics import standard_error

# each wider than 1 / √2, so that the weights of a run downwards have a variance whatever the ladder
SMALL = {
    "unimodal": unimodal(dimension=2, mean=0.5, std=0.8),
    "bimodal": bimodal(dimension=2, separation=0.7, std=0.85, narrow=0.75),
    "mixture": mixture(dimension=2, modes=3, radius=1.5, std=0.75),
    "rbm": rbm(visible=2, hidden=2, scale=1.0),
}


@given(st.sampled_from(sorted(LADDERS)), st.integers(1, 300))
def test_a_ladder_rises_from_0_to_1(name: str, count: int) -> None:
    betas = LADDERS[name](count)
    assert len(betas) == count + 1
    assert betas.dtype == torch.float64
    assert betas[0] == 0
    assert betas[-1] == 1
    assert bool((betas.diff() > 0).all())


def test_one_temperature_is_plain_importance_sampling() -> None:
    problem = SMALL["bimodal"]
    x = draw_standard(50, 2, keyed(0, "plain"))
    (only,) = ais(x, standard, problem.log_density, LADDERS["linear"](1), metropolis(), keyed(0, "moves"))
    assert torch.allclose(only.log_weight, problem.log_density(x) - standard(x), rtol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_both_ways_find_the_constant(name: str) -> None:
    problem, betas, generator = SMALL[name], LADDERS["linear"](15), keyed(0, f"both-{name}")
    ends = standard, problem.log_density, betas, metropolis((0.3, 0.8)), generator
    *_, up = ais(draw_standard(3000, 2, generator), *ends)
    *_, down = reverse(problem.draw(3000, generator), *ends)
    for sign, state in ((1, up), (-1, down)):
        found = weights.estimate(state.log_weight)
        assert found.standard_error < 0.1
        assert abs(sign * found.value - problem.log_z) < 4.5 * found.standard_error


@pytest.mark.parametrize("name", SMALL)
def test_weighted_chains_have_the_moments_of_the_exact_draws(name: str) -> None:
    problem, generator = SMALL[name], keyed(1, f"moments-{name}")
    start = draw_standard(4000, 2, generator)
    *_, end = ais(start, standard, problem.log_density, LADDERS["linear"](20), metropolis((0.3, 0.8)), generator)
    exact, share = problem.draw(20_000, generator), end.log_weight.softmax(0).unsqueeze(1)
    for power in (1, 2):
        values = end.x**power
        mean = (share * values).sum(0)
        error = (share.square() * (values - mean).square()).sum(0).sqrt() + standard_error(exact[:, 0] ** power)
        assert bool(((mean - (exact**power).mean(0)).abs() < 4.5 * error).all())


def test_more_temperatures_bring_the_bounds_together() -> None:
    problem, gaps = SMALL["mixture"], []
    for count in (2, 8, 32):
        generator = keyed(0, "gap", count)
        ends = standard, problem.log_density, LADDERS["linear"](count), metropolis((0.5, 1.0)), generator
        *_, up = ais(draw_standard(1000, 2, generator), *ends)
        *_, down = reverse(problem.draw(1000, generator), *ends)
        gaps.append(-(up.log_weight.mean() + down.log_weight.mean()).item())
    for coarse, fine in pairwise(gaps):
        assert 0 < fine < 0.7 * coarse


def test_a_network_between_x_and_the_density_leaves_no_graph_behind() -> None:
    """As for the likelihood of a decoder: one image per chain, float32, gradients with respect to x alone."""
    torch.manual_seed(0)
    decoder, images = nn.Linear(3, 5), torch.randn(7, 5)

    def prior(z: Tensor) -> Tensor:
        return -z.square().sum(1) / 2

    def joint(z: Tensor) -> Tensor:
        return prior(z) - (images - decoder(z)).square().sum(1) / 2

    generator, betas = keyed(0, "network"), LADDERS["sigmoid"](5)
    walk = lambda x, p, s, g: hmc(x, p, s, 2, g)  # noqa: E731
    z = torch.randn(7, 3, generator=generator)
    steps = tuned(walk, z, prior, joint, betas, generator)
    for state in ais(z, prior, joint, betas, stepping(walk, steps), generator):
        assert state.x.dtype == torch.float32
        assert state.x.shape == (7, 3)
        assert not state.x.requires_grad
        assert state.log_weight.dtype == torch.float64
        assert not state.log_weight.requires_grad
    assert all(p.grad is None for p in decoder.parameters())


def test_a_gaussian_model_of_each_chain_has_its_own_likelihood() -> None:
    """z ~ N(0, 1), image ~ N(z, 1): log p(image) is that of N(0, 2), for every image of the batch."""
    images, copies = torch.linspace(-2, 2, 5, dtype=torch.float64), 800
    batch = images.repeat_interleave(copies)

    def joint(z: Tensor) -> Tensor:
        return standard(z) - (batch - z.flatten()) ** 2 / 2 - math.log(2 * math.pi) / 2

    generator = keyed(0, "images")
    z = draw_standard(len(batch), 1, generator)
    *_, end = ais(z, standard, joint, LADDERS["linear"](10), metropolis((0.5, 1.5)), generator)
    for image, log_weight in zip(images.tolist(), end.log_weight.reshape(5, copies), strict=True):
        found = weights.estimate(log_weight)
        assert abs(found.value + image**2 / 4 + math.log(4 * math.pi) / 2) < 4.5 * found.standard_error


def test_draws_outside_the_target_weigh_nothing_and_the_rest_are_right() -> None:
    def half(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, standard(x), -torch.inf)

    generator = keyed(0, "half")
    *_, end = ais(draw_standard(2000, 1, generator), standard, half, LADDERS["linear"](4), metropolis(), generator)
    found = weights.estimate(end.log_weight)
    assert abs(found.value - math.log(0.5)) < 4.5 * found.standard_error
    assert bool((end.log_weight.exp() > 0).any())


def test_at_the_target_the_start_may_be_nothing() -> None:
    nothing = between(lambda x: torch.full((len(x),), -torch.inf), standard, 1.0)
    assert bool(nothing(torch.zeros(2, 1)).isfinite().all())


def test_the_same_key_gives_the_same_chains() -> None:
    def run() -> Tensor:
        generator = keyed(5, "again")
        x = draw_standard(10, 2, generator)
        *_, end = ais(x, standard, SMALL["rbm"].log_density, LADDERS["neal"](7), metropolis(), generator)
        return torch.cat([end.x.flatten(), end.log_weight])

    assert torch.equal(run(), run())


def test_each_rung_has_its_own_step() -> None:
    met = []

    def walk(x: Tensor, log_density: LogDensity, step: float, generator: Generator) -> Move:
        met.append(step)
        return random_walk(x, log_density, step, generator)

    kernel = stepping(walk, torch.tensor([9.0, 0.25, 0.5, 0.75], dtype=torch.float64), 2)
    ends = draw_standard(3, 1, keyed(0, "x")), standard, standard, LADDERS["linear"](3), kernel, keyed(0, "g")
    list(ais(*ends))
    list(reverse(*ends))
    assert met == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]


@settings(max_examples=30)
@given(st.lists(st.floats(-700, 700), min_size=2, max_size=20))
def test_the_mean_of_log_weights_is_below_the_log_of_their_mean(values: list[float]) -> None:
    log_weights = torch.tensor(values, dtype=torch.float64)
    found = weights.estimate(log_weights)
    assert weights.mean_log(log_weights).value <= found.value + 1e-9
    assert 1 - 1e-9 <= found.effective <= len(values) + 1e-9
    wanted = (len(values) / found.effective - 1) / (len(values) - 1)  # the delta method by way of the worth
    assert found.standard_error**2 == pytest.approx(wanted, abs=1e-9)


def test_weights_that_are_all_nothing_say_so() -> None:
    found = weights.estimate(torch.full((3,), -math.inf))
    assert found == (-math.inf, math.inf, 0.0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_plane_of_a_problem_is_orthonormal(name: str) -> None:
    plane = PROBLEMS[name]().plane
    assert torch.allclose(plane.T @ plane, torch.eye(2, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_a_machine_with_two_visible_units_is_seen_whole(beta: float) -> None:
    problem = SMALL["rbm"]
    places = torch.randn(5, 2, generator=keyed(0, "places"), dtype=torch.float64)
    wanted = (1 - beta) * standard(places) + beta * problem.log_density(places)
    found = problem.marginal(beta, places @ problem.plane)
    assert found is not None
    assert torch.allclose(found - found[0], wanted - wanted[0], atol=1e-9)


def test_a_larger_machine_is_known_at_its_ends_only() -> None:
    problem, points = rbm(visible=4, hidden=3, scale=2.0), torch.zeros(1, 2, dtype=torch.float64)
    assert problem.marginal(0.5, points) is None
    assert problem.marginal(0.0, points) is not None
    assert problem.marginal(1.0, points) is not None


def test_the_seed_of_a_machine_makes_its_weights() -> None:
    assert rbm(seed=1).log_z == rbm(seed=1).log_z
    assert rbm(seed=1).log_z != rbm(seed=2).log_z
