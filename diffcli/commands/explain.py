"""diffcli explain"""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from diffcli.learn.catalogue import Exercise
    from diffcli.learn.equations import Equation

MARGIN = 10  # characters in front of what a line says


def explain(
    question: Annotated[
        Optional[list[str]], typer.Argument(metavar="[EQUATION]...", help="As in ddpm eq 7, or in words: posterior.")
    ] = None,
    every: Annotated[bool, typer.Option("--list", help="List all, or those that the words say something for.")] = False,
    as_json: options.Json = False,
) -> None:
    """An equation of a paper: what it says, our code, its checks."""
    from diffcli.console.show import Show
    from diffcli.learn.catalogue import all_tasks, exercises_of
    from diffcli.learn.equations import Found, equations, found

    show = Show(as_json=as_json)
    asked = " ".join(question or [])
    if not asked.strip() and not every:
        raise UsageProblem("which equation?", 'diffcli explain "ddpm eq 7", or in words; --list shows them all')
    result = found(asked) if asked.strip() else Found(list(equations()), [], {})
    for slip, word in result.slips.items():
        show.note(f"'{slip}' is taken for '{word}'")
    exercises = list(exercises_of(all_tasks()))
    shown, also = result.shown, result.also
    if every:
        shown, also = [*shown, *also], []
    document = {"equations": [row(one, exercises) for one in shown], "also": [one.name for one in also]}
    brief = every or len(shown) > 2
    lines = listed(shown) if brief else [line for one in shown for line in [*told(one, exercises), ""]]
    show.result(document, [*lines, *ending(shown, also, brief)])


def listed(equations: "list[Equation]") -> list[str]:
    """A table: where each stands, what it is, and the code."""
    from diffcli.console.show import table

    rows = [[one.name, one.title, one.code[0].rpartition(":")[2]] for one in equations]
    return table(["ask for", "what it is", "code"], rows, wraps=[1])


def told(one: "Equation", exercises: "list[Exercise]") -> list[str]:
    """All of an entry."""
    from diffcli.console.show import wrapped
    from diffcli.learn.equations import exercises_on, located
    from diffcli.system.shell import argument

    code = [located(place) for place in one.code]
    checks = [f"diffcli verify {argument(name)}" for name in one.checks] or ["none of verify; the tests hold it"]
    about = [f"diffcli learn show {argument(exercise.id)}" for exercise in exercises_on(one, exercises)]
    parts = {
        "in code": "\n".join(f"{file}:{line}  {name}" for file, name, line in code),
        "symbols": one.here,
        "checks": "\n".join(checks),
        "exercise": "\n".join(about),
        "papers": "\n".join(paper.reference for paper in one.papers),
    }
    text = [part for line in one.text.split("\n") for part in fitted(line)]
    lines = [one.title, *wrapped(one.source, 2), "", *text, ""]
    for head, said in parts.items():
        first, *rest = wrapped(said, MARGIN) if said else [""]
        lines += [head + first[len(head) :], *rest] if first else []
    return lines


def fitted(line: str) -> list[str]:
    """A line of an equation, in more where the terminal is narrower: broken where three blanks stand."""
    from diffcli.system.text import width

    lines: list[str] = []
    for part in line.split("   "):
        gap = " " if part[0] in "+−=·/" else "   "  # the same formula goes on
        if lines and len(lines[-1] + gap + part) <= width():
            lines[-1] += gap + part
        else:
            lines.append(" " * (8 if lines else 4) + part)
    return lines


def ending(shown: "list[Equation]", also: "list[Equation]", brief: bool) -> list[str]:
    """What is near, or the next useful command."""
    from diffcli.system.shell import command_line

    if also:
        return ["near it:", *listed(also)]
    return ["", f"{len(shown)} equations; next: diffcli {command_line(['explain', shown[0].name])}"] if brief else []


def row(one: "Equation", exercises: "list[Exercise]") -> dict[str, Any]:
    """What --json says of an entry."""
    from diffcli.learn.equations import exercises_on, located

    return {
        "name": one.name, "title": one.title, "source": one.source, "places": [str(place) for place in one.places],
        "papers": {paper.nickname: paper.reference for paper in one.papers}, "text": one.text, "symbols": one.here,
        "code": [located(place)._asdict() for place in one.code], "checks": list(one.checks),
        "exercises": [exercise.id for exercise in exercises_on(one, exercises)],
    }  # fmt: skip
