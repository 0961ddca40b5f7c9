"""Tables 1 and 2 of the DDIM paper in shape: eta against the number of steps, and images to noise and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from diffcli import specs
from diffcli.console.results import Lesson
from diffcli.console.show import Show, table
from diffcli.data.kinds import CLASS
from diffcli.errors import UsageProblem, one_of
from diffcli.evaluation.comparison import report, study
from diffcli.evaluation.comparison.settings import Candidate
from diffcli.evaluation.comparison.study import Comparison, ComparisonFound, ComparisonOptions
from diffcli.evaluation.quality.reference import parted
from diffcli.pictures.comparison import table_figure
from diffcli.pictures.figures import write_figure
from diffcli.ranks.sharing import Crew
from diffcli.sampling.inversion import prepared_for_inversion, round_trips
from diffcli.sampling.options import SamplingOptions
from diffcli.system.shell import argument

TABLES = ("ddim",)
STEPS = (10, 20, 50, 100)  # of table 1, unless told; the paper's 1000 takes ten times as long as all of these
ETAS = (0.0, 0.2, 0.5, 1.0)
RETURNED = 64  # images that go to noise and back
RETURNS = (10, 20, 50, 100, 200)  # steps each way
LARGE = "sigma-hat"  # ddpm with the large variance, the last row of the paper's table

PAPER_1: dict[str, dict[int, float]] = {
    # FID on CIFAR-10, Song et al. 2021 (DDIM), table 1
    "0": {10: 13.36, 20: 6.84, 50: 4.67, 100: 4.16, 1000: 4.04},
    "0.2": {10: 14.04, 20: 7.11, 50: 4.77, 100: 4.25, 1000: 4.09},
    "0.5": {10: 16.66, 20: 8.35, 50: 5.25, 100: 4.46, 1000: 4.29},
    "1": {10: 41.07, 20: 18.36, 50: 8.01, 100: 5.78, 1000: 4.73},
    LARGE: {10: 367.43, 20: 133.37, 50: 32.72, 100: 9.99, 1000: 3.17},
}
PAPER_2 = {10: 0.014, 20: 0.0065, 50: 0.0023, 100: 0.0009, 200: 0.0004, 500: 0.0001, 1000: 0.0001}
"""Reconstruction error on CIFAR-10 by the number of steps, table 2; values in [0, 1]."""


class Trend(NamedTuple):
    """What the paper's table shows, and whether ours shows it: by more than two standard errors, or not at all."""

    claim: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class TableAsked:
    """Settings of table 1, and how images of table 2 go to noise."""

    comparison: Comparison
    steps: Sequence[int]
    run: str | None
    base: SamplingOptions


@dataclass(frozen=True)
class TableFound:
    """Both tables. returns: steps -> squared error per value, in units where black is 0 and white is 1."""

    compared: ComparisonFound
    returns: dict[int, float]


def asked(
    name: str, runs: Sequence[str], steps: str | None, given: Mapping[str, Any], base: SamplingOptions,
    against: str | None, features: str,
) -> TableAsked:  # fmt: skip
    """The study behind `compare --table ddim`; refuses what the table itself decides, and more than one run."""
    one_of(name, TABLES, "table")
    for option, value in given.items():
        if value is not None:
            raise UsageProblem(f"--{option} does not go with --table, which has its own", "leave it out")
    if len(runs) > 1:
        raise UsageProblem("--table is made of one run", "name one")
    run = runs[0] if runs else None
    ladder = tuple(specs.numbers(steps, "--steps", int, 2)) if steps else STEPS
    settings = [Candidate(run, "ddim", n, eta=eta) for eta in ETAS for n in ladder]
    settings += [Candidate(run, "ddpm,variance=large", n) for n in ladder]
    wanted = ComparisonOptions(settings, against, features, 0, base)
    return TableAsked(study.prepared(wanted), ladder, run, base)


def run(asked: TableAsked, show: Show, crew: Crew | None = None) -> TableFound:
    """Draw all of table 1, then send images to noise and back. crew: processes that share the drawing"""
    compared = study.run(asked.comparison, show, crew)
    unseen, _ = parted(asked.comparison.reference.untrained, RETURNED, None)
    model = asked.comparison.jobs[0].model
    images, conditions = unseen.take(range(len(unseen)))
    prepared = prepared_for_inversion(model.target, replace(asked.base, sampler="ddim", label=None))
    if CLASS in conditions and model.items.classes == unseen.classes:
        told = {CLASS: conditions[CLASS]}
        prepared = replace(prepared, job=replace(prepared.job, conditions=told))
    length = prepared.model.schedule.length or max(RETURNS)
    ladder = [n for n in RETURNS if n <= length]
    returns = {}
    with show.progress("to noise and back", sum(ladder), "steps") as bar:
        for trip in round_trips(prepared, images, ladder):
            returns[trip.steps] = trip.error
            bar.update(sum(returns))
    return TableFound(compared, returns)


