"""Denoising autoencoders: the damage, the best denoisers for it, and the score that they hold."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli import denoised_score
from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.exact import Mixture
from diffcli.core.diffusion.schedules import Level
from diffcli.core.models.dae import DAE, amounts
from diffcli.core.processes.corruption import CORRUPTIONS
from diffcli.langevin.dynamics import clean_score
from diffcli.metrics import denoisers, quality
from diffcli.truths import Finding, check, near

PIXELS = torch.tensor([[-1.0, 0.2, 0.9], [0.5, 0.1, -0.3], [0.7, -0.8, 0.4], [-0.2, 0.6, -1.0]], dtype=torch.float64)
"""Four clean images of three pixels."""
DRAWS = 200_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(21)


def outcomes(name: str, x0: float, amount: float) -> list[tuple[float, float]]:
    """What becomes of a pixel, with probabilities; for Gaussian noise by three nodes of Gauss-Hermite quadrature."""
    if name == "gaussian":
        return [(x0 + amount * math.sqrt(3) * k, p) for k, p in ((-1, 1 / 6), (0, 2 / 3), (1, 1 / 6))]
    ends = [(-1.0, amount)] if name == "masking" else [(-1.0, amount / 2), (1.0, amount / 2)]
    return [(x0, 1 - amount), *ends]


@check(
    "each damage has the mean and the spread that it claims, and the draws have them too",
    "Vincent et al. 2008, section 2.3; Vincent et al. 2010, section 3.3",
)
def damages() -> Iterator[Finding]:
    for name, kind in CORRUPTIONS.items():
        for amount in (0.15, 0.6):
            size = torch.tensor(amount, dtype=torch.float64)
            means, spreads = [], []
            for column in PIXELS.T.tolist():
                moments = [[sum(p * v**k for v, p in outcomes(name, x, amount)) for k in (1, 2)] for x in column]
                means.append([first for first, _ in moments])
                spreads.append(sum(second - first**2 for first, second in moments) / 4)
            mean = kind.gain(size) * PIXELS + kind.offset(size)
            yield near(f"mean, {name}, {amount}", torch.tensor(means).T, mean, abs=1e-6)
            variance = kind.variance(size, PIXELS.mean(0), PIXELS.square().mean(0))
            yield near(f"spread, {name}, {amount}", torch.tensor(spreads), variance, abs=1e-6)
            drawn = kind.damage(PIXELS[:1].expand(DRAWS, -1), size, generator())
            error = 4.5 * drawn.std(0).max().item() / math.sqrt(DRAWS)
            yield near(f"mean of draws, {name}, {amount}", mean[0], drawn.mean(0), abs=error)
            wanted = kind.variance(size, PIXELS[0], PIXELS[0] ** 2)
            yield near(f"spread of draws, {name}, {amount}", wanted, drawn.var(0), rel=0.02, abs=1e-12)


@check(
    "all channels of a pixel are masked or peppered together, and shares are those asked for",
    "Vincent et al. 2010, section 3.3",
)
def damage_of_colours() -> Iterator[Finding]:
    x0 = torch.full((1, 3, 200, 200), 0.3)
    for name in ("masking", "salt-and-pepper"):
        hit = CORRUPTIONS[name].damage(x0, torch.tensor(0.3), generator()) != 0.3
        yield near(f"channels together, {name}", hit[:, :1].expand(-1, 3, -1, -1).double(), hit.double())
        yield near(f"share, {name}", 0.3, hit.double().mean(), abs=4.5 * math.sqrt(0.21 / 40_000))
    white = (CORRUPTIONS["salt-and-pepper"].damage(x0, torch.tensor(0.3), generator()) == 1).double().mean()
    yield near("white", 0.15, white, abs=4.5 * math.sqrt(0.1275 / 40_000))


def enumerated(name: str, amount: float) -> tuple[Tensor, Tensor, Tensor]:
    """Every clean image, what may become of it, and its probability: the joint law, [M, 3], [M, 3], [M]."""
    clean, damaged, chances = [], [], []
    for x0 in PIXELS.tolist():
        for combination in itertools.product(*(outcomes(name, v, amount) for v in x0)):
            clean.append(x0)
            damaged.append([v for v, _ in combination])
            chances.append(math.prod(p for _, p in combination) / 4)
    return tuple(torch.tensor(v, dtype=torch.float64) for v in (clean, damaged, chances))  # type: ignore[return-value]


@check(
    "the best linear denoiser is the least-squares fit over the whole joint law of clean and damaged images",
    "Kay 1993, eq. 12.20",
)
def best_linear_denoiser() -> Iterator[Finding]:
    moments = denoisers.Moments.of(PIXELS)
    for name in CORRUPTIONS:
        clean, damaged, chances = enumerated(name, 0.4)
        design = torch.cat([damaged, torch.ones(len(damaged), 1, dtype=torch.float64)], dim=1)
        normal = design.T @ (chances.unsqueeze(1) * design)
        fit = torch.linalg.solve(normal, design.T @ (chances.unsqueeze(1) * clean))
        found = denoisers.Linear(moments, name, 0.4)
        yield near(f"estimates, {name}", design @ fit, found(damaged), rel=1e-7, abs=1e-7)
        error = chances @ (design @ fit - clean).square().mean(1)
        yield near(f"error, {name}", error, found.error, rel=1e-7)


@check(
    "the memorising denoiser is the posterior mean over its images; with a kept pixel's tolerance where it needs one",
    "Vincent et al. 2008, section 4.1; Bayes' rule",
)
def memorising_denoiser() -> Iterator[Finding]:
    x = torch.tensor([[0.4, -1.0, 1.0], [-1.0, -1.0, 0.3]], dtype=torch.float64)
    for name, amount in (("gaussian", 0.5), ("masking", 0.3), ("salt-and-pepper", 0.3)):
        wanted = []
        for row in x.tolist():
            logs = []
            for known in PIXELS.tolist():
                likelihood = 1.0
                for seen, value in zip(row, known, strict=True):
                    kept = math.exp(-((seen - value) ** 2) / (2 * (amount if name == "gaussian" else 0.5) ** 2))
                    share = {"gaussian": 0.0, "masking": amount, "salt-and-pepper": amount / 2}[name]
                    ends = (-1.0,) if name == "masking" else (-1.0, 1.0)
                    likelihood *= share + (1 - share) * kept if share and seen in ends else kept
                logs.append(likelihood)
            total = sum(logs)
            wanted.append([sum(w * k[i] for w, k in zip(logs, PIXELS.tolist(), strict=True)) / total for i in range(3)])
        found = denoisers.memorising(PIXELS.float(), x.float(), name, amount)
        yield near(name, torch.tensor(wanted), found, abs=2e-5)


class Told(nn.Module):
    """A network of fixed weights that depends on all that it is told."""

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        mixing = torch.tensor([[0.3, -0.8, 0.1], [0.5, 0.4, 0.2], [-0.6, 0.7, 0.9]], dtype=x.dtype)
        return torch.tanh(x @ mixing + 0.1 * log_snr.to(x.dtype).unsqueeze(1))


@check(
    "a denoising autoencoder of Gaussian noise is a diffusion model that predicts v: estimates and loss are the same",
    "Salimans & Ho 2022, appendix D; Karras et al. 2022, table 1",
)
def autoencoder_is_a_diffusion_model() -> Iterator[Finding]:
    class Turned(Told):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return -super().forward(x, log_snr)

    model = DAE(Told(), "gaussian")
    model.register_parameter("place", nn.Parameter(torch.zeros(1)))
    sigma = torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
    level = Level(torch.ones(4, 1, dtype=torch.float64), sigma.unsqueeze(1))
    diffusion = Denoiser(Turned(), "v")
    x = PIXELS + 0.7
    yield near("estimates", diffusion(x, level).x0, model(x, sigma), rel=1e-6, abs=1e-6)
    eps = torch.randn(PIXELS.shape, generator=generator(), dtype=torch.float64)
    loss = diffusion.loss(PIXELS, level, eps)
    yield near("losses", loss, model.loss(PIXELS, sigma, generator()), rel=1e-6, abs=1e-6)
    share = torch.tensor([0.2, 0.5, 0.6, 0.9], dtype=torch.float64)
    told = PIXELS + Told()(PIXELS, torch.log((1 - share) / share))
    yield near("other damages: x and a residual", told, DAE(Told(), "masking")(PIXELS, share), rel=1e-6, abs=1e-6)


@check("amounts of damage are spread evenly over a batch", "Kingma et al. 2021, appendix I.1")
def amounts_of_damage() -> Iterator[Finding]:
    shares = amounts(50, 0.1, 0.9, generator(), even="plain").sort().values
    yield near("plain", torch.full((49,), 0.8 / 50), shares.diff(), abs=1e-5)
    logs = amounts(50, 0.05, 2.0, generator(), even="log").log().sort().values
    yield near("in the logarithm", torch.full((49,), math.log(40) / 50), logs.diff(), abs=1e-5)
    yield near("their range", 1, float(logs[0] >= math.log(0.05) - 1e-6 and logs[-1] <= math.log(2.0) + 1e-6))


@check(
    "of the best denoiser (r(x) - x) / sigma² is the score of the noisy data, and to sigma² that of the clean data",
    "Vincent 2011, section 4; Alain & Bengio 2014, theorem 1; Robbins 1956",
)
def score_in_a_denoiser() -> Iterator[Finding]:
    law = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [[-1.0, 0.2], [0.8, -0.5]], [0.4, 0.6])))
    x = torch.randn(50, 2, generator=generator(), dtype=torch.float64)
    for sigma in (0.05, 0.4, 2.0):
        score = torch.zeros_like(x)
        bells = []
        for w, m, s in ((0.3, (-1.0, 0.2), 0.4), (0.7, (0.8, -0.5), 0.6)):
            v = s**2 + sigma**2
            bell = w / v * torch.exp(-((x - torch.tensor(m)).square().sum(1)) / (2 * v))
            bells.append(bell)
            score = score + bell.unsqueeze(1) * (torch.tensor(m, dtype=torch.float64) - x) / v
        score = score / sum(bells).unsqueeze(1)  # type: ignore[union-attr]
        yield near(f"exact, sigma {sigma}", score, denoised_score.in_exact(law, x, sigma), rel=1e-6, abs=1e-6)
        yield near(f"by derivative, sigma {sigma}", score, denoised_score.true_score(law, x, sigma), rel=1e-6, abs=1e-6)
    clean = clean_score(law, x)
    misses = [(denoised_score.in_exact(law, x, s) - clean).square().mean().sqrt().item() for s in (0.04, 0.02)]
    yield near("order in sigma", 2.0, math.log2(misses[0] / misses[1]), abs=0.05)


@check("PSNR is 10 log10(peak² / mean squared error)", "Wang et al. 2004, section II")
def peak_signal_to_noise() -> Iterator[Finding]:
    yield near("half a grey level", 10 * math.log10(4 / 0.25), quality.psnr(PIXELS + 0.5, PIXELS), rel=1e-9)


@check("SSIM, window by window: brightness, contrast and structure", "Wang et al. 2004, eq. 6-13")
def structural_similarity() -> Iterator[Finding]:
    a, b = torch.rand(2, 1, 1, 13, 12, generator=generator(), dtype=torch.float64).mul(2).sub(1).unbind()
    line = [math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)]
    total, places = 0.0, 0
    for top, left in itertools.product(range(3), range(2)):
        cells = [(i, j, line[i] * line[j] / sum(line) ** 2) for i in range(11) for j in range(11)]
        pairs = [(w, a[0, 0, top + i, left + j].item(), b[0, 0, top + i, left + j].item()) for i, j, w in cells]
        mean_a, mean_b = sum(w * u for w, u, _ in pairs), sum(w * v for w, _, v in pairs)
        var_a, var_b = sum(w * (u - mean_a) ** 2 for w, u, _ in pairs), sum(w * (v - mean_b) ** 2 for w, _, v in pairs)
        cov = sum(w * (u - mean_a) * (v - mean_b) for w, u, v in pairs)
        c1, c2 = 0.02**2, 0.06**2
        total += (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
        places += 1
    yield near("two images", total / places, quality.ssim(a, b), rel=1e-9)
    yield near("itself", 1, quality.ssim(a, a), rel=1e-9)


@check("the noise on an image is estimated from its finest details", "Donoho & Johnstone 1994, section 4.2")
def noise_of_an_image() -> Iterator[Finding]:
    ramp = torch.linspace(-1, 1, 256).expand(1, 256, 256)
    for sigma in (0.1, 0.5):
        noisy = ramp + sigma * torch.randn(1, 256, 256, generator=generator())
        yield near(f"sigma {sigma}", sigma, denoisers.estimated_noise(noisy), rel=0.05)
