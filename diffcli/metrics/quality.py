"""How near an image is to another: PSNR and SSIM."""

import torch
from torch import Tensor
from torch.nn import functional as F

RANGE = 2.0  # of images in [-1, 1]
WINDOW, SPREAD = 11, 1.5  # pixels: side and standard deviation of the Gaussian window
K1, K2 = 0.01, 0.03


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image [B, ...] in [-1, 1], [B]; inf where there is no error.

    10 log10(range² / mean squared error); the same number for images in [0, 1].
    """
    error = (images.double() - truth.double()).square().flatten(1).mean(1)
    return 10 * (RANGE**2 / error).log10()


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of images [B, C, H, W] in [-1, 1], at least 11 pixels a side, [B]: 1 where they are equal.

    The mean over the places that a window of 11 x 11 fits into (Wang et al. 2004, eq. 13 and section III-C).
    """
    a, b = images.double(), truth.double()
    channels = a.shape[1]
    line = torch.exp(-((torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2) ** 2) / (2 * SPREAD**2))
    line = line / line.sum()
    window = torch.outer(line, line).expand(channels, 1, -1, -1).to(a.device)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, window, groups=channels)

    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (brightness * structure).flatten(1).mean(1)
