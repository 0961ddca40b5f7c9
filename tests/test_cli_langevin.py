"""`diffcli langevin`: the weights of the modes, the bias of the step, the figures, and what is refused."""

import json
import math
from pathlib import Path

import pytest
from conftest import Cli, refuses
from PIL import Image

from diffcli.lessons.langevin import step_bias


@pytest.fixture(autouse=True)
def fewer_particles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bias of the step takes most of the time; the test of its formula has as many particles as a user."""
    if request.function is not test_the_measured_bias_is_that_of_the_formula:
        monkeypatch.setattr(step_bias, "PARTICLES", 1000)


PLAIN = ("--count", 400, "--steps", 60, "--json", "--quiet")
SMALL = (*PLAIN, "--levels", 6)


@pytest.mark.rendered
def test_plain_langevin_gets_the_weights_wrong_and_annealed_right(cli: Cli, tmp_path: Path) -> None:
    result = cli("langevin", "--count", 1000, "--steps", 400, "--levels", 8, "--out", "here", "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    document = result.document
    assert document["weights_true"] == pytest.approx([0.2, 0.8])
    assert document["weights"] == document["methods"]["annealed"]["weights"]
    for plain in ("ula", "mala"):
        assert document["methods"][plain]["weights"][0] > 0.4  # the start is symmetric, and nothing moves over
    assert document["weights"] == pytest.approx([0.2, 0.8], abs=0.06)
    assert sum(document["weights"]) == pytest.approx(1)
    assert 0.9 < document["methods"]["mala"]["acceptance"] < 1
    assert document["methods"]["annealed"]["energy_distance"] < 0.2 < document["methods"]["ula"]["energy_distance"]
    assert set(map(Path, document["figures"])) == {
        Path("here") / name for name in ("compare.png", "score.png", "bias.png", "langevin.gif")
    }
    for path in document["figures"]:
        with Image.open(tmp_path / path) as image:
            image.load()
            assert image.width > 300
    metrics = json.loads((tmp_path / "here" / "metrics.json").read_text())
    assert metrics["weights"] == document["weights"]


def test_the_measured_bias_is_that_of_the_formula(cli: Cli) -> None:
    document = cli("langevin", "gaussian,std=0.5", "--method", "ula", *PLAIN).document
    assert document["weights"] == document["weights_true"] == [1.0]
    bias = document["bias"]
    assert bias["truth"] == pytest.approx(0.25)
    columns = (bias[key] for key in ("steps", "formula", "unadjusted", "errors"))
    for step, formula, found, error in zip(*columns, strict=True):
        assert formula == pytest.approx(0.25 / (1 - step / 4))
        assert abs(found - formula) < 4.5 * error
    for found, error in zip(bias["adjusted"], bias["errors"], strict=True):
        assert abs(found - 0.25) < 4.5 * error


@pytest.mark.parametrize("target", ["bimodal", "mixture,means=-1:0/1:0,weights=1/3,stds=0.3"])
@pytest.mark.rendered
def test_targets_on_a_line_and_in_the_plane(cli: Cli, target: str) -> None:
    result = cli("langevin", target, "--method", "annealed", *SMALL)
    assert (result.code, result.err) == (0, "")
    document = result.document
    assert document["method"] == "annealed"
    assert len(document["weights"]) == len(document["weights_true"])
    assert all(math.isfinite(w) for w in document["weights"])


def test_the_same_seed_gives_the_same_numbers(cli: Cli) -> None:
    first, again = (cli("langevin", *PLAIN, "--method", "ula", "--seed", 3).document["weights"] for _ in range(2))
    assert first == again
    assert first != cli("langevin", *PLAIN, "--method", "ula", "--seed", 4).document["weights"]


def test_a_reader_sees_the_truth_beside_each_dynamics(cli: Cli) -> None:
    lines = cli("langevin", *PLAIN[:-2]).out.splitlines()
    assert lines[1].startswith("the truth")
    assert [line.split()[0] for line in lines[2:5]] == ["unadjusted", "adjusted", "annealed"]
    assert any(line.startswith("Weights of the modes:") for line in lines)
    assert lines[-1].startswith("next: diffcli ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two-mods"], "did you mean two-modes?"),
        (["--method", "anealed"], "did you mean annealed?"),
        (["--step", "4"], "below 4"),
        (["--step", "0"], "above 0"),
        (["--step", "nan"], "not nan"),
        (["--noise-step", "inf"], "not inf"),
        (["--sigma-max", "nan"], "must fall"),
        (["--sigma-max", "0.1", "--sigma-min", "1"], "must fall"),
        (["--sigma-min", "0"], "must fall"),
        (["--levels", "50", "--steps", "20"], "as many --steps"),
        (["--count", "0"], "--count"),
        (["--steps", "0"], "--steps"),
        (["--count", "100000", "--steps", "100000"], "too many"),
        (["gaussian,std=0"], "std must be"),
        (["gaussian,std=nan"], "finite"),
        (["mixture,means=1:2:3"], "one or two coordinates"),
        (["mixture,means=1:2,stds=0"], "no density"),
        (["mixture,means=1:2/3"], "same number"),
        (["mixture,means=0/1,stds=0.001/1"], "100 times"),
        (["mixture,means=x"], "must be numbers"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    refuses(cli, tmp_path, 2, "langevin", *arguments, words=(words,))
