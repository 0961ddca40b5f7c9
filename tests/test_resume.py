"""A resume goes on exactly where the run was."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sessions import CPU, finish, fresh, go_on, resumed, same, train

from diffcli.errors import DataProblem, UsageProblem
from diffcli.runs import checkpoint
from diffcli.runs.listing import checkpoints
from diffcli.runs.loading import load_trained
from diffcli.training import recipes
from diffcli.training.recipes.diffusion import RECIPES, Recipe

Tiny = Callable[..., Recipe]


@pytest.fixture
def tiny(pictures: Path) -> Tiny:
    """A recipe for a small network on small pictures, with changes."""
    return lambda **changes: recipes.override(RECIPES["tiny"], {"dataset": str(pictures)} | changes)


@pytest.mark.parametrize(
    "changes",
    [{}, {"optimizer": "adamw"}, {"dropout": 0.3, "flip": True}, {"schedule": "flow", "predict": "flow", "batch": 7}],
    ids=["muon", "adamw", "dropout and flips", "flow"],
)
def test_ten_steps_and_ten_more_are_twenty_steps_bit_for_bit(
    tmp_path: Path, tiny: Tiny, changes: dict[str, Any]
) -> None:
    recipe = tiny(steps=20, **changes)
    whole = train(recipe, tmp_path / "whole")
    half = train(recipe, tmp_path / "half", stop_at=10)
    assert checkpoint.read_checkpoint(half)[1]["step"] == 10
    assert same(whole, go_on(tmp_path / "half"))


def test_the_seed_matters(tmp_path: Path, tiny: Tiny) -> None:
    a = train(tiny(steps=2), tmp_path / "a")
    b = train(tiny(steps=2, seed=1), tmp_path / "b")
    x, y = checkpoint.read_checkpoint(a)[0], checkpoint.read_checkpoint(b)[0]
    assert not torch.equal(x["model/network.enter.weight"], y["model/network.enter.weight"])


def test_steps_lost_in_a_crash_are_taken_again_alike(tmp_path: Path, tiny: Tiny) -> None:
    """Checkpoints at 8 and 16, a crash at 20; what the crash lost is repeated, with the plan as it stood."""
    recipe = tiny(steps=24, checkpoint_every=8)
    whole = train(recipe, tmp_path / "whole")
    folder = tmp_path / "crashed"
    with fresh(recipe, folder) as session:
        session.begin()
        session.prepare(0.01)
        for event in session.run():
            if event.progress.step == 20:
                break
    assert [p.name for p in checkpoints(folder)] == ["step-000000016.safetensors", "step-000000008.safetensors"]
    with resumed(folder) as again:
        assert again.trainer.step == 16
        assert same(whole, finish(again))
    steps = [json.loads(row)["step"] for row in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)), "the rows of lost steps are not there twice"


def test_a_run_by_the_clock_resumes_with_the_plan_of_its_checkpoint(tmp_path: Path, tiny: Tiny) -> None:
    recipe = tiny(steps=0, minutes=5.0)
    about = checkpoint.read_checkpoint(train(recipe, tmp_path / "run", stop_at=15))[1]
    with resumed(tmp_path / "run") as session:
        plan = session.trainer.plan
        assert plan.total > plan.step == 15
        assert [plan.total, plan.step, plan.progress] == about["plan"]
        session.prepare(seconds_per_step=100.0)
        assert session.trainer.plan == plan, "the clock is read at checkpoints only"
        assert session.clock.used >= about["seconds"] > 0, "the time of the first session counts"


def test_a_damaged_checkpoint_is_passed_over_and_said_so(tmp_path: Path, tiny: Tiny) -> None:
    recipe = tiny(steps=12, checkpoint_every=4)
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "run")
    newest, older = checkpoints(tmp_path / "run")
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    trained = load_trained(str(tmp_path / "run"), device=CPU)
    assert trained.path == older
    assert "damaged" in trained.stored.notes[0]
    with resumed(tmp_path / "run") as session:
        assert session.notes == trained.stored.notes
        assert same(whole, finish(session))
    assert newest.with_suffix(".damaged").exists()


def test_a_longer_resume_goes_on_to_the_new_end(tmp_path: Path, tiny: Tiny) -> None:
    train(tiny(steps=5), tmp_path / "run")
    with pytest.raises(UsageProblem, match="complete"), resumed(tmp_path / "run"):
        pass
    assert checkpoint.read_checkpoint(go_on(tmp_path / "run", steps=9))[1]["step"] == 9


def test_a_resume_changes_nothing_but_the_end(tmp_path: Path, tiny: Tiny) -> None:
    train(tiny(steps=5), tmp_path / "run")
    with pytest.raises(UsageProblem, match="cannot change lr"), resumed(tmp_path / "run", lr=1.0):
        pass


def test_changed_data_are_noticed(tmp_path: Path, tiny: Tiny) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i in range(4):
        Image.new("L", (8, 8), 60 * i).save(images / f"{i}.png")
    train(tiny(dataset=str(images), steps=2), tmp_path / "run")
    shutil.copy(images / "0.png", images / "9.png")
    with pytest.raises(DataProblem, match="changed"), resumed(tmp_path / "run", steps=4):
        pass


def test_sampling_weights_are_the_average_unless_raw_is_asked_for(tmp_path: Path, tiny: Tiny) -> None:
    path = train(tiny(steps=6), tmp_path / "run")
    tensors, _ = checkpoint.read_checkpoint(path)
    for weights, prefix in (("ema", "ema"), ("raw", "model")):
        denoiser = load_trained(str(path), weights=weights, device=CPU).model
        for name, value in denoiser.state_dict().items():
            assert torch.equal(value, tensors[f"{prefix}/{name}"])
    assert not torch.equal(tensors["ema/network.enter.weight"], tensors["model/network.enter.weight"])
