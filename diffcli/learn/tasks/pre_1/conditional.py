"""Held to the package's own conditional, which `verify` holds to the joint density."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def conditional(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    """The law of the other coordinates of a Gaussian, where those at `places` are known to have `values`.

    mean:       [D]
    covariance: [D, D], symmetric and positive definite
    places:     K different indices, from 0 to D - 1, in any order; 0 < K < D
    values:     [K], values[i] is that of the coordinate places[i]

    Returns (mean [D - K], covariance [D - K, D - K]) of the coordinates that are not in places, by rising index.
    """
    rest = [i for i in range(len(mean)) if i not in places]
    across = covariance[rest][:, places]
    slope = torch.linalg.solve(covariance[places][:, places], across.T).T
    found = mean[rest] + slope @ (values - mean[places])
    return found, covariance[rest][:, rest] - slope @ across.T


def truth(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    law = Normal(mean, covariance).given(places, values)
    return law.mean, law.covariance


def questions(ask: Ask) -> Iterator[Seen]:
    def numbers(*rows: list[float]) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)

    def asked(case: str, mean: Tensor, covariance: Tensor, places: list[int], values: list[float]) -> Iterator[Seen]:
        answer = ask(mean, covariance, places, torch.tensor(values, dtype=torch.float64))
        for name, found in zip(
            ("the mean", "the covariance"), parted(answer, "the mean", "the covariance"), strict=True
        ):
            yield Seen(f"{case}: {name}", found)

    noisy = numbers([1.0, 1.0], [1.0, 1.25])  # x0, and x0 with noise of variance 0.25
    yield from asked("x0 ~ N(0, 1), where x0 + 0.5 eps is 1", numbers([0.0, 0.0])[0], noisy, [1], [1.0])
    wide = numbers([1.0, 0.6, -0.2, 0.1], [0.6, 2.0, 0.3, -0.5], [-0.2, 0.3, 0.5, 0.2], [0.1, -0.5, 0.2, 1.5])
    mean = numbers([0.5, -1.0, 0.3, 2.0])[0]
    for places, values in (([0], [1.5]), ([0, 2], [1.5, -0.4]), ([3, 1], [0.5, 2.0]), ([2, 0, 3], [0.1, -1.0, 3.0])):
        yield from asked(f"four coordinates, those at {places} are {values}", mean, wide, places, values)


WRONG = [
    Swap("not-centred", "with the values themselves, not with how far they are from their mean",
         "the case that the values are just what was expected", "(values - mean[places])", "values"),
    Swap("no-mean", "without the mean of what is not known", "the guess before anything is seen: μ_r",
         "found = mean[rest] + slope", "found = slope"),
    Swap("sign", "when a surprise pulls in the wrong direction",
         "the sign of the slope: positive for a positive covariance", "mean[rest] + slope", "mean[rest] - slope"),
    Swap("not-narrower", "when knowing something leaves the covariance as it was",
         "what knowledge does to a spread, whatever the values are", "[:, rest] - slope @ across.T", "[:, rest]"),
    Swap("wider", "when knowing something makes the rest wider", "the sign in Σ_rr − Σ_rk Σ_kk⁻¹ Σ_kr",
         "[:, rest] - slope", "[:, rest] + slope"),
    Swap("wrong-block", "with the inverse of the block of what is not known",
         "the spread that the surprise is measured in: that of what is known",
         "torch.linalg.solve(covariance[places][:, places], across.T).T",
         "torch.linalg.solve(covariance[rest][:, rest], across)"),
    Swap("not-divided", "with the covariance for the slope: it is divided by the spread of what is known",
         "the unit of the slope", "torch.linalg.solve(covariance[places][:, places], across.T).T", "across"),
    Swap("known-independent", "if the known coordinates are taken for independent of each other",
         "the block of `places`: all of it is inverted, not its diagonal",
         "torch.linalg.solve(covariance[places][:, places], across.T).T",
         "across / covariance[places][:, places].diagonal()"),
]  # fmt: skip


@wrong("when places are sorted and values are not", "what the docstring says of values[i]: it belongs to places[i]")
def sorted_places(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    return conditional(mean, covariance, sorted(places), values)


@wrong("with the marginal law, which knows nothing of the values", "what the known coordinates say of the others")
def marginal(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    rest = [i for i in range(len(mean)) if i not in places]
    return mean[rest], covariance[rest][:, rest]


@right
def by_precision(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    """Bishop (2006), eq. 2.73 and 2.75."""
    rest = [i for i in range(len(mean)) if i not in places]
    precision = torch.linalg.inv(covariance)
    spread = torch.linalg.inv(precision[rest][:, rest])
    return mean[rest] - spread @ precision[rest][:, places] @ (values - mean[places]), spread


@right
def one_after_the_other(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    left = list(range(len(mean)))
    for place, value in zip(places, values.tolist(), strict=True):
        here = left.index(place)
        slope = covariance[:, here] / covariance[here, here]
        mean = mean + slope * (value - mean[here])
        covariance = covariance - torch.outer(slope, covariance[here])
        kept = [i for i in range(len(left)) if i != here]
        mean, covariance = mean[kept], covariance[kept][:, kept]
        left.remove(place)
    return mean, covariance


@right
def with_a_mask(mean: Tensor, covariance: Tensor, places: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
    """The known ones in rising order, with their values in the same."""
    known = torch.zeros(len(mean), dtype=torch.bool)
    known[places] = True
    ordered = values[torch.tensor(places).argsort()]
    inverse = torch.linalg.inv(covariance[known][:, known])
    across = covariance[~known][:, known]
    return mean[~known] + across @ inverse @ (ordered - mean[known]), covariance[~known][
        :, ~known
    ] - across @ inverse @ across.T
