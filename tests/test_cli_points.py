"""Points on the command line: drawn from exact and trained models, and shown over their density."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Cli, trained_here
from PIL import Image

from diffcli.core.diffusion.schedules import SCHEDULES


@pytest.fixture(scope="session")
def moons_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two-dimensional points. Read it only."""
    folder = tmp_path_factory.mktemp("moons") / "run"
    return trained_here(folder, "--recipe", "points", "--dataset", "mixture", "--set", "width=16", "--set", "batch=64")


@pytest.mark.parametrize(
    "sampler",
    [
        "ddpm",
        "ddim",
        "euler",
        "euler-ancestral",
        "heun",
        "edm",
        "dpmpp-2m",
        "dpmpp-sde",
        "unipc",
        "predictor-corrector",
    ],
)
def test_every_sampler_draws_the_default_mixture(cli: Cli, sampler: str) -> None:
    """Eight Gaussians on a circle of radius 1.4, standard deviation 0.1414: most points lie near the circle."""
    result = cli("sample", "exact:mixture", "--sampler", sampler, "--steps", 100, "--array", "x.npy", "--quiet")
    assert result.code == 0, result.err
    points = np.load("x.npy")
    assert points.shape == (2000, 2)
    assert points.dtype == np.float32
    assert points.mean(0) == pytest.approx([0, 0], abs=0.1)
    assert points.std(0) == pytest.approx([1, 1], abs=0.06)
    radius = np.hypot(*points.T)
    assert np.mean(np.abs(radius - 1.4) < 0.45) > 0.95
    sector = np.round(np.arctan2(points[:, 1], points[:, 0]) / (np.pi / 4)).astype(int) % 8
    assert np.bincount(sector, minlength=8) == pytest.approx(np.full(8, 250), abs=75)


def test_a_gaussian_with_a_covariance_file_has_that_covariance(cli: Cli) -> None:
    Path("c.csv").write_text("1.0,0.6\n0.6,0.8\n")
    target = "exact:gaussian,mean=1:-1,covariance=c.csv"
    result = cli("sample", target, "--sampler", "heun", "--steps", 60, "--count", 20000, "--array", "x.npy", "--quiet")
    assert result.code == 0, result.err
    points = np.load("x.npy")
    assert points.mean(0) == pytest.approx([1, -1], abs=0.05)
    assert np.cov(points.T) == pytest.approx(np.array([[1.0, 0.6], [0.6, 0.8]]), abs=0.06)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.rendered
def test_points_of_any_dimension_get_a_picture(cli: Cli, dim: int) -> None:
    result = cli("sample", f"exact:gaussian,dim={dim}", "--ddim", "--steps", 5, "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["grid"]) as picture:
        assert min(picture.size) > 300


@pytest.mark.rendered
def test_a_trained_model_of_points_is_drawn_over_its_density_and_moves(cli: Cli, moons_run: Path) -> None:
    result = cli("sample", moons_run, "--ddim", "--steps", 6, "--count", 300, "--animate", "--array", "x.npy")
    assert result.code == 0, result.err
    assert "mean x" in result.err, "the health line speaks of coordinates"
    assert np.load("x.npy").shape == (300, 2)
    with Image.open("outputs/sample-1/walk.gif") as film:
        assert film.n_frames >= 5


@pytest.mark.parametrize("command", [("reverse", "exact:mixture"), ("forward", "--dataset", "moons")])
@pytest.mark.rendered
def test_the_two_processes_are_shown_as_particles(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli("visualize", *command, "--columns", 3, "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["figure"]) as picture, Image.open(result.document["animation"]) as film:
        assert picture.width > 2 * picture.height
        assert film.n_frames > 10


def test_a_data_set_of_points_has_a_density_to_be_drawn_over_though_it_is_points_only() -> None:
    """All of its mass lies in its points; without noise they are blurred, with noise the density is exact."""
    import torch

    from diffcli.core.diffusion.schedules import VP
    from diffcli.core.levels import CLEAN
    from diffcli.sampling import models
    from diffcli.sampling.planes import PlanarData

    model = models.load_model("exact:dataset,name=moons,count=200", device=torch.device("cpu"))
    plane = PlanarData.of_model(model)
    assert plane is not None
    assert model.exact is not None
    side = torch.linspace(-4, 4, 161)
    places = torch.cartesian_prod(side, side)
    noisy = VP()(torch.tensor(0.3, dtype=torch.float64))
    for level in (CLEAN, noisy):
        mass = plane.density(level)(places).sum().item() * 0.05**2
        assert mass == pytest.approx(1, abs=0.02)
    exact = model.exact.log_density(places, noisy).exp().float()
    torch.testing.assert_close(plane.density(noisy)(places), exact)


def test_samples_that_are_not_finite_are_an_error_and_nothing_is_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcli.core.diffusion.denoiser import Prediction
    from diffcli.core.diffusion.exact import Gaussian

    monkeypatch.setattr(Gaussian, "__call__", lambda self, x, level, **_: Prediction(x * float("nan"), x))
    result = cli("sample", "exact:gaussian", "--ddim", "--count", 10)
    assert result.code == 7
    assert "10 of 10 points are not finite" in result.err
    assert not Path("outputs").exists()


@pytest.mark.rendered
def test_the_score_field_of_a_trained_model_is_compared_with_the_exact_one(cli: Cli, moons_run: Path) -> None:
    result = cli("visualize", "score", moons_run, "--columns", 2, "--json", "--quiet")
    assert result.code == 0, result.err
    document = result.document
    assert len(document["relative_errors"]) == len(document["levels"]) == 2
    assert all(0 < error < 10 for error in document["relative_errors"])
    assert Path(document["figure"]).stat().st_size > 10_000


@pytest.mark.rendered
def test_the_score_field_of_an_exact_model_has_nothing_to_be_compared_with(cli: Cli) -> None:
    document = cli("visualize", "score", "exact:mixture", "--columns", 1, "--json", "--quiet").document
    assert document["relative_errors"] is None


@pytest.mark.parametrize("schedules", [(), ("linear", "linear,steps=100", "cosine,zero-snr")])
@pytest.mark.rendered
def test_schedules_are_drawn_together(cli: Cli, schedules: tuple[str, ...]) -> None:
    result = cli("visualize", "schedules", *schedules, "--json", "--quiet")
    assert result.code == 0, result.err
    names = [row["name"] for row in result.document["schedules"]]
    assert names == list(schedules or SCHEDULES)
    assert Path(result.document["figure"]).stat().st_size > 10_000


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "exact:mixture", "--each"),
        ("sample", "exact:mixture", "--interpolate"),
        ("sample", "exact:mixture", "--invert", "x.png"),
        ("sample", "exact:mixture", "--class", "3"),
        ("visualize", "reverse", "exact:gaussian,dim=3"),
        ("visualize", "score", "exact:gaussian,dim=3"),
        ("visualize", "schedules", "linaer"),
        ("visualize", "forward", "--count", "21"),
    ],
)
def test_what_points_cannot_do_is_refused_with_a_way_out(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli(*command)
    assert result.code == 2, result.err
    assert result.err.startswith("error:")
    assert not Path("outputs").exists()
