"""The classification accuracy score: what a classifier learns from samples, it should read in real images."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.errors import UsageProblem
from diffcli.evaluation.features import training
from diffcli.evaluation.features.network import JudgeNetwork
from diffcli.evaluation.quality.judged import Judged
from diffcli.evaluation.quality.reference import Reference, shuffled

BUDGET = 120_000  # images that each classifier sees


class Downstream(NamedTuple):
    """Two classifiers, trained alike on as many images, and read out on real images that neither has seen.

    accuracy:         of the one trained on samples with the classes they were asked for
    real_accuracy:    of the one trained on real images
    trained, tested:  images that each was trained on, and that both read
    """

    accuracy: float
    real_accuracy: float
    trained: int
    tested: int


def check_downstream(conditional: bool, against: Reference) -> None:
    """Raise UsageProblem unless there are classes on both sides."""
    if against.real.labels is None:
        raise UsageProblem(f"--downstream needs classes, and {against.name} has none", "leave it out")
    if not conditional:
        raise UsageProblem(
            "--downstream needs images whose classes are known",
            f"a folder per class, labels in the .npz, or a run with classes: those of {against.name}",
        )


def downstream(judged: Judged, against: Reference, show: Show) -> Downstream:
    """Train both classifiers (Ravuri & Vinyals 2019, section 3) behind a bar, and have them read."""
    assert judged.asked is not None
    samples = replace(judged.images, labels=judged.asked, items=against.train.items)
    count = min(len(samples), len(against.train))
    real = against.train.only(shuffled(len(against.train))[:count])
    tests, accuracies = against.untrained, []
    with show.progress("training two classifiers", 0, "images") as bar:
        for i, data in enumerate((samples.only(torch.arange(count)), real)):
            network = training.new_network(data, torch.device("cpu"))
            for taken in _steps(network, data):
                bar.update(i * taken.total + taken.done, total=2 * taken.total)
            reading = training.reading(network, tests, torch.arange(len(tests)))
            accuracies.append(reading.accuracy)
    return Downstream(accuracies[0], accuracies[1], count, len(tests))


def _steps(network: JudgeNetwork, data: Dataset) -> Iterator[training.JudgeStep]:
    return training.judge_steps(network, data, torch.arange(len(data)), budget=BUDGET)
