"""Diffusion in latents: their scale, the way there and back, and what is drawn from what is stored."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion.latent import Codec, drawn_latents, paired
from diffcli.core.diffusion.schedules import EDM, SCHEDULES, Flow
from diffcli.core.diffusion.shifting import Shifted
from diffcli.core.models.autoencoder import LatentAutoencoder, perceptual_distance
from diffcli.core.models.tiles import by_tiles
from diffcli.core.processes.variational import Posterior
from diffcli.core.randomness import keyed

MEAN, STD = torch.tensor([3.0, -1.0]), torch.tensor([0.5, 4.0])


class Blocks(nn.Module):
    """Means of blocks of 2x2 pixels, and half of them with a width that grows; back by repetition."""

    factor = 2

    def encode(self, x: Tensor) -> Posterior:
        mean = F.avg_pool2d(x, 2)
        return Posterior(torch.cat([mean, -mean / 2], 1), torch.cat([0.1 + mean.abs(), 0.2 + 0 * mean], 1))

    def decode(self, z: Tensor) -> Tensor:
        return z[:, :1].repeat_interleave(2, 2).repeat_interleave(2, 3)


def images(count: int, side: int = 8) -> Tensor:
    return torch.rand(count, 1, side, side, generator=keyed(5, "latent check")) * 2 - 1


@check("a codec's latents: shifted and divided channel by channel, and back", "Rombach et al. 2022, appendix G")
def codec_scale() -> Iterator[Finding]:
    codec, x = Codec(Blocks(), MEAN, STD), images(3)
    blocks = x.reshape(3, 4, 2, 4, 2).mean((2, 4))
    found = codec.encode(x)
    yield near("mean of channel 0", (blocks - 3) / 0.5, found.mean[:, 0], abs=1e-6)
    yield near("mean of channel 1", (-blocks / 2 + 1) / 4, found.mean[:, 1], abs=1e-6)
    yield near("width of channel 0", (0.1 + blocks.abs()) / 0.5, found.std[:, 0], abs=1e-6)
    yield near("width of channel 1", torch.full_like(blocks, 0.05), found.std[:, 1], abs=1e-6)
    back = codec.decode(found.mean)
    yield near("blocks come back", blocks.repeat_interleave(2, 1).repeat_interleave(2, 2), back[:, 0], abs=1e-6)
    bright = codec.decode(torch.full((1, 2, 4, 4), 7.0))
    yield near("held to the range of images", torch.ones(1, 1, 8, 8), bright, abs=0)
    yield near("nothing to be trained", 0, sum(weight.requires_grad for weight in codec.parameters()))


@check(
    "latents that are measured have mean 0 and width 1, the posterior's own included", "Rombach et al. 2022, appendix G"
)
def measured_scale() -> Iterator[Finding]:
    x = images(4000, 2)
    posterior = Blocks().encode(x)
    mean = posterior.mean.mean((0, 2, 3))
    std = (posterior.mean.square() + posterior.std.square()).mean((0, 2, 3)).sub(mean.square()).sqrt()
    stored = paired(Codec(Blocks(), mean, std).encode(x))
    z = drawn_latents(stored, torch.randn(4000, 2, 1, 1, generator=keyed(6, "latent noise")))
    yield near("mean", torch.zeros(2), z.mean((0, 2, 3)), abs=0.06)
    yield near("width", torch.ones(2), z.std((0, 2, 3)), abs=0.05)
    without = stored.chunk(2, 1)[0].std((0, 2, 3))
    yield near("the means alone are narrower", 2, (without < 0.95).sum())


@check("what is drawn is the mean and the noise times the width", "Kingma & Welling 2014, section 2.4")
def drawn_from_stored() -> Iterator[Finding]:
    mean, std, noise = (torch.randn(2, 3, 4, 5, generator=keyed(i, "pair")) for i in range(3))
    stored = paired(Posterior(mean, std))
    yield near("stored", torch.tensor([2, 6, 4, 5]), torch.tensor(stored.shape))
    yield near("drawn", mean + std * noise, drawn_latents(stored, noise), abs=1e-6)
    yield near("without noise", mean, drawn_latents(stored, torch.zeros(2, 3, 4, 5)), abs=0)


@check("images are encoded and decoded alike whatever comes with them", "by hand")
def codec_in_parts() -> Iterator[Finding]:
    codec, x = Codec(Blocks(), MEAN, STD), images(5, 512)  # a picture has as many pixels as are taken at once
    whole = codec.encode(x)
    yield near("one by one", whole.mean, torch.cat([codec.encode(one[None]).mean for one in x]), abs=0)
    yield near("back", codec.decode(whole.mean), torch.cat([codec.decode(one[None]) for one in whole.mean]), abs=0)


@check(
    "the distance of features: by hand, nothing for equal images, and no gradient to the encoder", "Zhang et al. 2018"
)
def own_features() -> Iterator[Finding]:
    model = LatentAutoencoder((1, 8, 8), channels=2, widths=(4, 6), blocks=1)
    generator = keyed(7, "features")
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.3
    x, other = images(3), images(6)[3:].requires_grad_()
    seen: list[Tensor] = []
    layers = list(model.encoder)

    def features(of: Tensor) -> list[Tensor]:
        found, h = [], of
        for number, layer in enumerate(layers):
            h = layer(h)
            if number in (3, 5):  # the residual blocks, behind padding, folding, a convolution, and the next one
                found.append(h / h.square().sum(1, keepdim=True).sqrt())
        return found

    distances = [(a - b).square().sum(1).mean((1, 2)) for a, b in zip(features(other), features(x), strict=True)]
    seen.append(perceptual_distance(model, other, x))
    yield near("by hand", (distances[0] + distances[1]) / 2, seen[0], abs=1e-5)
    yield near("of equal images", torch.zeros(3), perceptual_distance(model, x, x), abs=0)
    seen[0].sum().backward()
    yield near("a gradient to the images", 1, float(other.grad is not None and bool(other.grad.abs().sum() > 0)))
    yield near("none to the weights", 0, sum(weight.grad is not None for weight in model.parameters()))


@check("the shape of latents, and sides that the factor does not divide", "Rombach et al. 2022, section 3.1")
def latent_shapes() -> Iterator[Finding]:
    for shape, widths, wanted in (
        ((1, 28, 28), (8, 8), (3, 7, 7)), ((3, 13, 10), (8,), (3, 7, 5)), ((3, 17, 64), (8, 8, 8), (3, 3, 8)),
    ):  # fmt: skip
        model = LatentAutoencoder(shape, channels=3, widths=widths, blocks=1)
        x = torch.rand(2, *shape) * 2 - 1
        posterior = model.encode(x)
        yield near(f"latents of {shape}", torch.tensor([2, *wanted]), torch.tensor(posterior.mean.shape))
        yield near(f"told before, of {shape}", torch.tensor(wanted), torch.tensor(model.latent_shape))
        yield near(f"the factor of {shape}", 2 ** len(widths), model.factor)
        yield near(f"images of {shape}", torch.tensor([2, *shape]), torch.tensor(model.decode(posterior.mean).shape))


@check("a picture in tiles is the picture at once, and would not be with a narrower overlap", "by hand")
def latents_in_tiles() -> Iterator[Finding]:
    generator = keyed(9, "tiles")
    for shape, widths, blocks in (((1, 37, 50), (6, 6), 1), ((3, 30, 41), (6,), 2), ((1, 75, 48), (4, 4, 4), 1)):
        model = LatentAutoencoder(shape, channels=2, widths=widths, blocks=blocks).double()
        for weight in model.parameters():
            weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.3
        x = torch.rand(1, *shape, generator=generator, dtype=torch.float64) * 2 - 1
        law, z = model.encoder(x), model.encode(x).mean
        image = model.decoder(z)
        for overlap, least in ((model.reach, 0.0), (model.reach - 1, 1e-7)):
            there = by_tiles(model.encoder, x, tile=3, overlap=overlap, enter=model.factor)
            back = by_tiles(model.decoder, z, tile=3, overlap=overlap, leave=model.factor)
            off = max((there - law).abs().max().item(), (back - image).abs().max().item())
            said = f"{shape} with {overlap} latents"
            yield (
                near(f"alike, {said}", 0, off, abs=1e-12) if not least else near(f"not, {said}", 1, float(off > least))
            )


def at(t: float) -> Tensor:
    return torch.tensor(t, dtype=torch.float64)


@check(
    "a shift: the noise of each time to the signal, so many times",
    "Esser et al. 2024, section 5.3.2; Hoogeboom et al. 2023",
)
def shifted_schedules() -> Iterator[Finding]:
    for t in (0.1, 0.5, 0.9):
        level = Shifted(Flow(), 3.0)(at(t))
        yield near(f"the straight line at {t}", 3 * t / (1 + 2 * t), level.sigma, rel=1e-12)
        yield near(f"its signal at {t}", (1 - t) / (1 + 2 * t), level.alpha, rel=1e-12)
    for name in ("cosine", "vp", "ve", "edm", "sigmoid"):
        plain = SCHEDULES[name]()
        for shift in (0.5, 2.0):
            schedule = Shifted(plain, shift)
            for t in (plain.first, 0.3, 0.8):
                before, after = (
                    plain(at(t)),
                    schedule(at(t)),
                )
                ratio = shift * before.sigma / before.alpha
                yield near(f"{name} by {shift} at {t}", ratio, after.sigma / after.alpha, rel=1e-9)
                length = torch.hypot(*before) if name not in ("ve", "edm") else before.alpha
                found = torch.hypot(*after) if name not in ("ve", "edm") else after.alpha
                yield near(f"length of {name} by {shift} at {t}", length, found, rel=1e-9)
    yield near("entries stay", 1000, Shifted(SCHEDULES["cosine"](), 2.0).length or 0)
    yield near(
        "times of training stay",
        EDM().training_time(at(0.3)),
        Shifted(EDM(), 2.0).training_time(at(0.3)),
    )
