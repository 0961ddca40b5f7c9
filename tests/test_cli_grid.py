"""`diffcli grid`: the best walks end to end on tiny runs and exact laws, their files and their picture, and errors."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, refuses, trained_here
from PIL import Image

from diffcli.console.show import Bar, Show
from diffcli.core.diffusion import walk_costs
from diffcli.core.diffusion.grids import GRIDS
from diffcli.core.diffusion.job import last
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.levels import CLEAN
from diffcli.evaluation.grids import costs, search, study
from diffcli.sampling import gridfile
from diffcli.sampling.models import load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import prepare

USAGE, CHECKPOINT, BUSY = 2, 4, 6
FEW = ("--teacher", 9, "--steps", "2,3", "--count", 4)
LAW = "exact:mixture,means=-1:0/1:0.5,weights=1/3,stds=0.3"
CPU = torch.device("cpu")


def grid(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("grid", *arguments, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    return result.document


@pytest.fixture(scope="session")
def points_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points of a toy. Read it only."""
    return trained_here(tmp_path_factory.mktemp("points") / "run", "--recipe", "points", "--dataset", "moons")


@pytest.mark.rendered
def test_files_picture_and_document_agree(cli: Cli, run: Path, tmp_path: Path) -> None:
    d = grid(cli, run, *FEW, "--out", "out")
    assert (d["cost"], d["discount"], d["count"], d["schedule"]) == ("jump", 1.15, 4, "cosine")
    assert d["teacher"] == {"sampler": "ipndm", "grid": "karras", "levels": 9}
    assert len(d["levels"]) == 9
    assert d["levels"] == sorted(d["levels"], reverse=True)
    model = load_model(str(run), device=CPU)
    for walk, steps in zip(d["walks"], (2, 3), strict=True):
        assert walk["steps"] == len(walk["times"]) == steps
        assert walk["grid"].endswith(f"grid-jump-{steps}.json")
        times = gridfile.read_grid(tmp_path / walk["grid"], model.schedule, model.schedule_name)
        assert times.tolist() == walk["times"]
        level = model.schedule(times)
        assert walk["noise"] == pytest.approx((level.sigma / level.alpha).tolist())
        assert set(walk["noise"]) <= set(d["levels"])
        assert walk["noise"][0] == d["levels"][0]
        assert set(walk["usual"]) == {"trailing", "karras", "log-snr"}
        for usual in walk["usual"].values():
            assert len(usual["times"]) == steps
            assert walk["cost"] <= usual["cost"] + 1e-12
    assert Image.open(tmp_path / "out" / "grids.png").size[0] > 600
    assert json.loads((tmp_path / d["metrics"]).read_text())["walks"] == d["walks"]


@pytest.mark.parametrize("cost", study.COSTS)
def test_every_cost_of_a_run_gives_grids_that_sample(cli: Cli, run: Path, cost: str) -> None:
    options = ("--features", "pixels") if cost == "features" else ()
    d = grid(cli, run, *FEW, "--cost", cost, *options, "--out", "out")
    assert d["discount"] == (1.15 if cost == "jump" else 1.0)
    assert all(math.isfinite(walk["cost"]) and walk["cost"] > 0 for walk in d["walks"])
    drawn = cli("sample", run, "--sampler", "ipndm", "--grid", f"out/grid-{cost}-3.json", "--count", 2, "--quiet")
    assert drawn.code == 0, drawn.err


def test_what_is_said(cli: Cli, run: Path) -> None:
    result = cli("grid", run, *FEW, "--out", "out")
    assert result.code == 0
    assert "time: about" in result.err
    assert "ipndm on 9 levels, 4 images" in result.err
    for word in ("cost of a walk, in x/alpha", "trailing", "stops at sigma/alpha", "less than", "out/grids.png"):
        assert word in result.out
    next_one = result.out.splitlines()[-1].removeprefix("next: diffcli ").split()
    assert next_one[2:] == ["--sampler", "ipndm", "--grid", "out/grid-jump-3.json"]
    plan = cli(*next_one, "--plan", "--json")
    assert plan.document["evaluations"] == 3


@pytest.mark.parametrize("cost", ["jump", "rollout", "bound"])
@pytest.mark.parametrize("target", [LAW, "exact:gaussian,dim=3"])
def test_exact_models(cli: Cli, target: str, cost: str) -> None:
    d = grid(cli, target, "--cost", cost, "--teacher", 20, "--steps", "3", "--count", 64)
    assert (d["count"], d["guidance"]) == (64, None)
    (walk,) = d["walks"]
    assert walk["cost"] <= min(usual["cost"] or math.inf for usual in walk["usual"].values()) + 1e-9


def test_points(cli: Cli, points_run: Path) -> None:
    d = grid(cli, points_run, "--teacher", 12, "--steps", "3", "--count", 50)
    assert d["walks"][0]["cost"] > 0


