"""`diffcli likelihood`: exact laws, tiny runs, the two dequantisations, and what is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, refuses
from PIL import Image

from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.processes.laws.pixels import STEP
from diffcli.evaluation import likelihood as flows

USAGE = 2


def likelihood(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("likelihood", *arguments, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    return result.document


@pytest.mark.parametrize("law", ["exact:mixture", "exact:gaussian,mean=0.3,std=1.5"])
@pytest.mark.parametrize("schedule", ["linear", "ve"])
@pytest.mark.rendered
def test_a_law_has_its_own_likelihood(cli: Cli, tmp_path: Path, law: str, schedule: str) -> None:
    d = likelihood(cli, law, "--count", 40, "--schedule", schedule)
    assert d["largest_error_nats"] < 1e-3 if law == "exact:mixture" else 0.05  # the prior knows no mean of 0.3
    assert d["nats"] == pytest.approx(d["truth_nats"], abs=5e-3)
    assert (d["dequantisation"], d["trace"], d["bits_per_dim"]) == ("none", "exact", None)
    assert d["evaluations"] > 20
    for path in d["figures"]:
        Image.open(tmp_path / path).load()


def test_probes_are_right_on_average(cli: Cli) -> None:
    exact = likelihood(cli, "exact:gaussian,std=0.7:1.4", "--count", 300)
    for trace in ("rademacher", "gaussian"):
        d = likelihood(cli, "exact:gaussian,std=0.7:1.4", "--count", 300, "--trace", trace, "--probes", 8)
        assert d["probes"] == 8
        assert d["nats"] == pytest.approx(exact["nats"], abs=0.15)


def test_a_run_has_bits_per_dimension_by_both_dequantisations(cli: Cli, run: Path) -> None:
    found = {}
    for name in ("variational", "uniform"):
        d = likelihood(cli, run, "--count", 3, "--dequantise", name, "--rtol", 1e-2, "--atol", 1e-2)
        assert d["bits_per_dim"] == pytest.approx(d["nats"] / 64 / math.log(2))
        assert (d["dequantisation"], d["images"], d["trace"]) == (name, 3, "rademacher")
        found[name] = d["bits_per_dim"]
    assert found["variational"] != found["uniform"]
    again = likelihood(cli, run, "--count", 3, "--dequantise", "uniform", "--rtol", 1e-2, "--atol", 1e-2, "--batch", 1)
    assert again["bits_per_dim"] == pytest.approx(found["uniform"], rel=0.05)  # each takes its own steps


def smooth(dequantisation: str, most: float = 11.0, decoder: str = "large") -> flows.FlowLikelihood:
    return flows.FlowLikelihood(
        Gaussian(0.0, 0.5), most, -16.0, dequantisation, "rademacher", decoder=decoder, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("dequantisation", ["uniform", "variational"])
def test_dequantised_values_cost_the_mass_of_their_bins(dequantisation: str) -> None:
    """Values of N(0, 0.5²) rounded: the cost of each is -log of its bin's share, no less. The outer bins are open."""
    values = torch.arange(17, 255, 17).double() * STEP - 1
    x0 = values.reshape(-1, 1, 1, 1).expand(14, 1, 2000, 1).contiguous()
    *_, found = smooth(dequantisation).run(x0, 0, {})
    edges = [tuple(math.erf((v + s * STEP / 2) / 0.5 / math.sqrt(2)) for s in (-1, 1)) for v in values.tolist()]
    exact = torch.tensor([-2000 * math.log((high - low) / 2) for low, high in edges], dtype=torch.float64)
    assert ((found.nats - exact) / 2000).mean() == pytest.approx(0, abs=0.02)
    assert ((found.nats - exact) / 2000).mean() > -0.015  # three standard errors


def test_the_path_does_not_matter(cli: Cli) -> None:
    """Neither the schedule's time nor its scale: what begins at the same level has the same likelihood."""
    ve = likelihood(cli, "exact:mixture", "--count", 20, "--schedule", "ve,sigma-min=0.02,sigma-max=200")
    own = likelihood(cli, "exact:mixture", "--count", 20, "--schedule", f"log-snr,most={-2 * math.log(0.02)},least=-11")
    assert ve["start_log_snr"] == pytest.approx(own["start_log_snr"])
    assert ve["nats"] == pytest.approx(own["nats"], abs=2e-3)


def test_lines_for_people(cli: Cli, run: Path) -> None:
    result = cli("likelihood", run, "--count", 2, "--rtol", 1e-2, "--atol", 1e-2)
    assert result.code == 0, result.err
    for word in ("bits/dim", "evaluations of the flow", "next: diffcli vlb"):
        assert word in result.out
    assert "dequantisation variational" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shapes-1", "--count", "0"], ("--count",)),
        (["shapes-1", "--dequantise", "none"], ("have no density",)),
        (["shapes-1", "--dequantise", "unifrom"], ("did you mean uniform?",)),
        (["exact:gaussian", "--dequantise", "uniform"], ("real numbers",)),
        (["exact:gaussian", "--trace", "exact", "--probes", "3"], ("no probes",)),
        (["exact:gaussian", "--trace", "gausian"], ("did you mean gaussian?",)),
        (["exact:gaussian", "--rtol", "1"], ("--rtol",)),
        (["exact:gaussian", "--atol", "nan"], ("--atol",)),
        (["exact:gaussian", "--conditional"], ("knows no classes",)),
        (["exact:gaussian", "--schedule", "liner"], ("did you mean linear?",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(cli: Cli, run: Path, tmp_path: Path, arguments: list[str], words: tuple[str, ...]) -> None:
    refuses(cli, tmp_path, USAGE, "likelihood", *arguments, words=words)
