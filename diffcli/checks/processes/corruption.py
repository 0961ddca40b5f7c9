"""Denoising autoencoders: the best denoisers, and the score that they hold."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
from diffcli.core.diffusion.exact import Mixture, covariance_spectrum, linear_loss
from diffcli.core.draws import BatchDraws
from diffcli.core.levels import Level
from diffcli.core.processes import corruption as c
from diffcli.core.processes.corruption import moments
from diffcli.core.processes.montecarlo.kernels import value_and_gradient

LAW = [(0.2, (-1.0, 0.25, 1.0)), (0.5, (0.5, -0.75, -1.0)), (0.3, (-0.25, 1.0, 0.5))]
"""A law of images of three values: chances and images."""


def listed(values: Sequence[float]) -> Tensor:
    """The values in double precision."""
    return torch.tensor(values, dtype=torch.float64)


CHANCES = {"masking": ((-1.0, 1.0),), "salt-and-pepper": ((-1.0, 0.5), (1.0, 0.5))}
"""What is put in the place of a lost value, and how often."""


def _outcomes(name: str, share: float) -> list[tuple[float, Tensor, Tensor]]:
    """Chance, clean image and corrupted image of everything that may happen to the law's images."""
    found = []
    for weight, image in LAW:
        kinds = [[(1 - share, value), *((share * q, v) for v, q in CHANCES[name])] for value in image]
        for chosen in itertools.product(*kinds):
            y = torch.tensor([value for _, value in chosen], dtype=torch.float64)
            found.append((weight * math.prod(q for q, _ in chosen), torch.tensor(image, dtype=torch.float64), y))
    return found


def _law() -> tuple[Tensor, Tensor, Tensor]:
    """Weights, mean and covariance of the law's images."""
    weights = torch.tensor([w for w, _ in LAW], dtype=torch.float64)
    images = torch.tensor([x for _, x in LAW], dtype=torch.float64)
    mean = weights @ images
    return weights, mean, (images - mean).mT @ torch.diag(weights) @ (images - mean)


@check(
    "where values are lost, the best affine denoiser and its error are those of least squares over every outcome",
    "Kay 1993, eq. 12.20; enumeration",
)
def best_affine_of_lost_values() -> Iterator[Finding]:
    _, mean, covariance = _law()
    for name, share in itertools.product(CHANCES, (0.2, 0.7)):
        chance, x, y = (
            torch.stack([torch.as_tensor(v, dtype=torch.float64) for v in col])
            for col in zip(*_outcomes(name, share), strict=True)
        )
        root = chance.sqrt().unsqueeze(1)
        design = torch.cat([y, torch.ones(len(y), 1, dtype=torch.float64)], dim=1)
        solution = torch.linalg.lstsq(root * design, root * x).solution
        fitted = design @ solution
        found = c.best_affine(c.CORRUPTIONS[name], mean, covariance, share)
        yield near(f"estimates, {name} {share}", fitted, found(y), abs=1e-8)
        yield near(f"error, {name} {share}", chance @ (fitted - x).square().mean(1), found.error, rel=1e-8)


