"""Standard errors of samples that were drawn in fixed numbers of each class."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.metrics.distances import mind, sliced_error
from diffcli.metrics.frechet import Moments
from diffcli.metrics.groups import dealt
from diffcli.metrics.kernel_distance import Measured, kernel_distance
from diffcli.metrics.resampling import frechet_resampled

REPEATS = 60
SIZES = (100, 60)  # of two classes far apart: their numbers would decide every distance, were they left to chance
CLASSES = torch.cat([torch.full((size,), label) for label, size in enumerate(SIZES)])


def two_classes(seed: int, shift: float = 0.0) -> Tensor:
    """Features [160, 2] about (-3, 0) and (3, 0) in the numbers of `SIZES`."""
    noise = torch.randn(len(CLASSES), 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    centres = torch.tensor([[-3.0, 0.0], [3.0 + shift, 0.0]], dtype=torch.float64)
    return centres[CLASSES] + 0.5 * noise


@check(
    "where samples have fixed numbers of each class, the errors are the spread of distances of such samples",
    "Efron & Tibshirani 1993, sec. 8.3",
)
def errors_with_strata() -> Iterator[Finding]:
    real = two_classes(10_000)
    reference, strata = Moments.of(real), (CLASSES, CLASSES)
    measures: dict[str, Callable[[Tensor], Measured]] = {
        "Frechet": lambda x: Measured(*frechet_resampled(x, reference, repeats=40, strata=CLASSES)[::2]),
        "kernel": lambda x: kernel_distance(x, real, strata=strata),
        "sliced": lambda x: Measured(mind(x, real, 20), sliced_error(x, real, 20, strata=strata)),
    }
    for name, measured in measures.items():
        found = [measured(two_classes(seed, shift=1.0)) for seed in range(REPEATS)]
        values, errors = (torch.tensor(part, dtype=torch.float64) for part in zip(*found, strict=True))
        # kernel and sliced errors are those of both sides, of two samples as many each; the spread is that of one
        both = 1.0 if name == "Frechet" else 2**0.5
        yield near(name, both * values.std(), errors.mean(), rel=0.3)


@check("rows are dealt into groups of equal size by chance, each with its share of every stratum", "the definition")
def groups_with_strata() -> Iterator[Finding]:
    strata = torch.arange(1000) % 10 // 6  # 600 and 400, mixed
    strata = strata[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    found = dealt(1000, 20, "test", strata)
    for label, size in ((0, 600), (1, 400)):
        yield near(f"of stratum {label}", size / 20, found[strata == label].bincount(minlength=20), abs=1)
    yield near("sizes", 50, found.bincount(minlength=20), abs=0)
    plain = dealt(1000, 20, "test")
    yield near("sizes without strata", 50, plain.bincount(minlength=20), abs=0)
    neighbours = (plain[1:] == plain[:-1]).double().mean()
    yield near("neighbours in one group, by chance", 1 / 20, neighbours, abs=0.03)
