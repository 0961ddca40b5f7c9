"""What is made of measured numbers: classes read, the setting to take, and which settings nothing beats."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.evaluation.comparison.verdict import verdict_of
from diffcli.evaluation.features.encoder import Encoder
from diffcli.evaluation.quality.conditions import read_classes


def reader(probabilities: dict[int, list[float]]) -> Encoder:
    """An encoder whose one feature is a number that stands for these probabilities of three classes."""

    def found(features: Tensor) -> Tensor:
        return torch.tensor([probabilities[int(number)] for number in features[:, 0]])

    return Encoder("fake", "0" * 16, 1, "", ("a", "b", "c"), 0.9, lambda images: images.flatten(1), found)


@check(
    "agreement is the share read as asked, per class of those asked for; confidence the mean of the highest "
    "probability; imbalance the total variation from the real shares",
    "the definitions",
)
def classes_read() -> Iterator[Finding]:
    judge = reader({0: [0.8, 0.1, 0.1], 1: [0.2, 0.5, 0.3], 2: [0.1, 0.2, 0.7]})
    features = torch.tensor([0, 0, 1, 1, 1, 2]).float().unsqueeze(1)
    asked, real = torch.tensor([0, 0, 1, 1, 0, 0]), torch.tensor([0, 0, 1, 2])
    found = read_classes(judge, features, asked, real)
    assert found is not None and found.agreement is not None and found.agreement_error is not None
    yield near("agreement", 4 / 6, found.agreement, rel=1e-6)
    yield near("its error", math.sqrt(4 / 6 * 2 / 6 / 5), found.agreement_error, rel=1e-6)
    yield near("of class a", 2 / 4, found.per_class[0] or 0.0, rel=1e-6)
    yield near("of class b", 1, found.per_class[1] or 0.0, rel=1e-6)
    yield near("of class c, never asked for", 1, float(found.per_class[2] is None))
    yield near("confidence", (2 * 0.8 + 3 * 0.5 + 0.7) / 6, found.confidence, rel=1e-6)
    yield near("shares", torch.tensor([2, 3, 1]) / 6, torch.tensor(found.shares), rel=1e-6)
    imbalance = (abs(2 / 6 - 2 / 4) + abs(3 / 6 - 1 / 4) + abs(1 / 6 - 1 / 4)) / 2
    yield near("imbalance", imbalance, found.imbalance, rel=1e-6)
    given = read_classes(judge, features, None, real)
    yield near("no agreement where nothing was asked for", 1, float(given is not None and given.agreement is None))


@check("the setting to take is the cheapest within two standard errors of the smallest distance", "the definition")
def settings_to_take() -> Iterator[Finding]:
    errors = torch.tensor([[0.0, 0.4, 0.2, 0.1], [0.4, 0.0, 0.5, 0.4], [0.2, 0.5, 0.0, 0.3], [0.1, 0.4, 0.3, 0.0]])
    cases = {
        # distances, evaluations: the smallest, the one to take
        "the second is within, and cheaper": ([5.0, 5.7, 6.0, 7.0], [50, 5, 10, 20], 0, 1),
        "the second is just without": ([5.0, 5.9, 5.3, 7.0], [50, 5, 10, 20], 0, 2),
        "nothing is within": ([5.0, 6.0, 6.0, 7.0], [50, 5, 10, 20], 0, 0),
        "cheaper ones are no better than the error of another pair": ([5.0, 6.0, 5.9, 5.25], [50, 5, 4, 20], 0, 0),
        "the error is that of the pair with the smallest": ([5.3, 5.0, 6.5, 9.0], [10, 50, 20, 1], 1, 0),
        "of two that cost the same the better": ([5.3, 5.0, 5.1, 9.0], [10, 50, 10, 1], 1, 2),
    }
    for name, (distances, evaluations, lowest, best) in cases.items():
        found = verdict_of(distances, errors, evaluations)
        yield near(f"{name}: the smallest", lowest, found.lowest)
        yield near(f"{name}: to take", best, found.best)
