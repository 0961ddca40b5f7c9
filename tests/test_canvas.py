"""Canvases: the same bytes everywhere, painted as is said, and what is known of them is what can be seen."""

import hashlib
import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from diffcli.core.processes import hints
from diffcli.data.canvas import Canvases, canvas_dataset, with_hints
from diffcli.data.canvas_names import COUNTS, SIDES
from diffcli.data.canvas_paint import FULL, GROUNDS, INKS, TEXTURES, TONES, digit, disc, polygon, resampling, textures
from diffcli.data.canvas_scenes import SEED, SIDE, scenes
from diffcli.data.canvas_truth import boundaries, truth
from diffcli.data.loading import has_test_split, lasting, load_dataset
from diffcli.data.reading import Reading
from diffcli.data.streaming import stream
from diffcli.errors import UsageProblem

FIRST = 120
SMALL, LARGE = (Canvases(scenes("test"), side) for side in SIDES.values())
DIGESTS = {
    ("canvas-64", "train"): "82223cab2701c111", ("canvas-64", "test"): "cd851ab0567497dd",
    ("canvas-128", "train"): "2a1aac1f7534cb47", ("canvas-128", "test"): "389d3a595f307a7b",
}  # fmt: skip


def first(canvases: Canvases, count: int = FIRST) -> torch.Tensor:
    return torch.stack([canvases[i] for i in range(count)])


def digits_of(canvases: Canvases, count: int = FIRST) -> torch.Tensor:
    masks = np.stack([canvases.mask(i) for i in range(count)])
    return torch.from_numpy((masks >= 1) & (masks <= 10))


