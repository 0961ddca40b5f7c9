"""Weights and buffers after a step, held to numbers one by one; the decay in its warm-up and after it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import seeded


def averaged(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """One step of the moving average of a model's weights. `ema` is changed in place, `model` is not.

    ema, model:  two modules of the same kind
    step:        how many steps the average has made before this one: 0 the first time
    decay:       between 0 and 1, near 1: how much of the average stays, once it is long enough

    With d = min(decay, (1 + step) / (10 + step)) each parameter becomes d times what it was plus 1 − d times the
    model's. Buffers, the running statistics of norms for example, become those of the model.
    """
    d = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, weight in zip(ema.parameters(), model.parameters(), strict=True):
            mean.mul_(d).add_(weight, alpha=1 - d)
        for old, new in zip(ema.buffers(), model.buffers(), strict=True):
            old.copy_(new)


def networks() -> tuple[nn.Module, nn.Module]:
    """Two of one kind, with a norm that has running statistics; all their numbers differ."""
    with seeded(0):
        found = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)) for _ in range(2)]
        for i, network in enumerate(found):
            for name, value in network.state_dict().items():
                value.copy_(torch.full_like(value, 7 + 3 * i) if "num" in name else torch.randn_like(value))
    return found[0], found[1]


def truth(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    share = max(1 - decay, 9 / (10 + step))
    of_weights, new = {name for name, _ in model.named_parameters()}, model.state_dict()
    mixed: dict[str, Tensor] = {
        name: value + share * (new[name] - value) if name in of_weights else new[name]
        for name, value in ema.state_dict().items()
    }
    ema.load_state_dict(mixed)


def questions(ask: Ask) -> Iterator[Seen]:
    for step, decay in ((0, 0.999), (8, 0.999), (40, 0.6)):
        case = f"step {step}, decay {decay:g}: the average and the model afterwards"
        yield Seen(case, ask(*networks(), step, decay, want="state"))


WRONG = [
    Swap("exchanged", "with d and 1 − d exchanged, so that nearly nothing stays", "the factor of the average: d",
         "mean.mul_(d).add_(weight, alpha=1 - d)", "mean.mul_(1 - d).add_(weight, alpha=d)"),
    Swap("no-warm-up", "without the warm-up, so that the first weights, which know nothing, stay for a thousand steps",
         "d, at small steps",
         "d = min(decay, (1 + step) / (10 + step))\n", "d = decay\n"),
    Swap("greater-of-both", "with the greater of the two", "min and max", "    d = min(", "    d = max("),
    Swap("one-late", "with steps counted from 1", "the first step: its number is 0",
         "(1 + step) / (10 + step))\n", "(2 + step) / (11 + step))\n"),
    Swap("one-ninth", "with (1 + step) / (9 + step)", "the denominator", "(10 + step))\n", "(9 + step))\n"),
    Swap("not-a-mean", "when the old part is not shrunk, so that the weights grow", "the factor d of the average",
         "mean.mul_(d).add_", "mean.add_"),
    Swap("buffers-left", "when the buffers stay what they were", "the last sentence of the docstring",
         "old.copy_(new)", "new.clone()"),
    Swap("weights-left", "when the weights stay what they were: `mean = ...` gives another tensor a name",
         "the calls that change a parameter: mul_, add_, copy_",
         "mean.mul_(d).add_(weight, alpha=1 - d)", "d * mean + (1 - d) * weight"),
    Swap("wrong-way", "when the average is written into the model, too", "the module that is changed: `ema` alone",
         "mean.mul_(d).add_(weight, alpha=1 - d)",
         "mean.mul_(d).add_(weight, alpha=1 - d)\n            weight.copy_(mean)"),
]  # fmt: skip


@wrong(
    "when nothing changes",
    "`mean = ...`, which gives another tensor a name; a parameter is changed by mul_, add_, copy_",
)
def nothing_changed(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    d = min(decay, (1 + step) / (10 + step))
    for old, new in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        old = d * old + (1 - d) * new  # noqa: PLW2901


@wrong("when the buffers are averaged like weights", "the last sentence of the docstring")
def buffers_averaged(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    d = min(decay, (1 + step) / (10 + step))
    new = model.state_dict()
    for name, value in ema.state_dict().items():
        value.copy_(d * value + (1 - d) * new[name])


@right
def by_lerp(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    d = min(decay, (step + 1) / (step + 10))
    for mean, weight in zip(ema.parameters(), model.parameters(), strict=True):
        mean.data.lerp_(weight.data, 1 - d)
    for old, new in zip(ema.buffers(), model.buffers(), strict=True):
        old.data = new.clone()


@right
def by_name(ema: nn.Module, model: nn.Module, step: int, decay: float) -> nn.Module:
    d, new = min(decay, 1 - 9 / (10 + step)), dict(model.named_parameters())
    with torch.no_grad():
        for name, mean in ema.named_parameters():
            mean[...] = d * mean + (1 - d) * new[name]
    ema.load_state_dict(dict(model.named_buffers()), strict=False)
    return ema


@right
def by_state(ema: nn.Module, model: nn.Module, step: int, decay: float) -> dict[str, Tensor]:
    d = min(decay, (1 + step) / (10 + step))
    buffers = {name for name, _ in model.named_buffers()}
    old, new = ema.state_dict(), model.state_dict()
    found = {name: new[name] if name in buffers else old[name] * d + new[name] * (1 - d) for name in old}
    ema.load_state_dict(found)
    return found
