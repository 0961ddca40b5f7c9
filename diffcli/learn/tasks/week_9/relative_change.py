"""Held to the triangular factors of U and D, whose product has the size of theirs."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def relative_change(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    """How much a file of low-rank additions changes a model: ‖ΔW‖ / ‖W‖, over all layers together.

    The ΔW of a layer is (strength/r) U D. The size of a matrix is the root of the sum of its squares (Frobenius' norm),
    that of several layers the root of the sum of the squares of all their numbers. One of the questions has a ΔW of
    6 GB: its size has to be found without it, from matrices of r × r.

    sizes: ‖W‖ of each layer
    downs: D of each layer, [r, I], r differs from layer to layer
    ups:   U of each layer, [O, r]

    Returns a number.
    """
    moved = 0.0
    for down, up in zip(downs, ups, strict=True):
        squares = float(((up.T @ up) * (down @ down.T)).sum())  # tr(Dᵀ Uᵀ U D) = tr(Uᵀ U D Dᵀ)
        moved += (strength / len(down)) ** 2 * squares
    return (moved / sum(size**2 for size in sizes)) ** 0.5


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def layer(outputs: int, rank: int, inputs: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        down, up = torch.randn(rank, inputs, generator=generator), torch.randn(outputs, rank, generator=generator)
        return down + 0.5, scale * (up - 0.3)

    first, second = layer(4, 2, 3), layer(5, 3, 6, 0.1)
    yield Seen("one layer, rank 2, strength 4", ask([7.0], [first[0]], [first[1]], 4.0))
    yield Seen("another, rank 3, strength 0.5", ask([1.2], [second[0]], [second[1]], 0.5))
    yield Seen("both, strength 2", ask([7.0, 1.2], [first[0], second[0]], [first[1], second[1]], 2.0))
    yield Seen("one layer, U all 0, as training begins", ask([7.0], [first[0]], [0 * first[1]], 4.0))
    wide = layer(40_000, 2, 40_000)
    yield Seen("one layer of 40,000 x 40,000, rank 2, strength 1", ask([90_000.0], [wide[0]], [wide[1]], 1.0))


def truth(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    moved = []
    for down, up in zip(downs, ups, strict=True):
        tall, flat = (torch.linalg.qr(one.double(), mode="r").R for one in (up, down.T))
        moved.append(strength / down.shape[0] * float((tall @ flat.T).norm()))  # Q and its like change no size
    return float(torch.tensor(moved).norm() / torch.tensor(sizes, dtype=torch.float64).norm())


WRONG = [
    Swap(
        "not-divided-by-the-rank",
        "with strength for strength/r",
        "what a layer's ΔW is: (strength/r) U D",
        "(strength / len(down))",
        "strength",
    ),
    Swap(
        "factor-not-squared",
        "with strength/r for its square before the squared numbers",
        "the factor: it multiplies each number, and the numbers are squared",
        "(strength / len(down)) ** 2",
        "(strength / len(down))",
    ),
    Swap(
        "product-of-sizes",
        "with ‖U‖ ‖D‖ for ‖U D‖, which it never exceeds",
        "what U and D do to each other: parts of U D may cancel",
        "float(((up.T @ up) * (down @ down.T)).sum())",
        "float(up.square().sum() * down.square().sum())",
    ),
    Swap(
        "diagonal-only",
        "when each of the r parts is taken for itself, as if they were at right angles",
        "the products of different columns of U, and of different rows of D",
        "float(((up.T @ up) * (down @ down.T)).sum())",
        "float((up.square().sum(0) * down.square().sum(1)).sum())",
    ),
    Swap(
        "sum-for-trace",
        "with the sum of all numbers of Uᵀ U D Dᵀ for its trace",
        "tr(A B), which is the sum of the numbers of A times those of Bᵀ, place by place",
        "float(((up.T @ up) * (down @ down.T)).sum())",
        "float(((up.T @ up) @ (down @ down.T)).sum())",
    ),
    Swap(
        "no-root",
        "with the squares of both sizes",
        "what a size is: the root of the sum of the squares",
        "(moved / sum(size**2 for size in sizes)) ** 0.5",
        "moved / sum(size**2 for size in sizes)",
    ),
    Swap(
        "sizes-added",
        "when the sizes of the layers' W are added for their squares",
        "several layers together: squares add up, and the root comes last",
        "(moved / sum(size**2 for size in sizes)) ** 0.5",
        "moved**0.5 / sum(sizes)",
    ),
    Swap(
        "turned-over",
        "with the quotient turned over",
        "what is compared with what: ΔW with W",
        "(moved / sum(size**2 for size in sizes)) ** 0.5",
        "(sum(size**2 for size in sizes) / max(moved, 1e-12)) ** 0.5",
    ),
]


@wrong(
    "with the mean of the layers' changes", "`all layers together`: a small layer must not count as much as a large one"
)
def mean_of_layers(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    layers = zip(sizes, downs, ups, strict=True)
    return sum(relative_change([size], [down], [up], strength) for size, down, up in layers) / len(sizes)


@wrong(
    "when sizes are added over the layers, above and below",
    "several layers together: squares add up, and the root comes last",
)
def sums_of_sizes(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    layers = zip(downs, ups, strict=True)
    return sum(relative_change([1.0], [down], [up], strength) for down, up in layers) / sum(sizes)


@wrong("with the rank of the first layer for all", "r, which differs from layer to layer")
def one_rank(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    scaled = [up * (len(down) / len(downs[0])) for down, up in zip(downs, ups, strict=True)]
    return relative_change(sizes, downs, scaled, strength)


@right
def by_triangles(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> Tensor:
    moved = []
    for down, up in zip(downs, ups, strict=True):
        triangle = torch.linalg.qr(down.T).R
        moved.append((up @ triangle.T).norm() * strength / len(triangle))
    return torch.stack(moved).norm() / torch.tensor(sizes).norm()


@right
def by_pairs(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    total = 0.0
    for down, up in zip(downs, ups, strict=True):
        for j in range(len(down)):
            for k in range(len(down)):
                total += float((up[:, j] @ up[:, k]) * (down[j] @ down[k])) * (strength / len(down)) ** 2
    return math.sqrt(total) / math.sqrt(sum(size * size for size in sizes))


@right
def by_numpy(sizes: list[float], downs: list[Tensor], ups: list[Tensor], strength: float) -> float:
    import numpy as np

    squares = [
        np.trace(up.numpy().T.astype(float) @ up.numpy() @ down.numpy() @ down.numpy().T)
        * (strength / up.shape[1]) ** 2
        for down, up in zip(downs, ups, strict=True)
    ]
    return float(np.sqrt(sum(squares)) / np.linalg.norm(sizes))
