"""The best linear code: the floor that an autoencoder with as many numbers has to beat."""

from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.randomness import keyed

EXACT = 2000  # numbers of an item up to which the covariance is decomposed
PASSES = 2  # of the randomised decomposition of larger ones
SPARE = 16  # dimensions that it takes beyond those asked for


class LinearCode(NamedTuple):
    """Principal components: mean [D], and orthonormal directions [D, k] of the largest variances."""

    mean: Tensor
    basis: Tensor

    def restored(self, items: Tensor) -> Tensor:
        """What k numbers of each item [N, ...] give back, of the same shape."""
        flat = items.flatten(1) - self.mean
        return (flat @ self.basis @ self.basis.T + self.mean).reshape(items.shape)


def linear_code(items: Tensor, numbers: int) -> LinearCode:
    """The linear code of `numbers` numbers with the least squared error over items [N, ...], of D numbers each.

    Exact for D up to 2,000 (Pearson 1901); of larger items by a randomised decomposition of the centred items (Halko,
    Martinsson & Tropp 2011, algorithm 4.4), the same for every seed. There are never more directions than items.
    """
    flat = items.flatten(1).float()
    mean = flat.mean(0)
    most = min(numbers, len(flat), flat.shape[1])
    centred = flat - mean
    if flat.shape[1] <= EXACT:
        covariance = centred.T @ centred / len(flat)
        return LinearCode(mean, torch.linalg.eigh(covariance.double()).eigenvectors[:, -most:].float())
    width = min(most + SPARE, *centred.shape)
    probe = torch.randn(centred.shape[1], width, generator=keyed(0, "linear code"))
    inside = torch.linalg.qr(centred @ probe).Q
    for _ in range(PASSES):
        inside = torch.linalg.qr(centred @ torch.linalg.qr(centred.T @ inside).Q).Q
    return LinearCode(mean, torch.linalg.svd(inside.T @ centred, full_matrices=False).Vh[:most].T)
