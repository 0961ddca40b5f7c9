"""Points as data: the data set, its health, its pictures, and `diffcli train` on it from end to end."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, checkpoint_of, rewrite_about, steps_kept
from PIL import Image
from sessions import CPU, go_on, same, train
from test_errors import DATA, USAGE, refuses

from diffcli.core.processes.laws.toys import TOYS
from diffcli.data.kinds import POINTS
from diffcli.data.loading import load_dataset
from diffcli.data.streaming import stream
from diffcli.errors import CheckpointProblem
from diffcli.metrics.health import PointMoments, line
from diffcli.runs.loading import load_trained
from diffcli.training import recipes
from diffcli.training.recipes.diffusion import RECIPES, Recipe

SMALL = ("--steps", 6, "--batch", 32, "--set", "width=16", "--set", "depth=2")
MOONS = ("train", "--dataset", "moons", *SMALL)
CHANGES = {"steps": 6, "batch": 32, "width": 16, "depth": 2}


def recipe(**changes: object) -> Recipe:
    return recipes.override(RECIPES["points"], CHANGES | changes)


@pytest.fixture(scope="module")
def moons_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on moons with checkpoints at steps 3 and 6. Read it only."""
    folder = tmp_path_factory.mktemp("moons") / "run"
    train(recipe(checkpoint_every=3), folder)
    return folder


# The data set


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_is_a_fixed_set_of_points(name: str) -> None:
    one, again = load_dataset(name), load_dataset(name)
    assert (one.shape, one.classes, one.labels) == ((2,), (), None)
    assert len(one) == 100_000
    assert one.fingerprint == again.fingerprint
    points, _ = one.take([0, 1, 99_999])
    assert torch.equal(points, again.take([0, 1, 99_999])[0])
    assert points.dtype == torch.float32


def test_the_test_split_is_of_other_points_and_every_toy_has_its_own() -> None:
    assert len({load_dataset(name, split).fingerprint for name in TOYS for split in ("train", "test")}) == 2 * len(TOYS)


def test_points_keep_their_values_on_the_way_to_the_network() -> None:
    """Images are divided by 127.5 there."""
    dataset = load_dataset("moons")
    batch, conditions = next(stream(dataset, torch.arange(len(dataset)), batch=1000, seed=0)(0))
    assert conditions == {}
    assert batch.shape == (1000, 2)
    torch.testing.assert_close(batch.std(0), torch.ones(2), atol=0.1, rtol=0)


# Health


def test_the_moments_are_those_of_each_coordinate() -> None:
    found = PointMoments.of(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]]))
    assert found == pytest.approx((2.0, 2.0, 2.0, 3**0.5))


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        ((0, 0, 1, 1), "healthy"),
        ((0.05, -0.05, 1.1, 0.9), "healthy"),
        ((0, 0, 1, 0.6), "too narrow"),
        ((0, 0, 1.5, 1), "too wide"),
        ((0, 0.4, 1, 1), "off centre"),
        ((0, float("nan"), 1, 1), "diverged"),
    ],
)
def test_the_health_line_says_what_is_wrong(samples: tuple[float, ...], word: str) -> None:
    text = line(PointMoments(*samples), PointMoments(0, 0, 1, 1))
    assert word in text
    assert "std y" in text


# Training


def test_moons_train_by_the_recipe_for_points(cli: Cli, tmp_path: Path) -> None:
    result = cli(*MOONS, "--out", "mine")
    assert result.code == 0, result.err
    for words in ("90000 points of 2 numbers", "model: mlp", "points/s", "best linear denoiser", "mean x", "std y"):
        assert words in result.err
    assert "image" not in result.err
    run = tmp_path / "mine"
    assert steps_kept(run) == [6]
    assert json.loads((run / "run.json").read_text())["status"] == "complete"
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(row["samples"]) == set(row["data"]) == set(PointMoments._fields)
    with Image.open(run / "samples" / "step-000000006.png") as preview:
        assert preview.info["step"] == "6"
        assert preview.width > 1.5 * preview.height, "samples beside data"


def test_json_of_a_run_on_points_has_the_keys_of_any_run(cli: Cli) -> None:
    result = cli(*MOONS, "--json", "--quiet", "--out", "mine")
    assert result.err == ""
    assert {"run", "steps", "loss", "validation_loss", "linear_denoiser_loss"} < set(result.document)
    assert result.document["steps"] == 6


def test_a_run_remembers_shape_recipe_and_the_moments_of_its_data(moons_run: Path) -> None:
    trained = load_trained(str(moons_run), device=CPU)
    assert (trained.items.kind, trained.items.shape, trained.items.classes) == (POINTS, (2,), ())
    assert trained.recipe.network.name == "mlp"
    assert trained.stored.about["health"] == pytest.approx([0, 0, 1, 1], abs=0.03)


