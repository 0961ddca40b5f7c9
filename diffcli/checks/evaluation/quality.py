"""What judges denoisers: PSNR, SSIM, noise levels, the agreement of fields; and the simplest rivals."""

import itertools
import math
from collections.abc import Iterator

import torch

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes import corruption as c
from diffcli.evaluation.denoisers import median_filter
from diffcli.metrics import fields, quality


@check("PSNR is 10 log10 of the squared range over the mean squared error of an image", "Huynh-Thu & Ghanbari 2008")
def psnr() -> Iterator[Finding]:
    truth = torch.linspace(-1, 1, 32, dtype=torch.float64).reshape(2, 1, 4, 4)
    for gap in (0.01, 0.2):
        yield near(f"off by {gap}", 20 * math.log10(2 / gap), quality.psnr(truth + gap, truth), rel=1e-9)
    mixed = torch.stack([truth[0] + 0.1, truth[1] + 0.4])
    wanted = (20 * math.log10(20) + 20 * math.log10(5)) / 2
    found = quality.Quality.of(mixed, truth).summary()
    yield near("mean of two images", wanted, found["psnr"], rel=1e-9)
    yield near("of the mean error", 10 * math.log10(4 / ((0.01 + 0.16) / 2)), found["psnr_of_mean_error"], rel=1e-9)
    yield near("standard error", abs(20 * math.log10(20) - 20 * math.log10(5)) / 2, found["psnr_error"], rel=1e-9)


@check(
    "SSIM is luminance times contrast and structure, under a Gaussian window of 11x11, at every place it fits",
    "Wang et al. 2004, eq. 6, 9, 12 and 13",
)
def ssim() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(9)
    x, y = (torch.rand(2, 2, 12, 13, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(2))
    y = 0.5 * x + 0.5 * y
    weights = [math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for i in range(11) for j in range(11)]
    w = torch.tensor(weights, dtype=torch.float64).reshape(11, 11) / sum(weights)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    wanted = []
    for image, other in zip(x, y, strict=True):
        values = []
        for channel, i, j in itertools.product(range(2), range(2), range(3)):
            a, b = (v[channel, i : i + 11, j : j + 11] for v in (image, other))
            m, n = (w * a).sum(), (w * b).sum()
            s, t = (w * (a - m) ** 2).sum(), (w * (b - n) ** 2).sum()
            luminance = (2 * m * n + c1) / (m**2 + n**2 + c1)
            contrast = (2 * s.sqrt() * t.sqrt() + c2) / (s + t + c2)
            structure = ((w * (a - m) * (b - n)).sum() + c2 / 2) / (s.sqrt() * t.sqrt() + c2 / 2)
            values.append(luminance * contrast * structure)
        wanted.append(sum(values) / len(values))
    yield near("two images", torch.stack(wanted), quality.ssim(x, y), rel=1e-9)
    yield near("with itself", 1, quality.ssim(x, x), rel=1e-12)
    flat = torch.full((1, 1, 11, 11), 0.5, dtype=torch.float64)
    yield near("two greys", (2 * 0.5 * 0.2 + c1) / (0.25 + 0.04 + c1), quality.ssim(flat, 0.4 * flat), rel=1e-9)


@check(
    "the noise level is read off the finest diagonal differences, whatever smooth image is below",
    "Donoho & Johnstone 1994, section 4.2",
)
def noise_levels() -> Iterator[Finding]:
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, 120, dtype=torch.float64)], indexing="ij")
    noise = torch.randn(120, 120, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
    for sigma in (0.05, 0.5):
        image = 0.8 * (2 * x + y).sin() + 0.2 * y**2
        # a median's standard error, 1 / (2 f √n), over the quartile; the differences overlap: n is at least a quarter
        error = 1 / (2 * 0.6357 * math.sqrt(120 * 120 / 4)) / 0.6745
        yield near(
            f"sigma {sigma}", sigma, c.noise_level((image + sigma * noise).expand(1, 1, -1, -1)), rel=4.5 * error
        )
    yield near("a plane has none", 0, c.noise_level(x + 3 * y), abs=1e-12)
    few = noise[:4, :5]
    pieces = [(few[i, j] - few[i, j + 1] - few[i + 1, j] + few[i + 1, j + 1]) / 2 for i in range(3) for j in range(4)]
    median = torch.stack(pieces).abs().sort().values[5]  # the lower of the middle two
    yield near("by hand", median / 0.6744897501960817, c.noise_level(few), rel=1e-9)


@check(
    "the median filter takes the fifth of nine; fields agree as far as they do",
    "Tukey 1977; the delta method",
)
def filters_and_fields() -> Iterator[Finding]:
    image = torch.rand(1, 2, 5, 4, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    wanted = torch.empty_like(image)
    for k, i, j in itertools.product(range(2), range(5), range(4)):
        around = itertools.product((i - 1, i, i + 1), (j - 1, j, j + 1))
        nine = [image[0, k, min(max(a, 0), 4), min(max(b, 0), 3)].item() for a, b in around]
        wanted[0, k, i, j] = sorted(nine)[4]
    yield near("median", wanted, median_filter(image), abs=1e-15)
    generator = torch.Generator().manual_seed(12)
    true = torch.randn(20_000, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(20_000, 2, generator=generator, dtype=torch.float64)
    found = fields.compare(1.2 * true + 0.3 * noise, true)
    error = math.sqrt(0.04 + 0.09)
    yield near("relative error", error, found.relative_error, abs=4.5 * found.relative_error_se)
    yield near("correlation", 1.2 / math.sqrt(1.44 + 0.09), found.correlation, abs=0.003)
    yield near("cosine of opposite fields", -1, fields.compare(-3 * true, true).cosine, abs=1e-12)
    parts = [fields.compare((1.2 * true + 0.3 * noise)[i::100], true[i::100]) for i in range(100)]
    spread = torch.tensor([part.relative_error for part in parts]).std()
    said = torch.tensor([part.relative_error_se for part in parts]).mean()
    yield near("standard error", spread, said, rel=4.5 / math.sqrt(200))
