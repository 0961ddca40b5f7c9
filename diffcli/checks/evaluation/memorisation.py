"""The search for copies of training images: by brute force, planted copies, duplicates, and the test by hand."""

import itertools
import math
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.metrics.memorisation import (
    Audit,
    audit,
    fisher_p_value,
    judged,
    lower_quantile,
    nearest_in_features,
)
from diffcli.metrics.nearest import CHUNK, VARIANTS, Directions, Neighbours, nearest

Result = TypeVar("Result")
Moves = tuple[int, int, bool]

MOVES: list[Moves] = list(itertools.product((0, -1, 1), (0, -1, 1), (False, True)))


def smooth(count: int, shape: tuple[int, int, int], seed: int) -> Tensor:
    """Images of 5x5 random values with lines between them, rounded to 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, shape[0], 5, 5, generator=generator) * 2 - 1
    images = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear", align_corners=True)
    return ((images + 1) * 127.5).round() / 127.5 - 1


def training(images: Tensor) -> Dataset:
    """Images [N, C, H, W] on the grid of 8-bit values as training data."""
    shape = tuple(images.shape[1:])
    return Dataset("toy", Items(IMAGES, shape), ((images + 1) * 127.5).round().to(torch.uint8), None, "")


def end(steps: Iterator[tuple[int, int, Result | None]]) -> Result:
    """What comes at the end."""
    *_, (done, total, result) = steps
    assert result is not None and done == total
    return result


def moved(images: Tensor, moves: Moves) -> Tensor:
    """Images [N, C, H, W] so many pixels down and right, then mirrored; nan where nothing came from."""
    down, right, mirrored = moves
    height, width = images.shape[-2:]
    result = torch.full_like(images, torch.nan)
    for i, j in itertools.product(range(height), range(width)):
        if 0 <= i - down < height and 0 <= j - right < width:
            place = width - 1 - j if mirrored else j
            result[..., i, place] = images[..., i - down, j - right]
    return result


def smoothed(images: Tensor) -> Tensor:
    """Each pixel that has eight neighbours, with theirs, by the weights 1 2 1, 2 4 2, 1 2 1 over 16; float64."""
    height, width = images.shape[-2:]
    result = torch.zeros(*images.shape[:2], height - 2, width - 2, dtype=torch.float64)
    for (i, a), (j, b) in itertools.product(enumerate((1, 2, 1)), enumerate((1, 2, 1))):
        result += a * b / 16 * images[..., i : height - 2 + i, j : width - 2 + j].double()
    return result


def all_distances(queries: Tensor, train: Tensor) -> Tensor:
    """Of each query from each training image, for every move, [18, N, M]: only what lies inside by a pixel moves."""
    core = torch.full_like(train, torch.nan)
    core[..., 1:-1, 1:-1] = train[..., 1:-1, 1:-1]
    found = []
    for moves in MOVES:
        images = moved(core, moves)
        known = ~images[0].isnan()
        pairs = torch.cdist(queries[:, known], images[:, known], compute_mode="donot_use_mm_for_euclid_dist")
        found.append(pairs / math.sqrt(int(known.sum())))
    return torch.stack(found)


def agree(case: str, distances: Tensor, found: Neighbours, known: Tensor) -> Iterator[Finding]:
    """That the neighbours are the two smallest of distances [N, M] from training images at known places [M]."""
    order = distances.argsort(1)[:, :2]
    yield near(f"distances {case}", distances.gather(1, order), found.distances, rel=1e-5, abs=1e-6)
    yield near(f"places {case}", known[order], found.places)


@check(
    "the two nearest training images are those of brute force over nine moves, mirrored or not, inside the frame",
    "Bonnaire et al. 2025, section 2",
)
def nearest_by_brute_force() -> Iterator[Finding]:
    train, queries = smooth(60, (1, 16, 17), 1), smooth(12, (1, 16, 17), 2)
    truth = all_distances(smoothed(queries), smoothed(train)).amin(0)
    yield from agree("smoothed", truth, end(nearest(queries, training(train))), torch.arange(60))
    some = torch.tensor([3, 8, 15, 31, 32, 50])
    found = end(nearest(queries, training(train), some))
    yield from agree("of some places", truth[:, some], found, some)
    many, few = smooth(CHUNK + 200, (1, 5, 6), 3), smooth(6, (1, 5, 6), 4)
    truth = all_distances(few.double(), many.double()).amin(0)
    yield from agree("of many tiny images", truth, end(nearest(few, training(many))), torch.arange(len(many)))
    large, larger = smooth(20, (3, 40, 44), 5), smooth(5, (3, 40, 44), 6)
    halves = [torch.nn.functional.avg_pool2d(images.double(), 2) for images in (larger, large)]
    truth = all_distances(*map(smoothed, halves)).amin(0)
    yield from agree("reduced", truth, end(nearest(larger, training(large))), torch.arange(20))


@check(
    "a copy is found at its place, whichever of the 18 ways it was moved; noise leaves 3/8 of its deviation",
    "weights (1, 2, 1) / 4 along both sides: the sum of their squares is (3/8)²",
)
def planted_copies() -> Iterator[Finding]:
    train, generator = smooth(200, (1, 20, 20), 7), torch.Generator().manual_seed(8)
    places = torch.randperm(200, generator=generator)[:18]
    copies = torch.cat([moved(train[place].unsqueeze(0), moves) for place, moves in zip(places, MOVES, strict=True)])
    copies = torch.where(copies.isnan(), torch.rand(copies.shape, generator=generator) * 2 - 1, copies)
    found = end(nearest(copies, training(train)))
    yield near("places", places, found.places[:, 0])
    yield near("moves", torch.tensor(MOVES).double(), torch.tensor([VARIANTS[i] for i in found.variants[:, 0]]))
    still = torch.tensor([not (down or right) for down, right, _ in MOVES])
    yield near("distances of those that stay", 0, found.distances[still, 0], abs=1e-6)
    noisy = train[places] + 0.05 * torch.randn(18, 1, 20, 20, generator=generator)
    found = end(nearest(noisy, training(train)))
    yield near("places with noise", places, found.places[:, 0])
    # neighbouring smoothed values correlate by 2/3 and 1/6 along a side: a mean square of n is worth 0.26 n free ones
    error = 1 / math.sqrt(2 * 18 * 16 * 16 * 0.26)
    yield near("its deviation", 0.05 * 3 / 8, found.distances[:, 0].square().mean().sqrt(), rel=4.5 * error)


@check(
    "training images that occur twice, or mirrored, count once; one that is left out is not its own neighbour",
    "one nearest image and the nearest of the others",
)
def duplicates() -> Iterator[Finding]:
    once = smooth(50, (1, 16, 16), 9)
    train = torch.cat([once, once[10:30], once[20:40].flip(-1), once[:5], once[:5]])
    found = end(nearest(once[[0, 12, 25, 35]], training(train)))
    yield near("copies of duplicates", 0, found.distances[:, 0], abs=1e-6)
    yield near("are the first of them", torch.tensor([0, 12, 25, 35]), found.places[:, 0])
    truth = all_distances(smoothed(once), smoothed(once)).amin(0).fill_diagonal_(torch.inf)
    yield near("second", truth[[0, 12, 25, 35]].amin(1), found.distances[:, 1], rel=1e-5)
    left_out = torch.tensor([0, 7, 52, 75, 99])
    own = torch.tensor([0, 7, 12, 25, 4])  # the first that are equal
    far = smooth(CHUNK + 10, (1, 5, 6), 16)
    far[-5:] = far[:5].flip(-1)
    found = end(nearest(far[:5], training(far)))
    truth_of_five = all_distances(far[:5].double(), far[:-5].double()).amin(0)
    yield from agree("of duplicates far apart", truth_of_five, found, torch.arange(len(far) - 5))
    found = end(nearest(once[:1], training(train), None, left_out))
    yield from agree("left out", truth[own], found.rows(slice(1, None)), torch.arange(50))


@check(
    "what the search goes by never overestimates a distance, and is exact where there are directions enough",
    "the Pythagorean theorem; the reverse triangle inequality",
)
def bound_of_the_search() -> Iterator[Finding]:
    for dimensions in (30, 100):
        generator = torch.Generator().manual_seed(dimensions)
        images, queries = (torch.randn(200, dimensions, generator=generator) for _ in range(2))
        images = images * torch.linspace(2, 0.1, dimensions)
        directions = Directions.fitted(images)
        bounds = -2 * (directions.rows(queries) @ directions.columns(images)).double()
        along, rest = [], []
        for points in (queries, images):
            centred = (points - images.mean(0)).double()
            basis = directions.basis.double()
            along.append(centred @ basis)
            rest.append((centred - along[-1] @ basis.T).norm(dim=1))
        truth = torch.cdist(along[0], along[1]).square() + (rest[0].unsqueeze(1) - rest[1]).square()
        yield near(f"bound in {dimensions} dimensions", truth, bounds, abs=1e-4 * dimensions)
        beyond = (bounds - torch.cdist(queries.double(), images.double()).square()).amax().clamp(min=0)
        yield near("never more than the distance", 0, beyond, abs=1e-4 * dimensions)
    full = torch.randn(200, 60, generator=generator) @ torch.diag(torch.tensor([3.0] * 45 + [0.01] * 15)) + 10
    shares = (full - full.mean(0)) @ Directions.fitted(full).basis
    yield near("directions of variance", 1, shares.square().sum() / (full - full.mean(0)).square().sum(), abs=1e-4)


def neighbours(first: Tensor, second: Tensor) -> Neighbours:
    """With these distances [N] each, and places 100 + n."""
    places = 100 + torch.arange(len(first)).unsqueeze(1).expand(-1, 2)
    return Neighbours(torch.stack([first, second], 1), places, torch.zeros(len(first), 2).long())


def by_hand(some: int, count: int, others: int, other_count: int) -> float:
    """The chance of at least `some` red ones among `count` of all, where some + others of all are red."""
    red, everything = some + others, count + other_count
    ways = sum(math.comb(red, k) * math.comb(everything - red, count - k) for k in range(some, min(red, count) + 1))
    return ways / math.comb(everything, count)


@check(
    "copies are counted below a third of the distance to the second nearest, and tested by Fisher's exact test",
    "Fisher 1935, The Design of Experiments, section 21; Bonnaire et al. 2025",
)
def verdict_on_copies() -> Iterator[Finding]:
    for case in ((5, 100, 0, 200), (3, 40, 2, 30), (0, 10, 3, 20), (17, 20, 1, 400)):
        yield near(f"p-value of {case}", by_hand(*case), fisher_p_value(*case), rel=1e-9)
    generator = torch.Generator().manual_seed(10)
    second = 0.2 + 0.1 * torch.rand(400, generator=generator)
    first = second * (0.5 + 0.5 * torch.rand(400, generator=generator))
    held = neighbours(first[200:], second[200:])
    first[:6] = second[:6] * torch.tensor([0.3, 0.34, 0.1, 0.33, 0.2, 0.25])
    first[6:9], second[6:8] = torch.tensor([0.003, 0.0, 0.005]), torch.tensor([0.0031, 0.0])
    said = judged(neighbours(first[:200], second[:200]), held)
    yield near("copies", 8, said.samples.copies)
    yield near("identical", 2, said.samples.identical)
    yield near("of held-out images", 0, said.held.copies + said.held.identical)
    yield near("median ratio", (first[200:] / second[200:]).quantile(0.5), said.held.ratio, rel=1e-6)
    ratio = torch.where(second[:200] == 0, 0.0, first[:200] / second[:200])
    yield near("median ratio of samples", ratio.quantile(0.5), said.samples.ratio, rel=1e-6)
    yield near("median distance", first[:200].quantile(0.5), said.samples.distance, rel=1e-6)
    bound = first[200:].sort().values  # 0.01 of 201: a hundredth of the way from the second to the third
    yield near("share", (first[:200] < bound[1] + 0.01 * (bound[2] - bound[1])).double().mean(), said.share, abs=1e-9)
    yield near("p-value", 2 * by_hand(8, 200, 0, 200), said.p_value, rel=1e-9)
    yield near("8 of 200 are too few", 0, said.flagged)
    least = next(k for k in range(201) if 2 * by_hand(k, 200, 0, 200) < 1e-3)
    yield near("noticeable", least / 200, said.noticeable or 0, rel=1e-9)
    wanted = torch.tensor([107, 106, 108, 102, 104, 105, 100, 103, 101]).double()
    yield near("pairs", wanted, torch.tensor([pair.training for pair in said.pairs[:9]]))
    more = neighbours(first.clone()[:200], second[:200])
    more.distances[20:30, 0] = more.distances[20:30, 1] / 4
    yield near("18 of 200 are not", 1, judged(more, held).flagged)
    leaks, ours = held.distances[:, 0].clone(), first[:200].clone()
    leaks[:10], ours[:30] = 0, 0
    tied = judged(neighbours(ours, second[:200]), neighbours(leaks, second[200:]))
    yield near("share where held-out images are copies", 30 / 400, tied.share)
    yield near("held-out images are not", 0, judged(held, neighbours(first[:200], second[:200])).flagged)


def clouds(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.rand(count, dimensions, generator=torch.Generator().manual_seed(seed))


@check(
    "of draws of one law 1 % is nearer than 99 % of held-out draws; r1 / r2 is below c with the chance c to the D",
    "order statistics: P(X < X_(k)) = k / (M + 1); Poisson points in D dimensions",
)
def honest_samples() -> Iterator[Finding]:
    for count in (50, 130, 260):
        draws = clouds(1500, count, count)
        chance = torch.tensor([lower_quantile(some, 0.01) for some in draws])  # of uniform draws: the value is it
        wanted = max(0.01, 1 / (count + 1))
        error = math.sqrt(wanted * 2 / (count * 1500))
        yield near(f"chance with {count}", wanted, chance.mean(), abs=4.5 * error)
    train, ours, held = clouds(4000, 2, 11), clouds(4000, 2, 12), clouds(3000, 2, 13)
    found = end(nearest_in_features(ours, train, held))
    error = math.sqrt(0.01 * 0.99 * (1 / 4000 + 1 / 3000))
    yield near("share", 0.01, found.share, abs=4.5 * error)
    error = 0.5 / math.sqrt(2) * math.sqrt(1 / 3000 + 1 / 4000)
    for case, ratio in (("of samples", found.ratio), ("of held-out", found.held_ratio)):
        yield near(f"median ratio {case}", 0.5 ** (1 / 2), ratio, abs=4.5 * error)
    few = [points[:n].double() for points, n in ((train, 40), (ours, 30), (held, 120))]
    distances = [[sorted(math.dist(p, t) for t in few[0].tolist())[:2] for p in part.tolist()] for part in few[1:]]
    bounds = sorted(first for first, _ in distances[1])
    share = sum(first < bounds[0] + 0.21 * (bounds[1] - bounds[0]) for first, _ in distances[0]) / 30
    said = end(nearest_in_features(few[1], few[0], few[2]))
    yield near("share by hand", share, said.share, abs=1e-9)
    ratios = [torch.tensor([a / b for a, b in part]).quantile(0.5) for part in distances]
    yield near("ratios by hand", torch.stack(ratios), torch.tensor([said.ratio, said.held_ratio]), rel=1e-6)


@check(
    "one sample in twenty that is a copy is noticed, plain, moved, mirrored or noisy; honest and smoother ones pass",
    "Fisher's exact test at 0.001",
)
def audits() -> Iterator[Finding]:
    everything = smooth(500, (1, 16, 16), 14)
    train, held, honest = everything[:200], everything[200:300], everything[300:]

    def said(samples: Tensor, held: Tensor = held) -> Audit:
        return end(audit(samples, training(train), held))

    found = said(honest)
    yield near("honest", 0, found.flagged)
    yield near("share", 0.01, found.share, abs=4.5 * math.sqrt(0.01 * 0.99 * (1 / 200 + 1 / 100)))
    apart = all_distances(smoothed(train), smoothed(train)).amin(0).fill_diagonal_(torch.inf).sort(1).values
    yield near("training images", apart[:, 0].quantile(0.5), found.training.distance if found.training else 0, rel=1e-5)
    yield near(
        "and their ratio",
        (apart[:, 0] / apart[:, 1]).quantile(0.5),
        found.training.ratio if found.training else 0,
        rel=1e-5,
    )
    noise = 0.05 * torch.randn(10, 1, 16, 16, generator=torch.Generator().manual_seed(15))
    for moves in ((0, 0, True), (1, -1, False)):
        copies = moved(train[40:50], moves).nan_to_num(0.3)
        yield near(f"copies {moves}", 1, said(torch.cat([honest[10:], copies])).flagged)
        yield near(f"noisy ones {moves}", 1, said(torch.cat([copies + noise, honest[10:]])).flagged)
    smoother = said(0.5 * honest + 0.5 * honest.mean(0))
    yield near("smoother ones", 0, smoother.flagged)
    yield near("nearer to the data", 1, smoother.share > 0.05)
    yield near(
        "the same leak in both", 0, said(torch.cat([honest, train[:20]]), torch.cat([held, train[50:60]])).flagged
    )
