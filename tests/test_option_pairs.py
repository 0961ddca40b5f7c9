"""Any two options of a command: refused together, or both of them change what comes of it.

The options are those that the command line has, so a new one is tried by itself. By default each command is run once
with all options that go together and once without each of them, and `sample`, whose options have most to do with each
other, in all pairs; with -m slow all pairs of all commands.
"""

import itertools
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from conftest import Cli, refuses
from option_examples import GENERAL, HARMLESS, SCENES, Scene
from outcomes import Bench, Outcome
from PIL import Image
from torch import Tensor

from diffcli import plugins
from diffcli.cli import app, main
from diffcli.commands import sample
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.guidance import guided
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.levels import Level
from diffcli.evaluation.bound import study as bound_study
from diffcli.evaluation.comparison import ddim_table
from diffcli.sampling import inversion
from diffcli.training import recipes
from diffcli.training.recipes.diffusion import RECIPES

PLUGINS = Path(__file__).parent.parent / "examples" / "plugins"
USAGE = 2
LONG = {"langevin", "score", "evaluate", "compare", "vae evaluate", "ais"}  # a second or more each time
Options = dict[str, Any]


def commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", {})
    if words and (not below or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in below.items():
        yield from commands(one, (*words, name))


COMMANDS = dict(commands())


class Tried:
    """A command in its scene. Options are by parameter; what was run once is remembered."""

    def __init__(self, name: str, bench: Bench) -> None:
        self.name, self.bench, self.scene = name, bench, SCENES.get(name, Scene())
        self.flags = {p.name: p for p in COMMANDS[name].params if p.param_type_name == "option" and p.name != "help"}
        self.echoes = {word.replace("-", "_") for word in self.flags} | {
            flag.lstrip("-").replace("-", "_") for p in self.flags.values() for flag in p.opts
        }
        self.remembered: dict[str, Outcome | str] = {}

    def run(self, options: Options) -> Outcome | str:
        """What the command comes to with these options, or what it says that refuses them."""
        words = [word for name, value in options.items() for word in self.words(name, value)]
        key = " ".join(sorted(words))
        if key not in self.remembered:
            arguments = [*self.name.split(), *words, *self.scene.arguments.split()]
            result, outcome = self.bench(arguments, self.echoes)
            assert result.code in (0, USAGE), f"{' '.join(arguments)} fails: {result.err}"
            self.remembered[key] = result.err if outcome is None else outcome
        return self.remembered[key]

    def words(self, name: str, value: Any) -> list[str]:
        """An option as it is written."""
        flag = self.flags[name]
        if isinstance(value, bool):
            return [flag.opts[0] if value else flag.secondary_opts[0]]
        return [flag.opts[0], str(value)]

    def example(self, name: str, beside: str = "") -> Any:
        """A value that is not the usual one."""
        if (name, beside) in self.scene.beside:
            return self.scene.beside[name, beside]
        flag = self.flags[name].opts[0].removeprefix("--").replace("-", "_")
        found = self.scene.examples.get(name, GENERAL.get(flag))
        if found is not None:
            return found
        assert self.flags[name].is_flag, (
            f"{self.name} {self.flags[name].opts[0]} needs an example in option_examples.py"
        )
        return True

    def together(self, *names: str) -> Options:
        """These options, with all that they need."""
        found = {k: v for k, v in self.scene.base.items() if not any(k in self.scene.without.get(n, ()) for n in names)}
        for name in names:
            found |= self.scene.needs.get(name, {})
        for name in names:
            others = [other for other in names if other != name]
            found[name] = self.example(name, next((o for o in others if (name, o) in self.scene.beside), ""))
        return found

    def without(self, options: Options, name: str) -> Options:
        """The options but one, which has the value of the base again where it has one."""
        unwanted = any(name in self.scene.without.get(other, ()) for other in options)
        base = {} if unwanted else {k: v for k, v in self.scene.base.items() if k == name}
        return {k: v for k, v in options.items() if k != name} | base

    def named(self, said: str, names: tuple[str, ...]) -> bool:
        """Whether a refusal names one of these options."""
        spelled = [flag.lstrip("-") for name in names for flag in (*self.flags[name].opts, name)]
        return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w])", said.replace("--", "")) for word in spelled)

    def kept(self) -> list[str]:
        """As many options as go together: of those that a refusal names the last is left out, until none is refused."""
        names = list(self.flags)
        while isinstance(said := self.run(self.together(*names)), str):
            flags = [n for n in names if re.search(rf"{re.escape(self.flags[n].opts[0])}(?![\w-])", said)]
            at_fault = flags or [n for n in names if self.named(said, (n,))]
            assert at_fault, f"{self.name}, refused without the name of an option: {said}"
            lost = at_fault[-1]
            names = [n for n in names if n != lost and lost not in self.scene.needs.get(n, {})]
        return names

    def harmless(self, *names: str) -> bool:
        """Whether it is known, with a reason, that one of these may change nothing."""
        return any(set(key[1:]) <= set(names) for key in HARMLESS if key[0] == self.name)

    def check(self, *names: str) -> str:
        """What is wrong with two options together; "" if they are refused, or both count."""
        options = self.together(*names)
        both = self.run(options)
        written = " ".join(word for name in names for word in self.words(name, options[name]))
        if isinstance(both, str):
            needed = [other for name in names for other in self.scene.needs.get(name, ())]
            named = self.named(both, (*names, *needed))
            return "" if named else f"{self.name} {written}: refused without a word of either: {both}"
        idle = [name for name in names if self.run(self.without(options, name)) == both]
        if not idle or self.harmless(*names):
            return ""
        return f"{self.name} {written}: {' and '.join(self.flags[n].opts[0] for n in idle)} changes nothing"


