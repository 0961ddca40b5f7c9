"""diffcli visualize schedules"""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def schedules(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[NAME[,KEY=VALUE...]]...", help="Schedules; default all.")
    ] = None,
    impl: options.Impl = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """All noise schedules in one plot. log-SNR over time, and where over the log-SNR they spend it."""
    from diffcli import plugins, specs
    from diffcli.console.show import Show
    from diffcli.core.diffusion.schedules import SCHEDULES
    from diffcli.lessons.diffusion.pictures import schedules_figure
    from diffcli.lessons.diffusion.schedules import endpoint_lines, endpoints
    from diffcli.pictures.figures import write_figure
    from diffcli.system.files import fresh_place

    plugins.load(impl or ())
    show = Show(as_json=as_json, quiet=quiet)
    chosen = {name: specs.schedule(name) for name in names or SCHEDULES}
    rows = endpoints(chosen)
    with fresh_place(out, "schedules", "schedules.png") as place:
        write_figure(schedules_figure(chosen), place.picture)
    show.result(
        {"figure": str(place.picture), "schedules": rows},
        [*endpoint_lines(rows), str(place.picture), "next: diffcli visualize forward --schedule NAME"],
    )
