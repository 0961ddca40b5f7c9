"""One training, from an assignment to its last checkpoint, with what is said of it on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from diffcli.commands import training_report
from diffcli.system.shell import argument

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.ranks.launch import Team
    from diffcli.runs.assignment import Assignment
    from diffcli.runs.session import Session


class Ended(NamedTuple):
    """A training that has come to its end: the run's folder and its last checkpoint."""

    session: "Session"
    folder: Path
    saved: Path


def trained(
    assignment: "Assignment", words: str, show: "Show", team: "Team | None", others: Callable[[], float | None],
    *, choose: bool, dry_run: bool,
) -> Ended | None:  # fmt: skip
    """Train what is assigned; None where it is a dry run. Raises typer.Exit where the user stops it.

    words:   of the command that goes on with the run
    others:  tells how many cores something else keeps busy
    choose:  whether one process may do what the team could
    """
    from diffcli.console.interrupts import Interrupts
    from diffcli.runs.assignment import opened
    from diffcli.runs.together import check_count, sharing

    with opened(assignment) as session, sharing(session, assignment, team, choose=choose) as seconds_per_step:
        announced = training_report.announced(session, seconds_per_step, others)
        for line in (*session.notes, *check_count(session), *announced):
            show.note(line)
        if dry_run:
            training_report.dry_run(session, seconds_per_step, assignment.setting.out, show)
            return None
        folder = session.begin()
        if team is not None:
            team.remember("run", str(folder))
        show.note(f"run: {folder}   (Ctrl-C saves and stops; {words} --resume {argument(folder)} goes on)")
        with Interrupts() as wanted:
            session.prepare(seconds_per_step)
            saved = training_report.shown(session, lambda: wanted.code != 0, show)
        if not session.complete:
            show.note(f"saved at step {session.trainer.step}; go on with: {words} --resume {argument(folder)}")
            raise typer.Exit(wanted.code)
    return Ended(session, folder, saved)
