"""Hints that are computed from images, against closed forms."""

import math

import pytest
import torch
from torch import Tensor

from diffcli.core.processes import hints
from diffcli.data.conditions import CONDITIONS
from diffcli.data.loading import load_dataset

COMPUTED = [name for name, condition in CONDITIONS.items() if condition.extract]


def square(side: int = 20, begin: int = 5, end: int = 14, channels: int = 1) -> Tensor:
    """White on black, from `begin` to `end`, both inside."""
    found = -torch.ones(1, channels, side, side)
    found[..., begin : end + 1, begin : end + 1] = 1
    return found


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", COMPUTED)
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 17, 30), (1, 4, 3, 2), (1, 1, 1, 1)], ids=str)
def test_a_hint_has_the_size_of_its_image_and_lies_in_the_range(name: str, shape: tuple[int, ...]) -> None:
    condition, images = CONDITIONS[name], noise(*shape)
    assert condition.extract
    found = condition.extract(images)
    assert found.shape == (shape[0], condition.channels(shape[1]), *shape[2:])
    assert found.dtype == torch.float32
    assert found.abs().max() <= 1
    assert set(found.unique().tolist()) <= {-1.0, 1.0} or not condition.two


@pytest.mark.parametrize("name", COMPUTED)
def test_a_hint_is_its_image_s_alone(name: str) -> None:
    extract = CONDITIONS[name].extract
    assert extract
    images = torch.cat([noise(3, 3, 16, 16), square(16, 4, 11, 3)])
    assert torch.allclose(torch.cat([extract(image) for image in images.split(1)]), extract(images), atol=1e-6)


def test_the_edges_of_a_square_are_its_outline_one_pixel_thick() -> None:
    ring = square() - square(20, 6, 13)
    assert torch.equal(hints.edges(square()), ring - 1)


def test_the_edge_is_on_the_lighter_side_in_grey_and_colour_whatever_the_contrast() -> None:
    outline = hints.edges(square())
    assert torch.equal(hints.edges(square(channels=3)), outline)
    assert torch.equal(hints.edges(0.2 * square() - 0.5), outline)
    red = torch.cat([square(), torch.zeros(1, 2, 20, 20)], 1)
    assert torch.equal(hints.edges(red), outline)


def test_edges_are_mirrored_and_turned_with_the_image() -> None:
    images = load_dataset("mnist", "test").take(range(20))[0]
    wanted = hints.edges(images)
    for back in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.transpose(-1, -2)):
        same = (back(hints.edges(back(images))) == wanted).float().mean()
        assert same > 0.999


def test_edges_of_digits_are_thin_closed_lines_around_their_ink() -> None:
    images = load_dataset("mnist", "test").take(range(50))[0]
    found = hints.edges(images) > 0
    ink = hints.mask(images)
    border = (torch.nn.functional.max_pool2d(-ink, 5, 1, 2) > 0) & (torch.nn.functional.max_pool2d(ink, 5, 1, 2) > 0)
    assert (found & border).sum() / found.sum() > 0.98
    blocks = torch.nn.functional.avg_pool2d(found.float(), 2, 1)
    assert (blocks == 1).float().mean() < 0.002  # nowhere two pixels thick


def test_weak_edges_count_where_they_go_on_from_strong_ones_and_nowhere_else() -> None:
    """A step that becomes lower from left to right, and one as low as its end by itself."""
    heights = torch.linspace(2.0, 0.4, 30)
    image = -torch.ones(1, 1, 30, 30)
    image[..., 5:12, :] += heights
    image[..., 20:25, 3:9] += 0.4
    found = hints.edges(image)[0, 0] > 0
    assert found[5].all()
    assert not found[18:28, :12].any()


def test_a_flat_or_nearly_flat_image_has_no_edges_and_an_empty_sketch() -> None:
    for image in (torch.full((1, 3, 9, 9), 0.3), 0.02 * noise(1, 3, 9, 9)):
        assert (hints.edges(image) == -1).all()
    assert (hints.sketch(torch.full((1, 1, 9, 9), 0.3)) < -1 + 1e-4).all()


def test_a_sketch_is_thicker_and_softer_than_edges() -> None:
    sketch, edges = hints.sketch(square()), hints.edges(square())
    assert 1.5 * (edges > 0).sum() < (sketch > 0).sum() < 4 * (edges > 0).sum()
    assert (sketch[edges > 0] > 0).float().mean() > 0.9
    assert ((sketch > -0.95) & (sketch < 0.95)).sum() > 2 * (edges > 0).sum()


def test_a_blur_keeps_means_and_is_the_gaussian_away_from_edges() -> None:
    images = noise(2, 3, 28, 40)
    assert torch.allclose(hints.blur(images).mean((2, 3)), images.mean((2, 3)), atol=1e-6)
    point = torch.zeros(1, 1, 57, 57)
    point[..., 28, 28] = 1
    found, deviation = hints.smoothed(point, 3.0)[0, 0], 3.0
    at = lambda y, x: math.exp(-(y * y + x * x) / (2 * deviation**2)) / (2 * math.pi * deviation**2)  # noqa: E731
    for y, x in ((0, 0), (3, 4), (-6, 1)):
        assert found[28 + y, 28 + x].item() == pytest.approx(at(y, x), rel=2e-3)


def test_smoothing_mirrors_the_image_at_its_edges() -> None:
    image = noise(1, 1, 6, 6)
    wide = torch.cat([image.flip(-1), image, image.flip(-1)], -1)
    tall = torch.cat([wide.flip(-2), wide, wide.flip(-2)], -2)
    assert torch.allclose(hints.smoothed(tall, 1.0)[..., 6:12, 6:12], hints.smoothed(image, 1.0), atol=1e-6)
    assert torch.allclose(hints.smoothed(image, 30.0), image.mean().expand_as(image), atol=1e-4)


def test_the_low_resolution_is_the_mean_of_squares() -> None:
    constant = torch.full((1, 3, 12, 12), 0.4)
    assert torch.allclose(hints.lowres(constant), constant)
    images = noise(1, 1, 10, 8)
    found = hints.lowres(images)
    assert torch.allclose(found[..., :4, 4:], images[..., :4, 4:].mean().expand(1, 1, 4, 4), atol=1e-6)
    assert torch.allclose(found[..., 8:, :4], images[..., 8:, :4].mean().expand(1, 1, 2, 4), atol=1e-6)
    assert torch.allclose(hints.lowres(found), found, atol=1e-6)


def test_a_mask_is_what_is_light() -> None:
    grey = torch.tensor([-1.0, -0.1, 0.1, 1.0]).reshape(1, 1, 1, 4)
    assert hints.mask(grey).flatten().tolist() == [-1, -1, 1, 1]
    colours = torch.tensor([[0, 0, 0], [140, 140, 140], [0, 0, 150], [255, 0, 0]]) / 127.5 - 1
    assert hints.mask(colours.T.reshape(1, 3, 1, 4)).flatten().tolist() == [-1, -1, 1, 1]


@pytest.mark.parametrize("name", COMPUTED)
def test_no_number_is_asked_of_a_tensor(name: str) -> None:
    """On a device without values nothing can be looked at: so an accelerator is never waited for."""
    extract = CONDITIONS[name].extract
    assert extract
    assert extract(torch.empty(2, 3, 32, 32, device="meta")).shape[2:] == (32, 32)
