"""The U-Net: what its options promise."""

from contextlib import nullcontext
from unittest.mock import Mock

import pytest
import torch
from crossings import META, Crossings
from torch.nn import functional as F

from diffcli.core.models.layers import Attention, ChannelNorm
from diffcli.core.models.unet import UNet


def awake(network: torch.nn.Module) -> torch.nn.Module:
    """The network with its zero-initialised branches filled, so that everything has an effect."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def small(channels: int = 1, classes: int = 3, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return awake(UNet(channels, classes, widths=(8, 16), blocks=1, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(28, 28), (7, 7), (5, 9), (1, 1), (16, 30)])
@pytest.mark.parametrize("fold", [1, 2])
def test_any_channels_and_any_size_come_back_as_they_were(channels: int, size: tuple[int, int], fold: int) -> None:
    out = small(channels, fold=fold)(torch.randn(2, channels, *size), torch.zeros(2))
    assert out.shape == (2, channels, *size)
    assert out.isfinite().all()
    assert out.dtype == torch.float32


def test_padding_repeats_the_border_and_is_cropped_again() -> None:
    """A 6x6 image is the same question as the 8x8 image that its border's pixels make of it."""
    network, x, at = small(fold=2), torch.randn(1, 1, 6, 6), torch.zeros(1)
    padded = torch.nn.functional.pad(x, (0, 2, 0, 2), mode="replicate")
    torch.testing.assert_close(network(x, at), network(padded, at)[..., :6, :6])


def test_an_untrained_network_predicts_zero() -> None:
    network = UNet(1, 10, widths=(8, 16))
    assert network(torch.randn(2, 1, 28, 28), torch.zeros(2)).abs().max() == 0


def test_no_label_is_the_null_label_and_labels_matter() -> None:
    network, x, at = small(), torch.randn(2, 1, 8, 8), torch.zeros(2)
    null = network(x, at)
    assert torch.equal(null, network(x, at, label=torch.tensor([3, 3])))
    outputs = [network(x, at, label=torch.tensor([k, k])) for k in range(4)]
    for i in range(4):
        for j in range(i):
            assert (outputs[i] - outputs[j]).abs().max() > 1e-4


def test_each_image_has_its_own_level_and_label() -> None:
    network, x = small(), torch.randn(3, 1, 8, 8)
    levels, labels = torch.tensor([-5.0, 0.0, 5.0]), torch.tensor([0, 2, 3])
    together = network(x, levels, label=labels)
    for i in range(3):
        alone = network(x[i : i + 1], levels[i : i + 1], label=labels[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)
    assert (network(x, levels.flip(0), label=labels) - together).abs().max() > 1e-4


def test_levels_are_told_apart_over_the_whole_range() -> None:
    network = small()
    levels = torch.linspace(-20, 20, 41)
    embedded = network.embed_level(levels)  # type: ignore[operator]
    distances = torch.cdist(embedded, embedded) + 1e9 * torch.eye(41)
    assert distances.min() > 0.05 * distances[distances < 1e8].max()


def test_every_weight_is_used() -> None:
    network = small(fold=2, attention=(0, 1))
    network(torch.randn(4, 1, 8, 8), torch.randn(4), label=torch.tensor([0, 1, 2, 3])).square().mean().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert unused == []


def test_bf16_is_near_fp32() -> None:
    x, at = torch.randn(2, 1, 16, 16), torch.zeros(2)
    precise, quick = small(bf16=False)(x, at), small(bf16=True)(x, at)
    assert quick.dtype == torch.float32
    assert 0 < (precise - quick).abs().max() < 0.05 * precise.abs().max()


def test_attention_is_softmax_attention() -> None:
    torch.manual_seed(0)
    layer = awake(Attention(64, head_size=32))
    x = torch.randn(2, 64, 3, 5)
    pixels = layer.norm(x.permute(0, 2, 3, 1).flatten(1, 2))  # type: ignore[operator]
    q, k, v = layer.qkv(pixels).reshape(2, 15, 3, 2, 32).permute(2, 0, 3, 1, 4)  # type: ignore[operator]
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 15, 64)
    wanted = x + layer.out(mixed).reshape(2, 3, 5, 64).permute(0, 3, 1, 2)  # type: ignore[operator]
    torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_an_accelerator_has_its_own_kernel_for_attention_and_nothing_crosses_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for meta
    fused = Mock(wraps=F.scaled_dot_product_attention)
    monkeypatch.setattr(F, "scaled_dot_product_attention", fused)
    network = small(attention=(1,)).to(META)
    x, at = torch.randn(2, 1, 16, 16, device=META), torch.zeros(2, device=META)
    with Crossings() as crossings:
        outs = [network(x, at), network(x, at, label=torch.zeros(2, dtype=torch.int64, device=META))]
        sum(out.square().mean() for out in outs).backward()
    assert crossings.count == 0
    assert fused.call_count == 2 * 4  # one block on the way down, one in the middle, two on the way up
    assert all(out.dtype == torch.float32 for out in outs)


def test_channel_norm_normalises_each_pixel_alone() -> None:
    out = ChannelNorm(16)(3 + 5 * torch.randn(2, 16, 4, 4))
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, correction=0), torch.ones(2, 4, 4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 7, 48, 112, 160])
def test_attention_takes_any_number_of_channels(channels: int) -> None:
    assert Attention(channels)(torch.randn(1, channels, 2, 3)).shape == (1, channels, 2, 3)
