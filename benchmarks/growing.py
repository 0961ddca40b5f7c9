"""One measurement of growth.py in a process of its own: `python growing.py '{"what": "train", ...}'`; prints JSON."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from contestants import peak_memory
from racing.limit import counted

from diffcli import specs
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.runs.fitting import fit_by
from diffcli.system.device import pick, use_bf16
from diffcli.training.recipes.diffusion import Recipe
from diffcli.training.recipes.networks import UNetKeys
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Plan

IMAGES_THERE = 512  # of noise, to train on: what they show costs nothing
AT_ONCE = 64  # samples in a batch
SKIPPED = 2  # steps that do not count


def train(batch: int, size: int, width: int, steps: int) -> tuple[Callable[[], float], Callable[[], Any], int]:
    """What trains for some steps and gives the seconds of one; what counts as one image; how many images a step has."""
    recipe = _recipe(batch, width)
    items = Items(IMAGES, (1, size, size))
    trainer = new_trainer(recipe, items, build(recipe, items, pick("cpu")))
    trainer.plan = Plan(10_000)
    pixels = torch.randint(0, 256, (IMAGES_THERE, 1, size, size), dtype=torch.uint8)
    dataset = Dataset("noise", items, pixels, None, "noise")
    walk = fit_by(recipe, trainer, dataset, torch.arange(IMAGES_THERE))

    def forward_and_backward() -> None:
        x, level = torch.zeros(1, *items.shape), levels(specs.schedule(recipe.schedule), 2)[1]
        trainer.model(x, level).x0.sum().backward()

    return lambda: statistics.median(_times(walk, SKIPPED + steps)[SKIPPED:]), forward_and_backward, batch


def sample(batch: int, size: int, width: int, steps: int) -> tuple[Callable[[], float], Callable[[], Any], int]:
    """The same of drawing; the seconds of all samples, after a walk of a few that does not count."""
    recipe = _recipe(AT_ONCE, width)
    items = Items(IMAGES, (1, size, size))
    model = build(recipe, items, pick("cpu")).eval().requires_grad_(False)
    schedule = specs.schedule(recipe.schedule)
    job = Job(clipped(model), levels(schedule, steps), SAMPLERS["ddim"], items.shape)

    @torch.no_grad()
    def drawn() -> float:
        job.drawn(8)
        began = time.perf_counter()
        job.drawn(batch, AT_ONCE)
        return time.perf_counter() - began

    def one() -> None:
        for level in levels(schedule, steps)[:-1]:
            model(torch.zeros(1, *items.shape), level)

    return drawn, one, batch


def _recipe(batch: int, width: int) -> Recipe:
    """The recipe `default` at another width."""
    return Recipe(network=UNetKeys(widths=(width, 2 * width)), batch=batch)


def _times(walk: Iterator[Any], count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        next(walk)
        times.append(time.perf_counter() - began)
    return times


def facts() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "precision": "bf16" if use_bf16("auto", torch.device("cpu")) else "fp32",
    }


def main() -> None:
    asked = json.loads(sys.argv[1])
    what = asked.pop("what")
    if what == "facts":
        print(json.dumps(facts()))
        return
    before = peak_memory()
    do, one, images = {"train": train, "sample": sample}[what](**asked)
    seconds, held = do(), peak_memory() - before
    print(json.dumps({"seconds": seconds, "bytes": held, "flops": images * counted(one)}))


if __name__ == "__main__":
    main()
