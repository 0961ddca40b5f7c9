"""diffcli sample"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import BusyProblem, DivergedProblem, EnvironmentProblem, UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.core.diffusion.job import Job
    from diffcli.sampling.models import Model
    from diffcli.sampling.prepare import SamplingOptions

STRENGTH = 0.6  # of --from
FRAMES = 40  # of the animation
SLOW = 20.0  # seconds from which on a faster way is suggested
MOST_COLUMNS = 20  # of the strip of --interpolate
INPAINT_STEPS = 250  # Lugmayr et al. 2022, section 5.1


def sample(
    run: options.Target = None,
    ddim: Annotated[bool, typer.Option("--ddim", help="Same as --sampler ddim --eta 0.")] = False,
    sampler: Annotated[
        Optional[str],
        typer.Option(
            help="ddpm, ddim, euler, euler-ancestral, heun, edm, dpmpp-2m, dpmpp-sde, unipc or predictor-corrector."
            "  [ddpm]"
        ),
    ] = None,
    steps: Annotated[
        Optional[int], typer.Option(help="Steps of the walk.  [ddpm 1000, ddim 50, dpmpp-2m 20, ...]", min=1)
    ] = None,
    grid: options.Grid = None,
    schedule: options.Schedule = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the levels of the walk and its cost; draw nothing.")
    ] = False,
    eta: Annotated[Optional[float], typer.Option(help="Fresh noise of ddim: 0 none, 1 as in ddpm.  [0]")] = None,
    variance: Annotated[Optional[str], typer.Option(help="Of ddpm: small, large or learned.  [small]")] = None,
    churn: Annotated[Optional[float], typer.Option(help="S_churn of edm.  [0]")] = None,
    churn_min: Annotated[Optional[float], typer.Option(help="S_min of edm.  [0]")] = None,
    churn_max: Annotated[Optional[float], typer.Option(help="S_max of edm.  [none]")] = None,
    churn_noise: Annotated[Optional[float], typer.Option(help="S_noise of edm.  [1]")] = None,
    corrections: Annotated[
        Optional[int], typer.Option(help="Langevin steps per step of predictor-corrector.  [1]")
    ] = None,
    snr: Annotated[Optional[float], typer.Option(help="Signal-to-noise ratio of these.  [0.16]")] = None,
    label: options.Label = None,
    guidance: options.Guidance = None,
    guidance_interval: Annotated[
        Optional[str], typer.Option(metavar="LOW,HIGH", help="Noise levels sigma/alpha between which to guide.  [all]")
    ] = None,
    guidance_rescale: Annotated[Optional[float], typer.Option(help="Phi of Lin et al. 2024, 0 to 1.  [0]")] = None,
    clip: Annotated[
        Optional[bool],
        typer.Option(help="Hold clean estimates to the range of images.  [for images of a trained model]"),
    ] = None,
    threshold: Annotated[Optional[float], typer.Option(help="Dynamic thresholding instead, e.g. 0.995.")] = None,
    begin: Annotated[
        Optional[Path], typer.Option("--from", metavar="IMAGE", help="Start at an image (SDEdit).")
    ] = None,
    strength: Annotated[Optional[float], typer.Option(help="Share of the walk that --from takes.  [0.6]")] = None,
    inpaint: Annotated[Optional[Path], typer.Option(metavar="IMAGE", help="Paint a part of an image anew.")] = None,
    mask: Annotated[
        Optional[Path], typer.Option(metavar="MASK", help="Of --inpaint: white is painted, black kept.")
    ] = None,
    resample: Annotated[
        Optional[int], typer.Option(help="Of --inpaint: how often each step is taken (RePaint).  [1]", min=1, max=100)
    ] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="From the noise of image 0 to that of image 1; a strip and a GIF.")
    ] = False,
    invert: Annotated[
        Optional[Path], typer.Option(metavar="IMAGE", help="Find the noise of an image, and how well it comes back.")
    ] = None,
    count: Annotated[
        Optional[int], typer.Option(help="Number of images, or points.  [20 images, 2000 points]", min=1, max=1_000_000)
    ] = None,
    batch: Annotated[Optional[int], typer.Option(help="Images at once.  [64]", min=1)] = None,
    weights: Annotated[str, typer.Option(help="ema (the average) or raw.")] = "ema",
    each: Annotated[bool, typer.Option("--each", help="Write every image as a PNG, too.")] = False,
    animate: Annotated[bool, typer.Option("--animate", help="Write a GIF of the reverse process, too.")] = False,
    array: Annotated[
        Optional[Path], typer.Option(metavar="FILE.npy", help="Write float32 [N, C, H, W] or [N, D], too.")
    ] = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Draw from a trained or an exact model: images, points, or variations of an image."""
    from diffcli.commands import sample_inversion, sample_plan
    from diffcli.console.show import Show
    from diffcli.sampling import from_images
    from diffcli.sampling import prepare as sampling

    show = Show(as_json=as_json, quiet=quiet)
    modes = {"from": begin, "inpaint": inpaint, "interpolate": interpolate, "invert": invert}
    mode = {k: v for k, v in modes.items() if v}
    details: dict[str, Any] = {"mask": mask, "resample": resample, "strength": strength}
    _check_mode(mode, details, plan=plan, each=each, animate=animate)
    if begin and strength is None:
        details["strength"] = STRENGTH
    smooth = bool(interpolate or invert)
    name = _sampler_name(ddim, sampler, eta, "ddim" if smooth else "ddpm")
    _check_array(array, out)
    sampling.check_ranges(strength=strength)
    wish = sampling.SamplingOptions(
        sampler=name, steps=steps, usual_steps=INPAINT_STEPS if inpaint and name == "ddpm" else None, grid=grid,
        schedule=schedule, label=label, guidance=guidance, guidance_interval=guidance_interval,
        guidance_rescale=guidance_rescale,
        clip=clip, threshold=threshold, count=count, seed=seed, device=device, weights=weights, data=data,
        options={
            "eta": eta, "variance": variance, "churn": churn, "churn_min": churn_min, "churn_max": churn_max,
            "churn_noise": churn_noise, "corrections": corrections, "snr": snr,
        },
    )  # fmt: skip
    if invert:
        sample_inversion.run(run, wish, invert, out, array, show)
        return
    job, model = sampling.prepare(run, wish)
    count = job.count
    how = {"steps": len(job.levels) - 1} | mode | details
    if interpolate and len(job.shape) != 3:
        raise UsageProblem("--interpolate draws images; this model has points", "name a model of images")
    if interpolate:
        job = from_images.interpolate(job, name, count)
    if begin:
        job = from_images.from_image(job, begin, details["strength"])
    if inpaint and mask:
        job = from_images.inpaint(job, name, inpaint, mask, resample or 1)
    for note in model.notes:
        show.note(f"note: {note}")
    if plan:
        sample_plan.run(job, model, name, show)
        return
    if each and len(job.shape) != 3:
        raise UsageProblem("--each writes images; this model has points", "use --array")
    _draw_and_write(job, model, name, count, batch or job.batch, wish, how, show, out, array, each, animate)