def iou(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return (got & wanted).sum((1, 2)) / (got | wanted).sum((1, 2))


@pytest.mark.parametrize(("name", "split"), DIGESTS)
def test_the_first_canvases_have_the_bytes_that_they_had(name: str, split: str) -> None:
    pixels = first(Canvases(scenes(split), SIDES[name]), 32)
    assert hashlib.sha256(pixels.numpy().tobytes()).hexdigest()[:16] == DIGESTS[name, split]


def test_a_canvas_depends_on_its_number_alone() -> None:
    others = Canvases(scenes.__wrapped__("test"), 64)
    assert torch.equal(others[77], SMALL[77])
    assert torch.equal(pickle.loads(pickle.dumps(SMALL))[77], SMALL[77])
    assert torch.equal(SMALL[-1], SMALL[len(SMALL) - 1])
    with pytest.raises(IndexError):
        SMALL[len(SMALL)]


def test_the_set_is_known_by_name_and_has_both_splits() -> None:
    found = load_dataset("canvas", "test")
    assert (found.name, found.shape, len(found), found.classes) == (
        "canvas-64",
        (3, 64, 64),
        10_000,
        tuple("0123456789"),
    )
    assert len(scenes("train")) == COUNTS["train"]
    assert found.fingerprint != load_dataset("canvas-128", "test").fingerprint
    assert found.fingerprint != load_dataset("canvas-64").fingerprint
    assert has_test_split("canvas")
    assert lasting("canvas", Reading(), found)[0] == "canvas-64"
    x0, conditions = found.take([3, 5])
    assert torch.equal(conditions["label"], torch.tensor([truth(SMALL, i).label for i in (3, 5)]))
    assert (x0.min() >= -1, x0.max() <= 1) == (True, True)
    with pytest.raises(UsageProblem):
        load_dataset("canvas-64", "val")


def test_classes_and_numbers_of_digits_are_as_likely_as_is_said() -> None:
    labels = scenes("train").digits[:, :, 0]
    counts = np.bincount(labels[:, 0], minlength=10)
    assert np.abs(counts - 5000).max() < 5 * 4500**0.5
    shown = (labels >= 0).sum(1)
    assert [round((shown == n).mean().item(), 2) for n in (1, 2, 3)] == [0.37, 0.39, 0.24]


def test_boxes_of_digits_lie_inside_and_apart_and_the_first_is_the_largest() -> None:
    for i in range(FIRST):
        boxes = SMALL.boxes(i)
        sides = SMALL.scenes.digits[i, : len(boxes), 2]
        assert all(sides[0] >= 1.5 * side for side in sides[1:])
        for n, one in enumerate(boxes):
            assert 0 <= one.left < one.right <= SIDE
            assert 0 <= one.top < one.bottom <= SIDE
            for other in boxes[:n]:
                beside = one.left >= other.right or other.left >= one.right
                assert beside or one.top >= other.bottom or other.top >= one.bottom
        colours = SMALL.scenes.digits[i, : len(boxes), 1].tolist()
        assert len(set(colours)) == len(colours)


@pytest.mark.parametrize("canvases", [SMALL, LARGE], ids=["64", "128"])
def test_the_mask_of_digits_is_found_again_in_the_image(canvases: Canvases) -> None:
    found = iou(hints.mask(first(canvases) / 127.5 - 1)[:, 0] > 0, digits_of(canvases))
    assert found.mean() > 0.98
    assert found.min() > 0.9


def test_the_mask_rule_lies_between_what_is_painted_dark_and_what_is_painted_light() -> None:
    dark = max(max(colour) for pair in (*GROUNDS.values(), (*TONES.values(),)) for colour in pair)
    assert dark <= 124
    assert {max(colour) for colour in INKS.values()} == {255}
    assert dark < hints.LIGHT < 255


@pytest.mark.parametrize("canvases", [SMALL, LARGE], ids=["64", "128"])
def test_edges_that_are_computed_are_those_that_are_known(canvases: Canvases) -> None:
    got = (hints.edges(first(canvases, 40) / 127.5 - 1) > 0).float()
    known = boundaries(torch.from_numpy(np.stack([canvases.mask(i) for i in range(40)]))).unsqueeze(1).float()
    assert (got * max_pool2d(known, 3, 1, 1)).sum() / got.sum() > 0.97
    assert (known * max_pool2d(got, 3, 1, 1)).sum() / known.sum() > 0.95


def test_canvases_of_128_are_those_of_64_in_twice_the_resolution() -> None:
    small, large = first(SMALL).float(), avg_pool2d(first(LARGE).float(), 2)
    assert (small - large).abs().mean() < 1.5
    assert (small - large).square().mean().sqrt() < 6
    for i in range(20):
        assert truth(SMALL, i).caption == truth(LARGE, i).caption
        for one, other in zip(SMALL.boxes(i), LARGE.boxes(i), strict=True):
            assert max(abs(2 * a - b) for a, b in zip(one[1:], other[1:], strict=True)) <= 3


def test_all_that_is_known_of_a_canvas_agrees() -> None:
    for i in range(30):
        found = truth(SMALL, i)
        assert torch.equal(found.layout.any(0), sum_of_boxes(found.boxes))
        for box in found.boxes:
            inside = found.mask == 1 + box.label
            assert bool((inside & found.layout[box.label]).any())
            assert not bool((inside & ~found.layout[box.label]).any())
        assert torch.equal(found.edges, boundaries(found.mask))
        means = avg_pool2d(found.image.double().unsqueeze(0), 4)[0]
        assert (found.lowres.double() - means).abs().max() <= 0.5
        assert found.document["caption"] == found.caption


def sum_of_boxes(boxes: tuple[tuple[int, int, int, int, int], ...]) -> torch.Tensor:
    found = torch.zeros(64, 64, dtype=torch.bool)
    for _, left, top, right, bottom in boxes:
        found[top:bottom, left:right] = True
    return found


def test_a_caption_says_where_colours_and_classes_are() -> None:
    for i in range(60):
        boxes, text = SMALL.boxes(i), truth(SMALL, i).caption
        words = text.split(", on a")[0]
        colours = [list(INKS)[c] for c in SMALL.scenes.digits[i, : len(boxes), 1]]
        assert words.startswith(f"a large {colours[0]} {boxes[0].label}")
        for box, colour in zip(boxes[1:], colours[1:], strict=True):
            if f"above a small {colour} {box.label}" in words:
                assert boxes[0].top + boxes[0].bottom < box.top + box.bottom
            elif f"left of a small {colour} {box.label}" in words:
                assert boxes[0].left + boxes[0].right < box.left + box.right
            else:
                assert f"w a small {colour} {box.label}" in words or f"of a small {colour} {box.label}" in words


def test_hints_are_the_mask_and_the_layout_and_stay_with_their_items() -> None:
    whole = canvas_dataset("canvas-64", "test")
    mask, layout = (with_hints(whole, name) for name in ("mask", "layout"))
    places = torch.tensor([4, 0])
    assert torch.equal(mask.known(places)["hint"][:, 0] > 0, digits_of(SMALL, 5)[places])
    assert torch.equal(layout.known(places)["hint"][0] > 0, truth(SMALL, 4).layout)
    assert set(layout.known(places)["hint"].unique().tolist()) == {-1.0, 1.0}
    some = whole.only(torch.tensor([9, 4]))
    assert torch.equal(with_hints(some, "mask").known(torch.tensor([1]))["hint"], mask.known(torch.tensor([4]))["hint"])
    named = load_dataset("canvas-64", "test", reading=Reading(hints="layout"))
    assert torch.equal(named.known(places)["hint"], layout.known(places)["hint"])
    with pytest.raises(UsageProblem, match="no mask is known of mnist"):
        with_hints(load_dataset("mnist", "test"), "mask")


def test_canvases_and_their_hints_come_in_batches() -> None:
    dataset = with_hints(canvas_dataset("canvas-64", "test"), "mask")
    for x0, conditions in islice(stream(dataset, torch.arange(30), batch=8, seed=0)(0), 2):
        agreed = iou(hints.mask(x0)[:, 0] > 0, conditions["hint"][:, 0] > 0)
        assert agreed.min() > 0.9


# What they are painted with


def test_weights_of_resampling_are_whole_and_sum_to_64_and_keep_a_ramp() -> None:
    for side in (20, 28, 45, 100):
        weights = resampling(side)
        assert (weights == weights.round()).all()
        assert (weights.sum(1) == 64).all()
        middles = (np.arange(side) + 0.5) * 28 / side - 0.5
        away = np.abs(weights @ np.arange(28) / 64 - middles)[side // 8 : -side // 8]
        assert away.max() < 0.25
    assert (digit(np.full((28, 28), 255, np.uint8), 40) == FULL).all()
    assert (digit(np.zeros((28, 28), np.uint8), 40) == 0).all()


def test_shapes_have_the_areas_of_their_formulas() -> None:
    away = 16 * np.arange(-40, 40, dtype=np.int32) + 8
    for turn in (0, 7, 40):
        for shape, area in (
            (disc(away, away, 160), np.pi * 100),
            (polygon(away, away, 160, 4, turn), 4 * 100),
            (polygon(away, away, 160, 3, turn), 3 * 3**0.5 * 100),
        ):
            assert shape.sum() / FULL == pytest.approx(area, rel=0.02)


def test_textures_use_their_range_and_continue_at_their_edges() -> None:
    for side in (64, 128):
        bank = textures(side, SEED)
        assert bank.shape == (TEXTURES, 2 * side, 2 * side)
        assert bank.min() >= 0
        assert bank.max() <= FULL
        assert (np.ptp(bank, axis=(1, 2)) > FULL // 2).all()
        steps = np.abs(np.diff(bank.astype(int), axis=2))
        assert steps[:, :, side - 1].mean() < 1.5 * steps.mean()
    halves = textures(128, SEED)[:, :128, :128].reshape(TEXTURES, 64, 2, 64, 2).mean((2, 4))
    assert np.abs(halves - textures(64, SEED)[:, :64, :64]).max() <= 0.5
