"""The audit of samples for copies of training images: its edges, its words, and what it needs of its caller."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from diffcli.checks.evaluation.memorisation import end, neighbours, smooth, training
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.metrics import nearest as search
from diffcli.metrics.memorisation import Audit, audit, fisher_p_value, judged, lower_quantile, nearest_in_features
from diffcli.metrics.nearest import VARIANTS, Neighbours, Variant, nearest, planes


def audited(samples: Tensor, train: Tensor, held: Tensor, places: Tensor | None = None) -> Audit:
    return end(audit(samples, training(train), held, places))


def test_the_p_value_is_that_of_fishers_exact_test() -> None:
    for some, count, others, other_count in ((5, 100, 2, 300), (0, 5, 0, 7), (40, 40, 0, 10), (12, 1000, 8, 900)):
        table = [[some, count - some], [others, other_count - others]]
        wanted = stats.fisher_exact(table, alternative="greater").pvalue
        assert fisher_p_value(some, count, others, other_count) == pytest.approx(wanted, rel=1e-9)


def test_the_quantile_lies_between_order_statistics_and_never_below_the_smallest() -> None:
    values = torch.tensor([5.0, 1.0, 2.0, 4.0, 3.0])
    assert lower_quantile(values, 0.01) == 1
    assert lower_quantile(values, 0.25) == pytest.approx(1.5)
    assert lower_quantile(values, 0.5) == pytest.approx(3)
    assert lower_quantile(values, 0.99) == 5


def test_variants_are_all_different_the_plain_one_first_and_say_what_they_are() -> None:
    assert len(set(VARIANTS)) == 18
    assert str(VARIANTS[0]) == "as it is"
    assert str(Variant(1, -1, True)) == "1 down and 1 left, mirrored"
    assert str(Variant(0, 1, False)) == "1 right"
    assert str(Variant(-1, 0, False)) == "1 up"
    assert str(Variant(0, 0, True)) == "mirrored"


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (1, 4, 4), (1, 15, 40), (3, 33, 70), (1, 256, 100)])
def test_images_of_any_size_find_themselves(shape: tuple[int, int, int]) -> None:
    images = smooth(12, shape, 1)
    found = end(nearest(images, training(images)))
    if shape != (1, 1, 1):
        assert found.places[:, 0].tolist() == list(range(12))
    assert found.distances[:, 0].abs().max() < 1e-6
    assert (found.distances[:, 1] >= found.distances[:, 0]).all()


def test_large_images_are_reduced_and_small_ones_keep_their_size() -> None:
    assert planes(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 26, 26)
    assert planes(torch.zeros(2, 3, 32, 32)).shape == (2, 3, 30, 30)
    assert planes(torch.zeros(2, 3, 256, 128)).shape == (2, 3, 30, 14)
    assert planes(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)


def test_the_number_read_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, images = smooth(90, (1, 16, 16), 2), smooth(70, (1, 16, 16), 3)
    train[50:58] = train[20:28]
    left_out = torch.tensor([1, 52, 80])
    whole = end(nearest(images, training(train), None, left_out))
    monkeypatch.setattr(search, "CHUNK", 20)
    monkeypatch.setattr(search, "READ", 7 * 256)
    monkeypatch.setattr(search, "BLOCK", 9)
    parts = end(nearest(images, training(train), None, left_out))
    assert parts.places.equal(whole.places)
    assert parts.distances.equal(whole.distances)
    assert parts.variants.equal(whole.variants)


def test_the_progress_rises_to_all_pairs() -> None:
    train, images = smooth(90, (1, 16, 16), 2), smooth(150, (1, 16, 16), 3)
    steps = [(done, total) for done, total, _ in nearest(images, training(train))]
    assert [done for done, _ in steps] == [64 * 90, 128 * 90, 150 * 90, 150 * 90]
    assert {total for _, total in steps} == {150 * 90}


def test_images_on_disk_are_read_once() -> None:
    class Disk:
        reads = 0

        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Tensor:
            self.reads += 1
            return pixels[index]

    disk, pixels = Disk(), training(images := smooth(40, (1, 16, 16), 4)).storage
    end(nearest(images[:3], Dataset("toy", Items(IMAGES, (1, 16, 16)), disk, None, "")))
    assert disk.reads == 2 * 40  # once for the directions, of some


def test_only_the_places_that_were_trained_on_can_be_copied() -> None:
    images = smooth(300, (1, 16, 16), 5)
    trained, held = torch.arange(0, 200), images[200:]
    samples = torch.cat([smooth(100, (1, 16, 16), 6), images[:10]])
    said = audited(samples, images, held, trained)
    assert said.flagged
    assert said.held.identical == 0
    assert said.samples.identical == 10
    assert {pair.training for pair in said.pairs} == set(range(10))
    assert not audited(torch.cat([samples[:100], images[200:210]]), images, held[10:], trained).flagged


def test_a_copy_of_an_image_that_is_there_twice_is_one_and_duplicates_raise_no_alarm() -> None:
    images = smooth(400, (1, 16, 16), 7)
    train, held, honest = images[:150], images[150:250], images[250:]
    twice = torch.cat([train, train])
    said = audited(torch.cat([honest, train[:12]]), twice, held)
    assert said.flagged
    assert said.samples.copies == 12
    assert max(pair.ratio for pair in said.pairs) < 1e-3
    said = audited(honest, twice, held)
    assert not said.flagged
    assert said.training is not None
    assert said.training.copies == 0


def test_training_images_are_no_references_where_held_out_ones_are_enough() -> None:
    images = smooth(2100, (1, 8, 8), 8)
    assert audited(images[:20], images[20:100], images[100:]).training is None
    few = audited(images[:20], images[20:100], images[100:200]).training
    assert few is not None
    assert few.count == 80


def distances(count: int, copies: int = 0, identical: int = 0) -> Neighbours:
    """Of images, of which some are copies and some, among these, identical."""
    first, second = torch.full((count,), 0.2), torch.full((count,), 0.21)
    first[:copies], first[:identical] = 0.02, 0.0
    return neighbours(first, second)


def test_the_reason_of_an_alarm_has_the_numbers() -> None:
    said = judged(distances(1000, 50), distances(4000, 1))
    assert said.flagged
    assert said.reason.startswith(
        "50 of 1,000 samples (5.00 %) are near-copies of training images, against 1 of 4,000 held-out images:"
        " more than chance allows (p = "
    )


def test_the_reason_of_none_says_which_share_would_have_been_noticed() -> None:
    said = judged(distances(1000), distances(4000))
    assert not said.flagged
    assert said.p_value == 1
    assert said.noticeable == pytest.approx(0.005)
    assert said.reason.endswith("no more than chance allows (p = 1); copies would have been noticed from 0.5 % on")
    assert judged(distances(1000, 5), distances(4000)).flagged
    assert not judged(distances(1000, 4), distances(4000)).flagged


def test_a_handful_of_samples_shows_nothing_and_says_so() -> None:
    said = judged(distances(2, 2), distances(40))
    assert not said.flagged
    assert said.noticeable is None
    assert "no share of copies would have been noticed" in said.reason


def test_held_out_images_that_are_near_copies_themselves_hide_all_but_identical_ones() -> None:
    assert not judged(distances(1000, 300), distances(1000, 270)).flagged
    said = judged(distances(1000, 300, 50), distances(1000, 270))
    assert said.flagged
    assert said.reason.startswith("50 of 1,000 samples (5.00 %) are identical to training images, against 0 of 1,000")


def test_training_images_alone_raise_no_alarm_where_the_held_out_images_are_too_few_to_agree() -> None:
    said = judged(distances(100, 8), distances(20, 1), distances(1900))
    assert said.p_value < 1e-3
    assert not said.flagged
    assert "the held-out images alone are too few" in said.reason


def test_smoother_samples_are_nearer_to_the_data_but_no_copies() -> None:
    held = neighbours(torch.linspace(0.2, 0.4, 500), torch.linspace(0.21, 0.42, 500))
    smoother = neighbours(torch.linspace(0.1, 0.2, 500), torch.linspace(0.105, 0.21, 500))
    said = judged(smoother, held)
    assert said.share > 0.9
    assert not said.flagged


@pytest.mark.parametrize(
    ("samples", "train", "held"),
    [
        (smooth(5, (1, 8, 9), 1), smooth(9, (1, 8, 8), 2), smooth(5, (1, 8, 8), 3)),
        (smooth(5, (1, 8, 8), 1), smooth(9, (1, 8, 8), 2), smooth(0, (1, 8, 8), 3)),
        (smooth(5, (1, 8, 8), 1) / 0, smooth(9, (1, 8, 8), 2), smooth(5, (1, 8, 8), 3)),
        (smooth(5, (1, 8, 8), 1), smooth(2, (1, 8, 8), 2), smooth(5, (1, 8, 8), 3)),
        (smooth(5, (1, 8, 8), 1), smooth(1, (1, 8, 8), 2).expand(9, -1, -1, -1), smooth(5, (1, 8, 8), 3)),
    ],
    ids=["another shape", "none held out", "no numbers", "two training images", "nine equal ones"],
)
def test_what_cannot_be_audited_is_refused(samples: Tensor, train: Tensor, held: Tensor) -> None:
    with pytest.raises(ValueError, match="needed"):
        audited(samples, train, held)


def test_features_of_copies_are_nearest_to_their_originals() -> None:
    generator = torch.Generator().manual_seed(9)
    train, held, honest = (torch.randn(count, 20, generator=generator) for count in (300, 600, 600))
    said = end(nearest_in_features(torch.cat([honest, train[:60]]), train, held))
    assert 60 / 660 <= said.share < 0.12
    copies = end(nearest_in_features(train[:60], train, held))
    assert copies.ratio == 0
    assert copies.share == 1
