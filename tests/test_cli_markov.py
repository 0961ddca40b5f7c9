"""`diffcli markov`: every chain once end to end, then every way to ask for what there is not."""

import json
import math
from pathlib import Path

import pytest
from conftest import Cli, refuses
from PIL import Image

KEYS = {"stationary", "reversible", "irreducible", "period", "spectral_gap", "mixing_time", "figures", "metrics"}
SMALL = ("--steps", 60, "--chains", 20)


@pytest.mark.parametrize(
    "chain",
    [
        "two-state,a=0.2",
        "weather",
        "random-walk,n=4",
        "random-walk,n=4,ends=absorbing",
        "cycle,n=5,forward=0.9,lazy=0",
        "birth-death,n=15",
        "ehrenfest,n=4",
        "ar1,rho=-0.5",
        "ou,dt=0.5",
        "ising,side=2",
        "ising,side=4,beta=0.3",
        "ising,side=5,field=0.1",
        "diffusion,steps=30",
        "diffusion,steps=20,schedule=vp,beta-max=10",
        "diffusion,steps=20,schedule=edm",
    ],
)
@pytest.mark.rendered
def test_every_chain(cli: Cli, chain: str) -> None:
    result = cli("markov", chain, *SMALL, "--json", "--quiet")
    assert result.code == 0, result.err
    assert set(result.document) >= KEYS
    assert "NaN" not in result.out
    for figure in result.document["figures"]:
        Image.open(figure).verify()
    written = json.loads(Path(result.document["metrics"]).read_text())
    assert written.items() <= result.document.items()


def test_the_numbers_of_two_states(cli: Cli) -> None:
    found = cli("markov", "two-state,a=0.1,b=0.3", "--json", "--quiet").document
    assert found["stationary"] == pytest.approx({"0": 0.75, "1": 0.25})
    assert (found["reversible"], found["irreducible"], found["period"], found["mixing_time"]) == (True, True, 1, 3)
    assert found["spectral_gap"] == pytest.approx(0.4)
    assert found["mixing_bounds"] == pytest.approx([1.5 * math.log(2), 2.5 * math.log(16)])
    assert found["simulated"] == pytest.approx(found["stationary"], abs=4.5 * found["standard_errors"]["0"])


def test_a_periodic_chain_does_not_mix_and_says_why(cli: Cli) -> None:
    result = cli("markov", "ehrenfest,n=4", *SMALL)
    assert "does not mix: it has period 2" in result.out
    found = cli("markov", "ehrenfest,n=4", *SMALL, "--json").document
    assert (found["period"], found["mixing_time"], found["relaxation_time"], found["spectral_gap"]) == (
        2,
        None,
        None,
        0,
    )


def test_the_gamblers_ruin_from_where_it_starts(cli: Cli) -> None:
    found = cli("markov", "random-walk,n=4,ends=absorbing", "--start", 1, *SMALL, "--json").document
    assert found["absorption"]["probabilities"] == pytest.approx({"0": 0.75, "4": 0.25})
    assert found["absorption"]["steps"] == pytest.approx(3)
    assert found["absorbing"] == ["0", "4"]
    assert found["stationary"] is None
    assert found["irreducible"] is False


def test_a_matrix_with_names(cli: Cli) -> None:
    Path("weather.json").write_text('{"states": ["sun", "rain"], "matrix": [[0.9, 0.1], [0.5, 0.5]]}')
    found = cli("markov", "weather.json", "--start", "rain", *SMALL, "--json").document
    assert found["stationary"] == pytest.approx({"sun": 5 / 6, "rain": 1 / 6})
    assert found["start"] == "rain"


def test_an_autoregression_beside_its_law(cli: Cli) -> None:
    found = cli("markov", "ar1,rho=0.8,noise=0.6", "--start", 4, "--steps", 3, "--json")
    assert found.code == 2  # fewer steps than there can be
    found = cli("markov", "ar1,rho=0.8,noise=0.6", "--start", 4, "--steps", 4, "--json").document
    assert found["stationary"] == pytest.approx({"mean": 0, "std": 1})
    assert found["end"]["expected"] == pytest.approx(4 * 0.8**4)
    assert abs(found["end"]["mean"] - found["end"]["expected"]) < 4.5 * found["end"]["standard_error"]


