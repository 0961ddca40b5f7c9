"""The networks by hand, from the weights that they hold: what each layer sees, and how many numbers there are."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.models.layers import (
    attention_by_hand,
    block_by_hand,
    convolved,
    normalised,
    numbers,
    shaken,
    silu,
    waves,
)
from diffcli.core.models.field import FieldNet
from diffcli.core.models.mlp import MLP
from diffcli.core.models.unet import Stage, UNet

LOG_SNR = torch.tensor([-3.0, 0.4, 7.0], dtype=torch.float64)
LABEL = torch.tensor([2, 0, 1])


def affine(x: Tensor, layer: nn.Linear) -> Tensor:
    return x @ layer.weight.T + layer.bias


def octaves(x: Tensor, count: int) -> Tensor:
    """x, the sines of x, 2 x, 4 x, ..., and their cosines, side by side."""
    scaled = [2**k * x for k in range(count)]
    return torch.cat([x, *(part.sin() for part in scaled), *(part.cos() for part in scaled)], dim=1)


def condition_by_hand(net: UNet | MLP, log_snr: Tensor, label: Tensor, size: int) -> Tensor:
    """Level and label, each as numbers of its own, summed and mixed once."""
    level = affine(waves(log_snr, size), net.embed_level[1])  # type: ignore[arg-type]
    return silu(affine(silu(level + net.embed_label.weight[label]), net.condition[1]))  # type: ignore[arg-type]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def a_layer(into: int, out: int, kernel: int = 1) -> int:
    """Weights and biases."""
    return into * out * kernel**2 + out


@check(
    "the network of points: residual layers that see the point in octaves, scaled and shifted by level and label",
    "Tancik et al. 2020; Dhariwal & Nichol 2021, section 3",
)
def network_of_points() -> Iterator[Finding]:
    x = numbers(3, 2)
    for width, size in ((40, 32), (256, 64)):  # the condition is a quarter as wide, but not narrower than 32
        net = shaken(MLP(2, 3, outputs=2, width=width, depth=2), size=0.15)
        condition = condition_by_hand(net, LOG_SNR, LABEL, size)
        h = affine(octaves(x, 3), net.enter)
        for block in net.blocks:
            scale, shift = affine(condition, block.modulate).split(width, dim=1)  # type: ignore[arg-type]
            inner = affine((1 + scale) * normalised(h, block.norm, 1) + shift, block.layer1)  # type: ignore[arg-type]
            h = h + affine(silu(inner), block.layer2)  # type: ignore[arg-type]
        wanted = affine(silu(normalised(h, net.leave[0], 1)), net.leave[2])  # type: ignore[arg-type]
        yield near(f"{width} wide", wanted, net(x, LOG_SNR, label=LABEL), rel=1e-5, abs=1e-5)
    told = net(x, LOG_SNR, label=torch.full((3,), 3))
    yield near("no label is the label beyond the last", told, net(x, LOG_SNR))
    yield near("it begins as nothing", 0, MLP(2)(x.float(), LOG_SNR.float()))
    of_block = 2 * 128 + a_layer(32, 256) + 2 * a_layer(128, 128)
    total = 2 * a_layer(32, 32) + 32 + a_layer(2 * 7, 128) + 4 * of_block + 2 * 128 + a_layer(128, 2)
    yield near("numbers in it unless told", total, parameters(MLP(2)))


@check("the network of a field: smooth layers over octaves in units of the data, and 0 at first", "Tancik et al. 2020")
def network_of_a_field() -> Iterator[Finding]:
    net, x = shaken(FieldNet(2, scale=3.0, sigma=0.2, width=12, depth=2)), numbers(4, 2)
    h = octaves(x / 3, 2)
    for layer in net.layers:
        h = silu(affine(h, layer[0]))  # type: ignore[index]
    yield near("by hand", affine(h, net.leave) / 0.2, net(x), rel=1e-9)
    fresh = FieldNet(3, scale=1.0, sigma=1.0)
    yield near("it begins as nothing", 0, fresh(numbers(4, 3).float()))
    wanted = a_layer(3 * 5, 96) + 2 * a_layer(96, 96) + a_layer(96, 3)
    yield near("numbers in it unless told", wanted, parameters(fresh))


def folded(x: Tensor, side: int) -> Tensor:
    """Squares of side x side pixels become channels, the place in the square varying fastest."""
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels, height // side, side, width // side, side)
    return squares.permute(0, 1, 3, 5, 2, 4).reshape(batch, -1, height // side, width // side)


def doubled(x: Tensor) -> Tensor:
    """Every pixel as four."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def stage_by_hand(stage: Stage, x: Tensor, condition: Tensor, attend: bool) -> Tensor:
    h = block_by_hand(stage.block, x, condition)
    return attention_by_hand(stage.attention, h, 1) if attend else h  # type: ignore[arg-type]


