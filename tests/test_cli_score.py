"""`diffcli score`: three estimators beside the true score, the figures, and what is refused."""

import json
from pathlib import Path

import pytest
from conftest import Cli, refuses
from PIL import Image

from diffcli.lessons.scores import estimators, gradient_noise, pictures

SMALL = ("--count", 300, "--steps", 40, "--json", "--quiet")


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """To measure at and to draw, whatever the options are."""
    for module, name, value in (
        (gradient_noise, "PLACES", 1000),
        (estimators, "TESTED", 3000),
        (estimators, "NOISE_BATCHES", 8),
        (pictures, "CELLS", 30),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.rendered
def test_three_estimators_come_to_one_field(cli: Cli, tmp_path: Path) -> None:
    result = cli("score", "--sigma", 0.5, "--count", 2000, "--steps", 150, "--out", "here", "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    document = result.document
    assert document["truth"] == "the law of the data"
    assert document["denoising_surplus"] == pytest.approx(4.0)  # D / (2 sigma²)
    assert 0 < document["error_of_training_points"] < 0.1
    for name in ("explicit", "denoising", "sliced"):
        found = document["methods"][name]
        assert found["relative_error"] < 0.4
        assert found["cosine"] > 0.8
        surplus = 4.0 if name == "denoising" else 0.0
        assert found["loss_least"] == pytest.approx(document["least_explicit_loss"] + surplus)
        assert found["loss"] > found["loss_least"] - 5 * found["loss_se"]
        assert [step for step, _ in found["error_over_steps"]][:: len(found["error_over_steps"]) - 1] == [0, 150]
    study = document["gradient_noise_at_the_true_score"]
    assert study["sigmas"] == sorted(study["sigmas"])
    low, high = ({name: curve[i] for name, curve in study["curves"].items()} for i in (0, -1))
    assert low["denoising"] > 5 * low["explicit"]
    assert high["denoising"] < high["explicit"] < high["sliced"]
    assert set(map(Path, document["figures"])) == {Path("here/fields.png"), Path("here/curves.png")}
    for path in document["figures"]:
        with Image.open(tmp_path / path) as image:
            image.load()
            assert image.width > 600
    assert json.loads((tmp_path / "here" / "metrics.json").read_text())["sigma"] == 0.5


@pytest.mark.parametrize(
    "target", ["moons", "swiss-roll", "checkerboard", "mixture,means=-1:0/1:0,weights=1/3,stds=0.3"]
)
def test_other_data_and_what_their_truth_is(cli: Cli, target: str) -> None:
    result = cli("score", target, "--method", "denoising", *SMALL)
    assert (result.code, result.err) == (0, "")
    known = target.startswith("mixture")
    assert result.document["truth"] == ("the law of the data" if known else "the 300 training points")
    assert (result.document["error_of_training_points"] is not None) == known
    assert list(result.document["methods"]) == ["denoising"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(cli: Cli) -> None:
    def numbers(seed: int) -> list[float]:
        found = cli("score", *SMALL, "--method", "sliced", "--seed", seed).document["methods"]["sliced"]
        return [value for key, value in found.items() if key != "milliseconds_per_step"]

    assert numbers(3) == numbers(3) != numbers(4)


@pytest.mark.slow
def test_options_of_sliced_change_sliced_alone(cli: Cli) -> None:
    plain, other = (
        cli("score", *SMALL, *more).document["methods"]
        for more in ((), ("--projections", 3, "--directions", "gaussian", "--reduced"))
    )
    for name in ("explicit", "denoising"):
        assert plain[name]["relative_error"] == other[name]["relative_error"]
    assert plain["sliced"]["relative_error"] != other["sliced"]["relative_error"]


def test_a_reader_sees_the_estimators_the_truth_and_the_time(cli: Cli) -> None:
    result = cli("score", *SMALL[:-2])
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["explicit", "denoising", "sliced"]
    assert any(line.startswith("truth: the score of the law of the data") for line in lines)
    assert lines[-1].startswith("next: diffcli ")
    assert result.err.startswith("time: about ")
    assert max(map(len, lines[:12])) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mixtur"], "did you mean mixture?"),
        (["mnist"], "known: mixture"),
        (["moons,noise=0.1"], "takes no parameters"),
        (["mixture,means=0/1"], "two coordinates"),
        (["mixture,means=0:1:2"], "one or two coordinates"),
        (["mixture,means=0:0,stds=0"], "no density"),
        (["mixture,means=11:0"], "within 10"),
        (["mixture,mean=0:0"], "did you mean means?"),
        (["--method", "slised"], "did you mean sliced?"),
        (["--directions", "normal"], "rademacher"),
        (["--sigma", "0"], "from 0.02 to 5"),
        (["--sigma", "nan"], "not nan"),
        (["--sigma", "9"], "not 9"),
        (["--steps", "0"], "--steps"),
        (["--projections", "0"], "--projections"),
        (["--count", "3"], "--count"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    refuses(cli, tmp_path, 2, "score", *arguments, words=(words,))


def test_a_run_that_diverges_says_so_and_leaves_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimators, "LR", 1e30)
    refuses(cli, tmp_path, 7, "score", *SMALL, "--method", "explicit", words=("diverged", "--sigma"))
