"""`--start linear`: walks that begin where a Gaussian flow leads, with the moments of the data of each class."""

import shutil
from pathlib import Path

import pytest
import torch
from conftest import Cli, refuses, trained_here

from diffcli.core.diffusion.job import start_noise
from diffcli.data.loading import load_dataset
from diffcli.errors import UsageProblem
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import prepare
from diffcli.sampling.start import LinearStart

USAGE = 2


@pytest.fixture
def run(many_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1"))


def options(**changes: object) -> SamplingOptions:
    return SamplingOptions(sampler="ddim", count=4000, device="cpu", **changes)  # type: ignore[arg-type]


def test_walks_begin_at_the_level_asked_for(run: Path) -> None:
    job = prepare(str(run), options(steps=4, start="linear,at=5", grid="karras")).job
    ratios = [(level.sigma / level.alpha).item() for level in job.levels]
    assert ratios[0] == pytest.approx(5)
    assert ratios[-1] == 0
    assert len(ratios) == 5
    usual = prepare(str(run), options(steps=4, grid="karras")).job
    assert ratios[-2] == pytest.approx((usual.levels[-2].sigma / usual.levels[-2].alpha).item(), rel=1e-6)


@pytest.mark.parametrize("label", [None, "cross"])
def test_what_they_begin_from_has_the_moments_of_noisy_data(run: Path, many: Path, label: str | None) -> None:
    """Mean alpha m, covariance alpha² C + sigma², within four standard errors; of a class its own mean."""
    job = prepare(str(run), options(steps=3, start="linear,at=2", label=label)).job
    assert job.begin is not None
    x = job.begin(range(4000)).flatten(1).double()
    alpha, sigma = (part.item() for part in job.levels[0])
    data = load_dataset(str(many))
    assert data.labels is not None
    places = (
        torch.arange(len(data)) if label is None else (data.labels == data.classes.index(label)).nonzero().squeeze(1)
    )
    known = data.take(places)[0].flatten(1).double()
    std = (alpha**2 * known.var(0) + sigma**2).sqrt()
    assert ((x.mean(0) - alpha * known.mean(0)).abs() < 5 * std / 4000**0.5).all()
    torch.testing.assert_close(x.std(0), std, rtol=0.08, atol=0)


def test_an_item_begins_alike_whatever_else_is_drawn(run: Path) -> None:
    job = prepare(str(run), options(steps=3, start="linear", label="all")).job
    assert job.begin is not None
    torch.testing.assert_close(job.begin([7, 3])[1], job.begin(range(6))[3], rtol=1e-5, atol=1e-5)


def test_it_is_the_noise_of_the_seed_that_is_carried(run: Path) -> None:
    """At nearly the noisiest level hardly anything has happened."""
    prepared = prepare(str(run), options(steps=3, start="linear,at=100"))
    job = prepared.job
    assert job.begin is not None
    noise = start_noise(0, range(5), job.shape, job.levels[0])
    torch.testing.assert_close(job.begin(range(5)), noise, rtol=0, atol=0.05)


def test_a_level_outside_the_schedule_is_refused(run: Path) -> None:
    for at in (1e9, 1e-9):
        with pytest.raises(UsageProblem, match="is no level of the schedule"):
            prepare(str(run), options(steps=3, start=f"linear,at={at}"))
    assert LinearStart().at == 10


def test_the_command_takes_it_and_refuses_it(cli: Cli, run: Path, tmp_path: Path) -> None:
    taken = cli("sample", "--ddim", "--steps", 2, "--count", 3, "--start", "linear,at=4", "--out", "out", "--json")
    assert (taken.code, taken.document["evaluations"]) == (0, 2)
    shutil.rmtree(tmp_path / "out")
    refuses(cli, tmp_path, USAGE, "sample", "--start", "lineer", words=("did you mean linear",))
    refuses(cli, tmp_path, USAGE, "sample", "--interpolate", "--start", "linear", words=("exclude",))
    refuses(
        cli, tmp_path, USAGE, "sample", "exact:mixture", "--start", "linear", words=("an exact one needs no start",)
    )


def test_points_may_begin_so_too(cli: Cli, tmp_path: Path) -> None:
    trained_here(tmp_path / "checkpoints" / "moons-1", "--dataset", "moons", "--recipe", "points")
    found = cli("sample", "moons-1", "--ddim", "--steps", 3, "--count", 50, "--start", "linear", "--json", "--quiet")
    assert found.code == 0, found.err
