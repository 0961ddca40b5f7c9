"""Plant mistakes in the code, one at a time, and show that a check of `diffcli verify` catches each.

    python tests/mutants.py [NAME]... [-j 2] [--quick]
    python tests/mutants.py --random 300 --seed 0 [--only processes/laws] [-j 2]

The classic mistakes are in the files of mistakes/. There a line of = names a file of the package and, after a colon,
the modules of diffcli.checks where a mistake in it shows first; a mistake is its name, the text as it stands (it must
occur exactly once) after -, and the mistaken text after +. The random ones, which nobody chose, are those of
mutations.py; the few of them that change no result are in mistakes/harmless.toml, each with the reason.

First all checks run as they are, and are watched: a mistake in a function can only be seen by the checks that call it.
Those run then, the fast ones first, until one fails. Nothing is planted in the working tree: every mutant is a process
of its own, forked from this one (which has imported torch, but never diffcli), that reads a copy of the package and
finds one of its modules changed. Who takes ten times as long for a check as the code without a mistake, or gigabytes,
is ended and counted apart. Exits with 1 if a mistake survives, or if the copy without one fails (which is not looked
at with --quick).
"""

import argparse
import functools
import importlib
import multiprocessing as mp
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from mutations import CORE, Mutant, Scope, harmless, mutations

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "diffcli"
LISTS = sorted((HERE / "mistakes").glob("*.txt"))

PATIENCE = 10  # times the processor time that a check takes without a mistake
START = 5.0  # seconds of it beside that, and for imports
QUICK = 600.0  # seconds of it where no check was timed
NEIGHBOURS = 4  # of the clock, in units of the processor time: others may keep the processor busy
MEMORY = 4 << 30  # bytes beyond those that torch has

BROKEN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "AttributeError", "TypeError")
"""Errors of a classic mistake that is no program: they prove nothing about the checks."""

OUT_OF_MEMORY = ("MemoryError", "allocate memory", "bad_alloc")

IMPORT = "import"
"""The name, among those of checks, of what runs when the modules are imported."""


class Verdict(NamedTuple):
    """What became of a mutant: the check that caught it ("" if none did), how, and after how long.

    ended:  it ran past its limit, of time or of memory: neither caught nor not
    """

    check: str
    how: str
    seconds: float
    ended: bool = False

    @property
    def broken(self) -> bool:
        return self.how.split(":")[0] in BROKEN


class Planned(NamedTuple):
    """A check as it runs without a mistake: its module, what it takes, how it failed or "", and what it calls."""

    name: str
    module: str
    seconds: float
    failure: str
    calls: frozenset[Scope]


@dataclass(frozen=True)
class Plan:
    """All checks that can be relied on, and those that fail as it is; empty where nobody looked."""

    checks: list[Planned] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def watching(self, scope: Scope) -> list[Planned]:
        """The checks that can see a mistake in this function, the fast ones first."""
        imported = {scope for check in self.checks if check.name == IMPORT for scope in check.calls}
        everywhere = scope.line == 0 or scope in imported
        chosen = [c for c in self.checks if c.name != IMPORT and (everywhere or scope in c.calls)]
        return sorted(chosen, key=lambda c: c.seconds)


def listed() -> list[Mutant]:
    """The classic mistakes of all files; raises ValueError where a name is there twice or a mistake changes nothing."""
    found: dict[str, Mutant] = {}
    for path in LISTS:
        file, likely = "", ""
        for block in path.read_text().split("\n\n")[1:]:
            name, *lines = block.strip("\n").split("\n")
            if name.startswith("== "):
                file, _, likely = name.removeprefix("== ").partition(": ")
                continue
            old, new = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
            if not old or old == new or name in found:
                raise ValueError(f"{path.name}: {name!r} is there twice or changes nothing")
            found[name] = Mutant(name, file, old, new, tuple(likely.split(", ")))
    return list(found.values())


def chosen_at_random(count: int, seed: int, only: str) -> list[Mutant]:
    """So many different mistakes out of all that there could be in the mathematics, or in one folder of it."""
    known = mutations(PACKAGE, only)
    return random.Random(seed).sample(known, min(count, len(known)))


# In a process of its own: the package, and the checks on it


class Planted(MetaPathFinder, SourceLoader):
    """Finds and loads the one module that is changed, before anyone else does."""

    def __init__(self, package: Path, mutant: Mutant) -> None:
        self.path, self.text = package / mutant.file, mutant.planted(package)
        self.module = ".".join(["diffcli", *Path(mutant.file).with_suffix("").parts])

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return spec_from_file_location(name, self.path, loader=self) if name == self.module else None

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str) -> bytes:
        return self.text.encode()


def check_modules(package: Path) -> list[str]:
    """The names of the modules that hold checks."""
    found = sorted(path.relative_to(package.parent) for path in (package / "checks").rglob("*.py"))
    return [".".join(path.with_suffix("").parts) for path in found if path.name != "__init__.py"]


