"""Targets, exact models and guidance against Bayes' rule, quadrature and automatic differentiation."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import at
from diffcli.core.diffusion.denoiser import TARGETS, Denoiser, Prediction
from diffcli.core.diffusion.exact import Exact, Gaussian, Mixture, covariance_spectrum, linear_loss
from diffcli.core.diffusion.guidance import clipped, guided, thresholded
from diffcli.core.diffusion.schedules import VE, VP, Flow
from diffcli.core.diffusion.sde import flow_at
from diffcli.core.levels import Level

WEIGHTS, MEANS, STDS = (0.2, 0.5, 0.3), (-1.5, 0.2, 1.0), (0.2, 0.4, 0.1)


def line_mixture() -> Mixture:
    """Three Gaussians on a line."""
    return Mixture(*(torch.tensor(v, dtype=torch.float64) for v in (WEIGHTS, [[m] for m in MEANS], STDS)))


def plane_mixture(seed: int = 0) -> Mixture:
    """Four Gaussians on a plane."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    return Mixture(torch.tensor([1.0, 2.0, 3.0, 4.0]), means, torch.tensor([0.1, 0.2, 0.3, 0.4]))


def _points(count: int, dimensions: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _gradient(law: Exact, x: Tensor, level: Level) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_density(x, level).sum(), x)
    return gradient


@check("Tweedie's formula: E[x0 | x] = (x + sigma² score) / alpha, by quadrature over x0", "Efron 2011, eq. 1.4")
def tweedie() -> Iterator[Finding]:
    law, x0 = line_mixture(), torch.linspace(-4, 4, 40_001, dtype=torch.float64)
    density = sum(
        w * torch.distributions.Normal(at(m), at(s)).log_prob(x0).exp()
        for w, m, s in zip(WEIGHTS, MEANS, STDS, strict=True)
    )
    for level in (VP()(at(0.05)), VP()(at(0.4)), VE()(at(0.6)), Flow()(at(0.7))):
        for x in (-1.0, 0.1, 1.7):
            joint = density * torch.distributions.Normal(level.alpha * x0, level.sigma).log_prob(at(x)).exp()
            evidence = torch.trapezoid(joint, x0)
            wanted = torch.trapezoid(joint * x0, x0) / evidence
            here = torch.tensor([[x]], dtype=torch.float64)
            yield near(f"x0 at x = {x}, sigma {level.sigma:.2f}", wanted, law(here, level).x0, abs=1e-8)
            score = _gradient(law, here, level)
            yield near(f"by the score at x = {x}", wanted, (x + level.sigma**2 * score) / level.alpha, abs=1e-8)
            yield near(f"log density at x = {x}", evidence.log(), law.log_density(here, level), abs=1e-8)


@check("the score of each exact model is the gradient of its log-density", "Song et al. 2021, section 2.1")
def scores_are_gradients() -> Iterator[Finding]:
    covariance = torch.tensor([[1.0, 0.6, 0.1], [0.6, 0.8, -0.2], [0.1, -0.2, 0.5]], dtype=torch.float64)
    laws: dict[str, tuple[Exact, Tensor]] = {
        "mixture": (plane_mixture(), _points(7, 2)),
        "gaussian": (Gaussian(0.3, 0.5), _points(5, 2)),
        "covariance": (Gaussian.of_covariance(torch.tensor([0.1, -0.3, 0.2]), covariance), _points(5, 3)),
        "data set": (Mixture(torch.ones(50), _points(50, 4), torch.zeros(50)), _points(5, 4)),
    }
    for name, (law, x) in laws.items():
        for level in (VP()(at(0.3)), VE()(at(0.7)), Flow()(at(0.9))):
            yield near(name, _gradient(law, x, level), law.score(x, level), rel=1e-9, abs=1e-10)
            found = law(x, level)
            yield near(f"{name}, explains x", x, level.noised(found.x0, found.eps), abs=1e-12)


