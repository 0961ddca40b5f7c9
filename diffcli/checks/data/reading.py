"""What becomes of the numbers and names in files, against what they mean: worked out by hand, number by number."""

from collections.abc import Iterator

import numpy as np
import torch

from diffcli.checks.check import Finding, check, near
from diffcli.data.dataset import Dataset, apportioned, to_pixels, to_unit
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.layout import numbering
from diffcli.data.spans import NumberTally, Span, Tallies


def _ends(*images: list[float] | range, kind: str = "float64") -> Span:
    found = NumberTally()
    for image in images:
        found.add(np.asarray(image, dtype=kind))
    return found.span()[0]


@check(
    "8-bit values lie evenly in [-1, 1], black -1 and white 1, and come back from there", "Ho et al. 2020, section 3.3"
)
def bytes_to_unit() -> Iterator[Finding]:
    values = torch.arange(256, dtype=torch.uint8)
    for value, unit, back in zip(range(256), to_unit(values), to_pixels(to_unit(values)), strict=True):
        yield near(f"{value}", 2 * value / 255 - 1, unit.item(), abs=1e-6)
        yield near(f"{value} and back", value, back.item())


@check(
    "numbers of a file lie in [-1, 1] by one straight line through black and white, and outside of it at its ends",
    "the line through (black, -1) and (white, 1)",
)
def one_line_for_all() -> Iterator[Finding]:
    for black, white in ((0, 4095), (-1024, 3071), (0, 1), (-160, 240)):
        values = np.linspace(black - 0.3 * (white - black), white + 0.3 * (white - black), 9)
        for value, got in zip(values.tolist(), Span(black, white).unit(values).tolist(), strict=True):
            truth = -1 + (value - black) * 2 / (white - black)
            yield near(f"{value:g} in {black} ... {white}", max(-1.0, min(1.0, truth)), got, abs=1e-6)


@check(
    "black and white are the ends of the bits in use, of the usual range of floats, or of all numbers of all files",
    "values that use the range: the largest of B bits is 2^B - 1",
)
def which_numbers_are_white() -> Iterator[Finding]:
    cases: list[tuple[str, Span, float, float]] = [
        ("one bit", _ends([0, 1], kind="uint16"), 0, 2**1 - 1),
        ("8 bits", _ends([0, 200], kind="uint16"), 0, 2**8 - 1),
        ("10 bits", _ends([0, 256], kind="uint16"), 0, 2**10 - 1),
        ("12 bits", _ends([0, 1024], kind="uint16"), 0, 2**12 - 1),
        ("12 bits in the first file", _ends([0, 4095], [0, 9], kind="uint16"), 0, 2**12 - 1),
        ("12 bits in the second file", _ends([0, 9], [0, 4095], kind="uint16"), 0, 2**12 - 1),
        ("16 bits", _ends([0, 2**15], kind="uint16"), 0, 2**16 - 1),
        ("more than 12 bits, fewer than 16", _ends([3, 5000], kind="uint16"), 3, 5000),
        ("floats to 1", _ends([0.0, 0.9]), 0, 1),
        ("floats from -1", _ends([-0.9, 0.8]), -1, 1),
        ("floats beyond 1", _ends([0.0, 1.04]), 0, 1),
        ("dim floats", _ends([0.0, 0.3]), 0, 0.3),
        ("signed", _ends(range(-1024, 3072), kind="int16"), -1024, 3071),
    ]
    for case, span, black, white in cases:
        yield near(f"{case}: black", black, span.black, abs=1e-6)
        yield near(f"{case}: white", white, span.white, abs=1e-6)
    far = list(np.linspace(0.0, 500.5, 99_998)) + [-9e4, 9e4]
    parts = [far[i::100] for i in range(100)]
    span = _ends(*parts)
    yield near("two of 100,000 far outside: black", 0, span.black, abs=2)
    yield near("two of 100,000 far outside: white", 500.5, span.white, abs=2)


@check(
    "integers and floats have a scale each, and what is not finite has none", "a file's type says what its numbers are"
)
def kinds_apart() -> Iterator[Finding]:
    found = Tallies.empty()
    found.add(np.array([0, 4095], dtype=np.uint16))
    found.add(np.array([0.0, 1.0]))
    spans = found.spans()
    assert spans is not None
    yield near("white integers", 4095, spans[0].integers.white)
    yield near("white floats", 1, spans[0].floats.white)
    yield near("white bytes", 255, spans[0].eight.white)
    for value in (float("nan"), float("inf"), -float("inf")):
        try:
            found.add(np.array([0.0, value]))
        except ValueError:
            yield near(f"{value} is refused", 1, 1)
        else:
            yield near(f"{value} is refused", 1, 0)


@check(
    "each class gives its share to validation, to less than one image, and keeps one",
    "the method of largest remainders (Hamilton)",
)
def shares_of_classes() -> Iterator[Finding]:
    for count, sizes in ((8, [60, 20, 1]), (7, [10, 20, 40]), (50, [300, 199, 2]), (5, [1, 1, 1, 50])):
        shares = apportioned(count, sizes)
        yield near(f"{sizes}: all", count, sum(shares))
        for size, share in zip(sizes, shares, strict=True):
            yield near(f"{size} of {sizes}", count * size / sum(sizes), share, abs=1.0 if size > 1 else 0.999)
            yield near(f"{size} of {sizes} keeps one", 1, float(share < size))
    labels = torch.tensor([0] * 60 + [1] * 20 + [2])
    held = Dataset("", Items(IMAGES, (1, 1, 1), ("a", "b", "c")), torch.zeros(81, 1, 1, 1), labels, "").holdout()
    for name, size, kept, gone in zip(
        "abc", (60, 20, 1), *(labels[part].bincount(minlength=3) for part in held), strict=True
    ):
        yield near(f"{name}: all are somewhere", size, int(kept + gone))
        yield near(f"{name}: its share", 8 * size / 81, int(gone), abs=1.0 if size > 1 else 0.999)
    yield near("nothing is on both sides", 81, len(set(torch.cat(held).tolist())))


@check("names are in the order in which people count: 2 before 10", "the value of the digits in a name")
def numbers_in_names() -> Iterator[Finding]:
    names = [
        f"{letter}{number}{end}"
        for letter in ("", "a", "b")
        for number in (0, 1, 2, 9, 10, 11, 100)
        for end in ("", "x")
    ]
    for place, name in enumerate(sorted(set(names), key=numbering)):
        yield near(f"place of {name}", names.index(name), place)
