"""Distances of point sets, against closed forms."""

import math

import pytest
import torch

from diffcli.metrics.distances import energy, sliced_wasserstein


def normal(count: int, seed: int, dimensions: int = 2) -> torch.Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_energy_distance_of_two_normals_is_its_closed_form() -> None:
    """In one dimension E|N(m, s²)| = s √(2/π) exp(-m²/2s²) + m erf(m / s√2), with s² = 2 for a difference."""
    shift = 1.5
    expected = 2 * (2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2))
    expected -= 2 * 2 / math.sqrt(math.pi)
    found = energy(normal(5000, 0, 1), normal(4000, 1, 1) + shift)
    assert found == pytest.approx(expected, rel=0.05)


def test_two_samples_of_one_law_are_at_0_on_the_average() -> None:
    found = torch.tensor([energy(normal(100, i), normal(150, 1000 + i)) for i in range(200)])
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(200)


def test_the_energy_distance_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = normal(50, 0), normal(70, 1)
    whole = energy(a, b)
    monkeypatch.setattr("diffcli.metrics.distances.ROWS", 7)
    assert energy(a, b) == pytest.approx(whole, rel=1e-6)


def test_a_shift_is_its_length_over_the_root_of_the_dimension() -> None:
    """Projected on a random direction, a shift d has mean square |d|² / D."""
    a = normal(500, 0)
    found = sliced_wasserstein(a, a + torch.tensor([3.0, 4.0]), directions=20_000)
    assert found == pytest.approx(5 / math.sqrt(2), rel=0.02)


def test_the_order_of_the_points_does_not_matter() -> None:
    a = normal(500, 0)
    assert sliced_wasserstein(a, a.flip(0)) == 0


def test_scaled_normals_are_as_far_apart_as_their_standard_deviations() -> None:
    assert sliced_wasserstein(normal(10_000, 0), 1.5 * normal(10_000, 1)) == pytest.approx(0.5, rel=0.03)
