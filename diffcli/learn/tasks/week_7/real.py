"""Digits by the learner's shifted schedule, beside one whose log-SNR is shifted; and a linear floor of MNIST."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffcli.data.loading import load_dataset
from diffcli.learn.running import Outcome
from diffcli.metrics.linear_code import linear_code
from diffcli.metrics.quality import psnr

NEEDS = ("shifted_time", "linear_floor")
BASE, NUMBERS = 49, 784  # a digit has 784 numbers; if the schedule was good for 49, it needs much more noise
CODES, KNOWN, TEST = (49, 98, 196), 5000, 500  # numbers of 7 x 7 latents with 1, 2 and 4 channels; images
CLOSE = 0.01  # dB

IMPL = '''
"""The schedule `yours`: the flow's, in your time; and `by-log-snr`, which should be the same.

    diffcli sample mnist --impl week_7_impl.py --schedule yours,base=49 --ddim --steps 10
    diffcli visualize schedules yours flow --impl week_7_impl.py
"""

import math

import torch
from week_7 import shifted_time

from diffcli import plugins
from diffcli.core.diffusion.schedules import Flow


@plugins.schedule("yours")
class Yours(Flow):
    def __init__(self, numbers: float = 784.0, base: float = 196.0):
        self.numbers, self.base = numbers, base

    def sigma(self, t):
        return torch.as_tensor(shifted_time(t.reshape(-1), self.numbers, self.base)).reshape(t.shape)  # times are [B]

    def alpha(self, t):
        return 1 - self.sigma(t)


@plugins.schedule("by-log-snr")
class ByLogSNR(Flow):
    def __init__(self, numbers: float = 784.0, base: float = 196.0):
        self.shift = math.log(numbers / base)

    def sigma(self, t):
        return torch.sigmoid(torch.logit(t) + self.shift / 2)  # the log-SNR is minus twice a logit

    def alpha(self, t):
        return 1 - self.sigma(t)
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    """The same noise, six steps, under three schedules."""
    own = ["--impl", str(impl), "--schedule"]
    schedules = {
        "yours": [*own, f"yours,base={BASE}"],
        "ours": [*own, f"by-log-snr,base={BASE}"],
        "unshifted": ["--schedule", "flow"],
    }
    walk = ["mnist", "--ddim", "--steps", "6", "--count", "20", "--class", "all", "--seed", "0", "--quiet"]
    return [
        ["sample", *walk, *words, "--array", str(out / f"{name}.npy"), "--out", str(out / f"{name}.png")]
        for name, words in schedules.items()
    ]


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    """Linear codes of digits, yours and the package's; the numbers go to floors.json."""
    yield f"the linear floor of {TEST} test digits, of codes that are found on {KNOWN} training digits"
    train, known = load_dataset("mnist"), torch.arange(KNOWN)
    x, test = train.take(known)[0].flatten(1), load_dataset("mnist", "test").take(torch.arange(TEST))[0].flatten(1)
    floors = {}
    for numbers in CODES:
        ours = psnr(linear_code(train, known, numbers).restored(test).clamp(-1, 1), test).mean().item()
        floors[numbers] = [float(functions["linear_floor"](x, test, numbers)), ours]
    (out / "floors.json").write_text(json.dumps(floors), "utf-8")


def judged(out: Path) -> Outcome:
    """Whether the digits are the same, and others than without a shift; and whether the floors are the package's."""
    yours, ours, plain = (np.load(out / f"{name}.npy").astype(np.float64) for name in ("yours", "ours", "unshifted"))
    gap, apart = float(np.abs(yours - ours).mean()), float(np.abs(yours - plain).mean())
    floors = json.loads((out / "floors.json").read_text("utf-8"))
    lines = [
        f"between your time and a shift of the log-SNR by log({NUMBERS}/{BASE}), pixels differ by {gap:.1g} on average",
        f"between shifted and not shifted, by {apart:.2g}: look at both pictures",
    ]
    lines += [
        f"a linear code of {k} numbers: {a:.2f} dB by yours, {b:.2f} by the package's" for k, (a, b) in floors.items()
    ]
    close = all(abs(a - b) < CLOSE for a, b in floors.values())
    return Outcome(close and gap < 0.002 and apart > 0.01, tuple(lines), ("yours.png", "unshifted.png"))
