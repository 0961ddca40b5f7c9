"""Which options stand on the command line, and refusals of those that would change nothing there."""

from collections.abc import Iterable

import typer

from diffcli.errors import UsageProblem


def given(context: typer.Context) -> dict[str, str]:
    """The options that somebody has written, whatever their values: parameter -> flag, as label -> --class."""
    return {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if parameter.name
        and parameter.param_type_name == "option"
        and (source := context.get_parameter_source(parameter.name))
        and source.name == "COMMANDLINE"
    }


def refuse_idle(context: typer.Context, idle: Iterable[str], beside: str, hint: str = "leave it out") -> None:
    """Raise UsageProblem if one of these parameters was written where it changes nothing.

    beside:  what makes it idle: "with --plan, which draws nothing"
    """
    written = given(context)
    for name in idle:
        if name in written:
            raise UsageProblem(f"{written[name]} changes nothing {beside}", hint)
