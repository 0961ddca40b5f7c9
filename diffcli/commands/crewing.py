"""The option --devices of commands whose work is done in pieces."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.ranks.sharing import Crew

EARLY = "diffcli.sampling.sharing"  # what the processes import while this one still looks at its options


def crew_of(context: typer.Context, devices: str, device: str, show: "Show") -> "Crew":
    """The processes that share the work of a command, until it ends.

    Raises UsageProblem for what is no number of processes, EnvironmentProblem where there are fewer GPUs.
    """
    from diffcli.ranks.sharing import crew

    return context.with_resource(crew(devices, device, show.note, EARLY))
