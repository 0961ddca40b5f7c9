"""How well images obey the hints that they were drawn under: the condition is taken from them again, and compared."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from diffcli.core.processes.hints import is_hole, mask
from diffcli.data.conditions import CONDITIONS, HOLE

INK = 0.1  # of the pixels of a box; digits have a third
TOLERANCE = 1  # pixels that an edge may lie away
DIGIT, FRAME = 20, 28  # pixels of a digit of MNIST, and of its image (LeCun et al. 1998)

Reader = Callable[[Tensor], Tensor]
"""Images [B, C, H, W] -> class of each [B]."""


@dataclass(frozen=True)
class Measure:
    """A score of images beside their hints.

    text:   its name
    of:     (what images show [B, k, H, W], hints [B, k, H, W]) -> [B]
    least:  whether less is better
    exact:  the same without tolerance, where it has one
    whole:  whether it is of images, beside hints that are parts of such, and not of what is taken from them again
    """

    text: str
    of: Callable[[Tensor, Tensor], Tensor]
    least: bool = False
    exact: Callable[[Tensor, Tensor], Tensor] | None = None
    whole: bool = False


def edge_f1(found: Tensor, wanted: Tensor, tolerance: int = TOLERANCE) -> Tensor:
    """F1 of edges [B, 1, H, W], 1 on -1: harmonic mean of precision and recall, [B] in [0, 1].

    An edge counts as found where one lies at most `tolerance` pixels away, along rows, columns or both (Martin et al.
    2004, section 3, without their one-to-one assignment). Where neither has an edge it is 1.
    """
    a, b = (found > 0).float(), (wanted > 0).float()
    near_a, near_b = (max_pool2d(one, 2 * tolerance + 1, 1, tolerance) for one in (a, b))
    precision, recall = _share(a * near_b, a), _share(b * near_a, b)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    nothing = (a.flatten(1).sum(1) == 0) & (b.flatten(1).sum(1) == 0)
    return torch.where(nothing, torch.ones_like(f1), f1)


def mask_iou(found: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union of masks [B, 1, H, W], 1 on -1: [B] in [0, 1]; 1 where both are empty."""
    a, b = (found > 0).flatten(1), (wanted > 0).flatten(1)
    both, either = (a & b).sum(1), (a | b).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))


def difference(found: Tensor, wanted: Tensor) -> Tensor:
    """Root mean square error, [B], where values lie in [-1, 1]."""
    return (found - wanted).flatten(1).square().mean(1).sqrt()


def difference_around_hole(images: Tensor, wanted: Tensor) -> Tensor:
    """Root mean square error of images [B, C, H, W] where the hint is no hole, [B]; 0 where all of it is one."""
    known = ~is_hole(wanted)
    squares = ((images - wanted).square().mean(1, keepdim=True) * known).flatten(1).sum(1)
    return (squares / known.flatten(1).sum(1).clamp(min=1)).sqrt()


def light_in_boxes(found: Tensor, wanted: Tensor) -> Tensor:
    """How far what is light [B, 1, H, W], 1 on -1, keeps to the boxes of a layout [B, K, H, W]: [B] in [0, 1].

    The harmonic mean of two shares: of what is light, that lies in boxes, and of the planes with boxes, those with
    as much light in them as a digit has: `INK` of their pixels. It reads no class, and needs no judge.
    """
    light, boxes = (found > 0).float(), (wanted > 0).float()
    inside = _share(light * boxes.amax(1, keepdim=True), light)
    sizes = boxes.flatten(2).sum(2)
    filled = (light * boxes).flatten(2).sum(2) >= INK * sizes
    held = (filled & (sizes > 0)).sum(1) / (sizes > 0).sum(1).clamp(min=1)
    return 2 * inside * held / (inside + held).clamp(min=1e-12)


MEASURES: dict[str, Measure] = {
    "edges": Measure("edge F1", edge_f1, exact=partial(edge_f1, tolerance=0)),
    "mask": Measure("mask IoU", mask_iou),
    "sketch": Measure("error of the sketch", difference, least=True),
    "blur": Measure("error of the blurred image", difference, least=True),
    "lowres": Measure("error of the low resolution", difference, least=True),
    HOLE: Measure("error around the hole", difference_around_hole, least=True, whole=True),
    "layout": Measure("light in boxes", light_in_boxes),
}
LAYOUT = Measure("boxes read as asked", lambda found, wanted: found)


def obedience(condition: str, images: Tensor, hints: Tensor, *, exact: bool = False) -> Tensor:
    """The score of each image [B, C, H, W] in [-1, 1] under its hint [B, k, H, W], [B]; see `MEASURES`."""
    extract, measure = CONDITIONS[condition].extract or mask, MEASURES[condition]
    score = measure.exact if exact and measure.exact else measure.of
    return score(images.float() if measure.whole else extract(images.float()), hints.float())


def layout_accuracy(images: Tensor, layouts: Tensor, read: Reader) -> Tensor:
    """The share of the boxes of each layout [B, K, H, W] in which its class is read, [B]; nan without a box.

    read:  by a judge of MNIST's digits: what is light in a box is brought to their size and form
    """
    found, light = torch.full((len(images),), float("nan")), mask(images)
    for i, (shown, planes) in enumerate(zip(light, layouts, strict=True)):
        cuts, classes = list[Tensor](), list[int]()
        for label in (planes > 0).flatten(1).any(1).nonzero().flatten().tolist():
            for box in boxes_of(planes[label] > 0):
                cuts.append(_digit_in(shown, box))
                classes.append(label)
        if cuts:
            found[i] = (read(torch.stack(cuts)).cpu() == torch.tensor(classes)).float().mean()
    return found


def boxes_of(plane: Tensor) -> list[tuple[int, int, int, int]]:
    """The boxes that a plane [H, W] of a layout is made of: left, top, right, bottom, by their upper left corners.

    A rectangle ends where its first row and its first column do; boxes that overlap become what these say.
    """
    left, found = plane.clone(), []
    while left.any():
        top, first = divmod(int(left.flatten().int().argmax()), left.shape[1])
        width = _run(left[top, first:])
        height = _run(left[top:, first])
        found.append((first, top, first + width, top + height))
        left[top : top + height, first : first + width] = False
    return found


def way(score: float, without: float, real: float) -> float:
    """How far a score has come from that of unconditioned samples to that of real images: 0 to 1."""
    return (score - without) / (real - without) if abs(real - without) > 1e-9 else float("nan")


def _run(line: Tensor) -> int:
    """How many are true before the first that is not."""
    return int(line.int().cumprod(0).sum())


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """[B]: sums of a part [B, ...] by those of the whole; 0 of nothing."""
    return part.flatten(1).sum(1) / whole.flatten(1).sum(1).clamp(min=1)


def _digit_in(shown: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """What lies in a box of a mask [1, H, W], its longer side `DIGIT` pixels, in the middle of [1, FRAME, FRAME]."""
    left, top, right, bottom = box
    inside = shown[:, top:bottom, left:right].float()
    height, width = inside.shape[1:]
    sides = [max(1, round(DIGIT * side / max(height, width))) for side in (height, width)]
    small = interpolate(inside.unsqueeze(0), sides, mode="bilinear", antialias=True)[0]
    y, x = ((FRAME - side) // 2 for side in sides)
    return pad(small, (x, FRAME - sides[1] - x, y, FRAME - sides[0] - y), value=-1.0)