def test_the_network_of_a_recipe_is_as_wide_and_deep_as_it_says(moons_run: Path) -> None:
    network = load_trained(str(moons_run), device=CPU).model.network
    assert len(network.blocks) == 2  # type: ignore[arg-type]
    assert network.enter.out_features == 16  # type: ignore[union-attr]


def test_three_steps_and_three_more_are_six_bit_for_bit(moons_run: Path, tmp_path: Path) -> None:
    train(recipe(checkpoint_every=3), tmp_path / "half", stop_at=3)
    assert same(go_on(tmp_path / "half"), checkpoint_of(moons_run, 6))


def test_learning_moons_beats_the_best_linear_denoiser(cli: Cli) -> None:
    document = cli("train", "--dataset", "moons", "--steps", 200, "--set", "ema=0.9", "--json").document
    assert document["validation_loss"] < document["linear_denoiser_loss"] - 0.01


# Which recipe


def dry(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("train", *arguments, "--dry-run", "--json", "--quiet")
    assert result.code == 0, result.err
    return result.document["recipe"]


@pytest.mark.parametrize(
    "arguments", [("--dataset", "mixture"), ("--set", "dataset=mixture"), ("--set", "data.name=mixture")], ids=" ".join
)
def test_points_get_the_recipe_points_unless_told(cli: Cli, arguments: tuple[str, ...]) -> None:
    expected = recipes.to_dict(recipes.override(RECIPES["points"], {"dataset": "mixture"}))
    assert dry(cli, *arguments) == expected


def test_what_is_asked_for_wins_over_the_recipe_that_was_chosen(cli: Cli) -> None:
    found = dry(cli, "--dataset", "moons", "--lr", 0.5, "--set", "width=8", "--minutes", 0.5)
    assert (found["optimizer"]["lr"], found["network"]["width"]) == (0.5, 8)
    assert (found["steps"], found["minutes"]) == (0, 0.5)
    found = dry(cli, "--recipe", "tiny", "--dataset", "moons", "--model", "mlp")
    assert (found["steps"], found["network"]["name"]) == (20, "mlp")


def test_the_recipe_for_points_has_points_to_train_on(cli: Cli) -> None:
    assert dry(cli, "--recipe", "points")["data"]["name"] == "moons"


# Refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "moons", "--model", "unet"], ("unet", "points", "--model mlp")),
        (["--dataset", "moons", "--recipe", "tiny"], ("unet", "points", "--model mlp")),
        (["--dataset", "moons", "--recipe", "default"], ("unet", "points", "--model mlp")),
        (["--model", "mlp"], ("mlp", "images", "--model unet")),
        (["--recipe", "points", "--dataset", "mnist"], ("mlp", "images", "--model unet")),
        (["--dataset", "moons", "--set", "flip=true"], ("moons", "points", "leave augment out")),
        (["--dataset", "moons", "--set", "augment=flip"], ("moons", "points", "leave augment out")),
        (["--dataset", "moons", "--set", "size=8"], ("size", "points")),
        (["--dataset", "moons", "--set", "width=0"], ("width", "at least 1")),
        (["--dataset", "moons", "--set", "depth=1000"], ("depth", "at most 64")),
        (["--set", "dataset=[1]"], ("data.name must be a name",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_refused(
    cli: Cli, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, USAGE, "train", *arguments, words=words)


def test_a_typo_in_the_name_of_a_toy_is_answered(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, DATA, "train", "--dataset", "swissroll", words=("did you mean swiss-roll?",))


@pytest.fixture
def copied(moons_run: Path, tmp_path: Path) -> Path:
    """A checkpoint of the run, to be damaged."""
    return Path(shutil.copy(checkpoint_of(moons_run, 6), tmp_path))


@pytest.mark.parametrize("shape", [[], [2, 2], [0], [2.0], ["2"], [1, 8, 8]])
def test_a_checkpoint_of_items_that_its_kind_has_none_of_is_refused(copied: Path, shape: list[object]) -> None:
    rewrite_about(copied, shape=shape)
    with pytest.raises(CheckpointProblem, match="shape"):
        load_trained(str(copied), device=CPU)


def test_a_checkpoint_of_no_known_kind_is_refused(copied: Path) -> None:
    rewrite_about(copied, kind="sounds")
    with pytest.raises(CheckpointProblem, match="sounds"):
        load_trained(str(copied), device=CPU)


def test_a_checkpoint_whose_network_does_not_take_its_items_is_refused(copied: Path) -> None:
    rewrite_about(copied, shape=[1, 8, 8], kind="images")
    with pytest.raises(CheckpointProblem, match="does not take images"):
        load_trained(str(copied), device=CPU)
