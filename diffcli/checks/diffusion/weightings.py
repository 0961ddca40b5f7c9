"""How losses weigh the levels, where training looks, and what the histogram of numbers makes of one of them."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.bound import unstacked
from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import TARGETS, Corrector, Denoiser
from diffcli.core.diffusion.exact_pixels import PixelHistogram, Pixelwise
from diffcli.core.diffusion.schedules import SCHEDULES, LogSNR
from diffcli.core.diffusion.times import LossHistory, stratified
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate, target_weight
from diffcli.core.levels import Level

LOG_SNR = (-6.0, -1.5, 0.0, 0.7, 4.0, 9.0)


def at(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def level_of(log_snr: float) -> Level:
    """With alpha² + sigma² = 1."""
    share = 1 / (1 + math.exp(-log_snr))
    return Level(at(math.sqrt(share)), at(math.sqrt(1 / (1 + math.exp(log_snr)))))


class Wavy(nn.Module):
    """A network that is wrong in its own way."""

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        return torch.sin(3 * x) + 0.1 * log_snr.to(x.dtype).unsqueeze(1)


@check(
    "the loss of whatever is predicted is its weight times the squared error of eps",
    "Salimans & Ho 2022, section 4; Kingma & Gao 2023",
)
def losses_as_weights() -> Iterator[Finding]:
    x0 = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    eps = torch.linspace(2, -1, 12, dtype=torch.float64).reshape(3, 4)
    for predicts in TARGETS:
        denoiser = Denoiser(Wavy(), predicts)
        for log_snr in LOG_SNR:
            level = Level(*(part.reshape(1, 1) for part in level_of(log_snr)))
            error = (denoiser(level.noised(x0, eps), level).eps - eps).square().mean(1)
            wanted = target_weight(predicts, at(log_snr)) * error
            yield near(f"{predicts}, log-SNR {log_snr}", wanted, denoiser.loss(x0, level, eps), rel=1e-9)


@check("every weighting is its paper's, of the error of x0 or of eps", "see WEIGHTINGS")
def weightings_of_papers() -> Iterator[Finding]:
    for log_snr in LOG_SNR:
        snr, sigma = math.exp(log_snr), math.exp(-log_snr / 2)
        truths = {  # each paper's weight of x0's error, over SNR
            "eps": 1.0,
            "x0": 1 / snr,
            "v": (snr + 1) / snr,
            "min-snr": min(snr, 5.0) / snr,
            "soft-min-snr": 4 * snr / (4 + snr) / snr,
            "p2": 1 / (1 + snr),
            "edm": (sigma**2 + 0.25) / (sigma * 0.5) ** 2 / snr,
            "vlb": 7.0 / 2,
            "sigmoid": 7.0 / 2 / (1 + math.exp(log_snr - 2)),
        }
        yield near("all are there", len(truths), len(WEIGHTINGS))
        for name, truth in truths.items():
            yield near(f"{name}, log-SNR {log_snr}", truth, WEIGHTINGS[name](at(log_snr), at(7.0)), rel=1e-12)


@check(
    "L_simple is the bound with another weight: with rate / 2 the mean over times is the bound's integral",
    "Ho et al. 2020, section 3.4; Kingma et al. 2021, section 4",
)
def simple_is_reweighted() -> Iterator[Finding]:
    std, steps = 0.8, 4000
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    for name in ("vp", "log-snr", "cosine", "sigmoid"):
        schedule = SCHEDULES[name]()
        low, high = 0.02, 0.9
        times = low + (high - low) * t
        log_snr, falls = schedule(times).log_snr, rate(schedule, times)
        eps_error = std**2 * log_snr.exp() / (1 + std**2 * log_snr.exp())
        got = (WEIGHTINGS["vlb"](log_snr, falls) * eps_error).mean() * (high - low)
        first, last = (schedule(at(v)).log_snr.exp().item() for v in (low, high))
        yield near(name, math.log((1 + std**2 * first) / (1 + std**2 * last)) / 2, got, rel=2e-3)
        chains = []
        for count in (1000, 2000):
            level = schedule(torch.linspace(high, low, count + 1, dtype=torch.float64))
            errors = std**2 * level.sigma**2 / (level.alpha**2 * std**2 + level.sigma**2)
            chains.append(bound.fixed_terms("small", errors.unsqueeze(0), 1, unstacked(level), errors).sum())
        yield near(f"{name}, chains of 1000 and 2000 steps, extrapolated", got, 2 * chains[1] - chains[0], rel=1e-3)


@check("the log-SNR falls at the rate of its finite differences, as training draws the levels", "d log-SNR / dt")
def rates_of_log_snr() -> Iterator[Finding]:
    for name in ("vp", "sub-vp", "flow", "edm", "log-snr", "sigmoid"):
        schedule = SCHEDULES[name]()
        for t in (0.2, 0.5, 0.8):
            high, low = (schedule(schedule.training_time(at(t + d))).log_snr for d in (-1e-6, 1e-6))
            yield near(f"{name}, t = {t}", (high - low) / 2e-6, rate(schedule, at(t)), rel=1e-5)
    table = SCHEDULES["linear"]()
    for entry in (3, 400, 900):
        high, low = (table(at((entry + d) / 1000)).log_snr for d in (0.01, 0.99))
        yield near(
            f"linear, after entry {entry}", (high - low) / 0.98e-3, rate(table, at((entry + 0.5) / 1000)), rel=0.05
        )


@check("LogSNR is even in log-SNR, from `most` to `least`, at unit length", "Kingma et al. 2021, section 3.2")
def log_snr_schedule() -> Iterator[Finding]:
    schedule = LogSNR(9.0, -7.0)
    for t in (0.0, 0.25, 0.7, 1.0):
        level = schedule(at(t))
        yield near(f"t = {t}", 9 - 16 * t, level.log_snr, abs=1e-10)
        yield near(f"length, t = {t}", 1, torch.hypot(*level), rel=1e-12)


@check(
    "times are drawn in proportion to the root mean square of their losses, and dividing keeps the mean",
    "Nichol & Dhariwal 2021, eq. 18",
)
def drawn_by_losses() -> Iterator[Finding]:
    history = LossHistory(bins=4, kept=2, floor=0.0)
    yield near("even before all bins are full", 1, history.draw(stratified(8))[1])
    losses = [(1.0, 1.0), (2.0, 0.0), (3.0, 3.0), (4.0, 3.0)]
    for k in range(3):  # the first of three is forgotten
        history.record((torch.arange(4) + 0.5) / 4, torch.tensor([99.0] * 4 if k == 0 else [v[k - 1] for v in losses]))
        if k == 0:
            history.record(torch.tensor([0.1]), torch.tensor([99.0]))
            yield near("and while any is not", torch.ones(4), history.density)
            history.seen[0] = 1
    size = torch.tensor([math.sqrt((a * a + b * b) / 2) for a, b in losses], dtype=torch.float64)
    yield near("density", size / size.mean(), history.density, rel=1e-12)
    t, density = history.draw(stratified(200_000, torch.Generator().manual_seed(1)))
    shares = torch.bincount((t * 4).ceil().long() - 1, minlength=4) / len(t)
    yield near("shares of the draws", size / size.sum(), shares, abs=1e-4)
    for name, values, integral in (("t", t, 0.5), ("t²", t**2, 1 / 3), ("one", t * 0 + 1, 1.0)):
        yield near(f"the mean of {name} over the density", integral, (values / density).mean(), abs=1e-4)
    history.record(torch.tensor([0.1, 0.6, 0.9]), torch.tensor([math.nan, math.inf, -math.inf]))
    yield near("what is no number is not remembered", size / size.mean(), history.density, rel=1e-12)
    full = LossHistory(bins=4, kept=1, floor=0.2)
    full.record((torch.arange(4) + 0.5) / 4, torch.tensor([0.0, 0.0, 0.0, 1.0]))
    yield near("a floor for all", torch.tensor([0.2, 0.2, 0.2, 3.4], dtype=torch.float64), full.density, rel=1e-12)
    yield near("even times cover the range", (torch.arange(5) + 1) / 5, stratified(5).sort().values, abs=0.2)


@check(
    "a batch of losses is remembered as if they came one by one: the last of each bin, none that is no number",
    "by hand",
)
def remembered_losses() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(4)
    history, rows = LossHistory(bins=5, kept=3), [[0.0] * 3 for _ in range(5)]
    counts = [0] * 5
    for step, size in enumerate((1, 2, 40, 7, 0, 13)):
        t = torch.rand(size, generator=generator, dtype=torch.float64) ** 2  # many in the first bins
        losses = torch.randn(size, generator=generator).exp()
        losses[::4] = (math.nan, math.inf, 0.5)[step % 3]
        history.record(t, losses)
        for time, loss in zip(t.tolist(), losses.tolist(), strict=True):
            place = max(1, math.ceil(time * 5)) - 1
            if math.isfinite(loss):
                rows[place][counts[place] % 3] = loss
                counts[place] += 1
        yield near(f"losses after batch {step + 1}", torch.tensor(rows, dtype=torch.float64), history.losses)
        yield near(f"how many, after batch {step + 1}", torch.tensor(counts), history.seen)


@check("what the histogram makes of a noisy number is Bayes' rule over its values", "Bayes 1763")
def histogram_posterior() -> Iterator[Finding]:
    histogram = PixelHistogram(values=5)
    histogram.count(torch.tensor([-1.0] * 7 + [0.5] * 2 + [1.0] * 3))
    counts, values = [8, 1, 1, 3, 4], [-1.0, -0.5, 0.0, 0.5, 1.0]
    yield near("counts, each once more", torch.tensor(counts), histogram.counts)
    shares = [c / 17 for c in counts]
    yield near("entropy", -sum(p * math.log(p) for p in shares), histogram.entropy, rel=1e-12)
    exact = Pixelwise(histogram, (1,))
    for log_snr in (-3.0, 0.0, 2.5, 6.0):
        level = level_of(log_snr)
        a, s = level.alpha.item(), level.sigma.item()
        for x in (-1.4, -0.2, 0.9):
            weights = [p * math.exp(-((x - a * v) ** 2) / (2 * s * s)) for p, v in zip(shares, values, strict=True)]
            mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
            square = sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / sum(weights)
            got = histogram(at(x).reshape(1, 1), level)
            yield near(f"mean, x = {x}, log-SNR {log_snr}", mean, got[0], rel=1e-9, abs=1e-12)
            yield near(f"std, x = {x}, log-SNR {log_snr}", math.sqrt(square), got[1], rel=1e-6, abs=2e-6)
            point = at(x).reshape(1, 1).requires_grad_()
            (slope,) = torch.autograd.grad(exact.log_density(point, level).sum(), point)
            yield near(f"score, x = {x}, log-SNR {log_snr}", slope, exact.score(point.detach(), level), rel=1e-7)
            density = math.log(sum(weights) / (s * math.sqrt(2 * math.pi)))
            yield near(
                f"density, x = {x}, log-SNR {log_snr}", density, exact.log_density(point.detach(), level), rel=1e-9
            )
    image = torch.tensor([[-1.4, -0.2], [0.9, 0.1], [0.3, -0.7]], dtype=torch.float64)
    single = exact.log_density(image.reshape(6, 1), level_of(0.0)).reshape(3, 2).sum(1)
    yield near("densities of images", single, exact.log_density(image, level_of(0.0)), rel=1e-12)
    for log_snr in (-1.0, 3.0):
        level = level_of(log_snr)
        a, s = level.alpha.item(), level.sigma.item()
        x0, noisy = torch.tensor([[-1.0], [0.5]]).double(), torch.tensor([[-0.3], [0.8]]).double()
        got = histogram.cost(x0, noisy, level)
        batch = Level(*(part.expand(2, 1) for part in level))
        yield near(
            f"items of a batch at levels of their own, {log_snr}", got, histogram.cost(x0, noisy, batch), rel=1e-12
        )
        seen = histogram.cost(x0.reshape(1, 2, 1, 1), noisy.reshape(1, 2, 1, 1), level)
        yield near(f"images, {log_snr}", got.flatten(), seen.flatten(), rel=1e-12)
        colours = Level(*(part.expand(1, 1, 1, 1) for part in level))
        seen = histogram.cost(x0.reshape(1, 2, 1, 1), noisy.reshape(1, 2, 1, 1), colours)
        yield near(f"images at levels of their own, {log_snr}", got.flatten(), seen.flatten(), rel=1e-12)
        for k, place in ((0, 0), (1, 3)):
            weights = [
                p * math.exp(-((noisy[k].item() - a * v) ** 2) / (2 * s * s))
                for p, v in zip(shares, values, strict=True)
            ]
            yield near(f"decoder {k}, log-SNR {log_snr}", -math.log(weights[place] / sum(weights)), got[k], rel=1e-9)
    picked = exact.log_density(torch.tensor([[-1.0], [0.5]]))
    yield near("probabilities", torch.tensor([8 / 17, 3 / 17], dtype=torch.float64).log(), picked, rel=1e-12)
    drawn = exact.draw(20_000, torch.Generator().manual_seed(1))
    yield near("draws", sum(p * v for p, v in zip(shares, values, strict=True)), drawn.mean(), abs=0.02)


@check(
    "the entropy of a histogram is half the integral over log-SNR of the error of eps: what the bound can reach",
    "Guo et al. 2005, theorem 1 (I-MMSE)",
)
def entropy_by_integral() -> Iterator[Finding]:
    histogram = PixelHistogram(values=4)
    histogram.count(torch.tensor([-1.0] * 9 + [1.0] * 4))
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(80))
    weights = weights / weights.sum()
    shares = histogram.counts.double() / histogram.counts.sum()
    values = histogram.values.double().unsqueeze(1)
    log_snr = torch.linspace(-14, 9, 461, dtype=torch.float64)
    errors = []
    for v in log_snr:
        level = level_of(v.item())
        x = level.alpha * values + level.sigma * nodes
        found = histogram(x, level)[0]
        x0_error = ((found - values) ** 2 * weights).sum(1) @ shares
        errors.append(x0_error * v.exp())
    integral = torch.trapezoid(torch.stack(errors), log_snr) / 2
    yield near("nats", histogram.entropy, integral, rel=2e-3)


@check("a network that says nothing leaves the prior's own denoiser, and where that is certain it cannot err", "design")
def prior_under_a_network() -> Iterator[Finding]:
    histogram = PixelHistogram(values=3)
    histogram.count(torch.tensor([-1.0] * 5 + [1.0]))

    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
            return torch.full_like(x[:, :2], self.value)

    class Halves(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
            return torch.cat([x.sin(), torch.full_like(x, 0.5)], 1)

    x = torch.tensor([[-0.9, 0.3], [0.1, 1.2]], dtype=torch.float64)
    for length in (1.0, 3.0):
        level = Level(*(length * part.reshape(1, 1) for part in level_of(1.0)))
        mean, std = histogram(x, Level(*(part / length for part in level)))
        for value in (0.0, 0.7):
            denoiser = Corrector(Constant(value), histogram, "eps")
            found = denoiser(length * x, level)
            yield near(f"x0, output {value}, length {length}", mean + value * std, found.x0, rel=1e-12)
            yield near(
                f"eps, output {value}, length {length}",
                (length * x - level.alpha * found.x0) / level.sigma,
                found.eps,
                rel=1e-9,
            )
            eps = torch.tensor([[0.3, -1.0], [0.8, 0.1]], dtype=torch.float64)
            x0 = (length * x - level.sigma * eps) / level.alpha
            wanted = (found.eps - eps).square().mean(1)
            yield near(f"loss, output {value}, length {length}", wanted, denoiser.loss(x0, level, eps), rel=1e-9)
    sure = Level(*(part.reshape(1, 1) for part in level_of(12.0)))
    there = Corrector(Constant(5.0), histogram, "eps")(sure.alpha * torch.tensor([[-1.0, 1.0]]).double(), sure).x0
    yield near("certain", torch.tensor([-1.0, 1.0]), there, abs=1e-5)
    found, plain = Denoiser(Halves(), "v", learned=True)(x, sure), sure.alpha * x - sure.sigma * x.sin()
    share = found.variance_fraction
    assert share is not None
    yield near("a learned share", 0.75, share)
    yield near("beside what is predicted", plain, found.x0, rel=1e-9)
