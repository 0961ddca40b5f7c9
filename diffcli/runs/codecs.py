"""Autoencoders in which diffusion models are trained: from a run, or from the checkpoint that carries one."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.latent import Codec, paired
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import KINDS, Items
from diffcli.data.latents import encoded
from diffcli.data.spans import Spans
from diffcli.errors import CheckpointProblem, DataProblem, UsageProblem
from diffcli.runs.loading import Stored, load_trained
from diffcli.system.shell import argument
from diffcli.training.families.codec import MEASURED, scale_of
from diffcli.training.recipes import from_dict, to_dict
from diffcli.training.recipes.codec import CodecRecipe
from diffcli.training.setup import build

WITHIN = 0.9, 1.1  # standard deviation of latents, in units of what their autoencoder has measured
PREFIX = "codec/"


class Carried:
    """A codec, and what is to be remembered of it.

    items:  the images that it is for
    about:  the facts that stand in a checkpoint's header
    """

    def __init__(self, codec: Codec, items: Items, recipe: CodecRecipe, place: str) -> None:
        self.codec, self.items, self.recipe, self.place = codec, items, recipe, place

    @property
    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {PREFIX + name: value for name, value in self.codec.state_dict().items()}

    @property
    def digest(self) -> str:
        """Of its weights and its scale."""
        found = hashlib.sha256()
        for name, value in sorted(self.codec.state_dict().items()):
            found.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    @property
    def about(self) -> dict[str, Any]:
        """For a checkpoint's header."""
        items = self.items
        return {
            "recipe": to_dict(self.recipe), "shape": list(items.shape), "classes": list(items.classes),
            "range": str(items.spans or ""), "digest": self.digest, "from": self.place,
        }  # fmt: skip


def codec_of_run(target: str, dataset: Dataset, device: torch.device) -> Carried:
    """The codec of a run of `vae train --latent` for some data, its scale measured on 1,000 of them.

    Raises CheckpointProblem where there is no such run, DataProblem where it was trained on images of another shape, or
    on so different ones that its latents have another size.
    """
    trained = load_trained(target, device=device, family="codec")
    if trained.items.shape != dataset.shape:
        made, given = ("x".join(map(str, shape)) for shape in (trained.items.shape, dataset.shape))
        raise DataProblem(
            f"{trained.path} is for images of {made}, and {dataset.name} has {given}",
            f"train one on them: diffcli vae train --latent --dataset {argument(dataset.name)}",
        )
    places, _ = dataset.holdout()
    found = scale_of(trained.model, dataset.take(places[:MEASURED])[0])
    known = trained.stored.about.get("latents")
    for number, (now, before) in enumerate(zip(found["std"], known["std"] if known else found["std"], strict=True)):
        if not WITHIN[0] * before <= now <= WITHIN[1] * before:
            raise DataProblem(
                f"in channel {number} latents of {dataset.name} have {now / before:.2f} times the spread of those that "
                f"{trained.path} was trained on",
                f"train one on them: diffcli vae train --latent --dataset {argument(dataset.name)}",
            )
    codec = Codec(trained.model, torch.tensor(found["mean"]), torch.tensor(found["std"]))
    return Carried(codec.to(device), dataset.items, trained.recipe, trained.target)


def codec_in(stored: Stored, device: torch.device) -> Carried | None:
    """The codec that a checkpoint carries; None where it is of a model of pixels. Raises CheckpointProblem."""
    about = stored.about.get("codec")
    if about is None:
        if stored.recipe.encoded_by:
            raise CheckpointProblem(f"{stored.path} lacks the autoencoder of its latents", "train it again")
        return None
    try:
        recipe = from_dict(CodecRecipe(), about["recipe"])
        spans = Spans.parsed(about.get("range", ""))
        items = Items(KINDS["images"], tuple(about["shape"]), tuple(about["classes"]), spans)
        channels = recipe.network.channels
        codec = Codec(build(recipe, items, device), torch.zeros(channels), torch.ones(channels)).to(device)
        state = {k.removeprefix(PREFIX): v.float() for k, v in stored.tensors.items() if k.startswith(PREFIX)}
        codec.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError, UsageProblem) as error:
        raise CheckpointProblem(f"{stored.path} holds an autoencoder that cannot be built: {error}") from None
    return Carried(codec, items, recipe, about["from"])


def in_latents(dataset: Dataset, carried: Carried) -> Dataset:
    """The data set as the codec's latents, which carries the codec."""
    device = next(carried.codec.buffers()).device
    found = encoded(dataset, partial(_pairs, carried.codec, device), carried.digest)
    return replace(found, codec=carried.codec)


def _pairs(codec: Codec, device: torch.device, images: Tensor) -> Tensor:
    return paired(codec.encode(images.to(device)))


def data_of(target: str) -> Mapping[str, Any]:
    """The keys of [data] of a codec's run, which is what is trained on in its latents unless told."""
    from diffcli.runs.loading import find, read

    return to_dict(read(find(target, "codec")).recipe)["data"]
