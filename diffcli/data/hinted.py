"""Hints that are computed from the images of a data set once, and kept."""

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.conditions import CONDITIONS
from diffcli.data.dataset import Dataset, to_pixels
from diffcli.data.keeping import keep_array, kept_array

AT_ONCE = 256  # images
VERSION = 1


def with_computed(dataset: Dataset, condition: str) -> Dataset:
    """The data set with hints of a condition that is computed from images: uint8 [N, k, H, W].

    For latents, of whose images training sees nothing.
    """
    extract = CONDITIONS[condition].extract
    assert extract is not None
    mark = hashlib.sha256(f"{VERSION} {condition} {dataset.fingerprint}".encode()).hexdigest()[:16]
    found = kept_array(f"hints-{mark}")
    if found is None or len(found) != len(dataset):
        parts, done = list[Tensor](), 0
        with Show.of_command().progress(f"finding {condition}", len(dataset), "images") as bar:
            for places in torch.arange(len(dataset)).split(AT_ONCE):
                parts.append(to_pixels(extract(dataset.take(places)[0])))
                done += len(places)
                bar.update(done)
        found = torch.cat(parts)
        keep_array(f"hints-{mark}", found)
    return replace(dataset, hints=found)
