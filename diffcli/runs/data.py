"""The data of a run: loaded as its recipe says, and named in the recipe so that they are found again."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset
from diffcli.errors import UsageProblem
from diffcli.runs.codecs import Carried, codec_of, fitted_codec, in_latents
from diffcli.training.families import family_of
from diffcli.training.recipes import Training

BY_CLASS = "by class"
LARGE = 32  # side of latents, from which on folding them is worth a word


class Loaded(NamedTuple):
    """What a run trains on.

    recipe:   with the data's name and the way of reading them that loads them again from anywhere
    places:   of the items to train on, and `held` those of the items held out
    seconds:  that reading took
    carried:  the codec whose latents the data are, where they are
    """

    dataset: Dataset
    recipe: Training
    places: Tensor
    held: Tensor
    seconds: float
    carried: Carried | None = None


def loaded(
    recipe: Training, data: Path | None, holdout: str, device: torch.device, before: Carried | None = None
) -> Loaded:
    """The data of a recipe; raises UsageProblem for an augmentation that they do not take, and what loading raises.

    holdout:  how items are held out: `BY_CLASS`, or "" as runs from before that did
    before:   the codec that a run goes on with, or begins with; None is that of the run which the recipe names
    """
    began = time.monotonic()
    found = datasets.load_dataset(recipe.data.name, data=data, reading=recipe.data.reading)
    dataset, carried, latent = family_of(recipe).view(recipe, found), before, recipe.encoded_by
    name, reading = datasets.lasting(recipe.data.name, recipe.data.reading, found)
    keys = replace(recipe.data, name=name, size=reading.size, range=reading.range, hints=reading.hints)
    if latent:
        carried = fitted_codec(before, dataset) if before else codec_of(latent, dataset, device)
        dataset = in_latents(dataset, carried)
        keys_of_network = getattr(recipe, "network", None)
        if max(dataset.shape[1:]) >= LARGE and keys_of_network and keys_of_network.own().get("fold") == 1:
            side = "x".join(map(str, dataset.shape[1:]))
            note = f"a network that folds them (--set fold=2) sees about four times as many latents of {side} a second"
            dataset = replace(dataset, notes=(*dataset.notes, note))
    kind = dataset.items.kind
    if keys.augment and not kind.mirrors:
        raise UsageProblem(f"{name} holds {kind.name}, not images", "leave augment out")
    places, held = dataset.holdout(kind.held, by_class=holdout == BY_CLASS)
    return Loaded(dataset, replace(recipe, data=keys), places, held, time.monotonic() - began, carried)
