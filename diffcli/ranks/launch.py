"""The processes that work together. Rank 0 runs the command; the others follow it, and do what it hands them.

They are started here, one for each core or GPU of this machine, or by torchrun on any number of machines; either way
they know each other by torchrun's environment variables, and speak through torch's store. Importing this is cheap.
"""

import contextlib
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any

from diffcli.errors import EnvironmentProblem, Problem, UsageProblem

FOREVER = timedelta(days=365)  # rank 0 may compute for long between two pieces of work
MEET = timedelta(minutes=5)
MOST = 1024
PARTING = 2.0  # seconds that followers have to end by themselves, all together


@dataclass(frozen=True)
class Place:
    """Which of the processes this is, by torchrun's environment variables.

    rank:     0 ... count - 1, over all machines
    local:    the same on this machine
    attempt:  how often torchrun has started all of them again
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    attempt: int = 0

    @property
    def launched(self) -> bool:
        """Whether others were started with this process."""
        return self.count > 1


def place() -> Place:
    """This process, as torchrun or a leader on this machine has started it; alone unless all is said."""
    said = os.environ
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= said.keys():
        return Place()
    names = {"rank": "RANK", "count": "WORLD_SIZE", "local": "LOCAL_RANK", "attempt": "TORCHELASTIC_RESTART_COUNT"}
    try:
        return Place(**{key: int(said.get(name, "0")) for key, name in names.items()})
    except ValueError:
        raise UsageProblem("RANK, WORLD_SIZE and LOCAL_RANK are set, but not to numbers", "unset them") from None


@dataclass(frozen=True)
class Follower:
    """What a follower knows when it is handed work: the store, and who it is."""

    store: Any
    place: Place


Work = Callable[[Follower], None]
"""What followers are handed: anything that can be pickled and called."""


@dataclass
class Team:
    """Rank 0 and its followers, seen from rank 0.

    children:  those that were started here, by rank; none under torchrun
    errors:    what each of them printed
    """

    store: Any
    count: int
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    errors: dict[int, IO[bytes]] = field(default_factory=dict)
    handed: int = 0

    def hand(self, work: Work) -> None:
        """Let every follower do this, after what it was handed before."""
        self.store.set(f"work/{self.handed}", pickle.dumps(work))
        self.handed += 1

    def remember(self, name: str, value: str) -> None:
        """Leave a word for the time after torchrun has started all processes again."""
        self.store.underlying_store.set(f"diffcli/{name}", os.fsencode(value))

    def recall(self, name: str) -> str | None:
        """The word that was left before torchrun started all processes again; None where none was."""
        store, key = self.store.underlying_store, f"diffcli/{name}"
        return os.fsdecode(store.get(key)) if place().attempt and store.check([key]) else None

    def meet(self, key: str) -> None:
        """Wait until every follower has set `key`; raises the problem of one that has ended instead."""
        for rank in range(1, self.count):
            while not self.store.check([f"{key}/{rank}"]):
                if problem := self.trouble():
                    raise problem
                time.sleep(0.01)

    def trouble(self) -> Problem | None:
        """Why a follower has ended, if one has."""
        for rank in range(1, self.count):
            if self.store.check([f"failed/{rank}"]):
                return _sent(self.store.get(f"failed/{rank}"))
        for rank, how in self.ended().items():
            return EnvironmentProblem(f"process {rank} of {self.count} {how}")
        return None

    def ended(self) -> dict[int, str]:
        """Followers on this machine that have ended before they were dismissed, and how, by rank."""
        codes = {rank: child.poll() for rank, child in self.children.items()}
        return {rank: _ending(code, self.errors[rank]) for rank, code in codes.items() if code}

    def dismiss(self, patience: float = PARTING) -> None:
        """Let the followers end, by themselves within some seconds; those on this machine have when this returns."""
        with contextlib.suppress(Exception):  # the store is gone if the followers' machine is
            self.store.set(f"work/{self.handed}", b"")
        last = time.monotonic() + patience
        for child in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, last - time.monotonic()))
        for child in self.children.values():
            if child.poll() is None:
                child.kill()
                child.wait()
        for errors in self.errors.values():
            errors.close()


_led: list[Team] = []


@contextlib.contextmanager
def team(count: int, *, threads: int = 1, early: str = "torch") -> Iterator[Team]:
    """Rank 0 with `count - 1` followers, which are dismissed at the end.

    Under torchrun the followers are there, and `count` must be their number; else they are started here, and import
    while the caller does.

    threads:  that each follower computes with
    early:    module that followers import before they are handed anything
    """
    if not 1 <= count <= MOST:
        raise UsageProblem(f"--devices must be from 1 to {MOST}, not {count}", "or auto")
    here = place()
    if here.launched and _led:  # torchrun's processes are one team, for as long as the command runs
        yield _led[0]
        return
    if here.launched:
        found = Team(_joined(here), here.count)
        _led.append(found)
        try:
            yield found
        finally:
            _led.clear()
            found.dismiss()
        return
    found, patience = Team(None, count), 0.0  # an error or an interrupt is told at once
    try:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(count)
            port = listening.getsockname()[1]
            for rank in range(1, count):
                found.errors[rank] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `dismiss`
                found.children[rank] = _started(Place(rank, count, rank), port, threads, early, found.errors[rank])
            from torch.distributed import TCPStore  # type: ignore[attr-defined]

            store = TCPStore(
                "127.0.0.1", port, None, is_master=True, timeout=FOREVER, wait_for_workers=False,
                master_listen_fd=listening.detach(),
            )  # fmt: skip
        found.store = _namespace(store, Place())
        yield found
        patience = PARTING
    finally:
        found.dismiss(patience)


def _started(who: Place, port: int, threads: int, early: str, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """A follower on this machine."""
    told = {
        "RANK": who.rank, "WORLD_SIZE": who.count, "LOCAL_RANK": who.local, "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port, "OMP_NUM_THREADS": threads,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "diffcli.ranks.launch", early, str(os.getpid())],
        env=os.environ | {name: str(value) for name, value in told.items()},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
    )  # fmt: skip


def _joined(here: Place) -> Any:
    """The store of torchrun's processes, or of those that a scheduler has started with the same variables."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    hosted = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        store = TCPStore(
            host, port, None, is_master=here.rank == 0 and not hosted, timeout=MEET, wait_for_workers=False
        )
    except Exception as error:  # DistError, RuntimeError, by the version of torch
        raise EnvironmentProblem(f"cannot reach rank 0 at {host}:{port}: {one_line(error)}") from None
    store.set_timeout(FOREVER)
    return _namespace(store, here)


