"""All weights are looked at afterwards: those of the layer are 0, and those of the others what they were."""

from collections.abc import Iterator

import torch
from torch import nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Mlp, ToldBlock, seeded


def start_at_zero(network: nn.Module, last: str) -> None:
    """Make one layer give 0 whatever it sees; all others stay as they are.

    network:  modules in modules
    last:     the name of the layer, with dots, as network.named_modules() has it: "head.1" for network.head[1]. The
              layer has a weight and a bias

    Changes the network in place; returns nothing.
    """
    for weight in network.get_submodule(last).parameters():
        nn.init.zeros_(weight)


def truth(network: nn.Module, last: str) -> None:
    changed = {
        name: torch.zeros_like(weight) if name in (f"{last}.weight", f"{last}.bias") else weight
        for name, weight in network.state_dict().items()
    }
    network.load_state_dict(changed)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("three layers, the last of them", ask(Mlp(2, width=3), "layers.4", want="state"))
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.SiLU(), nn.Conv2d(2, 2, 1)), ToldBlock(2, 1, 2))
    yield Seen("a convolution in the middle, named 1.1", ask(network, "1.1", want="state"))
    yield Seen("the layer `2.tell` of a block", ask(network, "2.tell", want="state"))


WRONG = [
    Swap("everything", "when all layers are 0, so that nothing would ever learn",
         "the layer whose parameters are changed",
         "network.get_submodule(last).parameters()", "network.parameters()"),
]  # fmt: skip


@wrong("when the bias stays", "the bias: it is what a layer gives for an input of 0")
def weight_alone(network: nn.Module, last: str) -> None:
    nn.init.zeros_(network.get_submodule(last).weight)  # type: ignore[arg-type]


@wrong("when the weight stays", "the weight: the input is multiplied by it")
def bias_alone(network: nn.Module, last: str) -> None:
    nn.init.zeros_(network.get_submodule(last).bias)  # type: ignore[arg-type]


@wrong("when the layer at the end is taken, whatever its name", "the second argument")
def the_end(network: nn.Module, last: str) -> None:
    layer = [module for module in network.modules() if hasattr(module, "bias")][-1]
    for weight in layer.parameters():
        nn.init.zeros_(weight)


@wrong("when the layer is only made small", "the name of the function: exactly 0")
def small(network: nn.Module, last: str) -> None:
    with torch.no_grad():
        for weight in network.get_submodule(last).parameters():
            weight.mul_(0.01)


@right
def by_name(network: nn.Module, last: str) -> None:
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.rpartition(".")[0] == last:
                weight.zero_()


@right
def step_by_step(network: nn.Module, last: str) -> None:
    layer = network
    for part in last.split("."):
        layer = getattr(layer, part)
    for weight in layer.parameters():
        weight.data = torch.zeros_like(weight)


@right
def by_dict(network: nn.Module, last: str) -> nn.Module:
    layer = dict(network.named_modules())[last]
    layer.load_state_dict({name: 0 * weight for name, weight in layer.state_dict().items()})
    return network