def _check_mode(mode: dict[str, Any], details: dict[str, Any], **actions: bool) -> None:
    """Refuse two modes at once, details of a mode that is not asked for, and what a mode does not do."""
    if len(mode) > 1:
        raise UsageProblem(f"{' and '.join(f'--{m}' for m in mode)} exclude each other", "ask for one")
    for detail, owner in (("mask", "inpaint"), ("resample", "inpaint"), ("strength", "from")):
        if details[detail] is not None and owner not in mode:
            raise UsageProblem(f"--{detail} belongs to --{owner} IMAGE", f"leave it out, or add --{owner} IMAGE")
    if "inpaint" in mode and details["mask"] is None:
        raise UsageProblem("--inpaint needs --mask MASK", "an image of the same size: white is painted, black is kept")
    for action, wanted in actions.items():
        if wanted and "invert" in mode:
            raise UsageProblem(f"--{action} does not go with --invert, which draws no samples", "leave one out")


def _check_array(array: Path | None, out: Path | None) -> None:
    if array is None:
        return
    if array.suffix != ".npy":
        raise UsageProblem(f"--array must end in .npy, not {array.name}")
    if array.exists():
        raise BusyProblem(f"{array} exists already", "choose another --array")
    if not array.parent.is_dir() and array.parent != out:
        raise EnvironmentProblem(f"there is no folder {array.parent}", "make it, or choose another --array")
    if array.parent.is_dir() and not os.access(array.parent, os.W_OK):
        raise EnvironmentProblem(f"cannot write {array}: Permission denied", "choose another --array")


def _sampler_name(ddim: bool, sampler: str | None, eta: float | None, usual: str) -> str:
    """The sampler that --ddim and --sampler ask for together."""
    if ddim and (sampler not in (None, "ddim") or eta not in (None, 0)):
        raise UsageProblem("--ddim means --sampler ddim --eta 0", "leave --ddim out to set either")
    if ddim or (sampler is None and eta is not None):
        return "ddim"
    return usual if sampler is None else sampler