def observed(package: Path) -> Plan:
    """Every check as it runs on the package, and which functions outside of the checks each calls."""
    here: set[Scope] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if name.startswith(whole) and not name.startswith(apart):
            here.add(Scope(name.removeprefix(f"{package}/"), frame.f_code.co_firstlineno))

    whole, apart, failures = f"{package}/", f"{package}/checks/", []
    sys.settrace(watch)
    for module in check_modules(package):
        try:
            importlib.import_module(module)
        except Exception as problem:
            failures.append(f"{module}: {type(problem).__name__}: {problem}")
    checks = [Planned(IMPORT, "", 0.0, "", frozenset(here))]
    for check in registered().values():
        forget()
        here.clear()
        report = check.run()
        failure = "" if report.passed else report.error or str(report.worst)
        failures += [f"{check.name}: {failure}"] if failure else []
        checks.append(Planned(check.name, check.findings.__module__, report.seconds, failure, frozenset(here)))
    sys.settrace(None)
    return Plan([check for check in checks if not check.failure], failures)


def forget() -> None:
    """Empty the caches of the package's functions: who finds a result there is not seen to call what made it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("diffcli."):
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


def registered():  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The checks of the modules imported so far."""
    from diffcli.checks.check import CHECKS

    return CHECKS


def first_failure(package: Path, mutant: Mutant, watching: list[Planned]) -> tuple[str, str]:
    """The first check of the package that fails and how; without a plan all run, those of the likely modules first."""
    sys.meta_path.insert(0, Planted(package, mutant))
    modules = check_modules(package)
    likely = [module for module in modules if module.rpartition(".")[2] in mutant.likely]
    done: set[str] = set()
    usual = {check.name: check.seconds for check in watching}
    for some in [{check.module for check in watching}] if watching else [likely, modules]:
        try:
            for module in sorted(some):
                importlib.import_module(module)
        except Exception as problem:
            return IMPORT, f"{type(problem).__name__}: {problem}"
        known = registered()
        ours = [name for name, check in known.items() if check.findings.__module__ in some and name not in done]
        for name in [check.name for check in watching] or ours:
            if name in usual:
                limited(START + PATIENCE * usual[name])
            report = known[name].run()
            if not report.passed:
                return name, report.error or (f"{report.worst.miss:.1e}" if report.worst else "no findings")
            done.add(name)
    return "", ""


def limited(seconds: float) -> None:
    """Have this process ended when it has taken so much more of the processor's time."""
    most = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def confined() -> None:
    """Let this process take only so much more memory."""
    if (sizes := Path("/proc/self/statm")).exists():
        most = int(sizes.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def in_child(end: Connection, package: Path, mutant: Mutant | None, plan: Plan, seconds: float) -> None:
    """What the process of a mutant does; without a mutant it watches the checks."""
    began = time.perf_counter()
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(package.parent))
    if mutant is None:
        end.send(observed(package))
        return
    confined()
    limited(seconds)
    check, how = first_failure(package, mutant, plan.watching(mutant.scope(package)))
    ended = any(word in how for word in OUT_OF_MEMORY)
    end.send(Verdict(check, how, time.perf_counter() - began, ended))


# In this process: the copy, the processes, the table


class Running(NamedTuple):
    """A process, which mutant it tries, since when and how long at most."""

    process: BaseProcess
    mutant: Mutant
    since: float
    seconds: float


def forked(package: Path, mutant: Mutant | None, plan: Plan, seconds: float = 0.0) -> tuple[Connection, BaseProcess]:
    ours, theirs = mp.Pipe(duplex=False)
    process = mp.get_context("fork").Process(target=in_child, args=(theirs, package, mutant, plan, seconds))
    process.start()
    theirs.close()  # or the death of the process would not end the pipe
    return ours, process


def trials(chosen: list[Mutant], package: Path, plan: Plan, jobs: int) -> Iterator[tuple[Mutant, Verdict]]:
    """The verdicts as they come, each from a fork of this process, so many at once."""
    todo, running = list(reversed(chosen)), dict[Connection, Running]()
    while todo or running:
        while todo and len(running) < jobs:
            mutant = todo.pop()
            watching = plan.watching(mutant.scope(package))
            if plan.checks and not watching:
                yield mutant, Verdict("", "no check comes here", 0.0)
                continue
            most = sum(START + PATIENCE * check.seconds for check in watching)
            end, process = forked(package, mutant, plan, START if watching else QUICK)
            running[end] = Running(process, mutant, time.perf_counter(), START + most if watching else QUICK)
        for end in [*wait(running, timeout=1.0)]:  # those who have an answer, or are no more
            assert isinstance(end, Connection)
            yield running[end].mutant, verdict_of(end, running.pop(end))
        for end, one in list(running.items()):
            if time.perf_counter() - one.since > NEIGHBOURS * one.seconds:
                one.process.kill()
                yield one.mutant, verdict_of(end, running.pop(end))


