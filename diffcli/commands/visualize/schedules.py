"""diffcli visualize schedules"""

from typing import Annotated, Optional

import typer

from diffcli.console import options


def schedules(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[NAME[,KEY=VALUE...]]...", help="Schedules; default all.")
    ] = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """All noise schedules in one plot: log-SNR over time, and where over the log-SNR they spend it."""
    import torch

    from diffcli import specs
    from diffcli.console.show import Show, table
    from diffcli.core.diffusion.schedules import SCHEDULES
    from diffcli.pictures.curves import schedules_figure
    from diffcli.system.files import fresh_place

    show = Show(as_json=as_json, quiet=quiet)
    chosen = {name: specs.schedule(name) for name in names or SCHEDULES}
    rows = []
    for name, schedule in chosen.items():
        first, last = (schedule(torch.tensor(t, dtype=torch.float64)) for t in (schedule.first, 1.0))
        rows.append(
            {
                "name": name,
                "entries": schedule.length,
                "log_snr_first": first.log_snr.item(),
                "log_snr_last": last.log_snr.item(),
                "alpha_last": last.alpha.item(),
                "sigma_last": last.sigma.item(),
            }
        )
    with fresh_place(out, "schedules", "schedules.png") as place:
        schedules_figure(place.picture, chosen)
    cells = [
        [
            str(row["name"]),
            str(row["entries"] or "continuous"),
            *(f"{row[key]:.4g}" for key in ("log_snr_first", "log_snr_last", "alpha_last", "sigma_last")),
        ]
        for row in rows
    ]
    titles = ["schedule", "entries", "first log SNR", "last log SNR", "last alpha", "last sigma"]
    lines = table(titles, cells, right=range(2, 6))
    show.result(
        {"figure": str(place.picture), "schedules": rows},
        [*lines, str(place.picture), "next: diffcli visualize forward --schedule NAME"],
    )