def pyramid_by_hand(net: UNet, x: Tensor, condition: Tensor) -> Tensor:
    """Two resolutions with two blocks each on the way down and three on the way up; the lower one attends."""
    down, middle, up = list(net.down), list(net.middle), list(net.up)
    skips = [convolved(x, net.enter)]
    for layer, attend in zip(down, (False, False, None, True, True), strict=True):
        h = skips[-1]
        if attend is None:
            skips.append(convolved(h, layer, stride=2))  # type: ignore[arg-type]
        else:
            skips.append(stage_by_hand(layer, h, condition, attend))  # type: ignore[arg-type]
    h = stage_by_hand(middle[0], skips[-1], condition, True)  # type: ignore[arg-type]
    h = stage_by_hand(middle[1], h, condition, False)  # type: ignore[arg-type]
    for layer, attend in zip(up, (True, True, True, None, False, False, False), strict=True):
        if attend is None:
            h = convolved(doubled(h), layer)  # type: ignore[arg-type]
        else:
            h = stage_by_hand(layer, torch.cat([h, skips.pop()], 1), condition, attend)  # type: ignore[arg-type]
    return convolved(silu(normalised(h, net.leave[0].norm, 1)), net.leave[2])  # type: ignore[arg-type]


@check(
    "the U-Net by hand: folded pixels, skips from the way down to the way up, attention below and in the middle",
    "Ho et al. 2020, appendix B",
)
def network_of_images() -> Iterator[Finding]:
    net = shaken(UNet(2, 3, inputs=2, outputs=2, widths=(4, 6), blocks=2, attention=(1,)), size=0.2)
    condition = condition_by_hand(net, LOG_SNR, LABEL, 16)
    x = numbers(3, 4, 5, 22)
    rows, columns = torch.arange(8).clamp(max=4), torch.arange(24).clamp(max=21)  # to fours, by the border's pixels
    found = pyramid_by_hand(net, folded(x[..., rows, :][..., columns], 2), condition)
    unfolded = torch.empty(3, 4, 8, 24, dtype=torch.float64)
    for i in range(2):
        for j in range(2):
            unfolded[..., i::2, j::2] = found[:, 2 * i + j :: 4]
    got = net(x, LOG_SNR, label=LABEL)
    yield near("images of 5 x 22", unfolded[..., :5, :22], got, rel=1e-4, abs=1e-5)
    yield near("no label is the label beyond the last", net(x, LOG_SNR, label=torch.full((3,), 3)), net(x, LOG_SNR))
    yield near("it begins as nothing", 0, UNet(1, widths=(4,))(x[:, :1].float(), LOG_SNR.float()))


def of_a_unet(channels: int, classes: int, widths: Sequence[int], blocks: int, fold: int, attention: set[int]) -> int:
    """How many numbers it has."""
    size = 4 * widths[0]

    def stage(into: int, out: int, attend: bool) -> int:
        skip = a_layer(into, out) if into != out else 0
        total = 2 * into + a_layer(into, out, 3) + a_layer(size, 2 * out) + 2 * out + a_layer(out, out, 3) + skip
        return total + (2 * out + a_layer(out, 3 * out) + a_layer(out, out) if attend else 0)

    pixels = channels * fold**2
    total = 2 * a_layer(size, size) + (classes + 1) * size + a_layer(pixels, widths[0], 3)
    width, skips = widths[0], [widths[0]]
    for i, wider in enumerate(widths):
        for _ in range(blocks):
            total += stage(width, wider, i in attention)
            width = wider
            skips.append(width)
        if wider is not widths[-1]:
            total += a_layer(width, width, 3)
            skips.append(width)
    total += stage(width, width, True) + stage(width, width, False)
    for i in range(len(widths) - 1, -1, -1):
        for _ in range(blocks + 1):
            total += stage(width + skips.pop(), widths[i], i in attention)
            width = widths[i]
        total += a_layer(width, width, 3) if i else 0
    return total + 2 * width + a_layer(width, pixels, 3)


@check("a U-Net has as many numbers as its layers have", "counted")
def size_of_a_unet() -> Iterator[Finding]:
    yield near(
        "images have three dimensions, points one",
        torch.tensor([3, 1]),
        torch.tensor([UNet.dimensions, MLP.dimensions]),
    )
    yield near("unless told", of_a_unet(1, 0, (64, 128), 2, 2, set()), parameters(UNet(1)))
    for channels, classes, widths, blocks, fold, attention in (
        (3, 10, (8, 12, 16), 1, 1, (0, 2)),
        (1, 2, (8,), 3, 4, ()),
    ):
        net = UNet(channels, classes, widths=widths, blocks=blocks, fold=fold, attention=attention)
        wanted = of_a_unet(channels, classes, widths, blocks, fold, set(attention))
        yield near(f"widths {widths}", wanted, parameters(net))


@check(
    "in bfloat16 the answer is nearly the same, to the 8 bits that it keeps, and float32; training drops nothing unless"
    " told",
    "Kalamkar et al. 2019, section 2",
)
def precision_and_dropout() -> Iterator[Finding]:
    x, log_snr = numbers(3, 1, 4, 4).float(), LOG_SNR.float()
    for name, make, seen in (
        ("unet", lambda bf16: UNet(1, widths=(4, 6), bf16=bf16), x),
        ("mlp", lambda bf16: MLP(2, width=32, bf16=bf16), x[:, 0, 0, :2]),
    ):
        exact, rough = (shaken(make(bf16), size=0.2).float() for bf16 in (False, True))
        wanted, found = exact(seen, log_snr), rough(seen, log_snr)
        yield near(f"{name}, relative error", 0, (found - wanted).norm() / wanted.norm(), abs=0.05)
        yield near(f"{name}, not the same bits", 1, float((found != wanted).any()))
        yield near(f"{name}, bytes of a number", 4, found.element_size())
        yield near(f"{name} in training", wanted, exact.train()(seen, log_snr))
