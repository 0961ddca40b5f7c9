"""Hints in files beside images: how they are paired, brought to the images' shape, and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused
from PIL import Image

from diffcli.data import pairs
from diffcli.data.folders import load_folder
from diffcli.data.loading import lasting, load_dataset
from diffcli.data.reading import Reading
from diffcli.errors import UsageProblem


def written(path: Path, value: int, size: tuple[int, int] = (6, 6), mode: str = "L") -> Path:
    """A picture whose left half is `value`, and whose right is black."""
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[:, : size[0] // 2] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Two classes of three pairs, image i of 10 i and its mask of 10 i + 1."""
    for i in range(6):
        stem = tmp_path / "pets" / ("cats" if i < 3 else "dogs") / f"{i}"
        written(stem.with_suffix(".png"), 10 * i)
        written(stem.with_suffix(".mask.png"), 10 * i + 1)
    return tmp_path / "pets"


def test_files_of_a_word_are_the_hints_of_the_images_beside_them(beside: Path) -> None:
    found = load_folder(beside, Reading(hints="mask"))
    assert len(found) == 6
    assert found.class_counts == [3, 3]
    x0, conditions = found.take([4, 1])
    assert torch.allclose((conditions["hint"] - x0)[..., :3], torch.tensor(1 / 127.5))
    assert conditions["hint"].shape == (2, 1, 6, 6)
    assert not any("left out" in note for note in found.notes)


def test_a_folder_of_the_same_names_gives_hints(beside: Path) -> None:
    for path in beside.rglob("*.mask.png"):
        to = beside.parent / "masks" / path.parent.name / f"{path.name.split('.')[0]}.bmp"
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(to)
        path.unlink()
    found = load_folder(beside, Reading(hints=str(beside.parent / "masks")))
    x0, conditions = found.take(range(6))
    assert torch.allclose((conditions["hint"] - x0)[..., :3], torch.tensor(1 / 127.5))
    kept = lasting(str(beside), Reading(hints=str(beside.parent / "masks")), found)[1]
    assert Path(kept.hints).is_absolute()


def test_a_folder_of_hints_among_the_images_is_no_class(tmp_path: Path) -> None:
    for i in range(4):
        written(tmp_path / "a" / f"{i}.png", i)
        written(tmp_path / "a" / "edges" / f"{i}.png", 100)
    found = load_folder(tmp_path / "a", Reading(hints=str(tmp_path / "a" / "edges")))
    assert (len(found), found.labels) == (4, None)


def test_hints_are_cropped_as_their_images_and_their_values_are_not_mixed(tmp_path: Path) -> None:
    size = (40, 20)
    written(tmp_path / "x.png", 200, size)
    written(tmp_path / "x.map.png", 7, size)
    found = load_folder(tmp_path, Reading(hints="map", size=5))
    assert isinstance(found.hints, torch.Tensor)
    assert found.hints.shape == (1, 1, 5, 5)
    assert set(found.hints.unique().tolist()) == {0, 7}
    image, hint = found.storage[0].float(), found.hints[0].float()
    assert ((image > 100) == (hint > 3))[..., [0, 1, 3, 4]].all()


def test_hints_of_large_sets_stay_in_their_files(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_folder(beside, Reading(hints="mask"))
    monkeypatch.setattr(pairs, "MEMORY_LIMIT", 0)
    lazy = load_folder(beside, Reading(hints="mask"))
    assert isinstance(lazy.hints, pairs.HintPages)
    places = torch.tensor([5, 0])
    assert torch.equal(lazy.known(places)["hint"], whole.known(places)["hint"])


def test_the_fingerprint_knows_the_hints(beside: Path) -> None:
    before = load_folder(beside, Reading(hints="mask")).fingerprint
    written(beside / "cats" / "0.mask.png", 99)
    assert load_folder(beside, Reading(hints="mask")).fingerprint != before


def test_pairs_that_do_not_match_are_counted_and_named(cli: Cli, beside: Path) -> None:
    for i in (0, 1):
        (beside / "cats" / f"{i}.mask.png").unlink()
    written(beside / "dogs" / "9.mask.png", 1)
    result = cli("data", beside, "--set", "data.hints=mask")
    assert_refused(result, 3, "2 of 6 images without a hint (cats/0.png, cats/1.png)",
                   "1 of 5 hints without an image (dogs/9.mask.png)")  # fmt: skip


def test_a_hint_of_another_shape_is_refused(cli: Cli, beside: Path) -> None:
    written(beside / "cats" / "2.mask.png", 1, (8, 6))
    result = cli("data", beside, "--set", "data.hints=mask")
    assert_refused(result, 3, "1 hint has another shape than the image: cats/2.mask.png (8x6, its image 6x6)")


def test_a_broken_hint_and_one_of_16_bits_are_refused(cli: Cli, beside: Path) -> None:
    Image.fromarray(np.zeros((6, 6), np.uint16)).save(beside / "cats" / "2.mask.png")
    assert_refused(cli("data", beside, "--set", "data.hints=mask"), 3, "2.mask.png has more than 8 bits")
    (beside / "cats" / "2.mask.png").write_bytes(b"no picture")
    assert_refused(cli("data", beside, "--set", "data.hints=mask"), 3, "2.mask.png is not a readable image")


def test_a_folder_of_hints_that_is_not_there_is_refused(cli: Cli, beside: Path) -> None:
    assert_refused(cli("data", beside, "--set", "data.hints=./masks"), 3, "no such folder of hints: ./masks")


def test_hints_that_are_not_asked_for_are_told_of(beside: Path, tmp_path: Path) -> None:
    notes = load_folder(beside).notes
    assert any("6 images lie beside others as NAME.mask beside NAME: --set data.hints=mask" in note for note in notes)
    for i in range(6):
        written(tmp_path / "plain" / f"photo.{i}.png", 10 * i)
    assert not any("hints" in note for note in load_folder(tmp_path / "plain").notes)


def test_what_has_no_files_of_its_own_takes_no_hints(tmp_path: Path) -> None:
    for name in ("mnist", "moons"):
        with pytest.raises(UsageProblem, match="hints belongs to folders"):
            load_dataset(name, reading=Reading(hints="mask"))
    with pytest.raises(UsageProblem, match="no hint edges is known"):
        load_dataset("canvas-64", "test", reading=Reading(hints="edges"))
