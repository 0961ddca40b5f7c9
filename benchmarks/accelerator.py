"""How well a GPU is used, beside `diffusers` in the same call: `python benchmarks/accelerator.py`.

Three sizes: MNIST by widths 64,128, 64×64 colour by a network of the same kind, and by a U-Net of 60 million weights.
Everyone trains in bfloat16 where the device has it; contestants take turns. A table goes to stdout.

share of the peak:  arithmetic of a step (forward and backward, counted by torch) against what the device does in one
                    large bfloat16 matrix product in the same run
busy:               share of the time in which the device computes anything, from torch's profiler
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from measuring import Spread, alternate, note, number, table
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.runs.fitting import fit_by
from diffcli.system.device import pick, use_bf16
from diffcli.training.recipes.diffusion import Recipe
from diffcli.training.recipes.networks import UNetKeys
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Plan

SET = 4096  # random images: what is measured does not look at them
ENDLESS = 1_000_000
WARM = 6  # steps that are not timed


@dataclass(frozen=True)
class Size:
    """What is trained: ours, and the diffusers network of the same images and about as many weights."""

    title: str
    shape: tuple[int, int, int]
    batch: int
    network: UNetKeys
    widths: tuple[int, ...]
    attention: tuple[int, ...]


SIZES = {
    "mnist": Size("MNIST", (1, 28, 28), 64, UNetKeys(widths=(64, 128)), (32, 64, 128), (1, 2)),
    "mnist-512": Size("MNIST, 512 at once", (1, 28, 28), 512, UNetKeys(widths=(64, 128)), (32, 64, 128), (1, 2)),
    "colour": Size("64×64 colour", (3, 64, 64), 128, UNetKeys(widths=(64, 128, 192), blocks=2, attention=(2,)),
                   (64, 128, 192), (2,)),
    "60M": Size("64×64 colour, 60 M weights", (3, 64, 64), 64,
                UNetKeys(widths=(128, 192, 320, 448), blocks=2, attention=(2,), fold=1), (128, 192, 320, 448), (2,)),
}  # fmt: skip


@dataclass(frozen=True)
class Contestant:
    """One network in training. forward: one forward and backward pass, to count its arithmetic"""

    weights: int
    step: Callable[[], Any]
    forward: Callable[[], Any]


def ours(size: Size, device: torch.device, **changes: Any) -> Contestant:
    """`diffcli train` on that device."""
    recipe = dataclasses.replace(Recipe(network=size.network, batch=size.batch), **changes)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (SET, *size.shape), dtype=torch.uint8, generator=generator)
    items = Items(IMAGES, size.shape, tuple(map(str, range(10))))
    dataset = Dataset("random", items, pixels, torch.arange(SET) % 10, "")
    model = build(recipe, items, device)
    trainer = new_trainer(recipe, items, model)
    trainer.plan = Plan(ENDLESS)
    steps = fit_by(recipe, trainer, dataset, torch.arange(SET))
    x, level = torch.zeros(size.batch, *size.shape, device=device), torch.zeros(size.batch, device=device)
    return Contestant(weights(model), partial(next, steps), lambda: model.network(x, level).sum().backward())


def diffusers(size: Size, device: torch.device, *, compiled: bool = False) -> Contestant:
    """UNet2DModel in the step of the library's example of unconditional training, in mixed precision."""
    from diffusers import DDPMScheduler, UNet2DModel

    depth = len(size.widths)
    side = -(-size.shape[1] // 2 ** (depth - 1)) * 2 ** (depth - 1)  # 28 is padded to 32 in its example of MNIST
    model = UNet2DModel(
        sample_size=side, in_channels=size.shape[0], out_channels=size.shape[0], layers_per_block=2,
        block_out_channels=size.widths, norm_num_groups=32,
        down_block_types=tuple("AttnDownBlock2D" if i in size.attention else "DownBlock2D" for i in range(depth)),
        up_block_types=tuple(
            "AttnUpBlock2D" if i in size.attention else "UpBlock2D" for i in reversed(range(depth))
        ),
    ).to(device)  # fmt: skip
    network: Any = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
    chain = DDPMScheduler(num_train_timesteps=1000)
    x0 = torch.rand(size.batch, size.shape[0], side, side, device=device) * 2 - 1

    def passed() -> torch.Tensor:
        noise = torch.randn_like(x0)
        t = torch.randint(0, 1000, (size.batch,), device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16("auto", device)):
            loss = F.mse_loss(network(chain.add_noise(x0, noise, t), t).sample.float(), noise)
        loss.backward()
        return loss

    def step() -> float:
        loss = passed()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return Contestant(weights(model), step, passed)


CONTESTANTS: dict[str, Callable[[Size, torch.device], Contestant]] = {
    "diffcli": ours,
    "diffcli, compile": partial(ours, compile=True),
    "diffusers": diffusers,
    "diffusers, torch.compile": partial(diffusers, compiled=True),
}


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def waited(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def rate(step: Callable[[], Any], batch: int, seconds: float, device: torch.device) -> float:
    """Images per second over about this time."""
    waited(device)
    began, steps = time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - began < seconds:
        step()
        steps += 1
    waited(device)
    return steps * batch / (time.perf_counter() - began)


def peak(device: torch.device, side: int = 8192) -> float:
    """Operations per second of one large matrix product in bfloat16."""
    side = side if device.type != "cpu" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return rate(lambda: a @ b, 1, 1.0, device) * 2 * side**3


def operations(contestant: Contestant) -> float:
    """Of one forward and backward pass."""
    counter = FlopCounterMode(display=False)
    with counter:
        contestant.forward()
    return counter.get_total_flops()


def busy(step: Callable[[], Any], device: torch.device) -> float | None:
    """The share of the time that a CUDA device computes."""
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    waited(device)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(10):
            step()
        waited(device)
    spans = sorted((e.time_range.start, e.time_range.end) for e in seen.events() if e.device_type.name == "CUDA")
    covered, reached = 0.0, spans[0][0]
    for begin, end in spans:
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return covered / (reached - spans[0][0])


def measured(size: Size, names: list[str], options: argparse.Namespace, device: torch.device) -> Iterator[list[str]]:
    """A row for each contestant."""
    limit, built, needed = peak(device), {}, {}
    for name in names:
        note(f"{size.title}: {name}")
        torch.manual_seed(0)
        made = CONTESTANTS[name](size, device)
        began = time.perf_counter()
        for _ in range(WARM):
            made.step()
        waited(device)
        note(f"  the first {WARM} steps took {time.perf_counter() - began:.1f} s")
        built[name] = made
        if "compile" not in name:
            needed[name] = operations(made)
            made.step()
    rates = alternate(
        {name: partial(rate, c.step, size.batch, options.seconds, device) for name, c in built.items()},
        options.rounds, size.title,
    )  # fmt: skip
    for name, contestant in built.items():
        spread = Spread.of(rates[name])
        work = needed[name.partition(",")[0]] / size.batch
        share = busy(contestant.step, device)
        yield [
            size.title, name, f"{contestant.weights / 1e6:.1f} M", str(size.batch), *spread.cells(),
            f"{work / 1e9:.2f}", f"{spread.median * work / limit:.1%}", "–" if share is None else f"{share:.0%}",
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed and utilisation of an accelerator, as a table.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="turns that everyone gets (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of training per turn (default 3)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    options = parser.parse_args()
    device = pick(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, torch {torch.__version__}, {number(peak(device) / 1e12)} TFLOP/s in a matrix product\n")
    head = ["what", "contestant", "weights", "batch", "images/s", "range", "GFLOP an image", "of the peak", "busy"]
    rows = [row for size in options.sizes for row in measured(SIZES[size], options.contestants, options, device)]
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()
