"""One piece of the race in a process of its own: `python -m racing.worker WHAT '{"...": ...}'`; prints JSON.

So every training is a fresh process, with as many threads as it is to have (OMP_NUM_THREADS).
"""

import contextlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from racing import limit, training
from racing.peers import CLASSES, LENGTH, LIBRARIES, Peer, Walk

AT_ONCE = 125  # images in a batch of drawing
TIMED_STEPS = 20  # of the whole chain, that are timed and scaled


def train(course: dict[str, Any], marks: list[float], out: str) -> list[dict[str, Any]]:
    """Train, and write the weights at each mark to out-0.pt, out-1.pt, ..."""
    told = []
    for i, mark in enumerate(training.trained(training.Course(**course), marks)):
        training.save(mark, Path(f"{out}-{i}.pt"))
        told.append({"seconds": mark.seconds, "steps": mark.steps, "losses": mark.losses, "weights": f"{out}-{i}.pt"})
    return told


def speed(course: dict[str, Any], seconds: float) -> float:
    """Training images per second."""
    return training.speed(training.Course(**course), seconds)


def draw(
    library: str, classed: bool, weights: str, which: str, walk: list[Any], chunks: list[int], size: int, out: str
) -> int:
    """Write chunks of images as uint8 [size, 1, 28, 28]; those that are there already are left alone.

    How many of the images are not finite; they become black.
    """
    peer, lost = _loaded(library, classed, weights, which), 0
    for chunk in chunks:
        path = Path(out) / f"chunk-{chunk:03d}.npy"
        if path.exists():
            continue
        torch.manual_seed(1000 + chunk)
        labels = torch.arange(chunk * size, (chunk + 1) * size) % CLASSES
        parts = [peer.draw(Walk(*walk), len(some), some if classed else None) for some in labels.split(AT_ONCE)]
        x = torch.cat(parts)
        lost += int((~x.flatten(1).isfinite().all(1)).sum())
        pixels = ((x.nan_to_num(-1).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, pixels.numpy())
        unfinished.rename(path)
    return lost


def seconds(
    library: str, classed: bool, weights: str, which: str, walk: list[Any], count: int, repeats: int
) -> list[float]:
    """The time of drawing `count` images together, again and again, after a walk that does not count.

    The whole chain is timed over its first steps and scaled.
    """
    peer, asked = _loaded(library, classed, weights, which), Walk(*walk)
    labels = torch.arange(count) % CLASSES if classed else None
    peer.draw(Walk("ddim", 2, asked.guidance), count, labels)
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        steps = _begun(peer, asked, count, labels) if asked.steps == LENGTH else asked.steps
        if steps == asked.steps:
            peer.draw(asked, count, labels)
        found.append((time.perf_counter() - began) * asked.steps / steps)
    return found


def _begun(peer: Peer, walk: Walk, count: int, labels: Tensor | None) -> int:
    """Take the first steps of a walk; how many they were."""

    class Enough(Exception):
        pass

    taken = itertools.count(1)

    def stop(*_: Any) -> None:
        if next(taken) == TIMED_STEPS:
            raise Enough

    hook = peer.network.register_forward_hook(stop)
    with contextlib.suppress(Enough):
        peer.draw(walk, count, labels)
    hook.remove()
    return TIMED_STEPS


def flops(library: str, classed: bool) -> dict[str, float]:
    """Floating-point operations per training image, and parameters."""
    peer = LIBRARIES[library].build(classed)
    labels = torch.zeros(1, dtype=torch.long) if classed else None
    x0 = torch.zeros(1, 1, 28, 28)
    return {"flops": limit.counted(lambda: peer.loss(x0, labels).backward()), "parameters": peer.parameters()}


def our_flops(run: str) -> dict[str, float]:
    """The same of a run of ours."""
    from diffcli.runs.loading import load_trained

    trained = load_trained(run, device=torch.device("cpu"))
    return {"flops": limit.of_run(trained), "parameters": sum(p.numel() for p in trained.model.parameters())}


def _loaded(library: str, classed: bool, weights: str, which: str) -> Peer:
    peer = LIBRARIES[library].build(classed)
    training.load(peer, Path(weights), which)
    return peer


WHAT = {
    "train": train,
    "speed": speed,
    "draw": draw,
    "seconds": seconds,
    "flops": flops,
    "our_flops": our_flops,
    "convolutions": limit.convolutions,
}


def main() -> None:
    what, arguments = sys.argv[1:]
    found = WHAT[what](**json.loads(arguments))  # type: ignore[operator]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
