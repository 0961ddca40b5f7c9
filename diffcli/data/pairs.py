"""Hints in files of users' own: a picture beside each image, named after it, or of the same name in another folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.fitting import MEMORY_LIMIT, Shape, digest, flattened
from diffcli.data.pages import Broken, only, reason, silenced, unreadable
from diffcli.data.readers import UNREADABLE, Page, is_grey
from diffcli.data.readers.pictures import turned
from diffcli.data.scan import LeftOut, reader_kind, scan
from diffcli.data.sources import ImageSource
from diffcli.errors import DataProblem
from diffcli.system.files import expanded, is_dir
from diffcli.system.text import legible

NAMED = 3  # files that a problem names
NEARLY_ALL = 0.9  # of the images: then what lies beside them is said to be hints
FEWEST = 5  # images, of which that can be said
Key = tuple[str, int]
"""The name of an image without its end, and its number in the file."""


@dataclass(frozen=True)
class HintPages:
    """Hints in files, read when asked for: uint8 [k, H, W], cropped as their images and resized without mixing values.

    pages:  in the order of the images
    """

    pages: tuple[Page, ...]
    shape: Shape

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, index: int) -> Tensor:
        page, (channels, height, width) = self.pages[index], self.shape
        with silenced({}):
            try:
                with only(page) as image:
                    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image).squeeze())
                    flat = flattened(turned(picture)).convert("L" if channels == 1 else "RGB")
            except UNREADABLE as error:
                raise unreadable([Broken(page.source, reason(error))]) from error
        if flat.size != (width, height):
            flat = ImageOps.fit(flat, (width, height), Image.Resampling.NEAREST)
        pixels = np.array(flat).reshape(height, width, channels)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def apart(
    images: Sequence[ImageSource], hints: str
) -> tuple[list[ImageSource], dict[str, ImageSource], tuple[LeftOut, ...]]:
    """The files that are images, the hints among the others by the names of their images, and what else lies there.

    hints:  a word, as `mask` for NAME.mask.png beside NAME.png, or a folder; see `Reading`

    Raises DataProblem for a folder that is not there.
    """
    folder = expanded(hints)
    if is_dir(folder):
        found, inside = scan(folder), folder.resolve()
        rest = [one for one in images if not one.path.resolve().is_relative_to(inside)]
        return rest, {_stem(one): one for one in found.images}, found.left
    if Path(hints).name != hints or "." in hints:
        raise DataProblem(
            f"no such folder of hints: {hints}", "data.hints is a folder, or a word, as mask for NAME.mask.png"
        )
    beside = {one: _beside(one) for one in images}
    return (
        [one for one, (_, word) in beside.items() if word != hints.lower()],
        {name: one for one, (name, word) in beside.items() if word == hints.lower()},
        (),
    )


def paired(
    pages: Sequence[Page], images: Sequence[ImageSource], hints: dict[str, ImageSource], asked: str, shape: Shape
) -> Tensor | HintPages:
    """The hint of each image that is taken, in memory if they fit; raises DataProblem where they do not match.

    images:  all there are, as those of other splits have hints, too
    """
    names = {_stem(one) for one in images}
    bare = list(dict.fromkeys(page.source for page in pages if _stem(page.source) not in hints))
    idle = [one for name, one in hints.items() if name not in names]
    said = [_counted(bare, len({page.source for page in pages}), "image", "without a hint")] if bare else []
    said += [_counted(idle, len(hints), "hint", "without an image")] if idle else []
    if said:
        of = "NAME.png in the one folder and in the other" if is_dir(expanded(asked)) else f"NAME.png, NAME.{asked}.png"
        raise DataProblem(f"images and hints do not match: {'; '.join(said)}", f"the files of a pair are {of}")
    found = _looked_at({_stem(page.source): hints[_stem(page.source)] for page in pages})
    chosen, other = [], []
    for page in pages:
        hint = found.get((_stem(page.source), page.number))
        if hint is None or hint.size != page.size:
            other.append(f"{legible(hints[_stem(page.source)].name)} ({_size(hint)}, its image {_size(page)})")
        else:
            chosen.append(hint)
    if other:
        are = "hint has" if len(other) == 1 else "hints have"
        raise DataProblem(f"{len(other):,} {are} another shape than the image: {_few(other)}", "make them alike")
    if deep := [page for page in chosen if page.deep]:
        raise DataProblem(f"{deep[0].source} has more than 8 bits, which hints have not", "write it in 8 bits")
    reader = HintPages(tuple(chosen), (1 if all(is_grey(page.mode) for page in chosen) else 3, *shape[1:]))
    if len(chosen) * torch.Size(reader.shape).numel() > MEMORY_LIMIT:
        return reader
    place = torch.empty(len(reader), *reader.shape, dtype=torch.uint8)
    with Show.of_command().progress("reading hints", len(reader), "images") as bar:
        for i in range(len(reader)):
            place[i] = reader[i]
            bar.update(i + 1)
    return place


def mark_of(mark: str, hints: Tensor | HintPages) -> str:
    """The fingerprint of images together with their hints."""
    if isinstance(hints, Tensor):
        return digest(mark.encode(), hints.numpy().data)
    return digest(mark.encode(), *(f"{page.source.name} {page.source.length}\n".encode() for page in hints.pages))


def suspected(images: Sequence[ImageSource]) -> str:
    """What to say of files that lie beside nearly all images as hints do; "" where none do."""
    beside = {one: _beside(one) for one in images}
    words = Counter(word for _, word in beside.values() if word)
    if not words:
        return ""
    word, count = words.most_common(1)[0]
    plain = {_stem(one) for one, (_, other) in beside.items() if other != word}
    pairs = len(plain & {name for name, other in beside.values() if other == word})
    if len(plain) < FEWEST or pairs < NEARLY_ALL * len(plain):
        return ""
    return f"{pairs:,} images lie beside others as NAME.{word} beside NAME: --set data.hints={word} makes hints of them"


def _stem(source: ImageSource) -> str:
    """Its name below the data set without its end."""
    return str(PurePosixPath(source.name).with_suffix(""))


def _beside(source: ImageSource) -> tuple[str, str]:
    """Of NAME.WORD.png the name of the image that it lies beside, and the word in small letters; "" where none is."""
    name, dot, word = _stem(source).rpartition(".")
    return (name, word.lower()) if dot and name and "/" not in word else (_stem(source), "")


def _looked_at(sources: dict[str, ImageSource]) -> dict[Key, Page]:
    """The images in files of hints."""
    found, broken = dict[Key, Page](), list[Broken]()
    with silenced({}):
        for name, source in sources.items():
            try:
                pages = reader_kind(source).reader.pages(source, first=False)
                found |= {(name, page.number): page for page in pages}
            except UNREADABLE as error:
                broken.append(Broken(source, reason(error)))
    if broken:
        raise unreadable(broken)
    return found


def _counted(some: Sequence[ImageSource], of: int, name: str, lack: str) -> str:
    return f"{len(some):,} of {of:,} {name}{'s' * (of != 1)} {lack} ({_few([legible(one.name) for one in some])})"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _size(page: Page | None) -> str:
    return "no such frame" if page is None else f"{page.size[0]}x{page.size[1]}"
