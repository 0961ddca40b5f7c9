"""Autoencoders in which diffusion models are trained: from a run, a folder, or a checkpoint that carries one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.latent import Codec, paired
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.latents import encoded
from diffcli.data.spans import Spans
from diffcli.errors import CheckpointProblem, DataProblem, UsageProblem
from diffcli.metrics.quality import psnr
from diffcli.runs.foreign import ForeignAutoencoder, built_foreign, is_foreign, read_foreign
from diffcli.runs.loading import Stored, find, load_trained, read
from diffcli.system.shell import argument
from diffcli.training.families.codec import MEASURED, scale_of
from diffcli.training.recipes import from_dict, to_dict
from diffcli.training.recipes.codec import CodecRecipe
from diffcli.training.setup import build

WITHIN = 0.9, 1.1  # standard deviation of latents, in units of what it is said to be
LOOKED_AT = 200  # images that are encoded and decoded before a training
PREFIX = "codec/"


@dataclass(frozen=True)
class Carried:
    """A codec, and what is to be remembered of it.

    items:   the images that it is for
    made:    what builds its autoencoder again: {"recipe": ...} or {"diffusers": config}
    place:   where it came from
    note:    how well images come back, where that was measured
    """

    codec: Codec
    items: Items
    made: Mapping[str, Any]
    place: str
    note: str = ""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {PREFIX + name: value for name, value in self.codec.state_dict().items()}

    def among(self, classes: tuple[str, ...]) -> "Carried":
        """The same, where more classes are known than those of its images."""
        return replace(self, items=replace(self.items, classes=classes))

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
            **self.made, "shape": list(items.shape), "classes": list(items.classes), "range": str(items.spans or ""),
            **({"patients": True} if items.patients else {}), "digest": self.digest, "from": self.place,
        }  # fmt: skip


def codec_of(target: str, dataset: Dataset, device: torch.device) -> Carried:
    """The codec of a run of `vae train --latent`, or of a folder with an `AutoencoderKL`, for some data.

    Of a run the scale is measured, on 1,000 of the data, and must be near that which the run has stored; of a folder it
    is its own, and must be near what is measured.

    Raises CheckpointProblem where there is none, DataProblem where it was made for other images.
    """
    if is_foreign(target):
        return _foreign(target, dataset, device)
    trained = load_trained(target, device=device, family="codec")
    if trained.items.shape != dataset.shape:
        made, given = ("x".join(map(str, shape)) for shape in (trained.items.shape, dataset.shape))
        raise DataProblem(f"{trained.path} is for images of {made}, and {dataset.name} has {given}", _advice(dataset))
    found = scale_of(trained.model, _some(dataset))
    known = trained.stored.about.get("latents") or found
    for number, (now, before) in enumerate(zip(found["std"], known["std"], strict=True)):
        if not WITHIN[0] * before <= now <= WITHIN[1] * before:
            raise DataProblem(
                f"in channel {number} latents of {dataset.name} have {now / before:.2f} times the spread of those that "
                f"{trained.path} was trained on",
                _advice(dataset),
            )
    codec = Codec(trained.model, torch.tensor(found["mean"]), torch.tensor(found["std"])).to(device)
    made_by = {"recipe": to_dict(trained.recipe)}
    return Carried(codec, dataset.items, made_by, trained.target, _told(codec, dataset, device))


def _foreign(target: str, dataset: Dataset, device: torch.device) -> Carried:
    """The codec of a folder; raises DataProblem for images of other channels, of sides that it does not divide."""
    model = read_foreign(target).to(device)
    channels, *sides = dataset.shape if len(dataset.shape) == 3 else (0,)
    size = "x".join(map(str, dataset.shape))
    if channels != model.config["in_channels"]:
        raise DataProblem(
            f"{target} is for images of {model.config['in_channels']} channels, and {dataset.name} has {size}",
            _advice(dataset),
        )
    if any(side % model.factor for side in sides):
        raise DataProblem(
            f"{target} divides sides by {model.factor}, and {dataset.name} has {size}", "choose --set size=..."
        )
    codec = _scaled(model).to(device)
    means, stds = (torch.tensor(part) for part in scale_of(codec, _some(dataset)).values())
    overall = (stds.square().mean() + means.var(correction=0)).sqrt().item()  # of all numbers, as LDM's factor has it
    if not WITHIN[0] <= overall <= WITHIN[1]:
        factor = float(model.config.get("scaling_factor") or 1.0) / overall
        raise DataProblem(
            f"by its scaling_factor the latents of {dataset.name} have a standard deviation of {overall:.2f}, not 1",
            f"a scaling_factor of {factor:.4f} in its config.json would suit these data",
        )
    made_by = {"diffusers": model.config}
    return Carried(codec, dataset.items, made_by, target, _told(codec, dataset, device))


def _scaled(model: ForeignAutoencoder) -> Codec:
    """A foreign autoencoder with the scale that it brings."""
    mean, std = model.scale
    channels = model.config["latent_channels"]
    return Codec(model, torch.full((channels,), mean), torch.full((channels,), std))


def codec_in(stored: Stored, device: torch.device) -> Carried | None:
    """The codec that a checkpoint carries; None where it is of a model of pixels. Raises CheckpointProblem."""
    about = stored.about.get("codec")
    if about is None:
        if stored.recipe.encoded_by:
            raise CheckpointProblem(f"{stored.path} lacks the autoencoder of its latents", "train it again")
        return None
    try:
        spans = Spans.parsed(about.get("range", ""))
        items = Items(IMAGES, tuple(about["shape"]), tuple(about["classes"]), spans, bool(about.get("patients")))
        if "diffusers" in about:
            made: dict[str, Any] = {"diffusers": about["diffusers"]}
            codec = _scaled(built_foreign(about["diffusers"]))
        else:
            recipe = from_dict(CodecRecipe(), about["recipe"])
            made, channels = {"recipe": to_dict(recipe)}, recipe.network.channels
            codec = Codec(build(recipe, items, device), torch.zeros(channels), torch.ones(channels))
        state = {k.removeprefix(PREFIX): v.float() for k, v in stored.tensors.items() if k.startswith(PREFIX)}
        codec.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError, UsageProblem) as error:
        raise CheckpointProblem(f"{stored.path} holds an autoencoder that cannot be built: {error}") from None
    return Carried(codec.to(device), items, made, about["from"])


def fitted_codec(carried: Carried, dataset: Dataset) -> Carried:
    """The codec of a base for the images of another data set; raises DataProblem for other channels."""
    made, given = carried.items.shape[0], dataset.shape[0]
    if made != given:
        raise DataProblem(
            f"the autoencoder of the base is for images of {made} channel{'s' * (made > 1)}, and {dataset.name} has "
            f"{given}",
            "convert the images, grey to colour or colour to grey",
        )
    return replace(carried, items=dataset.items)


def in_latents(dataset: Dataset, carried: Carried) -> Dataset:
    """The data set as the codec's latents, which carries the codec."""
    device = next(carried.codec.buffers()).device
    found = encoded(dataset, partial(_pairs, carried.codec, device), carried.digest)
    notes = (*found.notes, carried.note) if carried.note else found.notes
    return replace(found, codec=carried.codec, notes=notes)


def data_of(target: str) -> Mapping[str, Any]:
    """The keys of [data] of a codec's run, which is what is trained on in its latents unless told; none of a folder."""
    if is_foreign(target):
        return {}
    found: Mapping[str, Any] = to_dict(read(find(target, "codec")).recipe)["data"]
    return found


def _pairs(codec: Codec, device: torch.device, images: Tensor) -> Tensor:
    return paired(codec.encode(images.to(device)))


def _some(dataset: Dataset) -> Tensor:
    """Training images to measure latents on."""
    return dataset.take(dataset.holdout()[0][:MEASURED])[0]


def _told(codec: Codec, dataset: Dataset, device: torch.device) -> str:
    """How large the latents are, and how well some images come back that are held out."""
    x, _ = dataset.take(dataset.holdout()[1][:LOOKED_AT])
    mean = codec.encode(x.to(device)).mean
    quality = psnr(codec.decode(mean).cpu(), x).mean().item()
    size = "x".join(map(str, mean.shape[1:]))
    return f"latents of {size} numbers; {len(x)} images come back from them with a PSNR of {quality:.2f} dB"


def _advice(dataset: Dataset) -> str:
    return f"train one on them: diffcli vae train --latent --dataset {argument(dataset.name)}"
