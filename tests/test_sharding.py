"""Weights, average and moments divided over two processes: what one process computes, and half of it each."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli
from sessions import finish, same
from together import every_rank
from torch import Tensor, nn

from diffcli.core.models.unet import Stage, UNet
from diffcli.core.models.vae import NETWORKS, Residual
from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.ranks.group import ALONE, Group
from diffcli.ranks.launch import Team
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.listing import checkpoints
from diffcli.runs.session import Session, Setting
from diffcli.training import optimizers, recipes
from diffcli.training.families import FAMILIES
from diffcli.training.recipes import Training
from diffcli.training.sharding import blocks, rows, shard_of, shards

CPU = torch.device("cpu")


def recipe_of(data: Path, family: str = "diffusion", **changes: Any) -> Training:
    """Ten steps."""
    usual = {"dataset": str(data), "steps": 10, "batch": 8, "precision": "fp32", "shard": True}
    return recipes.override(FAMILIES[family].recipes["tiny"], usual | changes)


def session_of(group: Group, recipe: Training | None, out: Path | None = None, resume: str | None = None) -> Any:
    """The context of a session of a rank; a follower's writes nothing."""
    family = recipe.family if recipe else "diffusion"
    setting = Setting(CPU, out=out, processes=group.count)
    return opened(Assignment(family, setting, recipe, resume, {}, follows=not group.leads))


