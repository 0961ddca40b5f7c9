"""diffcli visualize score"""

from typing import Annotated

import typer

from diffcli.console import options


def score(
    target: options.Target = None,
    columns: Annotated[int, typer.Option("--columns", help="Noise levels to show.", min=1, max=8)] = 4,
    schedule: options.Schedule = None,
    data: options.Data = None,
    impl: options.Impl = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The score of a model of points, as arrows over the density. From noise to data."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.lessons.diffusion.score_fields import score_fields
    from diffcli.pictures.fields import score_fields_figure
    from diffcli.pictures.figures import write_figure
    from diffcli.system.files import fresh_place
    from diffcli.system.shell import argument

    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    found = score_fields(target, columns, schedule, data)
    for note in found.model.notes:
        show.note(f"note: {note}")
    with fresh_place(out, "score", "score.png") as place:
        write_figure(score_fields_figure(found.rows), place.picture)
    shown = [{"alpha": v.alpha.item(), "sigma": v.sigma.item(), "log_snr": v.log_snr.item()} for v in found.levels]
    document = {"figure": str(place.picture), "levels": shown, "relative_errors": found.errors or None}
    lines = [str(place.picture), f"next: diffcli visualize reverse {argument(found.model.target)}"]
    if found.errors:
        errors = ", ".join(f"{error:.3f}" for error in found.errors)
        lines.insert(0, f"relative error of the score, noise to data: {errors}")
    show.result(document, lines)
