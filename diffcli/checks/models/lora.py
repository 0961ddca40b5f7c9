"""Additions of low rank to a network, and what it becomes for other channels and classes, each written out."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.checks.check import Finding, check, near
from diffcli.checks.models.layers import numbers, shaken
from diffcli.core.models import conversion, parts
from diffcli.core.models.lora import (
    LAYERS,
    Addition,
    LowRank,
    add_low_rank,
    additions_of,
    largest_rank,
    layers_of,
    merged,
)
from diffcli.core.models.unet import UNet

RANK, ALPHA = 3, 5.0
LOG_SNR = torch.tensor([-2.0, 0.5], dtype=torch.float64)


def small(channels: int = 1, classes: int = 4) -> UNet:
    return shaken(UNet(channels, classes, widths=(4, 6), attention=(1,)), size=0.2)


def summed(a: Tensor, b: Tensor) -> Tensor:
    """B A, of matrices, as a sum of outer products."""
    return sum((torch.outer(b[:, k], a[k]) for k in range(len(a))), torch.zeros(len(b), a.shape[1], dtype=a.dtype))


@check("beside a layer alpha / rank * B A x is added to what it makes of x", "Hu et al. 2022, section 4.1")
def low_rank_addition() -> Iterator[Finding]:
    for case, layer, x in (
        ("a matrix", nn.Linear(5, 7), numbers(2, 5)),
        ("a convolution", nn.Conv2d(5, 7, 3, padding=1), numbers(2, 5, 6, 6)),
        ("every second pixel", nn.Conv2d(5, 7, 3, stride=2, padding=1), numbers(2, 5, 6, 6)),
    ):
        addition = shaken(Addition(layer, RANK, ALPHA))
        a, b = (addition.get_submodule(f"lora_{name}").get_parameter("weight") for name in "AB")
        yield near(f"{case}, rank", RANK, len(a))
        delta = ALPHA / RANK * summed(a.flatten(1), b.flatten(1)).reshape(layer.weight.shape)
        if isinstance(layer, nn.Conv2d):
            wanted = F.conv2d(x, delta, stride=layer.stride, padding=layer.padding)
        else:
            wanted = x @ delta.T
        yield near(case, wanted, addition(x), abs=1e-12)
        yield near(f"{case}, as a weight", delta, addition.low_rank.delta, abs=1e-12)


@check("at first an addition changes nothing, to the bit, and its A is drawn as a layer's is", "Hu et al. 2022, fig. 1")
def low_rank_begins_as_nothing() -> Iterator[Finding]:
    plain, added = small(), small()
    add_low_rank(added, 2, ALPHA, LAYERS)
    added.double()
    x, label = numbers(2, 1, 8, 8), torch.tensor([0, 4])
    yield near("the output", 0, (plain(x, LOG_SNR, label=label) != added(x, LOG_SNR, label=label)).sum())
    found = additions_of(added)
    yield near("layers", len(layers_of(plain)), len(found))
    for name, addition in found.items():
        bound = 1 / math.sqrt(addition.a[0].numel())
        yield near(f"{name}, B", 0, addition.b.abs().max())
        yield near(f"{name}, within the bound", 1, float(0 < addition.a.abs().max() <= bound))
        yield near(f"{name}, alpha", ALPHA, addition.alpha)


@check("weights with additions summed in do what both did, also scaled, and several", "Hu et al. 2022, section 4.1")
def low_rank_merged() -> Iterator[Finding]:
    applied, plain = small(), small()
    add_low_rank(applied, 2, ALPHA, LAYERS)
    shaken(applied, seed=3, size=0.2)
    own = {name: value for name, value in applied.state_dict().items() if ".lora." not in name}
    plain.load_state_dict(own)
    additions, x = additions_of(applied), numbers(2, 1, 8, 8)
    yield near("something is added", 1, float((applied(x, LOG_SNR) - plain(x, LOG_SNR)).abs().max() > 0.01))
    plain.load_state_dict(merged(applied.state_dict(), additions))
    yield near("merged", applied(x, LOG_SNR), plain(x, LOG_SNR), abs=1e-10)
    halves = merged(merged(applied.state_dict(), additions, 0.25), additions, 0.75)
    plain.load_state_dict(halves)
    yield near("in two parts", applied(x, LOG_SNR), plain(x, LOG_SNR), abs=1e-10)
    plain.load_state_dict(merged(applied.state_dict(), additions, 0.0))
    bare = small()
    bare.load_state_dict(own)
    yield near("scaled by 0", bare(x, LOG_SNR), plain(x, LOG_SNR), abs=0)
    one = LowRank(numbers(2, 3), numbers(4, 2, seed=2), 1.0)
    found = merged({"w.weight": torch.zeros(4, 3, dtype=torch.float64)}, {"w": one}, 2.0)["w.weight"]
    yield near("twice as much", 2 * 0.5 * summed(one.a, one.b), found, abs=1e-12)


@check("the kinds of layers, and the largest rank that each has", "counted")
def layers_with_additions() -> Iterator[Finding]:
    net = small()
    kinds = layers_of(net)
    convolutions = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    for name, module in net.named_modules():
        known = isinstance(module, nn.Linear | nn.Conv2d)
        yield near(f"{name or 'the network'}, has a kind", float(known), float(name in kinds))
    yield near("ends", 2, sum(kind == "ends" for kind in kinds.values()))
    yield near("convolutions", len(convolutions) - 2, sum(kind == "convolutions" for kind in kinds.values()))
    attention = [name for name in kinds if ".attention." in name]
    yield near("attention", len(attention), sum(kinds[name] == "attention" for name in attention))
    yield near("no other attention", len(attention), sum(kind == "attention" for kind in kinds.values()))
    for layer, rank in ((nn.Linear(3, 8), 3), (nn.Linear(8, 3), 3), (nn.Conv2d(2, 30, 3), 18), (nn.Conv2d(9, 5, 1), 5)):
        yield near(f"rank of {list(layer.weight.shape)}", rank, largest_rank(layer))
    for rank, refused in ((3, False), (4, True)):
        try:
            add_low_rank(nn.Sequential(nn.Linear(3, 8)), rank, 1.0, LAYERS)
            found = False
        except ValueError:
            found = True
        yield near(f"rank {rank} of 3", float(refused), float(found))
    some = small()
    add_low_rank(some, 2, 1.0, ["attention"])
    yield near("only those asked for", len(attention), len(additions_of(some)))
    yield near("once more", len(kinds), len(layers_of(some)))


def with_weights(net: UNet, state: dict[str, Tensor]) -> UNet:
    net.load_state_dict(net.state_dict() | state)
    return net


@check("a grey image in equal channels gives what it gave, after the first and last convolution change channels", "")
def channels_of_a_unet() -> Iterator[Finding]:
    x, names = numbers(2, 1, 8, 8), conversion.LEAVE
    for before, after in ((1, 3), (3, 1)):
        old = small(before)
        state = old.state_dict()
        known = {conversion.ENTER: conversion.entering(state[conversion.ENTER], 1, before, after)}
        known |= {name: conversion.leaving(state[name], 1, before, after) for name in names}
        new = with_weights(
            small(after), {k: v for k, v in state.items() if k not in (conversion.ENTER, *names)} | known
        )
        was, found = (net(x.expand(-1, count, -1, -1), LOG_SNR) for net, count in ((old, before), (new, after)))
        yield near(f"{before} to {after}", was.mean(1, keepdim=True).expand_as(found), found, abs=1e-6)
    weight = numbers(2, 3 * 2 * 4, 1, 1)  # three inputs of two channels of four
    found = conversion.entering(weight, 3, 2, 1).flatten()
    wanted = [
        sum(weight[o, 8 * i + 4 * c + k].item() for c in range(2)) for o in range(2) for i in range(3) for k in range(4)
    ]
    yield near("several inputs", torch.tensor(wanted), found, abs=1e-6)
    bias = numbers(2 * 4)  # two outputs of four
    spread = [bias[4 * o + k].item() for o in range(2) for _ in range(3) for k in range(4)]
    yield near("several outputs", torch.tensor(spread), conversion.leaving(bias, 2, 1, 3), abs=1e-6)
    wide = conversion.widened(numbers(2, 3, 3, 3), 5)
    yield near("further inputs", torch.cat([numbers(2, 3, 3, 3), torch.zeros(2, 2, 3, 3)], 1), wide)


@check("classes keep their embeddings by name, new ones begin as no class", "")
def classes_of_a_unet() -> Iterator[Finding]:
    rows = numbers(4, 5)  # three classes, and none
    found = conversion.relabelled(rows, [2, None, 0])
    yield near("kept, new, kept, none", rows[[2, 3, 0, 3]], found)
    yield near("none left", rows[3:], conversion.relabelled(rows, []))


@check("every weight of a U-Net has a part, and those that are trained are counted", "counted")
def parts_of_a_unet() -> Iterator[Finding]:
    net = UNet(1, 4, widths=(4, 6))
    add_low_rank(net, 2, 1.0, ["attention"])
    for name, weight in net.named_parameters():
        weight.requires_grad_(".lora." in name or name.startswith("leave"))
    found = {row.part: row for row in parts.counted(net)}
    yield near("parts", 6, len(found))
    yield near("all weights", sum(w.numel() for w in net.parameters()), sum(row.weights for row in found.values()))
    yield near("of the head", sum(w.numel() for w in net.leave.parameters()), found["head"].weights)
    yield near("head and additions", 1, float(all(found[k].trained == found[k].weights for k in ("head", "lora"))))
    yield near("no other", 0, sum(row.trained for k, row in found.items() if k not in ("head", "lora")))
    order = [list(found).index(part) for part in parts.PARTS]
    yield near("in the order of the network", torch.arange(5), torch.tensor(order))
    yield near("a branch of its own", 1, float(parts.part_of("branch.down.0.weight") == "branch"))
