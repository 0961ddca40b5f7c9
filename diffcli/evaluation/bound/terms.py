"""The errors of a model at every level, and the terms of the bound that follow from them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import CLEAN, Level
from diffcli.evaluation.bound.task import Row, Task
from diffcli.metrics.statistics import standard_error
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import Share, alone

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
    pairs:     nats of steps with the learned variance from levels that were asked for to all K of them, summed, [K]
    """

    errors: Tensor
    seen: Tensor
    learned: Tensor | None
    decoders: dict[int, dict[str, Tensor]]
    pairs: dict[int, Tensor]

    def put(self, part: "Tally", levels: range) -> None:
        """Take over what was seen at some of the levels."""
        here = slice(levels.start, levels.stop)
        self.errors[:, here], self.seen[:, here] = part.errors, part.seen
        if self.learned is not None and part.learned is not None:
            self.learned[:, here] = part.learned
        self.decoders |= part.decoders
        self.pairs |= part.pairs


class MeasuredLevels(NamedTuple):
    """Some levels of a task: the squared errors of x0 summed, [L], how many, [L], and the costs of decoders there."""

    errors: Tensor
    seen: Tensor
    costs: dict[int, Tensor]


def measured(task: Task, decoded: Sequence[int] = (), share: Share = alone) -> Iterator[tuple[int, ModelErrors | None]]:
    """The model's own errors on the items of the task, and the best decoders of the last level and those `decoded`.

    Rows done so far, and at the end what was found. share: how the pieces of the task are done
    """
    found, pieces = dict[int, MeasuredLevels](), len(task.pieces)
    for one in share(measured_levels(task, decoded), pieces):
        if one.found is not None:
            found[one.piece] = one.found
        yield int(task.total * one.done / pieces), None
    parts = [found[piece] for piece in range(pieces)]
    errors, seen = (torch.cat([getattr(part, name) for part in parts]) for name in ("errors", "seen"))
    mean_errors = (errors / seen / task.numbers).clamp(min=LEAST_ERROR)
    decoders = mean_errors.clone()
    for i, costs in [pair for part in parts for pair in part.costs.items()]:
        decoders[i] = _tries(task.levels[i])[costs.argmin()]
    yield task.total, ModelErrors(mean_errors, decoders)


def measured_levels(task: Task, decoded: Sequence[int]) -> Do[MeasuredLevels]:
    """How to measure the levels of a piece of the task."""
    return partial(_measured_levels, task, {*decoded, len(task.levels) - 1} if task.discrete else set())


def _measured_levels(task: Task, decoded: set[int], piece: int) -> Iterator[tuple[float, MeasuredLevels | None]]:
    levels = task.pieces[piece]
    errors, seen = (torch.zeros(len(levels), dtype=torch.float64) for _ in range(2))
    wanted = decoded & set(levels)
    tries = {i: _tries(task.levels[i]) for i in wanted}
    costs = {i: torch.zeros(TRIES, dtype=torch.float64) for i in wanted}
    for row in task.rows(levels):
        errors.index_add_(0, row.place - levels.start, _error(row).cpu())
        seen.index_add_(0, row.place - levels.start, torch.ones(len(row.place), dtype=torch.float64))
        for i in wanted & set(row.place.tolist()):
            here = row.place == i
            x0, mean = row.x0[here].double(), row.prediction.x0[here].double()
            costs[i] += torch.stack([bound.decoder(x0, mean, v, discrete=True).sum().cpu() for v in tries[i]])
        yield _share(row, levels), None
    yield 1.0, MeasuredLevels(errors, seen, costs)


def _share(row: Row, levels: range) -> float:
    """Of the levels that come before those of a row."""
    return (int(row.place[-1]) - levels.start) / len(levels)


def _tries(level: Level) -> Tensor:
    """Variances for a decoder from this level, evenly spaced in their log."""
    high = (level.sigma / level.alpha).item()
    low = min(bound.LEAST_STD, high / 2) / 2
    return torch.logspace(math.log10(low), math.log10(high), TRIES, dtype=torch.float64) ** 2


