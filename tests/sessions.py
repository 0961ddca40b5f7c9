"""Trainings without the command line: from a recipe to the last checkpoint, stopped and gone on with at will."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.listing import checkpoints, family_name
from diffcli.runs.session import Session, Setting
from diffcli.training.recipes import Training

CPU = torch.device("cpu")


def fresh(recipe: Training, folder: Path) -> AbstractContextManager[Session]:
    """The session of a run in `folder`, which is made when it begins."""
    return opened(Assignment(recipe.family, Setting(CPU, out=folder), recipe))


def resumed(folder: Path, **changes: Any) -> AbstractContextManager[Session]:
    """The session that goes on with the run in `folder`."""
    return opened(Assignment(family_name(folder), Setting(CPU), resume=str(folder), changes=changes))


def finish(session: Session, stop_at: int = 10**9) -> Path:
    """Train to the end, or to a step; the last checkpoint."""
    folder = session.begin()
    session.prepare(seconds_per_step=0.01)
    for _ in session.run(lambda: session.trainer.step >= stop_at):
        pass
    return checkpoints(folder)[0]


def train(recipe: Training, folder: Path, stop_at: int = 10**9) -> Path:
    """A run in `folder`, stopped at a step; its last checkpoint."""
    with fresh(recipe, folder) as session:
        return finish(session, stop_at)


def go_on(folder: Path, **changes: Any) -> Path:
    """The run in `folder` gone on with to its end; its last checkpoint."""
    with resumed(folder, **changes) as session:
        session.probe()  # as the command does: it must leave no trace
        return finish(session)


def same(a: Path, b: Path) -> bool:
    """Whether two checkpoints hold the same weights, averages, optimiser state and position, bit for bit."""
    (x, about_x), (y, about_y) = read_checkpoint(a), read_checkpoint(b)
    equal = x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)
    return equal and all(about_x[k] == about_y[k] for k in ("step", "plan", "recipe"))
