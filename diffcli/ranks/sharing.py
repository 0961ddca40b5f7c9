"""Work in pieces, of which every process takes one whenever it is free.

The pieces are the same whatever the number of processes, and so is what they make. Who has a busy neighbour on its
core takes fewer, and who dies costs nothing but time: rank 0 does its pieces. Imports nothing heavy.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.ranks import launch
from diffcli.ranks.count import processes, threads_each
from diffcli.ranks.launch import Place, Team
from diffcli.ranks.pieces import LOOK, Books, Do, Pieces, Shareable
from diffcli.system.cores import physical_cores, watch

WORTH = 15.0  # seconds of work left from which on other processes are started: that takes them five
BUSY = 0.25  # of a core: threads wait for each other, and all of them for the one whose core is not free
SURE = 1.0  # seconds after which the pace is known
MOST_STARTED = 16  # by itself: each takes half a gigabyte of memory

Found = TypeVar("Found")


class Shared(NamedTuple, Generic[Found]):
    """How far all pieces together are, in pieces; and one that is ready, once each, in the order in which they are."""

    done: float
    piece: int = -1
    found: Found | None = None


@dataclass
class Crew:
    """The processes that share the work of a command, seen from rank 0. Made by `crew`; `Crew()` is alone.

    device:  of the command, by name
    more:    whether others may be started when there is enough to do
    tell:    where a sentence for the user goes
    early:   module that others import while they wait
    busy:    how many cores something else has kept busy so far, if that is known
    most:    processes that there is a core or GPU for; 0 where nobody has asked yet
    calm:    threads to compute with from the first work on, to the end of the command, so that each has a core
    lost:    ranks that have ended
    """

    device: str = "cpu"
    more: bool = False
    tell: Callable[[str], None] = lambda _: None
    early: str = "torch"
    busy: Callable[[], float | None] = lambda: None
    most: int = 0
    calm: int | None = None
    team: Team | None = None
    lost: set[int] = field(default_factory=set)
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    works: int = 0

    def shared(self, work: Callable[[], Shareable], do: Do[Found], pieces: int) -> Iterator[Shared[Found]]:
        """All pieces, 0 ... `pieces` - 1, done here by `do`, and by others by what `work` makes there.

        What fails there is done again here, and fails here if it must.

        work:  makes what is told to others, if there are any
        """
        books: Books[Found] = Books(pieces)
        if self.more and not self.most:
            self.most = useful(self.device)
        with contextlib.ExitStack() as closing:
            if self.team and pieces > 1:
                self._open(self.team, books, work, closing)
            elif self.more and self.calm is None:
                self.calm = self.held.enter_context(_threads(fewer=math.ceil((self.busy() or 0.0) - BUSY)))
            while len(books.found) < pieces:
                piece = books.take()
                if piece is None:
                    time.sleep(LOOK)
                    yield from self._others(books)
                    continue
                for share, found in do(piece):
                    if found is not None:
                        self._keep(books, piece)
                        yield Shared(books.done, piece, found)
                        break
                    books.share = share
                    yield from self._others(books)
                    if piece in books.found:
                        break
                    if self.more and self._worth_it(books) and (team := self._started(books)):
                        self._open(team, books, work, closing)

    def _open(
        self, team: Team, books: Books[Found], work: Callable[[], Shareable], closing: contextlib.ExitStack
    ) -> None:
        """Let the others take pieces, until `closing` closes."""
        self.works += 1
        books.open(team.store, f"shared/{self.works}", team.count, work())
        team.hand(Pieces(books.key, books.pieces))
        closing.callback(books.close)
        self.held.callback(books.close)  # an interrupt may come while nobody asks for more
        if team.children:  # who was started by somebody else has the threads that were given to it
            closing.enter_context(_threads(most=threads_each(team.count)))

    def _others(self, books: Books[Found]) -> Iterator[Shared[Found]]:
        """What others have done since the last look, and how far all is."""
        if self.team is None:
            yield Shared(books.done)
            return
        for piece, found in books.arrived():
            yield Shared(books.done, piece, found)
        yield Shared(books.done)
        for rank, how in self.team.ended().items():
            if rank not in self.lost:
                self.lost.add(rank)
                self.tell(f"note: process {rank} of {self.team.count} {how}; the others do its part")
                books.hurry = True
        for why in books.gave_up():
            self.tell(f"note: {why}")

    def _keep(self, books: Books[Found], piece: int) -> None:
        """A piece was done here."""
        books.keep(piece)
        if piece in books.failed:
            self.tell(f"note: {books.failed[piece]}; its part was done here")

    def _worth_it(self, books: Books[Found]) -> bool:
        """Whether so much is left that others should be started."""
        seconds = time.monotonic() - books.began
        if seconds < SURE or not books.done or books.taken >= books.pieces:
            return False
        return seconds * (books.pieces / books.done - 1) > WORTH

    def _started(self, books: Books[Found]) -> Team | None:
        """Others, started now, with a piece for each."""
        self.more = False
        count = min(self.most, books.pieces - books.taken + 1, MOST_STARTED)
        if count > 1:
            self.tell(f"note: {count} processes share the work")
            self.team = self.held.enter_context(launch.team(count, threads=threads_each(count), early=self.early))
        return self.team


class Share(Protocol):
    """How pieces are done, 0 ... `pieces` - 1: here by `do`, or by others, too."""

    def __call__(self, do: Do[Found], pieces: int) -> Iterator[Shared[Found]]: ...


def alone(do: Do[Found], pieces: int) -> Iterator[Shared[Found]]:
    """All pieces, done here."""
    for piece in range(pieces):
        for share, found in do(piece):
            yield Shared(piece + share, piece if found is not None else -1, found)


@contextlib.contextmanager
def crew(devices: str, device: str, tell: Callable[[str], None], early: str = "torch") -> Iterator[Crew]:
    """The processes that share a command's work; at the end the others end, too.

    devices:  how many processes; "auto" starts others when there is enough to do for them
    device:   auto, cpu, cuda, ...
    early:    module that others import before they are handed anything

    Raises UsageProblem for what is no number, EnvironmentProblem where there are fewer GPUs.
    """
    count, _ = processes(devices, device, worth=False)
    with contextlib.ExitStack() as held:
        found = Crew(device, devices == "auto" and count == 1, tell, early, watch(), held=held)
        if count > 1:
            found.team = held.enter_context(launch.team(count, threads=threads_each(count), early=early))
            check_devices(device, count)
        yield found


def check_devices(device: str, count: int) -> None:
    """Raise EnvironmentProblem unless there is a GPU for each process of this machine, if they are to have one."""
    from diffcli.system.device import pick

    kind = pick(device)
    if kind.type == "cpu" or launch.place().launched:
        return
    if kind.index is not None:
        raise UsageProblem(f"--device {device} is one device, and --devices {count} asks for more", "use --device cuda")
    if (there := useful(device)) < count:
        are = "is 1 GPU" if there == 1 else f"are {there} GPUs"
        raise EnvironmentProblem(f"there {are} here, not {count}", f"use --devices {there}, or auto")


def useful(device: str) -> int:
    """How many processes this machine has use for: one for each GPU, or for each core that torch may use."""
    import torch

    from diffcli.system.device import pick

    kind = pick(device)
    if kind.type == "cpu":
        return min(physical_cores(), torch.get_num_threads())
    return torch.cuda.device_count() if kind.type == "cuda" and kind.index is None else 1


def own_device(device: str, here: Place) -> str:
    """The device of a process, by name: of several GPUs the one with its number; the processor is everybody's."""
    import torch

    if device not in ("auto", "cuda") or torch.cuda.device_count() < 2:
        return device
    return f"cuda:{here.local % torch.cuda.device_count()}"


@contextlib.contextmanager
def _threads(most: int = 1024, fewer: int = 0) -> Iterator[int]:
    """Compute with fewer threads inside, because the other cores are busy; how many are left."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(most, before - max(0, fewer))))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
