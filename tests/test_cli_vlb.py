"""`diffcli vlb`: the bound end to end on tiny runs and exact laws, the best walk, and what is refused."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, assert_refused, refuses, trained_here
from PIL import Image

from diffcli.core.diffusion import bound
from diffcli.core.levels import CLEAN
from diffcli.core.randomness import image_noise
from diffcli.evaluation.bound import terms
from diffcli.evaluation.subject import subject
from diffcli.sampling import models

USAGE, DATA, CHECKPOINT = 2, 3, 4
KEYS = {"bits_per_dim", "nats", "standard_error", "terms", "per_step", "steps", "grid", "variance", "images"}
VLB = ("--set", "objective=vlb", "--set", "variance=learned", "--set", "draws=importance", "--set", "prior=pixels")


@pytest.fixture(scope="session")
def learned_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A run on the pictures that has learned its variance, with a prior of pixels. Read it only."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    return trained_here(folder, "--dataset", pictures, "--schedule", "log-snr", "--predict", "eps", *VLB)


@pytest.fixture
def learned(learned_run: Path, tmp_path: Path) -> Path:
    """A copy of it in checkpoints/ of the folder that `cli` works in."""
    return Path(shutil.copytree(learned_run, tmp_path / "checkpoints" / "learned-1"))


def vlb(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("vlb", *arguments, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    return result.document


@pytest.mark.rendered
def test_the_document_the_figures_and_the_steps_agree(cli: Cli, learned: Path, tmp_path: Path) -> None:
    d = vlb(cli, learned, "--steps", 8, "--count", 3, "--out", "out")
    assert d.keys() >= KEYS
    assert d["terms"].keys() == {"prior", "diffusion", "reconstruction"}
    assert d["nats"] == pytest.approx(sum(d["terms"].values()))
    assert d["bits_per_dim"] == pytest.approx(d["nats"] / 64 / math.log(2))
    assert sum(d["per_step"]) == pytest.approx(d["nats"] - d["terms"]["prior"])
    assert (d["steps"], d["grid"], d["variance"], d["images"]) == (8, "trailing", "learned", 3)
    assert set(d["variances"]) == {"small", "large", "optimal", "learned"}
    with (tmp_path / "out" / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["nats"]) for row in rows] == pytest.approx(d["per_step"])
    assert [float(row["bits_per_dim"]) for row in rows] == pytest.approx([v / 64 / math.log(2) for v in d["per_step"]])
    for row in rows:
        ratio = math.exp(float(row["log_snr"]))
        assert float(row["eps_mse"]) == pytest.approx(float(row["x0_mse"]) * ratio)
    for path in d["figures"]:
        if path.endswith(".png"):
            Image.open(tmp_path / path).load()
    assert json.loads((tmp_path / d["metrics"]).read_text())["nats"] == d["nats"]


def test_the_terms_are_those_of_the_papers_one_by_one(cli: Cli, learned: Path) -> None:
    """Two images, every term written out from the model's own prediction."""
    d = vlb(cli, learned, "--steps", 4, "--count", 2, "--samples", 2, "--seed", 5)
    model = models.load_model(str(learned), device=torch.device("cpu"))
    s = subject(model, 2, 100, conditional=False, seed=5, data=None)
    walk = [*(model.schedule(torch.tensor(t, dtype=torch.float64)) for t in (1.0, 0.75, 0.5, 0.25)), CLEAN]
    total = {"small": 0.0, "learned": 0.0}
    for i in range(2):
        x0 = s.x0[i : i + 1]
        for kind in total:
            total[kind] += bound.prior(x0.double(), walk[0]).item() / 2
        for k in range(2):
            eps = image_noise(5, "bound", [i], x0.shape[1:], k)
            for t, after in zip(walk, walk[1:], strict=False):
                x = t.noised(x0.double(), eps.double()).float()
                said = s.denoise(x, t)
                for kind in total:
                    variance = bound.reverse_variance(kind, t, after, fraction=said.variance_fraction)
                    if after.sigma == 0:
                        nats = bound.decoder(x0, said.x0, variance, discrete=True)
                    else:
                        nats = bound.transition(x0, said.x0, t, after, variance)
                    total[kind] += nats.sum().item() / 4
    for kind, nats in total.items():
        assert d["variances"][kind]["nats"] == pytest.approx(nats, rel=1e-4)


