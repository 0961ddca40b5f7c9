"""Held to the sums of the docstring, pixel by pixel in float64, and to the gradients of both layers."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import seeded


def pixel_attention(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    """Self-attention over the pixels, added to x: every pixel looks at all pixels of its image.

    x:      [B, C, H, W]
    heads:  divides C; a head has d = C / heads channels
    qkv:    [..., C] -> [..., 3 C], for each pixel: its C queries, then its C keys, then its C values
    out:    [..., C] -> [..., C], for each pixel

    Head h = 0 ... heads − 1 has channels h d ... h d + d − 1 of the queries, of the keys, of the values and of the
    result. In it pixel n gets Σ_m w_nm value_m, where m runs over all pixels of the image, and for each n the weights
    w_nm = softmax over m of (query_n · key_m) / √d add up to 1. The results of all heads, C numbers for each pixel, go
    through `out`, and x is added.

    Returns [B, C, H, W].
    """
    batch, channels, height, width = x.shape
    pixels = x.flatten(2).transpose(1, 2)  # [B, N, C]
    three = qkv(pixels).reshape(batch, height * width, 3, heads, channels // heads)
    query, key, value = three.permute(2, 0, 3, 1, 4)  # each [B, heads, N, d]
    weights = (query @ key.transpose(-1, -2) / math.sqrt(channels // heads)).softmax(dim=-1)
    mixed = (weights @ value).transpose(1, 2).reshape(batch, height * width, channels)
    added: Tensor = out(mixed).transpose(1, 2).reshape(x.shape)
    return x + added


def truth(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    def through(layer: nn.Linear, row: Tensor) -> Tensor:
        return row @ layer.weight.double().T + layer.bias.double()

    found = []
    for image in x.double().flatten(2):
        size, count = len(image) // heads, image.shape[1]
        rows = [through(qkv, image[:, n]).reshape(3, heads, size) for n in range(count)]
        pixels = []
        for n in range(count):
            mixed = []
            for head in range(heads):
                likeness = torch.stack([rows[n][0, head].dot(rows[m][1, head]) for m in range(count)]) / size**0.5
                shares = (likeness - likeness.max()).exp()
                mixed.append(sum(shares[m] * rows[m][2, head] for m in range(count)) / shares.sum())
            pixels.append(image[:, n] + through(out, torch.cat(mixed)))
        found.append(torch.stack(pixels, dim=1))
    return torch.stack(found).reshape(x.shape)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)

    def layers(channels: int, seed: int) -> tuple[nn.Linear, nn.Linear]:
        with seeded(seed):
            return nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    x = 2 * torch.randn(1, 3, 1, 4, generator=generator)
    yield Seen("x [1, 3, 1, 4], one head", ask(x, 1, *layers(3, 0)))
    x, two = 3 * torch.randn(2, 6, 2, 3, generator=generator), layers(6, 1)
    yield Seen("x [2, 6, 2, 3], two heads", ask(x, 2, *two))
    yield Seen("x [2, 6, 2, 3], three heads", ask(x, 3, *two))
    yield Seen("the gradients of qkv and out there, two heads", ask(x[:1], 2, *two, want="gradients"))


WRONG = [
    Swap("no-root", "without dividing by √d", "the divisor of q · k", " / math.sqrt(channels // heads)", ""),
    Swap("root-of-all-channels", "with √C for √d", "the channels of a head: C / heads",
         "math.sqrt(channels // heads)", "math.sqrt(channels)"),
    Swap("divided-by-d", "with d for √d", "the root: a sum of d products has the spread √d",
         "math.sqrt(channels // heads)", "(channels // heads)"),
    Swap("softmax-over-queries", "when the weights add up to 1 over n, not over m",
         "the `dim` of the softmax: the axis of the keys",
         "softmax(dim=-1)", "softmax(dim=-2)"),
    Swap("keys-for-queries", "with queries and keys exchanged", "the order in qkv's output: queries, keys, values",
         "query, key, value = three", "key, query, value = three"),
    Swap("values-first", "when the first third is taken for the values",
         "the order in qkv's output: queries, keys, values",
         "query, key, value = three", "value, query, key = three"),
    Swap("heads-interleaved", "when a head has every heads-th channel, not a block of them",
         "the order of heads and d in the reshape: those of one head lie side by side",
         "3, heads, channels // heads)\n    query, key, value = three.permute(2, 0, 3, 1, 4)",
         "3, channels // heads, heads)\n    query, key, value = three.permute(2, 0, 4, 1, 3)"),
    Swap("nothing-added", "without adding x", "the end of the docstring", "return x + added", "return added"),
    Swap("no-out", "without the layer `out`", "the fourth argument", "out(mixed)", "(mixed + 0 * out(mixed))"),
    Swap("heads-not-exchanged-back", "when [B, heads, N, d] is reshaped to [B, N, C] at once",
         "the axes before the last reshape: heads and pixels have to be exchanged back first",
         "(weights @ value).transpose(1, 2).reshape(", "(weights @ value).reshape("),
    Swap("pixels-not-exchanged-back", "when [B, N, C] is reshaped to [B, C, H, W] at once",
         "the way back to an image: pixels and channels have to be exchanged first",
         "out(mixed).transpose(1, 2).reshape(x.shape)", "out(mixed).reshape(x.shape)"),
]  # fmt: skip


@wrong("when x is reshaped to pixels without exchanging axes", "the rows of x.reshape(B, N, C): they are no pixels")
def scrambled(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    batch, channels, height, width = x.shape
    pixels = x.reshape(batch, height * width, channels)
    q, k, v = qkv(pixels).reshape(batch, height * width, 3, heads, -1).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(pixels.shape)
    return x + out(mixed).reshape(x.shape)


SPLIT = "the axes of queries, keys and values: [B, N, heads, d] first, then heads and pixels exchanged"


@wrong("when [B, N, C] is reshaped to [B, heads, N, d] at once, and exchanged at the end", SPLIT)
def heads_not_exchanged(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    batch, channels, height, width = x.shape
    shape = batch, heads, height * width, channels // heads
    q, k, v = (part.reshape(shape) for part in qkv(x.flatten(2).mT).chunk(3, dim=2))
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return x + out(mixed).mT.reshape(x.shape)


@wrong("when [B, N, C] is reshaped to [B, heads, N, d] at once, and back in the same way", SPLIT)
def heads_never_exchanged(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    batch, channels, height, width = x.shape
    shape = batch, heads, height * width, channels // heads
    q, k, v = (part.reshape(shape) for part in qkv(x.flatten(2).mT).chunk(3, dim=2))
    mixed = F.scaled_dot_product_attention(q, k, v).reshape(batch, height * width, channels)
    return x + out(mixed).mT.reshape(x.shape)


@right
def by_torch(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in qkv(x.flatten(2).mT).chunk(3, dim=2))
    return x + out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mT.reshape(x.shape)


@right
def by_einsum(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    b, c, h, w = x.shape
    three = torch.einsum("bcn,kc->bkn", x.flatten(2), qkv.weight) + qkv.bias[:, None]
    q, k, v = three.reshape(b, 3, heads, -1, h * w).unbind(1)
    weights = torch.softmax(torch.einsum("bhdn,bhdm->bhnm", q, k) * (c // heads) ** -0.5, 3)
    mixed = torch.einsum("bhnm,bhdm->bhdn", weights, v).reshape(b, c, h * w)
    return x + (torch.einsum("kc,bcn->bkn", out.weight, mixed) + out.bias[:, None]).reshape(x.shape)


@right
def head_by_head(x: Tensor, heads: int, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    channels, found = x.shape[1], []
    size = channels // heads
    for image in x:
        rows = qkv(image.permute(1, 2, 0).reshape(-1, channels))
        results = []
        for head in range(heads):
            q, k, v = (rows[:, i * channels + head * size : i * channels + (head + 1) * size] for i in range(3))
            shares = torch.exp(q @ k.T / size**0.5)
            results.append(shares @ v / shares.sum(1, keepdim=True))
        found.append(image + out(torch.cat(results, dim=1)).T.reshape(image.shape))
    return torch.stack(found)
