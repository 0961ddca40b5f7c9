"""The law of the default network: its trials, the fit and the curves, `python benchmarks/law.py`.

law.jsonl holds the trials, one a line: width, batch, images, seed, the validation loss at their end and the processor
seconds of one thread (none of those on a GPU). The fit weighs relative errors, each trial once, outliers less; what it
prints stands in diffcli/training/law.py. --run adds a trial; --grid adds those of the grid that are not there yet, in
order of their cost (3 hours of one thread in all).
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from diffcli.training.dial import BATCHES, EXTRA
from diffcli.training.law import ERROR, LAW, LossLaw

HERE = Path(__file__).parent
TRIALS = HERE / "law.jsonl"
PICTURE = HERE.parent / "docs" / "images" / "law.png"
START = LossLaw(limit=0.088, size=0.003, a=1.0, data=0.015, b=0.4, steps=0.003, c=1.5, d=0.8)
RATES = {16: 1150.0, 24: 640.0, 32: 560.0, 48: 358.0, 64: 225.0, 96: 115.0}
"""Images per second of one thread with AVX-512, batch 64: what the compute-optimal curve is drawn for."""
GRID = 16, 24, 32, 48, 64
SECONDS = 25, 90, 450
SEEDS = 0, 1, 2


@dataclass(frozen=True)
class Trial:
    """A training that was run to its end, its rate fallen to zero. seconds: of one thread; None of a GPU's"""

    width: int
    batch: int
    images: int
    seed: int
    loss: float
    seconds: float | None = None


def trials() -> list[Trial]:
    """All that were run."""
    return [Trial(**json.loads(line)) for line in TRIALS.read_text().splitlines()]


def fitted(known: Sequence[Trial]) -> tuple[LossLaw, float]:
    """The law of these trials, and the root mean square of its relative errors."""
    losses = np.array([trial.loss for trial in known])

    def law_of(point: Any) -> LossLaw:
        return LossLaw(*np.exp(point))

    def errors(point: Any) -> Any:
        law = law_of(point)
        found = np.array([law.loss(t.width, t.images, t.batch) for t in known])
        return np.log(found) - np.log(losses)

    best = least_squares(lambda point: errors(point) / 0.005, np.log(np.array(START)), loss="soft_l1", max_nfev=5000)
    return law_of(best.x), float(np.sqrt((errors(best.x) ** 2).mean()))


def draw(known: Sequence[Trial], law: LossLaw) -> None:
    """Two panels: loss against images, and against seconds of one thread with the best that a time can buy."""
    from matplotlib.figure import Figure

    from diffcli.pictures.figures import write_figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    colours = {width: f"C{i}" for i, width in enumerate(RATES)}
    images, budgets = np.logspace(3.6, 7.1, 200), np.logspace(1, 4.5, 200)
    for width, colour in colours.items():
        mine = [t for t in known if t.width == width]
        left.plot([t.images for t in mine], [t.loss for t in mine], "o", ms=4, color=colour, alpha=0.7)
        left.plot(images, [law.loss(width, d, 64) for d in images], color=colour, lw=1, label=f"{width},{2 * width}")
        right.plot(budgets, [best_loss(law, width, s) for s in budgets], color=colour, lw=1)
        timed = [t for t in mine if t.seconds]
        right.plot([t.seconds for t in timed], [t.loss for t in timed], "o", ms=4, color=colour, alpha=0.7)
    best = [min(best_loss(law, width, s) for width in RATES) for s in budgets]
    right.plot(budgets, best, color="black", lw=2.5, alpha=0.4, label="the best for the time")
    for axes, label in ((left, "training images"), (right, "seconds of one thread (AVX-512)")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.088, 0.17)
        axes.set_yticks([0.09, 0.1, 0.11, 0.12, 0.14, 0.16], ["0.09", "0.10", "0.11", "0.12", "0.14", "0.16"])
        axes.minorticks_off()
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    left.set_xlim(4e3, 1.3e7)
    right.set_xlim(10, 3e4)
    left.set_ylabel("validation loss (MNIST, v)")
    left.legend(title="widths (curves: batch 64)", fontsize=8, title_fontsize=8)
    right.legend(fontsize=8)
    write_figure(figure, PICTURE)


def best_loss(law: LossLaw, width: int, seconds: float) -> float:
    """With the batch that suits the time."""
    item = 64 / (64 + EXTRA) / RATES[width]
    return min(law.loss(width, seconds / item * batch / (batch + EXTRA), batch) for batch in BATCHES)


def run(width: int, batch: int, images: int, seed: int) -> Trial:
    """Train to the end, on the bundled MNIST, on one thread."""
    import torch

    from diffcli.data.loading import load_dataset
    from diffcli.runs.fitting import fit_by
    from diffcli.training.families.diffusion import DiffusionPreview
    from diffcli.training.recipes import override
    from diffcli.training.recipes.diffusion import RECIPES
    from diffcli.training.setup import build, new_trainer
    from diffcli.training.trainer import Plan

    torch.set_num_threads(1)
    dataset = load_dataset("mnist")
    places, held = dataset.holdout()
    changes = {"network.widths": (width, 2 * width), "batch": batch, "steps": images // batch, "seed": seed}
    recipe = override(RECIPES["default"], changes)
    trainer = new_trainer(recipe, dataset.items, build(recipe, dataset.items, torch.device("cpu")))
    trainer.plan, began = Plan(recipe.steps), time.process_time()
    for _ in fit_by(recipe, trainer, dataset, places):
        pass
    seconds = time.process_time() - began
    loss = DiffusionPreview(recipe, dataset, places, held).validation.loss(trainer.ema)
    trial = Trial(width, batch, recipe.steps * batch, seed, round(loss, 5), round(seconds, 1))
    with TRIALS.open("a") as file:
        file.write(json.dumps(vars(trial)) + "\n")
    return trial


def missing(known: Sequence[Trial]) -> list[tuple[int, int, int, int]]:
    """What --run would take for the trials of the grid that are not there yet."""
    wanted = []
    for seconds in SECONDS:
        for width in GRID:
            rate = RATES[width]
            batch = 32 if seconds < 60 else 64
            images = round(seconds * rate * batch / (batch + EXTRA) * (64 + EXTRA) / 64)
            for seed in SEEDS:
                alike = [t for t in known if t.width == width and t.seed == seed and 0.55 < t.images / images < 1.8]
                wanted += [] if alike else [(width, batch, images, seed)]
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description="The law of the validation loss: fit it, draw it, add trials.")
    parser.add_argument("--draw", action="store_true", help=f"write docs/images/{PICTURE.name}")
    parser.add_argument("--run", nargs=4, type=int, metavar=("WIDTH", "BATCH", "IMAGES", "SEED"), help="add a trial")
    parser.add_argument("--grid", action="store_true", help="add what is missing of the grid")
    options = parser.parse_args()
    for asked in [options.run] if options.run else missing(trials()) if options.grid else []:
        print(run(*asked), flush=True)
    known = trials()
    law, error = fitted(known)
    print(f"{len(known)} trials, relative error {error:.4f}, now {ERROR}")
    print("LossLaw(" + ", ".join(f"{name}={value:.4g}" for name, value in law._asdict().items()) + ")")
    print("now", LAW)
    if options.draw:
        draw(known, law)


if __name__ == "__main__":
    main()
