"""Networks that torch.compile has compiled: the same numbers, names, copies and checkpoints."""

import copy
from pathlib import Path
from typing import Any

import pytest
import sessions
import torch
from torch import nn

from diffcli.data.kinds import IMAGES, POINTS, Items
from diffcli.errors import EnvironmentProblem
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.training import compiling, setup
from diffcli.training.compiling import compile_networks, networks
from diffcli.training.recipes import Training, override
from diffcli.training.recipes import dae as of_dae
from diffcli.training.recipes import diffusion as of_diffusion
from diffcli.training.recipes import vae as of_vae
from diffcli.training.setup import build, new_trainer
from diffcli.training.step import average

ITEMS = Items(IMAGES, (1, 8, 8), ("a", "b"))
CPU = torch.device("cpu")
TINY = override(of_diffusion.RECIPES["tiny"], {"precision": "fp32", "widths": (8, 8)})


class Backend:
    """Compiles nothing, and counts what it was given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return graph.forward


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    torch._dynamo.reset()
    made = Backend()
    monkeypatch.setattr(compile_networks, "__kwdefaults__", {"backend": made})
    return made


def asked(model: Any) -> torch.Tensor:
    """What the network says of something."""
    generator = torch.Generator().manual_seed(0)
    x, at = torch.randn(4, 1, 8, 8, generator=generator), torch.randn(4, generator=generator)
    return model.network(x, at, label=torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize(
    ("recipe", "items", "found"),
    [
        (TINY, ITEMS, ["UNet"]),
        (override(of_diffusion.RECIPES["tiny"], {"objective.prior": "pixels"}), ITEMS, ["UNet"]),
        (of_diffusion.RECIPES["points"], Items(POINTS, (2,)), ["MLP"]),
        (of_vae.RECIPES["default"], Items(IMAGES, (1, 8, 8)), ["Sequential", "Sequential"]),
        (of_dae.RECIPES["default"], Items(IMAGES, (1, 8, 8)), ["UNet"]),
    ],
)
def test_the_networks_of_every_family_are_found(recipe: Training, items: Items, found: list[str]) -> None:
    model = build(recipe, items, CPU)
    parts = list(networks(model))
    assert [type(part).__name__ for part in parts] == found
    inside = {id(p) for part in parts for p in part.parameters()}
    assert {id(p) for p in model.parameters()} == inside


def test_a_compiled_network_gives_the_same_numbers_and_gradients(backend: Backend) -> None:
    plain, compiled = build(TINY, ITEMS, CPU), build(TINY, ITEMS, CPU)
    for model in (plain, compiled):
        for i, parameter in enumerate(model.parameters()):
            nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(i))
    compile_networks(compiled, backend="aot_eager")
    for model in (plain, compiled):
        asked(model).square().sum().backward()
    torch.testing.assert_close(asked(compiled), asked(plain))
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_names_and_copies_know_nothing_of_it(backend: Backend) -> None:
    plain, compiled = build(TINY, ITEMS, CPU), build(TINY, ITEMS, CPU)
    compile_networks(compiled)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert type(compiled.network) is type(plain.network)
    graphs = backend.graphs
    copied = copy.deepcopy(compiled)
    asked(copied)
    assert backend.graphs == graphs
    asked(compiled)
    assert backend.graphs == graphs + 1
    average(copied, compiled, 0.5)


def test_another_trainer_of_the_same_network_is_not_compiled_anew(backend: Backend) -> None:
    """As the one that finds out how fast steps are."""
    recipe, model = override(TINY, {"compile": True}), build(TINY, ITEMS, CPU)
    asked(new_trainer(recipe, ITEMS, model).model.train())
    graphs = backend.graphs
    assert graphs == 2  # one to see that there is a compiler
    asked(new_trainer(recipe, ITEMS, copy.deepcopy(model)).model.train())
    assert backend.graphs == graphs


def test_a_run_that_is_compiled_has_the_checkpoint_of_one_that_is_not(
    backend: Backend, pictures: Path, tmp_path: Path
) -> None:
    changes = {"data.name": str(pictures), "steps": 4, "batch": 8, "precision": "fp32"}
    recipe = override(of_diffusion.RECIPES["tiny"], changes)
    plain, _ = read_checkpoint(sessions.train(recipe, tmp_path / "plain"))
    compiled, about = read_checkpoint(sessions.train(override(recipe, {"compile": True}), tmp_path / "compiled"))
    assert backend.graphs > 0
    assert about["recipe"]["compile"] is True
    assert plain.keys() == compiled.keys()
    for name in plain:
        torch.testing.assert_close(plain[name], compiled[name])


def test_a_compiler_that_does_not_work_is_said() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no g++ here\nand more")

    torch._dynamo.reset()
    with pytest.raises(EnvironmentProblem, match=r"^torch.compile does not work here: no g\+\+ here$") as caught:
        compile_networks(build(TINY, ITEMS, CPU), backend=broken)
    assert caught.value.hint


def test_nothing_is_compiled_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "compile_networks", pytest.fail)
    new_trainer(TINY, ITEMS, build(TINY, ITEMS, CPU))
    assert not TINY.compile
    assert compiling.INDUCTOR == "inductor"
