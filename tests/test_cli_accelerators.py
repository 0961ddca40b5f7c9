"""Every command that computes with a model, on a device that stands in for an accelerator without float64."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import many_pictures
import pytest
import torch
from conftest import made_once
from device_modes import LACKING, accelerator, device

from diffcli.cli import main
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.randomness import image_noise
from diffcli.data.folders import load_folder
from diffcli.evaluation.features import training

NETWORK = ("--set", "network.widths=4", "--set", "network.blocks=1")
RUNS = {
    "plain": ("train", "--recipe", "tiny", *NETWORK),
    "likelihood": ("train", "--recipe", "mnist-likelihood", *NETWORK),
    "hybrid": ("train", "--recipe", "tiny", "--set", "objective=hybrid", *NETWORK),
    "points": ("train", "--recipe", "points", "--dataset", "mixture", "--set", "network.width=16"),
    "vae": ("vae", "train", "--set", "network=mlp"),
    "dae": ("dae", "train", *NETWORK),
}

PICTURE = "shapes/circle/0000.png"


def there(*arguments: object) -> None:
    """Run a command on the device; it must end well."""
    out, err = io.StringIO(), io.StringIO()
    with accelerator(lacking=LACKING), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, arguments), "--quiet"])
    torch.set_num_threads(1)
    assert code == 0, err.getvalue()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and a run of each kind, trained there. Read it only."""

    def make(root: Path) -> None:
        root.mkdir()
        many_pictures.write(root / "shapes", *many_pictures.pixels(250, seed=0))
        before = Path.cwd()
        os.chdir(root)
        try:
            for name, command in RUNS.items():
                data = () if name == "points" else ("--dataset", "shapes")
                there(*command, *data, "--steps", 2, "--out", name)
        finally:
            os.chdir(before)

    return made_once(tmp_path_factory, "accelerated", lambda root: make(root) or root)


@pytest.fixture(autouse=True)
def inside(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, from which the house is seen."""
    for path in house.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler(sampler: str) -> None:
    steps = 1 if sampler == "annealed-langevin" else 3
    there("sample", "plain", "--sampler", sampler, "--steps", steps, "--count", 2, "--out", "out")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "plain", "--ddim", "--steps", 2, "--class", "all", "--guidance", 2, "--guidance-interval", "0.1,10",
         "--guidance-rescale", 0.5, "--threshold", 0.9),
        ("sample", "plain", "--ddim", "--steps", 2, "--start", "linear"),
        ("sample", "plain", "--ddim", "--steps", 2, "--interpolate"),
        ("sample", "plain", "--ddim", "--steps", 2, "--from", PICTURE),
        ("sample", "plain", "--ddim", "--steps", 2, "--invert", PICTURE),
        ("sample", "likelihood", "--variance", "learned", "--steps", 2),
        ("sample", "points", "--sampler", "ode"),
        ("sample", "exact:mixture", "--ddim", "--steps", 2),
        ("visualize", "reverse", "plain"),
        ("visualize", "score", "points"),
        ("vae", "sample", "vae"),
        ("vae", "interpolate", "vae"),
        ("vae", "reconstruct", "vae"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments))[:60],
)  # fmt: skip
def test_what_draws(arguments: tuple[object, ...]) -> None:
    there(*arguments, "--out", "out")


@pytest.mark.parametrize(
    "arguments",
    [
        ("vlb", "plain", "--steps", 3, "--count", 4),
        ("vlb", "likelihood", "--steps", 3, "--count", 4, "--best-steps", 2),
        ("vlb", "hybrid", "--steps", 3, "--count", 4),
        ("likelihood", "plain", "--count", 2, "--rtol", 0.1, "--atol", 0.1),
        ("likelihood", "likelihood", "--count", 2, "--rtol", 0.1, "--atol", 0.1),
        ("likelihood", "points", "--count", 4, "--rtol", 0.1, "--atol", 0.1),
        ("evaluate", "plain", "--count", 69, "--steps", 2, "--features", "pixels"),
        ("compare", "plain", "--samplers", "ddim", "--steps", 2, "--count", 69, "--features", "pixels", "--truth", 0),
        ("grid", "plain", "--steps", 2),
        (
            "vae",
            "evaluate",
            "vae",
            "--count",
            4,
            "--samples",
            5,
            "--ais-images",
            2,
            "--ais-chains",
            2,
            "--ais-temperatures",
            3,
        ),
        ("dae", "evaluate", "dae"),
        ("dae", "denoise", "dae", PICTURE),
    ],
    ids=lambda arguments: " ".join(map(str, arguments))[:60],
)
def test_what_judges(arguments: tuple[object, ...]) -> None:
    there(*arguments)


def test_a_run_goes_on_there(house: Path) -> None:
    shutil.copytree(house / "likelihood", "again")
    there("train", "--resume", "again", "--steps", 3)


def test_a_judge_is_trained_there(house: Path) -> None:
    dataset = load_folder(house / "shapes")
    with accelerator():
        network = training.new_network(dataset, device())
        next(training.judge_steps(network, dataset, torch.arange(60)))
        training.scaled(network, dataset, torch.arange(60))


def test_the_start_of_an_image_is_the_same_there() -> None:
    with accelerator():
        found = image_noise(5, "start", range(3), (1, 8, 8), device=device()).cpu()
    assert torch.equal(found, image_noise(5, "start", range(3), (1, 8, 8)))
