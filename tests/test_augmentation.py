"""Augmentations: what each does to an image, and that an image's own number alone decides."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sessions
import torch
from conftest import Cli, assert_refused
from torch import Tensor

from diffcli.data import fitting
from diffcli.data.augmentation import AUGMENTATIONS, Augment, augmentations
from diffcli.data.dataset import Dataset
from diffcli.data.folders import load_folder
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.streaming import stream
from diffcli.errors import UsageProblem
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.training.recipes import override
from diffcli.training.recipes.diffusion import RECIPES

NAMES = tuple(AUGMENTATIONS)
EVERY = Augment(NAMES, 7)


def pictures_of(count: int, *shape: int) -> Tensor:
    """uint8 noise."""
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def ramp(height: int, width: int, channels: int = 1) -> Tensor:
    """One image that grows evenly from left to right, 3 for a column: [1, C, H, W]."""
    return (3 * torch.arange(width, dtype=torch.uint8)).expand(1, channels, height, width).clone()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 12, 20), (3, 2, 2), (1, 1, 1), (1, 1, 9)], ids=str)
def test_an_augmentation_keeps_shape_and_type_and_leaves_its_input_alone(name: str, shape: tuple[int, ...]) -> None:
    images = pictures_of(5, *shape)
    before = images.clone()
    changed = Augment((name,), 0)(images, 0)
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    assert torch.equal(images, before)


@pytest.mark.parametrize(("name", "axis"), [("flip", -1), ("vflip", -2)])
def test_half_of_the_images_are_mirrored_and_the_others_untouched(name: str, axis: int) -> None:
    images = pictures_of(2000, 1, 3, 3)
    changed = Augment((name,), 0)(images, 0)
    mirrored = (changed == images.flip(axis)).flatten(1).all(1)
    untouched = (changed == images).flatten(1).all(1)
    assert (mirrored ^ untouched).all()
    assert 0.46 < mirrored.float().mean() < 0.54


def test_a_crop_shifts_by_up_to_an_eighth_and_each_shift_is_as_likely() -> None:
    """In a ramp of 3 for a column, the middle tells how far."""
    changed = Augment(("crop",), 0)(ramp(16, 64).expand(9000, -1, -1, -1), 0)
    shifts = changed[:, 0, 0, 32].long() // 3 - 32
    counts = torch.stack([(shifts == shift).sum() for shift in range(-8, 9)])
    assert counts.sum() == 9000
    assert (counts - 9000 / 17).abs().max() < 5 * (9000 / 17) ** 0.5


def test_a_crop_reflects_the_edges() -> None:
    row = ramp(8, 16)
    for changed in Augment(("crop",), 0)(row.expand(200, -1, -1, -1), 0):
        shift = int(changed[0, 0, 8]) // 3 - 8
        expected = [min(abs(i), 30 - abs(i)) for i in range(shift, 16 + shift)]
        assert changed[0, 3].tolist() == [3 * i for i in expected]


def test_a_rotation_is_by_up_to_ten_degrees_and_brings_no_black_corners() -> None:
    """The slope of a ramp across the rows is the tangent of the angle, and white stays white everywhere."""
    images = 2 * ramp(41, 41).expand(400, -1, -1, -1)
    changed = Augment(("rotate",), 0)(images, 0).double()
    tangents = (changed[:, 0, 38, 20] - changed[:, 0, 2, 20]) / (6 * 36)
    angles = tangents.atan().rad2deg()
    assert angles.abs().max() < 10.4
    assert angles.max() > 9
    assert angles.min() < -9
    white = torch.full((50, 3, 20, 30), 255, dtype=torch.uint8)
    assert torch.equal(Augment(("rotate",), 0)(white, 0), white)


def test_colours_change_by_up_to_a_fifth_each() -> None:
    """A flat grey has neither contrast nor saturation: it shows the factor of the brightness."""
    flat = torch.full((500, 3, 4, 4), 200, dtype=torch.uint8)
    changed = Augment(("color",), 0)(flat, 0).double()
    assert (changed - changed[:, :1, :1, :1]).abs().max() == 0
    factors = changed[:, 0, 0, 0] / 200
    assert 0.78 < factors.min() < 0.82
    assert 1.18 < factors.max() < 1.21
    assert Augment(("color",), 0)(pictures_of(3, 1, 4, 4), 0).shape == (3, 1, 4, 4)


# The same images whatever the batch, the process and the point where a run goes on


@pytest.mark.parametrize("first", [0, 5, 1020, 10**9])
def test_an_image_is_changed_by_its_number_whatever_comes_with_it(first: int) -> None:
    images = pictures_of(8, 3, 16, 16)
    together = EVERY(images, first)
    assert torch.equal(torch.cat([EVERY(images[i : i + 1], first + i) for i in range(8)]), together)
    assert torch.equal(torch.cat([EVERY(images[:3], first), EVERY(images[3:], first + 3)]), together)


def test_the_same_image_is_changed_anew_each_time_and_otherwise_by_another_seed() -> None:
    image = pictures_of(1, 3, 16, 16)
    changed = EVERY(image.expand(30, -1, -1, -1), 0)
    assert len(changed.flatten(1).unique(dim=0)) == 30
    assert not torch.equal(Augment(NAMES, 8)(image, 0), EVERY(image, 0))


def test_augmentations_do_not_share_their_random_numbers() -> None:
    """Half of the images that are mirrored left to right are turned upside down, too."""
    images = pictures_of(2000, 1, 4, 4)
    flipped, turned = ((Augment((n,), 0)(images, 0) != images).flatten(1).any(1) for n in ("flip", "vflip"))
    assert 0.45 < turned[flipped].float().mean() < 0.55


def batches(dataset: Dataset, batch: int, first: int, count: int, augment: Augment = EVERY) -> Tensor:
    """So many images of the stream from `first` on."""
    taken = stream(dataset, torch.arange(len(dataset)), batch=batch, seed=3, augment=augment)(first)
    return torch.cat([images for images, _ in islice(taken, count // batch)])


def test_one_batch_of_128_is_two_of_64() -> None:
    dataset = Dataset("x", Items(IMAGES, (1, 8, 8)), pictures_of(100, 1, 8, 8), None, "")
    assert torch.equal(batches(dataset, 128, 0, 128), batches(dataset, 64, 0, 128))
    assert torch.equal(batches(dataset, 64, 0, 256)[64:], batches(dataset, 64, 64, 192))


@pytest.mark.parametrize("workers", [1, 3])
def test_worker_processes_change_images_alike(pictures: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    in_memory = batches(load_folder(pictures), 32, 64, 128)
    monkeypatch.setattr(fitting, "MEMORY_LIMIT", 0)
    monkeypatch.setattr("diffcli.data.streaming.WORKERS", workers)
    assert torch.equal(batches(load_folder(pictures), 16, 64, 128), in_memory)


def test_a_run_that_goes_on_ends_with_the_same_weights_bit_for_bit(pictures: Path, tmp_path: Path) -> None:
    changes = {"data.name": str(pictures), "data.augment": ",".join(NAMES), "steps": 6, "batch": 8}
    recipe = override(RECIPES["tiny"], changes)
    whole, _ = read_checkpoint(sessions.train(recipe, tmp_path / "whole"))
    sessions.train(recipe, tmp_path / "parts", stop_at=3)
    with sessions.resumed(tmp_path / "parts") as session:
        parts, _ = read_checkpoint(sessions.finish(session))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


# What is asked for


@pytest.mark.parametrize(
    ("text", "names"), [("", ()), (" ", ()), ("flip", ("flip",)), ("crop, flip", ("crop", "flip"))], ids=str
)
def test_names_are_separated_by_commas(text: str, names: tuple[str, ...]) -> None:
    assert augmentations(text) == names


@pytest.mark.parametrize(
    ("text", "words"), [("flipp", "did you mean flip?"), ("flip,,crop", "known: flip"), ("flip,flip", "once")]
)
def test_an_unknown_or_repeated_augmentation_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        augmentations(text)
    assert words in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "augment=rotat"], ("unknown augmentation 'rotat'", "did you mean rotate?")),
        (["--dataset", "moons", "--set", "augment=crop"], ("moons holds points",)),
        (["--set", "augment=1"], ("augment must be",)),
    ],
    ids=str,
)
def test_train_refuses_what_it_cannot_do(cli: Cli, arguments: list[str], words: Any) -> None:
    assert_refused(cli("train", "--recipe", "tiny", "--steps", 1, *arguments), 2, *words)


def test_the_old_key_is_the_new_one() -> None:
    assert override(RECIPES["tiny"], {"flip": True}).data.augment == "flip"
