"""All randomness comes from keys, never from saved generator state, so anything can be drawn again at any time.

Items have numbers of their own by a generator that counts (Philox 4x32-10, Salmon et al. 2011, section 3.3): its key is
the seed and the name of a stream, and its counter the item, the step and the place in the item. So it costs the same
whatever is drawn together. Only operations that IEEE 754 or the integers define to the bit take part, in an order of
their own, and no float64: the numbers have the same bits on every device.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # Salmon et al. 2011, section 3.3; both as in the authors' Random123
WEYL = 0x9E3779B9, 0xBB67AE85  # what the key grows by each round: the golden ratio and √3 - 1
ROUNDS = 10
WORD = 0xFFFFFFFF

AT_ONCE = {"cpu": 1 << 16}  # numbers, which stay in a cache; elsewhere
AT_ONCE_ELSEWHERE = 1 << 26

PIECE_BITS = 4  # of the mantissa: a power of two is cut into 16 pieces, each with a cubic
OCTAVES = 33  # from 1/2 to 2^31 and what rounds to 2^31

Items = Sequence[int] | Tensor
"""Numbers of items, from 0 to 2^63 - 1: a range, a list or int64 [N]."""


def keyed(seed: int, stream: str, *index: int) -> Generator:
    """A CPU generator for (seed, stream, index...): equal keys give equal numbers, others independent ones."""
    key = "/".join([str(seed), stream, *map(str, index)]).encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % 2**63
    return torch.Generator().manual_seed(number)


def image_noise(
    seed: int,
    stream: str,
    images: Items,
    shape: Sequence[int],
    step: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal [len(images), *shape], float32; an image's depends on (seed, stream, image, step) only.

    Their law is that of 2^32 equally likely numbers between -6.34 and 6.34. Raises ValueError for a number of an image
    or step that is out of range: steps go from 0 to 2^32 - 1.
    """
    return _drawn(normal_of, seed, stream, images, shape, step, torch.device(device))