@check(
    "under Gaussian noise the best affine denoiser shrinks each principal axis by v / (v + sigma²): the Wiener filter",
    "Wiener 1949; Bishop 2006, eq. 2.116",
)
def best_affine_of_noise() -> Iterator[Finding]:
    numbers = torch.randn(40, 2, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    images = numbers + 0.5 * numbers.flip(1) + 0.3
    mean, covariance = moments(images)
    flat = images.flatten(1)
    yield near("mean", sum(flat[i] for i in range(40)) / 40, mean, abs=1e-12)
    outer = sum(torch.outer(row - mean, row - mean) for row in flat) / 40
    yield near("covariance", outer, covariance, abs=1e-12)
    variances, axes = torch.linalg.eigh(outer)
    for sigma in (0.1, 0.5, 2.0):
        found = c.best_affine(c.CORRUPTIONS["gaussian"], mean, covariance, sigma)
        shrunk = sum(
            v / (v + sigma**2) * torch.outer((flat - mean) @ axis, axis)
            for v, axis in zip(variances, axes.mT, strict=True)
        )
        yield near(f"estimates, sigma {sigma}", (mean + shrunk).reshape(images.shape), found(images), abs=1e-8)
        level = Level(at(1.0), at(sigma))
        loss = linear_loss(covariance_spectrum(images), 4, level, "x0")
        yield near(f"error, sigma {sigma}", loss, found.error, rel=1e-8)


@check(
    "corrupted images have the mean and the spread that the best affine denoiser takes them to have",
    "Vincent et al. 2010, section 3.3; the law of total variance",
)
def corrupted_moments() -> Iterator[Finding]:
    draws, x = 40_000, torch.tensor([-1.0, -0.3, 0.6, 1.0], dtype=torch.float64)
    for (name, kind), amount in itertools.product(c.CORRUPTIONS.items(), (0.3, 0.8)):
        source = BatchDraws(7, 0, 0, draws, draws)
        y = kind.apply(x.expand(draws, -1), torch.full((draws,), amount, dtype=torch.float64), source)
        if name == "gaussian":
            mean, variance = x, torch.full_like(x, amount**2)
        else:
            values = [[(1 - amount, v.item()), *((amount * q, w) for w, q in CHANCES[name])] for v in x]
            mean = torch.tensor([sum(q * v for q, v in row) for row in values], dtype=torch.float64)
            square = torch.tensor([sum(q * v * v for q, v in row) for row in values], dtype=torch.float64)
            variance = square - mean**2
        error = (variance / draws).sqrt()
        yield near(f"mean, {name} {amount}", mean, y.mean(0), abs=5 * error.max().item() + 1e-12)
        spread = y.var(0)
        width = 5 * (((y - y.mean(0)) ** 2 - spread).square().mean(0) / draws).sqrt()
        yield near(f"variance, {name} {amount}", variance, spread, abs=width.max().item() + 1e-12)
        together = torch.corrcoef(y[:, 1:3].mT)[0, 1]
        yield near(f"values one by one, {name} {amount}", 0, together, abs=5 / math.sqrt(draws))
        noised = kind.noised(x, torch.zeros_like(x), amount)
        yield near(f"E[y | x], {name} {amount}", mean, noised.scale * x + noised.offset, abs=1e-12)
        yield near(f"Var(y | x), {name} {amount}", variance, noised.extra, abs=1e-12)


@check(
    "each image of a batch has its own amount; amounts are spread evenly, over the logarithm of sigma or the share",
    "Kingma et al. 2021, appendix I.1",
)
def amounts() -> Iterator[Finding]:
    x = torch.zeros(3, 1, 100, 100, dtype=torch.float64)
    y = c.GaussianNoise().apply(x, torch.tensor([0.1, 1.0, 4.0]), torch.Generator().manual_seed(1))
    yield near("sigma of each", listed([0.1, 1.0, 4.0]), y.flatten(1).std(1), rel=5 / math.sqrt(2 * 10_000))
    lost = c.Replacing(1.0).apply(x, torch.tensor([0.1, 0.5, 0.9]), torch.Generator().manual_seed(1))
    yield near("share of each", listed([0.1, 0.5, 0.9]), (lost == 1).double().flatten(1).mean(1), abs=5 * 0.5 / 100)
    for name, kind in c.CORRUPTIONS.items():
        drawn = c.draw_amounts(kind, 1000, BatchDraws(2, 0, 0, 1000, 1000), 0.1, 0.9).sort().values
        steps = (drawn.log() if name == "gaussian" else drawn).diff()
        span = (math.log(9) if name == "gaussian" else 0.8) / 1000
        yield near(f"even steps, {name}", span, steps, rel=1e-6)
        own = c.draw_amounts(kind, 1000, torch.Generator().manual_seed(2))
        ends = listed([0.05, 2.0] if name == "gaussian" else [0.05, 0.95])
        yield near(f"its own range, {name}", ends, torch.stack([own.min(), own.max()]), abs=0.01)
    shares, sigmas = listed([0.2, 0.5, 0.8]), listed([0.1, 1.0, 2.0])
    odds = torch.tensor([math.log(0.8 / 0.2), 0.0, math.log(0.2 / 0.8)], dtype=torch.float64)
    yield near("log odds that a value is kept", odds, c.Replacing(0.5).log_snr(shares), abs=1e-12)
    snr = torch.tensor([math.log(1 / s**2) for s in sigmas.tolist()], dtype=torch.float64)
    yield near("log-SNR", snr, c.GaussianNoise().log_snr(sigmas), abs=1e-12)


@check(
    "the denoiser that remembers weighs each known image by the chance that it left what is seen",
    "Bayes' rule, value by value",
)
def recollections() -> Iterator[Finding]:
    images = torch.tensor([x for _, x in LAW], dtype=torch.float64)
    seen = [(-1.0, 0.3, 1.0), (1.0, -0.8, -1.0), (-1.0, -1.0, 1.0), (-0.2, 1.0, 0.4), (1.0, 1.0, -1.0)]
    for name, share, blur in itertools.product(CHANCES, (0.3, 0.8), (0.2, 0.6)):
        wanted = []
        for y in seen:
            weights = [math.prod(_chance(a, b, name, share, blur) for a, b in zip(y, x, strict=True)) for _, x in LAW]
            total = sum(weights)
            wanted.append([sum(w * x[i] for w, (_, x) in zip(weights, LAW, strict=True)) / total for i in range(3)])
        kind = c.CORRUPTIONS[name]
        assert isinstance(kind, c.Replacing)
        found = c.recollection(kind, images, torch.tensor(seen, dtype=torch.float64), share, blur)
        yield near(f"{name} {share}, blur {blur}", torch.tensor(wanted, dtype=torch.float64), found, abs=1e-9)


def _chance(y: float, x: float, name: str, share: float, blur: float) -> float:
    """Of seeing y where the known image has x: a density inside, a probability at the ends."""
    if abs(y) < 1:
        return (1 - share) * math.exp(-((y - x) ** 2) / (2 * blur**2)) / (blur * math.sqrt(2 * math.pi))
    beyond = math.erfc((1 - x * y) / (blur * math.sqrt(2))) / 2
    return (1 - share) * beyond + share * dict(CHANCES[name]).get(y, 0.0)


def _ring() -> Mixture:
    means = torch.tensor([[1.0, 0.0], [-0.5, 0.8], [-0.4, -0.9]], dtype=torch.float64)
    return Mixture(listed([0.5, 0.2, 0.3]), means, listed([0.3, 0.4, 0.5]))


@check(
    "the best denoiser of Gaussian noise holds the score of the noised data: (r(x) - x) / sigma² = grad log p(x)",
    "Vincent 2011, section 4.2; Miyasawa 1961",
)
def denoiser_is_score() -> Iterator[Finding]:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for sigma in (0.05, 0.3, 1.0, 3.0):
        level = Level(at(1.0), at(sigma))
        _, wanted = value_and_gradient(functools.partial(_ring().log_density, level=level), x)
        found = c.denoising_score(_ring()(x, level).x0, x, sigma)
        yield near(f"sigma {sigma}", wanted, found, rel=1e-9, abs=1e-9)


@check(
    "as sigma goes to 0 it tends to the score of the data, and half the sigma leaves a quarter of the error",
    "Alain & Bengio 2014, theorem 1",
)
def denoiser_tends_to_score() -> Iterator[Finding]:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    _, wanted = value_and_gradient(_ring().log_density, x)
    errors = []
    for sigma in (0.02, 0.01, 0.005):
        found = c.denoising_score(_ring()(x, Level(at(1.0), at(sigma))).x0, x, sigma)
        errors.append((found - wanted).norm().item())
    yield near("0.02 -> 0.01", 4, errors[0] / errors[1], rel=0.01)
    yield near("0.01 -> 0.005", 4, errors[1] / errors[2], rel=0.01)


class _Linear(torch.nn.Module):
    """A network with a known output."""

    def forward(self, x: Tensor, log_snr: Tensor, **_: object) -> Tensor:
        return 0.3 * x + 0.01 * log_snr.reshape(-1, *[1] * (x.dim() - 1))


@check(
    "an autoencoder's estimate and loss: v under Gaussian noise, an addition to the image where values are lost",
    "Salimans & Ho 2022, appendix D; Vincent et al. 2010, eq. 4",
)
def autoencoder() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(8)
    x = torch.rand(4, 1, 3, 3, generator=generator, dtype=torch.float64) * 2 - 1
    amount = listed([0.1, 0.3, 0.5, 0.9])
    for name, kind in c.CORRUPTIONS.items():
        y = kind.apply(x, amount, generator)
        model, estimates, losses = Autoencoder(_Linear(), kind), [], []
        for i, a in enumerate(amount.tolist()):
            if name == "gaussian":
                length = math.hypot(1, a)
                unit, alpha, sigma = y[i] / length, 1 / length, a / length
                out = 0.3 * unit + 0.01 * torch.tensor(-2 * math.log(a)).float().double()
                estimates.append(alpha * unit - sigma * out)
                eps = (y[i] - x[i]) / a
                losses.append((out - (alpha * eps - sigma * x[i])).square().mean())
            else:
                estimates.append(y[i] + 0.3 * y[i] + 0.01 * math.log((1 - a) / a))
                losses.append((estimates[-1] - x[i]).square().mean())
        yield near(f"estimates, {name}", torch.stack(estimates), model(y, amount), abs=1e-7)
        yield near(f"losses, {name}", torch.stack(losses), model.loss(x, y, amount), rel=1e-6)
