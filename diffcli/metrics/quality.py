"""How near one image is to another: PSNR and SSIM, of images in [-1, 1]."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.metrics.statistics import standard_error

RANGE = 2.0  # of the values
SIDE, SIGMA = 11, 1.5  # of the window of SSIM
K1, K2 = 0.01, 0.03


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """10 log10(range² / mean squared error) of each image [B, ...], in dB, float64; inf where they are equal."""
    error = (images.double() - truth.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(RANGE**2 / error)


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """The mean structural similarity of each image [B, C, H, W], float64 (Wang et al. 2004, eq. 13 and section III).

    Over all places where a Gaussian window of 11x11, sigma 1.5, lies inside the image, and over the channels. Where an
    image is smaller than that, the window is the largest of an odd side that fits.
    """
    windows = [_window(side).tolist() for side in images.shape[-2:]]

    def mean(x: Tensor) -> Tensor:
        for dim, weights in zip((-2, -1), windows, strict=True):  # conv2d of float64 copies every value 121 times
            count = x.shape[dim] - len(weights) + 1
            x = sum((weight * x.narrow(dim, k, count) for k, weight in enumerate(weights)), torch.zeros(()))
        return x

    x, y = images.double(), truth.double()
    of_x, of_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - of_x**2, mean(y * y) - of_y**2
    covariance = mean(x * y) - of_x * of_y
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    alike = (2 * of_x * of_y + c1) * (2 * covariance + c2)
    return (alike / ((of_x**2 + of_y**2 + c1) * (var_x + var_y + c2))).flatten(1).mean(1)


def _window(side: int) -> Tensor:
    """Weights of the window along a side of an image, with sum 1."""
    count = min(SIDE, side - 1 + side % 2)
    place = torch.arange(count, dtype=torch.float64) - count // 2
    weights = (-(place**2) / (2 * SIGMA**2)).exp()
    return weights / weights.sum()


class QualityByStrips:
    """PSNR and SSIM of one image that comes in strips of its rows, from the top; the same numbers as of the whole.

    height:  of the image
    """

    def __init__(self, height: int) -> None:
        self._above = min(SIDE, height - 1 + height % 2) - 1  # rows that a window shares with the one a row below
        self._open: list[Tensor] = []  # rows of both, [2, C, h, W], whose places are not all counted
        self._error = self._alike = 0.0
        self._values = self._places = 0

    def add(self, rows: Tensor, truth: Tensor) -> None:
        """Take the next rows [C, h, W] into account, and what they should be."""
        difference = (rows.double() - truth.double()).square()
        self._error, self._values = self._error + difference.sum().item(), self._values + difference.numel()
        both = torch.cat([*self._open, torch.stack([rows, truth])], dim=-2)
        places = both.shape[-2] - self._above
        if places > 0:
            self._alike, self._places = self._alike + places * ssim(both[:1], both[1:]).item(), self._places + places
            both = both[..., places:, :].clone()
        self._open = [both]

    @property
    def psnr(self) -> float:
        """In dB; inf where the images are equal."""
        return 10 * math.log10(RANGE**2 * self._values / self._error) if self._error else math.inf

    @property
    def ssim(self) -> float:
        """The mean over all places."""
        return self._alike / self._places


class Quality(NamedTuple):
    """Of each of several estimates: PSNR [B] in dB and SSIM [B]."""

    psnr: Tensor
    ssim: Tensor

    @classmethod
    def of(cls, images: Tensor, truth: Tensor) -> "Quality":
        """Of estimates [B, C, H, W] beside the true images."""
        return cls(psnr(images, truth), ssim(images, truth))

    def summary(self) -> dict[str, float]:
        """Means over the images with their standard errors, and the PSNR of the mean squared error of all of them."""
        error = 10 ** (-self.psnr / 10)
        return {
            "psnr": self.psnr.mean().item(),
            "psnr_error": standard_error(self.psnr),
            "ssim": self.ssim.mean().item(),
            "ssim_error": standard_error(self.ssim),
            "psnr_of_mean_error": -10 * error.mean().log10().item(),
        }
