"""Who does which piece of some work: rank 0's books, what followers are handed, and how results travel."""

import contextlib
import math
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from diffcli.ranks.launch import Follower, Place, one_line

LOOK = 0.05  # seconds between two looks at what others do: one takes a tenth of a millisecond
LATE = 2.0  # times the longest piece after which one is done again, by rank 0 when it has nothing else to do
PATIENCE = 5.0  # seconds that it waits at least
CHUNK = 4 << 20  # bytes: torch's store refuses messages above 8 MiB
WHOLE = 1000  # units that the progress of a piece is told in

Found = TypeVar("Found")
Do = Callable[[int], Iterator[tuple[float, Found | None]]]
"""The number of a piece -> the share of it that is done, and at the end what was found."""


class Shareable(Protocol):
    """Work as a process is told of it, which is to do pieces of it. It travels as a pickle: no open models."""

    def begin(self, place: Place) -> Do[Any]:
        """How to do a piece, in the process at this place."""
        ...


class Books(Generic[Found]):
    """Which pieces are begun, ready or lost, as rank 0 knows it.

    taken:   pieces that somebody has begun
    found:   those that are ready
    share:   of the piece under way here that is done
    failed:  why pieces must be done again
    hurry:   whether somebody has ended, whose piece nobody does now
    """

    def __init__(self, pieces: int) -> None:
        self.pieces, self.began = pieces, time.monotonic()
        self.taken, self.share, self.hurry = 0, 0.0, False
        self.found: set[int] = set()
        self.failed: dict[int, str] = {}
        self.key, self._store, self._count = "", None, 1
        self._here, self._since = set[int](), dict[int, float]()
        self._others, self._longest, self._looked, self._gave_up = 0.0, 0.0, 0.0, 0

    def open(self, store: Any, key: str, count: int, work: Shareable) -> None:
        """Let the others of so many processes take pieces, too; all about it is under a key of the store."""
        self.key, self._store, self._count = key, store, count
        store.add(f"{key}/taken", self.taken)
        send(store, f"{key}/work", pickle.dumps(work))

    def close(self) -> None:
        """Let nobody begin another piece, or end one."""
        with contextlib.suppress(Exception):  # the store is gone if the process that keeps it is
            self._store.set(f"{self.key}/over", b"1")  # type: ignore[attr-defined]

    @property
    def done(self) -> float:
        """Pieces, with the shares of those under way."""
        return min(self.pieces, len(self._here) + self.share + self._others)

    def take(self) -> int | None:
        """A piece to do here: one that others have left, or a fresh one; None while they are at all that are left."""
        piece = next((piece for piece in self.failed if piece not in self.found), None)
        if piece is None and self.taken < self.pieces:
            begun = self._store.add(f"{self.key}/taken", 1) if self._store else self.taken + 1
            self.taken = min(begun, self.pieces)
            piece = begun - 1 if begun <= self.pieces else None
        if piece is None:
            piece = self._late()
        if piece is not None:
            self.share, self._since[piece] = 0.0, time.monotonic()
        return piece

    def _late(self) -> int | None:
        """The first piece that is out for too long, or may be that of somebody who has ended."""
        patience = 0.0 if self.hurry else max(PATIENCE, LATE * self._longest)
        out = [piece for piece in range(self.pieces) if piece not in self.found]
        return next((p for p in out if time.monotonic() - self._since.get(p, math.inf) >= patience), None)

    def keep(self, piece: int, *, here: bool = True) -> None:
        """A piece is ready."""
        if here:
            self._here.add(piece)
        self.share = 0.0 if here else self.share
        self.found.add(piece)
        self._longest = max(self._longest, time.monotonic() - self._since.get(piece, self.began))

    def arrived(self) -> Iterator[tuple[int, Found]]:
        """Pieces that others have done; asks them now and then only."""
        store, key, now = self._store, self.key, time.monotonic()
        if store is None or now - self._looked < LOOK:
            return
        self.taken = min(store.add(f"{key}/taken", 0), self.pieces)
        self._others = store.add(f"{key}/done", 0) / WHOLE
        for piece in range(self.taken):
            if piece in self.found:
                continue
            self._since.setdefault(piece, now)
            if store.check([f"{key}/found/{piece}"]):
                found = pickle.loads(fetched(store, f"{key}/found/{piece}"))
                self.keep(piece, here=False)
                yield piece, found
        self._looked = time.monotonic()

    def gave_up(self) -> list[str]:
        """Why others cannot begin; who cannot do a piece is in `failed`."""
        store, key, notes = self._store, self.key, list[str]()
        if store is None or (count := store.add(f"{key}/gave up", 0)) == self._gave_up:
            return []
        self._gave_up = count
        for rank in range(1, self._count):
            if store.check([f"{key}/gave up/{rank}"]):
                piece, why = pickle.loads(fetched(store, f"{key}/gave up/{rank}"))
                note = f"process {rank} of {self._count} cannot help: {why}"
                if 0 <= piece < self.pieces:
                    self.failed[piece] = note
                else:
                    notes.append(note)
        return notes


@dataclass(frozen=True)
class Pieces:
    """What followers are handed: where in the store there is work, in so many pieces."""

    key: str
    count: int

    def __call__(self, follower: Follower) -> None:
        store, piece = follower.store, -1
        if store.add(f"{self.key}/taken", 0) >= self.count:  # all is taken already
            return
        try:
            do = pickle.loads(read(store, f"{self.key}/work")).begin(follower.place)
            while not store.check([f"{self.key}/over"]):
                piece = store.add(f"{self.key}/taken", 1) - 1
                if piece >= self.count or not self._done(store, piece, do):
                    return
        except Exception as error:  # rank 0 will do it, and see for itself
            why = f"{type(error).__name__}: {one_line(error)}"
            send(store, f"{self.key}/gave up/{follower.place.rank}", pickle.dumps((piece, why)))
            store.add(f"{self.key}/gave up", 1)

    def _done(self, store: Any, piece: int, do: Do[Any]) -> bool:
        """Whether a piece was done; not where nobody waits for it any more."""
        told, looked = 0, time.monotonic()
        for share, found in do(piece):
            if found is not None:
                send(store, f"{self.key}/found/{piece}", pickle.dumps(found))
                store.add(f"{self.key}/done", WHOLE - told)
                return True
            if time.monotonic() - looked > LOOK:
                if store.check([f"{self.key}/over"]):
                    return False
                before, told = told, int(WHOLE * share)
                store.add(f"{self.key}/done", told - before)
                looked = time.monotonic()
        return False


def send(store: Any, key: str, message: bytes) -> None:
    """Put a message of any size into the store; it is complete when `key` is there."""
    parts = math.ceil(len(message) / CHUNK)
    for part in range(parts):
        store.set(f"{key}/{part}", message[part * CHUNK : (part + 1) * CHUNK])
    store.set(key, str(parts))


def read(store: Any, key: str) -> bytes:
    """The message that was put there."""
    return b"".join(store.get(f"{key}/{part}") for part in range(int(store.get(key))))


def fetched(store: Any, key: str) -> bytes:
    """The message that was put there, which then is there no more."""
    message, parts = read(store, key), int(store.get(key))
    for name in (key, *(f"{key}/{part}" for part in range(parts))):
        store.delete_key(name)
    return message
