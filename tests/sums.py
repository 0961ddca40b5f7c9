"""Work that tests share among processes: the sums of some numbers, with mishaps in the followers."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do


@dataclass(frozen=True)
class Sums:
    """Piece i is the numbers 0 ... size * i, and who made it.

    seconds:  that a piece takes at rank 0, and a third of it elsewhere
    fault:    what happens at rank 1: begin; or in its first piece: failed, killed, stuck. "everywhere": to piece 3
    """

    seconds: float = 0.0
    fault: str = ""
    size: int = 1

    def begin(self, place: Place) -> Do[tuple[Tensor, int]]:
        if self.fault == "begin" and place.rank == 1:
            raise FileNotFoundError("no such\nfile")
        left = [self.fault] if place.rank == 1 else []
        return lambda piece: self.piece(piece, place.rank, left)

    def here(self, piece: int) -> Iterator[tuple[float, tuple[Tensor, int] | None]]:
        """A piece as rank 0 does it."""
        return self.piece(piece, 0, [])

    def piece(self, piece: int, rank: int, left: list[str]) -> Iterator[tuple[float, tuple[Tensor, int] | None]]:
        steps = 5
        for step in range(steps):
            time.sleep(self.seconds / steps / (1 if rank == 0 else 3))
            yield step / steps, None
        fault = left.pop() if left else ""
        if fault == "failed" or (self.fault == "everywhere" and piece == 3):
            raise ArithmeticError(f"piece {piece}")
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        while fault == "stuck":
            time.sleep(0.01)
            yield 0.9, None
        yield 1.0, (torch.arange(self.size * piece + 1), rank)
