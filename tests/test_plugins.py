"""Plug-ins: each example in the commands that take it, what a run keeps of a file, and what is refused."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, checkpoint_of

from diffcli import plugins
from diffcli.runs.checkpoint import read_checkpoint

EXAMPLES = Path(__file__).parent.parent / "examples" / "plugins"
TINY = ("--recipe", "tiny", "--steps", 3, "--quiet")
USAGE, CHECKPOINT, DATA = 2, 4, 3


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test begins and ends without plug-ins."""
    yield
    for plugin in plugins.loaded():
        plugins.forget(plugin)


def example(name: str) -> tuple[object, ...]:
    return "--impl", EXAMPLES / f"{name}.py"


def forget_all() -> None:
    for plugin in plugins.loaded():
        plugins.forget(plugin)


@pytest.mark.parametrize("name", ["schedule", "sampler", "weighting", "network", "guidance", "target"])
def test_every_example_holds_the_checks_that_concern_it(cli: Cli, name: str) -> None:
    result = cli("verify", *example(name), "--json", "--quiet")
    assert result.code == 0, result.err
    assert len(result.document["checks"]) >= 1


def test_a_schedule_trains_and_samples_with_its_parameters(cli: Cli, pictures: Path) -> None:
    schedule = ("--schedule", "power,exponent=1.5")
    result = cli("train", "--dataset", pictures, *TINY, *example("schedule"), *schedule, "--out", "run")
    assert result.code == 0, result.err
    plan = cli("sample", "run", "--ddim", "--steps", 4, "--plan", "--json", *example("schedule")).document
    assert [row["sigma"] for row in plan["levels"]] == pytest.approx([1, 0.75**1.5, 0.5**1.5, 0.25**1.5, 0])


def test_a_sampler_has_its_steps_its_grid_and_its_options(cli: Cli) -> None:
    plan = cli("sample", "exact:mixture", "--sampler", "midpoint", "--plan", "--json", *example("sampler")).document
    assert (plan["steps"], plan["grid"], plan["evaluations"], plan["noise_draws"]) == (20, "karras", 39, 0)
    command = ("sample", "exact:gaussian", "--count", 50, "--quiet", *example("sampler"), "--sampler")
    arrays = []
    for name in ("midpoint", "midpoint,place=0.75", "heun"):
        assert cli(*command, name, "--steps", 40, "--array", f"{len(arrays)}.npy", "--out", f"{len(arrays)}").code == 0
        arrays.append(torch.from_numpy(np.load(f"{len(arrays)}.npy")))
    assert 0 < (arrays[0] - arrays[1]).abs().max() < 0.05
    assert 0 < (arrays[0] - arrays[2]).abs().max() < 0.05


