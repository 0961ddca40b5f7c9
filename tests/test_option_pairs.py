"""Any two options of a command: refused together, or both of them change what comes of it.

The options are those that the command line has, so a new one is tried by itself. By default each command is run once
with all options that go together and once without each of them, and what changes `sample` most is tried beside every
other option of it; with -m slow all pairs of all commands.
"""

import itertools
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import many_pictures
import numpy as np
import pytest
import torch
from conftest import Cli, made_once, refuses
from option_examples import HARMLESS, SCENES
from option_trials import COMMANDS, USAGE, Tried
from outcomes import Bench, Outcome
from PIL import Image
from torch import Tensor

from diffcli import plugins
from diffcli.cli import main
from diffcli.commands import sample
from diffcli.commands.vae import reconstruct
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.guidance import guided
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.levels import Level
from diffcli.core.models.lora import LowRank
from diffcli.evaluation.bound import study as bound_study
from diffcli.evaluation.comparison import ddim_table
from diffcli.evaluation.comparison import study as comparison_study
from diffcli.evaluation.features import training as judge_training
from diffcli.evaluation.quality import downstream
from diffcli.learn import catalogue, watching
from diffcli.learn.progress import checked
from diffcli.learn.starter import replaced, solution
from diffcli.learn.workspace import opened
from diffcli.lessons.langevin import step_bias
from diffcli.runs.additions import write_additions
from diffcli.sampling import inversion
from diffcli.training import recipes
from diffcli.training.recipes.diffusion import RECIPES

