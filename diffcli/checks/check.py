"""Checks against closed forms: what `diffcli verify` runs, and the tests too.

A check is a generator of findings, numbers with the truth beside them. Where a truth is a formula of a paper it is
written out here in the paper's own way, in plain Python where possible, so that it shares no code with what it checks.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Finding(NamedTuple):
    """One number with the truth and the largest difference that is allowed."""

    case: str
    truth: float
    got: float
    tolerance: float

    @property
    def miss(self) -> float:
        """The difference in units of the tolerance; above 1 it fails, and so does nan."""
        difference = abs(self.got - self.truth)
        if difference == 0:
            return 0.0
        return difference / self.tolerance if self.tolerance > 0 and difference == difference else float("inf")


@dataclass(frozen=True)
class Check:
    """A claim, where it stands, and the generator of its findings."""

    name: str
    claim: str
    source: str
    findings: Callable[..., Iterator[Finding]]

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it examines that another function may stand for: the names of its generator's parameters.

        `samplers`, `schedules`, ... are dicts of the things of a kind, by name; any other is the core's function of
        that name.
        """
        return tuple(inspect.signature(self.findings).parameters)

    def run(self, **subjects: Any) -> "Report":
        """Collect all findings. An exception of the code under test is a failure like any other.

        subjects:  what to examine instead of the package's own, by the names in `subjects`
        """
        began, worst, cases, error = time.perf_counter(), None, 0, ""
        try:
            for finding in self.findings(**subjects):
                cases += 1
                if worst is None or finding.miss > worst.miss:
                    worst = finding
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        return Report(self, worst, cases, error, time.perf_counter() - began)


class Report(NamedTuple):
    """What a check found: its worst finding of so many cases, or the error that stopped it."""

    check: Check
    worst: Finding | None
    cases: int
    error: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every case was within its tolerance, and there was one."""
        return not self.error and self.worst is not None and self.worst.miss <= 1


CHECKS: dict[str, Check] = {}


def check(claim: str, source: str) -> Callable[[Callable[..., Iterator[Finding]]], Check]:
    """Register the generator below as a check, by its name. Its parameters, if any, are what it examines."""

    def register(findings: Callable[..., Iterator[Finding]]) -> Check:
        name = findings.__name__.replace("_", "-")
        CHECKS[name] = Check(name, claim, source, findings)
        return CHECKS[name]

    return register


def near(case: str, truth: Tensor | float, got: Tensor | float, *, rel: float = 0.0, abs: float = 0.0) -> Finding:
    """The finding of the element that is furthest off; each may be off by rel times the truth plus abs."""
    wanted, found = torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float64).detach() for v in (truth, got)))
    allowed = rel * wanted.abs() + abs
    miss = ((found - wanted).abs() / allowed.clamp(min=1e-300)).flatten()
    miss = torch.where((found == wanted).flatten(), 0.0, miss)
    worst = int(miss.nan_to_num(nan=float("inf")).argmax())
    return Finding(case, *(v.flatten()[worst].item() for v in (wanted, found, allowed)))
