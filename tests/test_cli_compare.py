"""`diffcli compare`: every setting from the same noise, the one to take, what is kept, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, Result, assert_refused, refuses, trained_here

from diffcli.evaluation.comparison import ddim_table, drawing, study
from diffcli.evaluation.comparison.settings import Asked, settings, specs_of
from diffcli.pictures.comparison import Dot, pareto

USAGE, CHECKPOINT = 2, 4
ROW = {
    "run", "sampler", "steps", "grid", "eta", "guidance", "evaluations", "seconds", "frechet", "error",
    "class_agreement", "recall",
}  # fmt: skip


@pytest.fixture
def run(many_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run of 1,350 pictures; the finest walk has few steps."""
    monkeypatch.setattr(study, "TRUTH", ("heun", 4))
    return Path(shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1"))


def compare(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("compare", "--count", 70, *arguments, "--json", "--quiet")
    assert (result.code, result.err) == (0, ""), result.err
    return result.document


@pytest.mark.rendered
def test_every_setting_is_measured_and_the_cheapest_good_one_named(cli: Cli, run: Path, tmp_path: Path) -> None:
    found = compare(cli, "--samplers", "ddim,heun", "--steps", "2,3", "--eta", "0,1", "--truth", 4, "--out", "out")
    rows = found["settings"]
    assert [(r["sampler"], r["steps"], r["eta"]) for r in rows] == [
        ("ddim", 2, 0), ("ddim", 2, 1), ("ddim", 3, 0), ("ddim", 3, 1), ("heun", 2, None), ("heun", 3, None),
    ]  # fmt: skip
    assert all(row.keys() >= ROW for row in rows)
    # two evaluations a step where classes are followed with guidance
    assert [r["evaluations"] for r in rows] == [4, 4, 6, 6, 6, 10]
    assert [r["off"] is None for r in rows] == [False, True, False, True, False, False]
    assert found["lowest"]["frechet"] == min(r["frechet"] for r in rows)
    good = [r for r in rows if r["behind"] <= 2 * r["behind_error"]]
    assert found["best"] == min(good, key=lambda r: (r["evaluations"], r["frechet"]))
    assert found["best"]["sampler"] in found["verdict"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"compare.png", "sheet.png", "metrics.json"}
    assert json.loads((run / "comparison.json").read_text())["best"] == found["best"]


def test_a_finer_walk_of_one_solver_is_nearer_to_the_finest(cli: Cli, run: Path) -> None:
    rows = compare(cli, "--samplers", "ddim", "--steps", "2,4,20", "--guidance", 1, "--truth", 8)["settings"]
    off = [row["off"] for row in rows]
    assert off[2] < off[1] < off[0]


def test_what_was_drawn_is_not_drawn_again_and_an_interrupted_comparison_goes_on(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("compare", "--count", 70, "--samplers", "ddim,unipc", "--steps", "2,3", "--truth", 0, "--json")
    arguments += ("--seed", 5)  # that no other test has drawn with
    original, drawn = drawing.pixels_drawn, []

    def counted(prepared: Any, **_: Any) -> Any:
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append((prepared.sampler, prepared.job.steps))
        yield from original(prepared)

    monkeypatch.setattr(drawing, "pixels_drawn", counted)
    assert cli(*arguments).code == 130
    assert drawn == [("ddim", 2), ("ddim", 3)]
    drawn.clear()
    first = cli(*arguments)
    assert drawn == [("unipc", 2), ("unipc", 3)]
    drawn.clear()
    second = cli(*arguments)
    assert drawn == []
    assert first.document["settings"] == second.document["settings"]


def test_other_weights_are_drawn_anew(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--samplers", "ddim", "--steps", "2", "--truth", 0)
    one = compare(cli, *arguments)["settings"][0]["frechet"]
    other = compare(cli, *arguments, "--weights", "raw")["settings"][0]["frechet"]
    assert one != other


def test_of_two_runs_the_one_to_take_is_named(cli: Cli, run: Path) -> None:
    other = Path(shutil.copytree(run, run.parent / "other-1"))
    found = compare(cli, run, other, "--samplers", "ddim", "--steps", "2", "--truth", 0)
    assert {Path(row["run"]).name for row in found["settings"]} == {"many-1", "other-1"}
    assert found["verdict"].startswith(f"Take {Path(found['best']['run']).name} ddim 2: ")


def test_sample_auto_takes_what_was_found(cli: Cli, run: Path) -> None:
    before = cli("sample", "--auto", "--count", 2)
    assert "the usual choice, as nothing was compared" in before.err
    best = compare(cli, "--samplers", "unipc", "--steps", "3", "--truth", 0)["best"]
    after = cli("sample", "--auto", "--count", 2, "--json")
    assert (after.document["sampler"], after.document["steps"]) == ("unipc", 3)
    assert f"auto: unipc in 3 steps on {best['grid']}" in after.err


def test_a_grid_from_a_file_is_compared_and_kept_in_the_run(cli: Cli, run: Path, tmp_path: Path) -> None:
    grid = {"schedule": "cosine", "times": [1.0, 0.6, 0.2, 0.0], "log_snr": [-9.0, -0.6, 4.5, None]}
    (tmp_path / "mine.json").write_text(json.dumps(grid))
    found = compare(cli, "--samplers", "ddim", "--grid", "mine.json", "--truth", 0)
    (row,) = found["settings"]
    assert (row["steps"], row["grid"]) == (3, "mine.json")
    (tmp_path / "mine.json").unlink()
    assert cli("sample", "--auto", "--count", 2, "--json").document["steps"] == 3


@pytest.mark.rendered
def test_the_tables_of_ddim_stand_beside_the_papers(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddim_table, "RETURNS", (2, 4))
    monkeypatch.setattr(ddim_table, "RETURNED", 4)
    found = compare(cli, "--table", "ddim", "--steps", "2,3", "--out", "out")
    ours = found["table_1"]["ours"]
    assert set(ours) == set(found["table_1"]["paper"]) == {"0", "0.2", "0.5", "1", "sigma-hat"}
    assert set(ours["0"]) == {"2", "3"}
    assert found["table_1"]["paper"]["0"]["10"] == 13.36
    assert set(found["table_2"]["ours"]) == {"2", "4"}
    assert len(found["trends"]) == 6
    assert all(isinstance(trend["holds"], bool) for trend in found["trends"])
    assert (tmp_path / "out" / "table-ddim.png").exists()


def test_all_combinations_are_asked_for_once() -> None:
    asked = Asked(["ddim", "unipc"], [5, 10], etas=[0.0, 1.0], guidances=[1.0, 2.0], grids=[None, "walk.json"])
    found = settings(["a"], asked)
    # ddim: 2 guidances x (2 steps + 1 file) x 2 etas; unipc: 2 x 3
    assert len(found) == len(set(found)) == 12 + 6
    assert {setting.steps for setting in found if setting.grid == "walk.json"} == {None}
    assert {setting.eta for setting in found if setting.sampler == "unipc"} == {None}


def test_a_sampler_may_have_its_own_number_of_steps() -> None:
    found = settings(["a"], Asked(["ddpm,variance=large,steps=100", "ddim"], [5, 10], etas=[0.5]))
    assert [(one.sampler, one.steps, one.eta) for one in found] == [
        ("ddpm,variance=large", 100, None), ("ddim", 5, 0.5), ("ddim", 10, 0.5),
    ]  # fmt: skip


def test_what_has_an_equals_sign_belongs_to_the_name_before() -> None:
    assert specs_of("ddim,eta=0.5,unipc,edm,churn=4,churn_min=1") == [
        "ddim,eta=0.5",
        "unipc",
        "edm,churn=4,churn_min=1",
    ]


def test_the_front_is_what_nothing_beats_in_both() -> None:
    dots = [Dot("a", "a", seconds, distance, 0.0, "") for seconds, distance in ((1, 9), (2, 5), (3, 6), (4, 2), (4, 3))]
    assert [(dot.seconds, dot.distance) for dot in pareto(dots)] == [(1, 9), (2, 5), (4, 2)]


REFUSALS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "no numbers": (("--steps", "five"), ("whole numbers",)),
    "no step": (("--steps", "0"), ("whole numbers",)),
    "an unknown sampler": (("--samplers", "ddim,dimm"), ("did you mean ddim",)),
    "an eta of nobody": (("--samplers", "unipc", "--eta", "0,1"), ("--eta belongs to none",)),
    "an unknown table": (("--table", "dimm"), ("did you mean ddim",)),
    "a table with samplers": (("--table", "ddim", "--samplers", "unipc"), ("--samplers does not go with --table",)),
    "too few samples": (("--count", "30"), ("too few",)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_compared_is_refused_in_a_line(name: str, cli: Cli, run: Path, tmp_path: Path) -> None:
    arguments, words = REFUSALS[name]
    result: Result = cli("compare", *arguments)
    assert result.code in (USAGE, 3)
    assert_refused(result, result.code, *words)


def test_runs_of_other_data_are_not_ranked(cli: Cli, run: Path, tmp_path: Path, shapes_run: Path) -> None:
    other = shutil.copytree(shapes_run, tmp_path / "checkpoints" / "shapes-1")
    refuses(cli, tmp_path, USAGE, "compare", run, other, words=("unlike protocol",))


def test_points_are_refused(cli: Cli, tmp_path: Path) -> None:
    trained_here(tmp_path / "checkpoints" / "moons-1", "--dataset", "moons", "--recipe", "points")
    refuses(cli, tmp_path, USAGE, "compare", "moons-1", words=("points",))


def test_auto_goes_with_no_other_choice_of_a_walk(cli: Cli, run: Path, tmp_path: Path) -> None:
    for option in (("--steps", 5), ("--sampler", "ddim"), ("--ddim",), ("--grid", "karras"), ("--eta", 1)):
        refuses(cli, tmp_path, USAGE, "sample", "--auto", *option, words=("--auto chooses the walk",))


def test_the_start_is_the_same_for_all(cli: Cli, run: Path) -> None:
    wanted = study.ComparisonOptions(settings([str(run)], Asked(["ddim", "unipc"], [2, 3])))
    starts = [next(iter(job.job.draw(3))).first for job in study.prepared(wanted).jobs]
    assert starts == [0] * 4
    jobs = [prepared.job for prepared in study.prepared(wanted).jobs]
    first = [next(job.walk([0, 1])).x for job in jobs]
    assert torch.isfinite(torch.stack(first)).all()


def test_a_truth_is_refused_where_no_walk_leads_to_one_place(cli: Cli, many_run: Path) -> None:
    words = ("compare", many_run, "--samplers", "ddim", "--steps", "2", "--count", "70", "--features", "pixels")
    assert_refused(cli(*words, "--eta", "0.5", "--truth", "3"), 2, "--truth changes nothing")
    found = cli(*words, "--eta", "0.5", "--json")
    assert found.code == 0, found.err
    assert found.document["protocol"]["truth"] is None
