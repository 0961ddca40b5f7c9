"""A small network trained under a learner's schedule and under the package's own, with the same seed."""

import json
from pathlib import Path

from diffcli.learn.running import Outcome

NEEDS = ("log_snr_levels",)
MOST, LEAST, STEPS = 9, -7, 250

IMPL = '''
"""The schedule `yours`: your levels as one of diffcli's schedules. Written by `diffcli learn run week-2`.

    diffcli visualize schedules yours cosine linear --impl week_2_impl.py
    diffcli verify --impl week_2_impl.py
"""

from week_2 import log_snr_levels

from diffcli import plugins
from diffcli.core.diffusion.schedules import Schedule


@plugins.schedule("yours")
class Yours(Schedule):
    first = 0.0  # a walk may go down to t = 0: there is still some noise

    def __init__(self, most: float = 13.3, least: float = -6.0):
        self.most, self.least = most, least

    def alpha(self, t):
        return log_snr_levels(t, self.most, self.least)[0]

    def sigma(self, t):
        return log_snr_levels(t, self.most, self.least)[1]
'''


def commands(impl: Path, out: Path) -> list[list[str]]:
    """Two trainings on points, and what the first of them draws."""
    train = [
        "train",
        "--dataset",
        "moons",
        "--steps",
        str(STEPS),
        "--batch",
        "256",
        "--seed",
        "0",
        "--devices",
        "1",
        "--quiet",
    ]
    between = f",most={MOST},least={LEAST}"
    own = ["--impl", str(impl)]
    picture = out / "yours.png"
    return [
        [*train, *own, "--schedule", f"yours{between}", "--out", str(out / "yours")],
        [*train, "--schedule", f"log-snr{between}", "--out", str(out / "ours")],
        ["sample", str(out / "yours"), *own, "--ddim", "--seed", "0", "--quiet", "--out", str(picture)],
    ]


def judged(out: Path) -> Outcome:
    """Whether every loss on the way, and the validation loss, is the same but for rounding."""
    (yours, own), (ours, theirs) = (losses(out / name) for name in ("yours", "ours"))
    common = yours.keys() & ours.keys()
    gap = max((abs(yours[step] - ours[step]) / ours[step] for step in common), default=float("nan"))
    lines = (
        f"validation loss after {STEPS} steps: {own:.5f} with your schedule, {theirs:.5f} with the package's",
        f"the losses of {len(common)} steps on the way differ by {gap:.1g} of themselves at most",
    )
    same = gap < 3e-3 and abs(own - theirs) < 3e-4 * theirs  # a loss that is no number is not near
    return Outcome(same, lines, ("yours.png",))


def losses(run: Path) -> tuple[dict[int, float], float]:
    """The training losses that a run has recorded, by step, and its last validation loss."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    validated = [row["validation_loss"] for row in rows if "validation_loss" in row]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}, validated[-1] if validated else float("nan")
