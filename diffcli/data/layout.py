"""What a tree of image files says: which splits there are, and of what class each image is."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from diffcli.data.labels import labelled
from diffcli.data.scan import LeftOut
from diffcli.data.sources import ImageSource
from diffcli.system.text import legible

SPLITS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
UNNAMED, OUTSIDE = "images that the table of labels does not name", "images outside the splits"
BARE = "images without a class"
STACKS = (".npy", ".npz")  # that may hold all images of a split
UNSORTED = ("", "unknown", "unlabeled", "unlabelled", "images", "all", "test", "test_images")  # where none is known


@dataclass(frozen=True)
class Layout:
    """What the names and tables below a folder say.

    splits:  the sources of each split; all in "train" where there are none
    labels:  the class of each source, "" where it lies outside the classes; None where there are no classes
    notes:   how that was found
    left:    what is in no split or in no table
    """

    splits: dict[str, tuple[ImageSource, ...]]
    labels: dict[ImageSource, str] | None
    notes: tuple[str, ...] = ()
    left: tuple[LeftOut, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """As people number them, 2 before 10; of all splits."""
        return tuple(sorted(set((self.labels or {}).values()), key=numbering))


def layout(images: Sequence[ImageSource], tables: Sequence[ImageSource]) -> Layout:
    """The splits and classes of images by their names, and by a table of labels where one names them.

    Raises DataProblem for a table of labels that cannot be read.
    """
    notes: list[str] = []
    left: list[LeftOut] = []
    depth = _outer(images)
    if depth:
        notes.append(f"the images lie one level deeper, in {legible('/'.join(images[0].parts[:depth]))}")
    splits = _splits(images, depth)
    inside = depth + (len(splits) > 1)
    if len(splits) > 1:
        found = ", ".join(f"{len(some):,} {split}" for split, some in splits.items())
        notes.append(f"its folders are splits: {found} files")
        known = {source for some in splits.values() for source in some}
        left += [LeftOut(legible(source.name), OUTSIDE) for source in images if source not in known]
    labels, bare, said = _by_table(splits, tables, depth)
    notes += said
    if not labels:
        labels = {s: _folder(s, inside) for some in splits.values() for s in some}
        bare = _without_class(splits, labels)
    kept = {split: tuple(s for s in some if s in labels and s not in bare) for split, some in splits.items()}
    gone = [s for split, some in splits.items() for s in set(some).difference(kept[split])]
    left += [LeftOut(legible(source.name), BARE if source in bare else UNNAMED) for source in gone]
    splits = {split: some for split, some in kept.items() if some}
    labels = {source: labels[source] for some in splits.values() for source in some}
    if len(set(labels.values())) < 2:
        return Layout(splits, None, tuple(notes), tuple(left))
    if "" in labels.values():
        notes.append("images outside the sub-folders are a class of their own")
    return Layout(splits, labels, tuple(notes), tuple(left))


def numbering(name: str) -> tuple[Any, ...]:
    """What names are sorted by: numbers in them by their size."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), name


def _outer(images: Sequence[ImageSource]) -> int:
    """How many folders all images share that only wrap others: below them there are folders of images."""
    depth = 0
    while all(len(source.parts) > depth + 2 for source in images):
        if len({source.parts[depth] for source in images}) > 1:
            break
        depth += 1
    return depth if len({source.parts[depth] for source in images}) > 1 else 0


def _splits(images: Sequence[ImageSource], depth: int) -> dict[str, tuple[ImageSource, ...]]:
    """The images by split, where the folders at this depth are train and others, whose sub-folders repeat."""
    tops: dict[str, list[ImageSource]] = defaultdict(list)
    for source in images:
        tops[source.parts[depth] if len(source.parts) > depth + 1 else ""].append(source)
    if tops.keys() == {""} and all(source.suffix in STACKS and _split_in(source) for source in images):
        tops = defaultdict(list)
        for source in images:
            tops[_split_in(source)].append(source)
    named = {top: SPLITS.get(top.lower(), "") for top in tops if top}
    if "train" not in named.values() or len(set(named.values()) - {""}) < 2:
        return {"train": tuple(images)}
    below = {top: {_folder(source, depth + 1) for source in some} for top, some in tops.items() if top}
    classes = below[_train(named)]
    repeated = all(below[top] & classes or _unsorted(below[top]) for top in named if named[top])
    shared = any(len(below[top] & classes) > 1 for top in named if named[top] not in ("", "train"))
    every = set().union(*below.values())
    if (len(every) > 1 and not repeated) or ("" in named.values() and not shared):
        return {"train": tuple(images)}
    found: dict[str, list[ImageSource]] = {}
    order = list(SPLITS.values())
    for top, split in sorted(((t, s) for t, s in named.items() if s), key=lambda pair: order.index(pair[1])):
        found.setdefault(split, []).extend(tops[top])
    return {split: tuple(some) for split, some in found.items()}


def _unsorted(folders: set[str]) -> bool:
    """Whether images of a split lie as they do where nobody knows their classes."""
    return len(folders) == 1 and next(iter(folders)).lower() in UNSORTED


def _without_class(splits: dict[str, tuple[ImageSource, ...]], labels: dict[ImageSource, str]) -> set[ImageSource]:
    """The images of other splits that lie in no class, where those of training do."""
    classes = {labels[source] for source in splits.get("train", ())}
    if len(classes) < 2 or "" in classes:
        return set()
    folders = {split: {labels[source] for source in some} for split, some in splits.items()}
    bare = {split for split, some in folders.items() if not some & classes and _unsorted(some)}
    return {s for split, some in splits.items() for s in some if split in bare or not labels[s]}


def _split_in(source: ImageSource) -> str:
    """The split that a file is called after; "" where it is none, or more than one."""
    words = {SPLITS[word] for word in re.split(r"[^a-z]+", PurePosixPath(source.name).stem.lower()) if word in SPLITS}
    return words.pop() if len(words) == 1 else ""


def _train(named: dict[str, str]) -> str:
    return next(top for top, split in named.items() if split == "train")


def _folder(source: ImageSource, depth: int) -> str:
    """The folder at this depth that a source lies in; "" where it lies in none."""
    return source.parts[depth] if len(source.parts) > depth + 1 else ""


# Tables of labels


def _by_table(
    splits: dict[str, tuple[ImageSource, ...]], tables: Sequence[ImageSource], depth: int
) -> tuple[dict[ImageSource, str], set[ImageSource], list[str]]:
    """The classes that tables give to images, those that they name without one, and what to say of that."""
    found: dict[ImageSource, str] = {}
    bare: set[ImageSource] = set()
    notes: list[str] = []
    for table in sorted(
        tables, key=lambda t: ("metadata" not in t.name.lower(), "label" not in t.name.lower(), t.name)
    ):
        if len(PurePosixPath(table.name).parent.parts) <= depth + 1:
            near = _near(table, splits)
            read = labelled(table, near)
            if not read.labels or not set(read.labels) <= set(found):
                notes += [read.note] if read.note else []
            found, bare = read.labels | found, bare | read.bare
    return found, bare - set(found), notes


def _near(table: ImageSource, splits: dict[str, tuple[ImageSource, ...]]) -> list[ImageSource]:
    """The images that a table may name: below its folder, or all; of a split that it is called after, only its own."""
    home = PurePosixPath(table.name).parent
    every = list(splits.get(_split_in(table), ())) or [source for some in splits.values() for source in some]
    return [source for source in every if PurePosixPath(source.name).is_relative_to(home)] or every
