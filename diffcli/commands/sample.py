"""diffcli sample"""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from diffcli.commands.sample_modes import check_modes, sampler_name
from diffcli.console import options
from diffcli.errors import UsageProblem

STRENGTH = 0.6  # of --from
INPAINT_STEPS = 250  # Lugmayr et al. 2022, section 5.1


def sample(
    context: typer.Context,
    run: options.Target = None,
    ddim: Annotated[bool, typer.Option("--ddim", help="Same as --sampler ddim --eta 0.")] = False,
    sampler: Annotated[
        Optional[str],
        typer.Option(
            help="ddpm, ddim, euler, euler-ancestral, heun, edm, dpmpp-2m, dpmpp-sde, dpmpp-3m, unipc, ipndm, deis,"
            " ode, predictor-corrector, annealed-langevin or euler-maruyama.  [ddpm]"
        ),
    ] = None,
    steps: Annotated[
        Optional[int], typer.Option(help="Steps of the walk.  [ddpm 1000, ddim 50, dpmpp-2m 20, ...]", min=1)
    ] = None,
    grid: options.Grid = None,
    schedule: options.Schedule = None,
    auto: Annotated[bool, typer.Option("--auto", help="The cheapest good walk by `diffcli compare`.")] = False,
    start: Annotated[
        Optional[str],
        typer.Option(metavar="linear[,at=X]", help="Begin at sigma/alpha X, led there by the data's moments.  [none]"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print levels and cost; draw nothing.")] = False,
    eta: Annotated[Optional[float], typer.Option(help="Fresh noise of ddim, 0 to 1 (as ddpm).  [0]")] = None,
    variance: Annotated[Optional[str], typer.Option(help="Of ddpm: small, large or learned.  [small]")] = None,
    churn: Annotated[Optional[float], typer.Option(help="S_churn of edm.  [0]")] = None,
    churn_min: Annotated[Optional[float], typer.Option(help="S_min of edm.  [0]")] = None,
    churn_max: Annotated[Optional[float], typer.Option(help="S_max of edm.  [none]")] = None,
    churn_noise: Annotated[Optional[float], typer.Option(help="S_noise of edm.  [1]")] = None,
    corrections: Annotated[
        Optional[int],
        typer.Option(help="Langevin steps at each level of predictor-corrector and annealed-langevin.  [1 and 50]"),
    ] = None,
    snr: Annotated[Optional[float], typer.Option(help="Signal-to-noise ratio of these.  [0.16 and 0.2236]")] = None,
    label: options.Label = None,
    guidance: options.Guidance = None,
    guide: Annotated[
        str, typer.Option(metavar="NAME", help="How --guidance follows the class: cfg, or a plug-in's.")
    ] = "cfg",
    guidance_interval: Annotated[
        Optional[str], typer.Option(metavar="LOW,HIGH", help="Noise levels sigma/alpha to guide at.  [all]")
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
        bool, typer.Option("--interpolate", help="From noise 0 to noise 1; a strip and a GIF.")
    ] = False,
    invert: Annotated[
        Optional[Path], typer.Option(metavar="IMAGE", help="Find an image's noise; does it come back?")
    ] = None,
    count: Annotated[
        Optional[int], typer.Option(help="Number of images, or points.  [20 images, 2000 points]", min=1, max=1_000_000)
    ] = None,
    batch: Annotated[Optional[int], typer.Option(help="Images at once.  [64]", min=1)] = None,
    weights: options.Weights = "ema",
    lora: options.Lora = None,
    control: options.Control = None,
    hint: options.Hint = None,
    hint_from: options.HintFrom = None,
    guide_by: options.GuideBy = None,
    each: Annotated[bool, typer.Option("--each", help="Write every image as a file of its own, too.")] = False,
    depth: Annotated[Optional[int], typer.Option(metavar="8|16", help="Bits per channel of PNG or TIFF.  [8]")] = None,
    animate: Annotated[bool, typer.Option("--animate", help="Write a GIF of the reverse process, too.")] = False,
    array: Annotated[
        Optional[Path], typer.Option(metavar="FILE.npy", help="Write float32 [N, C, H, W] or [N, D], too.")
    ] = None,
    seed: options.Seed = 0,
    impl: options.Impl = None,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: Annotated[
        Optional[Path], typer.Option(help="Folder, FILE.png or FILE.tif.  [a fresh one in outputs/]")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw images or points from a trained or an exact model. Or vary an image."""
    from diffcli.commands.crewing import crew_of
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    modes = {"from": begin, "inpaint": inpaint, "interpolate": interpolate, "invert": invert}
    details: dict[str, Any] = {"mask": mask, "resample": resample, "strength": strength}
    mode = check_modes(context, modes, details, plan=plan, start=start)
    name = sampler_name(ddim, sampler, eta, "ddim" if interpolate or invert else "ddpm")
    if auto and (mode or ddim or sampler):
        raise UsageProblem("--auto chooses the walk of plain sampling", "leave it out, or the sampler and the mode")
    if depth not in (None, 8, 16):
        raise UsageProblem(f"--depth must be 8 or 16, not {depth}", "bits per channel of the images written")
    crew = crew_of(context, devices, device, show)  # others start before this imports
    from diffcli import plugins
    from diffcli.commands import sample_draw, sample_inversion, sample_plan
    from diffcli.sampling.auto import automatic
    from diffcli.sampling.draw import settings
    from diffcli.sampling.from_images import varied
    from diffcli.sampling.options import SamplingOptions, Variation, check_ranges
    from diffcli.sampling.prepare import prepare
    from diffcli.system.files import check_new

    plugins.load(impl or ())
    if begin and strength is None:
        details["strength"] = STRENGTH
    if array:
        check_new(array, ".npy", out)
    check_ranges(strength=strength)
    wanted = SamplingOptions(
        sampler=name, steps=steps, usual_steps=INPAINT_STEPS if inpaint and name == "ddpm" else None, grid=grid,
        schedule=schedule, start=start, label=label, guidance=guidance, guide=guide,
        guidance_interval=guidance_interval, guidance_rescale=guidance_rescale,
        clip=clip, threshold=threshold, count=count, seed=seed, device=device, weights=weights, data=data,
        lora=tuple(lora or ()), control=tuple(control or ()), hint=tuple(hint or ()), hint_from=tuple(hint_from or ()),
        guide_by=guide_by, options={
            "eta": eta, "variance": variance, "churn": churn, "churn_min": churn_min, "churn_max": churn_max,
            "churn_noise": churn_noise, "corrections": corrections, "snr": snr,
        },
    )  # fmt: skip
    if auto:
        wanted, why = automatic(run, wanted)
        show.note(why)
    if invert:
        sample_inversion.run(run, wanted, invert, out, array, show)
        return
    prepared = prepare(run, wanted)
    how = {"steps": prepared.job.steps} | mode | details
    prepared = varied(prepared, Variation(begin, details["strength"] or 0.0, inpaint, mask, resample or 1, interpolate))
    for note in prepared.model.notes:
        show.note(f"note: {note}")
    if plan:
        sample_plan.run(prepared, settings(prepared, wanted, how), show)
        return
    if (each or depth) and prepared.model.items.kind.dimensions != 3:
        name = "--each writes" if each else "--depth is of"
        raise UsageProblem(f"{name} images; this model has points", "use --array")
    sample_draw.run(prepared, wanted, how, show, out, array, each, animate, batch or 0, crew, depth or 8)