def verdict_of(end: Connection, one: Running) -> Verdict:
    """What the process said before it ended, or how it ended without a word."""
    try:
        verdict = end.recv()
    except EOFError:
        verdict = None
    one.process.join()
    end.close()
    seconds = time.perf_counter() - one.since
    code = one.process.exitcode or 0
    how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return verdict or Verdict("", how, seconds, ended=True)


def copied(folder: Path) -> Path:
    """A copy of the package's code as it is now, for all mutants; the data that come with it are not copied."""
    skip = shutil.ignore_patterns("__pycache__", "bundled")
    found = Path(shutil.copytree(PACKAGE, folder / "diffcli", ignore=skip))
    (found / "data" / "bundled").symlink_to(PACKAGE / "data" / "bundled", target_is_directory=True)
    return found


def warmed_up() -> None:
    """Import what takes long here, once, so that it is there after every fork."""
    import scipy.integrate
    import scipy.special
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)  # before any fork: a pool of threads does not survive one
    torch.func.jvp(lambda t: 2 * t, (torch.ones(()),), (torch.ones(()),))  # its first call imports for a second


def planned(package: Path) -> Plan:
    """What the checks do without a mistake."""
    end, process = forked(package, None, Plan())
    plan = end.recv()
    process.join()
    return plan


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only classic mistakes with one of these in their name or file")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at once (default 2)")
    parser.add_argument("--quick", action="store_true", help="do not first run all checks on the copy as it is")
    parser.add_argument("--random", type=int, metavar="N", help="not the classic mistakes, but N of any")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default 0)")
    parser.add_argument("--only", default="", metavar="FOLDER", help="of diffcli/core, to choose them from")
    options = parser.parse_args(arguments)
    for name in options.names:
        if not any(name in f"{mutant.file}: {mutant.name}" for mutant in listed()):
            parser.error(f"no mistake and no file has {name!r} in its name")
    if options.only and not (PACKAGE / CORE / options.only).exists():
        parser.error(f"there is no {CORE}/{options.only}")
    return options


def outcome(mutant: Mutant, verdict: Verdict, by_chance: bool) -> str:
    """caught, ended or survives. An error is a catch of a random mistake; a classic one must be a program."""
    if verdict.ended:
        return "ended"
    return "caught" if verdict.check and (by_chance or not verdict.broken) else "survives"


def main(arguments: list[str]) -> int:
    options, began, by_chance = parsed(arguments), time.perf_counter(), False
    if options.random is not None:
        chosen, by_chance = chosen_at_random(options.random, options.seed, options.only), True
    else:
        names = options.names or [""]
        chosen = [m for m in listed() if any(name in f"{m.file}: {m.name}" for name in names)]
        for mutant in chosen:
            mutant.place(PACKAGE)
    reasons = harmless() if by_chance else {}
    counts: dict[str, list[str]] = {"caught": [], "ended": [], "harmless": [], "survives": []}

    def show(mutant: Mutant, verdict: Verdict, what: str) -> None:
        counts[what].append(f"{mutant.file}:{mutant.name:<20} in  {mutant.line}")
        place = f"{mutant.name:<58} {Path(mutant.file).name:<20}"
        print(f"{place} {verdict.check or '-':<36} {verdict.how[:60]:<18} {verdict.seconds:5.1f}", end="")
        print("" if what == "caught" else f" {what.upper()}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        package = copied(Path(folder))
        warmed_up()
        plan = Plan() if options.quick else planned(package)
        print(f"{'mistake':<58} {'file':<20} {'caught by':<36} {'beyond tolerance':<18} seconds")
        for failure in plan.failures:
            print(f"without a mistake: {failure}", flush=True)
        for mutant in [m for m in chosen if m.key in reasons]:
            show(mutant, Verdict("", reasons[mutant.key], 0.0), "harmless")
        for mutant, verdict in trials([m for m in chosen if m.key not in reasons], package, plan, options.jobs):
            show(mutant, verdict, outcome(mutant, verdict, by_chance))
    report(counts, plan, time.perf_counter() - began)
    return 1 if counts["survives"] or plan.failures else 0


def report(counts: dict[str, list[str]], plan: Plan, seconds: float) -> None:
    """The sums, and the names of those that were not caught."""
    caught, ended, unharmful, survived = map(len, counts.values())
    share = f"{100 * caught / (caught + survived):.1f} %" if caught + survived else "none"
    print(
        f"{sum(map(len, counts.values()))} mistakes in {seconds:.0f} s: {caught} caught, {ended} past the limit,"
        f" {unharmful} harmless, {survived} survive; caught of those that change anything: {share}"
    )
    for what in ("ended", "survives"):
        print(*[f"  {what}: {name}" for name in counts[what]], sep="\n", end="\n" if counts[what] else "")
    if plan.failures:
        print(f"{len(plan.failures)} checks fail without a mistake, and were not relied on")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
