"""The dial: the law behind it, what it chooses, and what becomes of the recipe."""

import dataclasses
import importlib.util
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, assert_refused

from diffcli.core.levels import Level
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.errors import UsageProblem
from diffcli.runs.dialling import Dialled, dialled
from diffcli.training import dial, recipes
from diffcli.training.dial import KEYS, Probe, Speed
from diffcli.training.law import ERROR, LAW, READ, read
from diffcli.training.recipes import override
from diffcli.training.recipes.diffusion import RECIPES, Recipe, suited
from diffcli.training.setup import build

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FAST = Speed(dial.EXTRA, 0.5e-3, 4e-7)  # two cores with AVX-512, about


def slower(factor: float) -> Speed:
    """A machine that takes so many times as long."""
    return FAST._replace(item=FAST.item * factor, work=FAST.work * factor)


DEFAULT = RECIPES["default"]


@pytest.fixture(scope="module")
def law_script() -> Any:
    spec = importlib.util.spec_from_file_location("law_of_benchmarks", BENCHMARKS / "law.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["law_of_benchmarks"] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    return module


# The law


def test_the_law_is_the_fit_to_the_trials(law_script: Any) -> None:
    law, error = law_script.fitted(law_script.trials())
    assert error == pytest.approx(ERROR, abs=1e-4)
    for trial in law_script.trials():
        ours = LAW.loss(trial.width, trial.images, trial.batch)
        assert ours == pytest.approx(law.loss(trial.width, trial.images, trial.batch), rel=1e-3)


def test_the_trials_are_a_grid_of_sizes_and_budgets_with_three_seeds(law_script: Any) -> None:
    cells: dict[tuple[int, int], set[int]] = {}
    for trial in law_script.trials():
        cells.setdefault((trial.width, round(3 * math.log10(trial.images))), set()).add(trial.seed)
    assert sum(len(seeds) >= 3 for seeds in cells.values()) >= 12
    assert not law_script.missing(law_script.trials())


def test_the_law_falls_with_everything_that_helps() -> None:
    for width, images in itertools.product(dial.WIDTHS, (1e4, 1e5, 1e6)):
        assert LAW.loss(width, 2 * images, 64) < LAW.loss(width, images, 64)
        assert LAW.loss(width, images, 32) < LAW.loss(width, images, 64)
        assert LAW.loss(2 * width, images, 64) < LAW.loss(width, images, 64)
    assert LAW.loss(1e9, 1e30, 1) == pytest.approx(LAW.limit)


def test_the_share_that_is_read_goes_through_its_points() -> None:
    for loss, share in READ:
        assert read(loss) == pytest.approx(share)
    (a, low), (b, high) = READ[1:3]
    assert read((a + b) / 2) == pytest.approx((low + high) / 2)
    assert (read(0.01), read(9.0)) == pytest.approx((READ[0][1], READ[-1][1]))


# The choice


def test_it_is_the_best_of_all_that_can_be_chosen() -> None:
    found = dial.choose(300, FAST)
    for width, batch in itertools.product(dial.WIDTHS, dial.BATCHES):
        images = (300 - dial.LOOKING) / FAST.seconds(width, batch) * batch
        assert found.loss <= LAW.loss(width, images, batch) * 1.001
    assert found.images / found.batch * FAST.seconds(found.width, found.batch) <= 300


@pytest.mark.parametrize("factor", [1, 4, 16])
def test_more_time_and_a_faster_machine_make_it_better_and_no_smaller(factor: float) -> None:
    found = [dial.choose(seconds, slower(factor)) for seconds in (10, 60, 300, 3600, 36000)]
    assert all(a.loss > b.loss and a.width <= b.width for a, b in itertools.pairwise(found))
    assert slower(factor).seconds(40, 50) == pytest.approx(factor * FAST.seconds(40, 50))


def test_what_is_fixed_stays_and_no_batch_is_larger_than_the_data() -> None:
    assert dial.choose(300, FAST, widths=(96,)).width == 96
    assert dial.choose(300, FAST, batches=(7,)).batch == 7
    assert dial.choose(1e6, FAST, most=20).batch == 16
    assert dial.choose(300, FAST, batches=(64,), most=20).batch == 64
    assert dial.choose(1e-9, FAST).steps == 1


@pytest.mark.parametrize("accelerator", [False, True])
def test_the_speed_is_found_again_from_the_steps_that_were_timed(accelerator: bool) -> None:
    truth = Speed(300.0 if accelerator else dial.EXTRA, 2e-4, 3e-7)
    asked = []

    def seconds(probe: Probe) -> float:
        asked.append(probe)
        return truth.seconds(probe.width, probe.batch)

    found = dial.speed_of(seconds, accelerator=accelerator)
    assert found == pytest.approx(truth, rel=1e-6)
    assert len(asked) == (3 if accelerator else 2)
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("seconds", [(1e-3, 1e-3), (1e-3, 1e-6), (5.0, 1e-9)])
def test_nonsense_from_a_busy_machine_still_is_a_speed(seconds: tuple[float, float]) -> None:
    turns = iter((*seconds, seconds[1]))
    speed = dial.speed_of(lambda _: next(turns), accelerator=len(set(seconds)) == 1)
    assert all(speed.seconds(width, batch) > 0 for width in dial.WIDTHS for batch in dial.BATCHES)
    assert dial.choose(60, speed).images >= 1


def test_the_settings_are_all_its_keys_in_their_ranges() -> None:
    for seconds in (1, 60, 300, 3600, 1e6):
        values = dial.settings(dial.choose(seconds, FAST))
        assert tuple(values) == KEYS
        override(Recipe(), values)
    early, late = (dial.settings(dial.choose(seconds, FAST)) for seconds in (60, 3600))
    assert early["sampling.guidance"] > late["sampling.guidance"]
    assert early["optimizer.ema"] < late["optimizer.ema"]


# The recipe


def items(count: int = 1000) -> Dataset:
    return Dataset("mnist", Items(IMAGES, (1, 28, 28), tuple("0123456789")), range(count), None, "")  # type: ignore[arg-type]


def turned(recipe: Any, seconds: float = 300, factor: float = 1.0, **keys: Any) -> tuple[Dialled, list[Any]]:
    asked: list[Any] = []

    def timed(recipe: Any) -> float:
        asked.append(recipe)
        return slower(factor).seconds(recipe.network.widths[0], recipe.batch)

    return dialled(recipe, items(), seconds, timed, **keys), asked


def test_open_keys_are_chosen_and_none_is_left_open() -> None:
    found, _ = turned(DEFAULT)
    assert found.choice is not None
    assert found.recipe.dial == ()
    assert found.keys == KEYS
    assert found.known
    for name, value in dial.settings(found.choice).items():
        assert recipes.value_of(found.recipe, name) == value
    unchanged = {name: recipes.value_of(DEFAULT, name) for name in KEYS}
    assert override(found.recipe, unchanged | {"dial": KEYS}) == DEFAULT


def test_a_machine_four_times_as_slow_has_a_smaller_network() -> None:
    fast, slow = (turned(DEFAULT, 300, factor)[0].choice for factor in (1.0, 8.0))
    assert fast is not None and slow is not None
    assert slow.width < fast.width
    assert slow.loss > fast.loss


def test_processes_share_the_items_of_a_step_and_not_what_else_it_costs() -> None:
    shared = FAST._replace(processes=2)
    assert shared.seconds(32, 128) == pytest.approx((64 + dial.EXTRA) * (FAST.item + FAST.work * 32**2) / dial.SHARED)
    alone, together = turned(DEFAULT)[0].choice, turned(DEFAULT, processes=4)[0].choice
    assert alone is not None and together is not None
    assert together.loss < alone.loss


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"widths": (8, 16)}, [k for k in KEYS if k != "network.widths"]),
        ({"network.widths": (8, 16)}, [k for k in KEYS if k != "network.widths"]),
        ({"batch": 8, "guidance": 2.0}, [k for k in KEYS if k not in ("batch", "sampling.guidance")]),
        ({"label_drop": 0.5, "lr": 1e-3}, list(KEYS)),
        ({"optimizer": "adamw", "ema": 0.9}, [k for k in KEYS if k != "optimizer.ema"]),
        ({"model": "mlp"}, []),
        ({"dial": ()}, []),
        ({"dial": ("batch",)}, ["batch"]),
        ({"minutes": 3, "dropout": 0.1}, list(KEYS)),
    ],
)
def test_what_is_set_is_not_chosen(changes: dict[str, Any], left: list[str]) -> None:
    recipe = override(DEFAULT, changes)
    assert list(recipe.dial) == left
    if "model" not in changes:
        found, _ = turned(recipe)
        for name, value in changes.items():
            assert name == "dial" or recipes.value_of(found.recipe, name) == value


