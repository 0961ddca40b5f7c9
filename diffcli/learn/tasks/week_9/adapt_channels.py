"""Held to what it is for: a grey image through the new layers does what it did through the old ones."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def adapt_channels(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    """The first and the last convolution of a network for images of C channels, for images of another number of them.

    An image whose new channels are all equal shall be seen as the old network saw the same image with all of its C
    channels equal: every new channel gets the same weight, and their sum is the sum of the old ones. What the network
    gives in each new channel shall be the mean of what it gave in the old ones.

    enter:    [F, C, k, k], weight of the first convolution, from the image to F features
    leave:    [C, F, k, k], weight of the last one
    bias:     [C], of the last one
    channels: of the new images

    Returns three: enter [F, channels, k, k], leave [channels, F, k, k], bias [channels].
    """
    first = enter.sum(1, keepdim=True).repeat(1, channels, 1, 1) / channels
    last = leave.mean(0, keepdim=True).repeat(channels, 1, 1, 1)
    return [first, last, bias.mean().repeat(channels)]


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(0)
    grey = [torch.randn(*shape, generator=generator) for shape in ((4, 1, 3, 3), (1, 4, 3, 3), (1,))]
    colour = [torch.randn(*shape, generator=generator) for shape in ((4, 3, 3, 3), (3, 4, 3, 3), (3,))]
    yield Seen("from 1 channel to 3", ask(*grey, 3))
    yield Seen("from 3 channels to 1", ask(*colour, 1))
    yield Seen("from 3 channels to 4", ask(*colour, 4))
    image = torch.randn(1, 1, 5, 5, generator=generator)
    found = ask(*grey, 3)
    seen = F.conv2d(image.expand(1, 3, 5, 5), torch.as_tensor(found[0]).float()) - F.conv2d(image, grey[0])
    yield Seen(
        "from 1 channel to 3: the features of a grey image less those before, which should leave 0", seen, within=1e-4
    )


def truth(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    count = enter.shape[1]
    spread = torch.full((count, channels), 1 / channels)
    gathered = torch.full((channels, count), 1 / count)
    return [
        torch.einsum("fcij,cn->fnij", enter, spread), torch.einsum("nc,cfij->nfij", gathered, leave), gathered @ bias,
    ]  # fmt: skip


WRONG = [
    Swap(
        "repeated-only",
        "when the first weights are repeated and not divided, so that a grey image counts as often as it has channels",
        "the sum of the new weights: that of the old ones",
        "repeat(1, channels, 1, 1) / channels",
        "repeat(1, channels, 1, 1)",
    ),
    Swap(
        "mean-of-the-first",
        "with the mean of the old weights for their sum, in the first convolution",
        "what a convolution does with its channels: it adds them",
        "enter.sum(1, keepdim=True)",
        "enter.mean(1, keepdim=True)",
    ),
    Swap(
        "mean-repeated",
        "with the mean of the old weights in each new channel of the first convolution",
        "the sum of the new weights over their channels: that of the old ones, whatever their numbers",
        "enter.sum(1, keepdim=True).repeat(1, channels, 1, 1) / channels",
        "enter.mean(1, keepdim=True).repeat(1, channels, 1, 1)",
    ),
    Swap(
        "sum-of-the-last",
        "with the sum of the last weights for their mean",
        "what comes out: one channel is as bright as the others were on average",
        "leave.mean(0, keepdim=True)",
        "leave.sum(0, keepdim=True)",
    ),
    Swap(
        "divided-at-the-end-too",
        "when the last weights are divided by the new channels, too",
        "what each new channel shall give: the mean of the old ones",
        "repeat(channels, 1, 1, 1)",
        "repeat(channels, 1, 1, 1) / channels",
    ),
    Swap(
        "bias-divided",
        "when the bias is divided by the new channels",
        "the bias of each channel: the mean of the old ones",
        "bias.mean().repeat(channels)",
        "bias.mean().repeat(channels) / channels",
    ),
    Swap(
        "first-channel-only",
        "with the first of the old output channels for their mean",
        "all of the old outputs",
        "leave.mean(0, keepdim=True)",
        "leave[:1]",
    ),
]


@wrong(
    "with the sums of the last weights and of the bias for their means",
    "what comes out: one channel is as bright as the others were on average",
)
def sums_at_the_end(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    first, last, shift = adapt_channels(enter, leave, bias, channels)
    return [first, last * len(leave), shift * len(leave)]


@wrong("when one new channel has the weights and the others 0", "`every new channel gets the same weight`")
def padded(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    first, last, shift = adapt_channels(enter, leave, bias, channels)
    only = torch.zeros_like(first)
    only[:, 0] = first.sum(1)
    return [only, last, shift]


@right
def by_matrices(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    mixing = torch.ones(channels, enter.shape[1], dtype=torch.float64)
    first = torch.tensordot(enter.double(), mixing / channels, dims=([1], [1])).movedim(-1, 1)
    means = mixing / enter.shape[1]
    return [first, torch.tensordot(means, leave.double(), dims=1), means @ bias.double()]


@right
def channel_by_channel(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    count = enter.shape[1]
    total = torch.stack([enter[:, c] for c in range(count)]).sum(0) / channels
    average = torch.stack([leave[c] for c in range(count)]).mean(0)
    return [
        torch.stack([total] * channels, 1),
        torch.stack([average] * channels),
        torch.full((channels,), float(bias.mean())),
    ]


@right
def expanded(enter: Tensor, leave: Tensor, bias: Tensor, channels: int) -> list[Tensor]:
    first = (enter / channels).sum(1, keepdim=True).expand(-1, channels, -1, -1)
    last = leave.mean(0).expand(channels, *leave.shape[1:])
    return [first, last, bias.mean().expand(channels)]