def test_a_network_has_a_table_of_its_own_in_the_recipe(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    command = ("train", "--dataset", pictures, *TINY, *example("network"), "--model", "convnet")
    assert cli(*command, "--set", "depth=2", "--out", "run").code == 0
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["network"] == {"name": "convnet", "width": 24, "depth": 2}
    assert recipe["impl"] == [str(EXAMPLES / "network.py")]
    assert cli("info", "run", *example("network"), "--json").document["model"] == "convnet"
    assert_refused(cli(*command, "--set", "fold=2"), USAGE, "fold does nothing with the network convnet", "unet")


def test_a_weighting_and_a_target_change_what_is_learned(cli: Cli, pictures: Path) -> None:
    losses = []
    for more in ((), ("--set", "weighting=bell"), ("--predict", "angle")):
        both = (*example("weighting"), *example("target"))
        losses.append(cli("train", "--dataset", pictures, *TINY, *both, *more, "--json").document["loss"])
    assert len(set(losses)) == 3


def test_guidance_by_a_plug_in_is_not_that_of_the_package(cli: Cli, run: Path) -> None:
    def drawn(*more: object) -> list[float]:
        command = ("sample", "shapes-1", "--ddim", "--steps", 3, "--count", 3, "--class", "all", "--json")
        document = cli(*command, *more, *example("guidance")).document
        return [document["mean"], document["std"]]

    plain, ours, fading = drawn("--guidance", 1), drawn("--guidance", 4), drawn("--guidance", 4, "--guide", "faded")
    assert ours != fading != plain
    assert drawn("--guidance", 1, "--guide", "faded") == pytest.approx(plain)
    result = cli(
        "sample", "shapes-1", "--class", "all", *example("guidance"), "--guide", "faded", "--guidance-rescale", 0.5
    )
    assert_refused(result, USAGE, "the guidance faded takes no rescale")


def test_a_run_keeps_the_file_and_wants_it_back(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    shutil.copy(EXAMPLES / "schedule.py", mine)
    command = ("train", "--dataset", pictures, *TINY, "--impl", mine, "--schedule", "power", "--out", "run")
    assert cli(*command).code == 0
    kept = tmp_path / "run" / "impl" / "mine.py"
    assert kept.read_text() == mine.read_text()
    _, about = read_checkpoint(checkpoint_of(tmp_path / "run", 3))
    assert about["impl"][0]["defined"] == {"schedule": ["power"]}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["impl"] == {"mine.py": about["impl"][0]["digest"]}
    forget_all()
    for use in (("sample", "run"), ("train", "--resume", "run", "--steps", 5), ("info", "run"), ("vlb", "run")):
        assert_refused(cli(*use), CHECKPOINT, "needs mine.py, which defines the schedule power", "--impl mine.py")
    assert cli("train", "--resume", "run", "--steps", 5, "--impl", kept, "--quiet").code == 0


def test_a_resume_with_a_changed_file_is_refused_and_sampling_says_so(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    shutil.copy(EXAMPLES / "schedule.py", mine)
    command = ("train", "--dataset", pictures, *TINY, "--impl", mine, "--schedule", "power", "--out", "run")
    assert cli(*command).code == 0
    mine.write_text(mine.read_text() + "\n# changed\n")
    result = cli("train", "--resume", "run", "--steps", 5, "--impl", mine)
    assert_refused(result, DATA, "mine.py has changed since the run began", "impl/mine.py")
    result = cli("sample", "run", "--ddim", "--steps", 2, "--count", 2, "--impl", mine)
    assert result.code == 0
    assert "mine.py is not as it was when the run was trained" in result.err


def test_a_recipe_names_its_plug_ins_from_its_own_folder(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    shutil.copy(EXAMPLES / "network.py", tmp_path / "lab" / "net.py")
    (tmp_path / "lab" / "mine.toml").write_text(
        'steps = 2\nimpl = ["net.py"]\n[network]\nname = "convnet"\nwidth = 5\n'
    )
    result = cli("train", "--recipe", "lab/mine.toml", "--dataset", pictures, "--quiet", "--out", "run")
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "impl" / "net.py").exists()


def test_dicts_by_the_names_of_the_package_add_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("WEIGHTINGS = {'flat': lambda log_snr, rate: 0 * log_snr + 2.0}\n")
    assert cli("verify", "--impl", "mine.py", "--quiet").code == 0
    assert plugins.loaded()[0].defined == {"weighting": ["flat"]}


def test_a_function_of_the_cores_name_is_examined_in_its_place(cli: Cli, tmp_path: Path) -> None:
    head = "from itertools import pairwise\nfrom diffcli.core.diffusion.walks import Step\n"
    body = """
def ddpm(denoise, x, levels, noise, *, variance="small"):
    for step, (t, s) in enumerate(pairwise(levels)):
        x0 = denoise(x, t).x0
        ratio = t.alpha / s.alpha
        beta = t.sigma**2 - ratio**2 * s.sigma**2
        x = ratio * s.sigma**2 / t.sigma**2 * x + s.alpha * beta / t.sigma**2 * x0
        spread = beta * (s.sigma**2 / t.sigma**2 if variance == "small" else 1)
        if s.sigma > 0:
            x = x + spread.sqrt() * noise(step)
        yield Step(x, x0)
"""
    (tmp_path / "right.py").write_text(head + body)
    (tmp_path / "wrong.py").write_text(head + body.replace("if s.sigma > 0", "if True").replace("sqrt()", "sqrt() / 2"))
    right = cli("verify", "ddpm-on-a-gaussian", "ddpm-algorithm", "--impl", "right.py", "--json", "--quiet")
    assert (right.code, len(right.document["checks"])) == (0, 2), right.out
    wrong = cli("verify", "ddpm-on-a-gaussian", "ddpm-algorithm", "--impl", "wrong.py", "--json", "--quiet")
    assert wrong.code == 1
    assert not any(check["passed"] for check in wrong.document["checks"])
    assert cli("verify", "ddpm-on-a-gaussian", "--quiet").code == 0  # the package's own is back in its place


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1 / 0\n", ("mine.py:1: ZeroDivisionError",)),
        ("def f(:\n", ("mine.py:1: SyntaxError",)),
        ("x = 1\n", ("no check concerns",)),
        ("SCHEDULES = {'cosine': int}\n", ("there is a schedule cosine already",)),
        ("SCHEDULES = {'My One': int}\n", ("'My One' is no name",)),
        ("NETWORKS = {'mine': int}\n", ("needs `dimensions`",)),
        ("WEIGHTINGS = {'mine': 3}\n", ("cannot be called",)),
    ],
)
def test_a_file_that_does_not_work_is_refused_and_leaves_nothing(
    cli: Cli, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    before = {kind: list(registry) for kind, registry in plugins.REGISTRIES.items()}
    (tmp_path / "mine.py").write_text("WEIGHTINGS = {'other': abs}\n" * ("SCHEDULES" in text) + text)
    assert_refused(cli("verify", "--impl", "mine.py"), USAGE, *words)
    forget_all()
    assert {kind: list(registry) for kind, registry in plugins.REGISTRIES.items()} == before


def test_a_file_that_is_not_there_or_no_text_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert_refused(cli("train", "--impl", "none.py", "--dry-run"), USAGE, "cannot read", "none.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    assert_refused(cli("sample", "exact:gaussian", "--impl", "bytes.py"), USAGE, "is no text")


def test_installed_packages_add_by_their_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata
    from types import SimpleNamespace

    module = SimpleNamespace(WEIGHTINGS={"installed": abs})
    entries = [
        SimpleNamespace(name="good", load=lambda: module),
        SimpleNamespace(name="bad", load=lambda: 1 / 0),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries if group == plugins.GROUP else [])
    try:
        notes = plugins.load_installed()
        assert plugins.REGISTRIES["weighting"]["installed"] is abs
        assert notes == ["the plug-in bad cannot be loaded: ZeroDivisionError: division by zero"]
    finally:
        plugins.REGISTRIES["weighting"].pop("installed", None)


def test_a_file_may_import_what_lies_beside_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "shared_by_plugins.py").write_text("EXPONENT = 2.0\n", "utf-8")
    text = (
        "from shared_by_plugins import EXPONENT\nfrom diffcli import plugins\n\n\n"
        "@plugins.weighting('from-beside')\ndef weight(log_snr, rate):\n    return log_snr.exp() ** EXPONENT\n"
    )
    (tmp_path / "apart" / "mine.py").write_text(text, "utf-8")
    result = cli("visualize", "weights", "--impl", "apart/mine.py", "--out", "w")
    assert result.code == 0, result.err


def test_what_goes_wrong_in_a_plugin_is_told_with_its_line(cli: Cli, tmp_path: Path) -> None:
    text = "def mine(*given, **told):\n    yield from given[0] + 'text'\nSAMPLERS = {'mine': mine}\n"
    (tmp_path / "mine.py").write_text(text)
    found = cli("sample", "exact:gaussian", "--sampler", "mine", "--impl", "mine.py", "--steps", 2, "--count", 2)
    assert_refused(found, 2, "mine.py:2: TypeError")
    assert "a bug in" not in found.err
