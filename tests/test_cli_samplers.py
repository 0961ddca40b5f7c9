"""The samplers that look back, hold an error, or began it all, from the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused
from PIL import Image

from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.levels import Level

USAGE, DIVERGED = 2, 7

SPECS = [
    "dpmpp-3m", "dpmpp-3m,curvature=0.5", "ipndm", "ipndm,order=2", "deis", "deis,order=3,variable=log-rho",
    "deis,variable=rho", "ode", "ode,rtol=1e-3,atol=0.001", "annealed-langevin,snr=0.35", "euler-maruyama",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_points_of_a_gaussian_have_its_moments(cli: Cli, spec: str) -> None:
    steps = ("--steps", 200) if spec == "euler-maruyama" else ()
    how = ("--sampler", spec, *steps, "--count", 2000, "--array", "x.npy")
    result = cli("sample", "exact:gaussian,mean=0.3:-1,std=0.5:0.8", *how, "--json", "--quiet")
    assert result.code == 0, result.err
    x = np.load("x.npy")
    assert np.abs(x.mean(0) - [0.3, -1]).max() < 0.06
    assert np.abs(x.std(0) / [0.5, 0.8] - 1).max() < 0.06
    with Image.open(result.document["grid"]) as picture:
        assert picture.info["diffcli sampler"] == spec


def test_what_is_told_changes_what_is_drawn(cli: Cli) -> None:
    drawn = []
    for spec in [s for s in SPECS if s.split(",")[0] in ("dpmpp-3m", "ipndm", "deis", "ode")]:
        how = ("--sampler", spec, "--steps", 6, "--count", 3, "--array", f"{spec}.npy", "--quiet")
        assert cli("sample", "exact:mixture", *how).code == 0
        drawn.append(np.load(f"{spec}.npy"))
    for i, one in enumerate(drawn):
        assert all(np.abs(one - other).max() > 1e-6 for other in drawn[:i])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sampler", "deis,order=5"), ("order of deis must be from 1 to 4, not 5",)),
        (("--sampler", "deis,order=0"), ("order of deis must be from 1 to 4",)),
        (("--sampler", "ipndm,order=1.5"), ("order of ipndm must be a whole number",)),
        (("--sampler", "deis,variable=sigma"), ("variable of deis", "sigma", "t, rho, log-rho")),
        (("--sampler", "ode,rtol=0"), ("rtol of ode must be from 1e-10 to 1",)),
        (("--sampler", "ode,tol=1"), ("tol", "ode")),
        (("--sampler", "dpmpp-3m,curvature=2"), ("curvature of dpmpp-3m must be from 0 to 1",)),
        (("--sampler", "annealed-langevin", "--corrections", 0), ("--corrections must be from 1 to 1000",)),
        (("--sampler", "ddim", "--snr", 0.1), ("--snr", "predictor-corrector, annealed-langevin")),
        (("--sampler", "euler-maruyama", "--schedule", "flow"), ("cannot begin in pure noise", "flow", "log-snr")),
        (("--sampler", "euler-maruyama,schedule=flow"), ("schedule",)),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, options: tuple[object, ...], words: tuple[str, ...]) -> None:
    assert_refused(cli("sample", "exact:gaussian", *options), USAGE, *words)


def test_the_reverse_sde_begins_where_there_is_some_signal(cli: Cli) -> None:
    how = ("--sampler", "euler-maruyama", "--schedule", "flow", "--grid", "log-snr", "--steps", 200, "--count", 2000)
    assert cli("sample", "exact:gaussian,mean=1,std=0.5,dim=2", *how, "--array", "x.npy", "--quiet").code == 0
    x = np.load("x.npy")
    assert abs(x.mean() - 1) < 0.04
    assert abs(x.std() - 0.5) < 0.04


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("sampler", ["euler-maruyama", "ode,rtol=1e-3,atol=1e-3", "deis", "annealed-langevin"])
def test_a_walk_may_begin_at_an_image(cli: Cli, pictures: Path, sampler: str) -> None:
    """The less of a walk is taken, the nearer to the image."""
    photo = pictures / "cross" / "00.png"
    original = np.asarray(Image.open(photo).convert("L")) / 127.5 - 1
    away = []
    for strength in (0.1, 0.9):
        how = ("--from", photo, "--strength", strength, "--sampler", sampler, "--steps", 10, "--count", 4)
        assert cli("sample", "shapes-1", *how, "--array", f"{strength}.npy", "--quiet").code == 0
        away.append(np.abs(np.load(f"{strength}.npy")[:, 0] - original).mean())
    assert away[0] < away[1]


def test_a_flow_that_cannot_be_followed_has_diverged(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: Gaussian, x: torch.Tensor, level: Level, **_: object) -> Prediction:
        hole = torch.where(level.sigma < 2, torch.nan, 0.0)
        return Prediction(0 * x + hole, x + hole)

    monkeypatch.setattr(Gaussian, "__call__", lost)
    how = ("--sampler", "ode", "--count", 3, "--quiet")
    assert_refused(cli("sample", "exact:gaussian", *how), DIVERGED, "cannot be followed", "rtol", "--sampler")
