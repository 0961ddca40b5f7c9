"""How the files of a data set are read, as a recipe says it. Imports nothing heavy."""

import math
from dataclasses import dataclass

from diffcli.errors import UsageProblem

FRAMES = ("all", "first")


@dataclass(frozen=True)
class Reading:
    """What a recipe says of the files of a folder, of an archive or of torchvision.

    size:         side of the square that images are cropped and resized to; 0 keeps those of one size
    range:        "LOW:HIGH", the numbers that are black and white, of files with more than 8 bits; "" finds them.
                  "LOW:HIGH,LOW:HIGH" tells those of integers and of floats apart; a third pair is of 8 bits
    frames:       "all" images of a file, or its "first"
    skip_broken:  whether files that cannot be read are left out, instead of an error
    hints:        which pictures beside the images are hints: a word, as mask for NAME.mask.png beside NAME.png; or the
                  folder where files of the same names lie; or what is known of canvases. "" is none
    mark:         the fingerprint of the training images, where they may have been moved

    Raises UsageProblem.
    """

    size: int = 0
    range: str = ""
    frames: str = "all"
    skip_broken: bool = False
    mark: str = ""
    hints: str = ""

    def __post_init__(self) -> None:
        if self.frames not in FRAMES:
            raise UsageProblem(
                f"frames must be {' or '.join(FRAMES)}, not '{self.frames}'", "as in --set data.frames=first"
            )
        ends(self.range)


def ends(text: str) -> list[tuple[float, float]]:
    """The numbers that are black and white: none of "", one pair, or those of integers, of floats, and of 8 bits."""
    found = [_pair(part, text) for part in text.split(",")] if text else []
    if len(found) > 3:
        raise _bad(text)
    return found


def _pair(part: str, text: str) -> tuple[float, float]:
    low, colon, high = part.partition(":")
    try:
        pair = float(low), float(high)
    except ValueError:
        raise _bad(text) from None
    if not colon or not pair[0] < pair[1] or not all(map(math.isfinite, pair)):
        raise _bad(text)
    return pair


def _bad(text: str) -> UsageProblem:
    return UsageProblem(
        f"range must be LOW:HIGH, the numbers that are black and white, not '{text}'", "as in --set data.range=0:4095"
    )


PLAIN = Reading()
