"""The learner's parts as a network of `diffcli train`: its loss on held-out digits beside the linear denoiser's."""

import json
from pathlib import Path

from diffcli.learn.running import Outcome

NEEDS = (
    "folded", "unfolded", "time_embedding", "modulated", "residual_block", "start_at_zero", "pixel_attention", "u_net",
)  # fmt: skip
STEPS = 200

IMPL = '''
"""A small U-Net of the functions in core_3.py, for `diffcli train --impl core_3_impl.py --model mine`."""

import torch
from core_3 import (
    folded, modulated, pixel_attention, residual_block, start_at_zero, time_embedding, u_net, unfolded,
)
from torch import Tensor, nn

from diffcli import plugins

TOLD = 64  # numbers that say what the network is told
HEADS = 2


class Block(nn.Module):
    """(h, told) -> h: a residual block, and attention where asked; both add nothing in the beginning."""

    def __init__(self, before: int, after: int, *, attend: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({
            "norm1": nn.GroupNorm(1, before), "conv1": nn.Conv2d(before, after, 3, padding=1),
            "norm2": nn.GroupNorm(1, after), "conv2": nn.Conv2d(after, after, 3, padding=1),
            "tell": nn.Linear(TOLD, after), "skip": nn.Conv2d(before, after, 1),
        })
        self.qkv = nn.Linear(after, 3 * after) if attend else None
        self.out = nn.Linear(after, after) if attend else None
        start_at_zero(self, "parts.conv2")
        if attend:
            start_at_zero(self, "out")

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        h = residual_block(h, told, self.parts)
        return h if self.qkv is None else pixel_attention(h, HEADS, self.qkv, self.out)


@plugins.network("mine")
class Mine(nn.Module):
    """forward(x [B, C, H, W], log_snr [B], *, label [B] or None) -> like x. H and W are divided by 4."""

    dimensions = 3  # it takes images

    def __init__(
        self, channels: int, classes: int = 0, *, width: int = 16, outputs: int = 1, bf16: bool = False
    ) -> None:
        super().__init__()
        self.nulls, self.bf16 = {"label": classes}, bf16
        wide = 2 * width
        self.embed = nn.Sequential(nn.Linear(TOLD, TOLD), nn.SiLU(), nn.Linear(TOLD, TOLD))
        self.label = nn.Embedding(classes + 1, TOLD)
        self.enter = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.down = nn.ModuleList([Block(width, width), Block(width, wide)])
        self.coarser = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.middle = Block(wide, wide, attend=True)
        self.up = nn.ModuleList([
            Block(2 * wide, wide), Block(wide + width, wide), Block(wide + width, width), Block(2 * width, width),
        ])
        self.finer = nn.ConvTranspose2d(wide, wide, 2, stride=2)
        self.tell = nn.Linear(TOLD, 2 * width)
        self.leave = nn.Conv2d(width, outputs * 4 * channels, 3, padding=1)
        start_at_zero(self, "leave")

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        if label is None:
            label = torch.full((len(x),), self.nulls["label"], device=x.device)
        step = 1000 * torch.atan(torch.exp(-log_snr / 2)) * 2 / torch.pi  # 0 ... 1000 on the cosine schedule
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            waves = torch.as_tensor(time_embedding(step, TOLD, 10_000.0)).to(x)
            told = self.embed(waves) + self.label(label)
            first, second = self.down
            a, b, c, d = self.up
            h = u_net(
                folded(x, 2), told, self.enter, [[first], [second]], [self.coarser], self.middle, [[a, b], [c, d]],
                [self.finer], nn.Identity(),
            )
            h = nn.functional.silu(modulated(h, self.tell(nn.functional.silu(told))).to(x))
            return unfolded(self.leave(h), 2).float()
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    return [[
        "train", "--impl", str(impl), "--recipe", "tiny", "--model", "mine", "--steps", str(STEPS), "--set", "batch=64",
        "--seed", "0", "--device", "cpu", "--out", str(out / "run"),
    ]]  # fmt: skip


def judged(out: Path) -> Outcome:
    rows = [json.loads(line) for line in (out / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    last = next(row for row in reversed(rows) if "validation_loss" in row)
    loss, linear = last["validation_loss"], last["linear_denoiser_loss"]
    lines = (
        f"your network, {last['step']} steps: validation loss {loss:.4f}",
        f"best linear denoiser:     validation loss {linear:.4f}",
        "in the picture the columns are the classes 0 to 9",
    )
    pictures = tuple(str(path.relative_to(out)) for path in sorted((out / "run" / "samples").glob("*.png"))[-1:])
    return Outcome(last["step"] == STEPS and loss < linear, lines, pictures)
