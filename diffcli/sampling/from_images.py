"""Jobs that begin at an image: what `sample --from`, `--inpaint` and `--interpolate` do to a job."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from diffcli.core.diffusion.editing import inpainting, slerp
from diffcli.core.diffusion.job import start_noise
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.randomness import image_noise
from diffcli.data.conditions import HOLE
from diffcli.data.dataset import to_unit
from diffcli.data.images import header, read_image, read_mask
from diffcli.data.kinds import Items
from diffcli.errors import DataProblem, UsageProblem
from diffcli.sampling.hints import Hinted
from diffcli.sampling.options import Variation
from diffcli.sampling.prepare import Kept, Prepared, prepare


def varied(prepared: Prepared, variation: Variation) -> Prepared:
    """The job with what is asked for of its start or its steps."""
    if variation.interpolate:
        prepared = interpolate(prepared)
    if variation.begin:
        prepared = from_image(prepared, variation.begin, variation.strength)
    if variation.inpaint and variation.mask:
        prepared = inpaint(prepared, variation.inpaint, variation.mask, variation.resample)
    return replace(prepared, variation=variation)


def picture(path: Path, items: Items) -> Tensor:
    """An image file as the model sees images, [1, C, H, W] in [-1, 1]."""
    if items.kind.dimensions != 3:
        raise UsageProblem("this model has points, not images", "name a model of images")
    channels, height, width = items.shape
    return to_unit(read_image(path, (channels, height, width), items.spans)).unsqueeze(0)


def mask(path: Path, items: Items) -> tuple[Tensor, str]:
    """A mask, [1, 1, H, W]: 1 (white) is to be painted, 0 (black) is known; and what to say of how it was read."""
    _, height, width = items.shape
    found, note = read_mask(path, (height, width))
    return found.float()[None, None], note


def from_image(prepared: Prepared, path: Path, strength: float) -> Prepared:
    """The walks begun at an image with noise on it: the last share `strength` of their steps (Meng et al. 2022)."""
    job = prepared.job
    image = picture(path, prepared.model.items)
    latent = prepared.model.encoded(image.to(job.device)).cpu()
    taken = round(strength * job.steps)
    if taken == 0:
        raise UsageProblem(f"--strength {strength:g} of {job.steps} steps is no step", "raise --strength or --steps")
    first = job.steps - taken
    level = job.levels[first]

    def begin(items: Sequence[int]) -> Tensor:
        return level.noised(latent, image_noise(job.seed, "start", items, job.shape)).float()

    begun = replace(job, levels=job.levels[first:], begin=begin)
    return replace(prepared, job=begun, times=prepared.times[first:], source=image)


def inpaint(prepared: Prepared, path: Path, mask_path: Path, resample: int) -> Prepared:
    """The walks that paint the white part of a mask and keep the rest of the image."""
    items = prepared.model.items
    holes = [control.name for control in prepared.model.controls if control.condition == HOLE]
    if holes and resample > 1:
        raise UsageProblem(
            f"{prepared.model.name} was taught to paint holes, and needs no --resample",
            "leave it out, or name its base",
        )
    if not holes and not SAMPLERS[prepared.sampler].separable:
        takers = ", ".join(name for name, sampler in SAMPLERS.items() if sampler.separable)
        raise UsageProblem(f"--inpaint takes each step by itself, which {prepared.sampler} cannot", f"use {takers}")
    (_, (wide, high)), (_, (mask_wide, mask_high)) = header(path), header(mask_path)
    if wide * mask_high != high * mask_wide:
        raise DataProblem(
            f"{mask_path} is {mask_wide}x{mask_high}, {path} is {wide}x{high}", "make the mask as large as the image"
        )
    known = picture(path, items)
    layer, note = mask(mask_path, items)
    painted = torch.where(layer > 0, 0.0, known)  # grey
    if holes:
        given = dict(prepared.hinted.hints) | dict.fromkeys(holes, painted)
        told = prepare(None, prepared.wanted, prepared.model, Hinted(tuple(given.items())))
        prepared = replace(told, kept=Kept(known, layer), hinted=prepared.hinted)  # `source` shows the hole, once
    else:
        prepared = _replacing(prepared, known, layer, resample)
    notes = (*prepared.notes, note) if note else prepared.notes
    return replace(prepared, source=torch.cat([known, painted]), notes=notes)


def _replacing(prepared: Prepared, known: Tensor, layer: Tensor, resample: int) -> Prepared:
    """The walks after each step of which what is known of an image [1, C, H, W] is put in its place."""
    job, model = prepared.job, prepared.model
    known, where = known.to(job.device), layer.to(job.device)
    inside, places, stays = known, where, None
    if model.codec is not None:  # a place of the latents is painted where any of its pixels is
        inside, places = model.encoded(known), adaptive_max_pool2d(where, model.walked.shape[1:])
        stays = Kept(known.cpu(), layer)
    walker = inpainting(job.sampler, inside, places, resample=resample)
    return replace(prepared, job=replace(job, sampler=walker), kept=stays)


def interpolate(prepared: Prepared) -> Prepared:
    """The walks from the places between the noises of images 0 and 1."""
    job, count = prepared.job, prepared.count
    if prepared.model.items.kind.dimensions != 3:
        raise UsageProblem("--interpolate draws images; this model has points", "name a model of images")
    if job.cost()[1]:
        raise UsageProblem(
            f"--interpolate needs a walk without fresh noise, which this one of {prepared.sampler} has",
            "use ddim, euler, heun, dpmpp-2m or unipc, and leave --eta out",
        )
    if count < 2:
        raise UsageProblem("--interpolate needs --count 2 or more")
    ends = start_noise(job.seed, (0, 1), job.shape, job.levels[0])

    def begin(items: Sequence[int]) -> Tensor:
        return torch.stack([slerp(ends[0], ends[1], i / (count - 1)) for i in items]).float()

    return replace(prepared, job=replace(job, begin=begin))
