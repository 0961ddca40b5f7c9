"""The processes that train one model together: which part of a batch is whose, and what they tell each other."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from diffcli.errors import EnvironmentProblem
from diffcli.ranks.launch import Place, Team

SILENCE = timedelta(minutes=30)  # that a rank may keep, as rank 0 does while it looks at samples


@dataclass(frozen=True)
class Group:
    """The ranks of a training, seen from one of them. Alone, all that it does costs nothing.

    Everything that is summed or gathered has the same bits on every rank, so that their weights never drift apart.
    """

    rank: int = 0
    count: int = 1
    team: Team | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes and shows."""
        return self.rank == 0

    def part(self, whole: int) -> tuple[int, int]:
        """The first place of a batch of so many items that is this rank's, and how many are."""
        first = whole * self.rank // self.count
        return first, whole * (self.rank + 1) // self.count - first

    def summed(self, tensor: Tensor) -> "Sum":
        """Begin to add the tensors of all ranks, in place; the work goes on beside what the caller does next."""
        if self.count == 1:
            return Sum(tensor)
        from torch import distributed

        return Sum(tensor, distributed.all_reduce(tensor, async_op=True))

    def gathered(self, tensor: Tensor) -> Tensor:
        """The tensors [n, ...] of all ranks one behind the other, [N, ...]; n may differ."""
        if self.count == 1:
            return tensor
        from torch import distributed

        sizes = [torch.zeros((), dtype=torch.int64, device=tensor.device) for _ in range(self.count)]
        distributed.all_gather(sizes, torch.tensor(len(tensor), device=tensor.device))
        row = math.prod(tensor.shape[1:])
        flat = self.every(tensor.reshape(-1), [int(size) * row for size in sizes])
        return torch.cat([part.view(-1, *tensor.shape[1:]) for part in flat])

    def every(self, tensor: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """The tensors [sizes[rank]] of all ranks."""
        from torch import distributed

        padded = torch.nn.functional.pad(tensor, (0, max(sizes) - len(tensor)))
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded)
        return [part[:size] for part, size in zip(parts, sizes, strict=True)]

    def exchanged(
        self, tensors: Sequence[Sequence[Tensor]], shapes: Sequence[Sequence[Sequence[int]]], like: Tensor
    ) -> list[list[Tensor]]:
        """What every rank has for this one, tensors of these shapes; all of the type of `like`, and on its device.

        tensors:  what this rank has for each
        """
        from torch import distributed

        empty = like.new_empty(0)
        flat = [torch.cat([empty, *(tensor.reshape(-1) for tensor in some)]) for some in tensors]
        sizes = [[math.prod(shape) for shape in some] for some in shapes]
        sent, found = torch.cat(flat), like.new_empty(sum(map(sum, sizes)))
        distributed.all_to_all_single(found, sent, [sum(some) for some in sizes], [len(part) for part in flat])
        parts = iter(found.split([size for some in sizes for size in some]))
        return [[next(parts).view(*shape) for shape in some] for some in shapes]

    def told(self, value: Any) -> Any:
        """What rank 0 has, on every rank; it must be something that can be pickled."""
        if self.count == 1:
            return value
        from torch import distributed

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def alike(self, weights: Sequence[Tensor]) -> bool:
        """Whether all ranks have the same bits in these tensors."""
        if self.count == 1:
            return True
        marks = torch.stack([_mark(weight) for weight in weights])
        every = self.gathered(marks.unsqueeze(0))
        return bool((every == every[0]).all())

    def explained(self, error: Exception) -> Exception:
        """What has really happened where a rank could not reach another one."""
        for _ in range(50):  # the end of a connection is noticed before the end of the process
            if self.team and (problem := self.team.trouble()):
                return problem
            time.sleep(0.1)
        return EnvironmentProblem(f"process {self.rank} of {self.count} lost the others: {error}")


class Sum:
    """A sum over the ranks on its way."""

    def __init__(self, tensor: Tensor, work: Any = None) -> None:
        self._tensor, self._work = tensor, work

    def wait(self) -> Tensor:
        """The sum, when it is there."""
        if self._work is not None:
            self._work.wait()
            self._work = None
        return self._tensor


ALONE = Group()


def join(here: Place, store: Any, device: torch.device, team: Team | None = None, name: str = "training") -> Group:
    """The group of all ranks; each of them must call this. Ended by `leave`.

    team:  of rank 0, which raises the problem of a follower that does not come
    name:  of the group, where there is more than one in the life of the processes
    """
    from torch import distributed

    store.set(f"joining {name}/{here.rank}", b"here")
    if team is not None:
        team.meet(f"joining {name}")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    apart = distributed.PrefixStore(name, store)  # type: ignore[attr-defined]
    distributed.init_process_group(backend, store=apart, rank=here.rank, world_size=here.count, timeout=SILENCE)
    return Group(here.rank, here.count, team)


def leave() -> None:
    """End the group of this process, if it is in one."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _mark(weight: Tensor) -> Tensor:
    """A number [] that another tensor of the shape hardly has: its bits, summed with factors, modulo 2^63."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[weight.element_size()]
    bits = weight.detach().reshape(-1).view(whole).to(torch.int64)
    places = torch.arange(len(bits), device=bits.device) * 2862933555777941757 + 3037000493
    return ((bits + 1) * places).sum()
