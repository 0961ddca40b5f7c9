"""`diffcli train`: what it writes, what it says, and how it ends."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, checkpoint_of, refuses, start, steps_kept, tree
from PIL import Image

from diffcli.console import show
from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.runs import checkpoint, fitting, session
from diffcli.runs import folder as runs
from diffcli.runs.loading import load_trained
from diffcli.training import recipes
from diffcli.training.progress import Progress
from diffcli.training.recipes.diffusion import Recipe

KEYS = {
    "run", "checkpoint", "steps", "images", "seconds", "images_per_second", "loss", "validation_loss",
    "linear_denoiser_loss",
}  # fmt: skip
TINY = ("train", "--recipe", "tiny")


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def about(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return checkpoint.read_checkpoint(checkpoint_of(run, step))[0]


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


# The run folder


def test_a_run_on_mnist_holds_everything(digits_run: Path) -> None:
    assert {p.name for p in digits_run.iterdir() if not p.name.startswith(".")} == {
        "recipe.toml", "run.json", "metrics.jsonl", "samples", *(p.name for p in digits_run.glob("step-*.safetensors")),
    }  # fmt: skip
    assert steps_kept(digits_run)[-1] == 12
    with Image.open(max((digits_run / "samples").iterdir())) as preview:
        assert preview.mode == "L"
        assert preview.info["step"] == "12"
    facts = about(digits_run)
    assert facts["status"] == "complete"
    assert facts["images"] == 60_000 - 512
    assert facts["validation_images"] == 512
    assert facts["threads"] == torch.get_num_threads()
    assert torch.__version__.startswith(facts["versions"]["torch"])


def test_recipe_toml_reproduces_the_run(cli: Cli, shapes_run: Path, tmp_path: Path) -> None:
    assert cli("train", "--recipe", shapes_run / "recipe.toml", "--out", "again").code == 0
    assert about(tmp_path / "again")["ranks"] == 1, "other processes are not worth their start for twelve steps"
    assert_equal(weights(tmp_path / "again", 12), weights(shapes_run, 12))


def test_at_most_two_checkpoints_remain(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    result = cli(*TINY, "--dataset", pictures, "--steps", 11, "--set", "checkpoint_every=2", "--out", "mine")
    assert result.code == 0
    assert steps_kept(tmp_path / "mine") == [10, 11]


def test_metrics_have_a_row_every_ten_steps_and_at_every_preview(shapes_run: Path) -> None:
    table = {row["step"]: row for row in rows(shapes_run)}
    assert set(table) == {6, 10, 12}
    assert all(row["images"] == 16 * step for step, row in table.items())
    assert "validation_loss" not in table[10]
    assert {"mean", "std", "saturation"} == set(table[12]["samples"])
    assert table[12]["scale"] == pytest.approx((1 + math.cos(math.pi * 11 / 12)) / 2)


@pytest.mark.usefixtures("clock")
def test_json_is_one_document_that_agrees_with_the_files(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    result = cli(*TINY, "--steps", 5, "--dataset", pictures, "--out", "mine", "--json")
    document = result.document
    assert set(document) == KEYS
    assert document["run"] == "mine"
    assert Path(document["checkpoint"]).resolve() == checkpoint_of(tmp_path / "mine", 5).resolve()
    assert document["steps"] == 5
    assert document["images"] == 5 * 16
    assert document["images_per_second"] == pytest.approx(80 / document["seconds"], rel=1e-9)
    last = rows(tmp_path / "mine")[-1]
    for key in ("loss", "validation_loss", "linear_denoiser_loss"):
        assert document[key] == last[key]


def test_quiet_says_nothing_beside_the_result(cli: Cli, pictures: Path) -> None:
    result = cli(*TINY, "--steps", 2, "--dataset", pictures, "--quiet", "--json")
    assert result.err == ""
    assert set(result.document) == KEYS


def test_the_result_names_files_and_the_next_command(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    result = cli(*TINY, "--steps", 2, "--dataset", pictures)
    assert "diffcli sample checkpoints/shapes-1 --ddim --class all" in result.out
    for word in result.out.split():
        if word.endswith((".png", ".safetensors")):
            assert (tmp_path / word).is_file()
    plain = cli(*TINY, "--steps", 2, "--dataset", pictures / "cross")
    assert "--class" not in plain.out


def test_the_linear_denoiser_is_the_one_of_the_validation_images(digits_run: Path) -> None:
    """MNIST's loss of the best linear denoiser under cosine and v, computed here by the definition."""
    from diffcli.core.diffusion.schedules import SCHEDULES
    from diffcli.data.loading import load_dataset

    dataset = load_dataset("mnist")
    places, held = dataset.holdout()
    x = dataset.take(places[:10_000])[0].flatten(1).double()
    spectrum = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).clamp(min=0)
    level = SCHEDULES["cosine"]()(((torch.arange(len(held)).double() + 0.5) / len(held) * 1000).ceil() / 1000)
    alpha2, sigma2 = (level.alpha**2).unsqueeze(1), (level.sigma**2).unsqueeze(1)
    # v = (alpha x - x0) / sigma given x, so its error is that of x0 over sigma²
    error = (spectrum / (alpha2 * spectrum + sigma2)).mean()
    assert rows(digits_run)[-1]["linear_denoiser_loss"] == pytest.approx(error.item(), rel=1e-4)


