"""A data set seen through an encoder: the laws of its latents, computed once and kept."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.keeping import keep_array, kept_array
from diffcli.data.kinds import LATENTS, Items

AT_ONCE = 256  # images
VERSION = 1


def encoded(dataset: Dataset, encode: Callable[[Tensor], Tensor], digest: str) -> Dataset:
    """The data set as latents: float16 [N, 2 c, h, w], mean and std of each; labels, order and fingerprint stay.

    encode:  images [B, C, H, W] in [-1, 1] -> [B, 2 c, h, w]
    digest:  of the encoder: with the data's own fingerprint it is the name under which the latents are kept
    """
    mark = hashlib.sha256(f"{VERSION} {digest} {dataset.fingerprint}".encode()).hexdigest()[:16]
    found = kept_array(f"latents-{mark}")
    if found is None or len(found) != len(dataset):
        found = _encoded(dataset, encode)
        keep_array(f"latents-{mark}", found)
    patients = dataset.items.patients
    items = Items(LATENTS, (found.shape[1] // 2, *found.shape[2:]), dataset.classes, patients=patients)
    return replace(dataset, items=items, storage=found)


def _encoded(dataset: Dataset, encode: Callable[[Tensor], Tensor]) -> Tensor:
    parts, done = [], 0
    with Show.of_command().progress("encoding", len(dataset), "images") as bar:
        for places in torch.arange(len(dataset)).split(AT_ONCE):
            parts.append(encode(dataset.take(places)[0]).half().cpu())
            done += len(places)
            bar.update(done)
    return torch.cat(parts)
