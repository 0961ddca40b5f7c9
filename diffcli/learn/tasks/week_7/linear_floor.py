"""Held to the projector on the eigenvectors of the covariance, in double precision, and to the package's PSNR."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.metrics.quality import psnr


def linear_floor(training: Tensor, test: Tensor, numbers: int) -> float:
    """How well test images come back from the best linear code of so many numbers: its mean PSNR, in dB.

    The code is found on the training images: their mean, and the orthonormal directions in which they vary most about
    it. An image is told by its coordinates along these, and what comes back is the mean and so much of each direction,
    held to [-1, 1]. The PSNR of an image is 10 log10(4 / mean squared error), as its values range over 2; asked is the
    mean of the PSNRs of the test images.

    training: [N, D], values in [-1, 1]
    test:     [M, D], likewise
    numbers:  K, of the code

    Returns a number.
    """
    mean = training.mean(0)
    directions = torch.linalg.svd(training - mean, full_matrices=False).Vh[:numbers]
    restored = ((test - mean) @ directions.T @ directions + mean).clamp(-1, 1)
    error = (restored - test).square().mean(1)
    return float((10 * torch.log10(4 / error)).mean())


def questions(ask: Ask) -> Iterator[Seen]:
    training, test = images(0, 80), images(1, 5)
    for numbers in (1, 3, 6):
        yield Seen(f"80 training and 5 test images of 12 values, a code of {numbers}", ask(training, test, numbers))
    yield Seen("the last of the test images alone, a code of 3", ask(training, test[-1:], 3))


def images(seed: int, count: int) -> Tensor:
    """Rows of 12 values in [-1, 1], far from mean 0, that vary most in a few directions; many values are at an end."""
    about = torch.Generator().manual_seed(7)
    directions = torch.randn(12, 12, generator=about) * 0.75 ** torch.arange(12).unsqueeze(1)
    centre = torch.randn(12, generator=about) * 0.6
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, 12, generator=generator) @ directions * 0.5 + centre).clamp(-1, 1)


def truth(training: Tensor, test: Tensor, numbers: int) -> float:
    known, x = training.double(), test.double()
    vectors = torch.linalg.eigh(known.T.cov(correction=0)).eigenvectors[:, -numbers:]
    away = x - known.mean(0)
    restored = x - away @ (torch.eye(x.shape[1], dtype=x.dtype) - vectors @ vectors.T)
    return psnr(restored.clamp(-1, 1), x).mean().item()


WRONG = [
    Swap(
        "found-on-the-test",
        "with a code that was found on the test images",
        "what the code may know: training images, as the autoencoder does",
        "mean = training.mean(0)\n    directions = torch.linalg.svd(training - mean,",
        "mean = test.mean(0)\n    directions = torch.linalg.svd(test - mean,",
    ),
    Swap(
        "not-centred",
        "with directions of the images themselves, not of what they are beside their mean",
        "the mean: it is taken away first, and costs no number of the code",
        "mean = training.mean(0)",
        "mean = 0 * training.mean(0)",
    ),
    Swap(
        "mean-not-put-back",
        "when the mean is taken away and not put back",
        "what comes back: the mean, and so much of each direction",
        " @ directions + mean)",
        " @ directions)",
    ),
    Swap(
        "mean-of-the-test",
        "with the mean of the test images",
        "whose mean it is: that of the training images, which the decoder knows",
        "((test - mean) @ directions.T @ directions + mean)",
        "((test - test.mean(0)) @ directions.T @ directions + test.mean(0))",
    ),
    Swap(
        "range-one",
        "with a range of 1 for 2, 6 dB too little",
        "the range of values from -1 to 1",
        "4 / error",
        "1 / error",
    ),
    Swap(
        "psnr-of-the-mean-error",
        "with the PSNR of the mean error for the mean of the PSNRs",
        "the order: first the PSNR of each image",
        "(10 * torch.log10(4 / error)).mean()",
        "10 * torch.log10(4 / error.mean())",
    ),
    Swap(
        "summed-error",
        "with the summed error of an image for its mean",
        "the M of mean squared error",
        ".square().mean(1)",
        ".square().sum(1)",
    ),
    Swap(
        "least-variance",
        "with the directions in which the images vary least",
        "which end of the list is taken: torch.linalg.svd has the largest first, eigh the smallest",
        ".Vh[:numbers]",
        ".Vh[-numbers:]",
    ),
    Swap(
        "one-more",
        "with one direction more than the code has numbers",
        "K: so many directions",
        ".Vh[:numbers]",
        ".Vh[: numbers + 1]",
    ),
    Swap(
        "not-held",
        "when what comes back is not held to [-1, 1]",
        "values beyond black and white: they are held to the range first, as the decoder's are",
        ".clamp(-1, 1)",
        "",
    ),
]


@wrong("with each value brought to variance 1 first, which is another code", "the variances: values keep their own")
def of_correlations(training: Tensor, test: Tensor, numbers: int) -> float:
    mean, std = training.mean(0), training.std(0)
    directions = torch.linalg.svd((training - mean) / std, full_matrices=False).Vh[:numbers]
    restored = (((test - mean) / std) @ directions.T @ directions * std + mean).clamp(-1, 1)
    return float((10 * torch.log10(4 / (restored - test).square().mean(1))).mean())


@wrong("with the first K values of the images as the code", "the directions: those of the largest variances")
def first_values(training: Tensor, test: Tensor, numbers: int) -> float:
    restored = training.mean(0).expand_as(test).clone()
    restored[:, :numbers] = test[:, :numbers]
    return float((10 * torch.log10(4 / (restored - test).square().mean(1))).mean())


@right
def by_the_covariance(training: Tensor, test: Tensor, numbers: int) -> float:
    mean = training.mean(0)
    covariance = (training - mean).T @ (training - mean)
    basis = torch.linalg.eigh(covariance.double()).eigenvectors.flip(1)[:, :numbers].float()
    code = (test - mean) @ basis
    back = torch.clip(code @ basis.T + mean, -1, 1)
    return (20 * math.log10(2) - 10 * ((back - test) ** 2).mean(-1).log10()).mean().item()


@right
def by_numpy(training: Tensor, test: Tensor, numbers: int) -> float:
    import numpy as np

    known, x = training.numpy().astype(np.float64), test.numpy().astype(np.float64)
    mean = known.mean(0)
    basis = np.linalg.svd(known - mean)[2][:numbers]
    back = np.clip((x - mean) @ basis.T @ basis + mean, -1, 1)
    return float(np.mean(10 * np.log10(4 / np.mean((back - x) ** 2, axis=1))))


@right
def image_by_image(training: Tensor, test: Tensor, numbers: int) -> float:
    mean = training.mean(0)
    rows = torch.linalg.svd((training - mean).double(), full_matrices=False)[2][:numbers]
    total = 0.0
    for image in test.double():
        back = mean.double()
        for row in rows:
            back = back + (image - mean) @ row * row
        total += 10 * math.log10(4 / float(((back.clamp(-1, 1) - image) ** 2).mean()))
    return total / len(test)