def test_a_network_that_is_set_is_the_one_that_is_timed() -> None:
    found, asked = turned(override(DEFAULT, {"widths": (20, 40, 40), "batch": 10}))
    assert {recipe.network.widths for recipe in asked} == {(20, 40, 40)}
    assert found.recipe.network.widths == (20, 40, 40)
    assert not found.known


def test_with_steps_nothing_is_timed_and_nothing_chosen() -> None:
    found, asked = turned(override(DEFAULT, {"steps": 10}))
    assert (asked, found.choice) == ([], None)
    assert found.recipe == override(DEFAULT, {"steps": 10, "dial": ()})


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("default", "colour", "latent")])
def test_other_recipes_are_as_they_are_written(name: str) -> None:
    found, asked = turned(RECIPES[name])
    assert (found, asked) == (Dialled(RECIPES[name]), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "linear", "predict": "eps"},
        {"blocks": 2},
        {"fold": 1},
        {"optimizer": "adamw"},
        {"dropout": 0.1},
        {"lr": 1e-5},
        {"drop": 0.5},
        {"data.augment": "flip"},
    ],
)
def test_the_loss_is_expected_of_what_the_trials_were_of(changes: dict[str, Any]) -> None:
    assert not turned(override(DEFAULT, changes))[0].known
    other = dataclasses.replace(items(), name="fashion-mnist")
    assert not dialled(DEFAULT, other, 60, lambda recipe: 0.1).known