def test_the_ising_model_beside_its_enumeration(cli: Cli) -> None:
    found = cli("markov", "ising,side=2,beta=0.5", "--json", "--quiet", "--chains", 100).document
    weight = math.exp(4 * 0.5)  # energies -4, 0 and 4 of 2, 12 and 2 configurations
    energy = -4 * (2 * weight - 2 / weight) / (2 * weight + 12 + 2 / weight) / 4
    row = found["per_spin"]["energy"]
    assert row["expected"] == pytest.approx(energy)
    assert abs(row["mean"] - energy) < 4.5 * row["standard_error"]
    assert found["boltzmann_difference"] < 1e-14


def test_the_forward_process_ends_in_noise(cli: Cli) -> None:
    found = cli("markov", "diffusion", "--json", "--quiet", "--chains", 50).document
    signal = math.prod(1 - 1e-4 - (0.02 - 1e-4) * i / 999 for i in range(1000))
    assert found["terminal_kl"]["one image"] == pytest.approx((-signal + signal - math.log1p(-signal)) / 2, rel=1e-6)
    assert found["mixing_time_of_the_data"] < found["mixing_time"] < 1000


def test_the_same_seed_gives_the_same_numbers(cli: Cli) -> None:
    runs = [cli("markov", "weather", *SMALL, "--seed", seed, "--json").document["simulated"] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_the_table_fits_a_narrow_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = cli("markov", "ehrenfest,n=20", *SMALL)
    assert max(map(len, result.out.split("\n\n")[0].splitlines())) <= 60
    assert "and 9 more states" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("two-states",), 2, ("two-state",)),
        (("two-state,c=1",), 2, ("c",)),
        (("two-state,a=nan",), 2, ("finite",)),
        (("two-state,a=inf",), 2, ("finite",)),
        (("two-state,a=1.5",), 2, ("probability",)),
        (("cycle,n=0",), 2, ("n must be 3",)),
        (("cycle,n=100000000000000000000",), 2, ("n must be 3",)),
        (("ehrenfest,n=2.5",), 2, ("whole number",)),
        (("birth-death,up=0.7,down=0.7",), 2, ("at most 1",)),
        (("ar1,rho=1",), 2, ("rho",)),
        (("ou,rate=0",), 2, ("rate",)),
        (("ising,side=99",), 2, ("side",)),
        (("diffusion,schedule=lineal",), 2, ("linear",)),
        (("diffusion,steps=-1",), 2, ("steps",)),
        (("diffusion,steps=1000000000",), 2, ("steps",)),
        (("diffusion", "--start", "1"), 2, ("data",)),
        (("weather,schedule=linear",), 2, ("schedule",)),
        (("",), 2, ("chain",)),
        (("weather", "--start", "sun"), 2, ("snow",)),
        (("ising", "--start", "left"), 2, ("up",)),
        (("ar1", "--start", "nan"), 2, ("--start",)),
        (("ar1", "--start", "inf"), 2, ("--start",)),
        (("ar1", "--start", "far"), 2, ("--start",)),
        (("weather", "--steps", "0"), 2, ("--steps",)),
        (("weather", "--chains", "0"), 2, ("--chains",)),
        (("ar1", "--chains", "1"), 2, ("single",)),
        (("diffusion", "--chains", "1"), 2, ("single",)),
        (("weather", "--seed", "-1"), 2, ("--seed",)),
        (("weather", "--steps", "100000000"), 2, ("too many",)),
        (("diffusion,steps=10000", "--chains", "5000"), 2, ("too many",)),
        (("ising,side=32", "--steps", "9000", "--chains", "1000"), 2, ("too long",)),
        (("nothing.csv",), 3, ("nothing.csv",)),
        (("bad.csv",), 3, ("row 2 (1) sums to 0.9",)),
        (("negative.json",), 3, ("row 1", "negative")),
        (("flat.csv",), 3, ("square",)),
        (("folder.json",), 3, ("folder.json",)),
        (("weather", "--out", "taken"), 6, ("taken",)),
    ],
    ids=lambda value: "" if isinstance(value, int) else " ".join(value)[:40],
)
def test_what_cannot_be_is_refused(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "bad.csv").write_text("0.5,0.5\n0.5,0.4\n")
    (tmp_path / "negative.json").write_text("[[1.5, -0.5], [0, 1]]")
    (tmp_path / "flat.csv").write_text("0.5,0.5\n")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    refuses(cli, tmp_path, code, "markov", *arguments, "--quiet", words=words)