# What the recipe is made of


def dry(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("train", *arguments, "--dry-run", "--json", "--quiet")
    assert result.code == 0, result.err
    return result.document


def test_a_dry_run_writes_nothing_and_tells_everything(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    document = dry(cli, "--recipe", "tiny", "--dataset", pictures, "--out", "mine")
    assert list(tmp_path.iterdir()) == []
    told = {"recipe", "parameters", "steps", "seconds", "images_per_second", "memory_bytes", "disk_bytes", "run"}
    assert set(document) == told
    assert document["steps"] == 20
    assert document["recipe"]["data"]["name"] == str(pictures)


def test_a_dry_run_prints_a_recipe_that_train_can_read(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    text = cli("train", "--recipe", "tiny", "--dataset", pictures, "--batch", 5, "--dry-run").out
    (tmp_path / "mine.toml").write_text(text)
    assert tomllib.loads(text)["batch"] == 5
    assert dry(cli, "--recipe", "mine.toml")["recipe"] == tomllib.loads(text)


def test_the_estimates_of_a_dry_run_are_those_of_the_run(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    document = dry(cli, "--recipe", "tiny", "--dataset", pictures, "--steps", 4)
    assert cli(*TINY, "--dataset", pictures, "--steps", 4, "--set", "checkpoint_every=2", "--out", "mine").code == 0
    size = sum(p.stat().st_size for p in (tmp_path / "mine").glob("step-*.safetensors"))
    assert document["disk_bytes"] == pytest.approx(size, rel=0.15)
    model = load_trained("mine", device=torch.device("cpu")).model
    assert document["parameters"] == sum(p.numel() for p in model.parameters())


def test_flags_and_settings_beat_the_recipe_and_not_each_other(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"""
        batch = 5
        data.name = "{pictures}"
        network = {{widths = [8], attention = []}}
        optimizer.lr = 0.5
    """)
    base = ["--recipe", "mine.toml", "--steps", 3]
    assert dry(cli, *base)["recipe"]["batch"] == 5
    assert dry(cli, *base, "--set", "batch=6")["recipe"]["batch"] == 6
    refused = cli("train", *base, "--set", "batch=6", "--batch", 7)
    assert_refused(refused, 2, "--batch 7 and --set batch=6: one of them would be ignored", "leave one out")
    changed = dry(cli, *base, "--set", "lr=0.1", "--batch", 7)["recipe"]
    assert (changed["batch"], changed["steps"]) == (7, 3)
    assert (changed["optimizer"]["lr"], changed["network"]["widths"]) == (0.1, [8])


def test_keys_that_a_recipe_file_leaves_out_are_those_of_the_default(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f'network.widths = [8]\n[data]\nname = "{pictures}"\n')
    expected = recipes.to_dict(Recipe())
    expected["data"]["name"], expected["network"]["widths"] = str(pictures), [8]
    assert dry(cli, "--recipe", "mine.toml", "--set", "dial=")["recipe"] == expected


def test_a_recipe_file_may_name_keys_as_the_options_do(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(f'dataset = "{pictures}"\nmodel = "unet"\nwidths = [8]\nlabel_drop = 0.5\n')
    (tmp_path / "long.toml").write_text(
        f'[objective]\ndrop = 0.5\n[data]\nname = "{pictures}"\n[network]\nname = "unet"\nwidths = [8]\n'
    )
    short, long = (dry(cli, "--recipe", f"{name}.toml", "--steps", 5)["recipe"] for name in ("short", "long"))
    assert short == long
    assert (short["network"]["widths"], short["objective"]["drop"]) == ([8], 0.5)


IDLE = [  # keys that another choice has, and not the one that is made
    ({"width": 64}, "width does nothing with the network unet", "--set network=mlp"),
    ({"network.width": 64}, "width does nothing with the network unet", "--set network=mlp"),
    ({"model": "mlp", "widths": [8, 16]}, "widths does nothing with the network mlp", "--set network=unet"),
    ({"optimizer": "adamw", "muon_lr": 0.01}, "muon_lr does nothing with the optimizer adamw", "--set optimizer=muon"),
    ({"chain": 100}, "chain does nothing with the objective simple", "--set objective=vlb"),
    ({"objective.chain": 100}, "chain does nothing with the objective simple", "--set objective=vlb"),
]


@pytest.mark.parametrize(("keys", "words", "way_out"), IDLE, ids=lambda value: ",".join(value) if value else "")
def test_a_key_that_would_do_nothing_is_refused_with_the_way_out(
    cli: Cli, tmp_path: Path, keys: dict[str, Any], words: str, way_out: str
) -> None:
    settings = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    refuses(cli, tmp_path, 2, *TINY, *settings, words=(words, way_out))
    (tmp_path / "mine.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    refuses(cli, tmp_path, 2, "train", "--recipe", "mine.toml", words=(words, way_out))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("foo.name=x", ("unknown table of the recipe 'foo'", "network")),
        ("network.widths.x=1", ("[network]", "did you mean widths?")),
        ("sampling.name=x", ("[sampling]", "guidance")),
        ("data=mnist", ("data is a table", "name, size, range")),
        ("name=mnist", ("several tables", "data.name or optimizer.name or network.name or objective.name")),
        ("widht=8", ("did you mean widths?",)),
    ],
)
def test_a_key_that_is_not_there_is_answered_with_those_that_are(
    cli: Cli, tmp_path: Path, setting: str, words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, 2, *TINY, "--set", setting, words=words)


def test_a_key_that_fits_a_choice_made_with_it_is_taken_in_any_order(cli: Cli, pictures: Path) -> None:
    base = ("--recipe", "tiny", "--dataset", pictures)
    found = dry(cli, *base, "--set", "chain=100", "--set", "objective=vlb", "--set", "schedule=log-snr")["recipe"]
    assert (found["objective"]["name"], found["objective"]["chain"]) == ("vlb", 100)


def test_what_two_choices_share_is_kept_when_one_takes_the_place_of_the_other(cli: Cli, pictures: Path) -> None:
    """The recipe ddpm sets lr and ema of its optimiser, and leaves weight_decay at its default."""
    base = ("--recipe", "ddpm", "--dataset", pictures, "--set", "fold=2", "--set", "widths=8", "--set", "attention=[]")
    before, after = (dry(cli, *base, *more)["recipe"]["optimizer"] for more in ((), ("--set", "optimizer=muon")))
    assert after == before | {"name": "muon", "muon_lr": 0.02}
    assert after["lr"] == 2e-4


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("lr=1e-3", "optimizer.lr", 1e-3), ("lr=1", "optimizer.lr", 1.0), ("optimizer.lr=1", "optimizer.lr", 1.0),
        ("widths=8,16", "network.widths", [8, 16]), ("widths=8", "network.widths", [8]),
        ("widths=[8]", "network.widths", [8]), ("network.widths=8", "network.widths", [8]),
        ("flip=true", "data.augment", "flip"), ("flip=False", "data.augment", ""),
        ("attention=[]", "network.attention", []), ("attention=()", "network.attention", []),
        (" lr = 0.5", "optimizer.lr", 0.5), ("precision=fp32", "precision", "fp32"),
        ("precision='fp32'", "precision", "fp32"),
    ],
)  # fmt: skip
def test_settings_are_typed(cli: Cli, pictures: Path, setting: str, key: str, value: Any) -> None:
    found = dry(cli, "--recipe", "tiny", "--dataset", pictures, "--set", setting)["recipe"]
    for part in key.split("."):
        found = found[part]
    assert found == value
    assert type(found) is type(value)


def test_minutes_replace_the_steps_of_a_recipe(cli: Cli, pictures: Path) -> None:
    recipe = dry(cli, "--recipe", "tiny", "--dataset", pictures, "--minutes", 2)["recipe"]
    assert (recipe["steps"], recipe["minutes"]) == (0, 2.0)


def test_runs_are_numbered_upwards(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "shapes-7").mkdir(parents=True)
    (tmp_path / "checkpoints" / "shapes-x").mkdir()
    (tmp_path / "checkpoints" / "other-99").mkdir()
    assert cli(*TINY, "--steps", 1, "--dataset", pictures, "--json").document["run"] == "checkpoints/shapes-8"
    assert cli(*TINY, "--steps", 1, "--dataset", pictures, "--json").document["run"] == "checkpoints/shapes-9"


@pytest.mark.parametrize("out", ["a [red] folder/x", "ünï/çødé", "-dash", "{braces}%s"])
def test_a_run_may_have_any_name(cli: Cli, pictures: Path, tmp_path: Path, out: str) -> None:
    assert cli(*TINY, "--steps", 1, "--dataset", pictures, f"--out={out}").code == 0
    assert steps_kept(tmp_path / out) == [1]
    sampled = cli("sample", "--ddim", "--steps", 1, "--count", 1, "--", out)
    assert sampled.code == 0, sampled.err


def test_the_order_of_training_depends_on_the_seed_only(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert cli(*TINY, "--steps", 2, "--dataset", pictures, "--seed", seed, "--out", name).code == 0
    assert_equal(weights(tmp_path / "a", 2), weights(tmp_path / "b", 2))
    one, other = weights(tmp_path / "a", 2), weights(tmp_path / "c", 2)
    assert not any(torch.equal(one[k], other[k]) for k in one if k.startswith("model/") and one[k].dim() == 4)


# Folders of images


@pytest.mark.parametrize(
    ("mode", "size", "channels"),
    [
        ("L", (8, 8), 1),
        ("L", (7, 5), 1),
        ("L", (1, 1), 1),
        ("RGB", (9, 4), 3),
        ("RGBA", (6, 6), 3),
        ("I;16", (6, 5), 1),
    ],
)
def test_any_image_size_and_mode_trains_and_samples(
    cli: Cli, tmp_path: Path, mode: str, size: tuple[int, int], channels: int
) -> None:
    (tmp_path / "pics").mkdir()
    for i in range(5):
        Image.effect_noise(size, 50 + i).convert(mode).save(tmp_path / "pics" / f"{i}.png")
    assert cli(*TINY, "--steps", 1, "--dataset", "pics", "--out", "mine").code == 0
    sampled = cli("sample", "mine", "--ddim", "--steps", 1, "--count", 3, "--array", "x.npy")
    assert sampled.code == 0, sampled.err
    assert np.load(tmp_path / "x.npy").shape == (3, channels, size[1], size[0])


def test_what_is_done_to_images_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for i, side in enumerate((9, 12)):
        Image.effect_noise((side, 9), 50).save(tmp_path / "pics" / f"{i}.png")
    result = cli(*TINY, "--steps", 1, "--dataset", "pics", "--out", "mine")
    assert "9x9" in result.err
    assert cli(*TINY, "--dataset", "pics", "--set", "size=6", "--out", "six", "--steps", 1).code == 0
    assert load_trained("six", device=torch.device("cpu")).items.shape == (1, 6, 6)


def test_a_single_image_can_be_learned(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    Image.effect_noise((8, 8), 50).save(tmp_path / "pics" / "one.png")
    result = cli(*TINY, "--steps", 2, "--dataset", "pics", "--json")
    assert result.code == 0
    assert result.document["linear_denoiser_loss"] == pytest.approx(0, abs=1e-9)  # it knows its mean


def test_a_run_finds_its_folder_from_elsewhere(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pictures, tmp_path / "here" / "shapes")
    monkeypatch.chdir(tmp_path / "here")
    assert cli(*TINY, "--steps", 2, "--dataset", "shapes", "--out", "../mine").code == 0
    monkeypatch.chdir(tmp_path)
    assert cli("train", "--resume", "mine", "--steps", 3).code == 0


# The clock


STEP = 0.1  # seconds that a step of training takes by the clock of the fixture


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that steps of training move, those of the probe too, and nothing else."""
    seconds, fit = [0.0], fitting.fit

    def timed(*args: Any, **kwargs: Any) -> Iterator[Progress]:
        for progress in fit(*args, **kwargs):
            seconds[0] += STEP
            yield progress

    def now() -> float:
        return seconds[0]

    monkeypatch.setattr(fitting, "fit", timed)
    monkeypatch.setattr(session, "Clock", partial(session.Clock, now=now))
    monkeypatch.setattr(time, "monotonic", now)


@pytest.mark.usefixtures("clock")
def test_minutes_end_the_run_in_time_though_the_probe_was_too_fast(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour on the machine that began after the probe looks just like this."""
    probe = session.Session.probe
    monkeypatch.setattr(session.Session, "probe", lambda self: probe(self) / 4)
    result = cli(*TINY, "--minutes", 7.2 / 60, "--dataset", pictures, "--out", "mine", "--json")
    assert result.code == 0
    assert result.document["seconds"] == pytest.approx(7.2, abs=1.01 * STEP)
    assert result.document["steps"] == pytest.approx(7.2 / STEP, abs=6)  # the probe took a few
    scales = [row["scale"] for row in rows(tmp_path / "mine")]
    assert all(a > b for a, b in zip(scales[1:], scales[2:], strict=False))


@pytest.mark.usefixtures("clock")
def test_less_time_than_a_step_takes_is_one_step(cli: Cli, pictures: Path) -> None:
    assert cli(*TINY, "--minutes", 1e-4, "--dataset", pictures, "--json").document["steps"] == 1


def test_a_run_whose_time_is_used_up_is_not_a_bug_to_resume(cli: Cli, run: Path, tmp_path: Path) -> None:
    before = tree(run)
    result = cli("train", "--resume", "shapes-1", "--minutes", 1e-4)
    assert result.code == 2, result.err
    assert tree(run) == before


# Resume


def test_a_complete_run_is_not_resumed_but_can_be_led_further(cli: Cli, run: Path) -> None:
    before = tree(run)
    result = cli("train", "--resume", "shapes-1")
    assert result.code == 2
    assert "complete" in result.err
    assert "--steps" in result.err
    assert tree(run) == before
    assert cli("train", "--resume", "shapes-1", "--steps", 15, "--json").document["steps"] == 15
    assert steps_kept(run)[-1] == 15
    assert about(run)["status"] == "complete"


def test_a_resume_takes_runs_not_files(cli: Cli, run: Path) -> None:
    """From an older file the run would have two courses."""
    before = tree(run)
    result = cli("train", "--resume", checkpoint_of(run, 6))
    assert result.code == 2
    assert result.err.splitlines()[-1] == f"hint: try --resume {run}"
    assert tree(run) == before


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """A signal that arrives while this step is being computed."""
    fit = fitting.fit

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        for progress in fit(*args, **kwargs):
            if progress.step == step:
                os.kill(os.getpid(), number)
            yield progress

    monkeypatch.setattr(fitting, "fit", interrupted)


def test_after_a_fallback_the_run_takes_the_course_it_had(cli: Cli, run: Path, shapes_run: Path) -> None:
    newest = checkpoint_of(run, 12)
    newest.write_bytes(newest.read_bytes()[:-9])
    result = cli("train", "--resume", "shapes-1")
    assert result.code == 0, result.err
    assert newest.name in result.err
    assert_equal(weights(run, 12), weights(shapes_run, 12))
    assert [row["step"] for row in rows(run)] == [6, 10, 12]


def test_after_a_fallback_two_good_checkpoints_are_kept_again(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = checkpoint_of(run, 12)
    newest.write_bytes(newest.read_bytes()[:-9])
    stopping_at(monkeypatch, 8)
    assert cli("train", "--resume", "shapes-1").code == 130
    for path in runs.checkpoints(run):
        checkpoint.read_checkpoint(path)
    assert steps_kept(run) == [6, 9]


def test_a_half_written_row_of_metrics_does_not_stop_a_resume(cli: Cli, run: Path) -> None:
    """A power cut leaves such a line."""
    path = run / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 13, "lo')
    result = cli("train", "--resume", "shapes-1", "--steps", 20)
    assert result.code == 0, result.err
    steps = [row["step"] for row in rows(run)]
    assert steps == sorted(steps)
    assert steps[:3] == [6, 10, 12]
    assert steps[-1] == 20


def test_a_dry_run_of_a_resume_changes_nothing(cli: Cli, run: Path) -> None:
    checkpoint_of(run, 12).unlink()  # the metrics are ahead of the checkpoint
    before = tree(run)
    result = cli("train", "--resume", "shapes-1", "--dry-run")
    assert result.code == 0, result.err
    assert tree(run) == before


def test_a_busy_run_is_refused_and_left_alone(cli: Cli, run: Path) -> None:
    """The rows after its last checkpoint belong to the process that trains it."""
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 14}\n')
    with runs.locked(run):
        before = tree(run)
        result = cli("train", "--resume", "shapes-1", "--steps", 20)
    assert result.code == 6
    assert "another process" in result.err
    assert result.err.splitlines()[-1].startswith("hint:")
    assert tree(run) == before


def test_the_threads_of_the_run_are_restored(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    assert cli("train", "--resume", "shapes-1", "--steps", 13).code == 0
    assert seen[0] == about(run)["threads"] == 1


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_rest_is_as_without_it(
    cli: Cli, pictures: Path, shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    command = [*TINY, "--steps", 12, "--dataset", pictures, "--set", "checkpoint_every=6", "--out", "mine"]
    with monkeypatch.context() as patch:
        stopping_at(patch, 8, number)
        result = cli(*command)
    mine = tmp_path / "mine"
    assert result.code == code
    assert result.out == ""
    assert "diffcli train --resume mine" in result.err
    assert "Traceback" not in result.err
    assert steps_kept(mine) == [6, 9]  # asked once a step, so with the next one
    assert about(mine)["status"] == "interrupted"
    assert cli("train", "--resume", "mine", "--json").document["steps"] == 12
    assert about(mine)["status"] == "complete"
    assert_equal(weights(mine, 12), weights(shapes_run, 12))


def test_a_signal_between_two_steps_loses_nothing(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives while the bar is drawn: after the question whether to save, before the one whether to go on."""
    update = show.Bar.update

    def interrupting(bar: show.Bar, done: int, *args: Any) -> None:
        update(bar, done, *args)
        if done == 7 and args:  # with a loss
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(show.Bar, "update", interrupting)
    assert cli(*TINY, "--steps", 12, "--dataset", pictures, "--out", "mine", "--quiet").code == 130
    assert steps_kept(tmp_path / "mine") == [8]


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until there are files like this."""
    end = time.monotonic() + seconds
    while not list(path.parent.glob(path.name)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


LONG = (*TINY, "--steps", 100_000, "--set", "checkpoint_every=5", "--out", "mine")


def test_a_process_holds_its_run_until_it_is_told_to_stop_then_saves_and_says_how_to_go_on(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    process = start(*LONG, "--dataset", pictures, cwd=tmp_path)
    try:
        wait_for(tmp_path / "mine" / "step-*.safetensors", process)
        assert cli("train", "--resume", "mine").code == 6
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert out == ""
    assert "Traceback" not in err
    stopped = steps_kept(tmp_path / "mine")[-1]
    assert f"saved at step {stopped}; go on with: diffcli train --resume mine" in err
    result = cli("train", "--resume", "mine", "--steps", stopped + 2, "--json")
    assert result.document["steps"] == stopped + 2


def test_a_killed_process_costs_nothing_but_the_steps_since_its_checkpoint(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    process = start(*LONG, "--dataset", pictures, cwd=tmp_path)
    wait_for(tmp_path / "mine" / "step-*.safetensors", process)
    time.sleep(0.3)
    process.kill()
    process.communicate(timeout=60)
    kept = steps_kept(tmp_path / "mine")[-1]
    result = cli("train", "--resume", "mine", "--steps", kept + 7, "--json")
    assert result.code == 0, result.err
    assert result.document["steps"] == kept + 7
    table = [row["step"] for row in rows(tmp_path / "mine")]
    assert table == sorted(set(table))
    assert list((tmp_path / "mine").glob(".*.part")) == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_on_a_terminal_a_bar_is_drawn_and_stdout_stays_clean(pictures: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = [*TINY, "--steps", 3, "--dataset", pictures, "--out", "[red]", "--json"]
    process = start(*command, cwd=tmp_path, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    os.close(ours)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, seen
    assert set(json.loads(out)) == KEYS
    assert b"training" in seen
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen)
    assert b"3/3" in plain, "the step"
    assert b"loss" in plain
    assert b"run: [red]" in seen


# Divergence


def losses(monkeypatch: pytest.MonkeyPatch, bad: set[int], value: float = math.nan) -> None:
    """After the two steps of the probe, the loss at these steps is `value`."""
    real, calls = Denoiser.loss, [0]

    def loss(denoiser: Denoiser, *args: Any, **kwargs: Any) -> torch.Tensor:
        result = real(denoiser, *args, **kwargs)
        if not torch.is_grad_enabled():
            return result
        calls[0] += 1
        return result * value if calls[0] - 2 in bad else result

    monkeypatch.setattr(Denoiser, "loss", loss)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_three_losses_in_a_row_that_are_no_numbers_end_the_run(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    losses(monkeypatch, {9, 10, 11, 12}, value)
    command = [*TINY, "--steps", 20, "--dataset", pictures, "--set", "checkpoint_every=4", "--out", "mine", "--json"]
    result = cli(*command)
    assert result.code == 7
    assert result.out == ""
    assert [line.split(":")[0] for line in result.err.splitlines()][-2:] == ["error", "hint"]
    assert "step 11" in result.err
    assert about(tmp_path / "mine")["status"] == "diverged"
    assert steps_kept(tmp_path / "mine") == [4, 8]
    assert all(t.isfinite().all() for t in weights(tmp_path / "mine", 8).values())
    assert cli("sample", "mine", "--ddim", "--steps", 1, "--count", 1).code == 0


def test_checkpoints_of_a_diverging_run_do_not_push_out_the_good_ones(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saving at every step, two refused steps would leave none from before the trouble."""
    losses(monkeypatch, {9, 10, 11})
    result = cli(*TINY, "--steps", 20, "--dataset", pictures, "--set", "checkpoint_every=1", "--out", "mine")
    assert result.code == 7
    assert steps_kept(tmp_path / "mine") == [7, 8]


def test_two_bad_losses_change_no_weight_and_the_run_goes_on(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses(monkeypatch, {3, 4, 6, 7})
    seen: list[Progress] = []
    kept: list[torch.Tensor] = []
    fit = fitting.fit

    def watched(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        for progress in fit(trainer, *args, **kwargs):
            seen.append(progress)
            kept.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
            yield progress

    monkeypatch.setattr(fitting, "fit", watched)
    result = cli(*TINY, "--steps", 9, "--dataset", pictures, "--out", "mine", "--json")
    assert result.document["steps"] == 9
    assert [p.refused for p in seen[-9:]] == [i in (3, 4, 6, 7) for i in range(1, 10)]
    for step in range(2, 10):
        assert torch.equal(kept[-10 + step], kept[-11 + step]) == (step in (3, 4, 6, 7))


def test_a_rate_that_is_far_too_high_never_leaves_weights_that_are_no_numbers(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    command = [*TINY, "--steps", 300, "--dataset", pictures, "--lr", 10, "--set", "optimizer=adamw"]
    command += ["--set", "clip=1e9"]  # it diverges before step 60
    result = cli(*command, "--set", "checkpoint_every=5", "--set", "warmup=1", "--out", "mine")
    assert result.code == 7
    for step in steps_kept(tmp_path / "mine"):
        assert all(t.isfinite().all() for t in weights(tmp_path / "mine", step).values())


def test_a_recipe_with_a_byte_order_mark_is_read(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("\ufeffsteps = 2\nbatch = 4\n", encoding="utf-8")
    result = cli("train", "--recipe", "mine.toml", "--dataset", pictures, "--dry-run")
    assert result.code == 0, result.err
    assert "batch = 4" in result.out
