"""diffcli sample --invert"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.sampling.prepare import SamplingOptions

LADDER = (10, 20, 50, 100, 200, 500, 1000)  # Song et al. 2021 (DDIM), table 2


def run(
    target: str | None, wish: "SamplingOptions", image: Path, out: Path | None, array: Path | None, show: "Show"
) -> None:
    """An image to its noise and back by DDIM, for each number of steps; picture, latent and errors."""
    from diffcli.core.diffusion import grids
    from diffcli.core.diffusion.editing import invert
    from diffcli.core.diffusion.job import last
    from diffcli.pictures.figures import inversion_figure
    from diffcli.pictures.grid import save_array
    from diffcli.sampling.from_images import picture
    from diffcli.sampling.prepare import prepare
    from diffcli.system.files import fresh_place

    if wish.sampler not in ("ddim", "euler") or wish.options.get("eta"):
        raise UsageProblem("--invert goes the way of DDIM with eta 0", "leave --sampler and --eta out")
    wish = replace(wish, guidance=1.0 if wish.guidance is None else wish.guidance, clip=wish.clip or False, count=1)
    if wish.guidance != 1:
        show.note(f"note: with guidance {wish.guidance:g} an image does not come back; 1 inverts best")
    job, model = prepare(target, replace(wish, usual_steps=LADDER[0]))
    for note in model.notes:
        show.note(f"note: {note}")
    x0 = picture(image, job).to(job.device)
    denoise = job.steered(job.network)
    labels = None if job.labels is None else job.labels.to(job.device)
    length = model.schedule.length or LADDER[-1]
    ladder = [wish.steps] if wish.steps else [n for n in LADDER if n <= length] or [length]

    rows: list[dict[str, Any]] = []
    pictures = []
    with fresh_place(out, "invert", "inversion.png") as place, show.progress("inverting", 2 * sum(ladder)) as bar:
        done = 0
        for steps in ladder:
            levels = grids.levels(model.schedule, steps, job.grid)
            latent = last(invert(denoise, x0, levels, label=labels))
            bar.update(done := done + steps)
            back = last(job.sampler(denoise, latent, levels, label=labels))
            bar.update(done := done + steps)
            error = ((back - x0) / 2).square().mean().item()
            rows.append(
                {"steps": steps, "error": error, "latent_mean": latent.mean().item(), "latent_std": latent.std().item()}
            )
            pictures.append(back.cpu())
        inversion_figure(place.picture, x0.cpu(), latent.cpu(), pictures, [(r["steps"], r["error"]) for r in rows])
        if array:
            save_array(array, latent)
    document = {"figure": str(place.picture), "array": str(array) if array else None, "errors": rows}
    lines = [
        "error per value after the way to noise and back, in units where black is 0 and white is 1 (DDIM, table 2)"
    ]
    lines += [f"{'steps':>6}   {'squared error':>13}   {'latent mean':>11}   {'latent std':>10}"]
    lines += [
        f"{r['steps']:>6}   {r['error']:>13.3g}   {r['latent_mean']:>11.3f}   {r['latent_std']:>10.3f}" for r in rows
    ]
    show.result(document, [*lines, str(place.picture), *([str(array)] if array else [])])
