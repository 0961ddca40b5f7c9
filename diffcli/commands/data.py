"""diffcli data"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.commands.data_look import drawn, facts_of, left_out, measured, size_of, truths, wrapped
from diffcli.commands.together import refuse_idle
from diffcli.console import options
from diffcli.data.canvas_names import canonical
from diffcli.data.reading import Reading
from diffcli.data.vision import PREFIX
from diffcli.errors import UsageProblem
from diffcli.system.shell import argument
from diffcli.training import recipes

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.data.catalogue import Entry
    from diffcli.data.dataset import Dataset

DEFAULT = recipes.DataKeys()


def data(
    context: typer.Context,
    target: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[NAME|FOLDER]", help="One data set, a folder or an archive of images; torchvision lists its own."
        ),
    ] = None,
    folder: options.Data = None,
    everything: Annotated[bool, typer.Option("--all", help="Also list every file that is left out, and why.")] = False,
    settings: Annotated[
        Optional[list[str]],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="As train reads the files: size, range, hints ...; repeatable."
        ),
    ] = None,
    look: Annotated[
        Optional[Path], typer.Option("--look", metavar="PNG", help="Draw some items and what is known of them here.")
    ] = None,
    skip_broken: options.SkipBroken = False,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="Forget the images that were decoded before.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the data sets, or see what one of them or a folder holds. Downloads nothing."""
    from diffcli.console.show import Show
    from diffcli.data import catalogue

    show = Show(as_json=as_json, quiet=quiet)
    if target in (None, "torchvision", PREFIX) and (everything or settings or skip_broken or look):
        raise UsageProblem("--all, --set, --look and --skip-broken are about one data set", "as in diffcli data FOLDER")
    if clear_cache:
        refuse_idle(context, ("folder",), "with --clear-cache, which looks for none")
        _clear_cache(target, show)
    elif target is None:
        entries = list(catalogue.entries(folder).values())
        lines = [*_tables(entries), "next: diffcli data NAME, or diffcli train --dataset NAME"]
        show.result({"datasets": [entry.document for entry in entries]}, lines)
    elif target in ("torchvision", PREFIX):
        _list_vision(show)
    else:
        _describe(target, folder, _reading(settings or [], skip_broken), everything, look, show)


def _reading(settings: list[str], skip_broken: bool) -> Reading:
    """As the keys of a recipe say it."""
    recipe = recipes.override(recipes.Training(), recipes.parse_settings(settings))
    if recipe != recipes.Training(data=recipe.data) or recipe.data.name != DEFAULT.name or recipe.data.augment:
        raise UsageProblem("--set is about the reading of files here", "data.size, range, frames or hints")
    return replace(recipe.data.reading, skip_broken=skip_broken or recipe.data.skip_broken)


def _clear_cache(target: str | None, show: "Show") -> None:
    from diffcli.data.keeping import clear
    from diffcli.system.text import size

    if target is not None:
        raise UsageProblem("--clear-cache forgets all decoded images", f"leave {argument(target)} out")
    freed = clear()
    show.result({"freed_bytes": freed}, [f"forgotten: {size(freed)} of decoded images"])


def _list_vision(show: "Show") -> None:
    """The data sets of torchvision by name, each with what it is."""
    from diffcli.console.show import table
    from diffcli.data.vision.catalogue import listed

    found = listed()
    rows = [[PREFIX + name, entry.title] for name, entry in found.items()]
    lines = [*table(["data set", "what it is"], rows, wraps=(1,)), "", f"next: diffcli data {PREFIX}NAME"]
    show.result({"datasets": [PREFIX + name for name in found]}, lines)


def _describe(
    target: str, folder: Path | None, reading: Reading, everything: bool, look: Path | None, show: "Show"
) -> None:
    """What is known of one data set and, where it is here, what is in it."""
    document, facts, dataset, missing = _known(target, folder, reading)
    notes: tuple[str, ...] = ()
    left: list[str] = []
    if everything and (target.startswith(PREFIX) or "licence" in document):
        raise UsageProblem(f"--all lists the files of a folder; {target} is a named set", "leave --all out")
    if look is not None:
        document["look"] = str(drawn(target, dataset, look))
        facts["look"] = str(look)
    if dataset is not None:
        found, contents = measured(dataset, show)
        document |= found
        facts |= contents
        if known := truths(dataset):
            document["examples"] = [one.document for one in known]
            facts["examples"] = "; ".join(one.caption for one in known)
        notes = dataset.notes
    if everything:
        document["left_out"], left = left_out(target)
    train = f"diffcli train --dataset {argument(target)}"
    told = [*facts.items(), *(("note", note) for note in notes)]
    told.append(("next", f"{train}   ({missing})" if missing else train))
    show.result(document, [*left, *(line for name, text in told for line in wrapped(name, text))])


def _known(
    target: str, folder: Path | None, reading: Reading
) -> tuple[dict[str, Any], dict[str, str], "Dataset | None", str]:
    """What a data set's name tells, for --json and for the eye; the data set if it is here, else how it comes here."""
    from diffcli.data import catalogue

    if target.startswith(PREFIX):
        from diffcli.data.vision.catalogue import entry_of

        found = entry_of(target, folder)
        return found.document, found.facts, found.dataset, found.missing
    target = canonical(target)
    entry = catalogue.entries(folder).get(target)
    document, facts = ({"name": target}, {}) if entry is None else (entry.document, facts_of(entry))
    if entry is not None and not entry.present:
        return document, facts, None, "downloads it"
    from diffcli.data.loading import load_dataset

    return document, facts, load_dataset(target, data=folder, reading=reading), ""


def _tables(entries: list["Entry"]) -> list[str]:
    """What there is and where it is; then what is in it and whose it is."""
    from diffcli.console.show import table

    where = [
        [
            entry.name,
            *(f"{entry.images[split]:,}" if split in entry.images else "-" for split in ("train", "test")),
            size_of(entry.shape),
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
