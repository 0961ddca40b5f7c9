"""diffcli sample"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli import options
from diffcli.errors import BusyProblem, EnvironmentProblem, UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.models import Model
    from diffcli.sampling import Job
    from diffcli.show import Show

FRAMES = 40  # of the animation
SLOW = 20.0  # seconds from which on a faster way is suggested
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
    variance: Annotated[Optional[str], typer.Option(help="Of ddpm: small or large.  [small]")] = None,
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
        Optional[Path], typer.Option(metavar="FILE.npy", help="Write float32 [N, C, H, W] in [-1, 1], too.")
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
    from diffcli import editing, sampling
    from diffcli.commands import sample_inversion
    from diffcli.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    modes = {"--from": begin, "--inpaint": inpaint, "--interpolate": interpolate or None, "--invert": invert}
    _check_modes({k: v for k, v in modes.items() if v}, mask=mask, resample=resample, strength=strength)
    smooth = bool(interpolate or invert)
    name = _sampler_name(ddim, sampler, eta, "ddim" if smooth else "ddpm")
    _check_array(array, out)
    sampling.check_ranges(strength=strength)
    wish = sampling.Wish(
        sampler=name, steps=steps or (INPAINT_STEPS if inpaint and name == "ddpm" else None), grid=grid,
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
    if interpolate and len(job.shape) != 3:
        raise UsageProblem("--interpolate draws images; this model has points", "name a model of images")
    if interpolate:
        if job.cost()[1]:
            raise UsageProblem(f"--interpolate needs a deterministic sampler, not {name}", editing.DETERMINISTIC)
        job = editing.interpolate(job, count)
    if begin:
        job = editing.from_image(job, begin, 0.6 if strength is None else strength)
    if inpaint and mask:
        job = editing.inpaint(job, name, inpaint, mask, resample or 1)
    for note in model.notes:
        show.note(f"note: {note}")
    if plan:
        _show_plan(job, model, name, show)
        return
    if each and len(job.shape) != 3:
        raise UsageProblem("--each writes images; this model has points", "use --array")
    strip = count if interpolate else 0
    _draw_and_write(job, model, name, count, batch or job.batch, wish, show, out, array, each, animate, strip)


def _check_modes(modes: dict[str, Any], **details: Any) -> None:
    """Refuse two modes at once, and details of a mode that is not asked for."""
    if len(modes) > 1:
        raise UsageProblem(f"{' and '.join(modes)} exclude each other", "ask for one")
    for detail, mode in (("mask", "--inpaint"), ("resample", "--inpaint"), ("strength", "--from")):
        if details[detail] is not None and mode not in modes:
            raise UsageProblem(f"--{detail} belongs to {mode} IMAGE")
    if "--inpaint" in modes and details["mask"] is None:
        raise UsageProblem("--inpaint needs --mask MASK", "an image of the same size: white is painted, black is kept")


def _check_array(array: Path | None, out: Path | None) -> None:
    if array is None:
        return
    if array.suffix != ".npy":
        raise UsageProblem(f"--array must end in .npy, not {array.name}")
    if array.exists():
        raise BusyProblem(f"{array} exists already", "choose another --array")
    if not array.parent.is_dir() and array.parent != out:
        raise EnvironmentProblem(f"there is no folder {array.parent}", "make it, or choose another --array")


def _sampler_name(ddim: bool, sampler: str | None, eta: float | None, usual: str) -> str:
    """The sampler that --ddim and --sampler ask for together."""
    if ddim and (sampler not in (None, "ddim") or eta not in (None, 0)):
        raise UsageProblem("--ddim means --sampler ddim --eta 0", "leave --ddim out to set either")
    return "ddim" if ddim or (sampler is None and eta is not None) else sampler or usual


def _show_plan(job: "Job", model: "Model", name: str, show: "Show") -> None:
    """The levels of the walk and what it costs, as the result."""
    evaluations, draws = job.cost()
    levels = [
        {"t": t, "alpha": level.alpha.item(), "sigma": level.sigma.item(), "log_snr": level.log_snr.item()}
        for t, level in zip(job.times, job.levels, strict=True)
    ]
    document = {
        "sampler": name,
        "schedule": model.schedule_name,
        "grid": job.grid,
        "steps": len(levels) - 1,
        "evaluations": evaluations,
        "noise_draws": draws,
        "levels": levels,
    }
    length = model.schedule.length
    entry = f"   {'entry':>9}" if length else ""
    lines = [
        f"{name}, {model.schedule_name} schedule, {job.grid} grid: {len(levels) - 1} steps, "
        f"{evaluations} network evaluations and {draws} draws of noise per item",
        f"{'level':>5}   {'t':>9}{entry}   {'alpha':>10}   {'sigma':>10}   {'log SNR':>9}",
    ]
    for i, row in enumerate(levels):
        at = f"   {row['t'] * length:>9.7g}" if length else ""
        lines.append(
            f"{i:>5}   {row['t']:>9.6f}{at}   {row['alpha']:>10.6g}   {row['sigma']:>10.6g}   {row['log_snr']:>9.4f}"
        )
    show.result(document, lines)


def _draw_and_write(
    job: "Job", model: "Model", name: str, count: int, batch: int, wish: Any, show: "Show",
    out: Path | None, array: Path | None, each: bool, animate: bool, strip: int,
) -> None:  # fmt: skip
    from diffcli.files import check_free, fresh_place
    from diffcli.kinds import kind_of
    from diffcli.metrics.health import line
    from diffcli.pictures.grid import save_array, save_gif, save_png, single
    from diffcli.pictures.samples import animation, picture
    from diffcli.planes import Plane
    from diffcli.sampling import spread
    from diffcli.show import duration

    steps = len(job.levels) - 1
    evaluations, _ = job.cost()
    with fresh_place(out, "sample", "grid.png", "walk.gif") as place:
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

        settings = {
            "checkpoint": model.name, "sampler": name, "steps": steps, "spacing": job.grid, **wish.options,
            "guidance": job.guidance, "class": wish.label, "clip": wish.clip, "weights": wish.weights,
            "seed": wish.seed, "count": count,
        }  # fmt: skip
        facts = {f"diffcli {k}": v for k, v in settings.items() if v is not None}
        written = [place.picture]
        density = plane.density() if (plane := Plane.of_model(model, wish.data)) else None
        save_png(written[0], picture(images, columns=strip, density=density, law=model.exact), facts)
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
