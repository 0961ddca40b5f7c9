"""Runs and recipes from before recipes had tables, items a kind, and objectives a state: they go on working.

`fixtures/old-run` and `fixtures/old-likelihood` were trained by the code of that time on the pictures of these tests,
in a folder called shapes; `fixtures/old-recipes.json` holds its named recipes. The numbers are what it made of them,
given the noise that a seed has today.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, checkpoint_of, rewrite_about, steps_kept
from sessions import go_on, resumed

from diffcli.core.diffusion.denoiser import Corrector, Denoiser
from diffcli.core.randomness import keyed
from diffcli.data.augmentation import Augment
from diffcli.data.kinds import IMAGES
from diffcli.data.streaming import stream
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.loading import load_trained
from diffcli.runs.session import Session
from diffcli.specs import schedule
from diffcli.training import recipes
from diffcli.training.families import FAMILIES
from diffcli.training.trainer import Trainer

FIXTURES = Path(__file__).parent / "fixtures"
OLD_RECIPES: dict[str, dict[str, dict[str, Any]]] = json.loads((FIXTURES / "old-recipes.json").read_text())
CPU = torch.device("cpu")

ROWS_OF_DDIM = [  # the fourth of eight rows of three images
    [-0.479713, 0.578278, 0.223547, 0.010914, 0.618618, 0.687611, 1.000000, -0.275333],
    [1.000000, 0.748960, 0.895575, 0.746908, -0.315277, 0.947243, 0.243911, -0.117105],
    [-1.000000, 0.418909, -0.330977, 0.132070, 1.000000, -0.465084, -0.485030, -0.460624],
]
ROWS_OF_DDPM = [
    [0.517243, -0.775107, 0.578585, 0.743092, 0.718395, -0.735143, 0.360363, -0.651532],
    [0.443000, 0.616276, 0.588103, 0.530661, 0.815276, -0.649096, 0.446798, 0.692686],
    [0.838360, 0.866765, -0.739761, -0.682937, -0.763823, 0.563670, 0.703372, -0.609287],
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, pictures: Path) -> None:
    """The pictures and copies of the runs, in the folder that `cli` works in."""
    shutil.copytree(pictures, tmp_path / "shapes")
    for name in ("old-run", "old-likelihood"):
        shutil.copytree(FIXTURES / name, tmp_path / "checkpoints" / name)


@pytest.mark.parametrize(
    ("run", "how", "rows"),
    [
        ("old-run", ("--ddim", "--steps", 5), ROWS_OF_DDIM),
        ("old-likelihood", ("--variance", "learned", "--steps", 10), ROWS_OF_DDPM),
    ],
)
def test_they_draw_the_pixels_that_they_drew(
    cli: Cli, run: str, how: tuple[object, ...], rows: list[list[float]]
) -> None:
    result = cli("sample", run, *how, "--count", 3, "--class", "all", "--seed", 1, "--array", "x.npy")
    assert result.code == 0, result.err
    np.testing.assert_allclose(np.load("x.npy")[:, 0, 3], rows, atol=1e-4)


def test_they_are_described(cli: Cli) -> None:
    document = cli("info", "old-likelihood", "--json").document
    assert (document["dataset"], document["shape"], document["step"]) == ("shapes", [1, 8, 8], 20)
    assert document["classes"] == ["circle", "cross", "stripe"]
    assert document["made_by"].startswith("diffcli train --recipe tiny --dataset shapes")
    assert document["recipe"]["objective"] == {
        "name": "hybrid", "variance": "learned", "weighting": "target", "predict": "v", "drop": 0.1,
        "draws": "importance", "prior": "pixels", "chain": 1000,
    }  # fmt: skip
    assert document["recipe"]["network"] == {
        "name": "unet", "widths": [1], "blocks": 1, "attention": [], "fold": 2, "dropout": 0.0,
    }  # fmt: skip


def test_they_are_listed(cli: Cli) -> None:
    found = {run["name"]: run for run in cli("runs", "--json").document["runs"]}
    assert found.keys() == {"old-run", "old-likelihood"}
    for name, steps, loss in (("old-run", 6, 0.7610399), ("old-likelihood", 20, 0.6934635)):
        run = found[name]
        assert (run["state"], run["dataset"], run["steps"], run["note"]) == ("complete", "shapes", steps, "")
        assert run["validation_loss"] == pytest.approx(loss, abs=1e-6)


def test_their_bound_is_the_same(cli: Cli) -> None:
    document = cli("vlb", "old-likelihood", "--steps", 20, "--count", 5, "--json").document
    assert document["nats"] == pytest.approx(2655.2798, rel=1e-4)
    nats = {kind: parts["nats"] for kind, parts in document["variances"].items()}
    wanted = {"small": 376.43723, "large": 337.61758, "optimal": 337.44694, "learned": 2655.2798}
    assert nats == pytest.approx(wanted, rel=1e-4)


def test_a_resume_takes_the_steps_that_it_would_have_taken(cli: Cli, tmp_path: Path) -> None:
    """Times are drawn by the losses so far: without their history these would be other steps."""
    result = cli("train", "--resume", "old-likelihood", "--steps", 24, "--json")
    assert result.code == 0, result.err
    assert result.document["loss"] == pytest.approx(0.5833498, rel=1e-4)
    assert result.document["validation_loss"] == pytest.approx(0.77173368, rel=1e-5)
    run = tmp_path / "checkpoints" / "old-likelihood"
    assert steps_kept(run) == [20, 24]
    tensors, about = read_checkpoint(checkpoint_of(run, 24))
    assert tensors["objective/seen"].sum() == 24 * 80
    assert not [name for name in tensors if "history" in name]
    assert about["kind"] == "images"
    assert about["randomness"] == "step", "and so would those after them be"
    assert about["recipe"]["objective"]["draws"] == "importance"
    assert cli("train", "--resume", "old-run", "--steps", 8, "--json").document["steps"] == 8


def steps_of_before(trainer: Trainer, session: Session, steps: int) -> None:
    """Training as it was: a step has one generator, for its times, its noise and what is dropped, in this order."""
    recipe, places, count = session.recipe, session.places, session.recipe.batch
    batches = stream(session.dataset, places, batch=count, seed=0, augment=Augment(("flip",), 0))(trainer.step * count)
    for step in range(trainer.step, trainer.step + steps):
        x0, conditions = next(batches)
        generator = keyed(0, "train", step)
        shift = torch.rand((), generator=generator, dtype=torch.float64)
        t = 1 - (shift + torch.arange(count, dtype=torch.float64) / count) % 1
        eps = torch.randn(x0.shape, generator=generator)
        lost = torch.rand(count, generator=generator) < recipe.objective.drop
        level = schedule(recipe.schedule).training_level(t, x0)
        label = torch.where(lost, len(session.dataset.classes), conditions["label"])
        trainer.model.train()
        trainer.model.loss(x0, level, eps, label=label).mean().backward()
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), recipe.optimizer.clip)
        progress = trainer.plan.at(step)
        trainer.optimizer.step(min(1, (step + 1) / recipe.optimizer.warmup) * (1 + math.cos(math.pi * progress)) / 2)


def test_a_run_from_before_goes_on_with_the_numbers_of_before_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "checkpoints" / "old-run"
    with resumed(run, steps=12) as session:
        steps_of_before(session.trainer, session, 6)
        wanted = {name: weight.clone() for name, weight in session.trainer.model.state_dict().items()}
    found, about = read_checkpoint(go_on(run, steps=12))
    assert about["step"] == 12
    for name, weight in wanted.items():
        assert torch.equal(found[f"model/{name}"], weight), name


def test_what_a_newer_diffcli_has_drawn_is_not_gone_on_with(cli: Cli, tmp_path: Path) -> None:
    path = checkpoint_of(tmp_path / "checkpoints" / "old-run", 6)
    rewrite_about(path, randomness="photon")
    assert_refused(cli("train", "--resume", "old-run", "--steps", 8), 4, "random numbers", "photon", "upgrade")


def test_the_history_of_losses_is_found_in_the_model_that_it_was_a_part_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "checkpoints" / "old-likelihood"
    stored, _ = read_checkpoint(checkpoint_of(run, 20))
    with resumed(run, steps=24) as session:
        history = session.trainer.objective.state
        assert history is not None
        assert torch.equal(history.losses, stored["model/history.losses"])
        assert torch.equal(history.seen, stored["model/history.seen"])
        assert history.seen.min() >= 10, "so times are no longer drawn evenly"


def test_the_average_is_sampled_from_and_the_prior_is_found(tmp_path: Path) -> None:
    run = tmp_path / "checkpoints" / "old-likelihood"
    stored, _ = read_checkpoint(checkpoint_of(run, 20))
    trained = load_trained(str(run), device=CPU)
    assert isinstance(trained.model, Corrector)
    assert trained.items.kind is IMAGES
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, stored[f"ema/{name}"])
    assert isinstance(load_trained(str(tmp_path / "checkpoints" / "old-run"), device=CPU).model, Denoiser)


@pytest.mark.parametrize("run", ["old-run", "old-likelihood"])
def test_the_recipe_in_their_folder_trains_again(cli: Cli, run: str) -> None:
    found = cli("train", "--recipe", f"checkpoints/{run}/recipe.toml", "--dry-run", "--json", "--quiet").document[
        "recipe"
    ]
    assert found == cli("info", run, "--json").document["recipe"] | {"data": found["data"]}
    assert found["data"]["augment"] == ("flip" if run == "old-run" else "")
    result = cli("train", "--recipe", f"checkpoints/{run}/recipe.toml", "--steps", 2, "--out", "again")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("family", "name"), [(family, name) for family, known in OLD_RECIPES.items() for name in known]
)
def test_a_named_recipe_is_what_it_was(family: str, name: str) -> None:
    known = FAMILIES[family].recipes
    found = recipes.from_dict(known["default"], OLD_RECIPES[family][name])
    if (family, name) == ("diffusion", "default"):  # today's is another one
        assert (found.dial, found.network.widths, found.sampling.guidance) == ((), (64, 128), 1.5)
        found = recipes.override(found, {"widths": (32, 64)})
    if family == "diffusion" and name in ("default", "points", "tiny"):
        found = recipes.override(found, {"guidance": 1.25})
    assert found == recipes.override(known[name], {"dial": ()} if family == "diffusion" else {})


@pytest.mark.parametrize(
    ("family", "changes", "wanted"),
    [
        ("diffusion", {"flip": True, "label_drop": 0.3}, {"augment": "flip", "drop": 0.3}),
        ("diffusion", {"model": "mlp", "width": 9, "widths": [3]}, {"model": "mlp", "width": 9}),
        ("diffusion", {"optimizer": "adamw", "muon_lr": 0.5, "lr": 0.1}, {"optimizer": "adamw", "lr": 0.1}),
        ("diffusion", {"objective": "vlb", "chain": 9}, {"objective": "vlb", "chain": 9}),
        ("diffusion", {"chain": 9}, {}),
        ("vae", {"pixels": "real", "noise": 0.25, "beta": 2.0}, {"pixels": "real", "noise": 0.25, "beta": 2.0}),
        ("vae", {"noise": 0.25, "free_bits": 0.5}, {"free_bits": 0.5}),
        ("dae", {"corruption": "masking", "low": 0.1}, {"corruption": "masking", "low": 0.1}),
    ],
)
def test_keys_that_did_nothing_are_left_and_the_others_are_kept(
    family: str, changes: dict[str, Any], wanted: dict[str, Any]
) -> None:
    default = FAMILIES[family].recipes["default"]
    found = recipes.from_dict(default, OLD_RECIPES[family]["default"] | changes)
    if family == "diffusion":
        of_today = {"dial": (), "guidance": 1.5} | ({} if "model" in changes else {"widths": (64, 128)})
        default = recipes.override(default, of_today)
    assert found == recipes.override(default, wanted)


def test_a_checkpoint_of_today_goes_through_the_same_gate(tmp_path: Path) -> None:
    """A recipe that cannot be followed is the checkpoint's problem, whatever its form."""
    from diffcli.errors import CheckpointProblem

    run = tmp_path / "checkpoints" / "old-run"
    path = checkpoint_of(run, 6)
    about = read_checkpoint(path)[1]
    rewrite_about(path, recipe=about["recipe"] | {"objective": "sample"})
    with pytest.raises(CheckpointProblem, match="cannot follow.*sample"):
        load_trained(str(path), device=CPU)
