"""diffcli visualize weights"""

from typing import Annotated, Optional

import typer

from diffcli.console import options

USUAL = "cosine"  # the schedule whose draws are weighed, unless told


def weights(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[NAME...]", help="Weightings to show.  [all]")
    ] = None,
    schedule: Annotated[
        str, typer.Option("--schedule", metavar="NAME[,KEY=VALUE...]", help="Whose levels training draws.")
    ] = USUAL,
    impl: options.Impl = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """How each loss weighs the levels. On its own, and with the levels that a schedule draws."""
    from diffcli import plugins
    from diffcli.console.show import Show
    from diffcli.lessons.diffusion.pictures import weightings_figure
    from diffcli.lessons.diffusion.weightings import document, lines, weighed_levels
    from diffcli.pictures.figures import write_figure
    from diffcli.system.files import fresh_place

    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    found = weighed_levels(schedule, names)
    with fresh_place(out, "weights", "weights.png") as place:
        write_figure(weightings_figure(found.log_snr, found.weights, found.density, schedule), place.picture)
    show.result(
        {"figure": str(place.picture), **document(found)},
        [*lines(found), "", str(place.picture), "next: diffcli train --set weighting=min-snr"],
    )
