"""diffcli sample: draw, write, say."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.ranks.sharing import Crew
    from diffcli.sampling.draw import Samples
    from diffcli.sampling.options import SamplingOptions
    from diffcli.sampling.prepare import Prepared

FRAMES = 40  # of the animation
SLOW = 20.0  # seconds from which on a faster way is suggested
MOST_COLUMNS = 20  # of the strip of --interpolate


def run(
    prepared: "Prepared", wanted: "SamplingOptions", how: dict[str, Any], show: "Show", out: Path | None,
    array: Path | None, each: bool, animate: bool, batch: int, crew: "Crew", depth: int = 8,
) -> None:  # fmt: skip
    from diffcli.metrics.health import line
    from diffcli.pictures.deep import SUFFIXES
    from diffcli.sampling.draw import settings
    from diffcli.sampling.write import Output, write
    from diffcli.system.files import check_free, fresh_place
    from diffcli.system.shell import argument
    from diffcli.system.text import duration

    model, count, strip = prepared.model, prepared.count, "interpolate" in how
    if depth > 8 and model.items.spans is None:
        show.note("note: the images that it knows had 8 bits; 16 hold what its samples have between those steps")
    with fresh_place(out, "sample", "grid.png", "walk.gif" if animate or strip else "", SUFFIXES) as place:
        if each:
            check_free(place.singles)
        guided = f", guidance {prepared.guidance:g}" if prepared.job.conditions else ""
        source = f", {wanted.weights} weights" if model.trained else f", {model.schedule_name} schedule"
        show.note(f"{model.name}: {count} by {prepared.sampler} in {prepared.job.steps} steps{source}{guided}")
        for note in prepared.notes:
            show.note(f"note: {note}")
        began = time.monotonic()
        samples = _draw(prepared, batch, FRAMES if animate else 0, show, crew)
        seconds = time.monotonic() - began
        output = Output(place, array, each, animate, min(count, MOST_COLUMNS) if strip else 0, depth)
        written, singles = write(prepared, samples, output, settings(prepared, wanted, how), wanted.data)
    if model.health:
        show.note(line(type(model.health).of(samples.x), model.health))
    document = {
        "grid": str(written[0]),
        "images": [str(path) for path in singles],
        "array": str(array) if array else None,
        "sampler": prepared.sampler,
        "steps": prepared.job.steps,
        "evaluations": samples.evaluations,
        "seconds": seconds,
        "images_per_second": count / seconds,
        "mean": samples.x.mean().item(),
        "std": samples.x.std().item(),
    }
    what = model.items.kind.name
    took = f", {samples.evaluations:.0f} evaluations each" if prepared.adaptive else ""
    lines = [f"{count} {what} in {duration(seconds)}, {count / seconds:.1f} {what}/s{took}", *map(str, written)]
    lines += [f"{singles[0]} ... {singles[-1]}"] if singles else []
    show.result(document, [*lines, f"next: diffcli visualize reverse {argument(model.target)}"])


def _draw(prepared: "Prepared", batch: int, frames: int, show: "Show", crew: "Crew") -> "Samples":
    """All items of the job, with so many frames, behind a bar."""
    from diffcli.core.diffusion.job import spread
    from diffcli.sampling.draw import drawn

    job, count = prepared.job, prepared.count
    total, first, told = job.steps * count, min(count, batch or job.batch), prepared.sampler != "ddpm"
    began = time.monotonic()
    with show.progress("sampling", total) as bar:
        for advance in drawn(prepared, batch, spread(job.steps, frames) if frames else (), crew):
            bar.update(advance.done)
            if not told and advance.done >= 3 * first:
                left, told = (time.monotonic() - began) * (total / advance.done - 1), True
                if left > SLOW:
                    bar.note(f"this takes about {left:.0f} s; --ddim takes {left * 50 / job.steps:.0f} s")
            samples = advance.samples
    assert samples is not None
    return samples
