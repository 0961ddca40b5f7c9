"""How a peer is trained by the clock, and how its settings are tried first."""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from racing.peers import LIBRARIES, Peer, precision

CLIP = 1.0  # longest gradient, of both libraries
WEIGHTS = ("average", "raw")


@dataclass(frozen=True)
class Course:
    """What a peer is trained by.

    library:  of `LIBRARIES`
    classed:  whether it is told the classes
    warmup:   steps over which the learning rate rises
    falls:    whether it falls along a half cosine then, to zero at the end of the time
    """

    library: str
    classed: bool
    batch: int
    rate: float
    warmup: int = 30
    falls: bool = True
    bf16: bool = False
    seed: int = 0

    def scale(self, step: int, share: float) -> float:
        """The factor of the learning rate at a step, a share of the time being over."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return rise * (0.5 * (1 + math.cos(math.pi * min(1.0, share))) if self.falls else 1.0)


class Mark(NamedTuple):
    """Where a training is when some time is over; losses are of held-out images, by which weights."""

    seconds: float
    steps: int
    losses: dict[str, float]
    weights: dict[str, dict[str, Tensor]]


def trained(course: Course, marks: list[float]) -> Iterator[Mark]:
    """Train a fresh peer for the last of these seconds, and tell what it is at each. Looking does not count."""
    torch.manual_seed(course.seed)
    peer = LIBRARIES[course.library].build(course.classed)
    dataset = datasets.load_dataset("mnist")
    places, held = dataset.holdout()
    optimizer = peer.optimizer(course.rate)
    averaged, state = peer.average()
    batches = shuffled(dataset, places, course.batch)
    used, began = 0.0, time.perf_counter()
    for step in itertools.count():
        for group in optimizer.param_groups:
            group["lr"] = course.rate * course.scale(step, used / marks[-1])
        learn(peer, course, optimizer, *next(batches))
        averaged()
        used += time.perf_counter() - began
        if used >= marks[0]:
            weights = {
                name: _copied(of) for name, of in zip(WEIGHTS, (state(), peer.network.state_dict()), strict=True)
            }
            yield Mark(used, step + 1, losses(peer, course, dataset, held, weights), weights)
            marks = [mark for mark in marks if mark > used]
            if not marks:
                return
        began = time.perf_counter()


def learn(peer: Peer, course: Course, optimizer: Any, x0: Tensor, labels: Tensor) -> float:
    """One step."""
    peer.network.train()
    with precision(course.bf16):
        loss = peer.loss(x0, labels if course.classed else None)
    loss.backward()
    nn.utils.clip_grad_norm_(peer.network.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def losses(
    peer: Peer, course: Course, dataset: Dataset, held: Tensor, weights: dict[str, dict[str, Tensor]]
) -> dict[str, float]:
    """The loss of held-out images under the same noise each time; the network keeps its own weights."""
    x0, told = dataset.take(held)
    random, own = torch.get_rng_state(), _copied(peer.network.state_dict())
    found = {}
    for name, values in weights.items():
        peer.network.load_state_dict(values)
        peer.network.eval()
        torch.manual_seed(0)
        with torch.no_grad(), precision(course.bf16):
            parts = zip(x0.split(64), told[CLASS].split(64), strict=True)
            each = [peer.loss(x, label if course.classed else None).item() for x, label in parts]
        found[name] = sum(each) / len(each)
    peer.network.load_state_dict(own)
    torch.set_rng_state(random)
    return found


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that stay what they are when the network goes on."""
    return {name: value.detach().clone() for name, value in state.items()}


def shuffled(dataset: Dataset, places: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images and their classes, epoch after epoch in another order; what is left of an epoch is dropped."""
    while True:
        for chosen in places[torch.randperm(len(places))].split(batch):
            if len(chosen) == batch:
                x0, told = dataset.take(chosen)
                yield x0, told[CLASS]


def speed(course: Course, seconds: float) -> float:
    """Training images per second over about this time, after two steps that do not count."""
    peer = LIBRARIES[course.library].build(course.classed)
    dataset = datasets.load_dataset("mnist")
    optimizer, (averaged, _) = peer.optimizer(course.rate), peer.average()
    batches = shuffled(dataset, dataset.holdout()[0], course.batch)
    for step in itertools.count(-2):
        if step == 0:
            began = time.perf_counter()
        learn(peer, course, optimizer, *next(batches))
        averaged()
        if step >= 1 and time.perf_counter() - began >= seconds:
            break
    return (step + 1) * course.batch / (time.perf_counter() - began)


def save(mark: Mark, path: Path) -> None:
    """Both sets of weights in one file."""
    torch.save(mark.weights, path)


def load(peer: Peer, path: Path, weights: str) -> None:
    """Put the weights of a file into a peer's network."""
    peer.network.load_state_dict(torch.load(path, weights_only=True)[weights])
