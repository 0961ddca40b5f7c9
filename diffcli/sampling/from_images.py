"""Jobs that begin at an image: what `sample --from`, `--inpaint` and `--interpolate` do to a job."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.diffusion.editing import inpainting, slerp
from diffcli.core.diffusion.job import Job, start_noise
from diffcli.core.randomness import image_noise
from diffcli.data.dataset import to_unit
from diffcli.data.images import header, read_image
from diffcli.errors import DataProblem, UsageProblem

BY_STEP = ("ddpm", "ddim", "euler", "euler-ancestral", "heun", "predictor-corrector")  # each step stands alone


def picture(path: Path, job: Job) -> Tensor:
    """An image file as the model sees images, [1, C, H, W] in [-1, 1]."""
    if len(job.shape) != 3:
        raise UsageProblem("this model has points, not images", "name a model of images")
    channels, height, width = job.shape
    return to_unit(read_image(path, (channels, height, width))).unsqueeze(0)


def mask(path: Path, job: Job) -> Tensor:
    """A black-and-white image file, [1, 1, H, W]: 1 (white) is to be painted, 0 (black) is known."""
    _, height, width = job.shape
    found = (read_image(path, (1, height, width)) > 127).float().unsqueeze(0)
    if not found.any():
        raise DataProblem(f"{path} is black everywhere: there is nothing to paint", "white is painted, black is kept")
    return found


def from_image(job: Job, path: Path, strength: float) -> Job:
    """The job begun at an image with noise on it: the last share `strength` of its steps (Meng et al. 2022)."""
    image = picture(path, job)
    steps = len(job.levels) - 1
    taken = round(strength * steps)
    if taken == 0:
        raise UsageProblem(f"--strength {strength:g} of {steps} steps is no step", "raise --strength or --steps")
    first = steps - taken
    level = job.levels[first]

    def begin(images: Sequence[int]) -> Tensor:
        return level.noised(image, image_noise(job.seed, "start", images, job.shape)).float()

    return replace(job, levels=job.levels[first:], times=job.times[first:], begin=begin, source=image)


def inpaint(job: Job, name: str, path: Path, mask_path: Path, resample: int) -> Job:
    """The job that paints the white part of a mask and keeps the rest of the image."""
    if name not in BY_STEP:
        raise UsageProblem(f"--inpaint takes each step by itself, which {name} cannot", f"use {', '.join(BY_STEP)}")
    (_, (wide, high)), (_, (mask_wide, mask_high)) = header(path), header(mask_path)
    if wide * mask_high != high * mask_wide:
        raise DataProblem(
            f"{mask_path} is {mask_wide}x{mask_high}, {path} is {wide}x{high}", "make the mask as large as the image"
        )
    known, where = (part.to(job.device) for part in (picture(path, job), mask(mask_path, job)))
    kept = torch.where(where > 0, 0.0, known)  # grey where it is painted
    walker = inpainting(job.sampler, known, where, resample=resample)
    return replace(job, sampler=walker, source=torch.cat([known, kept]).cpu())


def interpolate(job: Job, name: str, count: int) -> Job:
    """The job whose images lie between the noises of images 0 and 1."""
    if job.cost()[1]:
        raise UsageProblem(
            f"--interpolate needs a walk without fresh noise, which this one of {name} has",
            "use ddim, euler, heun, dpmpp-2m or unipc, and leave --eta out",
        )
    if count < 2:
        raise UsageProblem("--interpolate needs --count 2 or more")
    ends = start_noise(job.seed, (0, 1), job.shape, job.levels[0])

    def begin(images: Sequence[int]) -> Tensor:
        return torch.stack([slerp(ends[0], ends[1], i / (count - 1)) for i in images]).float()

    return replace(job, begin=begin)
