"""The toy laws: their moments, where they live, and that a draw is the generator's doing alone."""

import math

import pytest
import torch
from torch import Tensor

from diffcli.core.processes.laws.toys import MIXTURE, NOISE, TOYS, mixture, ring

COUNT = 400_000


def draw(name: str, count: int = COUNT, seed: int = 0) -> Tensor:
    return TOYS[name](count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", TOYS)
def test_every_coordinate_has_mean_0_and_variance_1(name: str) -> None:
    points = draw(name).double()
    assert points.shape == (COUNT, 2)
    # five standard errors: that of the variance is √((kurtosis - 1) / N), below √(2 / N) for these flat laws
    assert points.mean(0).abs().max() < 5 / math.sqrt(COUNT)
    assert (points.var(0) - 1).abs().max() < 5 * math.sqrt(2 / COUNT)


@pytest.mark.parametrize("name", TOYS)
def test_a_draw_depends_on_its_generator_only(name: str) -> None:
    torch.manual_seed(5)
    one = draw(name, 100)
    torch.manual_seed(6)
    assert torch.equal(one, draw(name, 100))
    assert not torch.equal(one, draw(name, 100, seed=1))
    assert one.dtype == torch.float32


@pytest.mark.parametrize("name", TOYS)
def test_the_points_of_a_draw_know_nothing_of_each_other(name: str) -> None:
    """Scaling by the sample's own mean and spread would tie them together: few points must vary as much as many."""
    means = torch.stack([draw(name, 4, seed=i).double().mean(0) for i in range(4000)])
    assert (means.var(0) * 4 - 1).abs().max() < 5 * math.sqrt(2 / 4000)


# The mixture


def test_the_moments_of_the_ring_are_those_of_a_ring_of_gaussians() -> None:
    law = ring(count=5, std=0.3)
    radius2 = 2 * (1 - 0.3**2)
    torch.testing.assert_close(law.weights.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(law.means.square().sum(1), torch.full((5,), radius2).double())
    covariance = law.means.T @ (law.weights.unsqueeze(1) * law.means) + 0.3**2 * torch.eye(2)
    torch.testing.assert_close(covariance, torch.eye(2).double())


def test_the_default_ring_has_radius_1_4() -> None:
    torch.testing.assert_close(MIXTURE.means.norm(dim=1), torch.full((8,), 1.4).double())


def test_a_mixture_draws_each_component_by_its_weight_with_its_mean_and_spread() -> None:
    law = ring(3, 0.1)._replace(weights=torch.tensor([0.2, 0.5, 0.3]).double(), stds=torch.tensor([0.05, 0.1, 0.02]))
    points = mixture(COUNT, torch.Generator().manual_seed(0), law).double()
    nearest = torch.cdist(points, law.means).argmin(1)
    for k in range(3):
        mine = points[nearest == k]
        assert len(mine) / COUNT == pytest.approx(law.weights[k].item(), abs=5 * math.sqrt(0.25 / COUNT))
        torch.testing.assert_close(mine.mean(0), law.means[k], atol=1e-3, rtol=0)
        torch.testing.assert_close(mine.std(0), law.stds[k].double().expand(2), rtol=0.01, atol=0)


# The checkerboard


def square_of(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row of the square that each point lies in, and its place in the square, in [0, 1)²."""
    scaled = points.double() * 2 / math.sqrt(3) + 2
    return scaled[:, 0].floor(), scaled[:, 1].floor(), scaled % 1


def test_the_light_squares_of_the_checkerboard_hold_no_point() -> None:
    column, row, place = square_of(draw("checkerboard"))
    on_an_edge = ((place < 1e-5) | (place > 1 - 1e-5)).any(1)  # where float32 rounds across
    assert ((column + row) % 2 == 0)[~on_an_edge].all()
    assert (column.clamp(0, 3) == column)[~on_an_edge].all()
    assert (row.clamp(0, 3) == row)[~on_an_edge].all()


def test_the_dark_squares_of_the_checkerboard_are_equally_likely_and_filled_evenly() -> None:
    column, row, place = square_of(draw("checkerboard"))
    counts = torch.bincount((4 * column + row).long().clamp(0, 15), minlength=16)
    dark = counts[counts > COUNT / 100]
    assert len(dark) == 8
    assert (dark / COUNT - 1 / 8).abs().max() < 5 * math.sqrt(1 / 8 / COUNT)
    torch.testing.assert_close(place.mean(0), torch.full((2,), 0.5).double(), atol=0.003, rtol=0)
    torch.testing.assert_close(place.T.cov(), torch.eye(2).double() / 12, atol=0.003, rtol=0)


# The curves


def test_moons_lie_around_two_half_circles() -> None:
    """Back in scikit-learn's units, the distance from the nearer circle is the noise."""
    points = draw("moons").double() / math.sqrt(1 - NOISE**2)
    variance = torch.tensor([0.75, 9 / 16 - 1 / math.pi]).double()
    x, y = (points * variance.sqrt() + torch.tensor([0.5, 0.25])).T
    upper, lower = torch.hypot(x, y) - 1, torch.hypot(x - 1, y - 0.5) - 1
    away = torch.minimum(upper.abs(), lower.abs())
    assert away.square().mean().sqrt() < NOISE
    assert (upper.abs() < lower.abs()).double().mean() == pytest.approx(0.5, abs=0.01)


def test_the_swiss_roll_lies_around_a_spiral() -> None:
    variance = torch.tensor([4.875 * math.pi**2 - 4.25, 4.875 * math.pi**2 + 0.25 - 4 / (9 * math.pi**2)]).double()
    mean = torch.tensor([2.0, 2 / (3 * math.pi)]).double()
    points = draw("swiss-roll", 20_000).double() / math.sqrt(1 - NOISE**2) * variance.sqrt() + mean
    angle = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 3000).double()
    curve = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1)
    away, nearest = torch.cdist(points, curve).min(1)
    noise = NOISE * variance.mean().sqrt()
    assert away.square().mean().sqrt() == pytest.approx(noise.item(), rel=0.1)
    middle = (nearest > 300) & (nearest < 2700)  # the ends collect what lies beyond them
    assert nearest[middle].double().mean() == pytest.approx(1500, abs=30)
