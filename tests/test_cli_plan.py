"""`sample --plan`: the levels of a walk and its cost, as the papers have them; and the models that need no training."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, refuses, tree
from PIL import Image

from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.grids import GRIDS
from diffcli.core.diffusion.samplers import SAMPLERS

USAGE, DATA = 2, 3
KEYS = {"sampler", "schedule", "grid", "steps", "evaluations", "noise_draws", "levels", "settings"}
ALPHA2 = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # Ho et al. 2020, section 4; entry i at i - 1


def plan(cli: Cli, *arguments: object, run: object = "exact:gaussian") -> dict[str, Any]:
    result = cli("sample", run, "--plan", "--json", *arguments)
    assert result.code == 0, result.err
    assert result.err == ""
    return result.document


def column(document: dict[str, Any], key: str) -> np.ndarray:
    """A column of the levels but for the clean end."""
    return np.array([level[key] for level in document["levels"][:-1]], dtype=float)


def ratio(document: dict[str, Any]) -> np.ndarray:
    """sigma / alpha, the sigma of Karras et al."""
    return column(document, "sigma") / column(document, "alpha")


# Levels


@pytest.mark.parametrize("steps", [1, 3, 10, 250, 1000])
def test_trailing_goes_back_from_the_last_entry(cli: Cli, steps: int) -> None:
    """Lin et al. 2024, table 2: round(flip(arange(T, 0, -T / S)))."""
    document = plan(cli, "--steps", steps, "--grid", "trailing")
    entries = np.round(np.arange(1000, 0, -1000 / steps)).astype(int)
    assert np.round(column(document, "t") * 1000, 9).tolist() == entries.tolist()
    assert column(document, "alpha") == pytest.approx(np.sqrt(ALPHA2[entries - 1]), rel=1e-12)
    assert column(document, "sigma") == pytest.approx(np.sqrt(1 - ALPHA2[entries - 1]), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 3, 10, 1000])
def test_leading_goes_up_from_the_first_entry(cli: Cli, steps: int) -> None:
    """The code of DDIM: range(0, T, T // S) + 1, which never sees the last entry."""
    entries = (np.arange(steps) * (1000 // steps) + 1)[::-1]
    document = plan(cli, "--steps", steps, "--grid", "leading")
    assert np.round(column(document, "t") * 1000, 9).tolist() == entries.tolist()


@pytest.mark.parametrize("steps", [2, 8, 50])
def test_linspace_has_both_ends(cli: Cli, steps: int) -> None:
    """Nichol & Dhariwal 2021, section 4: evenly spaced real numbers between 1 and T, rounded."""
    document = plan(cli, "--steps", steps, "--grid", "linspace")
    assert np.round(column(document, "t") * 1000, 9).tolist() == np.round(np.linspace(1000, 1, steps)).tolist()


@pytest.mark.parametrize("steps", [2, 10, 30])
def test_quadratic_takes_short_steps_near_the_data(cli: Cli, steps: int) -> None:
    """Song et al. 2021 (DDIM), appendix D.2: floor(c i²), here with c so that the last is T, and rounded."""
    k = np.arange(steps, 0, -1)
    document = plan(cli, "--steps", steps, "--grid", "quadratic")
    expected = np.maximum(np.round(1000 * (k / steps) ** 2), k)
    assert np.round(column(document, "t") * 1000, 9).tolist() == expected.tolist()


@pytest.mark.parametrize("schedule", ["linear", "ve", "edm"])
@pytest.mark.parametrize("steps", [2, 18])
def test_karras_is_their_equation_5(cli: Cli, schedule: str, steps: int) -> None:
    ends = {"ve": (50, 0.01), "edm": (80, 0.002)}.get(schedule)
    high, low = ends or (math.sqrt(1 / ALPHA2[-1] - 1), math.sqrt(1 / ALPHA2[0] - 1))
    share = np.arange(steps) / (steps - 1)
    expected = (high ** (1 / 7) + share * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    assert ratio(plan(cli, "--schedule", schedule, "--steps", steps, "--grid", "karras")) == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("schedule", ["linear", "flow", "cosine,zero-snr"])
def test_equal_steps_of_log_snr_begin_where_there_is_some_signal(cli: Cli, schedule: str) -> None:
    found = column(plan(cli, "--schedule", schedule, "--steps", 11, "--grid", "log-snr"), "log_snr")
    first = {"linear": math.log(ALPHA2[-1] / (1 - ALPHA2[-1]))}.get(schedule, -11)
    assert found[0] == pytest.approx(first, rel=1e-6)
    assert np.diff(found) == pytest.approx(np.diff(found)[0], rel=1e-6)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("schedule", ["linear", "cosine", "vp", "sub-vp", "ve", "edm", "flow", "sigmoid"])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_every_walk_loses_noise_at_every_step_and_ends_in_the_data(
    cli: Cli, grid: str, schedule: str, steps: int
) -> None:
    document = plan(cli, "--schedule", schedule, "--grid", grid, "--steps", steps)
    noise = [math.inf if level["alpha"] == 0 else level["sigma"] / level["alpha"] for level in document["levels"]]
    assert len(noise) == steps + 1
    assert all(before > after for before, after in zip(noise, noise[1:], strict=False))
    assert document["levels"][-1] == {"t": 0, "alpha": 1, "sigma": 0, "log_snr": None}


def test_flow_is_a_straight_line_in_equal_steps(cli: Cli) -> None:
    document = plan(cli, "--schedule", "flow", "--steps", 4)
    assert column(document, "sigma").tolist() == [1, 0.75, 0.5, 0.25]
    assert column(document, "alpha").tolist() == [0, 0.25, 0.5, 0.75]


# Cost


COSTS: list[tuple[str, tuple[object, ...], int, int]] = [
    # Sampler, options, evaluations and draws of noise in five steps; the last step is to the data.
    ("ddpm", (), 5, 4),
    ("ddim", (), 5, 0),
    ("ddim", ("--eta", 0.5), 5, 4),
    ("euler", (), 5, 0),
    ("euler-ancestral", (), 5, 4),
    ("heun", (), 9, 0),
    ("edm", (), 9, 0),
    ("edm", ("--churn", 10), 9, 5),
    ("dpmpp-2m", (), 5, 0),
    ("dpmpp-2m", ("--eta", 1), 5, 4),
    ("dpmpp-sde", (), 5, 4),
    ("dpmpp-3m", (), 5, 0),
    ("unipc", (), 5, 0),
    ("ipndm", (), 5, 0),
    ("deis", (), 5, 0),
    ("predictor-corrector", (), 9, 8),
    ("predictor-corrector", ("--corrections", 3), 17, 16),
    ("annealed-langevin", (), 251, 250),
    ("annealed-langevin", ("--corrections", 2, "--snr", 0.3), 11, 10),
    ("euler-maruyama", (), 5, 4),
]
ADAPTIVE = {"ode"}  # whose evaluations a plan cannot know


@pytest.mark.parametrize(("sampler", "options", "evaluations", "draws"), COSTS)
def test_what_a_sampler_costs(
    cli: Cli, sampler: str, options: tuple[object, ...], evaluations: int, draws: int
) -> None:
    document = plan(cli, "--sampler", sampler, *options, "--steps", 5)
    assert set(document) == KEYS
    assert (document["sampler"], document["steps"]) == (sampler, 5)
    assert (document["evaluations"], document["noise_draws"]) == (evaluations, draws)
    assert {name for name, *_ in COSTS} | ADAPTIVE == set(SAMPLERS)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch of every evaluation of a network."""
    seen: list[int] = []
    forward = Denoiser.forward

    def counted(self: Denoiser, x: torch.Tensor, *rest: Any, **cond: Any) -> Any:
        seen.append(len(x))
        return forward(self, x, *rest, **cond)

    monkeypatch.setattr(Denoiser, "forward", counted)
    return seen


@pytest.mark.parametrize(("sampler", "options"), [(name, options) for name, options, *_ in COSTS])
@pytest.mark.parametrize("guided", [(), ("--class", "all", "--guidance", 2, "--guidance-interval", "0.5,5")])
@pytest.mark.usefixtures("run")
def test_the_plan_counts_what_the_walk_does(
    cli: Cli, calls: list[int], sampler: str, options: tuple[object, ...], guided: tuple[object, ...]
) -> None:
    how = ("--sampler", sampler, *options, *guided, "--steps", 5, "--count", 2)
    evaluations = plan(cli, *how, run="shapes-1")["evaluations"]
    assert calls == []
    result = cli("sample", "shapes-1", *how, "--json", "--quiet")
    assert result.document["evaluations"] == evaluations
    assert calls == [2] * evaluations


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("guided", [(), ("--class", "all", "--guidance", 2, "--guidance-interval", "0.5,5")])
def test_an_adaptive_walk_is_counted_as_it_is_drawn(cli: Cli, calls: list[int], guided: tuple[object, ...]) -> None:
    how = ("--sampler", "ode,rtol=1e-2,atol=1e-2", *guided, "--count", 3)
    document = plan(cli, *how, run="shapes-1")
    assert (document["sampler"], document["steps"], document["evaluations"]) == ("ode", 2, None)
    assert "as many network evaluations as the model needs" in cli("sample", "shapes-1", *how, "--plan").out
    assert calls == []
    document = cli("sample", "shapes-1", *how, "--json", "--quiet", "--batch", 2).document
    assert document["evaluations"] == pytest.approx(sum(calls) / 3)
    assert set(calls) == {1, 2}
    assert len(calls) > 2 * 13
    assert "evaluations each" in cli("sample", "shapes-1", *how, "--quiet").out


@pytest.mark.usefixtures("run")
def test_guidance_costs_twice_within_its_interval_and_nothing_beyond(cli: Cli) -> None:
    how = ("--ddim", "--steps", 20, "--class", "cross", "--guidance")
    assert plan(cli, *how, 1, run="shapes-1")["evaluations"] == 20
    assert plan(cli, *how, 0, run="shapes-1")["evaluations"] == 20
    assert plan(cli, *how, 2, run="shapes-1")["evaluations"] == 40
    document = plan(cli, *how, 2, "--guidance-interval", "0.3,4", run="shapes-1")
    inside = ((ratio(document) > 0.3) & (ratio(document) <= 4)).sum()
    assert 0 < inside < 20
    assert document["evaluations"] == 20 + inside


# What is said, and what is not written


@pytest.mark.usefixtures("run")
def test_a_plan_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "x.png")
    before = tree(tmp_path)
    for more in (
        (), ("--count", 5), ("--interpolate",), ("--from", "x.png"), ("--inpaint", "x.png", "--mask", "x.png"),
    ):  # fmt: skip
        assert cli("sample", "shapes-1", "--plan", "--steps", 4, *more).code == 0
        assert tree(tmp_path) == before


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("option", ["--out new", "--out a/b.png", "--array x.npy", "--each", "--animate", "--batch 2"])
def test_a_plan_refuses_what_only_drawing_has_use_for(cli: Cli, tmp_path: Path, option: str) -> None:
    words = (option.split()[0], "--plan")
    refuses(cli, tmp_path, USAGE, "sample", "shapes-1", "--plan", *option.split(), words=words)


@pytest.mark.usefixtures("run")
def test_a_plan_says_what_would_be_drawn(cli: Cli) -> None:
    how = ("sample", "shapes-1", "--plan", "--ddim", "--steps", 3, "--count", 5, "--seed", 2, "--class", "all")
    found = cli(*how, "--guidance", 3, "--json").document["settings"]
    assert {name: found[name] for name in ("count", "seed", "class", "guidance", "weights")} == {
        "count": 5, "seed": 2, "class": "all", "guidance": 3, "weights": "ema",
    }  # fmt: skip
    head = cli(*how, "--guidance", 3).out.splitlines()[0]
    for word in ("5 images", "seed 2", "class all", "guidance 3"):
        assert word in head


def test_a_plan_of_points_draws_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcli.core.diffusion.exact import Gaussian

    monkeypatch.setattr(Gaussian, "__call__", None)
    assert plan(cli, "--sampler", "heun")["evaluations"] == 35
    assert plan(cli, run="exact:mixture")["evaluations"] == 1000


def test_a_plan_in_words_is_a_table(cli: Cli) -> None:
    head, titles, *rows = cli("sample", "exact:gaussian", "--plan", "--ddim", "--steps", 3).out.splitlines()
    for word in ("ddim", "linear", "trailing", "3 steps", "3 network evaluations", "0 draws"):
        assert word in head
    assert titles.split() == ["level", "t", "entry", "alpha", "sigma", "log", "SNR"]
    assert [row.split()[2] for row in rows] == ["1000", "667", "333", "0"]
    assert rows[-1].split() == ["3", "0.000000", "0", "1", "0", "inf"]
    assert max(map(len, rows)) <= 80
    assert "entry" not in cli("sample", "exact:gaussian", "--plan", "--steps", 3, "--schedule", "flow").out


@pytest.mark.parametrize(("sampler", "steps", "grid"), [
    ("ddpm", 1000, "trailing"), ("ddim", 50, "trailing"), ("heun", 18, "karras"), ("edm", 18, "karras"),
    ("dpmpp-2m", 20, "trailing"), ("unipc", 20, "trailing"), ("predictor-corrector", 500, "trailing"),
    ("dpmpp-3m", 20, "log-snr"), ("ipndm", 20, "quadratic"), ("deis", 20, "quadratic"), ("ode", 2, "karras"),
    ("annealed-langevin", 20, "log-snr"), ("euler-maruyama", 1000, "trailing"),
])  # fmt: skip
def test_a_sampler_has_steps_and_a_grid_of_its_own(cli: Cli, sampler: str, steps: int, grid: str) -> None:
    document = plan(cli, "--sampler", sampler)
    assert (document["steps"], document["grid"]) == (steps, grid)


def test_without_steps_a_walk_is_no_longer_than_the_table(cli: Cli) -> None:
    for sampler, steps in (("ddpm", 40), ("ddim", 40), ("heun", 18)):
        assert plan(cli, "--sampler", sampler, "--schedule", "linear,steps=40")["steps"] == steps


def test_a_model_trained_on_a_short_table_is_sampled_without_flags(cli: Cli, pictures: Path) -> None:
    how = ("--recipe", "tiny", "--steps", 2, "--dataset", pictures, "--schedule", "cosine,steps=9", "--quiet")
    assert cli("train", *how, "--out", "short").code == 0
    assert cli("sample", "short", "--count", 1, "--json", "--quiet").document["steps"] == 9
    assert cli("visualize", "reverse", "short", "--count", 1, "--json", "--quiet").document["steps"] == 9


# Exact models


def test_the_exact_models_are_drawn_from_like_a_trained_one(cli: Cli, pictures: Path) -> None:
    how = (
        "--sampler",
        "dpmpp-2m",
        "--steps",
        40,
        "--count",
        4,
        "--array",
        "x.npy",
        "--json",
    )  # 20 leave some between two
    target = f"exact:dataset,name={pictures},count=5"
    result = cli("sample", target, *how, "--quiet")
    assert result.code == 0, result.err
    images = np.load("x.npy")
    first = [np.asarray(Image.open(path)) / 127.5 - 1 for path in sorted((pictures / "circle").iterdir())[:5]]
    for image in images[:, 0]:
        assert min(np.abs(image - known).max() for known in first) < 1e-5
    with Image.open(result.document["grid"]) as grid:
        assert grid.info["diffcli checkpoint"] == target
    assert cli("visualize", "reverse", target, "--steps", 3, "--count", 1).code == 0


def test_data_are_looked_for_where_data_says(cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcli.data import loading as datasets

    asked = []
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name, data: asked.append((name, data)) or load(str(pictures)))
    for more in ((), ("--data", "folder")):
        assert cli("sample", "exact:dataset,name=some", *more, "--plan", "--steps", 2).code == 0
    assert asked == [("some", None), ("some", Path("folder"))]


MATRICES: dict[str, Any] = {
    "good.csv": "1,0.5\n0.5,1\n",
    "wide.csv": "1,0.5,2\n0.5,1,2\n",
    "lopsided.csv": "1,0.5\n0.2,1\n",
    "indefinite.csv": "1,2\n2,1\n",
    "singular.csv": "1,1\n1,1\n",
    "nan.csv": "1,nan\nnan,1\n",
    "words.csv": "a,b\nc,d\n",
    "ragged.csv": "1,0\n1\n",
    "empty.csv": "",
    "empty.npy": "",
    "picture.csv": "\x89PNG\x00",
    "good.npy": np.eye(3, dtype=int),
    "cube.npy": np.ones((2, 2, 2)),
    "number.npy": np.array(3.0),
    "complex.npy": np.eye(2) * 1j,
    "pickled.npy": np.array([{1: 2}], dtype=object),
    "words.npy": np.array([["a", "b"], ["c", "d"]]),
}


@pytest.fixture
def matrices(tmp_path: Path) -> Path:
    for name, content in MATRICES.items():
        if isinstance(content, str):
            (tmp_path / name).write_bytes(content.encode("latin-1"))
        else:
            np.save(tmp_path / name, content)
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("matrices")
@pytest.mark.parametrize("name", [*MATRICES, "nope.csv", "nope.npy", "folder.csv"])
def test_a_covariance_comes_from_a_file_with_a_good_matrix(cli: Cli, tmp_path: Path, name: str) -> None:
    target = f"exact:gaussian,mean=1,covariance={name}"
    if name.startswith("good"):
        assert cli("sample", target, "--plan", "--steps", 2).code == 0
        return
    refuses(cli, tmp_path, DATA, "sample", target, "--plan", words=(name,))


BAD_LAWS: list[tuple[str, int, Sequence[str]]] = [
    ("exact:", USAGE, ("gaussian",)),
    ("exact:gausian", USAGE, ("did you mean gaussian?",)),
    ("exact:gaussian,stdd=1", USAGE, ("did you mean std?",)),
    ("exact:gaussian,std", USAGE, ("std",)),
    ("exact:gaussian,std=1,std=2", USAGE, ("twice",)),
    ("exact:gaussian,std=1, std =2", USAGE, ("twice",)),
    *((f"exact:gaussian,dim={value}", USAGE, ("dim",)) for value in ("0", "-1", "x", "1.5", "nan", "1000000000")),
    *((f"exact:gaussian,std={value}", USAGE, ("std",)) for value in ("0", "-1", "nan", "inf", "x", "1:2:3", "1:0")),
    *((f"exact:gaussian,mean={value}", USAGE, ("mean",)) for value in ("nan", "-inf", "1e30", "x", "1:2:3", "1/2")),
    ("exact:gaussian,covariance=good.csv,mean=1:2:3", USAGE, ("mean", "3", "2")),
    ("exact:gaussian,covariance=good.csv,std=3", USAGE, ("covariance",)),
    ("exact:gaussian,covariance=good.csv,dim=7", USAGE, ("covariance",)),
    ("exact:mixture,means=1:0/0", USAGE, ("coordinates",)),
    ("exact:mixture,means=1:0/0:x", USAGE, ("means",)),
    ("exact:mixture,means=1e39:0/0:1", USAGE, ("means",)),
    ("exact:mixture,weights=1", USAGE, ("means",)),
    *((f"exact:mixture,means=1/2,weights={w}", USAGE, ("weights",)) for w in ("1/2/3", "0/1", "-1/2", "1/nan", "x")),
    ("exact:mixture,means=1:0/0:1,stds=-1", USAGE, ("stds",)),
    *((f"exact:dataset,count={value}", USAGE, ("count",)) for value in ("-1", "x", "1.5", "nan")),
    ("exact:dataset,data-folder=.", USAGE, ("data-folder",)),
    ("exact:dataset,name=mnits", DATA, ("did you mean mnist?",)),
    ("exact:dataset,name=", DATA, ("mnist",)),
]  # fmt: skip


@pytest.mark.usefixtures("matrices")
@pytest.mark.parametrize(("target", "code", "words"), BAD_LAWS, ids=[law for law, *_ in BAD_LAWS])
def test_a_law_that_cannot_be_is_refused(
    cli: Cli, tmp_path: Path, target: str, code: int, words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, code, "sample", target, "--plan", words=tuple(words))


def test_an_exact_model_has_no_classes_weights_or_guidance(cli: Cli, tmp_path: Path) -> None:
    for option, value in (("--class", "0"), ("--weights", "raw"), ("--weights", "x"), ("--guidance", "2")):
        refuses(cli, tmp_path, USAGE, "sample", "exact:gaussian", "--plan", option, value, words=(option,))


# Schedules


BAD_SCHEDULES = {
    "": "known", ",": "known", "cosin": "did you mean cosine?", "Linear": "did you mean linear?",
    "linear,steps=0": "1000000", "linear,steps=-1": "1000000", "linear,steps=1000000000000": "1000000",
    "linear,steps=5": "between 0 and 1", "linear,steps=abc": "whole number", "linear,steps=2.5": "whole number",
    "linear,steps": "whole number", "linear,first=0": "between 0 and 1", "linear,first=nan": "finite",
    "linear,last=inf": "finite", "linear,first=1e-200": "data to noise", "linear,step=3": "did you mean steps?",
    "linear,steps=100,steps=200": "twice", "vp,beta_min=1,beta-min=2": "twice", "cosine,offset=-1": "between 0 and 1",
    "cosine,limit=1": "between 0 and 1", "sigmoid,temperature=0": "temperature", "sigmoid,temperature=inf": "finite",
    "sigmoid,temperature=1e-9": "data to noise", "sigmoid,start=3,end=-3": "start < end",
    "vp,beta-max=1e6": "data to noise", "vp,beta-min=0": "beta_min", "vp,beta-max=nan": "finite",
    "ve,sigma-max=1e200": "data to noise", "ve,sigma-max=inf": "finite", "ve,sigma-min=0": "sigma_min",
    "ve,sigma-min=1e-50": "data to noise", "ve,sigma-min=60": "sigma_min", "edm,rho=0": "rho", "edm,rho=inf": "finite",
    "edm,rho=1e-3": "data to noise", "edm,rho=1e300": "data to noise", "flow,steps=3": "known: none",
    "flow,zero-snr": "alpha²", "ve,zero-snr": "alpha²", "sub-vp,zero-snr": "alpha²", "edm,zero-snr": "alpha²",
    "sub-vp,shift=2": "shift needs", "cosine,shift=0": "above 0", "cosine,shift=x": "above 0", "flow,shift": "above 0",
    "linear,steps=1,zero-snr": "2 entries", "cosine,zero-snr=no": "no value", "cosine,zero-snr,zero-snr": "twice",
}  # fmt: skip


@pytest.mark.parametrize("spec", BAD_SCHEDULES)
def test_a_schedule_that_cannot_be_is_refused(cli: Cli, tmp_path: Path, spec: str) -> None:
    how = ("--plan", "--steps", "1", "--schedule", spec)
    refuses(cli, tmp_path, USAGE, "sample", "exact:gaussian", *how, words=(BAD_SCHEDULES[spec],))


@pytest.mark.parametrize("spec", [
    "linear,steps=50", "linear,steps=1,first=0.0004,last=0.0004", "cosine,steps=1", "cosine,zero_snr",
    "cosine,steps=2,zero-snr", "vp,zero-snr", "sigmoid,temperature=0.5", "edm,rho=3", " ve , sigma_max = 1300 ",
    "scaled-linear,zero-snr", "linear,steps=100000", "cosine,shift=0.5", "flow,shift=3", "cosine,shift=2,zero-snr",
])  # fmt: skip
def test_a_schedule_that_can_be_walks_from_noise_to_data_without_a_nan(cli: Cli, pictures: Path, spec: str) -> None:
    how = ("--schedule", spec, "--ddim", "--count", 1, "--quiet", "--array", "x.npy", "--steps")
    steps = 1 if "steps=1," in spec or spec.endswith("steps=1") else 2
    assert cli("sample", f"exact:dataset,name={pictures},count=3", *how, steps).code == 0
    assert np.isfinite(np.load("x.npy")).all()


def test_zero_snr_ends_in_pure_noise_and_keeps_the_first_entry(cli: Cli) -> None:
    """Lin et al. 2024, algorithm 1: shift and scale sqrt(alpha²) so that the last is 0 and the first stays."""
    document = plan(cli, "--schedule", "linear,zero-snr", "--steps", 1000)
    alpha = np.sqrt(ALPHA2)
    expected = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
    assert column(document, "alpha")[::-1] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("predicts", ["eps", "score"])
def test_a_schedule_that_ends_in_pure_noise_is_refused_by_a_model_that_predicts_it(
    cli: Cli, pictures: Path, tmp_path: Path, predicts: str
) -> None:
    how = ("--recipe", "tiny", "--steps", 2, "--dataset", pictures, "--predict", predicts, "--quiet")
    assert cli("train", *how, "--out", "noise").code == 0
    for schedule in ("cosine,zero-snr", "flow"):
        for command in (("sample", "noise"), ("visualize", "reverse", "noise"), ("sample", "noise", "--plan")):
            words = (schedule, predicts, "pure noise", "--schedule")
            refuses(cli, tmp_path, USAGE, *command, "--schedule", schedule, words=words)
    assert cli("sample", "noise", "--schedule", "linear", "--ddim", "--steps", 2, "--count", 1).code == 0


# Options


OPTIONS = {
    "--grid": ["", "karas", "Trailing"],
    "--sampler": ["", "hein", "DDIM"],
    "--schedule": ["", "x"],
    "--threshold": ["0", "0.4", "1.1", "nan", "inf", "x"],
    "--guidance-rescale": ["-1", "1.1", "nan", "x"],
    "--guidance-interval": ["", "1", "2,1", "1,1", "nan,1", "1,nan", "-1,2", "a,b", "1,2,3", "0.3;5"],
    "--sampler edm --churn": ["-1", "nan", "inf", "1e7", "x"],
    "--sampler edm --churn 1 --churn-min": ["-1", "nan", "inf", "1e7"],
    "--sampler edm --churn 1 --churn-max": ["-1", "nan"],
    "--sampler edm --churn 1 --churn-min 2 --churn-max": ["1"],
    "--sampler edm --churn 1 --churn-noise": ["-1", "nan", "11"],
    "--sampler edm --churn-noise": ["1"],
    "--sampler edm --churn 0 --churn-max": ["3"],
    "--sampler heun --churn": ["1"],
    "--sampler euler --eta": ["0"],
    "--sampler dpmpp-2m --eta": ["2", "nan"],
    "--sampler predictor-corrector --corrections": ["-1", "101", "1.5", "nan"],
    "--sampler predictor-corrector --snr": ["-1", "1.1", "nan", "inf"],
    "--corrections": ["1"],
    "--steps": ["1001", "100001"],
    "--grid log-snr --steps": ["100001"],
    "--clip --threshold": ["0.9"],
    "--class 0 --guidance 1 --guidance-rescale": ["0.5"],
}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(("option", "value"), [(o, v) for o, values in OPTIONS.items() for v in values])
def test_a_value_that_cannot_be_is_refused_by_name(cli: Cli, tmp_path: Path, option: str, value: str) -> None:
    name = option.split()[-1].removeprefix("--")
    refuses(cli, tmp_path, USAGE, "sample", "shapes-1", "--plan", *option.split(), value, words=(name.split("-")[0],))
