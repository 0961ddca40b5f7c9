"""The best linear code: the floor that an autoencoder with as many numbers has to beat."""

from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset
from diffcli.metrics.frechet import moments

EXACT = 2000  # numbers of an item up to which the covariance is decomposed
LARGE_ITEMS = 8000  # of more numbers than that, from which a code is found
AT_ONCE = 5000
PASSES = 2  # of the randomised decomposition of larger ones
SPARE = 16  # dimensions that it takes beyond those asked for


class LinearCode(NamedTuple):
    """Principal components: mean [D], and orthonormal directions [D, k] of the largest variances.

    fitted_on:  items that it was found from
    """

    mean: Tensor
    basis: Tensor
    fitted_on: int

    def restored(self, items: Tensor) -> Tensor:
        """What k numbers of each item [N, ...] give back, of the same shape."""
        flat = items.flatten(1) - self.mean
        return (flat @ self.basis @ self.basis.T + self.mean).reshape(items.shape)


def linear_code(dataset: Dataset, places: Tensor, numbers: int) -> LinearCode:
    """The linear code of `numbers` numbers with the least squared error over the items at some places.

    Exact for items of up to 2,000 numbers (Pearson 1901), from all of them; for larger ones by a randomised
    decomposition of the first 8,000 (Halko, Martinsson & Tropp 2011), the same for every seed. There are
    never more directions than items.
    """
    if dataset.items.numbers <= EXACT:
        found = moments(dataset.take(part)[0].flatten(1) for part in places.split(AT_ONCE))
        most = min(numbers, dataset.items.numbers)
        basis = torch.linalg.eigh(found.covariance).eigenvectors[:, -most:]
        return LinearCode(found.mean.float(), basis.float(), len(places))
    flat = dataset.take(places[:LARGE_ITEMS])[0].flatten(1)
    mean = flat.mean(0)
    return LinearCode(mean, principal_directions(flat.sub_(mean), numbers), len(flat))


def principal_directions(centred: Tensor, count: int) -> Tensor:
    """Orthonormal directions [D, count] in which rows [N, D] of mean 0 vary most; fewer where N or D is less."""
    most = min(count, *centred.shape)
    probe = torch.randn(centred.shape[1], min(most + SPARE, *centred.shape), generator=keyed(0, "linear code"))
    inside = torch.linalg.qr(centred @ probe).Q
    for _ in range(PASSES):
        inside = torch.linalg.qr(centred @ torch.linalg.qr(centred.T @ inside).Q).Q
    return torch.linalg.svd(inside.T @ centred, full_matrices=False).Vh[:most].T
