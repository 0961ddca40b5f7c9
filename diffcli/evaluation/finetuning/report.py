"""What is said of a fine-tuned run: a table of models with standard errors, and sentences."""

import math
from collections.abc import Mapping
from typing import Any

from diffcli.console.show import table
from diffcli.evaluation.finetuning.study import AFTER, BEFORE, SCRATCH, FineTuningFound
from diffcli.evaluation.quality.measures import distance_name
from diffcli.evaluation.quality.study import QualityFound

CERTAIN = 2.0  # standard errors that a difference must have


def document_of(found: FineTuningFound) -> dict[str, Any]:
    """For --json."""
    return {
        "models": {name: _figures(one) for name, one in found.models.items()},
        "forgotten": {name: _figures(one) for name, one in found.forgotten.items()},
        "diagnosis": found.diagnosis.document if found.diagnosis else None,
        "notes": list(found.notes),
    }


def lines_of(found: FineTuningFound) -> list[str]:
    """For a reader."""
    lines = []
    if found.models:
        lines += [*_table(found.models), *_verdicts(found.models), _copies(found.models.get(AFTER))]
    if found.forgotten:
        lines += ["", "what the base's own classes have lost:", *_table(found.forgotten), *_lost(found.forgotten)]
    if found.diagnosis:
        lines += ["", *found.diagnosis.lines]
    return [*lines, *(f"note: {note}" for note in found.notes)]


def _figures(found: QualityFound) -> dict[str, Any]:
    one = found.judgements[0]
    coverage, copies, read = one.samples.coverage, found.copies, one.classes
    return {
        "distance": distance_name(one.encoder, one.samples.images),
        "frechet": one.samples.frechet.value if one.samples.frechet else None,
        "frechet_error": one.samples.frechet.error if one.samples.frechet else None,
        "frechet_floor": one.floor.frechet.value if one.floor.frechet else None,
        "precision": coverage.precision if coverage else None,
        "recall": coverage.recall if coverage else None,
        "class_agreement": read.agreement if read else None,
        "class_agreement_error": read.agreement_error if read else None,
        "copies": copies.share if copies else None,
        "copies_noticeable": copies.noticeable if copies else None,
        "images": one.samples.images,
    }


def _table(models: Mapping[str, QualityFound]) -> list[str]:
    rows: list[list[str]] = []
    last: list[str] = []
    name = ""
    for title, found in models.items():
        one = found.judgements[0]
        name = distance_name(one.encoder, one.samples.images)
        frechet, read, coverage = one.samples.frechet, one.classes, one.samples.coverage
        agreement = (
            "" if read is None or read.agreement is None else _with(100 * read.agreement, read.agreement_error, 100)
        )
        variety = f"{coverage.precision:.2f}, {coverage.recall:.2f}" if coverage else ""
        rows.append([title, _with(frechet.value, frechet.error) if frechet else "", variety, agreement])
        if one.floor.frechet:
            beside = one.classes_floor
            shown = f"{one.floor.coverage.precision:.2f}, {one.floor.coverage.recall:.2f}" if one.floor.coverage else ""
            read_as = f"{100 * beside.agreement:.1f}" if beside and beside.agreement is not None else ""
            last = [f"{one.floor.images} unseen real images", f"{one.floor.frechet.value:.3g}", shown, read_as]
    return table(
        ["", name, "precision, recall", "read as asked, %"], [*rows, *([last] if last else [])], right=(1, 2, 3)
    )


def _with(value: float, error: float | None, scale: float = 1.0) -> str:
    if error is None or math.isnan(error):
        return f"{value:.3g}"
    return f"{value:.3g} ± {scale * error:.2g}"


def _verdicts(models: Mapping[str, QualityFound]) -> list[str]:
    """The run beside what it began with, and beside the one from scratch: only what is larger than chance."""
    return [_verdict(models[AFTER], models[name], name) for name in (BEFORE, SCRATCH) if {AFTER, name} <= models.keys()]


def _verdict(run: QualityFound, other: QualityFound, name: str) -> str:
    mine, theirs = run.judgements[0].samples.frechet, other.judgements[0].samples.frechet
    if mine is None or theirs is None:
        return ""
    error = math.hypot(mine.error, theirs.error)
    times = (theirs.value - mine.value) / error if error > 0 else math.nan
    if times >= CERTAIN:
        return f"nearer to the data than {name}, by {times:.1f} standard errors"
    if times <= -CERTAIN:
        return f"further from the data than {name}, by {-times:.1f} standard errors"
    return f"no difference to {name} that could be told ({times:+.1f} standard errors)"


def _copies(found: QualityFound | None) -> str:
    return f"copies: {found.copies.reason}" if found and found.copies else ""


def _lost(models: Mapping[str, QualityFound]) -> list[str]:
    """The share of samples read as asked, before and after."""
    reads = [found.judgements[0].classes for found in models.values()]
    if len(reads) < 2 or any(read is None or read.agreement is None for read in reads):
        return []
    before, after = (read for read in reads if read)
    lost = (before.agreement or 0.0) - (after.agreement or 0.0)
    error = math.hypot(before.agreement_error or 0.0, after.agreement_error or 0.0)
    return [f"read as the class asked for: {100 * -lost:+.1f} ± {100 * error:.1f} points"]