@pytest.fixture
def bench(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path, others_run: dict[str, Path], many_run: Path,
    pictures: Path,
) -> Iterator[Bench]:  # fmt: skip
    """A folder with all that examples name, and walks of a few steps."""
    for name, path in others_run.items():
        shutil.copytree(path, tmp_path / "checkpoints" / name)
    shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1")
    (run / "step-000000012.safetensors").unlink()  # so that it can be gone on with
    shutil.copytree(pictures, tmp_path / "shapes")
    shutil.copytree(pictures, tmp_path / "others")
    (tmp_path / "others" / "circle" / "00.png").unlink()
    (tmp_path / "sets").mkdir()
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
    monkeypatch.setattr(bound_study, "MEASURED", 5)
    monkeypatch.setattr(bound_study, "KNOWN", 20)
    made = Bench(cli, tmp_path, monkeypatch)
    made.keep()
    yield made
    for plugin in plugins.loaded():
        plugins.forget(plugin)


@pytest.fixture(scope="session")
def others_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> dict[str, Path]:
    """Runs of the other families, which have not come to their end. Read them only."""
    found = {}
    for family in ("vae", "dae"):
        folder = tmp_path_factory.mktemp("others") / family
        more = ("--dataset", str(pictures), "--set", "checkpoint_every=2", "--quiet", "--out", str(folder))
        assert main([family, "train", "--recipe", "tiny", "--steps", "4", *more]) == 0
        (folder / "step-000000004.safetensors").unlink()
        found[f"{family}-1"] = folder
    return found


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
    ("train --set lr=0.1 --set lr=0.2", "--set lr=0.1 and --set lr=0.2"),
    ("train --lr 0.1 --set optimizer.lr=0.2", "lr is given twice, as 0.2 and as 0.1"),
    ("train --dataset shapes --set data.name=moons", "data.name and dataset are one key, given twice"),
    ("train --model mlp --set network=unet", "network and model are one key, given twice"),
    ("train --resume shapes-1 --out new", "--resume goes with neither --out nor --recipe"),
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
