"""Do samples help a classifier of two classes? Sensitivity and specificity on real images, with samples and without."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show, table
from diffcli.data.dataset import Dataset, to_pixels
from diffcli.evaluation.features import training
from diffcli.evaluation.features.network import JudgeNetwork
from diffcli.evaluation.quality.judged import Judged
from diffcli.evaluation.quality.reference import Reference

BUDGET = 40_000  # images that each classifier sees
SEEDS = 3  # classifiers of each kind
HEALTHY = ("normal", "benign", "healthy", "negative", "no finding")
CERTAIN = 2.0  # standard errors that a difference must have


class Rates(NamedTuple):
    """How classifiers of one kind read real images; each the mean of several, and its standard error.

    sensitivity:  share of the ill read as ill, and `specificity` that of the healthy read as healthy
    balanced:     the mean of both
    """

    sensitivity: float
    sensitivity_error: float
    specificity: float
    specificity_error: float
    balanced: float
    balanced_error: float


class Diagnosis(NamedTuple):
    """Classifiers of two classes, trained on real images, on samples, and on both; all read the same real images.

    positive:        the class that is looked for
    gain:            balanced accuracy of those trained on both, minus that of those trained on real images
    trained, added:  real images and samples
    tested:          real images of either class that no model and no classifier has seen
    """

    positive: str
    real: Rates
    both: Rates
    samples: Rates
    gain: float
    gain_error: float
    trained: int
    added: int
    tested: int
    seeds: int

    @property
    def verdict(self) -> str:
        """Whether the samples help, either way."""
        size = f"{100 * self.gain:+.1f} ± {100 * self.gain_error:.1f} points of balanced accuracy"
        if self.gain > CERTAIN * self.gain_error:
            return f"samples beside real images help the classifier: {size}"
        if self.gain < -CERTAIN * self.gain_error:
            return f"samples beside real images harm the classifier: {size}"
        return f"samples beside real images make no difference to the classifier that could be told: {size}"

    @property
    def document(self) -> dict[str, Any]:
        """For --json."""
        kinds = {name: getattr(self, name)._asdict() for name in ("real", "both", "samples")}
        return {**self._asdict(), **kinds, "verdict": self.verdict}

    @property
    def lines(self) -> list[str]:
        """A table, and the verdict."""
        rows = []
        for name, rates in (("real", self.real), ("real and samples", self.both), ("samples", self.samples)):
            pairs = (rates[0:2], rates[2:4], rates[4:6])
            rows.append([name, *(f"{100 * value:.1f} ± {100 * error:.1f} %" for value, error in pairs)])
        heads = ["trained on", f"sensitivity ({self.positive})", "specificity", "balanced accuracy"]
        count = f"{self.trained} real images, {self.added} samples; {self.seeds} classifiers each, {self.tested} tests"
        return [count, *table(heads, rows, right=(1, 2, 3)), self.verdict]


def has_two_classes(against: Reference) -> bool:
    """Whether one class can be looked for among real images."""
    return against.real.labels is not None and len(against.real.classes) == 2


def positive_class(classes: tuple[str, ...]) -> int:
    """The number of the class that is looked for: the one whose name does not say healthy, else the second."""
    healthy = [any(word in name.lower() for word in HEALTHY) for name in classes]
    return 0 if healthy == [False, True] else 1


def diagnosed(judged: Judged, against: Reference, show: Show) -> Diagnosis:
    """Train all classifiers and have them read, behind a bar."""
    assert judged.asked is not None
    real, tests = against.train, against.untrained
    samples = replace(judged.images, labels=judged.asked, items=real.items)
    kinds = {"real": real, "both": joined(real, samples), "samples": samples}
    positive = positive_class(real.classes)
    assert tests.labels is not None
    right: dict[str, Tensor] = {}
    count = len(kinds) * SEEDS
    with show.progress(f"training {count} classifiers", 100, "%") as bar:
        for i, (name, data) in enumerate(kinds.items()):
            read = []
            for seed in range(SEEDS):
                network = training.new_network(data, torch.device("cpu"), seed)
                for step in _steps(network, data, seed):
                    bar.update(round(100 * (SEEDS * i + seed + step.done / step.total) / count))
                read.append(training.read_labels(network, tests) == tests.labels)
            right[name] = torch.stack(read).double()
    ill = tests.labels == positive
    difference = right["both"] - right["real"]
    gain = _balanced(difference, ill)
    rates = {name: rates_of(found, ill) for name, found in right.items()}
    return Diagnosis(
        real.classes[positive],
        **rates,
        gain=gain[0],
        gain_error=gain[1],
        trained=len(real),
        added=len(samples),
        tested=len(tests),
        seeds=SEEDS,
    )


def rates_of(right: Tensor, ill: Tensor) -> Rates:
    """The rates of classifiers that read images [N] rightly or not, [seeds, N]. ill: which images are of the class"""
    return Rates(*_share(right[:, ill]), *_share(right[:, ~ill]), *_balanced(right, ill))


def _share(right: Tensor) -> tuple[float, float]:
    """The mean of [seeds, N] and its standard error: that of the images, and that of the classifiers."""
    of_images = right.mean(0).std() / math.sqrt(right.shape[1])
    of_classifiers = right.mean(1).std() / math.sqrt(len(right))
    return right.mean().item(), math.hypot(of_images.item(), of_classifiers.item())


def _balanced(right: Tensor, ill: Tensor) -> tuple[float, float]:
    """The mean of the means of two classes, and its standard error."""
    classes = right[:, ill], right[:, ~ill]
    of_images = [part.mean(0).std().item() / math.sqrt(part.shape[1]) / 2 for part in classes]
    each = torch.stack([part.mean(1) for part in classes]).mean(0)
    return each.mean().item(), math.hypot(*of_images, each.std().item() / math.sqrt(len(each)))


def joined(real: Dataset, samples: Dataset) -> Dataset:
    """Real images and samples as one data set, 8-bit pixels in memory."""
    pixels = to_pixels(torch.cat([part.take(torch.arange(len(part)))[0] for part in (real, samples)]))
    assert real.labels is not None and samples.labels is not None
    mark = f"{real.fingerprint}+{samples.fingerprint}"
    return Dataset(real.name, real.items, pixels, torch.cat([real.labels, samples.labels]), mark)


def _steps(network: JudgeNetwork, data: Dataset, seed: int) -> Iterator[training.JudgeStep]:
    return training.judge_steps(network, data, torch.arange(len(data)), budget=BUDGET, seed=seed)