@check(
    "a Gaussian with full covariance: the conditional by the inverse of the joint covariance", "Bishop 2006, eq. 2.81"
)
def gaussian_conditional() -> Iterator[Finding]:
    # Of three dimensions: an orthogonal matrix of two may be its own transpose.
    covariance = torch.tensor([[1.0, 0.6, 0.1], [0.6, 0.8, -0.2], [0.1, -0.2, 0.5]], dtype=torch.float64)
    mean = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
    law, x = Gaussian.of_covariance(mean, covariance), _points(4, 3)
    for level in (VP()(at(0.3)), VE()(at(0.5))):
        total = level.alpha**2 * covariance + level.sigma**2 * torch.eye(3, dtype=torch.float64)
        wanted = mean + (x - level.alpha * mean) @ torch.linalg.inv(total) @ (level.alpha * covariance)
        yield near("posterior mean", wanted, law(x, level).x0, rel=1e-9)
        normal = torch.distributions.MultivariateNormal(level.alpha * mean, total)
        yield near("log density", normal.log_prob(x), law.log_density(x, level), rel=1e-9)


@check(
    "the memorising denoiser in blocks is the softmax over all images at once",
    "Karras et al. 2022, eq. 57; Vincent 2011",
)
def memorising_denoiser() -> Iterator[Finding]:
    data, x = _points(9000, 3), _points(6, 3) * 2
    law = Mixture(torch.ones(9000), data, torch.zeros(9000))
    for level in (VP()(at(0.05)), VP()(at(0.5)), VE()(at(0.9))):
        distance = (x.unsqueeze(1) - level.alpha * data).square().sum(2)
        shares = (-distance / (2 * level.sigma**2)).softmax(1)
        yield near(f"sigma {level.sigma:.2g}", shares @ data, law(x, level).x0, rel=1e-9, abs=1e-12)


class _Known(nn.Module):
    """A network that gives a x0 + b eps for known x0 and eps."""

    def __init__(self, x0: Tensor, eps: Tensor, target: str) -> None:
        super().__init__()
        self.x0, self.eps, self.target = x0, eps, target

    def forward(self, x: Tensor, log_snr: Tensor, **_: Any) -> Tensor:
        alpha, sigma = log_snr.double().sigmoid().sqrt(), (-log_snr.double()).sigmoid().sqrt()
        a, b = {
            "x0": (1.0, 0.0),
            "eps": (0.0, 1.0),
            "v": (-sigma, alpha),
            "flow": (-1.0, 1.0),
            "score": (0.0, -1 / sigma),
        }[self.target]
        a, b = (torch.as_tensor(v, dtype=torch.float64).reshape(-1, 1) for v in (a, b))
        return (a * self.x0 + b * self.eps) / (a**2 + b**2).sqrt()


@check(
    "every target gives back x0 and eps, at levels of any length",
    "Salimans & Ho 2022, appendix D; Lipman et al. 2023, eq. 23",
)
def targets_and_back() -> Iterator[Finding]:
    x0, eps = _points(4, 2), _points(8, 2)[4:]
    for target in TARGETS:
        for level in (VP()(at(0.3)), VE()(at(0.5)), Flow()(at(0.6))):
            denoiser = Denoiser(_Known(x0, eps, target), target)
            found = denoiser(level.noised(x0, eps), level)
            yield near(f"{target}, x0", x0, found.x0, abs=1e-5)
            yield near(f"{target}, eps", eps, found.eps, abs=1e-5)
            broad = Level(*(part.expand(4, 1) for part in level))
            yield near(f"{target}, loss", at(0.0), denoiser.loss(x0, broad, eps), abs=1e-10)


class _Fixed(nn.Module):
    """A network of fixed weights."""

    def forward(self, x: Tensor, log_snr: Tensor, **_: Any) -> Tensor:
        mixing = torch.tensor([[0.3, -0.8], [0.5, 0.4]], dtype=x.dtype)
        return torch.tanh(x @ mixing + 0.1 * log_snr.to(x.dtype).unsqueeze(1))


class _Asked(nn.Module):
    """A network that answers with the log-SNR that it is told."""

    def forward(self, x: Tensor, log_snr: Tensor, **_: Any) -> Tensor:
        return log_snr.to(x.dtype).unsqueeze(1).expand_as(x)


@check("a network is told log-SNR, and beyond 20 either way no more than that", "the rounding of float32")
def told_levels() -> Iterator[Finding]:
    for log_snr in (-60.0, -21.0, -19.5, 0.0, 19.5, 21.0, 60.0):
        level = Level(*(at(v).sigmoid().sqrt() for v in (log_snr, -log_snr)))
        told = Denoiser(_Asked(), "x0")(_points(2, 3), level).x0
        yield near(f"log-SNR {log_snr}", min(20.0, max(-20.0, log_snr)), told, rel=1e-6)


