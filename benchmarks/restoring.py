"""Images from parts of them, by models that were taught to and by one that was not, side by side.

    diffcli control train mnist --condition lowres --out lowres
    diffcli control train mnist --condition hole --out hole
    diffcli control train mnist --condition blur --out blur
    python benchmarks/restoring.py --lowres lowres --hole hole --blur blur [--count 500] [--picture restored.png]

Of each test image the model is told its low resolution, what is around a hole, or a blurred version, and no class.
Shown are: what the network is asked for each image; how near to the hint the image is (obedience, root mean square, 0
is best); how near to the truth (PSNR; of holes, inside them); how many the judge reads as the true class; and the
Fréchet distance of all of them to the other test images, in the judge's features. The last line is of real images.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffcli.console.show import Show
from diffcli.core.diffusion.editing import inpainting
from diffcli.core.diffusion.job import Job, last
from diffcli.core.processes import hints
from diffcli.core.randomness import image_noise
from diffcli.data.conditions import HOLE
from diffcli.data.dataset import Dataset, to_pixels
from diffcli.data.loading import load_dataset
from diffcli.evaluation.features.encoders import Encoder, encoder
from diffcli.evaluation.features.extraction import features
from diffcli.lessons.autoencoders.vae_pictures import strips_figure
from diffcli.metrics.frechet import Moments, frechet_distance
from diffcli.metrics.obedience import MEASURES, obedience
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.figures import write_figure
from diffcli.sampling.hints import Hinted
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared, prepare

SHOWN = 10
DRAWS = 8  # whose mean is the guess of least squared error
STEPS = 10


class Method(NamedTuple):
    """Images [N, C, H, W] that were made of hints, and evaluations of the network for each."""

    name: str
    images: Tensor
    evaluations: float


class Truth(NamedTuple):
    """Test images [N, C, H, W], their classes [N], the other test images, and the moments of these for the judge."""

    images: Tensor
    labels: Tensor
    others: Dataset
    judge: Encoder
    moments: Moments


def prepared(
    target: str, hint: Tensor | None = None, seed: int = 0, sampler: str = "ddim", steps: int = STEPS
) -> Prepared:
    """A job of a model, under hints if there are any."""
    options = SamplingOptions(sampler=sampler, steps=steps, seed=seed, device="cpu")
    return prepare(target, options, hinted=Hinted() if hint is None else Hinted((("hint", hint),)))


def told(target: str, hint: Tensor, seed: int = 0) -> Tensor:
    """Samples of a model under hints."""
    found = prepared(target, hint, seed)
    return found.finished(found.job.drawn(len(hint))).clamp(-1, 1)


def replaced(target: str, known: Tensor, hole: Tensor, resample: int, sampler: str, steps: int) -> Method:
    """RePaint: what is known is put back after each step."""
    job = prepared(target, sampler=sampler, steps=steps).job

    def part(items: range) -> tuple[Job, Tensor]:
        walker = inpainting(job.sampler, known[list(items)], hole[list(items)], resample=resample)
        return replace(job, sampler=walker), last(replace(job, sampler=walker).walk(items)).clamp(-1, 1)

    made = [part(items) for items in job.batches(len(known))]
    name = f"replacing, {sampler}, {steps} steps" + f", each {resample} times" * (resample > 1)
    return Method(name, torch.cat([images for _, images in made]), made[0][0].cost()[0])


def begun(target: str, images: Tensor, strength: float) -> Method:
    """SDEdit: the walk begins at images with noise on them."""
    job = prepared(target, steps=2 * STEPS).job
    first = job.steps - round(strength * job.steps)
    level = job.levels[first]

    def begin(items: Sequence[int]) -> Tensor:
        return level.noised(images[list(items)], image_noise(job.seed, "start", items, job.shape)).float()

    job = replace(job, levels=job.levels[first:], begin=begin)
    return Method(f"from the image, strength {strength:g}", job.drawn(len(images)).clamp(-1, 1), job.cost()[0])


def larger(target: str, images: Tensor) -> Iterator[Method]:
    """Of their low resolution."""
    hint = hints.lowres(images)
    small = hint[..., :: hints.COARSE, :: hints.COARSE]
    yield Method("as it is", hint, 0)
    smooth = interpolate(small, images.shape[-2:], mode="bicubic", align_corners=False)
    yield Method("bicubic", smooth.clamp(-1, 1), 0)
    samples = [told(target, hint, seed) for seed in range(DRAWS)]
    yield Method("told, one sample", samples[0], STEPS)
    yield Method(f"told, the mean of {DRAWS} samples", torch.stack(samples).mean(0), STEPS * DRAWS)


def filled(target: str, base: str, images: Tensor) -> Iterator[Method]:
    """Of what is around a hole."""
    hint = hints.hole(images)
    hole = hints.is_hole(hint).float()
    yield Method("as it is", hint, 0)
    for resample, sampler, steps in ((1, "ddim", 10), (1, "ddpm", 50), (5, "ddpm", 50), (10, "ddpm", 50)):
        yield replaced(base, images, hole, resample, sampler, steps)
    yield Method("told, ddim, 10 steps", torch.where(hole > 0, told(target, hint), images), STEPS)


def sharper(target: str, base: str, images: Tensor) -> Iterator[Method]:
    """Of a blurred version."""
    hint = hints.blur(images)
    yield Method("as it is", hint, 0)
    for strength in (0.3, 0.5, 0.7, 0.9):
        yield begun(base, hint, strength)
    yield Method("told, ddim, 10 steps", told(target, hint), STEPS)


def show(title: str, condition: str, methods: Iterator[Method], truth: Truth, picture: Path | None) -> None:
    """Measure, print, draw."""
    hint = {"lowres": hints.lowres, HOLE: hints.hole, "blur": hints.blur}[condition](truth.images)
    inside = hints.is_hole(hint).float() if condition == HOLE else torch.ones_like(truth.images)
    print(f"\n{title}\n{'':<43} {'asks':>5}  {MEASURES[condition].text}, PSNR, read as the truth, Fréchet distance")
    strips = {"truth": truth.images[:SHOWN]}
    for name, images, evaluations in (*methods, Method("real images", truth.images, 0)):
        squares = ((images - truth.images).square() * inside).flatten(1).sum(1) / inside.flatten(1).sum(1)
        quality = (10 * (4 / squares.clamp(min=1e-12)).log10()).clamp(max=99)
        assert truth.judge.probabilities is not None
        read = truth.judge.probabilities(truth.judge.encode(images)).argmax(1) == truth.labels
        dataset = replace(truth.others, storage=to_pixels(images), labels=None, fingerprint=name)
        moments = Moments.of(features(truth.judge, dataset, Show(quiet=True), ""))
        obeyed = obedience(condition, images, hint).mean()
        print(
            f"{name:<43} {evaluations:>5.0f}  {obeyed:.3f}  {quality.mean():5.1f} ± {standard_error(quality):.1f}"
            f"  {read.float().mean():6.1%} ± {standard_error(read.float()):.1%}"
            f"  {frechet_distance(truth.moments, moments):.2f}",
            flush=True,
        )
        strips[name.replace(", ", "\n")] = images[:SHOWN]
    strips.popitem()
    if picture:
        write_figure(strips_figure(strips, title), picture.with_stem(f"{picture.stem}-{condition}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for condition in ("lowres", HOLE, "blur"):
        parser.add_argument(f"--{condition}", metavar="RUN", help=f"of control train --condition {condition}")
    parser.add_argument("--base", default="mnist", help="the model that was not taught")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--picture", type=Path, help="PNG to draw the first images to, by condition")
    wanted = parser.parse_args()
    test = load_dataset("mnist", "test")
    judge = encoder("judge", "mnist", None, torch.device("cpu"), Show(quiet=True))
    places = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    images, known = test.take(places[: wanted.count])
    rest = test.only(places[wanted.count :])
    moments = Moments.of(features(judge, rest, Show(quiet=True), ""))
    truth = Truth(images, known["label"], rest, judge, moments)
    if wanted.lowres:
        show("From 7x7 pixels", "lowres", larger(wanted.lowres, images), truth, wanted.picture)
    if wanted.hole:
        show("With a hole", HOLE, filled(wanted.hole, wanted.base, images), truth, wanted.picture)
    if wanted.blur:
        show("Blurred", "blur", sharper(wanted.blur, wanted.base, images), truth, wanted.picture)


if __name__ == "__main__":
    main()
