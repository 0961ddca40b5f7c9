"""A learner's functions on the shipped model of digits: additions merged, a grey network for colour, edges scored."""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.job import start_noise
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.models.lora import add_low_rank, additions_of
from diffcli.core.processes.hints import edges
from diffcli.core.randomness import keyed
from diffcli.data.kinds import CLASS
from diffcli.data.loading import load_dataset
from diffcli.learn.running import Outcome
from diffcli.metrics import obedience
from diffcli.pictures.grid import grid
from diffcli.runs.loading import load_trained
from diffcli.specs import schedule

Functions = Mapping[str, Callable[..., Any]]

NEEDS = ("lora_merge", "adapt_channels", "edge_f1")
RANK, STRENGTH, SIZE = 4, 8.0, 0.1  # of additions; SIZE is the spread of their U
STEPS, COLOURS, DIGITS = 10, 3, 500
CLOSE = 1e-3  # of a difference to what is compared


@torch.no_grad()
def compute(functions: Functions, out: Path) -> Iterator[str]:
    """Three things of a few seconds each; the numbers go to numbers.json."""
    trained = load_trained("mnist", device=torch.device("cpu"))
    denoise = trained.model
    denoise.network.bf16 = False  # rounding is not what is compared here
    yield "additions to every convolution of the network, and your merged weights beside them"
    numbers = _merged(functions, denoise.network)
    yield f"your network for {COLOURS} channels: it draws ten digits from noise that is the same in all of them"
    walk = levels(schedule(trained.recipe.schedule), STEPS)
    start, label = start_noise(0, range(10), trained.items.shape, walk[0]), torch.arange(10)
    grey = _drawn(partial(denoise, label=label), start, walk)
    wide = deepcopy(denoise)
    wide.network = _widened(functions, denoise.network)
    colour = _drawn(partial(wide, label=label), start.expand(-1, COLOURS, -1, -1), walk)
    numbers["channels"] = (colour - grey).square().mean().sqrt().item()
    grid(torch.cat([grey.expand_as(colour), colour]).clamp(-1, 1), columns=10).save(out / "digits.png")
    yield f"edges of {DIGITS} test digits beside those of another digit, by your score"
    (out / "numbers.json").write_text(json.dumps(numbers | _scored(functions), indent=1), "utf-8")


def _merged(functions: Functions, network: nn.Module) -> dict[str, float]:
    """How far the network with merged weights is from the one with additions, in units of what these change."""
    added, merged = deepcopy(network), deepcopy(network)
    add_low_rank(added, RANK, STRENGTH, ("convolutions",))
    found = additions_of(added)
    for number, (name, addition) in enumerate(found.items()):
        addition.b.normal_(0, SIZE, generator=keyed(0, "additions", number))
        addition.a.normal_(0, addition.a[0].numel() ** -0.5, generator=keyed(1, "additions", number))
        layer = merged.get_submodule(name).get_parameter("weight")
        layer.copy_(torch.as_tensor(functions["lora_merge"](layer.clone(), addition.a, addition.b, STRENGTH)))
    x, log_snr = torch.randn(8, 1, 28, 28, generator=keyed(0, "merge")), torch.zeros(8)
    before, by_both, by_one = (one(x, log_snr) for one in (network, added, merged))
    change = (by_both - before).norm()
    return {
        "layers": len(found),
        "change": float(change / before.norm()),
        "merge": float((by_one - by_both).norm() / change),
    }


def _widened(functions: Functions, network: Any) -> nn.Module:
    """The network for images of more channels. It folds squares of pixels into channels, and each place is one case."""
    wide, places = deepcopy(network), network.fold**2
    enter, leave = network.enter, network.leave[-1]
    parts = [
        [torch.as_tensor(one) for one in functions["adapt_channels"](
            enter.weight[:, place : place + 1], leave.weight[place : place + 1], leave.bias[place : place + 1], COLOURS
        )]
        for place in range(places)
    ]  # fmt: skip
    first, last, bias = zip(*parts, strict=True)
    wide.enter = nn.Conv2d(COLOURS * places, enter.out_channels, 3, padding=1)
    wide.enter.weight.copy_(torch.stack(first, 2).flatten(1, 2))
    wide.enter.bias.copy_(enter.bias)
    wide.leave[-1] = nn.Conv2d(leave.in_channels, COLOURS * places, 3, padding=1)
    wide.leave[-1].weight.copy_(torch.stack(last, 1).flatten(0, 1))
    wide.leave[-1].bias.copy_(torch.stack(bias, 1).flatten())
    return wide


def _drawn(denoise: Any, x: Tensor, walk: Any) -> Tensor:
    for step in ddim(denoise, x, walk):
        x = step.x
    return x


def _scored(functions: Functions) -> dict[str, float]:
    """Mean scores of pairs of digits: any two, and two of one class; yours, the package's, and without tolerance."""
    images, known = load_dataset("mnist", "test").take(torch.arange(DIGITS))
    maps, by_class = edges(images), known[CLASS].argsort(stable=True)
    numbers = {}
    for name, order in (("any", torch.arange(DIGITS)), ("same", by_class)):
        a, b = maps[order], maps[order.roll(1)]
        numbers[f"{name}-yours"] = float(torch.as_tensor(functions["edge_f1"](a, b)).float().mean())
        numbers[f"{name}-ours"] = obedience.edge_f1(a, b).mean().item()
        numbers[f"{name}-exact"] = obedience.edge_f1(a, b, tolerance=0).mean().item()
    return numbers


def judged(out: Path) -> Outcome:
    """Whether merged is added, grey is grey, and the scores are the package's."""
    found = json.loads((out / "numbers.json").read_text("utf-8"))
    change, off, grey = (found[name] for name in ("change", "merge", "channels"))
    lines = [
        f"additions to {found['layers']} layers change the output by {change:.0%}; your merge misses {off:.1g} of that",
        f"digits of your network for {COLOURS} channels differ from the grey ones by {grey:.1g}",
    ]
    gaps = [off, grey]
    for name, title in (("any", "any two digits"), ("same", "two of one class")):
        yours, ours, exact = (found[f"{name}-{by}"] for by in ("yours", "ours", "exact"))
        gaps.append(abs(yours - ours))
        lines.append(
            f"edges of {title}: F1 {yours:.3f} by yours, {ours:.3f} by the package's, {exact:.3f} to the pixel"
        )
    return Outcome(max(gaps) < CLOSE, tuple(lines), ("digits.png",))
