"""How a judge is trained: AdamW, one cycle of the learning rate, images shifted at random. It prints nothing."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.data.streaming import stream
from diffcli.evaluation.features.network import TURNS, JudgeNetwork, judged_sides, resized, turned

BUDGET = 240_000  # images of 28x28 seen; of larger ones fewer, for the same work
PIXELS = 28 * 28
MOST_EPOCHS = 60  # of a small set
BATCH, LEAST_BATCH = 64, 8
RATE, WEIGHT_DECAY = 1e-2, 0.01
SHIFT = 1  # pixels, at most an eighth of a side; two cost Fashion-MNIST 1.4 % of its images after 90,000


class JudgeStep(NamedTuple):
    """How far the training of a judge is: images seen, of how many, and the loss of the last batch."""

    done: int
    total: int
    loss: float


class JudgeReading(NamedTuple):
    """How well a judge reads images that it has not seen: the share read right, that of a guess, and of how many."""

    accuracy: float
    chance: float
    tested: int


def new_network(dataset: Dataset, device: torch.device, seed: int = 0) -> JudgeNetwork:
    """A network for images like these, its weights drawn by the seed; the global generator stays as it was."""
    channels, height, width = dataset.shape
    classes = len(dataset.classes) if dataset.labels is not None else TURNS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed(seed, "judge").initial_seed())
        network = JudgeNetwork(channels, judged_sides(height, width), classes)
    return network.to(device).to(memory_format=torch.channels_last)


def judge_steps(
    network: JudgeNetwork, dataset: Dataset, places: Tensor, *, budget: int = BUDGET, seed: int = 0
) -> Iterator[JudgeStep]:
    """Train the network on the images at these places; yields after every step. It is ready when this ends.

    budget:  images to see, for images of 28x28
    """
    device, sides = next(network.parameters()).device, judged_sides(*dataset.shape[1:])
    batch = min(BATCH, max(LEAST_BATCH, len(places) // 8))
    seen = min(budget * min(1.0, PIXELS / (sides[0] * sides[1])), MOST_EPOCHS * len(places))
    steps = max(10, int(seen) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    batches = stream(dataset, places, batch=batch, seed=seed)(0)
    network.train()
    for step in range(steps):
        generator = keyed(seed, "judge", step)
        images, conditions = next(batches)
        images, truth = task(images, conditions.get(CLASS), generator)
        images = shifted(resized(images, sides), generator).to(device, memory_format=torch.channels_last)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(generator.initial_seed())  # of the dropout
            loss = F.cross_entropy(network(images), truth.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        yield JudgeStep((step + 1) * batch, steps * batch, loss.item())
    network.eval()


@torch.no_grad()
def scaled(network: JudgeNetwork, dataset: Dataset, places: Tensor) -> None:
    """Have features with a mean square of 1 over the images at these places: distances do not depend on the training.

    A rectifier hands a factor on, so what is taken from the layer before it is given to the one behind: the network
    reads what it read before.
    """
    device, sides = next(network.parameters()).device, judged_sides(*dataset.shape[1:])
    total = 0.0
    for part in places.split(500):
        images = resized(dataset.take(part)[0], sides).to(device, memory_format=torch.channels_last)
        total += network.features(images).cpu().double().square().mean(1).sum().item()
    size = math.sqrt(total / len(places))
    if size > 0:
        for weight in network.look[-2].parameters():
            weight.div_(size)
        network.decide.weight.mul_(size)


def task(images: Tensor, labels: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is to be told apart: the images with their classes, or turned at random with the ways they were turned."""
    if labels is not None:
        return images, labels
    ways = torch.randint(0, TURNS, (len(images),), generator=generator)
    return turned(images, ways), ways


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [B, C, H, W] moved by up to a pixel each way; what comes in repeats the edge."""
    count, _, height, width = images.shape
    most = min(SHIFT, height // 8, width // 8)
    down, right = torch.randint(-most, most + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, places).view_as(images)


@torch.no_grad()
def reading(network: JudgeNetwork, dataset: Dataset, places: Tensor) -> JudgeReading:
    """How well the network reads the images at these places; every turn of each, where there are no classes."""
    device, sides = next(network.parameters()).device, judged_sides(*dataset.shape[1:])
    right = 0
    for part in places.split(500):
        images, conditions = dataset.take(part)
        if dataset.labels is None:
            ways = torch.arange(TURNS).repeat_interleave(len(images))
            images, truth = turned(images.repeat(TURNS, 1, 1, 1), ways), ways
        else:
            truth = conditions[CLASS]
        found = network(resized(images, sides).to(device, memory_format=torch.channels_last)).argmax(1)
        right += int((found.cpu() == truth).sum())
    if dataset.labels is None:
        return JudgeReading(right / (TURNS * len(places)), 1 / TURNS, len(places))
    most = int(dataset.labels[places].bincount().max())
    return JudgeReading(right / len(places), most / len(places), len(places))


@torch.no_grad()
def read_labels(network: JudgeNetwork, dataset: Dataset) -> Tensor:
    """The class [N] that the network reads in each image."""
    device, sides = next(network.parameters()).device, judged_sides(*dataset.shape[1:])
    found = [
        network(resized(dataset.take(part)[0], sides).to(device, memory_format=torch.channels_last)).argmax(1).cpu()
        for part in torch.arange(len(dataset)).split(500)
    ]
    return torch.cat(found)
