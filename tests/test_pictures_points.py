"""Pictures of points: the density below them, what is shown and what is said of the rest."""

import math

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from diffcli.pictures.points import Panel, extent, kernel_density, moving, row

pytestmark = pytest.mark.rendered


def normal(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


# The density


def test_the_density_of_one_point_is_the_kernel() -> None:
    """Up to the cells, which are half a width wide."""
    density = kernel_density(torch.tensor([[0.3, -0.2]]), width=0.1)
    places = torch.tensor([[0.3, -0.2], [0.4, -0.2], [0.3, 0.0], [2.0, 2.0]])
    peak = 1 / (2 * math.pi * 0.1**2)
    wanted = peak * torch.exp(-torch.tensor([0.0, 1.0, 4.0, 1e9]) / 2)
    torch.testing.assert_close(density(places), wanted, atol=0.25 * peak, rtol=0)


def test_the_density_of_many_points_is_that_of_their_law() -> None:
    width = 0.1
    density = kernel_density(normal(200_000), width)
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    variance = 1 + width**2
    wanted = torch.exp(-places.square().sum(1) / 2 / variance) / (2 * math.pi * variance)
    torch.testing.assert_close(density(places), wanted, atol=0.006, rtol=0)


def test_the_density_sums_to_1_and_is_0_far_away() -> None:
    density = kernel_density(normal(1000))
    line = torch.linspace(-8, 8, 1601)
    total = density(torch.cartesian_prod(line, line)).sum() * 0.01**2
    assert total == pytest.approx(1, abs=0.01)
    assert density(torch.tensor([[99.0, 0.0]])) == 0


# What is shown


def test_the_axes_hold_nearly_all_points_of_every_panel() -> None:
    panels = [Panel("a", normal(10_000)), Panel("b", 3 * normal(10_000, 1))]
    limit = extent(panels)
    assert 0.99 < (panels[1].points.abs() < limit).all(1).float().mean() < 1
    assert extent([Panel("one", torch.zeros(1, 2))]) > 0
    assert math.isfinite(extent([Panel("diverged", torch.full((5, 2), math.nan))]))


def test_points_beyond_the_axes_are_counted_in_the_title(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    titles: list[str] = []
    monkeypatch.setattr(Axes, "set_title", lambda _, text, **__: titles.append(text))
    wild = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, math.nan]])
    row([Panel("tame", normal(10) / 10), Panel("wild", wild)], limit=2.0)
    assert titles == ["tame", "wild (2 outside)"]


def test_a_point_is_drawn_where_it_is() -> None:
    """The ink's centre of gravity moves with the point, to the right and up."""

    def ink(x: float, y: float) -> np.ndarray:
        pixels = np.asarray(row([Panel("", torch.tensor([[x, y]]))], limit=2.0)).astype(int)
        places = np.argwhere(pixels[..., 0] - pixels[..., 2] > 60)  # orange
        return places.mean(0)

    middle, moved = ink(0, 0), ink(1, 1)
    assert moved[0] < middle[0] - 20
    assert moved[1] - middle[1] == pytest.approx(middle[0] - moved[0], abs=2)  # equal aspect


def test_frames_move_and_share_their_size_and_one_background(monkeypatch: pytest.MonkeyPatch) -> None:
    density = kernel_density(normal(1000))
    drawn: list[None] = []
    draw = FigureCanvasAgg.draw
    monkeypatch.setattr(FigureCanvasAgg, "draw", lambda canvas: drawn.append(draw(canvas)))
    frames = list(moving((Panel(f"{i}", normal(500) * (1 - i / 40), density) for i in range(40)), limit=3.0))
    assert len(drawn) == 1  # the axes and the density; the rest are points over that picture
    assert len({frame.size for frame in frames}) == 1
    pixels = [np.asarray(frame) for frame in frames]
    assert all((a != b).any() for a, b in zip(pixels, pixels[1:], strict=False))


def test_a_frame_leaves_no_trace_in_the_next() -> None:
    density = kernel_density(normal(1000))
    panels = [Panel("b", normal(50), density), Panel("a", normal(50, 1), density)]
    (alone,) = moving(panels[1:], limit=3.0)
    after = list(moving(panels, limit=3.0))[1]
    assert np.array_equal(np.asarray(alone), np.asarray(after))


def test_a_panel_with_another_density_gets_it() -> None:
    points = normal(5)
    one, other = kernel_density(normal(1000)), kernel_density(normal(1000) / 3)
    frames = [np.asarray(f) for f in moving([Panel("", points, d) for d in (one, other, one)], limit=3.0)]
    assert (frames[0] != frames[1]).any()
    assert np.array_equal(frames[0], frames[2])