class Outcome:
    """What some steps leave behind, short enough to be sent as text."""

    def __init__(self, losses: list[float], tensors: dict[str, Tensor]) -> None:
        self.losses, self.tensors = losses, tensors

    def __repr__(self) -> str:
        return repr(self.losses)


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """Let Muon compute in float32: in bfloat16 a sum in another order is soon another step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizers, "use_bf16", lambda *_: False)
        yield


def trained(group: Group, recipe: Training, micro: int = 0) -> Outcome:
    with exactly() if recipe.precision == "fp32" else contextlib.nullcontext(), session_of(group, recipe) as session:
        session.join(group)
        assert session.trainer.divided == (recipe.shard and group.count > 1)
        session.trainer.micro = micro
        losses = [progress.loss for progress in session._fit(session.trainer)]
        return Outcome(losses, {k: v.clone() for k, v in session.trainer.tensors().items()})


@pytest.mark.parametrize(
    ("family", "micro", "changes"),
    [
        ("diffusion", 0, {}),
        ("diffusion", 0, {"optimizer": "adamw", "lr": 1e-2}),
        ("diffusion", 2, {"objective": "vlb", "draws": "importance", "chain": 20, "prior": "pixels"}),
        ("diffusion", 0, {"clip": 1e-3, "widths": (5, 9)}),
        ("vae", 3, {}),
        ("vae", 0, {"network": "conv", "pixels": "8bit", "widths": (4, 8)}),
        ("dae", 0, {}),
    ],
)
def test_divided_weights_are_trained_as_whole_ones(
    team: Team, pictures: Path, family: str, micro: int, changes: dict[str, Any]
) -> None:
    recipe = recipe_of(pictures, family, **changes)
    found, other = every_rank(team, trained, recipe, micro)
    alone = trained(ALONE, recipe)
    assert repr(found) == other  # all ranks know the same losses
    torch.testing.assert_close(torch.tensor(found.losses), torch.tensor(alone.losses), rtol=1e-5, atol=1e-6)
    assert found.tensors.keys() == alone.tensors.keys()
    for name, tensor in alone.tensors.items():
        scale = tensor.abs().max().item() if tensor.numel() else 0.0
        torch.testing.assert_close(
            found.tensors[name], tensor, rtol=0, atol=2e-4 * scale + 1e-7, msg=lambda m, name=name: f"{name}: {m}"
        )


def held(group: Group, recipe: Training) -> list[list[int]]:
    """Numbers that a rank has of weights, average and moments, and how many there are in all."""
    with session_of(group, recipe) as session:
        session.join(group)
        list(session._fit(session.trainer))
        trainer = session.trainer
        kept = [[*shards(model).values()] for model in (trainer.model, trainer.ema)]
        kept.append([value for value in trainer.optimizer.state().values() if value.dim()])
        assert all(type(tensor) in (Tensor, nn.Parameter) for tensors in kept for tensor in tensors)
        own = [sum(tensor.untyped_storage().nbytes() // 4 for tensor in tensors) for tensors in kept]
        return [own, [session.parameters, session.parameters, trainer.optimizer.moments]]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_each_of_two_ranks_holds_half(team: Team, pictures: Path, optimizer: str) -> None:
    (own, whole), other = every_rank(team, held, recipe_of(pictures, steps=2, optimizer=optimizer))
    (theirs, _) = eval(other)  # noqa: S307
    for ours, others, total in zip(own, theirs, whole, strict=True):
        assert total <= ours + others < 1.01 * total  # the last rows of odd numbers are filled up
        assert max(ours, others) < 0.51 * total


def orthogonal_rows(group: Group, matrices: list[Tensor]) -> list[Tensor]:
    with exactly():
        parts = [shard_of(matrix, group) for matrix in matrices]
        found = optimizers._orthogonal_by_rows(parts, [len(matrix) for matrix in matrices], group)
        return [group.gathered(part) for part in found]


@pytest.mark.parametrize("shapes", [[(8, 5), (3, 7), (1, 4), (5, 5)], [(6, 4)]])
def test_matrices_are_made_orthogonal_as_they_are_when_whole(team: Team, shapes: list[tuple[int, int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    found, other = every_rank(team, orthogonal_rows, matrices)
    with exactly():
        wanted = [optimizers.orthogonal(matrix) for matrix in matrices]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert other == repr(found)


@pytest.mark.parametrize(
    ("whole", "ranks", "shares"), [(8, 2, [4, 4]), (5, 2, [3, 2]), (1, 3, [1, 0, 0]), (0, 2, [0, 0])]
)
def test_rows_are_those_of_fully_shard(whole: int, ranks: int, shares: list[int]) -> None:
    assert rows(whole, ranks) == shares
    pieces = torch.arange(whole).chunk(ranks) if whole else ()
    assert [len(piece) for piece in pieces] == [share for share in shares if share]


def followed(session: Session, stop: Any = lambda: False) -> None:
    session.begin()
    session.prepare(0.01)
    for _ in session.run(stop):
        pass


@exactly()
def run_in_parts(group: Group, recipe: Training, folder: Path) -> None:
    """Ten steps; five, and five more; and five by themselves."""
    for name, last in (("whole", 10), ("parts", 5), ("half", 5)):
        with session_of(group, recipe, folder / name) as session:
            session.join(group)
            stop = lambda session=session, last=last: session.trainer.step >= last  # noqa: E731
            followed(session, stop if group.leads else lambda: False)
    group.told(None)  # the checkpoint is there
    with session_of(group, None, resume=str(folder / "parts")) as session:
        session.join(group)
        session.probe()
        followed(session)


@exactly()
def go_on_together(group: Group, folder: Path) -> None:
    with session_of(group, None, resume=str(folder)) as session:
        session.join(group)
        followed(session)


def close(a: Path, b: Path) -> bool:
    """Whether two checkpoints hold the same within rounding, and at the same place."""
    (x, about_x), (y, about_y) = read_checkpoint(a), read_checkpoint(b)
    alike = all(x[k].shape == y[k].shape and (x[k] - y[k]).abs().max() <= 2e-4 * y[k].abs().max() + 1e-7 for k in y)
    return x.keys() == y.keys() and alike and about_x["step"] == about_y["step"]


def last(run: Path) -> Path:
    return checkpoints(run)[0]


def test_a_checkpoint_is_that_of_one_process_and_anybody_goes_on_with_it(
    team: Team, pictures: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(pictures)
    every_rank(team, run_in_parts, recipe, tmp_path)
    assert same(last(tmp_path / "whole"), last(tmp_path / "parts"))  # a resume by as many is exact

    with exactly():
        with session_of(ALONE, recipe, tmp_path / "alone") as session:
            truth = finish(session)
        with session_of(ALONE, recipe, tmp_path / "alone-half") as session:
            finish(session, stop_at=5)
        with session_of(ALONE, None, resume=str(tmp_path / "half")) as session:
            finish(session)
    assert close(last(tmp_path / "whole"), truth)
    every_rank(team, go_on_together, tmp_path / "alone-half")
    assert close(last(tmp_path / "half"), truth)
    assert close(last(tmp_path / "alone-half"), truth)
    assert (tmp_path / "half" / "samples" / "step-000000010.png").exists()


def refused(group: Group, recipe: Training) -> bool:
    """Whether a step whose loss is no number on one rank changes nothing anywhere."""
    with session_of(group, recipe) as session:
        session.join(group)
        trainer = session.trainer
        steps = session._fit(trainer)
        next(steps)
        before = [weight.clone() for weight in trainer.optimizer.weights.values()]
        plain = trainer.objective.loss

        def broken(*given: Any) -> Any:
            found = plain(*given)
            return found._replace(each=found.each * (float("nan") if group.rank else 1.0))

        trainer.objective = trainer.objective._replace(loss=broken)
        assert next(steps).refused
        return all(torch.equal(a, b) for a, b in zip(before, trainer.optimizer.weights.values(), strict=True))


def test_a_step_that_is_not_finite_on_one_rank_is_refused_by_all(team: Team, pictures: Path) -> None:
    assert every_rank(team, refused, recipe_of(pictures)) == (True, "True")


def short_of_memory(group: Group, recipe: Training) -> str:
    with session_of(group, recipe) as session:
        session.join(group)

        def short(*_: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

        session.trainer.objective = session.trainer.objective._replace(loss=short)
        with pytest.raises(EnvironmentProblem) as caught:
            list(session._fit(session.trainer))
        return f"{caught.value.message}. {caught.value.hint}"


def test_where_memory_runs_out_it_is_said_what_to_do(team: Team, pictures: Path) -> None:
    here, there = every_rank(team, short_of_memory, recipe_of(pictures))
    assert "process 0, which computed 4 items at once" in here
    assert "--set micro_batch=2" in here
    assert "process 1, which computed 4" in there


def test_in_bfloat16_it_trains_as_one_process_does(team: Team, pictures: Path) -> None:
    recipe = recipe_of(pictures, precision="bf16")
    found, _ = every_rank(team, trained, recipe)
    alone = trained(ALONE, recipe)
    torch.testing.assert_close(torch.tensor(found.losses), torch.tensor(alone.losses), rtol=2e-2, atol=1e-3)


def test_the_blocks_of_networks_are_their_stages_from_inside_out() -> None:
    network = UNet(1, 3, widths=(8, 16), blocks=1, attention=(1,))
    found = blocks(network)
    assert sum(isinstance(block, Stage) for block in found) == sum(isinstance(m, Stage) for m in network.modules()) == 8
    assert {type(block) for block in found} == {Stage, nn.Conv2d}
    encoder, _ = NETWORKS["conv"]((1, 8, 8), 4, 1, widths=(4, 8), blocks=2)
    assert [type(block) for block in blocks(encoder)] == [Residual] * 4

    inner = nn.ModuleList([nn.Linear(2, 2), nn.Identity()])
    outer = nn.ModuleList([nn.Sequential(inner)])
    assert blocks(nn.Sequential(outer)) == [inner[0], outer[0]]


def test_a_sharded_run_is_trained_and_drawn_from_by_the_command_line(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    words = ("--recipe", "tiny", "--dataset", pictures, "--steps", "6", "--batch", "8", "--set", "shard=true")
    result = cli("train", *words, "--devices", "2", "--out", "run")
    assert result.code == 0, result.err
    assert "Warning" not in result.err
    about = read_checkpoint(last(tmp_path / "run"))[1]
    assert (about["ranks"], about["step"], about["recipe"]["shard"]) == (2, 6, True)
    assert cli("sample", "run", "--count", "2", "--steps", "2", "--out", "x.png").code == 0
    result = cli("train", "--resume", "run", "--steps", "8", "--set", "shard=false", "--devices", "1")
    assert result.code == 0, result.err
    assert not read_checkpoint(last(tmp_path / "run"))[1]["recipe"]["shard"]


def test_what_does_not_go_together_is_refused(cli: Cli, pictures: Path) -> None:
    words = ("train", "--recipe", "tiny", "--dataset", pictures, "--set", "shard=true")
    result = cli(*words, "--batch", "9", "--devices", "2")
    assert result.code == 2
    assert "need equal parts, and 9 has none" in result.err
    result = cli(*words, "--set", "compile=true")
    assert result.code == 2
    assert "shard and compile do not go together" in result.err
    with pytest.raises(UsageProblem, match="shard"):
        recipe_of(pictures, shard=3)
