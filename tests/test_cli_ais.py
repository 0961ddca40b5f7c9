"""diffcli ais, from the command line."""

import json
import math
from pathlib import Path

import pytest
from conftest import Cli, refuses
from PIL import Image

TINY = ("--temperatures", 12, "--chains", 60, "--quiet")
EASY = "bimodal,dimension=2,separation=0.6,std=0.5,narrow=0.4"


def test_it_finds_the_constant_between_its_bounds(cli: Cli, tmp_path: Path) -> None:
    document = cli("ais", EASY, "--temperatures", 30, "--chains", 400, "--quiet", "--json", "--out", "a").document
    assert document["log_z_true"] == pytest.approx(math.log(2 * math.pi * 0.25 * 3))
    assert abs(document["log_z"] - document["log_z_true"]) < 4.5 * document["standard_error"]
    assert 1 < document["ess"] <= 400
    assert document["lower"] < document["log_z_true"] < document["upper"]
    assert document["surely_above"] < document["log_z_true"] < document["surely_below"]
    assert [b["temperatures"] for b in document["bounds"]["lower"]] == [10, 30]
    assert document["plain"]["ess"] > 0
    assert document["reverse"]["standard_error"] > 0
    assert 0 < document["accepted"] <= 1
    on_disk = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert on_disk == {k: v for k, v in document.items() if k not in ("folder", "figures", "metrics")}


SMALL_RBM = "rbm,visible=3,hidden=2,scale=1"


@pytest.mark.parametrize(
    ("problem", "kernel"),
    [
        ("unimodal", "random-walk"),
        ("bimodal", "hmc"),
        ("mixture,modes=3", "random-walk"),
        (SMALL_RBM, "random-walk"),
        (SMALL_RBM, "hmc"),
    ],
)
@pytest.mark.rendered
def test_every_problem_runs_with_both_kernels_and_draws_its_pictures(
    cli: Cli, tmp_path: Path, problem: str, kernel: str
) -> None:
    result = cli("ais", problem, "--kernel", kernel, *TINY, "--out", "a")
    assert result.code == 0, result.err
    assert "standard errors off" in result.out
    assert "next: diffcli " in result.out
    for name in ("ais.png", "particles.png"):
        with Image.open(tmp_path / "a" / name) as image:
            assert min(image.size) > 300


@pytest.mark.parametrize("ladder", ["linear", "geometric", "sigmoid", "neal"])
def test_every_ladder_runs(cli: Cli, ladder: str) -> None:
    document = cli("ais", EASY, "--ladder", ladder, *TINY, "--json", "--out", "a").document
    assert document["ladder"] == ladder


def test_one_temperature_and_two_chains_are_enough(cli: Cli) -> None:
    document = cli("ais", "--temperatures", 1, "--chains", 2, "--quiet", "--json", "--out", "a").document
    assert document["temperatures"] == 1
    assert len(document["bounds"]["upper"]) == 1


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(cli: Cli) -> None:
    def run(out: str, seed: int) -> dict[str, object]:
        document = cli("ais", EASY, *TINY, "--seed", seed, "--json", "--out", out).document
        return {k: v for k, v in document.items() if k not in ("folder", "figures", "metrics")}

    first = run("a", 3)
    assert run("b", 3) == first
    assert run("c", 4)["log_z"] != first["log_z"]


def test_a_target_that_is_the_start_is_found_exactly(cli: Cli) -> None:
    result = cli("ais", "unimodal,dimension=2,mean=0,std=1", *TINY, "--out", "a")
    assert result.code == 0, result.err
    assert "agrees with the truth" in result.out
    document = cli("ais", "rbm,visible=2,hidden=1,scale=0", *TINY, "--json", "--out", "b").document
    assert document["log_z"] == pytest.approx(document["log_z_true"], abs=1e-9)
    assert document["ess"] == pytest.approx(60)


def test_an_extreme_target_is_no_crash(cli: Cli) -> None:
    spec = "bimodal,dimension=100,separation=100,std=0.001,narrow=0.001"
    for kernel in ("random-walk", "hmc"):
        result = cli("ais", spec, "--kernel", kernel, *TINY, "--out", kernel)
        assert result.code == 0, result.err
        assert "misses the truth" in result.out


def test_more_moves_are_other_moves(cli: Cli) -> None:
    one, two = (
        cli("ais", EASY, *TINY, "--moves", moves, "--json", "--out", str(moves)).document["log_z"] for moves in (1, 2)
    )
    assert one != two


def test_the_seed_of_a_machine_is_not_that_of_the_run(cli: Cli) -> None:
    truths = [
        cli("ais", SMALL_RBM, *TINY, "--seed", s, "--json", "--out", f"{s}").document["log_z_true"] for s in (1, 2)
    ]
    assert truths[0] == truths[1]


def test_a_narrow_terminal_gets_a_narrow_table(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = cli("ais", EASY, *TINY, "--out", "a").out.splitlines()
    assert max(map(len, lines[:7])) <= 60


def test_help_fits_a_screen(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("ais", "--help").out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bimodel",), ("unknown problem", "did you mean bimodal")),
        (("bimodal,with=1",), ("unknown parameter",)),
        (("bimodal,std=nan",), ("finite number",)),
        (("bimodal,separation=inf",), ("finite number",)),
        (("bimodal,std=0",), ("standard deviation",)),
        (("bimodal,narrow=-1",), ("standard deviation",)),
        (("bimodal,weight=0",), ("weight",)),
        (("bimodal,weight=1",), ("weight",)),
        (("unimodal,dimension=0",), ("dimension",)),
        (("unimodal,dimension=2.5",), ("whole number",)),
        (("unimodal,dimension=1000000000000",), ("dimension",)),
        (("unimodal,mean=1e9",), ("mode",)),
        (("mixture,modes=0",), ("modes",)),
        (("mixture,ratio=0",), ("ratio",)),
        (("mixture,radius=-1e300",), ("mode",)),
        (("mixture,log-z=1e9",), ("log-z",)),
        (("rbm,hidden=0",), ("hidden",)),
        (("rbm,hidden=13",), ("hidden",)),
        (("rbm,visible=1",), ("visible",)),
        (("rbm,scale=nan",), ("finite number",)),
        (("rbm,scale=-1",), ("scale",)),
        (("rbm,seed=-1",), ("seed",)),
        (("",), ("unknown problem",)),
        (("--ladder", "geometrical"), ("unknown ladder", "geometric")),
        (("--kernel", "hcm"), ("unknown kernel", "hmc")),
        (("--temperatures", "0"), ("--temperatures",)),
        (("--temperatures", "nan"), ("--temperatures",)),
        (("--temperatures", "1000000000"), ("--temperatures",)),
        (("--chains", "0"), ("--chains",)),
        (("--chains", "1"), ("--chains",)),
        (("--chains", "inf"), ("--chains",)),
        (("--moves", "0"), ("--moves",)),
        (("--moves", "-3"), ("--moves",)),
        (("--seed", "-1"), ("--seed",)),
        (("--temperatures", "30000", "--chains", "100000"), ("hours",)),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_what_cannot_be_is_refused(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, 2, "ais", *arguments, words=words)


def test_a_folder_that_is_taken_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    refuses(cli, tmp_path, 6, "ais", *TINY, "--out", "taken", words=("exists already",))
