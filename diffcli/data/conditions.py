"""The pictures that a model can be told beside noise, by name: what each shows, and where it comes from."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from diffcli.core.processes import hints

HOLE = "hole"
CLASSES = 10  # that a layout has a plane for


@dataclass(frozen=True)
class Condition:
    """A kind of hint.

    text:     what it shows
    planes:   of it; 0 stands for as many as the image has channels
    extract:  images [B, C, H, W] in [-1, 1] -> [B, k, H, W] in [-1, 1]; None where only the data set knows it
    two:      whether it has two values, -1 and 1
    """

    text: str
    planes: int
    extract: Callable[[Tensor], Tensor] | None
    two: bool = False

    def channels(self, of_image: int) -> int:
        """How many channels the hint of an image with so many has."""
        return self.planes or of_image


CONDITIONS: dict[str, Condition] = {
    "edges": Condition("outlines, one pixel thick", 1, hints.edges, two=True),
    "mask": Condition("where something is: what is light in grey, the digits of a canvas", 1, hints.mask, two=True),
    "sketch": Condition("a soft line drawing", 1, hints.sketch),
    "blur": Condition("colours and their places, smoothed", 0, hints.blur),
    "lowres": Condition("the mean of each square of 4 x 4 pixels", 0, hints.lowres),
    HOLE: Condition("the image with a grey box to be painted, anywhere", 0, hints.hole),
    "layout": Condition("boxes, a plane for each class of digits; known of canvases", CLASSES, None, two=True),
}
