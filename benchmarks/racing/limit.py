"""What this machine could do: its best single convolution, forward and backward, and what networks need per image."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from diffcli import specs
from diffcli.core.diffusion.grids import levels

BATCH = 64
SHAPES = tuple((channels, side) for channels in (64, 128, 256) for side in (7, 14, 28))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def convolutions(bf16: bool, seconds: float, start: float) -> dict[str, float]:
    """Operations per second of 3x3 convolutions, forward and both gradients, by shape.

    seconds:  for each shape
    start:    when to begin, by time.time(), so that several processes work on the same one at the same time
    """
    cases = [(*shape, layout) for shape in SHAPES for layout in LAYOUTS]
    time.sleep(max(0.0, start - time.time()))
    return {
        f"{channels} channels, {side}x{side}, {layout}": _rate(
            channels, side, LAYOUTS[layout], bf16, start + (i + 1) * seconds
        )
        for i, (channels, side, layout) in enumerate(cases)
    }


def _rate(channels: int, side: int, layout: torch.memory_format, bf16: bool, end: float) -> float:
    """Operations per second until `end`; 0 where there was time for none."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    x = torch.randn(BATCH, channels, side, side).to(dtype, memory_format=layout).requires_grad_()
    weight = torch.randn(channels, channels, 3, 3).to(dtype, memory_format=layout).requires_grad_()
    gradient = torch.randn_like(x)
    times = []
    while time.time() < end:
        began = time.perf_counter()
        torch.autograd.grad(F.conv2d(x, weight, padding=1), (x, weight), gradient)
        times.append(time.perf_counter() - began)
    operations = 3 * 2 * BATCH * side**2 * channels**2 * 9
    return operations / statistics.median(times[1:]) if len(times) > 1 else 0.0


def counted(do: Callable[[], Any]) -> float:
    """Floating-point operations of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        do()
    return float(counter.get_total_flops())


def of_run(trained: Any) -> float:
    """Operations per training image of a run's network: its output and the gradients of all weights."""
    model = trained.model.requires_grad_(True)
    x = torch.zeros(1, *trained.items.shape)
    level = levels(specs.schedule(trained.recipe.schedule), 2)[1]
    return counted(lambda: model(x, level).x0.sum().backward())
