"""Networks that are told pictures: what a branch adds and where, what is laid beside the input, and how they begin."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.checks.check import Finding, check, near
from diffcli.checks.models.layers import convolved, numbers, shaken, silu
from diffcli.checks.models.networks import folded
from diffcli.core.diffusion.guidance import dropped
from diffcli.core.models.control import NOT_GIVEN, ControlBranch, HintPlanes, controlled, factor_of, shrunk
from diffcli.core.models.unet import UNet
from diffcli.core.randomness import keyed

LOG_SNR = torch.tensor([-2.0, 0.5], dtype=torch.float64)
LABEL = torch.tensor([0, 3])
SHAPE = (2, 8, 12)  # of a hint


def small(beside: HintPlanes | None = None) -> UNet:
    return shaken(UNet(1, 4, widths=(4, 6), blocks=1, attention=(1,), beside=beside), size=0.2)


def hints(*shape: int) -> Tensor:
    return numbers(2, *(shape or SHAPE), seed=4).tanh()


def through(layer: nn.Module, h: Tensor, condition: Tensor) -> Tensor:
    found: Tensor = layer(h) if isinstance(layer, nn.Conv2d) else layer(h, condition)
    return found


@check(
    "a branch begins as a copy of encoder and middle that changes nothing, to the bit", "Zhang et al. 2023, section 3.1"
)
def branch_begins_as_nothing() -> Iterator[Finding]:
    plain, net, x = small(), small(), numbers(2, 1, 8, 12)
    branch = ControlBranch(net, SHAPE, (8, 12)).double()
    controlled(net, branch)
    wanted = plain(x, LOG_SNR, label=LABEL)
    yield near("the output", 0, (net(x, LOG_SNR, label=LABEL, hint=hints()) != wanted).sum())
    yield near("zero convolutions", 0, sum(weight.abs().sum().item() for weight in branch.zeros.parameters()))
    yield near("that of the middle", 0, sum(weight.abs().sum().item() for weight in branch.end.parameters()))
    yield near("that of the hint", 0, sum(weight.abs().sum().item() for weight in branch.look[-1].parameters()))
    yield near("one for each skip", len(net.skips), len(branch.zeros))
    other = shaken(UNet(1, 4, widths=(4, 6), blocks=1, attention=(1,)), seed=7)
    branch.begin_with(other)
    for name, part in (("enter", other.enter), ("down", other.down), ("middle", other.middle)):
        mine = branch.get_submodule(name).state_dict()
        for key, weight in part.state_dict().items():
            yield near(f"{name}.{key}", weight, mine[key])
    shaken(branch, seed=5, size=0.2)
    yield near("the network's own weights", plain.enter.weight, net.enter.weight)
    changed = (net(x, LOG_SNR, label=LABEL, hint=hints()) - wanted).abs().amax((1, 2, 3))
    yield near("once trained it changes each image", 1, float((changed > 0.01).all()))


@check("what a branch finds is added to the skips and the middle, each by its convolution", "Zhang et al. 2023, fig. 3")
def branch_by_hand() -> Iterator[Finding]:
    net, x, hint = small(), numbers(2, 1, 8, 12), hints()
    branch = shaken(ControlBranch(net, SHAPE, (8, 12)), seed=5, size=0.2)
    controlled(net, branch, 0.7)
    condition = net.condition(net.embed_level(LOG_SNR) + net.embed_label(LABEL))
    look = [layer for layer in branch.look if isinstance(layer, nn.Conv2d)]
    seen = convolved(silu(convolved(silu(convolved(folded(hint, 2), look[0])), look[1])), look[2])
    h, own = convolved(folded(x, 2), branch.enter) + seen, convolved(folded(x, 2), net.enter)  # type: ignore[arg-type]
    found, skips = [h], [own]
    for copied, layer in zip(branch.down, net.down, strict=True):
        h, own = through(copied, h, condition), through(layer, own, condition)
        found.append(h)
        skips.append(own)
    for copied, layer in zip(branch.middle, net.middle, strict=True):
        h, own = through(copied, h, condition), through(layer, own, condition)
    own = own + 0.7 * convolved(h, branch.end)
    for zero, part, i in zip(branch.zeros, found, range(len(skips)), strict=True):
        skips[i] = skips[i] + 0.7 * convolved(part, zero)  # type: ignore[arg-type]
    for layer in net.up:
        if isinstance(layer, nn.Conv2d):
            own = convolved(F.interpolate(own, scale_factor=2.0), layer)
        else:
            own = layer(torch.cat([own, skips.pop()], 1), condition)
    wanted = F.pixel_shuffle(net.leave(own), 2)
    yield near("the output", wanted, net(x, LOG_SNR, label=LABEL, hint=hint), rel=1e-6, abs=1e-6)


@check("a hint that is not given changes nothing, item by item; strength is a factor, and several branches add up", "")
def hints_given() -> Iterator[Finding]:
    plain, net, x, told = small(), small(), numbers(2, 1, 8, 12), hints()
    wanted = plain(x, LOG_SNR, label=LABEL)
    branch = shaken(ControlBranch(net, SHAPE, (8, 12)), seed=5, size=0.2)
    name = controlled(net, branch, 0.5)
    other = controlled(net, shaken(ControlBranch(net, SHAPE, (8, 12)), seed=6, size=0.2), 2.0)
    assert net.control is not None
    yield near("conditions", 3, len({"label", name, other} & net.nulls.keys()))
    yield near("without a hint", 0, (net(x, LOG_SNR, label=LABEL) != wanted).sum())
    lost = told.clone()
    lost[1] = NOT_GIVEN
    found = net(x, LOG_SNR, label=LABEL, **{name: lost})
    yield near("the one without", 0, (found[1] != wanted[1]).sum())
    yield near("the other", 1, float((found[0] - wanted[0]).abs().max() > 0.01))
    inside = numbers(2, 4, 4, 6), numbers(2, 16, seed=3)
    alone = branch(*inside, told)
    second = net.control[other](*inside, told.flip(-1))
    both = net.control(*inside, {name: told, other: told.flip(-1)})
    for i, (a, b, c) in enumerate(zip(alone, second, both, strict=True)):
        yield near(f"sum {i}", 0.5 * a + 2 * b, c, abs=1e-9)
    net.control.strengths[name] = 0.0
    yield near("strength 0", 0, (net(x, LOG_SNR, label=LABEL, **{name: told}) != wanted).sum())


@check("hints of latents are folded to their size; what is laid beside an input is 0 where there is none", "")
def hints_laid_out() -> Iterator[Finding]:
    picture = torch.arange(30, dtype=torch.float64).reshape(1, 1, 5, 6)
    planes = shrunk(picture, 4, 2, 2)
    rows, columns = torch.arange(8).clamp(max=4), torch.arange(8).clamp(max=5)
    whole = picture[0, 0][rows][:, columns]
    wanted = torch.stack([whole[i::4, j::4] for i in range(4) for j in range(4)])
    yield near("planes", wanted, planes[0])
    yield near("pixels to a place", 4, factor_of((1, 28, 28), (7, 7)))
    yield near("where sides do not divide", 4, factor_of((1, 13, 15), (4, 4)))
    yield near("of pixels", 1, factor_of(SHAPE, (8, 12)))
    beside = HintPlanes(SHAPE, (8, 12))
    x, told = numbers(2, 1, 8, 12), hints()
    told[1] = NOT_GIVEN
    laid = beside(x, told)
    yield near("the hint", told[0], laid[0, :2])
    yield near("that there is one", 1, laid[0, 2])
    yield near("that there is none", 0, laid[1].abs())
    yield near("none at all", 0, beside(x, None).abs())
    net = small(beside)
    yield near("planes of the input", 4 * (1 + 2 + 1), net.enter.weight.shape[1])
    folding = folded(torch.cat([x, laid], 1), 2)
    yield near("as the first convolution sees it", 1, float(folding.shape[1] == net.enter.weight.shape[1]))
    silent = small(beside)
    silent.enter.weight.data[:, 4:] = 0
    yield near("new weights of 0", silent(x, LOG_SNR), silent(x, LOG_SNR, hint=hints()), abs=0)
    heard = (net(x, LOG_SNR, hint=hints()) - net(x, LOG_SNR)).abs().max()
    yield near("others", 1, float(heard > 0.01))


@check("hints are left out for a share of their own", "Ho & Salimans 2022, algorithm 1")
def hints_dropped() -> Iterator[Finding]:
    told = {"label": torch.zeros(20_000), "hint": torch.ones(20_000, 1, 2, 2)}
    found = dropped(told, {"label": 9, "hint": NOT_GIVEN}, 0.3, keyed(0, "hints"), {"hint": 0.1})
    yield near("labels", 0.3, (found["label"] == 9).double().mean(), abs=0.02)
    yield near("hints", 0.1, (found["hint"] == NOT_GIVEN).double().mean(), abs=0.012)
    none = dropped(told, {"label": 9, "hint": NOT_GIVEN}, 0.3, keyed(0, "hints"), {"hint": 0.0})
    yield near("none", 0, (none["hint"] == NOT_GIVEN).sum())