def test_batches_and_every_change_nothing_but_the_number_of_evaluations(cli: Cli, learned: Path) -> None:
    whole = vlb(cli, learned, "--steps", 10, "--count", 6)
    parts = vlb(cli, learned, "--steps", 10, "--count", 6, "--batch", 7)
    assert parts["nats"] == pytest.approx(whole["nats"], rel=1e-5)
    assert (whole["evaluations"], parts["evaluations"]) == (60, 60)
    third = vlb(cli, learned, "--steps", 10, "--count", 6, "--every", 3)
    assert third["evaluations"] == 6 + 9 * 2
    assert third["terms"]["prior"] == pytest.approx(whole["terms"]["prior"])
    assert third["terms"]["reconstruction"] == pytest.approx(whole["terms"]["reconstruction"], rel=1e-5)
    assert third["nats"] == pytest.approx(whole["nats"], rel=0.3)


@pytest.mark.parametrize("law", ["exact:gaussian,std=0.7", "exact:mixture"])
def test_the_bound_of_a_law_is_not_below_it_and_near_it(cli: Cli, law: str) -> None:
    d = vlb(cli, law, "--steps", 200, "--count", 1500, "--samples", 2)
    assert d["bits_per_dim"] is None
    assert d["gap_nats"] == pytest.approx(d["nats"] - d["truth_nats"])
    assert -4 * d["standard_error"] < d["gap_nats"] < 0.3


def test_the_bound_of_independent_pixels_is_their_entropy(cli: Cli, pictures: Path) -> None:
    """The discretised decoder, the chain and the denoiser together: as many bits as the histogram has."""
    law = f"exact:pixels,name={pictures}"
    d = vlb(cli, law, "--schedule", "log-snr", "--steps", 400, "--count", 80, "--every", 8)
    assert -4 * d["standard_error"] < d["gap_nats"] < 4 * d["standard_error"] + 0.05 * d["truth_nats"]
    assert d["histogram_bits_per_dim"] == pytest.approx(d["truth_nats"] / 64 / math.log(2), abs=0.1)


def test_the_best_walk_is_no_worse_and_samples(cli: Cli, learned: Path, tmp_path: Path) -> None:
    for variance in ("learned", "optimal", "small"):
        out = f"best-{variance}"
        d = vlb(cli, learned, "--steps", 12, "--count", 3, "--best-steps", 4, "--variance", variance, "--out", out)
        costs = d["best_steps"]["nats"]
        assert costs["best"] <= min(costs["uniform"], costs["log-snr"]) + 1e-9
        assert len(d["best_steps"]["times"]["best"]) == 4
        again = vlb(cli, learned, "--grid", f"{out}/grid.json", "--count", 3, "--variance", variance)
        assert again["steps"] == 4
        assert again["grid"] == "grid.json"
        assert again["nats"] == pytest.approx(costs["best"], rel=0.02 if variance == "optimal" else 1e-4)
    drawn = cli("sample", learned, "--grid", "best-learned/grid.json", "--count", 2, "--variance", "learned", "--quiet")
    assert drawn.code == 0, drawn.err
    plan = cli("sample", learned, "--grid", "best-learned/grid.json", "--plan", "--json").document
    assert plan["steps"] == 4


def test_a_grid_under_another_schedule_keeps_its_log_snr(cli: Cli, learned: Path) -> None:
    vlb(cli, learned, "--steps", 12, "--count", 2, "--best-steps", 3, "--out", "best")
    own = cli("sample", learned, "--grid", "best/grid.json", "--plan", "--json").document["levels"]
    other = cli(
        "sample", learned, "--grid", "best/grid.json", "--schedule", "log-snr,most=16,least=-9", "--plan", "--json"
    ).document["levels"]  # fmt: skip
    assert [v["log_snr"] for v in own[:-1]] == pytest.approx([v["log_snr"] for v in other[:-1]], abs=1e-6)
    assert own[0]["t"] != other[0]["t"]


