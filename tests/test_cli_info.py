"""diffcli info, of a recipe, a run, a checkpoint and an exact model."""

from pathlib import Path

import pytest
from conftest import Cli, checkpoint_of


def test_a_recipe_tells_shape_size_cost_and_how_to_train_it(cli: Cli) -> None:
    document = cli("info", "tiny", "--json").document
    assert document["kind"] == "recipe"
    assert document["shape"] == [1, 28, 28]
    assert document["range"] == [-1, 1]
    assert document["pyramid"] == [14, 7]
    assert document["parameters"] > 1000
    assert document["flops_per_item"] > 1e5
    assert document["schedule"]["entries"] == 1000
    assert document["next"] == "diffcli train --recipe tiny"


def test_flops_are_those_of_the_layers(cli: Cli, tmp_path: Path) -> None:
    """An mlp of known layers: two operations per weight of a matrix product."""
    (tmp_path / "r.toml").write_text('dataset = "moons"\nmodel = "mlp"\nwidth = 16\ndepth = 1\n')
    document = cli("info", "r.toml", "--json").document
    assert document["shape"] == [2]
    assert document["range"] is None
    assert document["pyramid"] == []
    assert 1 < document["flops_per_item"] / document["parameters"] < 2.1


def test_a_run_tells_how_it_was_made_and_how_to_sample_it(cli: Cli, run: Path) -> None:
    result = cli("info", run)
    assert result.code == 0
    assert "12 steps" in result.out
    assert "made by" in result.out
    assert "diffcli 0.1.0, torch" in result.out
    assert f"diffcli sample {run} --ddim" in result.out
    document = cli("info", run, "--json").document
    assert document["step"] == 12
    assert document["images"] == 12 * 16
    assert document["validation_loss"] > 0
    assert document["classes"] == ["circle", "cross", "stripe"]


def test_the_newest_run_is_meant_without_a_name_and_else_the_default_recipe(cli: Cli, run: Path) -> None:
    assert cli("info", "--json").document["name"].startswith(str(Path("checkpoints") / run.name))


def test_without_a_run_it_describes_the_default_recipe(cli: Cli) -> None:
    assert cli("info", "--json").document["name"] == "default"


def test_a_checkpoint_file_is_described_too(cli: Cli, run: Path) -> None:
    assert cli("info", checkpoint_of(run, 6), "--json").document["step"] == 6


def test_an_exact_model_is_described_with_its_schedule(cli: Cli) -> None:
    document = cli("info", "exact:gaussian,dim=3", "--json").document
    assert document["kind"] == "exact model"
    assert document["shape"] == [3]
    assert document["schedule"]["name"] == "linear"


@pytest.mark.parametrize(
    ("target", "code"), [("nothing", 4), ("missing.toml", 3), ("exact:gausian", 2), ("exact:gaussian,dim=0", 2)]
)
def test_what_cannot_be_described_is_one_line(cli: Cli, target: str, code: int) -> None:
    result = cli("info", target)
    assert result.code == code
    assert result.err.startswith("error:")
    assert "Traceback" not in result.err


def test_a_recipe_whose_network_corrects_a_prior_is_described(cli: Cli) -> None:
    result = cli("info", "mnist-likelihood", "--json")
    assert result.code == 0, result.err
    assert result.document["flops_per_item"] > 1e6
    assert result.document["parameters"] == 723_592
