"""diffcli data"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.data.vision import PREFIX
from diffcli.system.shell import argument

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.data.catalogue import Entry
    from diffcli.data.dataset import Dataset
    from diffcli.metrics.values import Values

NAMED = 40  # classes that are listed one by one


def data(
    target: Annotated[
        Optional[str],
        typer.Argument(metavar="[NAME|FOLDER]", help="One data set, or a folder of images; torchvision lists its own."),
    ] = None,
    folder: options.Data = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the data sets, or see what one of them or a folder holds. Downloads nothing."""
    from diffcli.console.show import Show
    from diffcli.data import catalogue

    show = Show(as_json=as_json, quiet=quiet)
    if target is None:
        entries = list(catalogue.entries(folder).values())
        lines = [*_tables(entries), "next: diffcli data NAME, or diffcli train --dataset NAME"]
        show.result({"datasets": [entry.document for entry in entries]}, lines)
    elif target in ("torchvision", PREFIX):
        _list_vision(show)
    else:
        _describe(target, folder, show)


def _list_vision(show: "Show") -> None:
    """The data sets of torchvision by name, each with what it is."""
    from diffcli.console.show import table
    from diffcli.data.vision.catalogue import listed

    found = listed()
    rows = [[PREFIX + name, entry.title] for name, entry in found.items()]
    lines = [*table(["data set", "what it is"], rows, wraps=(1,)), "", f"next: diffcli data {PREFIX}NAME"]
    show.result({"datasets": [PREFIX + name for name in found]}, lines)


def _describe(target: str, folder: Path | None, show: "Show") -> None:
    """What is known of one data set and, where it is here, what is in it."""
    document, facts, dataset, missing = _known(target, folder)
    if dataset is not None:
        measured, contents = _look(dataset, show)
        document |= measured
        facts |= contents
    train = f"diffcli train --dataset {argument(target)}"
    facts["next"] = f"{train}   ({missing})" if missing else train
    show.result(document, [line for name, text in facts.items() for line in _wrapped(name, text)])


def _known(target: str, folder: Path | None) -> tuple[dict[str, Any], dict[str, str], "Dataset | None", str]:
    """What a data set's name tells, for --json and for the eye; the data set if it is here, else how it comes here."""
    from diffcli.data import catalogue

    if target.startswith(PREFIX):
        from diffcli.data.vision.catalogue import entry_of

        found = entry_of(target, folder)
        return found.document, found.facts, found.dataset, found.missing
    entry = catalogue.entries(folder).get(target)
    document, facts = ({"name": target}, {}) if entry is None else (entry.document, _facts(entry))
    if entry is not None and not entry.present:
        return document, facts, None, "downloads it"
    from diffcli.data.loading import load_dataset

    return document, facts, load_dataset(target, data=folder), ""


def _tables(entries: list["Entry"]) -> list[str]:
    """What there is and where it is; then what is in it and whose it is."""
    from diffcli.console.show import table

    where = [
        [
            entry.name,
            *(f"{entry.images[split]:,}" if split in entry.images else "-" for split in ("train", "test")),
            _size(entry.shape),
            str(len(entry.classes)),
            entry.where,
        ]
        for entry in entries
    ] + [[f"{PREFIX}NAME", "-", "-", "-", "-", "any data set of torchvision with classes: diffcli data torchvision"]]
    what = [[entry.name, ", ".join(entry.classes) or "-", entry.licence or "-"] for entry in entries]
    return [
        *table(["data set", "train", "test", "size", "classes", "where"], where, right=(1, 2, 4), wraps=(5,)),
        "",
        *table(["data set", "classes", "licence"], what, wraps=(1, 2)),
        "",
    ]


def _facts(entry: "Entry") -> dict[str, str]:
    """What is known of a data set without opening it."""
    counts = ", ".join(f"{count:,} {split}" for split, count in entry.images.items())
    facts = {
        "data set": entry.title,
        "images": f"{counts}, each {_size(entry.shape)}",
        "classes": ", ".join(entry.classes),
        "licence": entry.licence,
        "where": entry.where,
        "checksum": entry.checksum,
    }
    return {name: text for name, text in facts.items() if text}


def _look(dataset: "Dataset", show: "Show") -> tuple[dict[str, Any], dict[str, str]]:
    """What the images to train on are, for --json and for the eye."""
    values, kind, counts = _values(dataset, show), dataset.items.kind, dataset.class_counts
    document = {
        "images": len(dataset),
        "shape": list(dataset.shape),
        "classes": list(dataset.classes),
        "class_counts": counts,
        "notes": list(dataset.notes),
        **values._asdict(),
        "fingerprint": dataset.fingerprint,
    }
    facts = {
        "to train on": f"{len(dataset):,} {kind.name}, each {_size(dataset.shape)}",
        "classes": _classes(dataset.classes, counts or []),
        "values": f"mean {values.mean:.4f}, std {values.std:.4f}, min {values.min:.2f}, max {values.max:.2f}"
        + (", where black is -1 and white is 1" if kind.bounded else ""),
        "fingerprint": dataset.fingerprint,
        **({"note": "; ".join(dataset.notes)} if dataset.notes else {}),
    }
    return document, facts


def _values(dataset: "Dataset", show: "Show") -> "Values":
    from diffcli.metrics.values import measure

    with show.progress("reading", len(dataset), "images") as bar:
        for done, values in measure(dataset):
            bar.update(done, f"mean {values.mean:.2f}")
    return values


def _classes(names: tuple[str, ...], counts: list[int]) -> str:
    """Each class with its number of images; of many, how many and how unequal they are."""
    if not names:
        return "none (a sub-folder for each would make them)"
    if len(names) > NAMED:
        return f"{len(names)}, of {min(counts):,} to {max(counts):,} images each"
    return ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _wrapped(name: str, text: str) -> list[str]:
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