def test_a_key_that_it_cannot_choose_is_refused() -> None:
    with pytest.raises(UsageProblem, match="seed"):
        override(DEFAULT, {"dial": ("seed",)})


# The command


def test_a_dry_run_shows_what_was_chosen_and_what_to_expect(cli: Cli) -> None:
    result = cli("train", "--minutes", 0.05, "--dry-run", "--json", "--devices", 1)
    found = result.document
    assert found["recipe"]["dial"] == []
    assert found["dial"]["chosen"] == list(KEYS)
    assert found["expected"]["validation_loss"] == pytest.approx(
        LAW.loss(found["recipe"]["network"]["widths"][0], found["dial"]["images"], found["recipe"]["batch"])
    )
    assert 0 < found["expected"]["read_error"] < 1
    assert "dial: widths" in result.err
    assert "expected: validation loss" in result.err


def test_a_run_by_the_clock_writes_its_recipe_as_numbers(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    result = cli("train", "--dataset", pictures, "--minutes", 0.02, "--set", "network.widths=4,4", "--out", "mine")
    assert result.code == 0, result.err
    assert "dial: widths 4,4" in result.err
    assert "expected" not in result.err
    written = recipes.load_recipe(str(tmp_path / "mine" / "recipe.toml"), RECIPES)
    assert written.dial == ()
    assert written.network.widths == (4, 4)
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["status"] == "complete"
    again = cli("train", "--recipe", tmp_path / "mine" / "recipe.toml", "--dry-run", "--json").document
    assert "dial" not in again
    assert again["recipe"] == recipes.to_dict(written)


def test_keys_of_the_dial_that_do_not_exist_are_refused(cli: Cli) -> None:
    assert_refused(cli("train", "--set", "dial=speed"), 2, "speed", "dial")


def test_small_photographs_are_mirrored_by_their_recipe_and_house_numbers_are_not() -> None:
    recipe = RECIPES["colour"]
    assert suited("cifar10") is suited("torchvision:CIFAR100") is recipe
    assert recipe.data.augment == "flip"
    for data in ("mnist", "photos/", "torchvision:SVHN"):
        assert suited(data) is RECIPES["default"]
    found = turned(recipe)[0].recipe
    assert found.network == turned(DEFAULT)[0].recipe.network
    assert found.sampling == recipe.sampling
    model = build(found, Items(IMAGES, (3, 32, 32), tuple("0123456789")), torch.device("cpu"))
    told = model(torch.zeros(2, 3, 32, 32), Level(torch.tensor(0.6), torch.tensor(0.8)), label=torch.tensor([0, 9]))
    assert told.x0.shape == (2, 3, 32, 32)
