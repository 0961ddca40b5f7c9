"""What followers are handed in tests: functions with their arguments, which can be pickled by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from diffcli.ranks import launch
from diffcli.ranks.group import Group, join, leave
from diffcli.ranks.launch import Follower, Place, Team

COUNT = 2


@dataclass(frozen=True)
class Together:
    """A function of a group, done by every rank; what followers find goes back through the store."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    name: str

    def __call__(self, follower: Follower) -> None:
        torch.set_num_threads(1)
        group = join(follower.place, follower.store, torch.device("cpu"), name=self.name)
        try:
            follower.store.set(f"found/{follower.place.rank}", repr(self.function(group, *self.arguments)))
        finally:
            leave()


def every_rank(team: Team, function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """What rank 0 finds, and the text of what rank 1 does."""
    name = f"group {team.handed}"
    team.hand(Together(function, arguments, name))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    group = join(Place(0, COUNT), team.store, torch.device("cpu"), team, name)
    try:
        return function(group, *arguments), team.store.get("found/1").decode()
    finally:
        team.store.delete_key("found/1")
        leave()
        torch.set_num_threads(threads)


__all__ = ["Group", "Together", "every_rank", "launch"]
