"""A small network of the learner's parts, and the same of the package's, trained from the same weights."""

import json
from pathlib import Path

from diffcli.learn.running import Outcome

NEEDS = ("group_norm", "modulated_block", "class_embedding")
STEPS = 120

IMPL = '''
"""The networks `yours` and `ours`: the same layers, put together by you and by diffcli. By `diffcli learn run week-4`.

    diffcli train --impl week_4_impl.py --model yours --set network.blocks=3 --minutes 1
    diffcli verify --impl week_4_impl.py
"""

import torch
from torch import nn
from torch.nn import functional as F
from week_4 import class_embedding, group_norm, modulated_block

from diffcli import plugins
from diffcli.core.models.layers import LevelEmbedding, ResBlock, zeroed


@plugins.network("ours")
class Ours(nn.Module):
    dimensions = 3  # it takes images

    def __init__(self, channels, classes=0, *, outputs=1, width: int = 16, blocks: int = 2, bf16=False):
        super().__init__()
        self.nulls, self.bf16 = {"label": classes}, bf16
        self.level = nn.Sequential(LevelEmbedding(32), nn.Linear(32, 32))
        self.classes = nn.Embedding(classes + 1, 32)
        self.enter = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResBlock(width, width, 32, 0.0) for _ in range(blocks))
        for block in self.blocks:  # as in DDPM's U-Net
            block.norm1, block.norm2 = nn.GroupNorm(4, width), nn.GroupNorm(4, width)
        self.leave = zeroed(nn.Conv2d(width, 4 * outputs * channels, 3, padding=1))

    def forward(self, x, log_snr, *, label=None):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            condition = F.silu(self.level(log_snr) + self.embedded(label, len(x)))
            height, width = x.shape[-2:]
            h = self.enter(F.pixel_unshuffle(F.pad(x, (0, width % 2, 0, height % 2)), 2))
            for number in range(len(self.blocks)):
                h = self.block(number, h, condition)
            return F.pixel_shuffle(self.leave(F.silu(h)), 2)[..., :height, :width].float()

    def embedded(self, label, count):
        return self.classes(torch.full((count,), self.nulls["label"]) if label is None else label)

    def block(self, number, h, condition):
        return self.blocks[number](h, condition)


class YourNorm(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return group_norm(x, self.norm.num_groups, self.norm.weight, self.norm.bias, self.norm.eps)


@plugins.network("yours")
class Yours(Ours):
    def embedded(self, label, count):
        null = self.nulls["label"]
        label = torch.full((count,), null) if label is None else label
        return class_embedding(label.clamp(max=null - 1), label == null, self.classes.weight)

    def block(self, number, h, condition):
        block = self.blocks[number]
        names = ("norm1", "conv1", "modulate", "norm2", "conv2", "skip")
        parts = {name: getattr(block, name) for name in names}
        parts |= {name: YourNorm(parts[name]) for name in ("norm1", "norm2")}
        return modulated_block(h, condition, nn.ModuleDict(parts))
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    """Two trainings, half a minute of both: no digits yet, but the strokes of them."""
    words = f"--recipe tiny --steps {STEPS} --batch 32 --seed 0 --devices 1 --set precision=fp32 --quiet"
    train = ["train", "--impl", str(impl), *words.split()]
    return [[*train, "--model", name, "--out", str(out / name)] for name in ("yours", "ours")]


def judged(out: Path) -> Outcome:
    """Whether the losses are the same but for rounding, which grows on the way."""
    yours, ours = losses(out / "yours"), losses(out / "ours")
    common = sorted(yours.keys() & ours.keys())
    gaps = [abs(yours[step] - ours[step]) / ours[step] for step in common] or [float("nan")]
    first, last = max(gaps[: len(gaps) // 2 + 1]), max(gaps)
    lines = [f"{'step':>5}{'yours':>10}{'ours':>10}"]
    lines += [f"{step:>5}{yours[step]:>10.5f}{ours[step]:>10.5f}" for step in common[:: max(1, len(common) // 6)]]
    lines.append(f"the losses differ by {last:.1g} of themselves at most")
    preview = f"yours/samples/step-{STEPS:09d}.png"
    return Outcome(first < 1e-3 and last < 1e-2, tuple(lines), (preview,))


def losses(run: Path) -> dict[int, float]:
    """The training losses that a run has recorded, by step."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}
