"""The judge of a data set: a small network, trained on its training images once, kept, or shipped with the program."""

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import CheckpointProblem, UsageProblem
from diffcli.evaluation.features import keeping, training
from diffcli.evaluation.features.encoder import Encoder
from diffcli.evaluation.features.network import FEATURES, TURNS, JudgeNetwork, judged_sides, resized
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.system.text import duration

VERSION = 1  # of network and training; a kept judge of another one is trained anew
SHIPPED = Path(str(resources("diffcli.evaluation.features") / "shipped"))
SCALED = 10_000  # training images that the size of the features is measured on
PROBED = (3, 13)  # steps whose time tells how long the training takes


@dataclass(frozen=True)
class Judge:
    """A trained network as it is stored.

    weights:  by name, float16 where they are no counts
    about:    what it was trained on, and how well it reads
    """

    weights: dict[str, Tensor]
    about: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of the weights, 16 hexadecimal digits."""
        found = hashlib.sha256(repr(self.about["shape"]).encode())
        for name, weight in sorted(self.weights.items()):
            found.update(name.encode() + weight.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def network(self, device: torch.device) -> JudgeNetwork:
        """The network, ready to judge; raises KeyError, TypeError, ValueError or RuntimeError if this is none."""
        channels, height, width = self.about["shape"]
        with torch.device("meta"):  # no weights are drawn
            network = JudgeNetwork(channels, judged_sides(height, width), len(self.about["classes"]) or TURNS)
        state = {
            name: weight.float() if weight.is_floating_point() else weight for name, weight in self.weights.items()
        }
        network.load_state_dict(state, assign=True)
        return network.eval().to(device).to(memory_format=torch.channels_last)


def judge(
    reference: str, data: Path | None, device: torch.device, show: Show, *, reading: Reading = PLAIN, train: bool = True
) -> Encoder:
    """The judge of a data set by name or of a folder, trained now where there is none.

    reading:  how the files of a folder are read, as in training
    train:  whether it may be trained

    Raises UsageProblem where the data are no images, CheckpointProblem where there is none and it may not be trained.
    """
    images = images_of(reference, data, reading)
    path = keeping.cache_file("judges", images.name, images.fingerprint)
    found = shipped(images, show) or kept(path, images, show)
    if found is None:
        if not train:
            raise CheckpointProblem(f"there is no judge of {images.name} in {path.parent}")
        found = trained(images, held_out(reference, images, data, reading), device, show)
        keeping.keep(path, found.weights, found.about, show)
    return encoder_of("judge", found, device)


def images_of(reference: str, data: Path | None, reading: Reading) -> Dataset:
    """The training images of a data set; raises UsageProblem where it holds points."""
    train = datasets.load_dataset(reference, data=data, reading=reading)
    if train.items.kind is not IMAGES:
        raise UsageProblem(f"{reference} holds {train.items.kind.name}", "features are made of images")
    return train


def held_out(reference: str, train: Dataset, data: Path | None, reading: Reading) -> Dataset | None:
    """The test images of a data set, where it has some of its own."""
    if not datasets.has_test_split(reference, data):
        return None
    test = datasets.load_dataset(reference, "test", data=data, reading=reading)
    return test if test.shape == train.shape and (test.labels is None) == (train.labels is None) else None


def shipped(train: Dataset, show: Show) -> Judge | None:
    """The judge of these very images that comes with the program, if one does."""
    return kept(SHIPPED / f"{train.name}.safetensors", train, show)


def kept(path: Path, train: Dataset, show: Show) -> Judge | None:
    """The judge in a file; None where there is none, or none of these images and this version."""
    weights, about = keeping.recalled(path, show) or ({}, {})
    known = (about.get("judge"), about.get("fingerprint")) == (VERSION, train.fingerprint)
    return Judge(weights, about) if known else None


def trained(
    train: Dataset, test: Dataset | None, device: torch.device, show: Show, *, budget: int = training.BUDGET
) -> Judge:
    """A judge trained now on training images, and measured on test images or on those held out where there are none."""
    places, held = (torch.arange(len(train)), torch.arange(len(test))) if test else train.holdout()
    network = training.new_network(train, device)
    _show(network, train, places, budget, show)
    training.scaled(network, train, places[:SCALED])
    state = {name: _half(value) for name, value in network.state_dict().items()}
    about = {
        "judge": VERSION,
        "data": train.name,
        "fingerprint": train.fingerprint,
        "images": len(places),
        "shape": list(train.shape),
        "classes": list(train.classes) if train.labels is not None else [],
    }
    found = Judge(state, about)
    reading = training.reading(found.network(device), test or train, held)
    return Judge(state, about | {"accuracy": reading.accuracy, "chance": reading.chance, "tested": reading.tested})


def _show(network: JudgeNetwork, train: Dataset, places: Tensor, budget: int, show: Show) -> None:
    """Train with a bar, and an estimate as soon as there is one."""
    with show.progress(f"training the judge of {train.name}, once", 0, unit="images") as bar:
        for step, taken in enumerate(training.judge_steps(network, train, places, budget=budget)):
            bar.update(taken.done, f"loss {taken.loss:.3f}", total=taken.total)
            if step == PROBED[0]:
                since, begun = time.monotonic(), taken.done
            if step == PROBED[1]:
                seconds = (time.monotonic() - since) / (taken.done - begun) * (taken.total - taken.done)
                bar.note(f"the judge of {train.name} is trained, once, and kept: about {duration(seconds)}")


def _half(weight: Tensor) -> Tensor:
    """On the CPU in float16: half the file, and what is measured is what is stored."""
    weight = weight.detach().cpu()
    return weight.half() if weight.is_floating_point() else weight


def from_file(path: Path, channels: int, device: torch.device) -> Encoder:
    """A judge in a file that was written here or by `ship`; raises CheckpointProblem and UsageProblem.

    channels:  of the images that it is to judge
    """
    weights, about = read_checkpoint(path)
    if about.get("judge") != VERSION:
        raise CheckpointProblem(f"{path} is not a judge of this version of diffcli", "--features judge trains one")
    found = Judge(weights, about)
    try:
        encoder = encoder_of(path.name, found, device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointProblem(f"{path} is not a judge of this version of diffcli") from error
    if about["shape"][0] != channels:
        raise UsageProblem(
            f"{path.name} judges images of {about['shape'][0]} channels, and these have {channels}",
            "choose a judge of images like these",
        )
    return encoder


def encoder_of(name: str, found: Judge, device: torch.device) -> Encoder:
    """A judge as an encoder."""
    about, network = found.about, found.network(device)
    channels, height, width = about["shape"]
    sides = judged_sides(height, width)
    shape = f"{channels}x{sides[0]}x{sides[1]}"
    changed = "" if sides == (height, width) else ", resized to that (bilinear, antialiased)"
    classes = tuple(about["classes"])
    learned = f"{len(classes)} classes" if classes else "quarter turns" if height == width else "mirrorings"
    return Encoder(
        name=name,
        digest=found.digest,
        dimensions=FEATURES,
        preprocessing=f"images of {shape} in [-1, 1]{changed}",
        classes=classes,
        accuracy=about["accuracy"],
        encode=partial(_encode, network, channels, sides, device),
        probabilities=partial(_probabilities, network, device) if classes else None,
        chance=about["chance"],
        origin=f"a small network that learned to tell {learned} of {about['data']} apart",
    )


@torch.no_grad()
def _encode(
    network: JudgeNetwork, channels: int, sides: tuple[int, int], device: torch.device, images: Tensor
) -> Tensor:
    if images.shape[1] != channels:
        raise UsageProblem(f"the judge sees images of {channels} channels, and these have {images.shape[1]}")
    with torch.backends.cudnn.flags(allow_tf32=False):  # features must not depend on the device's precision
        x = resized(images.float(), sides).to(device, memory_format=torch.channels_last)
        return network.features(x).float().cpu()


@torch.no_grad()
def _probabilities(network: JudgeNetwork, device: torch.device, features: Tensor) -> Tensor:
    return network.decide(features.to(device)).softmax(1).cpu()