def _error(row: Row) -> Tensor:
    """Squared error of x0 summed over an item, [B]."""
    return (row.prediction.x0.double() - row.x0.double()).square().flatten(1).sum(1)


@dataclass(frozen=True)
class Wanted:
    """What is evaluated of a task beside the errors.

    decoded:  levels, besides the last, from which the decoder with one `kind` of variance is evaluated too
    stops:    levels between all of which steps with the learned variance are evaluated
    """

    decoded: tuple[int, ...] = ()
    kind: str = "optimal"
    stops: tuple[int, ...] = ()

    def kinds(self, task: Task, levels: range) -> dict[int, tuple[str, ...]]:
        """The kinds of variance by which of these levels are decoded."""
        last = len(task.levels) - 1
        wanted = dict.fromkeys(self.decoded, (self.kind,)) | {last: task.kinds}
        return {i: kinds for i, kinds in wanted.items() if i in levels}


def evaluate(task: Task, own: ModelErrors, wanted: Wanted, share: Share = alone) -> Iterator[tuple[int, Tally]]:
    """Rows done and what was found; the last one yielded is complete. share: how the pieces of the task are done"""
    pieces = task.pieces
    found = _empty(task, wanted, range(len(task.levels)))
    for one in share(tallied_levels(task, own, wanted), len(pieces)):
        if one.found is not None:
            found.put(one.found, pieces[one.piece])
        yield int(task.total * one.done / len(pieces)), found
    yield task.total, found


def tallied_levels(task: Task, own: ModelErrors, wanted: Wanted) -> Do[Tally]:
    """How to evaluate the levels of a piece of the task; places count from the first of them."""
    return partial(_tallied_levels, task, own, wanted)


def _tallied_levels(task: Task, own: ModelErrors, wanted: Wanted, piece: int) -> Iterator[tuple[float, Tally | None]]:
    levels = task.pieces[piece]
    found = _empty(task, wanted, levels)
    for row in task.rows(levels):
        at = (row.item, row.place - levels.start)
        found.errors.index_put_(at, _error(row).cpu(), accumulate=True)
        found.seen.index_put_(at, torch.ones(len(row.item), dtype=torch.float64), accumulate=True)
        if found.learned is not None:
            found.learned.index_put_(at, _learned(row, task.discrete).cpu(), accumulate=True)
        for i in set(row.place.tolist()) & found.decoders.keys():
            for k, nats in found.decoders[i].items():
                here = (row.place == i).nonzero().squeeze(1)
                part = _decoded(row, here, k, task, i, own.decoders[i])
                nats.index_put_((row.item[here],), part.cpu() / task.samples, accumulate=True)
        _add_pairs(found.pairs, row, task, wanted.stops)
        yield _share(row, levels), None
    yield 1.0, found


def _empty(task: Task, wanted: Wanted, levels: range) -> Tally:
    """What nothing has been seen of yet, at these levels."""
    size, count = (len(task.x0), len(levels)), len(task.x0)
    return Tally(
        torch.zeros(size, dtype=torch.float64),
        torch.zeros(size, dtype=torch.float64),
        torch.zeros(size, dtype=torch.float64) if task.learned else None,
        {
            i: {k: torch.zeros(count, dtype=torch.float64) for k in kinds}
            for i, kinds in wanted.kinds(task, levels).items()
        },
        {i: torch.zeros(len(wanted.stops), dtype=torch.float64) for i in wanted.stops if i in levels},
    )


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


def _add_pairs(pairs: dict[int, Tensor], row: Row, task: Task, stops: Sequence[int]) -> None:
    """Add the steps from the levels of a batch to all later stops, with the learned variance."""
    for i in set(row.place.tolist()) & pairs.keys():
        here = row.place == i
        x0, mean, share = row.x0[here], row.prediction.x0[here], row.prediction.variance_fraction
        assert share is not None
        for j in range(stops.index(i) + 1, len(stops)):
            t, s = task.levels[i], task.levels[stops[j]]
            variance = bound.reverse_variance("learned", t, s, fraction=share[here])
            pairs[i][j] += bound.transition(x0, mean, t, s, variance).double().sum().cpu()


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