def test_lines_for_people(cli: Cli, learned: Path) -> None:
    result = cli("vlb", learned, "--steps", 5, "--count", 2)
    assert result.code == 0
    for word in ("variance", "prior", "diffusion", "reconstruction", "bits/dim", "next: diffcli likelihood"):
        assert word in result.out
    for word in ("log-snr schedule", "trailing grid", "time: about"):
        assert word in result.err


def test_a_run_without_a_learned_variance_and_its_class(cli: Cli, run: Path) -> None:
    d = vlb(cli, run, "--steps", 5, "--count", 3, "--conditional")
    assert d["variance"] == "optimal"
    assert d["conditional"]
    plain = vlb(cli, run, "--steps", 5, "--count", 3)
    assert plain["nats"] != d["nats"]
    large = vlb(cli, run, "--steps", 5, "--count", 3, "--variance", "large")
    assert large["nats"] == plain["variances"]["large"]["nats"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["shapes-1", "--count", "0"], USAGE, ("--count",)),
        (["shapes-1", "--steps", "1"], USAGE, ("at least 2",)),
        (["shapes-1", "--steps", "0"], USAGE, ("--steps",)),
        (["shapes-1", "--steps", "2000"], USAGE, ("1000",)),
        (["shapes-1", "--variance", "learned"], USAGE, ("has learned no variance",)),
        (["shapes-1", "--variance", "smal"], USAGE, ("did you mean small?",)),
        (["shapes-1", "--grid", "trailin"], USAGE, ("did you mean trailing?",)),
        (["shapes-1", "--grid", "no.json"], DATA, ("cannot read no.json",)),
        (["shapes-1", "--grid", "dirty.json"], DATA, ("does not end clean",)),
        (["shapes-1", "--grid", "rising.json"], DATA, ("does not fall",)),
        (["shapes-1", "--grid", "text.json"], DATA, ("is not a grid",)),
        (["shapes-1", "--grid", "good.json", "--steps", "5"], USAGE, ("leave --steps out",)),
        (["shapes-1", "--best-steps", "5", "--steps", "5"], USAGE, ("fewer than the 5",)),
        (["shapes-1", "--precision", "fp16"], USAGE, ("fp32",)),
        (["exact:gaussian", "--precision", "bf16"], USAGE, ("float64",)),
        (["exact:gaussian", "--conditional"], USAGE, ("knows no classes",)),
        (["exact:gaussian", "--count", "5", "--every", "6"], USAGE, ("--every 6",)),
        (["exact:pixels,count=0"], USAGE, ("at least 1",)),
        (["exact:pixels,name=moons"], USAGE, ("holds points",)),
        (["shapes-2"], CHECKPOINT, ("did you mean shapes-1?",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(cli: Cli, run: Path, tmp_path: Path, arguments: list[str], code: int, words: tuple[str, ...]) -> None:
    files = {
        "dirty.json": {"schedule": "cosine", "times": [1.0, 0.5], "log_snr": [None, 1.0]},
        "rising.json": {"schedule": "cosine", "times": [0.2, 0.5, 0.0], "log_snr": [1.0, 0.0, None]},
        "text.json": {"schedule": "cosine"},
        "good.json": {"schedule": "cosine", "times": [1.0, 0.5, 0.0], "log_snr": [-9.0, 0.0, None]},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    refuses(cli, tmp_path, code, "vlb", *arguments, words=words)


def test_a_grid_file_of_another_schedule_needs_its_log_snr(cli: Cli, run: Path, tmp_path: Path) -> None:
    content = {"schedule": "flow", "times": [1.0, 0.5, 0.2, 0.0], "log_snr": [None, None, 2.0, None]}
    (tmp_path / "flow.json").write_text(json.dumps(content))
    assert_refused(cli("vlb", run, "--grid", "flow.json"), DATA, "without a log-SNR", "--schedule flow")


def test_an_interrupt_leaves_nothing(cli: Cli, learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terms, "measured", interrupted)
    result = cli("vlb", learned, "--steps", 4, "--count", 2)
    assert_refused(result, 130, "interrupted")
    assert not (tmp_path / "outputs").exists()
