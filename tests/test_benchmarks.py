"""What the scripts in benchmarks/ compute of what they measure."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from growth import exponent, line
from measuring import put
from racing import report, stages, training
from racing.judging import Verdict, as_good, verdict
from racing.limit import counted
from racing.peers import Walk
from racing.report import Chain
from racing.runners import Race, Runner, runners, trained

OURS, THEIRS = Runner("diffcli", False, True), Runner("diffusers", True, True)
OTHERS = Runner("lucidrains", False, True)


def judged(frechet: float, read: float | None = None, error: float = 0.0) -> Verdict:
    return Verdict(frechet, error, 0.1, read, None if read is None else 0.01, 1000)


# How cost grows


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found_without_error(power: float) -> None:
    sizes = [1.0, 2.0, 5.0, 9.0]
    found = exponent(sizes, [3 * size**power for size in sizes])
    assert found.value == pytest.approx(power)
    assert found.error == pytest.approx(0, abs=1e-7)


def test_the_error_of_an_exponent_is_that_of_a_slope() -> None:
    """By hand: logarithms 0, 1, 2 with 0, 2, 1 have slope 1/2; what is left is 3/2, on 1 degree of freedom, over 2."""
    e = math.e
    found = exponent([1, e, e**2], [1, e**2, e])
    assert found.value == pytest.approx(0.5)
    assert found.error == pytest.approx(math.sqrt(1.5 / 2))


def test_two_points_have_an_exponent_but_no_error() -> None:
    found = exponent([1, 2], [1, 8])
    assert found.value == pytest.approx(3)
    assert str(found) == "3.00"


def test_memory_has_a_fixed_part_and_one_for_each_image() -> None:
    assert line([1, 2, 4], [107, 114, 128]) == pytest.approx((100, 7))


def test_a_matrix_product_takes_two_operations_for_each_pair_of_numbers() -> None:
    assert counted(lambda: torch.ones(3, 5) @ torch.ones(5, 7)) == 2 * 3 * 5 * 7


# What a page says


def test_a_report_is_put_between_its_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("above\n<!-- race: by `race.py` -->\nold\n<!-- race: end -->\nbelow\n<!-- growth: end -->\n")
    put(page, "race", ["new", r"\1"])
    assert page.read_text() == (
        "above\n<!-- race: by `race.py` -->\n\nnew\n\\1\n\n<!-- race: end -->\nbelow\n<!-- growth: end -->\n"
    )
    with pytest.raises(SystemExit, match="no marks of growth"):
        put(page, "growth", ["new"])


# The race


def test_a_rate_rises_and_then_falls_to_nothing_at_the_end_of_the_time() -> None:
    course = training.Course("diffusers", False, 16, 1e-3, warmup=10)
    assert course.scale(0, 0) == pytest.approx(0.1)
    assert course.scale(9, 0) == 1
    assert course.scale(500, 0.5) == pytest.approx(0.5)
    assert course.scale(1000, 1) == pytest.approx(0, abs=1e-12)
    assert training.Course("lucidrains", False, 32, 8e-5, warmup=0, falls=False).scale(0, 1) == 1


def test_batches_hold_every_image_once_an_epoch_with_its_own_class() -> None:
    from diffcli.data.dataset import Dataset
    from diffcli.data.kinds import IMAGES, Items

    items = Items(IMAGES, (1, 1, 1), tuple("0123456789"))
    pixels = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    dataset = Dataset("ten", items, pixels, torch.arange(10), "ten")
    stream = training.shuffled(dataset, torch.arange(10), 5)
    x0, labels = (torch.cat(parts) for parts in zip(next(stream), next(stream), strict=True))
    assert sorted(labels.tolist()) == list(range(10))
    assert ((x0.flatten() + 1) * 127.5).round().long().tolist() == labels.tolist()


def test_a_stage_that_is_done_is_not_done_again_and_one_that_was_cut_is(tmp_path: Path) -> None:
    folder = stages.Folder(tmp_path / "race", {"minutes": 8})
    with pytest.raises(KeyboardInterrupt):
        folder.stage("train", _cut)
    assert folder.stage("train", lambda: [1, 2]) == [1, 2]
    assert stages.Folder(tmp_path / "race", {"minutes": 8}).stage("train", _cut) == [1, 2]


def _cut() -> None:
    raise KeyboardInterrupt


def test_a_folder_of_a_race_with_other_settings_is_refused(tmp_path: Path) -> None:
    stages.Folder(tmp_path, {"minutes": 8, "count": 10})
    with pytest.raises(SystemExit, match="other settings: minutes 8"):
        stages.Folder(tmp_path, {"minutes": 4, "count": 10})


def test_a_rate_that_stays_is_one_training_for_all_shares_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    race = Race(
        stages.Folder(tmp_path, {}), 8, (0.1, 1.0), 100, 50, 50, 50, tries=1, search=0.5, cores=2, bf16=False
    )  # fmt: skip
    (tmp_path / "stages" / "speed-lucidrains.json").write_text(
        '{"tried": [{"batch": 32, "threads": 1, "bf16": false, "images_per_second": 9}]}'
    )
    asked = []

    def work(what: str, threads: int, **told: object) -> list[dict[str, object]]:
        asked.append((what, threads, told["marks"]))
        losses = {"average": 2.0, "raw": 1.0}
        return [{"seconds": s, "steps": 3, "losses": losses, "weights": f"{i}"} for i, s in enumerate(told["marks"])]

    monkeypatch.setattr("racing.runners.work", work)
    runner = Runner("lucidrains", False, False)
    assert [trained(race, runner, share)["weights"] for share in (0.1, 1.0)] == ["0", "1"]
    assert trained(race, runner, 0.1)["which"] == "average"  # as documented, though the weights themselves are better
    assert asked == [("train", 1, [pytest.approx(48), pytest.approx(480)])]


def test_peers_race_as_documented_without_classes_and_tuned_with_them_too() -> None:
    names = [runner.name for runner in runners(["diffusers"])]
    assert sorted(names) == [
        "diffcli", "diffcli-classes", "diffusers", "diffusers-tuned", "diffusers-tuned-classes",
    ]  # fmt: skip


def test_the_better_peer_at_the_end_is_what_we_are_measured_by_at_the_first_share() -> None:
    quality = {
        OURS: {0.1: judged(2.0, 0.95), 1.0: judged(0.5, 0.99)},
        THEIRS: {0.1: judged(90.0, 0.1), 1.0: judged(3.0, 0.9)},
        OTHERS: {0.1: judged(1.0, 0.1), 1.0: judged(1.9, 0.97)},
    }
    distance, read = report.ahead(quality, 8, True)
    assert not distance.reached
    assert "lucidrains, as documented after 8 min" in distance.name
    assert not read.reached
    quality[OTHERS][1.0] = judged(2.1, 0.5)
    assert all(goal.reached for goal in report.ahead(quality, 8, True)[:2])
    assert report.ahead({OURS: quality[OURS]}, 8, True) == []


def test_a_walk_is_as_good_as_the_chain_within_two_standard_errors() -> None:
    chain = judged(1.0, error=0.3)
    assert as_good(judged(1.9, error=0.4), chain)
    assert not as_good(judged(2.1, error=0.4), chain)
    assert as_good(judged(0.2), chain)


def test_seconds_are_compared_with_those_of_the_peer_that_takes_fewest() -> None:
    plain = [Runner(library, library != "diffcli", False) for library in ("diffcli", "diffusers", "lucidrains")]
    seconds = dict(zip(plain, (0.5, 40.0, 20.0), strict=True))
    chains = {r: Chain(Walk("ddim", 50), judged(1), judged(1), s) for r, s in seconds.items()}
    own, ratio = report.chain_goals(chains, 64, 1.0)
    assert own.reached
    assert ratio.measured == "40"
    assert "lucidrains" in ratio.name


def test_a_verdict_is_read_from_what_evaluate_says() -> None:
    said = {
        "frechet": {"value": 1.5, "floor": 0.1, "bias": 0.0, "error": 0.2},
        "class_agreement": None,
        "class_agreement_error": None,
        "protocol": {"generated": 70},
    }
    assert verdict(said) == Verdict(1.5, 0.2, 0.1, None, None, 70)
    assert verdict(said).text == "1.500 ± 0.200 (floor 0.100)"


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    quality = {OURS: {0.1: judged(2.0, 0.95), 1.0: judged(0.5, 0.99)}}
    report.draw(quality, 8, tmp_path / "race.png")
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")
