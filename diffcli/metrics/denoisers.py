"""Denoisers to compare a network with: the best linear one, the memorising one, and a median filter."""

import math
from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.diffusion.schedules import Level
from diffcli.core.processes.corruption import BLACK, CORRUPTIONS, WHITE

TOLERANCE = 0.5  # by how much a pixel that was kept may differ from a remembered image's
AT_ONCE = 256  # images


@dataclass(frozen=True)
class Moments:
    """Mean [D], covariance [D, D] and mean square [D] of clean images, float64: those of the empirical distribution."""

    mean: Tensor
    covariance: Tensor
    square: Tensor

    @classmethod
    def of(cls, images: Tensor) -> "Moments":
        """Of images [N, ...]."""
        flat = images.flatten(1).double()
        mean = flat.mean(0)
        return cls(mean, (flat - mean).T @ (flat - mean) / len(flat), flat.square().mean(0))


class Linear:
    """The affine map of least mean squared error, for one damage (Kay 1993, eq. 12.20).

    With y the damaged image, Cov(x0, y) = gain · C and Cov(y) = gain² C + the mean variance of each pixel's damage, so
    x0 is estimated as mean + gain C Cov(y)^-1 (y - E y). For Gaussian noise it is the Wiener filter.
    """

    def __init__(self, moments: Moments, corruption: str, amount: float) -> None:
        kind, size = CORRUPTIONS[corruption], torch.tensor(amount, dtype=torch.float64)
        gain, cross = kind.gain(size), kind.gain(size) * moments.covariance
        spread = torch.diag(kind.variance(size, moments.mean, moments.square))
        self.mean, self.expected = moments.mean, gain * moments.mean + kind.offset(size)
        self.matrix = torch.linalg.solve(gain**2 * moments.covariance + spread, cross).T
        self.error = (moments.covariance.diagonal() - (self.matrix * cross).sum(1)).mean().item()
        """Its mean squared error per pixel, over the distribution that the moments are of."""

    def __call__(self, x: Tensor) -> Tensor:
        """The estimates of damaged images [B, ...], like x."""
        return (self.mean + (x.flatten(1).double() - self.expected) @ self.matrix.T).reshape(x.shape).to(x.dtype)


def memorising(known: Tensor, x: Tensor, corruption: str, amount: float) -> Tensor:
    """The posterior mean of damaged images [B, ...] when the clean one is among known images [N, ...]; like x.

    For Gaussian noise this is exact. Under the other damages a kept pixel tells its value exactly, so that a new image
    has no explanation among known ones at all; there a kept pixel may differ by a Gaussian of deviation TOLERANCE.
    """
    if corruption == "gaussian":
        law = Mixture(torch.ones(len(known)), known, torch.zeros(len(known)))
        level = Level(*(torch.tensor(v, dtype=torch.float64) for v in (1.0, amount)))
        return torch.cat([law(part, level).x0 for part in x.split(AT_ONCE)])
    flat = known.flatten(1)
    logs = {value: _replaced(flat, value, amount / len(ends)) for ends in (ENDS[corruption],) for value in ends}
    return torch.cat([_recalled(flat, logs, part, amount) for part in x.split(AT_ONCE)])


ENDS = {"masking": (BLACK,), "salt-and-pepper": (BLACK, WHITE)}


def _replaced(known: Tensor, value: float, share: float) -> Tensor:
    """log of how likely a damaged pixel of this value is for each pixel of known images, [N, D]: replaced or kept."""
    kept = (1 - share) * torch.exp(-((known - value) ** 2) / (2 * TOLERANCE**2))
    return (share + kept).log()


def _recalled(known: Tensor, logs: dict[float, Tensor], x: Tensor, amount: float) -> Tensor:
    flat = x.flatten(1)
    seen = torch.ones_like(flat)
    total = torch.zeros(len(flat), len(known))
    for value, table in logs.items():
        here = (flat == value).to(flat.dtype)
        seen, total = seen - here, total + here @ table.T
    distance = (seen * flat**2).sum(1, keepdim=True) - 2 * (seen * flat) @ known.T + seen @ (known**2).T
    shares = (total - distance / (2 * TOLERANCE**2)).double().softmax(1).to(flat.dtype)
    return (shares @ known).reshape(x.shape)


def median(x: Tensor, side: int = 3) -> Tensor:
    """Each pixel the median of the square around it, [B, C, H, W], borders mirrored (Tukey 1977, chapter 7)."""
    return torch.from_numpy(ndimage.median_filter(x.numpy(), size=(1, 1, side, side), mode="mirror"))


def estimated_noise(image: Tensor) -> float:
    """The standard deviation of Gaussian noise on an image [C, H, W], from the median of its finest diagonal details.

    median |d| / 0.6745 (Donoho & Johnstone 1994, section 4.2), with d of the Haar wavelet.
    """
    even = image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2].double()
    detail = (even[:, ::2, ::2] - even[:, 1::2, ::2] - even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 2
    return (detail.abs().median() / math.sqrt(2) / torch.erfinv(torch.tensor(0.5, dtype=torch.float64))).item()
