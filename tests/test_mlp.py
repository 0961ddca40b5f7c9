"""The residual multilayer perceptron: what its options promise."""

import torch
from test_unet import awake

from diffcli.core.models.mlp import MLP


def small(channels: int = 2, classes: int = 3, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return awake(MLP(channels, classes, **({"width": 16, "depth": 2} | options)))  # type: ignore[arg-type]


def test_points_of_any_dimension_come_back_as_they_were() -> None:
    for channels in (1, 2, 5):
        out = small(channels)(torch.randn(4, channels), torch.zeros(4))
        assert out.shape == (4, channels)
        assert out.dtype == torch.float32


def test_an_untrained_network_predicts_zero() -> None:
    assert MLP(2)(torch.randn(3, 2), torch.zeros(3)).abs().max() == 0


def test_no_label_is_the_null_label_and_labels_matter() -> None:
    network, x, at = small(), torch.randn(2, 2), torch.zeros(2)
    outputs = [network(x, at, label=torch.tensor([k, k])) for k in range(4)]
    assert torch.equal(network(x, at), outputs[3])
    for i in range(4):
        for j in range(i):
            assert (outputs[i] - outputs[j]).abs().max() > 1e-4


def test_each_point_has_its_own_level_and_label() -> None:
    network, x = small(), torch.randn(3, 2)
    levels, labels = torch.tensor([-5.0, 0.0, 5.0]), torch.tensor([0, 2, 3])
    together = network(x, levels, label=labels)
    for i in range(3):
        alone = network(x[i : i + 1], levels[i : i + 1], label=labels[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
    assert (network(x, levels.flip(0), label=labels) - together).abs().max() > 1e-4


def test_every_weight_is_used() -> None:
    network = small(dropout=0.1)
    network(torch.randn(4, 2), torch.randn(4), label=torch.tensor([0, 1, 2, 3])).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_bf16_is_near_fp32() -> None:
    x, at = torch.randn(8, 2), torch.zeros(8)
    precise, quick = small(bf16=False)(x, at), small(bf16=True)(x, at)
    assert quick.dtype == torch.float32
    assert 0 < (precise - quick).abs().max() < 0.05 * precise.abs().max()


def test_width_and_depth_are_what_they_say() -> None:
    count = sum(p.numel() for p in MLP(2, width=64, depth=5).parameters())
    deeper = sum(p.numel() for p in MLP(2, width=64, depth=6).parameters())
    assert deeper - count == 2 * (64 * 64 + 64) + 2 * 64 + (32 + 1) * 2 * 64  # two layers, a norm, a modulation
