"""Features of all images of a data set, in batches and with a bar; those of data sets are kept in the user's cache."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.evaluation.features import keeping
from diffcli.evaluation.features.encoder import Encoder
from diffcli.evaluation.features.sharing import SharedFeatures, parts_of
from diffcli.ranks.sharing import Crew

VERSION = 1


class Extraction(NamedTuple):
    """Images that are done, and at the end the features of all, [N, D] float32 on the CPU."""

    done: int
    features: Tensor | None = None


def features(
    encoder: Encoder, dataset: Dataset, show: Show, title: str, places: Tensor | None = None, crew: Crew | None = None
) -> Tensor:
    """Features [N, D], float32 on the CPU, of the images at these places, or of all; behind a bar.

    crew:  processes that make them together
    """
    chosen = dataset if places is None else dataset.only(places)
    with show.progress(title, len(chosen), unit="images") as bar:
        for step in extracted(encoder, chosen, crew):
            bar.update(step.done)
    assert step.features is not None
    return step.features


def extracted(encoder: Encoder, dataset: Dataset, crew: Crew | None = None) -> Iterator[Extraction]:
    """The features of all images of a data set; files are read batch by batch.

    crew:  processes that make them together, of an encoder that others can have, too
    """
    told, found = encoder.elsewhere, torch.empty(len(dataset), encoder.dimensions)
    pieces = math.ceil(len(dataset) / encoder.batch)

    def work() -> SharedFeatures:
        assert told is not None
        return SharedFeatures(told, encoder.digest, dataset)

    for part in (crew if crew and told else Crew()).shared(work, parts_of(encoder, dataset), pieces):
        if part.found is not None:
            first = part.piece * encoder.batch
            found[first : first + len(part.found)] = part.found
        yield Extraction(min(len(dataset), round(part.done * encoder.batch)))
    yield Extraction(len(dataset), found)


def cached_features(encoder: Encoder, dataset: Dataset, show: Show, crew: Crew | None = None) -> Tensor:
    """Features [N, D] of all images of a data set, computed once for an encoder and for what is in the data."""
    path = keeping.cache_file("features", encoder.name, encoder.digest, dataset.name, dataset.fingerprint)
    about = {"features": VERSION, "encoder": encoder.digest, "data": dataset.fingerprint}
    kept = keeping.recalled(path, show) if encoder.kept else None
    if kept and kept[1] == about:
        found = kept[0].get("features")
        if found is not None and found.shape == (len(dataset), encoder.dimensions) and found.dtype == torch.float32:
            return found
    found = features(encoder, dataset, show, f"features of {dataset.name}", crew=crew)
    if encoder.kept:
        keeping.keep(path, {"features": found}, about, show)
    return found