@check("EDM's preconditioning is v-prediction with its sign turned", "Karras et al. 2022, eq. 7 and table 1")
def edm_preconditioning() -> Iterator[Finding]:
    x = 3 * _points(5, 2)
    for sigma in (0.01, 0.5, 3.0, 40.0):
        for sigma_data in (1.0, 0.5):
            c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
            c_out = sigma * sigma_data / math.sqrt(sigma**2 + sigma_data**2)
            c_in = 1 / math.sqrt(sigma**2 + sigma_data**2)
            log_snr = torch.full((5,), 2 * math.log(sigma_data / sigma), dtype=torch.float32)
            wanted = c_skip * x + c_out * -_Fixed()(c_in * x, log_snr)
            level = Level(at(1.0), at(sigma / sigma_data))  # in units of sigma_data the data have spread 1
            found = sigma_data * Denoiser(_Fixed(), "v")(x / sigma_data, level).x0
            yield near(f"D(x; {sigma}), sigma_data {sigma_data}", wanted, found, rel=1e-9, abs=1e-12)


@check(
    "v and flow are the velocities of their paths, score the gradient of log q(x | x0), f x - g² score / 2 the flow's",
    "Salimans & Ho 2022, eq. 11; Lipman et al. 2023, eq. 23; Vincent 2011, eq. 13; Song et al. 2021, eq. 13",
)
def velocities() -> Iterator[Finding]:
    x0, eps, h = _points(3, 2), _points(6, 2)[3:], 1e-5
    angle = 0.7
    path = {u: math.cos(u) * x0 + math.sin(u) * eps for u in (angle - h, angle + h)}
    a, b = TARGETS["v"](at(math.cos(angle)), at(math.sin(angle)))
    yield near("v on the circle", (path[angle + h] - path[angle - h]) / (2 * h), a * x0 + b * eps, abs=1e-8)
    a, b = TARGETS["flow"](at(0.6), at(0.8))
    line = (Flow()(at(0.5 + h)).noised(x0, eps) - Flow()(at(0.5 - h)).noised(x0, eps)) / (2 * h)
    yield near("flow on the line", line, a * x0 + b * eps, abs=1e-8)
    noisy = (0.6 * x0 + 0.8 * eps).requires_grad_()
    (wanted,) = torch.autograd.grad(torch.distributions.Normal(0.6 * x0, at(0.8)).log_prob(noisy).sum(), noisy)
    a, b = TARGETS["score"](at(0.6), at(0.8))
    yield near("score of the jump", wanted, a * x0 + b * eps, rel=1e-9)
    law, x = plane_mixture(), _points(5, 2)
    for name, schedule in (("vp", VP()), ("ve", VE()), ("flow", Flow())):
        t = at(0.4)
        f, g2 = schedule.sde(t)
        wanted = f * x - g2 / 2 * _gradient(law, x, schedule(t))
        yield near(f"{name}, drift of the flow", wanted, flow_at(law, schedule, t)(x), rel=1e-8, abs=1e-9)