def _draw_and_write(
    job: "Job", model: "Model", name: str, count: int, batch: int, wish: "SamplingOptions", how: dict[str, Any],
    show: "Show", out: Path | None, array: Path | None, each: bool, animate: bool,
) -> None:  # fmt: skip
    from diffcli.core.diffusion.job import spread
    from diffcli.data.kinds import kind_of
    from diffcli.metrics.health import line
    from diffcli.pictures.grid import save_array, save_gif, save_png, single
    from diffcli.pictures.samples import animation, picture
    from diffcli.sampling.planes import PlanarData
    from diffcli.system.files import check_free, fresh_place
    from diffcli.system.text import duration

    steps = len(job.levels) - 1
    evaluations, _ = job.cost()
    strip = "interpolate" in how
    with fresh_place(out, "sample", "grid.png", "walk.gif" if animate or strip else "") as place:
        if each:
            check_free(place.singles)
        guided = "" if job.labels is None else f", guidance {job.guidance:g}"
        source = f", {wish.weights} weights" if model.trained else f", {model.schedule_name} schedule"
        show.note(f"{model.name}: {count} by {name} in {steps} steps{source}{guided}")
        began = time.monotonic()
        shown = spread(steps, FRAMES) if animate else []
        images, frames = _draw(job, count, batch, set(shown), show, fast=name != "ddpm")
        levels = [job.levels[i + 1] for i in shown]
        seconds = time.monotonic() - began
        if lost := int((~images.flatten(1).isfinite().all(1)).sum()):
            raise DivergedProblem(
                f"{lost} of {count} {kind_of(job.shape).name} are not finite: the walk or the model diverged",
                "take more --steps, another --grid or another --sampler",
            )

        settings = {
            "checkpoint": model.name, "sampler": name, "grid": job.grid,
            "schedule": model.schedule_name, **wish.options, "class": wish.label, "guidance": job.guidance,
            "guidance_interval": wish.guidance_interval, "guidance_rescale": wish.guidance_rescale,
            "clip": wish.clip, "threshold": wish.threshold, "weights": wish.weights, "seed": wish.seed,
            "count": count, **how,
        }  # fmt: skip
        facts = {f"diffcli {k.replace('_', '-')}": v for k, v in settings.items() if v is not None}
        written = [place.picture]
        density = plane.density() if (plane := PlanarData.of_model(model, wish.data)) else None
        wide = min(count, MOST_COLUMNS) if strip else 0
        scene = picture(images, columns=wide, above=job.source, density=density, law=model.exact)
        save_png(written[0], scene, facts)
        if animate or strip:
            written.append(place.animation)
            moving = animation(frames, levels, density) if animate else (single(i) for i in images)
            save_gif(written[-1], list(moving))
        singles = [place.singles / f"{i:05d}.png" for i in range(count)] if each else []
        if each:
            place.singles.mkdir(exist_ok=True)
        for path, image in zip(singles, images, strict=False):
            save_png(path, single(image), facts)
        if array:
            written.append(array)
            save_array(array, images)

    if model.health:
        show.note(line(type(model.health).of(images), model.health))
    document = {
        "grid": str(written[0]),
        "images": [str(path) for path in singles],
        "array": str(array) if array else None,
        "sampler": name,
        "steps": steps,
        "evaluations": evaluations,
        "seconds": seconds,
        "images_per_second": count / seconds,
        "mean": images.mean().item(),
        "std": images.std().item(),
    }
    what = kind_of(job.shape).name
    lines = [f"{count} {what} in {duration(seconds)}, {count / seconds:.1f} {what}/s", *map(str, written)]
    lines += [f"{singles[0]} ... {singles[-1]}"] if singles else []
    show.result(document, [*lines, f"next: diffcli visualize reverse {model.target}"])


def _draw(
    job: "Job", count: int, batch: int, shown: set[int], show: "Show", *, fast: bool
) -> tuple["Tensor", list["Tensor"]]:
    """All items of the job [count, ...], and all of them after the steps in `shown`."""
    import torch

    steps = len(job.levels) - 1
    parts: list[list[Tensor]] = []
    total = steps * count
    began = time.monotonic()
    with show.progress("sampling", total) as bar:
        for first in range(0, count, batch):
            images = range(first, min(count, first + batch))
            kept = []
            for i, step in enumerate(job.walk(images)):
                kept += [step.x.cpu()] if i in shown else []
                done = min(total, steps * first + (i + 1) * len(images))
                bar.update(done)
                left = (time.monotonic() - began) * (total / done - 1)
                if (first, i) == (0, 2) and not fast and left > SLOW:
                    bar.note(f"this takes about {left:.0f} s; --ddim takes {left * 50 / steps:.0f} s")
            parts.append([*kept, step.x.cpu()])
    frames = [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
    return frames[-1], frames[:-1]
