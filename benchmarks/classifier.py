"""The judge of quality.py: a small classifier of MNIST, trained once and kept in outputs/benchmarks."""

import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import CLASS
from diffcli.errors import CheckpointProblem, DataProblem
from diffcli.runs import checkpoint

KEPT = Path(__file__).resolve().parents[1] / "outputs" / "benchmarks" / "classifier.safetensors"
VERSION = 1  # of network and training; a kept classifier of another one is trained anew
EPOCHS, BATCH, RATE, SHIFT = 4, 128, 3e-3, 2
LEAST_ACCURACY = 0.99  # on the test images; below it a judgement is worth nothing


class Classifier(nn.Module):
    """forward(x [N, 1, 28, 28] in [-1, 1]) -> logits [N, 10]; `features` are the 64 numbers before them."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            *block(1, 32, kernel=5, stride=2),
            *block(32, 64),
            nn.MaxPool2d(2),
            *block(64, 128),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(128 * 3 * 3, 64),
            nn.ReLU(),
        )
        self.decide = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        return self.look(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decide(self.features(x))


def block(channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution, batch normalisation and a rectifier."""
    convolution = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU()]


class Reading(NamedTuple):
    """What the classifier makes of images: the class of each, [N], and its features, [N, 64]."""

    classes: Tensor
    features: Tensor


@torch.no_grad()
def read(classifier: Classifier, images: Tensor, batch: int = 500) -> Reading:
    """Read images [N, 1, 28, 28] in [-1, 1]."""
    features = torch.cat([classifier.features(part) for part in images.split(batch)])
    return Reading(classifier.decide(features).argmax(1), features)


def prepared() -> tuple[Classifier, float]:
    """The classifier, kept or trained now, and its accuracy on the test images; raises DataProblem if it is too low."""
    classifier = kept()
    if classifier is None:
        classifier = trained(datasets.load_dataset("mnist"))
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_checkpoint(KEPT, classifier.state_dict(), {"classifier": VERSION})
    images, labels = everything(datasets.load_dataset("mnist", "test"))
    accuracy = (read(classifier, images).classes == labels).float().mean().item()
    if accuracy < LEAST_ACCURACY:
        raise DataProblem(f"the classifier reads only {accuracy:.2%} of the test images right", f"delete {KEPT}")
    return classifier, accuracy


def kept() -> Classifier | None:
    """The classifier of an earlier run; None where there is none that can be used."""
    if not KEPT.exists():
        return None
    try:
        state, about = checkpoint.read_checkpoint(KEPT)
    except CheckpointProblem as problem:
        print(f"note: {problem.message}; training it anew", file=sys.stderr)
        return None
    if about.get("classifier") != VERSION:
        return None
    classifier = Classifier()
    classifier.load_state_dict(state)
    return classifier.eval()


def trained(dataset: Dataset) -> Classifier:
    """A classifier trained by AdamW on one cycle of the learning rate, each batch shifted by up to two pixels."""
    print("training the classifier, once: about two minutes on two cores", file=sys.stderr, flush=True)
    images, labels = everything(dataset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of the weights and the dropout
        classifier = Classifier().train()
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE)
        steps = EPOCHS * -(-len(images) // BATCH)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for epoch in range(EPOCHS):
            generator = keyed(0, "classifier", epoch)
            for places in torch.randperm(len(images), generator=generator).split(BATCH):
                loss = F.cross_entropy(classifier(shifted(images[places], generator)), labels[places])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
            print(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}", file=sys.stderr, flush=True)
    return classifier.eval()


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """The images moved by up to SHIFT pixels each way, all of them alike, the gap filled with black."""
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    height, width = images.shape[-2:]
    return F.pad(images, (SHIFT,) * 4, value=-1.0)[..., down : down + height, right : right + width]


def everything(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """All images in [-1, 1] and their labels."""
    images, conditions = dataset.take(range(len(dataset)))
    return images, conditions[CLASS]
