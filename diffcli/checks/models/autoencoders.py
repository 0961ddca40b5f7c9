"""The networks of variational autoencoders: what their parts do to images, how they begin and how large they are."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.models.layers import convolved, normalised, numbers, shaken, silu
from diffcli.checks.models.networks import a_layer, affine, doubled, folded, parameters
from diffcli.core.models import vae
from diffcli.core.models.layers import ChannelNorm
from diffcli.core.processes.laws.pixels import Bits


class Says(nn.Module):
    """An encoder or a decoder that says the same of everything."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer


def seen(x: Tensor, layers: list[nn.Module]) -> Tensor:
    """What a chain of layers makes of images or vectors, each layer written out."""
    for layer in layers:
        match layer:
            case nn.Linear():
                x = affine(x, layer)
            case nn.Conv2d():
                x = convolved(x, layer, stride=layer.stride[0])
            case nn.LayerNorm():
                x = normalised(x, layer, 1)
            case ChannelNorm():
                x = normalised(x, layer.norm, 1)
            case vae.Residual():
                x = x + seen(silu(seen(x, [layer.norm, layer.first])), [layer.second])
            case nn.SiLU():
                x = silu(x)
            case nn.PixelUnshuffle():
                x = folded(x, 2)
            case nn.Upsample():
                x = doubled(x)
            case nn.Flatten():
                x = x.flatten(1)
            case nn.Dropout():
                pass
            case _:
                x = layer(x)
    return x


@check("the convolutional autoencoder by hand, with sides that do not divide", "He et al. 2016; Shi et al. 2016")
def convolutional_autoencoder() -> Iterator[Finding]:
    encoder, decoder = vae.conv((2, 5, 9), 3, 2, widths=(4, 6, 8), blocks=2)
    for part in (encoder, decoder):
        shaken(part, size=0.2)
    x, z = numbers(2, 2, 5, 9), numbers(2, 3)
    rows, columns = torch.arange(8).clamp(max=4), torch.arange(16).clamp(max=8)  # to multiples of eight
    down = list(encoder)  # type: ignore[call-overload]
    yield near("encoder", seen(x[..., rows, :][..., columns], down[1:]), encoder(x), rel=1e-9, abs=1e-10)
    up = list(decoder)  # type: ignore[call-overload]
    small = seen(z, [up[0]]).reshape(2, 8, 1, 2)
    pixels = seen(small, up[2:-2])
    wanted = torch.empty(2, 4, 8, 16, dtype=torch.float64)
    for i in range(2):
        for j in range(2):
            wanted[..., i::2, j::2] = pixels[:, 2 * i + j :: 4]
    yield near("decoder", wanted[..., :5, :9], decoder(z), rel=1e-9, abs=1e-10)

    def stage(width: int) -> int:
        return 2 * (2 * width + 2 * a_layer(width, width, 3))

    inside = 8 * 1 * 2
    into = a_layer(8, 4, 3) + stage(4) + a_layer(4, 6, 3) + stage(6) + a_layer(6, 8, 3) + stage(8) + 2 * 8
    back = stage(8) + a_layer(8, 6, 3) + stage(6) + a_layer(6, 4, 3) + stage(4) + 2 * 4 + a_layer(4, 16, 3)
    yield near("numbers in the encoder", into + a_layer(inside, 6), parameters(encoder))
    yield near("numbers in the decoder", back + a_layer(3, inside), parameters(decoder))


@check("the autoencoder of layers by hand; it begins by saying the same of every image", "He et al. 2016")
def layered_autoencoder() -> Iterator[Finding]:
    x, z = numbers(3, 1, 2, 3), numbers(3, 2)
    encoder, decoder = vae.mlp((1, 2, 3), 2, 2, width=8, depth=2)
    yield near("the first encoding", 0, encoder(x.float()))
    yield near("the first decoding", 0, decoder(z.float()))
    into = a_layer(6, 8) + 2 * (2 * 8 + 2 * a_layer(8, 8)) + 2 * 8 + a_layer(8, 4)
    back = a_layer(2, 8) + 2 * (2 * 8 + 2 * a_layer(8, 8)) + 2 * 8 + a_layer(8, 12)
    yield near("numbers in the encoder", into, parameters(encoder))
    yield near("numbers in the decoder", back, parameters(decoder))
    for part in (encoder, decoder):
        shaken(part, size=0.2).train()  # without dropout training is no different
    yield near("encoder", seen(x, list(encoder)), encoder(x), rel=1e-9, abs=1e-10)  # type: ignore[call-overload]
    wanted = seen(z, list(decoder)[:-1]).reshape(3, 2, 2, 3)  # type: ignore[call-overload]
    yield near("decoder", wanted, decoder(z), rel=1e-9, abs=1e-10)
    residual = vae.Residual(nn.LayerNorm(2), nn.Linear(2, 2), nn.Linear(2, 2)).double()
    yield near("a residual pair begins as nothing", z, residual(z))


@check(
    "the encoder's output is a mean and the log of a width, which is e⁻⁷ at least; one width for all images if linear",
    "Kingma & Welling 2014, appendix C.2",
)
def what_an_encoder_says() -> Iterator[Finding]:
    x = numbers(2, 1, 2, 2)
    logs = torch.tensor([[0.5, -9.0], [-6.9, 2.0]], dtype=torch.float64)
    means = numbers(2, 2, seed=3)
    model = vae.VAE(2, Bits(), Says(torch.cat([means, logs], 1)), Says(x))
    q = model.encode(x)
    yield near("means", means, q.mean)
    wanted = torch.tensor([[math.exp(0.5), math.exp(-7)], [math.exp(-6.9), math.exp(2)]], dtype=torch.float64)
    yield near("widths", wanted, q.std, rel=1e-12)
    spread = vae.Spread(nn.Linear(3, 2).double(), 2)
    spread.log_std.data = torch.tensor([0.3, -0.7], dtype=torch.float64)
    y = numbers(4, 3)
    yield near("the layer's own output", affine(y, spread.layer), spread(y)[:, :2], rel=1e-12)  # type: ignore[arg-type]
    yield near("and the widths beside it", torch.tensor([0.3, -0.7]), spread(y)[:, 2:], abs=1e-7)


@check("in bfloat16 both ways are nearly the same, and of the type of what is given", "Kalamkar et al. 2019, section 2")
def autoencoder_precision() -> Iterator[Finding]:
    x, z = numbers(3, 1, 2, 3).float(), numbers(3, 2).float()

    def network(bf16: bool) -> vae.VAE:
        return shaken(vae.VAE(2, Bits(), *vae.mlp((1, 2, 3), 2, 1, width=8, depth=1), bf16=bf16)).float()

    exact, rough = network(False), network(True)
    truth, found = exact.encode(x), rough.encode(x)
    for name, wanted, got in (
        ("mean", truth.mean, found.mean),
        ("width", truth.std, found.std),
        ("image", exact.decode(z), rough.decode(z)),
    ):
        yield near(f"{name}, relative error", 0, (got - wanted).norm() / wanted.norm(), abs=0.05)
        yield near(f"{name}, not the same bits", 1, float((got != wanted).any()))
        yield near(f"{name}, bytes of a number", 4, got.element_size())
