"""`diffcli draw`: what it reports and draws, and what it refuses."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, refuses
from PIL import Image

KEYS = {
    "target", "method", "seed", "truth", "draws", "chains", "acceptance", "autocorrelation_time", "ess", "evaluations",
    "evaluations_per_effective_draw", "p_value", "tested", "mean", "mean_error", "std", "std_error", "folder",
    "figures", "metrics",
}  # fmt: skip


def drawn(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("draw", *arguments, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.err == ""
    return result.document


def opened(document: dict[str, Any]) -> Image.Image:
    (path,) = document["figures"]
    with Image.open(path) as figure:
        figure.load()
        return figure


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("normal,mean=1,std=2", "inverse"),
        ("normal", "box-muller"),
        ("beta,a=0.5,b=0.7", "rejection"),
        ("mixture,means=-1/1,stds=0.3", "importance"),
        ("exponential,rate=2", "metropolis"),
        ("banana", "independence"),
        ("exponential", "hmc"),
        ("normal2,rho=0.5", "gibbs"),
    ],
)
@pytest.mark.rendered
def test_one_method_reports_its_numbers_and_draws_a_figure(cli: Cli, target: str, method: str) -> None:
    document = drawn(cli, target, "--method", method, "--count", 4000)
    assert set(document) >= KEYS
    assert document["method"] == method
    assert document["draws"] >= 4000
    assert 0 < document["acceptance"] <= 1
    assert 0 <= document["p_value"] <= 1
    assert document["evaluations_per_effective_draw"] == pytest.approx(document["evaluations"] / document["ess"])
    assert opened(document).width > 1000
    written = json.loads(Path(document["metrics"]).read_text())
    assert written["ess"] == document["ess"]


def test_all_methods_that_work_are_compared_and_the_others_named(cli: Cli) -> None:
    document = drawn(cli, "normal2", "--method", "all", "--count", 1000)
    assert set(document["methods"]) == {
        "inverse", "box-muller", "rejection", "importance", "metropolis", "independence", "hmc", "gibbs",
    }  # fmt: skip
    assert document["left_out"] == {}
    assert document["ess"]["gibbs"] == document["methods"]["gibbs"]["ess"]
    opened(document)
    result = cli("draw", "beta", "--count", 500, "--quiet")
    assert "left out: box-muller" in result.out
    assert "left out: gibbs" in result.out
    assert result.out.splitlines()[-1] == "next: diffcli draw banana --method all"


@pytest.mark.rendered
def test_the_same_seed_draws_the_same(cli: Cli) -> None:
    one, two, other = (drawn(cli, "beta", "--method", "hmc", "--count", 300, "--seed", s) for s in (3, 3, 4))
    assert one["mean"] == two["mean"]
    assert one["p_value"] == two["p_value"]
    assert one["mean"] != other["mean"]
    assert Path(one["figures"][0]).read_bytes() == Path(two["figures"][0]).read_bytes()


def test_a_method_draws_the_same_alone_and_beside_others(cli: Cli) -> None:
    alone = drawn(cli, "normal", "--method", "rejection", "--count", 500)
    beside = drawn(cli, "normal", "--method", "all", "--count", 500)
    assert beside["methods"]["rejection"]["mean"] == alone["mean"]


def test_rejection_keeps_what_its_bound_promises(cli: Cli) -> None:
    document = drawn(cli, "exponential", "--method", "rejection", "--count", 5000)
    assert document["acceptance"] == pytest.approx(0.5, abs=4.5 * 0.5 / math.sqrt(10_000))


def test_importance_gives_both_estimates_and_the_normaliser(cli: Cli) -> None:
    plain = drawn(cli, "normal", "--method", "importance", "--count", 5000)["unnormalised"]
    assert plain["normaliser"] == pytest.approx(1, abs=4.5 * plain["normaliser_error"])
    assert plain["mean"][0] == pytest.approx(0, abs=4.5 * plain["mean_error"][0])


@pytest.mark.parametrize(
    ("name", "text", "mean"),
    [
        ("w.txt", "1\n2\n1\n", 1.0),
        ("w.csv", "value,weight\n-1,1  # a comment\n\n1,1\n5,0\n", 0.0),
        ("w.json", "[1, 2, 1]", 1.0),
        ("v.json", '{"10": 1, "30": 3}', 25.0),
        ("p.json", "[[10, 1], [30, 3]]", 25.0),
    ],
)
def test_tables_of_weights_are_read(cli: Cli, tmp_path: Path, name: str, text: str, mean: float) -> None:
    (tmp_path / name).write_text(text)
    document = drawn(cli, f"table:{name}", "--method", "metropolis", "--count", 500)
    assert document["truth"]["mean"] == [pytest.approx(mean)]
    again = drawn(cli, name, "--method", "inverse", "--count", 500)
    assert again["truth"] == document["truth"]


def test_options_reach_the_method_that_takes_them(cli: Cli) -> None:
    document = drawn(cli, "normal", "--method", "hmc", "--count", 60, "--chains", 6, "--burn-in", 4, "--leaps", 3)
    assert document["chains"] == 6
    assert document["evaluations"] == 6 * (4 + 10) * 4
    small, large = (drawn(cli, "normal", "--method", "metropolis", "--count", 500, "--scale", s) for s in (0.1, 9))
    assert small["acceptance"] > 0.9 > 0.4 > large["acceptance"]


def test_chains_that_are_too_short_are_not_to_be_trusted(cli: Cli) -> None:
    result = cli("draw", "normal", "--method", "metropolis", "--count", 500, "--scale", 0.05, "--quiet")
    assert "do not trust" in result.out


@pytest.mark.parametrize("count", [10, 11, 99])
def test_few_draws_are_no_problem(cli: Cli, count: int) -> None:
    assert drawn(cli, "normal", "--count", count)["methods"]["hmc"]["draws"] == count


# Refusals


@pytest.mark.parametrize(
    ("target", "method", "words"),
    [
        ("beta", "box-muller", ("uniform numbers into normal ones", "inverse, rejection")),
        ("normal", "gibbs", ("only one",)),
        ("banana", "gibbs", ("closed form",)),
        ("w.txt", "hmc", ("no gradient",)),
        ("w.txt", "gibbs", ("only one",)),
        ("mixture,means=-90000/90000,stds=0.00001", "rejection", ("proposals",)),
    ],
)
def test_a_pair_that_cannot_work_is_refused_with_the_reason(
    cli: Cli, tmp_path: Path, target: str, method: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "w.txt").write_text("1\n2\n")
    refuses(cli, tmp_path, 2, "draw", target, "--method", method, words=("cannot draw", *words))


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("normol", "did you mean normal"),
        ("normal,std=0", "std must be"),
        ("normal,std=nan", "finite"),
        ("normal,mean=inf", "finite"),
        ("normal,stdd=1", "std"),
        ("exponential,rate=-1", "rate"),
        ("beta,a=0", "a must be"),
        ("beta,b=1e9", "b must be"),
        ("normal2,rho=1", "rho"),
        ("banana,std=0", "std"),
        ("mixture,weights=1/-1", "weights"),
        ("mixture,weights=1/2/3", "3 numbers for 2 means"),
        ("mixture,means=1/x", "means"),
        ("mixture,means=1/nan", "means"),
        ("mixture,stds=0", "stds"),
        ("mixture,means=" + "/".join("1" * 101), "100"),
        ("table", "table:weights.csv"),
        ("", "unknown target"),
    ],
)
def test_impossible_targets_are_refused(cli: Cli, tmp_path: Path, target: str, word: str) -> None:
    refuses(cli, tmp_path, 2, "draw", target, words=(word,))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--method", "inverse-cdf"),
        ("--count", 0),
        ("--count", -5),
        ("--count", "nan"),
        ("--count", 10**9),
        ("--method", "metropolis", "--scale", "nan"),
        ("--method", "metropolis", "--scale", "inf"),
        ("--method", "metropolis", "--scale", 0),
        ("--method", "metropolis", "--chains", 0),
        ("--method", "metropolis", "--chains", 100, "--count", 500),
        ("--method", "metropolis", "--burn-in", -1),
        ("--method", "hmc", "--step", -1),
        ("--method", "hmc", "--step", "nan"),
        ("--method", "hmc", "--leaps", 0),
        ("--method", "hmc", "--leaps", 10**6),
        ("--seed", -1),
    ],
)
def test_impossible_options_are_refused(cli: Cli, tmp_path: Path, arguments: tuple[object, ...]) -> None:
    refuses(cli, tmp_path, 2, "draw", "normal", *arguments)


def test_an_option_of_another_method_is_refused(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, 2, "draw", "--method", "metropolis", "--leaps", 3, words=("--leaps", "hmc"))
    refuses(cli, tmp_path, 2, "draw", "--method", "inverse", "--burn-in", 3, words=("--burn-in", "gibbs"))
    (tmp_path / "w.txt").write_text("1\n2\n")
    refuses(cli, tmp_path, 2, "draw", "w.txt", "--step", 0.1, words=("--step", "hmc"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("words.csv", b"a\nb\nc\n"),
        ("one.txt", b"3\n"),
        ("zero.txt", b"0\n0\n"),
        ("negative.txt", b"1\n-1\n"),
        ("nan.txt", b"1\nnan\n"),
        ("inf.txt", b"1\ninf\n"),
        ("tiny.txt", b"1\n1e-30\n"),
        ("ragged.csv", b"1,2\n3\n"),
        ("three.csv", b"1,2,3\n1,2,3\n"),
        ("binary.txt", b"\xff\xfe\x00\x01"),
        ("bad.json", b"[1, 2"),
        ("deep.json", b"[" * 100_000),
        ("text.json", b'"weights"'),
        ("true.json", b"[true, true]"),
        ("none.json", b"[null, 1]"),
        ("pairs.json", b"[[1, 2, 3]]"),
        ("huge.json", b"[1, 1" + b"0" * 400 + b"]"),
        ("long.txt", b"1\n" * 10_001),
    ],
)
def test_a_file_that_is_no_table_is_refused(cli: Cli, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refuses(cli, tmp_path, 3, "draw", f"table:{name}", words=(name,))


def test_a_file_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    refuses(cli, tmp_path, 3, "draw", "weights.csv", words=("weights.csv",))
    refuses(cli, tmp_path, 3, "draw", "table:", words=("cannot read",))
    refuses(cli, tmp_path, 3, "draw", "folder.csv")
    refuses(cli, tmp_path, 3, "draw", "table:" + "x" * 5000 + ".csv")


def test_a_place_that_is_taken_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    refuses(cli, tmp_path, 6, "draw", "normal", "--count", 100, "--out", "taken")
