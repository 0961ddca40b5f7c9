"""diffcli sample"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli import options
from diffcli.errors import BusyProblem, EnvironmentProblem, UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.sampling import Job
    from diffcli.show import Show

GUIDANCE = "Of --class: 1 is none, 0 ignores the class; the papers' w is this minus 1.  [the recipe's]"
DEFAULT_STEPS = {"ddim": 50}  # other samplers take the 1000 steps of DDPM
FRAMES = 40  # of the animation
SLOW = 20.0  # seconds from which on a faster way is suggested


def sample(
    run: Annotated[
        Optional[str],
        typer.Argument(metavar="[RUN|FILE]", help="A run or a checkpoint; default the newest run."),
    ] = None,
    ddim: Annotated[bool, typer.Option("--ddim", help="Same as --sampler ddim --eta 0.")] = False,
    sampler: Annotated[Optional[str], typer.Option(help="ddpm or ddim.  [ddpm]")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Steps of the walk.  [ddpm 1000, ddim 50]", min=1)] = None,
    eta: Annotated[Optional[float], typer.Option(help="Fresh noise of ddim: 0 none, 1 as in ddpm.  [0]")] = None,
    variance: Annotated[Optional[str], typer.Option(help="Of ddpm: small or large.  [small]")] = None,
    label: Annotated[
        Optional[str],
        typer.Option("--class", help="A class by number or name, or all: image i gets class i mod K."),
    ] = None,
    guidance: Annotated[Optional[float], typer.Option(help=GUIDANCE)] = None,
    clip: Annotated[bool, typer.Option(help="Hold clean estimates to the range of images.")] = True,
    count: options.Count = 20,
    batch: Annotated[int, typer.Option(help="Images at once.", min=1)] = 64,
    weights: Annotated[str, typer.Option(help="ema (the average) or raw.")] = "ema",
    each: Annotated[bool, typer.Option("--each", help="Write every image as a PNG, too.")] = False,
    animate: Annotated[bool, typer.Option("--animate", help="Write a GIF of the reverse process, too.")] = False,
    array: Annotated[
        Optional[Path], typer.Option(metavar="FILE.npy", help="Write float32 [N, C, H, W] in [-1, 1], too.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Draw images from a trained model."""
    from diffcli import sampling
    from diffcli.files import check_free, fresh_place
    from diffcli.metrics.health import Brightness, line
    from diffcli.pictures.grid import grid, save_array, save_gif, save_png, single
    from diffcli.show import Show, duration

    show = Show(as_json=as_json, quiet=quiet)
    name = _sampler_name(ddim, sampler, eta)
    if array is not None:
        if array.suffix != ".npy":
            raise UsageProblem(f"--array must end in .npy, not {array.name}")
        if array.exists():
            raise BusyProblem(f"{array} exists already", "choose another --array")
        if not array.parent.is_dir() and array.parent != out:
            raise EnvironmentProblem(f"there is no folder {array.parent}", "make it, or choose another --array")
    steps = steps or DEFAULT_STEPS.get(name, 1000)
    job, trained = sampling.prepare(
        run, sampler=name, steps=steps, eta=eta, variance=variance, label=label, guidance=guidance, clip=clip,
        count=count, seed=seed, device=device, weights=weights,
    )  # fmt: skip
    for note in trained.notes:
        show.note(f"note: {note}")

    with fresh_place(out, "sample", "grid.png", "walk.gif") as place:
        if each:
            check_free(place.singles)
        guided = "" if job.labels is None else f", guidance {job.guidance:g}"
        show.note(f"{trained.path}: {count} images by {name} in {steps} steps, {weights} weights{guided}")
        began = time.monotonic()
        images, frames = _draw(job, count, batch, animate, show, fast=name == "ddim")
        seconds = time.monotonic() - began

        settings = {
            "checkpoint": trained.path, "sampler": name, "steps": steps, "eta": eta, "variance": variance,
            "guidance": job.guidance, "class": label, "clip": clip, "weights": weights, "seed": seed, "count": count,
        }  # fmt: skip
        facts = {f"diffcli {k}": v for k, v in settings.items() if v is not None}
        written = [place.picture]
        save_png(written[0], grid(images), facts)
        if animate:
            written.append(place.animation)
            save_gif(written[-1], [grid(frame, width=400) for frame in frames])
        singles = [place.singles / f"{i:05d}.png" for i in range(count)] if each else []
        if each:
            place.singles.mkdir(exist_ok=True)
        for path, image in zip(singles, images, strict=False):
            save_png(path, single(image), facts)
        if array:
            written.append(array)
            save_array(array, images)

    brightness = Brightness.of(images)
    show.note(line(brightness, Brightness(*trained.about["brightness"])))
    document = {
        "grid": str(written[0]),
        "images": [str(path) for path in singles],
        "array": str(array) if array else None,
        "sampler": name,
        "steps": steps,
        "evaluations": job.evaluations,
        "seconds": seconds,
        "images_per_second": count / seconds,
        "mean": brightness.mean,
        "std": brightness.std,
    }
    lines = [f"{count} images in {duration(seconds)}, {count / seconds:.1f} images/s", *map(str, written)]
    lines += [f"{singles[0]} ... {singles[-1]}"] if singles else []
    show.result(document, [*lines, f"next: diffcli visualize reverse {trained.path.parent}"])


def _sampler_name(ddim: bool, sampler: str | None, eta: float | None) -> str:
    """The sampler that --ddim and --sampler ask for together."""
    if ddim and (sampler not in (None, "ddim") or eta not in (None, 0)):
        raise UsageProblem("--ddim means --sampler ddim --eta 0", "leave --ddim out to set either")
    return "ddim" if ddim or (sampler is None and eta is not None) else sampler or "ddpm"


def _draw(
    job: "Job", count: int, batch: int, animate: bool, show: "Show", *, fast: bool
) -> tuple["Tensor", list["Tensor"]]:
    """All images of the job [count, C, H, W], and, to animate, all of them at some levels of the walk."""
    import torch

    from diffcli.sampling import spread

    steps = len(job.levels) - 1
    shown = spread(steps, FRAMES) if animate else [steps - 1]
    parts: list[list[Tensor]] = []
    total = steps * count
    began = time.monotonic()
    with show.progress("sampling", total) as bar:
        for first in range(0, count, batch):
            images = range(first, min(count, first + batch))
            kept = []
            for i, step in enumerate(job.walk(images)):
                kept += [step.x.cpu()] if i in shown else []
                done = steps * first + (i + 1) * len(images)
                bar.update(done)
                left = (time.monotonic() - began) * (total / done - 1)
                if (first, i) == (0, 2) and not fast and left > SLOW:
                    bar.note(f"this takes about {left:.0f} s; --ddim takes {left * 50 / steps:.0f} s")
            parts.append(kept)
    frames = [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
    return frames[-1], frames
