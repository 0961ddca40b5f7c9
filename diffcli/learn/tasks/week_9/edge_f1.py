"""Held to distances between all pairs of edge pixels, of which the function need not know."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def edge_f1(found: Tensor, wanted: Tensor) -> Tensor:
    """How well the edges found in images are those that were wanted: F1 with a tolerance of one pixel.

    Precision is the share of the found edge pixels that have a wanted one among the nine places around them (their own
    and the eight next to it); recall is the share of the wanted ones that have a found one there. A share of nothing is
    0. F1 is their harmonic mean, 0 where both are 0; where there are edges in neither map it is 1.

    found:  [B, 1, H, W], 1 where there is an edge, -1 elsewhere
    wanted: likewise

    Returns [B], in [0, 1].
    """
    a, b = (found > 0).float(), (wanted > 0).float()
    near_a, near_b = (F.max_pool2d(edges, 3, stride=1, padding=1) for edges in (a, b))
    count_a, count_b = a.flatten(1).sum(1), b.flatten(1).sum(1)
    precision = (a * near_b).flatten(1).sum(1) / count_a.clamp(min=1)
    recall = (b * near_a).flatten(1).sum(1) / count_b.clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return torch.where(count_a + count_b == 0, 1.0, f1)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("two maps of 6 x 7 beside themselves", ask(*maps(ONE, ONE)))
    yield Seen("four maps of 6 x 7", ask(*maps(FOUND, WANTED)))
    yield Seen("the same, found and wanted exchanged", ask(*maps(WANTED, FOUND)))
    generator = torch.Generator().manual_seed(0)
    random = [2 * (torch.rand(3, 1, 9, 8, generator=generator) < share).float() - 1 for share in (0.2, 0.1)]
    yield Seen("three maps of 9 x 8, every fifth pixel found, every tenth wanted", ask(*random))
    empty = torch.full((1, 1, 4, 4), -1.0)
    yield Seen("nothing found, nothing wanted", ask(empty, empty))
    yield Seen("nothing found, something wanted", ask(empty, maps(ONE, ONE)[0][:1, :, :4, :4]))
    yield Seen("something found, nothing wanted", ask(maps(ONE, ONE)[0][:1, :, :4, :4], empty))


ONE = (((2, 2),), ((1, 1), (1, 3)))
FOUND = (((0, 0), (0, 1), (0, 2), (3, 3)), ((2, 2), (2, 3), (2, 4)), ((0, 6), (5, 0)), ((3, 1), (3, 2), (3, 3), (3, 4)))
WANTED = (((1, 1), (4, 4)), ((2, 4), (2, 5), (4, 1), (5, 6)), ((0, 0), (5, 6)), ((5, 1), (5, 2), (3, 4)))


def maps(*sides: tuple[tuple[tuple[int, int], ...], ...]) -> list[Tensor]:
    """Maps of edges [B, 1, 6, 7] with edges at these rows and columns."""
    made = []
    for side in sides:
        drawn = torch.full((len(side), 1, 6, 7), -1.0)
        for i, pixels in enumerate(side):
            for row, column in pixels:
                drawn[i, 0, row, column] = 1
        made.append(drawn)
    return made


def truth(found: Tensor, wanted: Tensor) -> Tensor:
    scores = []
    for a, b in zip(found[:, 0], wanted[:, 0], strict=True):
        of_a, of_b = ((one > 0).nonzero().double() for one in (a, b))
        if not len(of_a) or not len(of_b):
            scores.append(float(len(of_a) == len(of_b)))
            continue
        near = torch.cdist(of_a, of_b, p=math.inf) <= 1
        precision, recall = (near.any(dim).double().mean().item() for dim in (1, 0))
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return torch.tensor(scores)


WRONG = [
    Swap(
        "no-tolerance",
        "without tolerance: a line that lies a pixel beside counts as wrong",
        "the nine places around a pixel",
        "F.max_pool2d(edges, 3, stride=1, padding=1)",
        "edges",
    ),
    Swap(
        "two-pixels",
        "with a tolerance of two pixels",
        "the size of the window: three places in each direction, the middle one being the pixel's own",
        "3, stride=1, padding=1",
        "5, stride=1, padding=2",
    ),
    Swap(
        "precision-only",
        "with precision alone: a single pixel on the right line would be perfect",
        "what is wanted and was not found: recall",
        "f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)",
        "f1 = precision",
    ),
    Swap(
        "recall-only",
        "with recall alone: a map full of edges would be perfect",
        "what was found and is not wanted: precision",
        "f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)",
        "f1 = recall",
    ),
    Swap(
        "arithmetic-mean",
        "with the arithmetic mean of precision and recall",
        "the mean: the harmonic one is small where either is",
        "2 * precision * recall / (precision + recall).clamp(min=1e-12)",
        "(precision + recall) / 2",
    ),
    Swap(
        "no-two",
        "without the 2 of the harmonic mean",
        "two equal numbers: their mean is the same",
        "2 * precision * recall",
        "precision * recall",
    ),
    Swap(
        "everything-an-edge",
        "when -1 counts as an edge, too",
        "what the maps hold: 1 and -1, and both are true in Python",
        "(found > 0).float(), (wanted > 0).float()",
        "(found != 0).float(), (wanted != 0).float()",
    ),
    Swap(
        "nothing-is-zero",
        "with 0 where there are edges in neither map, though nothing is wrong there",
        "the docstring, on maps without edges",
        "torch.where(count_a + count_b == 0, 1.0, f1)",
        "f1",
    ),
    Swap(
        "half-tolerant",
        "with a tolerance for what is found and none for what is wanted",
        "recall: it has the same tolerance",
        "(b * near_a)",
        "(b * a)",
    ),
]


@wrong(
    "with the four places beside a pixel: those at its corners are left out", "the nine places: corners count as near"
)
def four_neighbours(found: Tensor, wanted: Tensor) -> Tensor:
    return scored(found, wanted, lambda edges: F.conv2d(edges, CROSS, padding=1).clamp(max=1))


@wrong(
    "with the overlap of lines that were made thick, both of them",
    "what is counted: edge pixels of one map, near those of the other",
)
def thick_lines(found: Tensor, wanted: Tensor) -> Tensor:
    a, b = (F.max_pool2d(side, 3, stride=1, padding=1) for side in (found, wanted))
    return scored(a, b, lambda edges: edges)


@wrong("when the image goes on at its other side", "the borders: beyond them is nothing; `torch.roll` turns around")
def around_the_border(found: Tensor, wanted: Tensor) -> Tensor:
    def near(edges: Tensor) -> Tensor:
        return torch.stack([edges.roll((dy, dx), (2, 3)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]).amax(0)

    return scored(found, wanted, near)


@wrong("with the pixels of the whole batch in one score", "the shape [B]: each image has a score")
def of_the_batch(found: Tensor, wanted: Tensor) -> Tensor:
    joined = [torch.cat([F.pad(one, (2, 2, 2, 2), value=-1.0) for one in side.split(1)], 3) for side in (found, wanted)]
    return edge_f1(*joined).expand(len(found))


@wrong(
    "with nan where a quotient is 0 over 0",
    "the docstring: a share of nothing is 0, and so is F1 where both shares are",
)
def zero_over_zero(found: Tensor, wanted: Tensor) -> Tensor:
    a, b = (found > 0).float(), (wanted > 0).float()
    near_a, near_b = (F.max_pool2d(edges, 3, stride=1, padding=1) for edges in (a, b))
    precision = (a * near_b).flatten(1).sum(1) / a.flatten(1).sum(1)
    recall = (b * near_a).flatten(1).sum(1) / b.flatten(1).sum(1)
    return 2 * precision * recall / (precision + recall)


CROSS = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]]])


def scored(found: Tensor, wanted: Tensor, near: Callable[[Tensor], Tensor]) -> Tensor:
    """F1 with another idea of what is near: maps [B, 1, H, W] of 0 and 1 -> the like."""
    a, b = (found > 0).float(), (wanted > 0).float()
    sums = [one.flatten(1).sum(1) for one in (a, b, a * near(b), b * near(a))]
    precision, recall = sums[2] / sums[0].clamp(min=1), sums[3] / sums[1].clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return torch.where(sums[0] + sums[1] == 0, 1.0, f1)


@right
def by_shifts(found: Tensor, wanted: Tensor) -> Tensor:
    def near(edges: Tensor) -> Tensor:
        padded = F.pad(edges, (1, 1, 1, 1))
        height, width = edges.shape[2:]
        shifts = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
        return (sum(shifts[1:], shifts[0]) > 0).float()

    return scored(found, wanted, near)


@right
def by_numpy(found: Tensor, wanted: Tensor) -> list[float]:
    from scipy.ndimage import binary_dilation

    scores = []
    for a, b in zip(found[:, 0].numpy() > 0, wanted[:, 0].numpy() > 0, strict=True):
        if not a.any() and not b.any():
            scores.append(1.0)
            continue
        hits = [(one & binary_dilation(other, [[1] * 3] * 3)).sum() for one, other in ((a, b), (b, a))]
        precision, recall = (hit / max(one.sum(), 1) for hit, one in zip(hits, (a, b), strict=True))
        scores.append(float(0 if precision + recall == 0 else 2 / (1 / precision + 1 / recall)))
    return scores


@right
def by_pixels(found: Tensor, wanted: Tensor) -> Tensor:
    scores = []
    for image in range(len(found)):
        a, b = ({tuple(place) for place in (side[image, 0] > 0).nonzero().tolist()} for side in (found, wanted))
        hits = [
            sum(any(abs(y - v) < 2 and abs(x - u) < 2 for v, u in two) for y, x in one) for one, two in ((a, b), (b, a))
        ]
        shares = [hit / len(one) if one else 0.0 for hit, one in zip(hits, (a, b), strict=True)]
        both = 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0
        scores.append(1.0 if not a and not b else both)
    return torch.tensor(scores)
