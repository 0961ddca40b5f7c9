"""diffcli sample --invert"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.sampling.options import SamplingOptions


def run(
    target: str | None, wanted: "SamplingOptions", image: Path, out: Path | None, array: Path | None, show: "Show"
) -> None:
    """An image to its noise and back by DDIM, for each number of steps; picture, latent and errors."""
    from diffcli.pictures.figures import write_figure
    from diffcli.pictures.grid import save_array
    from diffcli.pictures.inversion import inversion_figure
    from diffcli.sampling.from_images import picture
    from diffcli.sampling.inversion import numbers_of_steps, prepared_for_inversion, round_trips
    from diffcli.system.files import fresh_place

    prepared = prepared_for_inversion(target, wanted)
    if prepared.guidance != 1:
        show.note(f"note: with guidance {prepared.guidance:g} an image does not come back; 1 inverts best")
    for note in prepared.model.notes:
        show.note(f"note: {note}")
    x0, ladder = picture(image, prepared.model.items), numbers_of_steps(prepared, wanted.steps)
    trips = []
    with fresh_place(out, "invert", "inversion.png") as place, show.progress("inverting", sum(ladder)) as bar:
        for trip in round_trips(prepared, x0, ladder):
            trips.append(trip)
            bar.update(sum(ladder[: len(trips)]))
        errors = [(trip.steps, trip.error) for trip in trips]
        write_figure(inversion_figure(x0, trips[-1].latent, [trip.back for trip in trips], errors), place.picture)
        if array:
            save_array(array, trips[-1].latent)
    rows: list[dict[str, Any]] = [
        {
            "steps": trip.steps,
            "error": trip.error,
            "latent_mean": trip.latent.mean().item(),
            "latent_std": trip.latent.std().item(),
        }
        for trip in trips
    ]
    document = {"figure": str(place.picture), "array": str(array) if array else None, "errors": rows}
    lines = [
        "error per value after the way to noise and back, in units where black is 0 and white is 1 (DDIM, table 2)"
    ]
    lines += [f"{'steps':>6}   {'squared error':>13}   {'latent mean':>11}   {'latent std':>10}"]
    lines += [
        f"{r['steps']:>6}   {r['error']:>13.3g}   {r['latent_mean']:>11.3f}   {r['latent_std']:>10.3f}" for r in rows
    ]
    show.result(document, [*lines, str(place.picture), *([str(array)] if array else [])])