def uniform(
    seed: int,
    stream: str,
    items: Items,
    shape: Sequence[int] = (),
    step: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform in (0, 1), neither end among them: [len(items), *shape], float32, keyed as those of `image_noise`.

    They are the odd multiples of 2^-24, so that their mean is 1/2.
    """
    return _drawn(uniform_of, seed, stream, items, shape, step, torch.device(device))


def walk_noise(seed: int, images: Items, like: Tensor) -> Callable[[int], Tensor]:
    """The fresh noise of a stochastic sampler: step -> noise like x [B, ...], keyed by image and step."""
    numbers = _numbers(images, like.device)
    return lambda step: _drawn(normal_of, seed, "walk", numbers, like.shape[1:], step, like.device).to(like.dtype)


def philox(counter: Sequence[Tensor | int], key: tuple[int, int]) -> list[Tensor]:
    """Philox 4x32-10: four words of 32 bits for each counter of four, as int64 whose upper half means nothing.

    counter:  words as int64 tensors that broadcast together, each from 0 to 2^32 - 1
    """
    a, b, c, d = counter
    for turn in range(ROUNDS):
        first, second = ((k + turn * weyl) & WORD for k, weyl in zip(key, WEYL, strict=True))
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # all 64 bits, as int64 wraps
        a, b = ((right >> 32) ^ b ^ first) & WORD, right
        c, d = ((left >> 32) ^ d ^ second) & WORD, left
    return torch.broadcast_tensors(*map(torch.as_tensor, (a, b, c, d)))


def _drawn(
    law: Callable[[Tensor], Tensor],
    seed: int,
    stream: str,
    items: Items,
    shape: Sequence[int],
    step: int,
    device: torch.device,
) -> Tensor:
    """Numbers [N, *shape] of a law: int32 words -> float32."""
    if not 0 <= step <= WORD:
        raise ValueError(f"a step's number is from 0 to 2^32 - 1, not {step}")
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    numbers, size = _numbers(items, device), math.prod(shape)
    blocks = torch.arange(-(-size // 4), device=device)
    found = torch.empty(len(numbers), size, device=device)
    rows = max(1, AT_ONCE.get(device.type, AT_ONCE_ELSEWHERE) // max(1, size))
    for first in range(0, len(numbers), rows):
        some = numbers[first : first + rows].unsqueeze(1)
        words = torch.empty(len(some), 4, len(blocks), dtype=torch.int32, device=device)
        for place, word in enumerate(philox((blocks, step, some & WORD, some >> 32), key)):
            words[:, place] = word
        found[first : first + rows] = law(words.flatten(1)[:, :size])
    return found.reshape(-1, *shape)


def _numbers(items: Items, device: torch.device) -> Tensor:
    """int64 [N] on the device; what is there already is not looked at, as that would be waited for."""
    if isinstance(items, Tensor) and items.device.type != "cpu":
        return items
    if isinstance(items, range):
        least = min(items[0], items[-1]) if items else 0
        numbers = torch.arange(items.start, items.stop, items.step, device=device)
    else:
        numbers = torch.as_tensor(items, dtype=torch.int64)
        least, numbers = int(numbers.min()) if len(numbers) else 0, numbers.to(device, non_blocking=True)
    if least < 0:
        raise ValueError(f"an item's number is 0 or more, not {least}")
    return numbers


def uniform_of(words: Tensor) -> Tensor:
    """Words, int32 with any bits -> numbers in (0, 1), from the upper 23 bits."""
    return (((words >> 8) & 0xFFFFFF) | 1).to(torch.float32).mul_(2.0**-24)


def normal_of(words: Tensor) -> Tensor:
    """Words, int32 with any bits -> standard normal numbers: the size from the upper 31 bits m, the last is the sign.

    The size is where the upper tail has the share (m + 1/2) / 2^32, to 1.5e-7 of it or, below 1, of 1.
    """
    place = ((words >> 1) & 0x7FFFFFFF).to(torch.float32).add_(0.5)  # of 2^32, and at most a half of them
    bits = place.view(torch.int32)
    piece = (bits >> (23 - PIECE_BITS)) - (126 << PIECE_BITS)  # 126 is the exponent of 1/2
    within = (bits & ((1 << (23 - PIECE_BITS)) - 1)).to(torch.float32)
    last, *others = (cubic.index_select(0, piece.flatten()).view_as(within) for cubic in reversed(cubics(words.device)))
    size = last
    for coefficient in others:  # multiplied and added one after the other: fused they round otherwise
        size = size.mul_(within).add_(coefficient)
    return (size.view(torch.int32) ^ (words << 31)).view(torch.float32)


@functools.cache
def cubics(device: torch.device) -> Tensor:
    """The upper quantile of the normal law at p = x / 2^32, in pieces: coefficients [4, pieces], the constant first.

    A piece is a sixteenth of a power of two of x, and its variable the remaining 19 bits of the mantissa, as a whole
    number. Its cubic goes through four Chebyshev points, and errs by less than float32 rounds. They are made on the
    CPU, number by number in one order, as a library's solver does not round alike on every processor.
    """
    piece = torch.arange(OCTAVES << PIECE_BITS)
    octave = torch.ldexp(torch.ones(len(piece), dtype=torch.float64), (piece >> PIECE_BITS) - 1)
    place = (piece % (1 << PIECE_BITS)).double()
    near, far = math.sqrt(2 - math.sqrt(2)) / 4, math.sqrt(2 + math.sqrt(2)) / 4  # cos(3π/8) / 2 and cos(π/8) / 2
    nodes = (0.5 - far, 0.5 - near, 0.5 + near, 0.5 + far)
    powers = [torch.zeros(len(piece), dtype=torch.float64) for _ in range(4)]
    for node in nodes:
        value = -torch.special.ndtri(octave * (1 + (place + node) / (1 << PIECE_BITS)) / 2**32)
        for power, factor in enumerate(_lagrange(node, [other for other in nodes if other != node])):
            powers[power] += factor * value
    steps = 2.0 ** (23 - PIECE_BITS)
    return torch.stack([power / steps**i for i, power in enumerate(powers)]).to(torch.float32).to(device)


def _lagrange(node: float, others: Sequence[float]) -> list[float]:
    """The coefficients, the constant first, of the polynomial that is 1 at a node and 0 at the others."""
    found = [1.0]
    for other in others:
        scaled = [c / (node - other) for c in found]
        found = [b - other * a for a, b in zip([*scaled, 0.0], [0.0, *scaled], strict=True)]
    return found
