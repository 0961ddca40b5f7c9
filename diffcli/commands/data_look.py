"""diffcli data: what is in one data set, for --json and for the eye."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcli.errors import DataProblem, UsageProblem

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.data.canvas_truth import Truth
    from diffcli.data.catalogue import Entry
    from diffcli.data.dataset import Dataset
    from diffcli.metrics.values import Values

NAMED = 40  # classes that are listed one by one
PAINTED = 2000  # canvases whose values are measured: to paint all takes seconds
SHOWN, TOLD = 6, 3  # items in a picture, and canvases whose captions are told


def facts_of(entry: "Entry") -> dict[str, str]:
    """What is known of a data set without opening it."""
    counts = ", ".join(f"{count:,} {split}" for split, count in entry.images.items())
    facts = {
        "data set": entry.title,
        "images": f"{counts}, each {size_of(entry.shape)}",
        "classes": ", ".join(entry.classes),
        "licence": entry.licence,
        "where": entry.where,
        "checksum": entry.checksum,
    }
    return {name: text for name, text in facts.items() if text}


def measured(dataset: "Dataset", show: "Show") -> tuple[dict[str, Any], dict[str, str]]:
    """What the images to train on are, for --json and for the eye."""
    values, kind, counts = _values(dataset, show), dataset.items.kind, dataset.class_counts
    document = {
        "images": len(dataset),
        "shape": list(dataset.shape),
        "classes": list(dataset.classes),
        "class_counts": counts,
        "notes": list(dataset.notes),
        **values._asdict(),
        **({} if _painted(dataset) is None else {"values_of": PAINTED}),
        "range": str(dataset.items.spans) if getattr(dataset.items, "spans", None) else None,
        "hints": None if dataset.hints is None else list(dataset.hints[0].shape),
        "fingerprint": dataset.fingerprint,
    }
    beside = "" if dataset.hints is None else f", with a hint of {size_of(tuple(dataset.hints[0].shape))}"
    facts = {
        "to train on": f"{len(dataset):,} {kind.name}, each {size_of(dataset.shape)}{beside}",
        "classes": _classes(dataset.classes, counts or []),
        "values": f"mean {values.mean:.4f}, std {values.std:.4f}, min {values.min:.2f}, max {values.max:.2f}"
        + (", where black is -1 and white is 1" if kind.bounded else "")
        + (f" (of the first {PAINTED:,})" if _painted(dataset) is not None else ""),
        "fingerprint": dataset.fingerprint,
    }
    return document, facts


def _values(dataset: "Dataset", show: "Show") -> "Values":
    from diffcli.metrics.values import measure

    if _painted(dataset) is not None:
        from diffcli.data.examples import first

        dataset = first(dataset, PAINTED)
    with show.progress("reading", len(dataset), "images") as bar:
        for done, values in measure(dataset):
            bar.update(done, f"mean {values.mean:.2f}")
    return values


def _painted(dataset: "Dataset") -> Any:
    """The canvases of a data set of them, else None."""
    from diffcli.data.canvas import Canvases

    return dataset.storage if isinstance(dataset.storage, Canvases) else None


def truths(dataset: "Dataset", count: int = TOLD) -> "list[Truth]":
    """What is known of the first canvases; nothing of other data."""
    from diffcli.data.canvas_truth import truth

    canvases = _painted(dataset)
    return [] if canvases is None else [truth(canvases, i) for i in range(count)]


def drawn(target: str, dataset: "Dataset | None", path: Path) -> Path:
    """Draw items and what is known of them; raises DataProblem where they are not here, UsageProblem for points."""
    if dataset is None:
        raise DataProblem(f"{target} is not here, so there is nothing to draw", "training downloads it")
    if dataset.items.kind.dimensions != 3:
        raise UsageProblem(f"{target} holds {dataset.items.kind.name}, and --look draws images", "leave --look out")
    if path.suffix.lower() != ".png":
        raise UsageProblem(f"--look writes a PNG, not {path.name}", "as in --look canvas.png")
    from diffcli.pictures.figures import write_figure
    from diffcli.pictures.known import hints_figure, truth_figure

    known = truths(dataset, SHOWN)
    write_figure(truth_figure(known) if known else hints_figure(dataset, SHOWN), path)
    return path


def _classes(names: tuple[str, ...], counts: list[int]) -> str:
    """Each class with its number of images; of many, how many and how unequal they are."""
    if not names:
        return "none (a sub-folder for each would make them)"
    if len(names) > NAMED:
        return f"{len(names)}, of {min(counts):,} to {max(counts):,} images each"
    return ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))


def size_of(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def wrapped(name: str, text: str) -> list[str]:
    """A fact, its text in a column of its own."""
    import textwrap

    from diffcli.system.text import printable, width

    text = printable(text)
    if name == "next":  # to be copied
        return [f"{name + ':':13}{text}"]
    return textwrap.wrap(
        text, max(40, width()), initial_indent=f"{name + ':':13}", subsequent_indent=" " * 13,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def left_out(target: str) -> tuple[list[dict[str, str]], list[str]]:
    """Every file below a folder that is left out, and why: for --json and for the eye."""
    from diffcli.data.folders import everything_left
    from diffcli.system.files import expanded
    from diffcli.system.text import printable

    left = everything_left(expanded(target))
    lines = [printable(f"  {one.name}: {one.why}") for one in left]
    title = f"left out: {len(left):,}" if left else "left out: nothing"
    return [one._asdict() for one in left], [title, *lines]
