"""What is said of a model's obedience: a table, sentences, a picture."""

from typing import Any

from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.evaluation.obedience.study import ObedienceFound
from diffcli.metrics.obedience import way
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.grid import layered, save_png, shown_hints, single
from diffcli.system.shell import argument

SHOWN = 10
TITLES = {
    "told": "under hints", "without": "without hints", "contradicting": "under hints of another class",
    "real": "real images",
}  # fmt: skip


def fill(made: Lesson, found: ObedienceFound) -> None:
    """The document, lines and picture of a study."""
    made.document = document_of(found)
    made.lines = lines_of(found)
    made.seen = _seen(found)
    made.leads = "Rows of the picture: the hint, a sample under it, the same noise without, the image it was found in."
    made.next = f"diffcli sample {argument(found.model.target)} --ddim --hint-from IMAGE"
    rows = [found.given.hints, found.told.images, found.without.images, found.given.images]
    if found.contradicting:
        rows.append(found.contradicting.images)
        made.leads = f"{made.leads[:-1]}, and a sample of another class."
    few = [shown_hints(row[:SHOWN], found.given.images) for row in rows]
    save_png(made.figure("obedience.png"), single(layered(few, SHOWN)), {"condition": found.condition})


def document_of(found: ObedienceFound) -> dict[str, Any]:
    """For --json."""
    scores = {name: value.nanmean().item() for name, value in found.scores.items()}
    exact = {name: value.mean().item() for name, value in found.exact.items()}
    agreement = {name: share.double().mean().item() for name, share in _as_asked(found).items()}
    return {
        "checkpoint": str(found.model.trained.path) if found.model.trained else None,
        "condition": found.condition,
        "measure": found.measure.text if found.measure else None,
        "count": len(found.given.images),
        "steps": found.steps,
        "guidance": found.guidance,
        "score": scores.get("told"),
        "score_error": _error(found.scores.get("told")),
        "score_unconditioned": scores.get("without"),
        "score_unconditioned_error": _error(found.scores.get("without")),
        "score_real": scores.get("real"),
        "score_contradicting": scores.get("contradicting"),
        "share": way(scores["told"], scores["without"], scores["real"]) if scores else None,
        "exact": exact.get("told"),
        "exact_error": _error(found.exact.get("told")),
        "exact_unconditioned": exact.get("without"),
        "class_agreement": agreement.get("told"),
        "class_agreement_unconditioned": agreement.get("without"),
        "class_agreement_contradicting": agreement.get("contradicting"),
        "read_as_hint_contradicting": _as_hint(found),
    }


def lines_of(found: ObedienceFound) -> list[str]:
    """For a reader."""
    rows, agreement = [], _as_asked(found)
    for name, title in TITLES.items():
        if name in found.scores or name in agreement:
            rows.append([title, *(_cell(part.get(name)) for part in (found.scores, found.exact)),
                         _cell(agreement.get(name), 100)])  # fmt: skip
    text = found.measure.text if found.measure else ""
    if found.measure and found.measure.least:
        text += " (less is better)"
    heads = ["", text, "without tolerance" if found.exact else "", "read as asked, %" if agreement else ""]
    return table(heads, rows, right=(1, 2, 3))


def _seen(found: ObedienceFound) -> str:
    document = document_of(found)
    parts = []
    if found.measure is None:
        parts.append(f"nothing can take {found.condition} from an image again, so there is no score")
    elif document["share"] is not None:
        parts.append(f"{100 * document['share']:.0f}% of the way from samples without hints to real images")
    if (as_hint := document["read_as_hint_contradicting"]) is not None:
        parts.append(
            f"asked for another class than the hint's, {100 * document['class_agreement_contradicting']:.0f}% are read "
            f"as the class, {100 * as_hint:.0f}% as the hint's"
        )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _as_asked(found: ObedienceFound) -> dict[str, Tensor]:
    """Whether each image is read as the class asked for [N]; of real images as their own."""
    asked = {"told": found.told.asked, "without": found.without.asked, "real": found.given.labels}
    if found.contradicting:
        asked["contradicting"] = found.contradicting.asked
    return {
        name: found.reads[name] == labels
        for name, labels in asked.items()
        if labels is not None and name in found.reads
    }


def _as_hint(found: ObedienceFound) -> float | None:
    """The share of samples under hints of another class that are read as the hint's."""
    if found.given.labels is None or "contradicting" not in found.reads:
        return None
    return (found.reads["contradicting"] == found.given.labels).double().mean().item()


def _error(values: Tensor | None) -> float | None:
    known = None if values is None else values[~values.isnan()]
    return standard_error(known) if known is not None and len(known) > 1 else None


def _cell(values: Tensor | None, scale: float = 1.0) -> str:
    """Mean and standard error."""
    if values is None:
        return ""
    values = values.double()
    digits, error = (3, _error(values)) if scale == 1 else (1, _error(values))
    mean = f"{scale * values.nanmean().item():.{digits}f}"
    return mean if error is None else f"{mean} ± {scale * error:.{digits}f}"
