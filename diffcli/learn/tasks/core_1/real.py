"""The learner's cosine schedule as a plug-in, drawn by `diffcli visualize forward` beside the package's own."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from diffcli.learn.running import Outcome

NEEDS = ("cosine_betas", "alphas_bar")

IMPL = '''
"""The cosine schedule of core_1.py as a plug-in: diffcli visualize forward --impl core_1_impl.py --schedule mine"""

import torch
from core_1 import alphas_bar, cosine_betas
from torch import Tensor

from diffcli import plugins
from diffcli.core.diffusion.schedules import Schedule

STEPS = 1000


@plugins.schedule("mine")
class Mine(Schedule):
    """alpha² is your alpha-bar; between two entries its logarithm is a straight line."""

    length, first = STEPS, 1 / STEPS

    def __init__(self) -> None:
        betas = torch.as_tensor(cosine_betas(STEPS), dtype=torch.float64)
        self.log_bar = torch.as_tensor(alphas_bar(betas), dtype=torch.float64).log()

    def alpha(self, t: Tensor) -> Tensor:
        return (self.read(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return (1 - self.read(t).exp()).clamp(min=0).sqrt()

    def read(self, t: Tensor) -> Tensor:
        table, place = self.log_bar.to(t.dtype), t * STEPS
        below = place.detach().floor().long().clamp(0, STEPS - 1)
        return table[below] + (place - below) * (table[below + 1] - table[below])
'''

APART = 1e-4  # alphas and sigmas that are the same but for rounding, float32's too
SHADES = 1  # of 255, that a pixel may be off where rounding decides


def commands(impl: Path, out: Path) -> list[list[str]]:
    """Digits along both schedules, and both in one plot."""
    plugin, drawn = ["--impl", str(impl)], ["--count", "4", "--seed", "0", "--out"]
    return [
        ["visualize", "forward", *plugin, "--schedule", "mine", *drawn, str(out / "yours")],
        ["visualize", "forward", "--schedule", "cosine", *drawn, str(out / "ours")],
        ["visualize", "schedules", "mine", "cosine", "linear", *plugin, "--out", str(out / "schedules")],
    ]


def judged(out: Path) -> Outcome:
    """The levels that were drawn, and every pixel of the two films."""
    levels = [json.loads((out / whose / "metrics.json").read_text("utf-8")) for whose in ("yours", "ours")]
    numbers = [np.array([[row["alpha"], row["sigma"]] for row in one["levels"]], dtype=float) for one in levels]
    films = [_film(out / whose / "forward.gif") for whose in ("yours", "ours")]
    same = films[0].shape == films[1].shape
    apart = float(np.abs(numbers[0] - numbers[1]).max())
    shades = int(np.abs(films[0] - films[1]).max()) if same else 255
    snr = [one["terminal_snr"] or 0.0 for one in levels]
    lines = (
        f"9 levels from t = 0 to 1: alpha and sigma differ by {apart:.1e} at most ({APART:g} is rounding)",
        f"signal-to-noise ratio at the end: yours {snr[0]:.3g}, the package's {snr[1]:.3g}",
        f"{len(films[0])} frames of the films: pixels differ by {shades} of 255 shades at most ({SHADES} may be)",
    )
    pictures = ("yours/forward.png", "ours/forward.png", "schedules/schedules.png")
    return Outcome(apart <= APART and shades <= SHADES, lines, pictures)


def _film(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("L"), dtype=int) for frame in ImageSequence.Iterator(image)]
    return np.stack(frames)
