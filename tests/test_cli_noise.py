"""`diffcli noise` and its commands: the numbers are the laws', the figures open, and bad input is refused."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Cli, refuses
from PIL import Image

GAUSSIAN = {
    "dim", "count", "mean", "covariance", "mean_true", "covariance_true", "mean_standard_error",
    "covariance_standard_error", "mean_z", "covariance_z", "largest_z", "operations", "product_constant", "kl",
    "folder", "figures", "metrics",
}  # fmt: skip
CHAIN = {
    "schedule", "steps", "dataset", "value", "shape", "times", "correlations", "largest_deviation", "least_p_value",
    "numbers", "end_miss", "folder", "figures", "metrics",
}  # fmt: skip


def shown(cli: Cli, *arguments: object) -> dict[str, Any]:
    """The document of a command that ends well, says nothing else, and leaves it and pictures behind."""
    result = cli("noise", *arguments, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.err == ""
    document = result.document
    for figure in document["figures"]:
        with Image.open(figure) as picture:
            picture.load()
            assert picture.format == "PNG"
    kept = json.loads(Path(document["metrics"]).read_text())
    assert kept == {key: value for key, value in document.items() if key not in ("folder", "figures", "metrics")}
    return document


# Gaussians


@pytest.mark.rendered
def test_a_gaussian_in_the_plane_has_the_moments_that_were_asked_for(cli: Cli) -> None:
    how = ("--mean", "-1:2", "--covariance", "2,-0.9/-0.9,1", "--count", 4000)
    document = shown(cli, "gaussian", *how)
    assert set(document) == GAUSSIAN
    assert (document["mean_true"], document["covariance_true"]) == ([-1, 2], [[2, -0.9], [-0.9, 1]])
    assert document["mean_standard_error"] == pytest.approx([math.sqrt(2 / 4000), math.sqrt(1 / 4000)])
    assert [Path(p).name for p in document["figures"]] == ["density.png", "algebra.png"]
    assert document["largest_z"] < 4.5
    for operation in document["operations"].values():
        assert operation["largest_z"] < 4.5


def test_the_laws_of_the_operations_in_one_dimension(cli: Cli) -> None:
    """x ~ N(1, 4), z ~ N(3, 1): by hand."""
    how = ("--dim", 1, "--mean", 1, "--std", 2, "--other-mean", 3, "--other-std", 1, "--matrix", -3, "--shift", 5)
    document = shown(cli, "gaussian", *how, "--given", 6, "--count", 3000)
    laws = {
        name: (operation["mean_true"][0], operation["covariance_true"][0][0])
        for name, operation in document["operations"].items()
    }
    assert laws["affine"] == pytest.approx((2, 36))
    assert laws["sum"] == pytest.approx((4, 5))
    assert laws["product"] == pytest.approx((2.6, 0.8))
    assert laws["conditional"] == pytest.approx((1 + 4 / 5 * 2, 0.8))
    there, back = document["kl"]["first_from_other"], document["kl"]["other_from_first"]
    assert there["closed"] == pytest.approx((4 + 4 - 1 - math.log(4)) / 2)
    assert back["closed"] == pytest.approx((1 / 4 + 4 / 4 - 1 + math.log(4)) / 2)
    for found in (there, back):
        assert found["quadrature"] == pytest.approx(found["closed"], rel=1e-9)
        assert abs(found["monte_carlo"] - found["closed"]) < 4.5 * found["standard_error"]
    constant = document["product_constant"]
    assert constant["integral_true"] == pytest.approx(math.exp(-4 / 10) / math.sqrt(2 * math.pi * 5))
    assert abs(constant["integral"] - constant["integral_true"]) < 4.5 * constant["standard_error"]


@pytest.mark.parametrize("name", ["c.csv", "c.npy"])
def test_a_covariance_may_stand_in_a_file(cli: Cli, tmp_path: Path, name: str) -> None:
    matrix = np.array([[1, 0.5], [0.5, 3]])
    np.savetxt(tmp_path / name, matrix, delimiter=",") if name.endswith("csv") else np.save(tmp_path / name, matrix)
    assert shown(cli, "gaussian", "--covariance", name, "--count", 100)["covariance_true"] == matrix.tolist()


@pytest.mark.parametrize(
    "command", [("gaussian", "--count", 500), ("chain", "--value", 1, "--count", 50, "--steps", 9)]
)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(cli: Cli, command: tuple[object, ...]) -> None:
    def numbers(seed: int) -> dict[str, Any]:
        made = shown(cli, *command, "--seed", seed)
        return {key: value for key, value in made.items() if key not in ("folder", "figures", "metrics")}

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_a_product_with_a_law_far_away_has_a_formula_and_no_draws(cli: Cli) -> None:
    document = shown(cli, "gaussian", "--other-mean", 1000, "--count", 50)
    assert document["product_constant"]["accepted"] == 0
    assert document["operations"]["product"]["mean"] is None
    assert all(math.isfinite(v) for v in document["operations"]["product"]["mean_true"])


@pytest.mark.parametrize("extreme", [("--std", "1e-6"), ("--std", "1e6"), ("--mean", "1e6"), ("--std", "1:1000")])
@pytest.mark.rendered
def test_extreme_gaussians_are_drawn(cli: Cli, extreme: tuple[str, str]) -> None:
    assert shown(cli, "gaussian", *extreme, "--count", 10)["largest_z"] < 6


def test_what_was_seen_and_where_it_leads_is_said(cli: Cli) -> None:
    for command in (("gaussian", "--count", 100), ("chain", "--value", 1, "--steps", 4)):
        result = cli("noise", *command)
        assert result.code == 0, result.err
        assert result.out.count("next: diffcli ") == 1
        assert result.out.count(".png") == len(list(Path("outputs").glob(f"noise-{command[0]}-1/*.png")))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--covariance", "1,0.6/0.5,2"), "symmetric"),
        (("--covariance", "1,2/2,1"), "positive definite"),
        (("--covariance", "0,0/0,0"), "positive definite"),
        (("--covariance", "-1,0/0,1"), "positive definite"),
        (("--covariance", "1,0/0,1e-13"), "density"),
        (("--covariance", "1"), "2 x 2"),
        (("--covariance", "1,0,0/0,1,0/0,0,1"), "2 x 2"),
        (("--covariance", "1,0/0"), "length"),
        (("--covariance", "1,nan/nan,1"), "nan"),
        (("--covariance", "inf,0/0,1"), "inf"),
        (("--covariance", "one"), "numbers"),
        (("--covariance", ""), "numbers"),
        (("--covariance", "1,0/0,1", "--std", "1"), "--std"),
        (("--other-covariance", "1,2/2,1"), "--other-covariance"),
        (("--other-std", "0"), "--other-std"),
        (("--std", "0"), "--std"),
        (("--std", "-1"), "--std"),
        (("--std", "nan"), "--std"),
        (("--std", "inf"), "--std"),
        (("--std", "1e-300"), "--std"),
        (("--std", ""), "--std"),
        (("--mean", "1:2:3"), "--mean"),
        (("--mean", "nan"), "--mean"),
        (("--mean", "1e7"), "--mean"),
        (("--mean", "x"), "--mean"),
        (("--dim", "1", "--mean", "1:2"), "--dim"),
        (("--dim", "1", "--covariance", "1,0/0,1"), "1 x 1"),
        (("--dim", "0"), "--dim"),
        (("--dim", "3"), "--dim"),
        (("--matrix", "1,1/1,1"), "inverse"),
        (("--matrix", "0,0/0,0"), "inverse"),
        (("--matrix", "2"), "2 x 2"),
        (("--shift", "inf"), "--shift"),
        (("--given", "nan"), "--given"),
        (("--given", "1:2"), "--given"),
        (("--count", "0"), "--count"),
        (("--count", "9"), "--count"),
        (("--count", "-5"), "--count"),
        (("--count", "nan"), "--count"),
        (("--count", "100000000"), "--count"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_impossible_gaussians_are_refused(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    refuses(cli, tmp_path, 2, "noise", "gaussian", *arguments, words=(word,))


@pytest.mark.parametrize("content", ["", "1,x\nx,1\n", "1,nan\nnan,1\n", "1,2,3\n4,5,6\n", "1e9,0\n0,1\n", "\0\1"])
def test_a_file_without_a_covariance_is_refused(cli: Cli, tmp_path: Path, content: str) -> None:
    (tmp_path / "c.csv").write_text(content)
    refuses(cli, tmp_path, 3, "noise", "gaussian", "--covariance", "c.csv", words=("c.csv",))


def test_a_file_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 3, "noise", "gaussian", "--covariance", "none.csv", words=("none.csv",))


# The chain


@pytest.mark.rendered
def test_the_chain_of_a_number_has_the_law_of_the_jump(cli: Cli) -> None:
    document = shown(cli, "chain", "--value", 1.5, "--count", 2000, "--steps", 40)
    assert set(document) == CHAIN
    bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    assert [row["step"] for row in document["times"]] == [5, 10, 15, 20, 25, 30, 35, 40]
    for row in document["times"]:
        bar = bars[25 * row["step"] - 1]
        for way in ("chain", "jump"):
            assert row[way]["mean_true"] == pytest.approx(1.5 * math.sqrt(bar), rel=1e-9)
            assert row[way]["variance_true"] == pytest.approx(1 - bar, rel=1e-9)
            assert row[way]["p_value"] > 1e-5
    assert document["largest_deviation"] < 4.5
    assert document["end_miss"] < 1e-12


def test_two_times_of_the_chain_correlate_as_they_should_and_those_of_the_jump_fully(cli: Cli) -> None:
    document = shown(cli, "chain", "--value", 0, "--count", 2000, "--steps", 40)
    bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    assert len(document["correlations"]) == 7
    for pair in document["correlations"]:
        early, late = (bars[round(1000 * pair[key]) - 1] for key in ("s", "t"))
        assert pair["true"] == pytest.approx(math.sqrt(late / early * (1 - early) / (1 - late)), rel=1e-9)
        assert abs(pair["chain"] - pair["true"]) < 4.5 * pair["standard_error"]
        assert pair["jump"] == pytest.approx(1, abs=1e-12)


@pytest.mark.rendered
def test_images_walk_in_a_figure_of_their_own(cli: Cli, pictures: Path) -> None:
    document = shown(cli, "chain", "--dataset", pictures, "--count", 3, "--steps", 6, "--schedule", "flow")
    assert document["shape"] == [3, 1, 8, 8]
    assert [Path(p).name for p in document["figures"]] == ["chain.png", "images.png"]


@pytest.mark.rendered
def test_points_walk_in_a_figure_of_their_own(cli: Cli) -> None:
    document = shown(cli, "chain", "--dataset", "moons", "--count", 100, "--steps", 3, "--schedule", "ve")
    assert document["shape"] == [100, 2]
    assert [Path(p).name for p in document["figures"]] == ["chain.png", "points.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--value", "nan"), 2, "--value"),
        (("--value", "inf"), 2, "--value"),
        (("--value", "1e9"), 2, "--value"),
        (("--value", "x"), 2, "--value"),
        (("--value", "1", "--dataset", "moons"), 2, "--dataset"),
        (("--value", "1", "--count", "3"), 2, "--count"),
        (("--count", "0"), 2, "--count"),
        (("--count", "20000"), 2, "--count"),
        (("--count", "99999999"), 2, "--count"),
        (("--steps", "0"), 2, "--steps"),
        (("--steps", "1"), 2, "--steps"),
        (("--steps", "-4"), 2, "--steps"),
        (("--steps", "nan"), 2, "--steps"),
        (("--steps", "1000000"), 2, "--steps"),
        (("--schedule", "linnear"), 2, "linear"),
        (("--schedule", "linear,steps=0"), 2, "steps"),
        (("--schedule", "vp,beta-max=nan"), 2, "beta_max"),
        (("--dataset", "no-such"), 3, "no-such"),
        (("--seed", "-1"), 2, "--seed"),
    ],
)
def test_impossible_chains_are_refused(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
) -> None:
    refuses(cli, tmp_path, code, "noise", "chain", *arguments, words=(word,))


# All of them


@pytest.mark.parametrize("command", [("gaussian",), ("chain", "--value", "1", "--steps", "4"), ("forward",)])
def test_what_exists_is_never_overwritten(cli: Cli, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    refuses(cli, tmp_path, 6, "noise", *command, "--out", "taken", words=("taken", "--out"))


def test_the_numbers_beside_a_picture_are_never_written_over_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    refuses(
        cli, tmp_path, 6, "noise", "forward", "--dataset", "moons", "--count", "9", "--out", "x.png", words=("x.json",)
    )


def test_forward_under_noise_is_forward_under_visualize(cli: Cli, pictures: Path) -> None:
    how = ("forward", "--dataset", pictures, "--count", 1, "--columns", 3, "--json", "--quiet")
    mine, theirs = (cli(group, *how).document for group in ("noise", "visualize"))
    for key in ("figure", "animation", "metrics"):
        assert Path(mine.pop(key)).read_bytes() == Path(theirs.pop(key)).read_bytes()
    assert mine == theirs


@pytest.mark.parametrize("options", [("--seed", "3"), ("--out", "x"), ("--json",), ("--quiet",)])
def test_options_before_the_command_are_refused(cli: Cli, tmp_path: Path, options: tuple[str, ...]) -> None:
    refuses(cli, tmp_path, 2, "noise", *options, "gaussian", words=("after",))


def test_an_unknown_command_is_refused(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 2, "noise", "gausian", words=("gausian",))


@pytest.mark.parametrize("command", [(), ("gaussian",), ("chain",), ("forward",)])
def test_help_fits_a_screen_and_every_option_has_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("noise", *command, "--help")
    assert result.code == 0
    assert len(result.out.splitlines()) <= 60
    assert max(map(len, result.out.splitlines())) <= 80
