"""The errors of a model at every level, and the terms of the bound that follow from them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import CLEAN, Level
from diffcli.evaluation.bound.task import Row, Task
from diffcli.metrics.statistics import standard_error

LEAST_ERROR = 1e-12  # of x0 per number: an optimal variance is never 0
TRIES = 16  # standard deviations of a decoder to choose from


class ModelErrors(NamedTuple):
    """What the optimal variance goes by, from items that the bound is not taken on.

    errors:    the model's mean squared error of x0 per number at each level, [T]
    decoders:  the variance of the best decoder from each level, [T]; that with the least cost where data are 8-bit
    """

    errors: Tensor
    decoders: Tensor


@dataclass
class Tally:
    """What was seen so far, summed over samples; float64.

    errors:    squared error of x0 summed over an item's numbers, [N, T]; `seen` counts the samples there
    learned:   nats of the step down from each level with the learned variance, [N, T]; None where there is none
    decoders:  nats of the decoder from levels that were asked for: level -> kind of variance -> [N]
    pairs:     nats of steps with the learned variance between levels that were asked for, summed, [K, K]
    """

    errors: Tensor
    seen: Tensor
    learned: Tensor | None
    decoders: dict[int, dict[str, Tensor]]
    pairs: Tensor | None = None


def measured(task: Task, progress: Callable[[int], None], decoded: Sequence[int] = ()) -> ModelErrors:
    """The model's own errors on the items of the task, and the best decoders of the last level and those `decoded`."""
    steps = len(task.levels)
    errors, seen = (torch.zeros(steps, dtype=torch.float64) for _ in range(2))
    wanted = {*decoded, steps - 1}
    tries = {i: _tries(task.levels[i]) for i in wanted}
    costs = {i: torch.zeros(TRIES, dtype=torch.float64) for i in wanted}
    done = 0
    for row in task.rows():
        errors.index_add_(0, row.place, _error(row).cpu())
        seen.index_add_(0, row.place, torch.ones(len(row.place), dtype=torch.float64))
        for i in wanted & set(row.place.tolist()) if task.discrete else ():
            here = row.place == i
            x0, mean = row.x0[here].double(), row.prediction.x0[here].double()
            costs[i] += torch.stack([bound.decoder(x0, mean, v, discrete=True).sum().cpu() for v in tries[i]])
        progress(done := done + len(row.place))
    mean_errors = (errors / seen / task.numbers).clamp(min=LEAST_ERROR)
    decoders = mean_errors.clone()
    for i in wanted if task.discrete else ():
        decoders[i] = tries[i][costs[i].argmin()]
    return ModelErrors(mean_errors, decoders)


def _tries(level: Level) -> Tensor:
    """Variances for a decoder from this level, evenly spaced in their log."""
    high = (level.sigma / level.alpha).item()
    low = min(bound.LEAST_STD, high / 2) / 2
    return torch.logspace(math.log10(low), math.log10(high), TRIES, dtype=torch.float64) ** 2


def _error(row: Row) -> Tensor:
    """Squared error of x0 summed over an item, [B]."""
    return (row.prediction.x0.double() - row.x0.double()).square().flatten(1).sum(1)


def evaluate(
    task: Task, own: ModelErrors, *, decoded: Sequence[int] = (), kind: str = "optimal", stops: Sequence[int] = ()
) -> Iterator[tuple[int, Tally]]:
    """Rows done and what was found; the last one yielded is complete.

    decoded:  levels, besides the last, from which the decoder with one `kind` of variance is evaluated too
    stops:    levels between all of which steps with the learned variance are evaluated
    """
    size, last = (len(task.x0), len(task.levels)), len(task.levels) - 1
    wanted = dict.fromkeys(decoded, (kind,)) | {last: task.kinds}
    found = Tally(
        torch.zeros(size, dtype=torch.float64),
        torch.zeros(size, dtype=torch.float64),
        torch.zeros(size, dtype=torch.float64) if task.learned else None,
        {i: {k: torch.zeros(size[0], dtype=torch.float64) for k in kinds} for i, kinds in wanted.items()},
        torch.zeros(len(stops), len(stops), dtype=torch.float64) if stops else None,
    )
    done = 0
    for row in task.rows():
        at = (row.item, row.place)
        found.errors.index_put_(at, _error(row).cpu(), accumulate=True)
        found.seen.index_put_(at, torch.ones(len(row.item), dtype=torch.float64), accumulate=True)
        if found.learned is not None:
            found.learned.index_put_(at, _learned(row, task.discrete).cpu(), accumulate=True)
        for i in set(row.place.tolist()) & wanted.keys():
            for k, nats in found.decoders[i].items():
                here = (row.place == i).nonzero().squeeze(1)
                part = _decoded(row, here, k, task, i, own.decoders[i])
                nats.index_put_((row.item[here],), part.cpu() / task.samples, accumulate=True)
        if found.pairs is not None:
            _add_pairs(found.pairs, row, task, stops)
        done += len(row.item)
        yield done, found


