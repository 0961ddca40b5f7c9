"""One training by several processes: what the followers are handed, and whether they are worth it."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffcli import plugins
from diffcli.errors import UsageProblem
from diffcli.ranks.count import threads_each
from diffcli.ranks.group import ALONE, join, leave
from diffcli.ranks.launch import Follower, Team, place
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.listing import checkpoints
from diffcli.runs.session import Session
from diffcli.system.cores import busy_cores
from diffcli.system.device import out_of_memory, own_device
from diffcli.training.families import FAMILIES
from diffcli.training.recipes import from_dict, to_dict
from diffcli.training.trainer import BY_STEP

BUSY = 0.25  # of a core: then threads that wait for each other lose more than a probe of seconds shows
WORTH_WHEN_BUSY = 1.5  # how much longer the ranks' step may be where others work, too


@dataclass(frozen=True)
class Following:
    """What a follower does: the same training as rank 0, without writing.

    assignment:  without its recipe
    recipe:      as plain values, since a plug-in's keys are of a class that cannot be pickled; None of a resume
    impl:        files of plug-ins
    threads:     to compute with
    """

    assignment: Assignment
    recipe: dict[str, Any] | None
    impl: tuple[Path, ...]
    threads: int

    @classmethod
    def of(cls, wanted: Assignment, threads: int) -> "Following":
        """What followers of this assignment do, with the plug-ins that are loaded here."""
        recipe = None if wanted.recipe is None else to_dict(wanted.recipe)
        impl = tuple(plugin.path for plugin in plugins.loaded())
        return cls(dataclasses.replace(wanted, recipe=None), recipe, impl, threads)

    def __call__(self, follower: Follower) -> None:
        plugins.load(self.impl)
        torch.set_num_threads(self.threads)
        device = own_device(self.assignment.setting.device, follower.place.local)
        wanted = self.assignment
        recipe = None if self.recipe is None else from_dict(FAMILIES[wanted.family].recipe(), self.recipe)
        setting = dataclasses.replace(wanted.setting, device=device)
        with opened(dataclasses.replace(wanted, setting=setting, recipe=recipe, follows=True)) as session:
            group = join(follower.place, follower.store, device)
            try:
                session.check_like(group)
                session.join(group)
                seconds_per_step = session.probe()
                if group.told(None):
                    session.begin()
                    session.prepare(seconds_per_step)
                    for _ in session.run():
                        pass
            finally:
                leave()


def begun_before(team: Team | None) -> str | None:
    """The run that these processes had begun when torchrun started them again; None where none has a checkpoint."""
    found = team.recall("run") if team else None
    if found is None or checkpoints(Path(found)):
        return found
    shutil.rmtree(found, ignore_errors=True)  # it had not come as far as a checkpoint
    return None


@contextlib.contextmanager
def sharing(session: Session, wanted: Assignment, team: Team | None, *, choose: bool) -> Iterator[float]:
    """Let the team train with the session inside; the seconds per step, as probed.

    Raises the problem of a process that has ended.

    choose:  whether to go on alone where that is faster; never where one device could not
    """
    if team is None or team.count == 1:
        yield session.probe()
        return
    if session.trainer.randomness == BY_STEP:
        raise UsageProblem(
            "this run was begun when a step's random numbers were those of one process", "go on with --devices 1"
        )
    if session.recipe.batch < team.count:
        raise UsageProblem(
            f"{team.count} processes cannot share a batch of {session.recipe.batch}",
            "fewer --devices, or a larger --batch",
        )
    if session.recipe.shard and session.recipe.batch % team.count:
        raise UsageProblem(
            f"{team.count} processes that share weights need equal parts, and {session.recipe.batch} has none",
            f"use a --batch that is a multiple of {team.count}, or other --devices",
        )
    own, threads = torch.get_num_threads(), threads_each(team.count)
    resolved = wanted if wanted.recipe is None else dataclasses.replace(wanted, recipe=session.recipe)
    team.hand(Following.of(resolved, threads))
    group = join(dataclasses.replace(place(), count=team.count), team.store, session.device, team)
    try:
        torch.set_num_threads(threads)
        session.check_like(group)
        session.join(group)
        together = session.probe()
        seconds_per_step = _chosen(session, together, own) if choose and not session.recipe.shard else together
        group.told(session.group.count > 1)
        if session.group.count == 1:
            leave()
        yield seconds_per_step
    except RuntimeError as error:
        apart = type(error) is RuntimeError or isinstance(error, torch.distributed.DistError)
        if session.group.count == 1 or not apart or out_of_memory(error):
            raise
        raise session.lost(error) from error
    finally:
        leave()
        torch.set_num_threads(own)


def _chosen(session: Session, together: float, threads: int) -> float:
    """The seconds per step of what is faster, and the session put to it: the ranks, or one process with all threads."""
    group, ranks_threads = session.group, torch.get_num_threads()
    torch.set_num_threads(threads)
    session.join(ALONE)
    alone = session.probe()
    busy = (busy_cores() or 0.0) > BUSY
    if together > alone * (WORTH_WHEN_BUSY if busy else 1.0):
        return alone
    torch.set_num_threads(ranks_threads)
    session.join(group)
    return together


def check_count(session: Session) -> list[str]:
    """What to say where a run is gone on with by another number of processes."""
    before, count = session.ranks_before, session.group.count
    if before in (0, count):
        return []
    return [f"note: {before} trained this run so far, now {count} do: what comes is the same within rounding only"]