@check(
    "guidance is the gradient of log p(x) + scale (log p(x | c) - log p(x))", "Ho & Salimans 2022, eq. 6, w = scale - 1"
)
def guidance_of_scores() -> Iterator[Finding]:
    laws: tuple[Exact, Exact] = plane_mixture(0), Gaussian(0.4, 0.3)
    x, level = _points(6, 2), VP()(at(0.4))

    def denoise(x: Tensor, level: Level, **cond: Any) -> Prediction:
        return laws[cond.get("label", 0)](x, level)

    null, given = (_gradient(law, x, level) for law in laws)
    for scale in (0.0, 0.5, 1.0, 1.5, 7.0):
        found = guided(denoise, scale)(x, level, label=1)
        yield near(f"scale {scale}", null + scale * (given - null), -found.eps / level.sigma, rel=1e-9, abs=1e-9)
        yield near(f"scale {scale}, explains x", x, level.noised(found.x0, found.eps), abs=1e-9)
    ratio = (level.sigma / level.alpha).item()
    inside = guided(denoise, 3.0, interval=(ratio * 0.9, ratio))(x, level, label=1)
    yield near("inside the interval", null + 3 * (given - null), -inside.eps / level.sigma, rel=1e-9, abs=1e-9)
    for interval in ((ratio, 2 * ratio), (0.0, 0.9 * ratio)):
        outside = guided(denoise, 3.0, interval=interval)(x, level, label=1)
        yield near("outside it is the conditional", given, -outside.eps / level.sigma, rel=1e-9, abs=1e-9)
    spread = laws[1](x, level).x0.std(1)
    plain = guided(denoise, 3.0)(x, level, label=1).x0
    for share in (0.5, 1.0):
        found = guided(denoise, 3.0, rescale=share)(x, level, label=1)
        wanted = share * spread + (1 - share) * plain.std(1)  # Lin et al. 2024, eq. 15 and 16
        yield near(f"rescaled by {share}", wanted, found.x0.std(1), rel=1e-9)
        yield near(f"rescaled by {share}, explains x", x, level.noised(found.x0, found.eps), abs=1e-9)


@check(
    "clipping and dynamic thresholding hold x0, and eps still explains x",
    "Ho et al. 2020, code; Saharia et al. 2022, section 2.3",
)
def clipping() -> Iterator[Finding]:
    x0 = torch.tensor([[-3.0, -0.5, 0.2, 2.0], [0.9, -0.1, 0.3, 0.0]], dtype=torch.float64)
    level, x = VP()(at(0.4)), _points(2, 4)

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        return Prediction(x0, x)

    hard, soft = clipped(denoise)(x, level), thresholded(denoise, 0.75)(x, level)
    yield near("clipped", x0.clamp(-1, 1), hard.x0)
    bound = 2.25  # the 0.75 quantile of 0.2, 0.5, 2, 3 lies a quarter of the way from 2 to 3
    quiet = [0.9, -0.1, 0.3, 0.0]
    wanted = torch.tensor([[-1.0, -0.5 / bound, 0.2 / bound, 2.0 / bound], quiet], dtype=torch.float64)
    yield near("thresholded", wanted, soft.x0, abs=1e-12)
    for name, found in (("clipped", hard), ("thresholded", soft)):
        yield near(f"{name}, explains x", x, level.noised(found.x0, found.eps), abs=1e-12)


@check(
    "the best linear denoiser's loss, by regression of each target on x, in units of the target",
    "Wiener 1949; Kay 1993, section 12.5",
)
def linear_denoiser() -> Iterator[Finding]:
    few, many = _points(4, 5), _points(40, 3)  # fewer pictures than pixels, and more
    for data in (few, many @ torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 0.1]], dtype=torch.float64)):
        count, size = data.shape
        centred = data - data.mean(0)
        covariance, eye = centred.T @ centred / count, torch.eye(size, dtype=torch.float64)
        for level in (VP()(at(0.1)), VP()(at(0.5)), VE()(at(0.6)), Flow()(at(0.4))):
            length = torch.hypot(*level)
            alpha, sigma = level.alpha / length, level.sigma / length
            inverse = torch.linalg.inv(alpha**2 * covariance + sigma**2 * eye)
            zero, one = at(0.0), at(1.0)
            units = {"x0": (one, zero), "eps": (zero, one), "v": (-sigma, alpha), "flow": (-one, one)}
            for target, (a, b) in {**units, "score": (zero, -1 / sigma)}.items():
                with_x = a * alpha * covariance + b * sigma * eye  # the covariance of the target and x
                left = torch.trace(a**2 * covariance + b**2 * eye - with_x @ inverse @ with_x) / size
                found = linear_loss(covariance_spectrum(data), size, level, target)
                yield near(f"{target}, {count} of {size}, {sigma:.2f}", left / (a**2 + b**2), found, rel=1e-8)
    singly = [VP()(at(t)) for t in (0.1, 0.5)]
    together = Level(*(torch.stack(parts).reshape(2, 1, 1) for parts in zip(*singly, strict=True)))
    wanted = torch.stack([linear_loss(covariance_spectrum(many), 3, level, "v") for level in singly])
    yield near(
        "two levels at once", wanted, linear_loss(covariance_spectrum(many), 3, together, "v").flatten(), rel=1e-9
    )