def test_the_costs_of_a_run_are_those_of_its_steps_one_by_one(cli: Cli, run: Path) -> None:
    """Classes in turn, the model's own guidance and clipping: as `sample --class all` would walk."""
    d = grid(cli, run, *FEW, "--seed", 3)
    wanted = SamplingOptions(sampler="ipndm", steps=9, grid="karras", label="all", count=4, seed=3)
    prepared = prepare(str(run), wanted)
    job, misses = prepared.job, {}
    assert d["guidance"] == 1.25
    xs = [costs.begun(prepared, range(4)), *(step.x for step in job.walk(range(4)))]
    rho = [(level.sigma / level.alpha).item() for level in job.levels]
    assert d["levels"] == pytest.approx(rho[:-1])
    for i in range(9):
        level = job.levels[i]
        with torch.no_grad():
            eps = job.steered(job.network)(xs[i], level, label=torch.arange(4) % 3).eps
        for j in range(i + 1, 10):
            gap = xs[i] / level.alpha + (rho[j] - rho[i]) * eps - xs[j] / job.levels[j].alpha
            misses[i, j] = gap.double().flatten(1).norm(dim=1).mean().item()
    for walk in d["walks"]:
        stops = [*(min(range(9), key=lambda i, v=v: abs(rho[i] - v)) for v in walk["noise"]), 9]
        paid = sum(1.15**k * misses[stops[k], stops[k + 1]] for k in range(walk["steps"]))
        assert walk["cost"] == pytest.approx(paid, rel=1e-4)


def test_a_roll_out_costs_what_ddim_on_its_stops_does(cli: Cli, run: Path) -> None:
    d = grid(cli, run, *FEW, "--cost", "rollout", "--out", "out")
    fine = prepare(str(run), SamplingOptions(sampler="ipndm", steps=9, grid="karras", label="all", count=4)).job
    end = last(fine.walk(range(4)))
    for walk in d["walks"]:
        path = f"out/grid-rollout-{walk['steps']}.json"
        job = prepare(str(run), SamplingOptions(sampler="ddim", grid=path, label="all", count=4)).job
        off = (last(job.walk(range(4))) - end).double().flatten(1).norm(dim=1).mean().item()
        assert walk["cost"] == pytest.approx(off, rel=1e-4)
        for name, usual in walk["usual"].items():
            levels = [*(load_model(str(run), device=CPU).schedule(torch.tensor(t).double()) for t in usual["times"])]
            x = costs.begun(prepare(str(run), SamplingOptions(sampler="ddim", grid=path, count=4)), range(4))
            other = SAMPLERS["ddim"](job.steered(job.network), x, [*levels, CLEAN], label=torch.arange(4) % 3)
            off = (last(other) - end).double().flatten(1).norm(dim=1).mean().item()
            assert usual["cost"] == pytest.approx(off, rel=1e-3), name


def test_batches_change_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = SamplingOptions(sampler="ipndm", steps=6, grid="karras", label="all", count=5)
    prepared, show = prepare(str(run), wanted), Show(quiet=True)
    whole = costs.tabulated(prepared, None, show)
    walker = costs.student(prepared, show)
    stages = costs.rolled_out(walker, 3, show)
    monkeypatch.setattr(costs, "batches", lambda _: [range(0, 2), range(2, 4), range(4, 5)])
    parts = costs.tabulated(prepared, None, show)
    assert torch.allclose(parts.steps.nan_to_num(), whole.steps.nan_to_num(), rtol=1e-4)
    assert torch.allclose(parts.last, whole.last, rtol=1e-4)
    again = costs.student(prepared, show)
    assert torch.allclose(again.teacher.u, walker.teacher.u, atol=1e-3)
    for one, other in zip(costs.rolled_out(again, 3, show), stages, strict=True):
        assert torch.allclose(one.distance.nan_to_num(), other.distance.nan_to_num(), rtol=1e-3)


def test_costs_in_features_are_those_of_the_encoder(run: Path) -> None:
    wanted = SamplingOptions(sampler="ipndm", steps=4, grid="karras", label="all", count=3)
    prepared = prepare(str(run), wanted)
    table = costs.tabulated(prepared, lambda x: x.flatten(1)[:, :5] * 2, Show(quiet=True))
    teacher = costs.followed(prepared, range(3), Bar())
    end = teacher.u[-1].clamp(-1, 1).flatten(1)[:, :5]
    moved = (teacher.u[-1] + teacher.miss(1, 3)).clamp(-1, 1).flatten(1)[:, :5]
    assert table.steps[1, 3].item() == pytest.approx(2 * (moved - end).norm(dim=1).mean().item(), rel=1e-5)


