"""Ranks that train together: the same sums everywhere, weights that never drift apart, and an end for all."""

import os
import signal

import pytest
import torch
from together import every_rank
from torch import Tensor, nn

from diffcli.core.models.unet import UNet
from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.ranks import launch
from diffcli.ranks.averaging import Averaging
from diffcli.ranks.group import ALONE, Group
from diffcli.ranks.launch import Follower, Team
from diffcli.training import optimizers
from diffcli.training.optimizers import Optimizer, shared_out

pytestmark = pytest.mark.usefixtures("followers_find_tests")


def network() -> UNet:
    torch.manual_seed(3)
    made = UNet(1, 3, widths=(8, 16), blocks=1)
    for parameter in made.parameters():  # the last layer of each branch starts at 0, which would hide mistakes
        nn.init.normal_(parameter, std=0.1)
    return made.to(memory_format=torch.channels_last)


def collectives(group: Group) -> list[object]:
    own = torch.arange(6.0).reshape(3, 2)[: 3 - group.rank] + 10 * group.rank
    total = group.summed(torch.tensor([1.0 + group.rank])).wait()
    return [
        group.part(5), total.tolist(), group.gathered(own).tolist(), group.told({"rank": group.rank}),
        group.alike([torch.ones(3)]), group.alike([torch.ones(3) * group.rank]),
    ]  # fmt: skip


def test_ranks_tell_each_other_the_same_things(team: Team) -> None:
    found, other = every_rank(team, collectives)
    assert (
        found[1:] == eval(other)[1:] == [[3.0], [[0, 1], [2, 3], [4, 5], [10, 11], [12, 13]], {"rank": 0}, True, False]
    )  # noqa: E501, S307
    assert (found[0], eval(other)[0]) == ((0, 2), (2, 3))  # noqa: S307


def trained(group: Group, steps: int, micro: int) -> str:
    """Some steps of Muon on a batch of six, each rank with its part in micro-batches; a digest of the weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizers, "use_bf16", lambda *_: False)  # in it a sum in another order is soon another step
        return _trained(group, steps, micro)


def _trained(group: Group, steps: int, micro: int) -> str:
    model = network()
    optimizer = Optimizer(model, name="muon", lr=1e-3, muon_lr=0.02, weight_decay=0.1)
    optimizer.group = group
    averaging = Averaging(model.parameters(), group, size=4000)
    x = torch.randn(6, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6) % 3
    first, count = group.part(6)
    for _ in range(steps):
        places = range(first, first + count, micro)
        for place in places:
            chosen = slice(place, min(place + micro, first + count))
            if place == places[-1]:
                averaging.arm()
            out = model(x[chosen], torch.zeros(len(x[chosen])), label=labels[chosen])
            ((out - x[chosen]).square().flatten(1).mean(1).sum() / 6).backward()
        averaging.finish()
        optimizer.step(1.0)
    assert group.alike(list(model.parameters()))
    return str([p.double().sum().item() for p in model.parameters()])


def test_two_ranks_move_the_weights_as_one_does(team: Team) -> None:
    found, other = every_rank(team, trained, 4, 2)
    assert repr(found) == other
    alone = eval(trained(ALONE, 4, 6))  # noqa: S307
    assert torch.allclose(torch.tensor(eval(found)), torch.tensor(alone), rtol=1e-5, atol=1e-5)  # noqa: S307


def gradients(group: Group, interrupted: bool) -> list[Tensor]:
    """Of a batch of four; the backward pass fails half-way once where it is to be interrupted."""
    model = network()
    averaging = Averaging(model.parameters(), group, size=2000)
    first, count = group.part(4)
    x = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))[first : first + count]
    left = [5] if interrupted and group.rank == 1 else []

    def failing(gradient: Tensor) -> Tensor:
        if left and left.pop():
            raise MemoryError
        return gradient

    handle = model.enter.weight.register_hook(failing)  # the first layer is the last of the backward pass
    for _ in range(1 + bool(left)):
        model.zero_grad()
        averaging.arm()
        try:
            (model(x, torch.zeros(count)).square().sum() / 4).backward()
        except MemoryError:
            continue
    averaging.finish()
    handle.remove()
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_gradients_are_summed_once_though_a_backward_pass_failed_on_the_way(team: Team) -> None:
    found, _ = every_rank(team, gradients, True)
    alone = gradients(ALONE, False)
    assert len(found) == len(alone) > 20
    for ours, truth in zip(found, alone, strict=True):
        assert torch.allclose(ours, truth, rtol=1e-4, atol=1e-5)


def test_matrices_are_shared_out_evenly() -> None:
    owners = shared_out([(64, 576), (128, 1152), (128, 1152), (10, 10), (64, 576)], 2)
    assert sorted(owners[1:3]) == [0, 1]
    assert {owners[0], owners[4]} == {0, 1}
    assert shared_out([(3, 3)] * 4, 1) == [0, 0, 0, 0]


class Silent:
    """Work that never ends by itself."""

    def __call__(self, follower: Follower) -> None:
        follower.store.set("pid", str(os.getpid()))
        signal.pause()


class Broken:
    def __call__(self, follower: Follower) -> None:
        raise UsageProblem("there is no such thing", "take another")


def test_who_was_killed_and_who_failed_is_told() -> None:
    with launch.team(3) as found:
        assert found.trouble() is None
        found.hand(Broken())
        found.children[1].wait(60)
        problem = found.trouble()
        assert isinstance(problem, UsageProblem)
        assert (problem.message, problem.hint) == ("there is no such thing", "take another")
    assert all(child.poll() is not None for child in found.children.values())


def test_a_killed_follower_is_named_and_none_is_left() -> None:
    with launch.team(2) as found:
        found.hand(Silent())
        os.kill(int(found.store.get("pid")), signal.SIGKILL)
        found.children[1].wait(60)
        problem = found.trouble()
        assert isinstance(problem, EnvironmentProblem)
        assert problem.message == "process 1 of 2 was killed by SIGKILL"


@pytest.mark.parametrize("count", [0, -1, 5000])
def test_nonsense_is_refused(count: int) -> None:
    with pytest.raises(UsageProblem, match="--devices must be"), launch.team(count):
        pass


def test_a_process_is_alone_unless_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    assert launch.place() == launch.Place()
    for name, value in {"WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert launch.place() == launch.Place(3, 4, 1, 0)
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(UsageProblem):
        launch.place()
