"""Which numbers are black and white, for files that hold more than 8 bits: one answer for a whole data set."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from diffcli.data.reading import ends

Array = NDArray[Any]

BITS = (1, 255, 1023, 4095)  # white of 1, 8, 10 and 12 bits
USED = 32768  # from here on the 16th bit is used
TAIL = 0.001  # share of the values that may lie beyond a robust end
FAR = 1.5  # times as wide as robust ends: then the outermost values are outliers
KEPT = 512  # values of an image that its quantiles are taken from
OVERSHOOT = 0.05  # of a span: what a sampler or a filter leaves outside
LARGEST = np.float64(np.finfo(np.float32).max)  # that is kept of a number; of 64 bits, as 16 have no such number
SEEN = 0.5  # floats that reach further than this are taken to use [0, 1] or [-1, 1]


class Span(NamedTuple):
    """The numbers that are black and white."""

    black: float
    white: float

    def unit(self, values: Array) -> NDArray[np.float32]:
        """float32 in [-1, 1], black -1 and white 1; what lies outside is brought to the end."""
        unit = (values.astype(np.float64) - self.black) / (self.white - self.black)
        return (2 * unit.clip(0, 1) - 1).astype(np.float32)

    def __str__(self) -> str:
        return f"{_plain(self.black)}:{_plain(self.white)}"


EIGHT, UNSIGNED, SIGNED, SIXTEEN = Span(0, 255), Span(0, 1), Span(-1, 1), Span(0, 65535)


class Spans(NamedTuple):
    """Those of files of integers, of files of floats, and of files of 8 bits: 0 and 255, unless there are no others."""

    integers: Span
    floats: Span
    eight: Span = EIGHT

    def __str__(self) -> str:
        if self.eight != EIGHT:
            return f"{self.integers},{self.floats},{self.eight}"
        return str(self.integers) if self.integers == self.floats else f"{self.integers},{self.floats}"

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """Of "LOW:HIGH", or "LOW:HIGH,LOW:HIGH" for integers and floats; None of "". Raises UsageProblem."""
        spans = [Span(*pair) for pair in ends(text)]
        return cls(spans[0], spans[min(1, len(spans) - 1)], *spans[2:]) if spans else None


@dataclass
class NumberTally:
    """What numbers files of one kind hold, integers or floats.

    low, high:  the smallest and the largest
    whole:      whether all are whole numbers
    values:     some of each image, at even distances in it
    """

    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, values: Array) -> None:
        """Count an image in, whose values are finite."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        flat = values.reshape(-1)
        some = flat[:: max(1, -(-flat.size // KEPT))].astype(np.float32)
        self.whole = self.whole and (values.dtype.kind != "f" or bool((some == some.round()).all()))
        self.values.append(some)

    def join(self, other: "NumberTally") -> None:
        """Count in what another one has counted."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.whole = self.whole and other.whole
        self.values += other.values

    def span(self) -> tuple[Span, str]:
        """The numbers that are black and white, and why they are."""
        low, high = self.low, self.high
        if self.whole and low >= 0 and high <= BITS[-1]:
            most = next(most for most in BITS if high <= most)
            return Span(0, most), f"{most.bit_length()} bits are in use"
        if self.whole and low >= 0 and USED <= high <= SIXTEEN.white:
            return SIXTEEN, "the range of 16 bits"
        for span in (UNSIGNED, SIGNED):
            edge = OVERSHOOT * (span.white - span.black)
            if span.black - edge <= low and high <= span.white + edge and max(-low, high) > SEEN:
                return span, "the usual range of floats"
        ends = np.quantile(np.concatenate(self.values), [TAIL, 1 - TAIL])
        black, white = map(float, ends)
        if white <= black or high - low <= FAR * (white - black):
            return Span(low, high if high > low else low + 1), "the smallest and the largest number"
        return Span(black, white), f"all but a thousandth at each end of {_plain(low)} to {_plain(high)}"


class Tallies(NamedTuple):
    """Those of the files of integers and of the files of floats of a data set."""

    integers: NumberTally
    floats: NumberTally

    @classmethod
    def empty(cls) -> Self:
        """Nothing counted yet."""
        return cls(NumberTally(), NumberTally())

    def join(self, other: "Tallies") -> None:
        """Count in what others have counted."""
        self.integers.join(other.integers)
        self.floats.join(other.floats)

    def add(self, values: Array) -> None:
        """Count an image in; raises ValueError where values are nan or infinite."""
        if values.dtype.kind == "f":
            fit = np.abs(values) <= LARGEST  # as nan is not
            if odd := int((~fit).sum()):
                nans, finite = int(np.isnan(values).sum()), int(np.isfinite(values[~fit]).sum())
                kinds = (("nan", nans), ("infinite", odd - nans - finite), (f"beyond {LARGEST:.2g}", finite))
                what = " or ".join(kind for kind, count in kinds if count)
                raise ValueError(f"{odd:,} of its {values.size:,} numbers {'is' if odd == 1 else 'are'} {what}")
            self.floats.add(values)
        else:
            self.integers.add(values)

    def spans(self) -> tuple[Spans, str] | None:
        """What is black and white in the data set, and a sentence that says so; None where nothing was counted."""
        found = {
            what: tally.span()
            for what, tally in (("integers", self.integers), ("floats", self.floats))
            if tally.values
        }  # fmt: skip
        if not found:
            return None
        several = len(found) > 1
        told = "; ".join(
            (f"of {what} " if several else "") + f"{_plain(span.black)} is black and {_plain(span.white)} white: {why}"
            for what, (span, why) in found.items()
        )
        first = next(iter(found.values()))[0]
        spans = Spans(*(found[what][0] if what in found else first for what in ("integers", "floats")))
        return spans, f"{told} (one scale for all; --set data.range=LOW:HIGH for another)"


def _plain(number: float) -> str:
    return f"{number:.0f}" if number == round(number) and abs(number) < 1e15 else f"{number:.6g}"