def test_a_table_counts_its_steps_as_the_discount_says(cli: Cli, run: Path) -> None:
    plain = grid(cli, run, *FEW, "--discount", 1)
    late = grid(cli, run, *FEW, "--discount", 8)
    assert (plain["discount"], late["discount"]) == (1, 8)
    assert late["walks"][1]["noise"][-1] <= plain["walks"][1]["noise"][-1]  # late steps are dear, and so are short
    assert plain["walks"][0]["cost"] <= late["walks"][0]["cost"]


def test_one_class_guidance_and_another_schedule(cli: Cli, run: Path) -> None:
    def paid(*options: object) -> list[float]:
        return [walk["cost"] for walk in grid(cli, run, *FEW, *options)["walks"]]

    assert grid(cli, run, *FEW, "--class", "cross", "--guidance", 1)["guidance"] == 1
    assert paid() == paid("--class", "all", "--guidance", 1.25) != paid("--guidance", 3)
    flow = grid(cli, run, *FEW, "--schedule", "flow")
    assert flow["schedule"] == "flow"
    assert flow["levels"][0] < 300  # there is no x / alpha at its beginning


def test_usual_walks_keep_to_their_number_of_steps() -> None:
    law = load_model("exact:gaussian", device=CPU, schedule="cosine,steps=10")
    log_snr = law.schedule(GRIDS["karras"](law.schedule, 30)).log_snr
    assert set(search.usual_walks(law.schedule, log_snr, 10)) == {"trailing", "karras", "log-snr"}
    walks = search.usual_walks(law.schedule, log_snr, 12)  # more than the table has entries
    assert set(walks) == {"karras", "log-snr"}
    assert all(len(set(places)) == 12 for places in walks.values())


def test_a_walk_from_no_signal_is_no_curve() -> None:
    start, law = load_model("exact:gaussian", device=CPU, schedule="flow"), torch.zeros(1, 2)
    with pytest.raises(ValueError, match="without signal"):
        walk_costs.curves([start.schedule(torch.tensor(1.0)), CLEAN], [law, law], [law])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--steps", "0"), ("whole numbers from 1 on",)),
        (("--steps", "4,-2"), ("whole numbers from 1 on",)),
        (("--steps", "4,x"), ("whole numbers", "4,x")),
        (("--steps", "4.5"), ("whole numbers",)),
        (("--steps", ""), ("whole numbers",)),
        (("--steps", "61"), ("more than 61 levels", "--teacher")),
        (("--steps", "9", "--teacher", 9), ("more than 9 levels",)),
        (("--teacher", 2000), ("at most 1000",)),
        (("--teacher", 1), ("teacher",)),
        (("--cost", "jumps"), ("unknown cost", "did you mean jump?")),
        (("--cost", "rollout", "--discount", 1.1), ("--discount", "--cost jump")),
        (("--discount", 0), ("above 0",)),
        (("--discount", "nan"), ("above 0",)),
        (("--features", "pixels"), ("--features", "--cost features")),
        (("--cost", "features", "--features", "eyes"), ("unknown features",)),
        (("--cost", "bound", "--guidance", 2), ("--guidance",)),
        (("--cost", "bound", "--class", "all"), ("--class",)),
        (("--class", "square"), ("unknown class",)),
        (("--guidance", -1), ("guidance",)),
        (("--count", 0), ("count",)),
        (("--schedule", "lunar"), ("unknown schedule",)),
        (("--weights", "warm"), ("weights",)),
    ],
)
def test_refused(cli: Cli, run: Path, tmp_path: Path, arguments: tuple[object, ...], words: tuple[str, ...]) -> None:
    refuses(cli, tmp_path, USAGE, "grid", run, *arguments, "--quiet", words=words)


def test_features_need_images_of_a_run(cli: Cli, tmp_path: Path, points_run: Path, pictures: Path) -> None:
    exact = f"exact:dataset,name={pictures}"
    for target, word in ((points_run, "points"), (LAW, "points"), (exact, "trained on")):
        refuses(cli, tmp_path, USAGE, "grid", target, "--cost", "features", "--quiet", words=(word, "--cost jump"))


def test_no_run_and_a_place_that_is_taken(cli: Cli, run: Path, tmp_path: Path) -> None:
    refuses(cli, tmp_path, CHECKPOINT, "grid", "nowhere-1", "--quiet")
    refuses(cli, tmp_path, USAGE, "grid", LAW, "--class", "all", "--quiet", words=("no classes",))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    refuses(cli, tmp_path, BUSY, "grid", run, *FEW, "--out", "taken", "--quiet")


def test_interrupted_it_leaves_nothing(cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(costs, "followed", stopped)
    refuses(cli, tmp_path, 130, "grid", run, *FEW, "--quiet", words=("interrupted",))
