"""Features of all images of a data set, in batches and with a bar; those of data sets are kept in the user's cache."""

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.evaluation.features import keeping
from diffcli.evaluation.features.encoder import Encoder

VERSION = 1


def features(encoder: Encoder, dataset: Dataset, show: Show, title: str, places: Tensor | None = None) -> Tensor:
    """Features [N, D], float32 on the CPU, of the images at these places, or of all; files are read batch by batch."""
    if places is None:
        places = torch.arange(len(dataset))
    found = torch.empty(len(places), encoder.dimensions)
    with show.progress(title, len(places), unit="images") as bar:
        for first in range(0, len(places), encoder.batch):
            part = places[first : first + encoder.batch]
            found[first : first + len(part)] = encoder.encode(dataset.take(part)[0])
            bar.update(first + len(part))
    return found


def cached_features(encoder: Encoder, dataset: Dataset, show: Show) -> Tensor:
    """Features [N, D] of all images of a data set, computed once for an encoder and for what is in the data."""
    path = keeping.cache_file("features", encoder.name, encoder.digest, dataset.name, dataset.fingerprint)
    about = {"features": VERSION, "encoder": encoder.digest, "data": dataset.fingerprint}
    kept = keeping.recalled(path, show) if encoder.kept else None
    if kept and kept[1] == about:
        found = kept[0].get("features")
        if found is not None and found.shape == (len(dataset), encoder.dimensions) and found.dtype == torch.float32:
            return found
    found = features(encoder, dataset, show, f"features of {dataset.name}")
    if encoder.kept:
        keeping.keep(path, {"features": found}, about, show)
    return found
