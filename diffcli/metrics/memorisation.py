"""Do samples hold copies of training images? Held-out images of the same law, treated exactly alike, are the yardstick.

A copy is nearer to one training image than a third of its distance to any other (Bonnaire et al. 2025; Yoon et al.
2023). That is a ratio: samples that are smoother than images, and so nearer to all of them, are no copies by it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

from diffcli.data.dataset import Dataset
from diffcli.metrics.nearest import VARIANTS, Neighbours, Variant, evenly, nearest

COPY = 1 / 3  # of the distance to the second nearest
IDENTICAL = 1 / 255  # root mean square of values in [-1, 1]: half a grey level, more than rounding to 8 bits makes
RARE = 0.01  # share of the held-out images that are nearer to the training data than the bound for `share`
SIGNIFICANT = 1e-3
PLAUSIBLE = 0.05  # the held-out images alone must not explain it either
REFERENCES = 2000  # where held-out images are fewer, training images among the others make up for them
SHOWN = 10  # pairs
ROWS = 256  # of features that are compared with all training features at once


@dataclass(frozen=True)
class Nearness:
    """Of images to the training images that they are not.

    count:      of images
    distance:   median of that to the nearest, root mean square of values in [-1, 1]
    ratio:      median of that to the nearest over that to the second nearest
    copies:     how many have a ratio below a third or are identical
    identical:  how many differ by less than half a grey level
    """

    count: int
    distance: float
    ratio: float
    copies: int
    identical: int

    @classmethod
    def of(cls, found: Neighbours) -> "Nearness":
        """Of N images, by their neighbours."""
        first, ratio = found.distances[:, 0], ratios(found)
        same = first < IDENTICAL
        copies = int(((ratio < COPY) | same).sum())
        return cls(len(first), _median(first), _median(ratio), copies, int(same.sum()))


class Pair(NamedTuple):
    """A sample and the training image that it is nearest to: their places, and what the training image became."""

    sample: int
    training: int
    distance: float
    ratio: float
    variant: Variant


@dataclass(frozen=True)
class Audit:
    """What is said about copies among samples.

    samples, held:  their nearness to the training data
    training:       that of training images to the others, where held-out images are few; None where they are enough
    share:          of the samples that is nearer to the training data than 99 % of the held-out images: 0.01 if honest
    p_value:        of Fisher's exact test, that samples hold no more copies than images of the same law
    noticeable:     the least share of copies that would have been flagged; None if there is none
    flagged:        whether the samples hold copies
    reason:         one sentence
    pairs:          the ten most like copies, by their ratio
    """

    samples: Nearness
    held: Nearness
    training: Nearness | None
    share: float
    p_value: float
    noticeable: float | None
    flagged: bool
    reason: str
    pairs: tuple[Pair, ...]


def audit(
    samples: Tensor, train: Dataset, held: Tensor, places: Tensor | None = None
) -> Iterator[tuple[int, int, Audit | None]]:
    """Pairs of images compared so far, all of them, and at the end the audit of samples [N, C, H, W] in [-1, 1].

    train:   the images that the model was trained on, of the same shape
    held:    images of the same law that it was not trained on [M, C, H, W], as many as there are samples if possible
    places:  of `train` that it was trained on, int64; all by default

    Raises ValueError for other shapes, values that are no numbers, or fewer than three different training images.
    """
    for images in (samples, held):
        if images.shape[1:] != train.shape or not len(images) or not bool(images.isfinite().all()):
            raise ValueError(f"images of {tuple(train.shape)} with finite values are needed, not {tuple(images.shape)}")
    places = torch.arange(len(train)) if places is None else places
    left_out = evenly(places, max(0, REFERENCES - len(held)))
    for done, total, found in nearest(torch.cat([samples, held]), train, places, left_out):
        if found is None:
            yield done, total, None
        elif bool(found.distances.isinf().any()):
            raise ValueError("at least three different training images are needed")
        else:
            ours, theirs, training = found.split(len(samples), len(held), len(left_out))
            yield total, total, judged(ours, theirs, training if len(left_out) else None)


def judged(samples: Neighbours, held: Neighbours, training: Neighbours | None = None) -> Audit:
    """The audit, by the neighbours of the samples, of held-out images, and of training images among the others.

    Fisher's exact test, one-sided, of copies among samples against those among the references; it is made twice, of
    copies and of identical images, so the smaller p-value counts double (Bonferroni). Training images are references of
    which those that occur twice were left out; so the held-out images alone must not explain the copies either.
    """
    groups = [Nearness.of(group) for group in (samples, held, training) if group is not None]
    tests = [_Test.of(groups, kind) for kind in ("copies", "identical")]
    best = min(tests, key=lambda test: (not test.flagged, test.p_value))
    bound = lower_quantile(held.distances[:, 0], RARE)
    return Audit(
        groups[0], groups[1], groups[2] if training is not None else None, _share_below(samples.distances[:, 0], bound),
        best.p_value, min((t.noticeable for t in tests if t.noticeable is not None), default=None), best.flagged,
        best.reason(), tuple(_pairs(samples)),
    )  # fmt: skip


def ratios(found: Neighbours) -> Tensor:
    """The distance to the nearest over that to the second nearest [N]; 0 where both are 0, for a copy."""
    first, second = found.distances.unbind(1)
    return torch.where(first == 0, 0.0, first / second)


def fisher_p_value(some: int, count: int, others: int, other_count: int) -> float:
    """How often, of `some` + `others` among all, `some` or more are among these `count`, if drawn without regard."""
    return float(stats.hypergeom.sf(some - 1, count + other_count, some + others, count))


def lower_quantile(values: Tensor, share: float) -> float:
    """The value that a further draw of the same law is below with this chance, from draws [M]; at least the smallest.

    Between order statistics: a draw is below the k-th of M with the chance k / (M + 1).
    """
    ordered = values.sort().values
    rank = min(max(share * (len(values) + 1), 1), len(values))
    below, above = ordered[math.floor(rank) - 1].item(), ordered[math.ceil(rank) - 1].item()
    return below + (rank - math.floor(rank)) * (above - below)


class FeatureNearness(NamedTuple):
    """Of samples by features.

    share:       of the samples that is nearer to the training data than 99 % of the held-out images: 0.01 if honest
    ratio:       median of the distance to the nearest over that to the second nearest
    held_ratio:  the same of the held-out images
    """

    share: float
    ratio: float
    held_ratio: float


def nearest_in_features(
    features: Tensor, train: Tensor, held: Tensor
) -> Iterator[tuple[int, int, FeatureNearness | None]]:
    """Images compared so far, all of them, and at the end how near features [N, D] are to those [M, D] of `train`.

    Distances are Euclidean; `held` [L, D] are features of held-out images.
    """
    found, queries = [], torch.cat([features, held])
    centre = train.mean(0)
    columns = (train - centre).T
    squares = columns.square().sum(0)
    for some in (queries - centre).split(ROWS):
        least = torch.addmm(squares, some, columns, alpha=-2).topk(2, dim=1, largest=False)
        exact = (some.unsqueeze(1) - (train[least.indices] - centre)).square().sum(-1).sqrt()
        found.append(exact.sort(dim=1).values)
        yield sum(map(len, found)), len(queries), None
    first, second = torch.cat(found).unbind(1)
    ratio = torch.where(first == 0, 0.0, first / second)
    ours, theirs = ratio.split([len(features), len(held)])
    bound = lower_quantile(first[len(features) :], RARE)
    share = _share_below(first[: len(features)], bound)
    yield len(queries), len(queries), FeatureNearness(share, _median(ours), _median(theirs))


# The verdict


class _Test(NamedTuple):
    """Whether samples hold more copies, or more identical images, than other images of the law do."""

    kind: str
    groups: list[Nearness]
    p_value: float
    alone: float  # the p-value against the held-out images without the training images
    flagged: bool
    noticeable: float | None

    @classmethod
    def of(cls, groups: list[Nearness], kind: str) -> "_Test":
        """Of samples, held-out images and perhaps training images."""
        some, held, *_ = found = [getattr(group, kind) for group in groups]
        count, held_count, *_ = counts = [group.count for group in groups]

        def p_values(some: int) -> tuple[float, float]:
            pooled = fisher_p_value(some, count, sum(found[1:]), sum(counts[1:]))
            return min(1.0, 2 * pooled), fisher_p_value(some, count, held, held_count)

        def flagged(some: int) -> bool:
            p, alone = p_values(some)
            return p < SIGNIFICANT and alone < PLAUSIBLE

        low, high = 0, count + 1  # more copies are never less of a reason
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if middle <= count and flagged(middle) else (middle + 1, high)
        return cls(kind, groups, *p_values(some), flagged(some), low / count if low <= count else None)

    def reason(self) -> str:
        """One sentence."""
        samples, *others = self.groups
        some, *rest = [getattr(group, self.kind) for group in self.groups]
        what = {"copies": "near-copies of", "identical": "identical to"}[self.kind]
        names = ("held-out images", "training images among the others")
        against = " and ".join(
            f"{n} of {group.count:,} {name}" for n, group, name in zip(rest, others, names, strict=False)
        )
        said = f"{some} of {samples.count:,} samples ({some / samples.count:.2%}) are {what} training images"
        said = f"{said.replace('%', ' %')}, against {against}"
        if self.flagged:
            return f"{said}: more than chance allows (p = {self.p_value:.1g})"
        power = (
            "so few that no share of copies would have been noticed" if self.noticeable is None
            else f"copies would have been noticed from {100 * self.noticeable:.2g} % on"
        )  # fmt: skip
        if self.p_value < SIGNIFICANT:
            few = f"the held-out images alone are too few to say that it is no chance (p = {self.alone:.2g})"
            return f"{said} (p = {self.p_value:.1g}); {few}; {power}"
        return f"{said}: no more than chance allows (p = {self.p_value:.2g}); {power}"


def _pairs(found: Neighbours) -> Iterator[Pair]:
    first, ratio = found.distances[:, 0], ratios(found)
    keys = zip(torch.where(first < IDENTICAL, 0.0, ratio).tolist(), first.tolist(), range(len(first)), strict=True)
    for _, distance, i in sorted(keys)[:SHOWN]:
        yield Pair(i, int(found.places[i, 0]), distance, ratio[i].item(), VARIANTS[int(found.variants[i, 0])])


def _median(values: Tensor) -> float:
    return values.quantile(0.5).item()


def _share_below(values: Tensor, bound: float) -> float:
    """Those at the bound count half: where a hundredth of the held-out images are copies, the bound is 0."""
    return ((values < bound).double().mean() + (values == bound).double().mean() / 2).item()