def _namespace(store: Any, here: Place) -> Any:
    """A part of the store that nobody else writes to: torchrun keeps its own when it starts all of them again."""
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    return PrefixStore(f"diffcli/{here.attempt}", store)


def follow() -> int:
    """Do what rank 0 hands on until it dismisses this process; the exit code."""
    here = place()
    _end_with_rank_0(os.getppid())
    store = _joined(here)
    for number in itertools.count():
        try:
            message = store.get(f"work/{number}")
        except Exception:  # rank 0 is gone
            return 0
        if not message:
            return 0
        try:
            pickle.loads(message)(Follower(store, here))
        except Exception as error:
            with contextlib.suppress(Exception):
                store.set(f"failed/{here.rank}", pickle.dumps(_to_send(error)))
            return error.exit_code if isinstance(error, Problem) else 70
    return 0


def _to_send(error: Exception) -> tuple[str, str, str | None]:
    """Class, message and hint: not every exception can be pickled."""
    if isinstance(error, Problem):
        return type(error).__name__, error.message, error.hint
    return "EnvironmentProblem", f"{type(error).__name__}: {one_line(error)}", None


def _sent(message: bytes) -> Problem:
    from diffcli import errors

    name, text, hint = pickle.loads(message)
    found: Problem = getattr(errors, name)(text, hint)
    return found


def _ending(code: int, errors: IO[bytes]) -> str:
    """How a process ended, with its last words."""
    if code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"was killed by {name}"
    errors.seek(0)
    words = errors.read().decode(errors="replace").strip().splitlines()
    return f"ended with exit code {code}" + (f": {words[-1]}" if words else "")


def _end_with_rank_0(parent: int) -> None:
    """Leave it to rank 0 what Ctrl-C means; and end with whoever started this process, unless that is torchrun."""
    torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 is told, too, and decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL if torchrun else signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux" and not torchrun:
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it has ended already
        sys.exit(0)


def one_line(error: BaseException) -> str:
    """The first line of what an error says, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    import importlib

    _end_with_rank_0(int(sys.argv[2]))  # before what takes time
    importlib.import_module(sys.argv[1])
    from diffcli.ranks import launch  # what is pickled belongs to this module, not to __main__

    sys.exit(launch.follow())
