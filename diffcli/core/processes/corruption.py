"""How images are corrupted, the best affine denoiser of each corruption, and the denoiser that remembers.

Images are in [-1, 1]. An amount is a standard deviation sigma, in these units (on [0, 1] it is sigma / 2), or the share
of values that are lost. Every value is corrupted on its own, in colour images each channel too.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from diffcli.core.draws import Source, drawn_normal, drawn_places, drawn_uniform

BLACK, WHITE = -1.0, 1.0
LARGEST_LINEAR = 4096  # values of an image whose covariance is still a matrix to invert
JITTER = 1e-12  # of the mean variance: directions in which nothing varies stay invertible


class Noised(NamedTuple):
    """First and second moments of what a corruption makes of x: E[y | x] = scale x + offset,
    Cov(y) = scale² Cov(x) + diag(extra)."""

    scale: float
    offset: float
    extra: Tensor


class Corruption(Protocol):
    """A corruption y of images x, by an amount.

    unit:       what the amount is
    low, high:  amounts that a denoiser is trained on unless told
    most:       the largest that makes sense; amounts are above 0
    shown:      amounts worth a column in a table
    """

    @property
    def unit(self) -> str: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def most(self) -> float: ...
    @property
    def shown(self) -> tuple[float, ...]: ...

    def apply(self, x: Tensor, amount: Tensor, source: Source) -> Tensor:
        """Corrupt x [B, ...] by amounts [B]; like x, on the device of the source."""
        ...

    def log_snr(self, amount: Tensor) -> Tensor:
        """How clean the images are, for the network: falls with the amount; like amount."""
        ...

    def spread(self, place: Tensor, low: float, high: float) -> Tensor:
        """Places in [0, 1] -> amounts from low to high, evenly in the way that suits them."""
        ...

    def noised(self, mean: Tensor, variance: Tensor, amount: float) -> Noised:
        """The moments of y for x with these means and variances [D]."""
        ...


@dataclass(frozen=True)
class GaussianNoise:
    """y = x + sigma eps, eps standard normal; y is not clipped (Vincent et al. 2010, section 3.3)."""

    unit: str = "sigma"
    low: float = 0.05
    high: float = 2.0
    most: float = 10.0
    shown: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0, 2.0)

    def apply(self, x: Tensor, amount: Tensor, source: Source) -> Tensor:
        return x + per_image(amount, x) * drawn_normal(source, "noise", x.shape, x.dtype)

    def log_snr(self, amount: Tensor) -> Tensor:
        return -2 * amount.log()

    def spread(self, place: Tensor, low: float, high: float) -> Tensor:
        return low * (high / low) ** place

    def noised(self, mean: Tensor, variance: Tensor, amount: float) -> Noised:
        return Noised(1.0, 0.0, torch.full_like(variance, amount**2))


@dataclass(frozen=True)
class Replacing:
    """A share of the values is lost: each becomes white with probability `salt`, else black.

    salt = 0 is masking noise, to black (Vincent et al. 2010, section 3.3: to 0, of images in [0, 1]); salt = 1/2 is
    salt-and-pepper noise.
    """

    salt: float
    unit: str = "share"
    low: float = 0.05
    high: float = 0.95
    most: float = 0.999
    shown: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.9)

    def apply(self, x: Tensor, amount: Tensor, source: Source) -> Tensor:
        lost, white = (drawn_uniform(source, name, x.shape) for name in ("lost", "white"))
        value = torch.where(white < self.salt, WHITE, BLACK).to(x.dtype)
        return torch.where(lost < per_image(amount, x), value, x)

    def log_snr(self, amount: Tensor) -> Tensor:
        return -torch.logit(amount)

    def spread(self, place: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * place

    def noised(self, mean: Tensor, variance: Tensor, amount: float) -> Noised:
        """What is put in has mean m and variance w, and the law of total variance gives the rest."""
        m = self.salt * WHITE + (1 - self.salt) * BLACK
        w = self.salt * (1 - self.salt) * (WHITE - BLACK) ** 2
        extra = amount * (1 - amount) * (variance + (mean - m) ** 2) + amount * w
        return Noised(1 - amount, amount * m, extra)


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian": GaussianNoise(),
    "masking": Replacing(salt=0.0),
    "salt-and-pepper": Replacing(salt=0.5),
}


def per_image(amount: Tensor, x: Tensor) -> Tensor:
    """Amounts [B] -> [B, 1, ..., 1], of the type of x [B, ...]."""
    return amount.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))


def draw_amounts(corruption: Corruption, count: int, source: Source, low: float = 0.0, high: float = 0.0) -> Tensor:
    """Random amounts [count] from low to high (0 is the corruption's own), equally spaced with one random shift.

    The shift makes every one of them uniform over the range, and the batch even (Kingma et al. 2021, appendix I.1).
    """
    return corruption.spread(drawn_places(source, count), low or corruption.low, high or corruption.high)


class Affine(NamedTuple):
    """The best affine denoiser, y -> mean + gain (y - centre), and its mean squared error per value."""

    mean: Tensor
    gain: Tensor
    centre: Tensor
    error: float

    def __call__(self, y: Tensor) -> Tensor:
        """Corrupted images [B, ...] -> estimates of the clean ones, alike."""
        flat = y.flatten(1).to(self.gain.dtype)
        return (self.mean + (flat - self.centre) @ self.gain.mT).reshape(y.shape).to(y.dtype)


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean [D] and the covariance [D, D], divisor N, of images [N, ...]; float64."""
    flat = images.flatten(1).double()
    mean = flat.mean(0)
    flat = flat - mean
    return mean, flat.mT @ flat / len(flat)


def best_affine(corruption: Corruption, mean: Tensor, covariance: Tensor, amount: float) -> Affine:
    """The linear minimum mean squared error estimator: gain = Cov(x, y) Cov(y)⁻¹ (Kay 1993, eq. 12.20).

    For Gaussian noise it is the Wiener filter C (C + sigma²)⁻¹ with the full covariance.

    mean, covariance:  of images, [D] and [D, D], float64
    """
    scale, offset, extra = corruption.noised(mean, covariance.diagonal(), amount)
    cross = scale * covariance
    total = scale**2 * covariance + torch.diag(extra + JITTER * covariance.diagonal().mean())
    gain = torch.cholesky_solve(cross, torch.linalg.cholesky(total)).mT
    error = (covariance.diagonal() - (gain * cross).sum(1)).mean()
    return Affine(mean, gain, scale * mean + offset, error.item())


def recollection(corruption: Replacing, images: Tensor, y: Tensor, amount: float, blur: float) -> Tensor:
    """The posterior mean over images that are known, given what is left of one of them.

    What is corrupted is a known image blurred by N(0, blur²) and clipped to [-1, 1]: without a blur one value that no
    known image has would rule all of them out. A value inside is one that was kept; at an end it may be a lost one.

    images:  [N, ...], all equally likely before y is seen
    y:       [B, ...]
    """
    known, seen = images.flatten(1), y.flatten(1).to(images.dtype)
    ends = ((BLACK, 1 - corruption.salt), (WHITE, corruption.salt))
    inside = torch.ones_like(seen)
    logits = torch.zeros(len(seen), len(known), dtype=images.dtype)
    for value, chance in ends:
        here = (seen == value).to(seen.dtype)
        beyond = torch.special.ndtr((known * value - 1) / blur)  # a blurred value at or over this end
        logits += here @ ((1 - amount) * beyond + amount * chance).clamp(min=1e-30).log().mT
        inside = inside - here
    distance = (inside * seen**2).sum(1, keepdim=True) - 2 * (inside * seen) @ known.mT + inside @ (known**2).mT
    weights = (logits - distance / (2 * blur**2)).softmax(1)
    return (weights @ known).reshape(y.shape).to(y.dtype)


def denoising_score(denoised: Tensor, x: Tensor, sigma: float) -> Tensor:
    """(r(x) - x) / sigma²: the score that a denoiser r of Gaussian noise holds, like x.

    For the best r it is that of the noised data, at every sigma (Vincent 2011, section 4.2; Miyasawa 1961), and tends
    to that of the data as sigma goes to 0 (Alain & Bengio 2014, theorem 1).
    """
    return (denoised - x) / sigma**2


def noise_level(images: Tensor) -> float:
    """The sigma of Gaussian noise in images [..., H, W], from the finest diagonal differences, which hold little else.

    Their median size over 0.6745, that of a standard normal number (Donoho & Johnstone 1994, section 4.2).
    """
    a, b, c, d = (
        images[..., i : images.shape[-2] - 1 + i, j : images.shape[-1] - 1 + j] for i in (0, 1) for j in (0, 1)
    )
    details = (a - b - c + d) / 2
    normal = math.sqrt(2) * torch.erfinv(torch.tensor(0.5, dtype=torch.float64)).item()
    return (details.double().abs().median() / normal).item()
