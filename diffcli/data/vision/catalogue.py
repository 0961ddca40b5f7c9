"""The data sets of torchvision as they are listed: facts that need neither their files nor the network."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from diffcli.data.dataset import Dataset
from diffcli.data.vision import places
from diffcli.data.vision.request import Request, parse
from diffcli.data.vision.samples import dataset_of
from diffcli.data.vision.sets import VisionSet, vision_sets

LICENCE = "torchvision tells none: see the data set's own page"


@dataclass(frozen=True)
class VisionEntry:
    """One data set of torchvision with the arguments that were asked for.

    source:  an instance of its class, where its files are here
    """

    request: Request
    source: Any

    @property
    def dataset(self) -> Dataset | None:
        """What training would see; None where its files are not here."""
        return None if self.source is None else dataset_of(self.request, self.source, 0)

    @property
    def document(self) -> dict[str, Any]:
        """For --json."""
        entry = self.request.entry
        return {
            "name": self.request.spelling,
            "title": entry.title,
            "page": entry.page,
            "arguments": {name: _default(p) for name, p in entry.arguments.items()},
            "licence": LICENCE,
            "present": self.source is not None,
            "where": self.where,
            "urls": list(entry.urls),
        }

    @property
    def facts(self) -> dict[str, str]:
        """For the eye."""
        entry = self.request.entry
        found = {
            "data set": entry.title,
            "page": entry.page,
            "arguments": ", ".join(_as_written(name, p) for name, p in entry.arguments.items()),
            "licence": LICENCE,
            "where": self.where,
            "files": entry.layout,
        }
        return {name: text for name, text in found.items() if text}

    @property
    def missing(self) -> str:
        """What comes before its use; "" where its files are here."""
        if self.source is not None:
            return ""
        return "downloads it" if "download" in self.request.entry.parameters else "once its files are there"

    @property
    def where(self) -> str:
        """Where its files are, or what would be done to have them."""
        entry, folder = self.request.entry, self.request.root or places.cache(self.request)
        if "root" not in entry.parameters:
            return "made when it is asked for, from no files"
        if self.source is not None:
            return f"found at {getattr(self.source, 'root', folder)}"
        if "download" not in entry.parameters:
            return f"not here, and torchvision cannot download it: its files belong into {folder}"
        hosts = dict.fromkeys(host for url in entry.urls if (host := urlsplit(url).hostname))
        origin = f" from {' or '.join(hosts)}" if hosts else ""
        return f"not here: torchvision downloads it{origin} into {folder}"


def entry_of(text: str, data: Path | None) -> VisionEntry:
    """The data set torchvision:NAME,key=value; opens no network. Raises as `parse` and `places.find` do."""
    request = parse(text)
    return VisionEntry(request, places.find(request, "train", data))


def listed() -> dict[str, VisionSet]:
    """All data sets of torchvision that hold images with a class, by name in the order of the alphabet."""
    return dict(sorted(vision_sets().items(), key=lambda item: item[0].lower()))


def _default(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is parameter.empty else parameter.default


def _as_written(name: str, parameter: inspect.Parameter) -> str:
    return f"{name} (needed)" if parameter.default is parameter.empty else f"{name}={parameter.default}"
