"""Random numbers by a counter: their generator, the laws that its words become, and whose numbers they are."""

import hashlib
import math
from collections.abc import Iterator
from statistics import NormalDist

import torch
from scipy import stats
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.draws import BatchDraws, drawn_normal, drawn_places, drawn_uniform
from diffcli.core.randomness import image_noise, keyed, normal_of, philox, uniform, uniform_of, walk_noise

MANY = 1_000_000
FAR = 10_000_000  # numbers whose tails are counted
ERRORS = 5  # standard errors that a mean may be off: all numbers are fixed, so it is asked once

KNOWN = (  # counter, key and the four words of the generator: kat_vectors of Random123
    ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@check("Philox 4x32-10 gives the words of its authors", "Salmon et al. 2011; Random123, kat_vectors")
def known_answers() -> Iterator[Finding]:
    for counter, key, answer in KNOWN:
        first, second = words(key)
        got = philox([torch.tensor(word) for word in words(counter)], (first, second))
        yield near(f"counter {counter}", torch.tensor(words(answer)), torch.stack(list(got)) % 2**32)


def philox_by_hand(counter: list[int], key: list[int]) -> list[int]:
    """The generator in whole numbers of any size (Salmon et al. 2011, section 3.3)."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        high, low = divmod(a * 0xD2511F53, 1 << 32)
        higher, lower = divmod(c * 0xCD9E8D57, 1 << 32)
        a, b, c, d = higher ^ b ^ k, lower, high ^ d ^ m, low
        k, m = (k + 0x9E3779B9) % (1 << 32), (m + 0xBB67AE85) % (1 << 32)
    return [a, b, c, d]


def number_by_hand(seed: int, stream: str, item: int, step: int, place: int, numbers: int) -> int:
    """The word of a number: the blocks of an item follow each other, first with all their first words."""
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).hexdigest()
    key = [int.from_bytes(bytes.fromhex(part), "little") for part in (digest[:8], digest[8:])]
    blocks = -(-numbers // 4)
    return philox_by_hand([place % blocks, step, item % (1 << 32), item >> 32], key)[place // blocks]


def normal_by_hand(word: int) -> float:
    size = -NormalDist().inv_cdf((word // 2 + 0.5) / 2**32)
    return -size if word % 2 else size


@check("an item's numbers are those of its counter: block, step and number; the seed and stream are the key", "by hand")
def numbers_by_hand() -> Iterator[Finding]:
    items = [0, 1, 77, 2**32 + 3, 2**62 + 5]
    for seed, stream, step, shape in (
        (0, "start", 0, ()), (5, "walk", 23, (2,)), (2**63 - 1, "x", 2**32 - 1, (3, 3)), (1, "walk", 999, (2, 2, 4)),
    ):  # fmt: skip
        count = math.prod(shape)
        normal = image_noise(seed, stream, items, shape, step).reshape(len(items), -1)
        even = uniform(seed, stream, items, shape, step).reshape(len(items), -1)
        for row, item in enumerate(items):
            found = [number_by_hand(seed, stream, item, step, place, count) for place in range(count)]
            case = f"seed {seed}, {stream}, step {step}, {shape}, item {item}"
            yield near(f"{case}: normal", at(map(normal_by_hand, found)), normal[row], rel=1.5e-7, abs=1.5e-7)
            yield near(f"{case}: uniform", at((w // 512 + 0.5) / 2**23 for w in found), even[row])


def at(values: "Iterator[float] | map[float]") -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


@check("a word becomes the normal quantile of its upper 31 bits, out to 6.3 sigma, with the last bit as its sign",
       "Wichura 1988, by the standard library")  # fmt: skip
def quantiles_of_words() -> Iterator[Finding]:
    sizes = {
        m for power in range(31) for share in range(16) for m in (int(2**power * (1 + (share + 0.4) / 16)), 1 << power)
    }
    sizes |= {*range(40), *(2**31 - 1 - k for k in range(40)), *((1 << power) - 1 for power in range(1, 31))}
    for sign in (0, 1):
        chosen = [2 * m + sign for m in sorted(sizes) if m < 2**31]
        got = normal_of(torch.tensor(chosen).to(torch.int32))
        yield near(f"last bit {sign}", at(map(normal_by_hand, chosen)), got, rel=1.5e-7, abs=1.5e-7)
        yield near("none is nan", 1, got.isfinite().double())
    ends = uniform_of(torch.tensor([0, -1], dtype=torch.int32))
    yield near("the least and the most of uniform", torch.tensor([2.0**-24, 1 - 2.0**-24]), ends)


@check("the moments of noise are those of a standard normal to the fourth, and its whole law is", "Kolmogorov 1933")
def laws_of_noise() -> Iterator[Finding]:
    normal = image_noise(3, "law", range(MANY // 50), (50,)).double().flatten()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        yield near(f"moment {power}", moment, (normal**power).mean(), abs=ERRORS * math.sqrt(variance / MANY))
    even = uniform(3, "law", range(MANY // 50), (50,)).double().flatten()
    for power in (1, 2, 3, 4):
        error = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / MANY)
        yield near(f"uniform, moment {power}", 1 / (power + 1), (even**power).mean(), abs=ERRORS * error)
    for name, shares in (("normal", torch.special.ndtr(normal)), ("uniform", even)):
        ordered, n = shares.sort().values, torch.arange(MANY, dtype=torch.float64)
        distance = torch.maximum((n + 1) / MANY - ordered, ordered - n / MANY).max()
        yield near(
            f"{name}, largest distance of the shares", 0, distance, abs=stats.kstwobign.ppf(0.999) / math.sqrt(MANY)
        )


@check("of ten million numbers as many lie far out as a normal law has there", "binomial law, 0.1 % at either end")
def tails_of_noise() -> Iterator[Finding]:
    normal = image_noise(4, "tails", range(FAR // 1000), (1000,))
    for limit in (3.0, 4.0, 4.5, 5.0):
        share = 2 * stats.norm.sf(limit)
        least, most = map(float, stats.binom.ppf([0.001, 0.999], FAR, share))
        count = int((normal.abs() > limit).sum())
        yield Finding(f"beyond {limit} sigma", (least + most) / 2, count, (most - least) / 2)
    yield near("as many above as below", 0.5, (normal > 0).double().mean(), abs=ERRORS * math.sqrt(0.25 / FAR))


@check("neighbours of every kind are independent: items, steps, streams, seeds, numbers", "correlation 0")
def independent_neighbours() -> Iterator[Finding]:
    items, shape = range(4000), (50,)
    base = image_noise(6, "a", items, shape)
    others = {
        "items": image_noise(6, "a", range(1, 4001), shape),
        "items half the range away": image_noise(6, "a", range(2**32, 2**32 + 4000), shape),
        "steps": image_noise(6, "a", items, shape, 1),
        "streams": image_noise(6, "b", items, shape),
        "seeds": image_noise(7, "a", items, shape),
        "places": base.roll(1, 1),
        "blocks": base.roll(13, 1),
    }
    bound = ERRORS / math.sqrt(base.numel())
    for name, other in others.items():
        for kind, make in (("numbers", lambda v: v), ("sizes", lambda v: v**2), ("signs", lambda v: v.sign())):
            pair = torch.stack([make(base.double()).flatten(), make(other.double()).flatten()])
            yield near(f"{kind} of neighbouring {name}", 0, torch.corrcoef(pair)[0, 1], abs=bound)
    pair = torch.stack([base.double().abs().flatten(), base.double().sign().flatten()])
    yield near("the size and its sign", 0, torch.corrcoef(pair)[0, 1], abs=bound)


@check("no two of seed, stream, item and step share their noise", "64 bits of two numbers: one chance in 10^9")
def noise_of_its_own() -> Iterator[Finding]:
    drawn = [image_noise(8, "walk", range(40_000), (2,), step) for step in (0, 1)]
    drawn += [image_noise(8, "start", range(40_000), (2,)), image_noise(9, "walk", range(40_000), (2,))]
    drawn += [image_noise(8, "walk", range(2**32, 2**32 + 40_000), (2,))]
    rows = torch.cat(drawn).view(torch.int32).long()
    together = rows[:, 0] * 2**32 + rows[:, 1]
    yield near("items with numbers of their own", len(together), len(together.unique()))


@check("each of seed, stream, image and step has noise of its own", "the promise of `sample`")
def noise_by_key() -> Iterator[Finding]:
    for shape in ((2,), (1, 8, 8)):
        base = image_noise(1, "walk", [1, 5000], shape, 23)
        others = {
            "another seed": image_noise(2, "walk", [1, 5000], shape, 23),
            "another stream": image_noise(1, "start", [1, 5000], shape, 23),
            "other images": image_noise(1, "walk", [2, 6000], shape, 23),
            "another step": image_noise(1, "walk", [1, 5000], shape, 24),
            "digits moved from step to image": image_noise(1, "walk", [12, 50002], shape, 3),
        }
        for name, other in others.items():
            yield near(f"{shape}, {name}, numbers alike", 0, (base == other).sum().double())
        like = torch.zeros(2, *shape)
        yield near(f"{shape}, a walk's noise is its images'", base, walk_noise(1, [1, 5000], like)(23))
    for key, index in [(b"5/walk", ()), *((f"5/walk/{i}/23".encode(), (i, 23)) for i in range(12))]:
        digest = hashlib.blake2b(key, digest_size=8).digest()
        number = sum(byte << (8 * place) for place, byte in enumerate(digest)) & ((1 << 63) - 1)
        wanted = torch.randn(4, generator=torch.Generator().manual_seed(number))
        yield near(f"a generator by hand, {key!r}", wanted, torch.randn(4, generator=keyed(5, "walk", *index)))


@check("image i of a seed has its own noise, whatever is drawn with it", "the promise of `sample`")
def noise_by_image() -> Iterator[Finding]:
    for shape in ((2,), (1, 8, 8)):
        for step in (0, 5):
            together = image_noise(7, "walk", range(2050), shape, step)
            for images in ([3], [8, 1], range(2, 7), range(2049, 1000, -7), torch.tensor([1024, 1023])):
                alone = image_noise(7, "walk", images, shape, step)
                yield near(f"{shape}, step {step}, images {images}", together[torch.as_tensor(images)], alone)
    yield near("none", 0, len(image_noise(7, "walk", [], (2,))))
    yield near("an empty range", 0, len(image_noise(7, "walk", range(0), (2,))))


@check(
    "a batch in parts has the numbers of the whole, item by item and step by step, and times even over all of it",
    "Kingma et al. 2021, appendix I.1",
)
def numbers_of_a_batch() -> Iterator[Finding]:
    whole = BatchDraws(2, 5, 0, 12, 12)
    for parts in ((12,), (5, 7), (1, 1, 10), (4, 4, 4)):
        drawn: list[list[Tensor]] = [[], [], []]
        for first, count in zip((sum(parts[:i]) for i in range(len(parts))), parts, strict=True):
            here = BatchDraws(2, 5, first, count, 12)
            drawn[0].append(drawn_normal(here, "noise", (count, 3)))
            drawn[1].append(drawn_uniform(here, "drop", (count,)))
            drawn[2].append(drawn_places(here, count))
        wanted = drawn_normal(whole, "noise", (12, 3)), drawn_uniform(whole, "drop", (12,)), drawn_places(whole, 12)
        for name, truth, got in zip(("normal", "uniform", "places"), wanted, drawn, strict=True):
            yield near(f"{parts}: {name}", truth, torch.cat(got))
    later = image_noise(2, "train noise", range(60, 72), (3,))
    yield near("items count through the training", later, drawn_normal(whole, "noise", (12, 3)))
    steps = [drawn_places(BatchDraws(2, step, 0, 12, 12), 12) for step in range(400)]
    for name, value in (("the first", steps[0]), ("another", steps[7])):
        yield near(f"{name} step's places are even", torch.arange(12), (value.sort().values * 12).floor())
        gaps = value.sort().values.diff() * 12
        yield near(f"{name} step's places are equally far apart", 1, gaps, rel=1e-12)
    for name, values in (("an item's places", [p[3] for p in steps]), ("the shifts", [p.min() * 12 for p in steps])):
        found = at(map(float, values))
        yield near(f"mean of {name}", 0.5, found.mean(), abs=ERRORS * math.sqrt(1 / 12 / len(steps)))
        yield near(f"spread of {name}", 1 / 12, found.var(), abs=ERRORS * math.sqrt(1 / 180 / len(steps)))
    other = drawn_uniform(whole, "bits", (12,)), drawn_uniform(BatchDraws(2, 6, 0, 12, 12), "drop", (12,))
    for name, value in zip(("purpose", "step"), other, strict=True):
        yield near(f"another {name}, numbers alike", 0, (value == wanted[1]).sum().double())
