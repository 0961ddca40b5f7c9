"""The best linear code: its error is what the covariance leaves, and no other code of as many numbers has less."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.metrics.linear_code import linear_code, principal_directions


def drawn(count: int, numbers: int, fall: float = 0.8) -> Tensor:
    """Rows whose coordinates vary less and less, each `fall` times as much as the one before; turned."""
    generator = keyed(3, "linear codes")
    turn = torch.linalg.qr(torch.randn(numbers, numbers, generator=generator)).Q
    return torch.randn(count, numbers, generator=generator) * fall ** torch.arange(numbers) @ turn + 0.3


@check("the linear code leaves the smallest eigenvalues of the covariance", "Pearson 1901")
def linear_code_error() -> Iterator[Finding]:
    rows = drawn(500, 24)
    data = Dataset("rows", Items(IMAGES, (1, 4, 6)), rows.reshape(-1, 1, 4, 6), None, "rows")
    centred = (rows - rows.mean(0)).double()
    values = torch.linalg.eigvalsh(centred.T @ centred / len(rows))
    for count in (1, 5, 23):
        code = linear_code(data, torch.arange(500), count)
        x, _ = data.take(range(500))
        error = (code.restored(x) - x).square().flatten(1).sum(1).mean()
        yield near(f"{count} numbers", values[:-count].sum(), error, rel=1e-4)
        yield near(f"{count} directions", torch.eye(count), code.basis.T @ code.basis, abs=1e-5)
    whole = linear_code(data, torch.arange(500), 24).restored(x)
    yield near("as many numbers as there are", x, whole, abs=1e-4)
    yield near(
        "no more than there are",
        torch.tensor([24, 24]),
        torch.tensor(linear_code(data, torch.arange(500), 99).basis.shape),
    )


@check("the randomised decomposition leaves as little", "Halko, Martinsson & Tropp 2011")
def linear_code_of_many() -> Iterator[Finding]:
    rows = drawn(300, 200, 0.98)
    centred = rows - rows.mean(0)
    values = torch.linalg.svdvals(centred.double()).square()
    for count in (3, 20):
        basis = principal_directions(centred, count)
        left = (centred - centred @ basis @ basis.T).square().sum()
        yield near(f"{count} numbers", values[count:].sum(), left, rel=0.005)
        yield near(f"{count} directions", torch.eye(count), basis.T @ basis, abs=1e-5)
    yield near("no more than rows", torch.tensor([200, 10]), torch.tensor(principal_directions(centred[:10], 50).shape))
