"""How well images obey hints: scores counted pixel by pixel."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.hints import hole, is_hole
from diffcli.core.randomness import keyed
from diffcli.data.conditions import CONDITIONS, HOLE
from diffcli.metrics.obedience import (
    MEASURES,
    boxes_of,
    difference,
    difference_around_hole,
    edge_f1,
    layout_accuracy,
    light_in_boxes,
    mask_iou,
    obedience,
    way,
)


def some(share: float, name: str) -> Tensor:
    return 2 * (torch.rand(3, 1, 7, 9, generator=keyed(0, name)) < share).double() - 1


def places(picture: Tensor) -> list[tuple[int, int]]:
    return [(y, x) for y, row in enumerate(picture.tolist()) for x, value in enumerate(row) if value > 0]


def f1(found: list[tuple[int, int]], wanted: list[tuple[int, int]], reach: int) -> float:
    def share(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> float:
        return sum(any(max(abs(y - v), abs(x - u)) <= reach for v, u in b) for y, x in a) / len(a)

    precision, recall = share(found, wanted), share(wanted, found)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@check("F1 of edges counts those within a pixel; overlap is intersection over union", "Martin et al. 2004, section 3")
def obedience_scores() -> Iterator[Finding]:
    a, b = some(0.12, "found"), some(0.2, "wanted")
    for i in range(3):
        one, two = places(a[i, 0]), places(b[i, 0])
        for reach in (0, 1, 2):
            yield near(f"edges {i}, {reach} pixels", f1(one, two, reach), edge_f1(a, b, reach)[i], rel=1e-5, abs=1e-9)
        yield near(f"edges {i}", f1(one, two, 1), MEASURES["edges"].of(a, b)[i], rel=1e-5)
        both, either = set(one) & set(two), set(one) | set(two)
        yield near(f"masks {i}", len(both) / len(either), mask_iou(a, b)[i], rel=1e-6)
        squares = [(p - q) ** 2 for p, q in zip(a[i].flatten().tolist(), b[i].flatten().tolist(), strict=True)]
        yield near(f"difference {i}", math.sqrt(sum(squares) / 63), difference(a, b)[i], rel=1e-6)
    hint = torch.tensor([[[0.5, 0.0], [0.2, -1.0]], [[0.5, 0.0], [0.0, 1.0]]])[None]  # two channels, one pixel a hole
    squares = [0.1**2, 0.3**2, 0.3**2, 0.5**2, 0.5**2, 0.5**2]
    image = hint + torch.tensor([[[0.1, 0.9], [0.3, -0.5]], [[-0.3, 0.9], [0.5, 0.5]]])
    yield near("around a hole", math.sqrt(sum(squares) / 6), difference_around_hole(image, hint), rel=1e-6)
    nothing = -torch.ones(1, 1, 5, 5)
    dot = nothing.clone()
    dot[0, 0, 2, 2] = 1
    for score in (edge_f1, mask_iou):
        yield near(f"{score.__name__} of nothing", 1, score(nothing, nothing))
        yield near(f"{score.__name__} of something for nothing", 0, score(dot, nothing))
    yield near("three quarters", 0.75, way(0.8, 0.5, 0.9), abs=1e-9)
    yield near("where less is better", 0.75, way(0.2, 0.5, 0.1), abs=1e-9)
    images = -torch.ones(2, 1, 16, 16)
    images[0, 0, 2:6, 2:7], images[1, 0, 9:14, 8:14] = 1, 1
    for name, condition in CONDITIONS.items():
        if condition.extract:
            perfect = 0.0 if MEASURES[name].least else 1.0
            hints = condition.extract(images)
            yield near(f"{name} of the images themselves", perfect, obedience(name, images, hints), abs=1e-6)
            lost = obedience(name, images, hints.flip(0))
            yield near(f"{name} of others", 1, float(((lost - perfect).abs() > 0.05).all()))
    known = hole(images)
    painted = torch.where(is_hole(known), 0.7, images)
    yield near("a hole may hold anything", 0, obedience(HOLE, painted, known))


@check("boxes are taken from the planes of a layout one by one, and each is read by itself", "")
def boxes_read() -> Iterator[Finding]:
    plane = torch.zeros(8, 10, dtype=torch.bool)
    plane[1:4, 2:7] = True
    plane[5:8, 0:2] = True
    for i, (found, wanted) in enumerate(zip(boxes_of(plane), [(2, 1, 7, 4), (0, 5, 2, 8)], strict=True)):
        for side, value, truth in zip(("left", "top", "right", "bottom"), found, wanted, strict=True):
            yield near(f"box {i}, {side}", truth, value)
    layouts, images = -torch.ones(2, 3, 8, 10), -torch.ones(2, 1, 8, 10)
    layouts[0, 1], layouts[0, 2, 0, :] = 2 * plane.float() - 1, -1
    images[0, 0, 1:4, 2:7], images[0, 0, 5:8, 0:2] = 0.5, 1

    share = 6 / 15  # two thirds of the upper box are dark
    some = -torch.ones(1, 1, 8, 10)
    some[0, 0, 1:4, 2:4], some[0, 0, 0, 0:3] = 1, 1  # three pixels lie beside the boxes
    two = torch.stack([2 * plane.float() - 1, -torch.ones(8, 10), torch.ones(8, 10) * -1])[None]
    inside, held = 6 / 9, float(share > 0.1)
    yield near("light in boxes", 2 * inside * held / (inside + held), light_in_boxes(some, two[:, :1]), abs=1e-6)
    two[0, 2, 6:8, 8:10] = 1  # a box without light
    yield near("and one of two that are empty", 2 * inside * 0.5 / (inside + 0.5), light_in_boxes(some, two), abs=1e-6)
    yield near("nothing light", 0, light_in_boxes(-some.abs(), two))

    def read(cuts: Tensor) -> Tensor:  # what is wider than high is class 1
        seen.append(cuts)
        return torch.where((cuts > 0).any(-2).sum((1, 2)) > (cuts > 0).any(-1).sum((1, 2)), 1, 2)

    seen: list[Tensor] = []
    accuracy = layout_accuracy(images, layouts, read)
    (cuts,) = seen
    for i, (high, wide) in enumerate(((12, 20), (20, 13))):
        yield near(f"rows of digit {i}", high, (cuts[i] > 0).any(-1).sum())
        yield near(f"columns of digit {i}", wide, (cuts[i] > 0).any(-2).sum())
        rows, columns = ((cuts[i] > 0).any(axis).flatten().nonzero() for axis in (-1, -2))
        yield near(f"pixels above digit {i}", (28 - high) // 2, rows.min())
        yield near(f"pixels beside digit {i}", (28 - wide) // 2, columns.min())
    yield near("one of two boxes", 0.5, accuracy[0])
    yield near("no box", 1, float(accuracy[1].isnan()))
