"""What the scripts in benchmarks/ compute of what they measure."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import scaling
import shares
from growth import exponent, line
from measuring import put
from racing import report, stages, training
from racing.judging import OUR_LADDER, Verdict, as_good, verdict
from racing.limit import counted
from racing.peers import LIBRARIES, Walk
from racing.report import Chain
from racing.runners import Race, Runner, runners, trained
from trials import Noised, Posterior, PowerAverages, contrastive, default, immiscible

from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.exact import Mixture
from diffcli.core.levels import Level
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS, IMAGES, Items
from diffcli.ranks.group import ALONE

OURS, THEIRS = Runner("diffcli", False, True), Runner("diffusers", True, True)
OTHERS = Runner("lucidrains", False, True)


def judged(frechet: float, read: float | None = None, error: float = 0.0) -> Verdict:
    return Verdict(frechet, error, 0.1, read, None if read is None else 0.01, 1000)


# How cost grows, and where a step's time goes


def test_the_ranks_of_a_scaling_train_the_network_that_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcli.training.dial.choose", lambda *_, **__: pytest.fail("a rank chose for itself"))
    assert scaling.trained(scaling.Turn(1, 1, 0.0, changes=("widths=8,16", "batch=4")), ALONE) > 0


def test_two_cores_are_judged_by_their_better_way_and_a_neighbour_by_the_processes() -> None:
    idle = dict(zip(scaling.WAYS, (100.0, 195.0, 180.0), strict=True))
    busy = dict(zip(scaling.WAYS, (100.0, 50.0, 90.0), strict=True))
    found = {(way, size, i): [of[way]] for size in scaling.SIZES for i, of in enumerate((idle, busy)) for way in of}
    goals = scaling.goals(found)
    assert [goal.measured.split()[0] for goal in goals] == ["1.95"] * 3 + ["0.5"] * 3
    assert [goal.reached for goal in goals] == [True] * 3 + [False] * 3


def test_the_shares_of_a_step_are_those_of_its_operations() -> None:
    x, weight = torch.randn(8, 16, 12, 12), torch.randn(16, 16, 3, 3)
    found = shares.kinds(lambda: torch.nn.functional.silu(torch.conv2d(x, weight)), 3)
    assert sum(found.values()) == pytest.approx(1)
    assert found["convolutions"] > found["activations"] > 0


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


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_average_of_a_peer_follows_its_weights(library: str) -> None:
    """One that did not would set the peer up to lose: it is drawn from, as documented."""
    pytest.importorskip(LIBRARIES[library].package)
    peer = LIBRARIES[library].build(False)
    updated, state = peer.average()
    name, weight = next(iter(peer.network.named_parameters()))
    with torch.no_grad():
        for value in (3.0, 5.0):
            weight.fill_(value)
            for _ in range(130):
                updated()
    assert 3.1 < state()[name].flatten()[0].item() <= 5


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


def test_everyones_ladder_begins_at_as_many_steps_and_ends_at_the_whole_chain() -> None:
    for ladder in (OUR_LADDER, *(library.ladder for library in LIBRARIES.values())):
        assert ladder[0].steps == 5
        assert ladder[-1] == Walk("ddpm", 1000)
        assert [walk.steps for walk in ladder] == sorted(walk.steps for walk in ladder)


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


# Trials of ideas


def batch_at(ratio: float) -> Noised:
    """Eight images of 2x2 pixels at one level, each with its class."""
    random = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(8, 1, 2, 2, generator=random) for _ in range(2))
    alpha = torch.full((8, 1, 1, 1), 1 / math.hypot(1, ratio))
    return Noised(x0, eps, Level(alpha, ratio * alpha), {CLASS: torch.arange(8) % 3})


class Seen:
    """A denoiser that knows the answer of the batch, and keeps what it was asked."""

    def __init__(self, batch: Noised) -> None:
        self.batch = batch
        self.asked: list[Noised] = []

    def __call__(self, x: torch.Tensor, level: Level, **_: object) -> Prediction:
        return Prediction(self.batch.x0, self.batch.eps)

    def loss(self, x0: torch.Tensor, level: Level, eps: torch.Tensor, **told: torch.Tensor) -> torch.Tensor:
        self.asked.append(Noised(x0, eps, level, told))
        return torch.zeros(len(x0))


def test_matched_noise_is_the_same_noise_nearer_to_its_images() -> None:
    batch = batch_at(1.0)
    seen = Seen(batch)
    default(seen, batch)
    immiscible(seen, batch)
    plain, matched = seen.asked
    distance = [(one.x0 - one.eps).square().sum().item() for one in (plain, matched)]
    assert distance[1] < distance[0]
    assert sorted(matched.eps.flatten().tolist()) == sorted(plain.eps.flatten().tolist())
    assert torch.equal(matched.x0, plain.x0)


def test_the_contrast_is_the_error_of_another_items_target() -> None:
    """By hand: v of an item is alpha eps - sigma x0, and a denoiser that knows its own misses the next by all."""
    batch = batch_at(1.0)
    v = (batch.level.alpha * batch.eps - batch.level.sigma * batch.x0).flatten(1)
    wanted = -0.05 * (v - v.roll(1, 0)).square().mean(1)
    assert torch.allclose(contrastive(Seen(batch), batch), wanted, atol=1e-6)


@pytest.mark.parametrize("ratio", [2.0, 5.0])
def test_a_posterior_mean_over_the_images_is_that_of_their_law(ratio: float) -> None:
    random = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (30, 1, 2, 2), generator=random, dtype=torch.uint8)
    dataset = Dataset("thirty", Items(IMAGES, (1, 2, 2), ("a", "b", "c")), pixels, torch.arange(30) % 3, "thirty")
    images, told = dataset.take(torch.arange(30))
    posterior, batch = Posterior(dataset, torch.arange(30)), batch_at(ratio)
    batch.told[CLASS][0] = 3  # dropped
    x = batch.level.noised(batch.x0, batch.eps)
    laws = [images[told[CLASS] == label] for label in range(3)] + [images]
    exact = torch.empty_like(x)
    for i, label in enumerate(batch.told[CLASS].tolist()):
        law = Mixture(torch.ones(len(laws[label])), laws[label], torch.zeros(len(laws[label])))
        exact[i] = law(x[i : i + 1], Level(*(part[i] for part in batch.level))).x0[0]
    target = batch.x0 if ratio < 3 else exact
    v = ((target - batch.x0) / batch.level.sigma).flatten(1)  # x stays what it is, so eps makes up for x0
    assert torch.allclose(posterior(Seen(batch), batch), v.square().mean(1), atol=1e-5)


def test_a_power_average_weighs_each_step_by_a_power_of_its_number() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    averages, gamma, last = PowerAverages(model), 6.94, 400
    for step in range(1, last + 1):
        model.weight.data.fill_(step / last)
        averages.add(model, step)
    assert averages.models["0.1"].weight.item() == pytest.approx((gamma + 1) / (gamma + 2), abs=2e-3)