PLUGINS = Path(__file__).parent.parent / "examples" / "plugins"
TASK = Path(__file__).parent.parent / "examples" / "tasks" / "averages"
EACH = 800  # pictures of each shape that are judged by
LONG = {  # a second or more each time
    "langevin", "score", "evaluate", "compare", "vae evaluate", "ais", "likelihood", "learn check",
}  # fmt: skip


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path,
    others_run: dict[str, Path], many_run: Path, edges_run: Path, pictures: Path,
) -> Iterator[Bench]:  # fmt: skip
    """A folder with all that examples name, and walks of a few steps."""
    for name, path in others_run.items():
        shutil.copytree(path, tmp_path / "checkpoints" / name)
    shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1")
    layer = LowRank(torch.ones(1, 32), torch.ones(32, 1), 1.0)
    write_additions(tmp_path / "added.safetensors", {"condition.1": layer})
    (run / "step-000000012.safetensors").unlink()  # so that it can be gone on with
    shutil.copytree(pictures, tmp_path / "shapes")
    shutil.copytree(pictures, tmp_path / "others")
    (tmp_path / "others" / "circle" / "00.png").unlink()
    (tmp_path / "sets").mkdir()
    name = request.node.callspec.params.get("name", "") if hasattr(request.node, "callspec") else ""
    if name in ("", "sample", "control evaluate"):  # elsewhere the newest run is one that obeys nothing
        shutil.copytree(edges_run, tmp_path / "checkpoints" / "edges-1")
    if name in ("evaluate", "compare"):
        (tmp_path / "more").symlink_to(request.getfixturevalue("more"))
    elif name.startswith("learn"):
        with_workspace(cli, tmp_path, monkeypatch)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray((pixels > 99).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    shutil.copy(PLUGINS / "guidance.py", tmp_path / "plug.py")
    shutil.copy(PLUGINS / "schedule.py", tmp_path)
    own = recipes.override(RECIPES["tiny"], {"weight_decay": 0.2, "steps": 7})
    (tmp_path / "own.toml").write_text(recipes.to_toml(own))
    for name, sampler in SAMPLERS.items():
        monkeypatch.setitem(SAMPLERS, name, replace(sampler, steps=min(sampler.steps, 3)))
    monkeypatch.setattr(sample, "INPAINT_STEPS", 3)
    monkeypatch.setattr(inversion, "LADDER", (2, 3))
    monkeypatch.setattr(ddim_table, "RETURNS", (2, 3))
    monkeypatch.setattr(ddim_table, "RETURNED", 2)
    monkeypatch.setattr(comparison_study, "TRUTH", ("heun", 3))
    monkeypatch.setattr(judge_training, "MOST_EPOCHS", 1)
    monkeypatch.setattr(downstream, "BUDGET", 200)
    monkeypatch.setattr(step_bias, "PARTICLES", 20)
    monkeypatch.setattr(bound_study, "MEASURED", 5)
    monkeypatch.setattr(bound_study, "KNOWN", 20)
    made = Bench(cli, tmp_path, monkeypatch)
    made.keep()
    yield made
    for plugin in plugins.loaded():
        plugins.forget(plugin)


def with_workspace(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner's folder with one task, half done; another task beside it; and somebody who watches no longer."""
    tasks = {task.name: task for task in catalogue.tasks_of(TASK)}
    monkeypatch.setattr(catalogue, "_built_in", lambda: tasks)
    monkeypatch.setattr(watching, "events", lambda _: iter([("key", "q")]))
    shutil.copytree(TASK, folder / "more", ignore=shutil.ignore_patterns("__pycache__"))
    about = folder / "more" / "task.toml"
    about.write_text(about.read_text().replace('name = "averages"', 'name = "others"'))
    assert cli("learn", "init", "work").code == 0
    file = folder / "work" / "averages.py"
    (done,) = (one for one in tasks["averages"].exercises if one.name == "standard-error")
    file.write_text(replaced(file.read_text(), done, solution(done)))
    opened().changed(lambda old: checked(old, done, "passed", None, ""))


@pytest.fixture(scope="session")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of so many pictures that those of one class are enough to judge by. Read it only."""

    def make(root: Path) -> Path:
        return many_pictures.write(root / "shapes", *many_pictures.pixels(EACH, seed=1))

    return made_once(tmp_path_factory, "more", make) / "shapes"


@pytest.fixture(scope="session")
def others_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> dict[str, Path]:
    """Runs of the other families, which have not come to their end. Read them only."""
    found = {}
    for family, command, recipe in (("vae", "vae", "tiny"), ("dae", "dae", "tiny"), ("codec", "vae", "kl-tiny")):
        folder = tmp_path_factory.mktemp("others") / family
        more = ("--dataset", str(pictures), "--set", "checkpoint_every=2", "--quiet", "--out", str(folder))
        assert main([command, "train", "--recipe", recipe, "--steps", "4", *more]) == 0
        (folder / "step-000000004.safetensors").unlink()
        found[f"{family}-1"] = folder
    return found


@pytest.fixture(scope="session")
def edges_run(tmp_path_factory: pytest.TempPathFactory, shapes_run: Path) -> Path:
    """What obeys edges, beside the run of the bench. Read it only."""

    def make(root: Path) -> Path:
        base = ("control", "train", str(shapes_run / "step-000000006.safetensors"), "--condition", "edges")
        more = ("--steps", "4", "--set", "optimizer.lr=0.1", "--set", "muon_lr=0.1")
        assert main([*base, *more, "--quiet", "--out", str(root)]) == 0
        return root

    return made_once(tmp_path_factory, "edges-run", make)


def test_every_command_is_tried() -> None:
    assert set(SCENES) == set(COMMANDS)
    for name, scene in SCENES.items():
        known = {p.name for p in COMMANDS[name].params}
        about = {*scene.base, *scene.needs, *scene.without, *itertools.chain(*scene.beside)}
        assert about <= known, name
    assert all(key[0] in COMMANDS for key in HARMLESS)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in SCENES])
def test_of_all_options_that_go_together_each_one_counts(bench: Bench, name: str) -> None:
    tried = Tried(name, bench)
    names = tried.kept()
    options = tried.together(*names)
    whole = tried.run(options)
    idle = [n for n in names if not tried.harmless(n) and tried.run(tried.without(options, n)) == whole]
    found = [problem for n in idle for other in names if other != n and (problem := tried.check(n, other))]
    assert not found, "\n".join(found)
    assert idle == [], "none of them beside any other one, but beside all of them"


def all_right(tried: Tried, pairs: Iterable[tuple[str, str]]) -> None:
    found = [problem for pair in pairs if (problem := tried.check(*pair))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("mode", ["plan", "invert", "auto", "interpolate", "inpaint"])
def test_a_mode_of_sample_refuses_an_option_or_both_count(bench: Bench, mode: str) -> None:
    tried = Tried("sample", bench)
    all_right(tried, ((mode, other) for other in tried.flags if other != mode))


PARTS = 8


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SCENES)
def test_two_options_are_refused_together_or_both_count(bench: Bench, name: str, part: int) -> None:
    tried = Tried(name, bench)
    all_right(tried, itertools.islice(itertools.combinations(tried.flags, 2), part, None, PARTS))


REFUSED = [  # what is written, and words of the reason
    ("train --minutes 5 --steps 100", "--minutes 5.0 and --steps 100: a training ends by one of them"),
    ("train --minutes 5 --set steps=100", "--minutes 5.0 and --set steps=100: a training ends by one of them"),
    ("train --set minutes=5 --steps 100", "--steps 100 and --set minutes=5: a training ends by one of them"),
    ("train --set minutes=5 --set steps=100", "a training ends by one of them"),
    ("train --lr 0.1 --set lr=0.2", "--lr 0.1 and --set lr=0.2: one of them would be ignored"),
    ("train --set lr=0.1 --set lr=0.2", "--set lr is given twice"),
    ("train --lr 0.1 --set optimizer.lr=0.2", "lr is given twice, as 0.2 and as 0.1"),
    ("train --dataset shapes --set data.name=moons", "data.name and dataset are one key, given twice"),
    ("train --model mlp --set network=unet", "network and model are one key, given twice"),
    ("train --resume shapes-1 --out new", "--resume goes with neither --out nor --recipe"),
    ("data shapes --set size=4 --set size=8", "--set size is given twice"),
    ("data --clear-cache --data sets", "--data changes nothing with --clear-cache"),
    ("sample shapes-1 --plan --array x.npy", "--array changes nothing with --plan, which draws nothing"),
    ("sample shapes-1 --plan --devices auto", "--devices changes nothing with --plan"),
    ("sample shapes-1 --invert photo.png --count 5", "--count changes nothing with --invert, which draws no samples"),
    ("sample shapes-1 --invert photo.png --seed 0", "--seed changes nothing with --invert"),
    ("sample shapes-1 --no-clip --threshold 0.9", "--threshold takes the place of --clip and --no-clip"),
    ("sample shapes-1 --class 1 --guidance 1 --guide cfg,rescale=0.5", "--guide cfg,rescale=0.5 changes nothing"),
    ("sample shapes-1 --class 1 --guidance 2 --guide cfg,rescale=1 --guidance-rescale 0.5", "rescale is given twice"),
    ("sample shapes-1 --class 1 --guidance 2 --guide cfg,interval=1", "interval"),
    ("sample shapes-1 --sampler predictor-corrector --corrections 0 --snr 0.1", "--snr changes nothing without"),
    ("visualize forward --image photo.png --dataset mnist", "--dataset changes nothing with --image"),
    ("vae reconstruct vae-1 --image photo.png --count 3", "--count changes nothing with --image"),
    ("dae denoise dae-1 photo.png --seed 1", "--seed changes nothing without --corrupt"),
    ("noise chain --value 1 --dataset mnist", "--dataset changes nothing with --value"),
    ("noise --seed 0 gaussian", "options stand after the command that they are for: --seed"),
    ("runs --json export shapes-1 x.safetensors", "options go behind the verb: --json"),
    ("langevin --method ula --levels 4", "--levels changes nothing with --method ula"),
    ("langevin --method annealed --step 0.1", "--step changes nothing with --method annealed"),
    ("score --method explicit --reduced", "--reduced changes nothing with --method explicit"),
    ("evaluate shapes --against others --sampler ddim", "--sampler changes nothing for shapes"),
    ("compare many-1 --samplers ddpm,steps=9 --steps 5 --features pixels", "--steps changes nothing"),
    ("compare many-1 --table ddim --truth 4", "--truth changes nothing with --table"),
]


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize(("written", "why"), REFUSED)
def test_an_option_that_would_be_ignored_is_refused_with_the_reason(
    cli: Cli, tmp_path: Path, written: str, why: str
) -> None:
    refuses(cli, tmp_path, USAGE, *written.split(), words=(why,))


def test_an_option_that_is_ignored_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As this one would be if nothing refused it."""
    tried = Tried("vae reconstruct", bench)
    assert tried.check("image", "count") == ""
    tried.remembered.clear()
    monkeypatch.setattr(reconstruct, "refuse_idle", lambda *_: None)
    assert tried.check("image", "count") == "vae reconstruct --image photo.png --count 3: --count changes nothing"


def test_an_option_replaces_what_a_recipe_says(bench: Bench) -> None:
    """own.toml is one of 7 steps."""
    tried = Tried("train", bench)
    outcome = tried.run({"dataset": "shapes", "recipe": "own.toml", "minutes": 0.01, "dry_run": True, "as_json": True})
    assert isinstance(outcome, Outcome)
    assert (outcome.told["recipe"]["steps"], outcome.told["recipe"]["minutes"]) == (0, 0.01)


def test_guidance_of_scale_0_is_rescaled_like_any_other() -> None:
    """It was not: the estimate without a class has the spread of the one with it (Lin et al. 2024, eq. 15)."""

    def denoise(x: Tensor, level: Level, **told: Tensor) -> Prediction:
        x0 = x if told else 3 * x
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    x = torch.tensor([[1.0, -1.0, 0.5]])
    found = guided(denoise, 0.0, rescale=1.0)(x, Level.of(0.6, 0.8), label=torch.zeros(1))
    assert found.x0 == pytest.approx(x)