def _learned(row: Row, discrete: bool) -> Tensor:
    """Nats of the steps down with the learned variance, [B]."""
    nats = bound.terms(
        "learned",
        row.x0,
        row.prediction.x0,
        row.here,
        row.after,
        fraction=row.prediction.variance_fraction,
        discrete=discrete,
    )
    return nats.double().flatten(1).sum(1)


def _decoded(row: Row, here: Tensor, kind: str, task: Task, place: int, optimum: Tensor) -> Tensor:
    """Nats of the decoder from the level that the rows `here` are at, [rows]."""
    level, x0 = task.levels[place], row.x0[here].double()
    if task.histogram:
        return task.histogram.cost(x0, row.x[here].double(), level).flatten(1).sum(1)
    share = row.prediction.variance_fraction[here].double() if row.prediction.variance_fraction is not None else None
    variance = bound.reverse_variance(kind, level, CLEAN, error=optimum, fraction=share)
    return bound.decoder(x0, row.prediction.x0[here].double(), variance, discrete=task.discrete).flatten(1).sum(1)


def _add_pairs(pairs: Tensor, row: Row, task: Task, stops: Sequence[int]) -> None:
    """Add the steps from the levels of a batch to all later stops, with the learned variance."""
    for k in {stops.index(i) for i in set(row.place.tolist()) & set(stops)}:
        here = row.place == stops[k]
        x0, mean, share = row.x0[here], row.prediction.x0[here], row.prediction.variance_fraction
        assert share is not None
        for j in range(k + 1, len(stops)):
            t, s = task.levels[stops[k]], task.levels[stops[j]]
            variance = bound.reverse_variance("learned", t, s, fraction=share[here])
            pairs[k, j] += bound.transition(x0, mean, t, s, variance).double().sum().cpu()


@dataclass(frozen=True)
class Parts:
    """The bound with one kind of variance, in nats of each item.

    prior, reconstruction:  [N]
    diffusion:              of the steps between levels, [N, T - 1]; nan where an item was not evaluated
    """

    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor

    @property
    def per_step(self) -> Tensor:
        """Mean nats of every step, the decoder last, [T]."""
        return torch.cat([self.diffusion.nanmean(0), self.reconstruction.mean().unsqueeze(0)])

    @property
    def step_errors(self) -> Tensor:
        """Standard errors of `per_step`, [T]; nan for a single item."""
        counts = self.diffusion.isfinite().sum(0)
        spread = (self.diffusion - self.diffusion.nanmean(0)).square().nansum(0) / (counts - 1) / counts
        last = self.reconstruction.var() / len(self.reconstruction)
        return torch.cat([spread, last.unsqueeze(0)]).sqrt()

    @property
    def items(self) -> Tensor:
        """Nats of every item, [N]: steps at which it was not evaluated count as those at which it was."""
        share = self.diffusion.isfinite().double().mean(1)
        return self.prior + self.diffusion.nansum(1) / share + self.reconstruction

    @property
    def means(self) -> dict[str, float]:
        """Mean nats of the three terms."""
        return {
            "prior": self.prior.mean().item(),
            "diffusion": self.per_step[:-1].sum().item(),
            "reconstruction": self.reconstruction.mean().item(),
        }

    @property
    def nats(self) -> float:
        """The bound: mean over items."""
        return sum(self.means.values())

    @property
    def standard_error(self) -> float:
        """Of `nats`; nan for a single item."""
        return standard_error(self.items)


def parts(task: Task, found: Tally, kind: str, own: ModelErrors) -> Parts:
    """The terms with one kind of variance."""
    seen = torch.where(found.seen > 0, found.seen, torch.nan)
    prior = bound.prior(task.x0.double(), task.levels[0])
    if kind == "learned":
        assert found.learned is not None
        diffusion = (found.learned / seen)[:, :-1]
    else:
        diffusion = bound.fixed_terms(kind, found.errors / seen, task.numbers, task.levels, own.errors)
    return Parts(prior, diffusion, found.decoders[len(task.levels) - 1][kind])