def fill(made: Lesson, asked: TableAsked, found: TableFound) -> None:
    """Both tables beside the paper's, the trends, the figure."""
    ours, errors = _cells(asked, found)
    kept = trends(asked.steps, found)
    made.document = {
        **report.document(asked.comparison, found.compared),
        "table_1": {"steps": list(asked.steps), "ours": ours, "errors": errors, "paper": PAPER_1},
        "table_2": {"ours": found.returns, "paper": PAPER_2},
        "trends": [trend._asdict() for trend in kept],
    }
    made.lines = [*_table_1(asked, ours, errors), "", *_table_2(found), "", *_said(kept)]
    made.seen = f"{sum(t.holds for t in kept)} of {len(kept)} trends of the paper hold for this model."
    made.leads = "With few steps fresh noise has no time to be removed again: so DDIM takes none."
    made.next = f"diffcli compare {argument(asked.comparison.jobs[0].model.target)} --samplers ddim,dpmpp-2m,ipndm"
    figure = table_figure(ours, PAPER_1, found.returns, PAPER_2)
    write_figure(figure, made.figure("table-ddim.png"))


def _cells(asked: TableAsked, found: TableFound) -> tuple[dict[str, dict[int, float]], dict[str, dict[int, float]]]:
    """Distances and standard errors, by eta and steps."""
    ours: dict[str, dict[int, float]] = {name: {} for name in PAPER_1}
    errors: dict[str, dict[int, float]] = {name: {} for name in PAPER_1}
    for one in found.compared.settings:
        name = LARGE if one.setting.eta is None else f"{one.setting.eta:g}"
        ours[name][one.prepared.job.steps] = one.frechet
        errors[name][one.prepared.job.steps] = one.error
    return ours, errors


def trends(steps: Sequence[int], found: TableFound) -> list[Trend]:
    """What both tables claim, held against ours: a difference counts beyond two standard errors of it."""
    few, many = min(steps), max(steps)
    rows, errors = found.compared.settings, found.compared.errors
    place = {(row.setting.eta, row.prepared.job.steps): i for i, row in enumerate(rows)}

    def gap(worse: tuple[float | None, int], better: tuple[float | None, int]) -> tuple[float, float]:
        i, j = place[worse], place[better]
        return rows[i].frechet - rows[j].frechet, errors[i, j].item()

    def trend(claim: str, difference: float, error: float) -> Trend:
        return Trend(claim, difference > 2 * error, f"{difference:+.3g} ± {error:.2g}")

    result = [
        trend(f"at {few} steps eta 1 is worse than eta 0", *gap((1.0, few), (0.0, few))),
        trend(f"at {few} steps {LARGE} is worse than eta 1", *gap((None, few), (1.0, few))),
    ]
    if few < many:
        (of_few, error_few), (of_many, error_many) = (gap((1.0, n), (0.0, n)) for n in (few, many))
        shrinks = "the gap between eta 1 and 0 shrinks with more steps"
        result += [
            trend(shrinks, of_few - of_many, math.hypot(error_few, error_many)),
            trend(f"eta 0 is better with {many} steps than with {few}", *gap((0.0, few), (0.0, many))),
            trend(f"{LARGE} is better with {many} steps than with {few}", *gap((None, few), (None, many))),
        ]
    ends = list(found.returns.values())
    falls = all(b < a for a, b in zip(ends, ends[1:], strict=False))
    said = f"{ends[0]:.2g} to {ends[-1]:.2g}"
    return [*result, Trend("an image comes back better with more steps", falls, said)]


def _table_1(
    asked: TableAsked, ours: Mapping[str, Mapping[int, float]], errors: Mapping[str, Mapping[int, float]]
) -> list[str]:
    wanted, count = asked.comparison.wanted, asked.comparison.jobs[0].count
    head = f"table 1: Fréchet distance in {wanted.encoder} features of {count} samples; (the paper's FID, CIFAR-10)"
    rows = []
    for eta, row in ours.items():
        rows.append([eta, *(f"{row[n]:.3g} ± {errors[eta][n]:.2g}" for n in asked.steps)])
        rows.append(["", *(f"({_paper(PAPER_1[eta].get(n))})" for n in asked.steps)])
    return [head, *table(["eta", *(f"S = {n}" for n in asked.steps)], rows, right=range(1, len(asked.steps) + 1))]


def _table_2(found: TableFound) -> list[str]:
    head = f"table 2: squared error per value of {RETURNED} images, to noise and back; (the paper, CIFAR-10)"
    rows = [
        ["error", *(f"{error:.2g}" for error in found.returns.values())],
        ["", *(f"({_paper(PAPER_2.get(n))})" for n in found.returns)],
    ]
    heads = ["steps", *(str(n) for n in found.returns)]
    return [head, *table(heads, rows, right=range(1, len(heads)))]


def _paper(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _said(kept: Sequence[Trend]) -> list[str]:
    return [f"{'holds' if trend.holds else 'does not hold'}: {trend.claim} ({trend.seen})" for trend in kept]
