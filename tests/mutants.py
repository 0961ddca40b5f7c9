"""Plant classic mistakes of diffusion code, one at a time, and show that a check of `diffcli verify` catches each.

    python tests/mutants.py [NAME]... [-j 2] [--quick]

The mistakes are in the files of mistakes/. There a line of = names a file of the package and, after a colon, the
modules of diffcli.checks where a mistake in it shows first; a mistake is its name, the text as it stands (it must occur
exactly once) after -, and the mistaken text after +. Each is planted in a copy of the package, never in the working
tree, and the checks run until one fails, in a process forked from this one: torch is imported here already, diffcli
never is. Exits with 1 if a mistake survives, or if the copy without one fails (not looked at with --quick).
"""

import argparse
import multiprocessing as mp
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "diffcli"
LISTS = sorted((HERE / "mistakes").glob("*.txt"))
LIMIT = 300  # seconds for all checks of one mutant; they take some 15

SLOW = {
    "ddim-on-a-gaussian",
    "ddpm-on-a-gaussian",
    "every-walk-lands",
    "three-names-for-one-walk",
    "orders-of-samplers",
    "orders-of-euler-maruyama",
    "probability-flow",
    "finite-walks",
    "finite-long-walks",
}
"""Checks that take more than a few tenths of a second: they come last."""

BROKEN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "AttributeError", "TypeError")
"""Errors of a mutant that is no program: they prove nothing about the checks."""


@dataclass(frozen=True)
class Mutant:
    """A mistake: in this file of the package the old text, which occurs once, becomes the new."""

    name: str
    file: str
    old: str
    new: str
    likely: tuple[str, ...] = ()

    def planted(self, package: Path) -> str:
        """The file's text with the mistake; raises ValueError unless the old text occurs exactly once."""
        text = (package / self.file).read_text()
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: the old text occurs {count} times in {self.file}, not once:\n{self.old}")
        return text.replace(self.old, self.new)


class Verdict(NamedTuple):
    """What became of a mutant: the check that caught it ("" if none did), how, and after how long."""

    check: str
    how: str
    seconds: float
    broken: bool = False


def listed() -> list[Mutant]:
    """All mistakes of all files; raises ValueError where a name is there twice or a mistake changes nothing."""
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


def copied(folder: Path) -> Path:
    """A copy of the package's code; without __pycache__, whose files could hide a mistake of the same length."""
    skip = shutil.ignore_patterns("__pycache__", "bundled")
    return Path(shutil.copytree(PACKAGE, folder / "diffcli", ignore=skip))


def trial(mutant: Mutant | None) -> Verdict:
    """Plant the mistake in a copy and run the checks on it until one fails. Only in a process of its own."""
    began = time.perf_counter()
    sys.dont_write_bytecode = True
    signal.alarm(LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        package = copied(Path(folder))
        if mutant is not None:
            (package / mutant.file).write_text(mutant.planted(package))
        sys.path.insert(0, folder)
        check, how = first_failure(package, mutant.likely if mutant else ())
    return Verdict(check, how, time.perf_counter() - began, how.split(":")[0] in BROKEN)


def first_failure(package: Path, likely: tuple[str, ...]) -> tuple[str, str]:
    """The first check of the package that fails and how, the likely ones being tried first and the slow ones last."""
    import diffcli
    from diffcli.checks.check import Check, all_checks

    if Path(diffcli.__file__).parent != package:
        raise RuntimeError(f"diffcli came from {diffcli.__file__} and not from the copy {package}")

    def turn(check: Check) -> tuple[bool, bool]:
        return check.name in SLOW, check.findings.__module__.rpartition(".")[2] not in likely

    for check in sorted(all_checks().values(), key=turn):
        report = check.run()
        if not report.passed:
            return check.name, report.error or (f"{report.worst.miss:.1e}" if report.worst else "no findings")
    return "", ""


def trials(chosen: list[Mutant | None], jobs: int) -> Iterator[Verdict]:
    """Verdicts in the order of the mutants, each from a fork of this process."""
    import torch

    torch.set_num_threads(1)  # before any fork: a pool of threads does not survive one
    torch.func.jvp(lambda t: 2 * t, (torch.ones(()),), (torch.ones(()),))  # its first call imports for a second
    with mp.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap(trial, chosen, chunksize=1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only mistakes with one of these in their name or file")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at once (default 2)")
    parser.add_argument("--quick", action="store_true", help="do not first run all checks on the copy as it is")
    options = parser.parse_args(arguments)

    known, began = listed(), time.perf_counter()
    for name in options.names:
        if not any(name in f"{mutant.file}: {mutant.name}" for mutant in known):
            parser.error(f"no mistake and no file has {name!r} in its name")
    chosen = [m for m in known if not options.names or any(name in f"{m.file}: {m.name}" for name in options.names)]
    for mutant in known:
        mutant.planted(PACKAGE)

    everyone: list[Mutant | None] = [*([] if options.quick else [None]), *chosen]
    survivors = []
    print(f"{'mistake':<58} {'file':<14} {'caught by':<36} {'beyond tolerance':<18} seconds")
    for mutant, verdict in zip(everyone, trials(everyone, options.jobs), strict=True):
        name, file = (mutant.name, Path(mutant.file).name) if mutant else ("(none)", "")
        caught = bool(verdict.check) and not verdict.broken
        if caught != (mutant is not None):
            survivors.append(name)
        outcome = f"{verdict.check or '-':<36} {verdict.how[:60]:<18}"
        print(f"{name:<58} {file:<14} {outcome} {verdict.seconds:5.1f}", "" if mutant is None or caught else "SURVIVES")
        sys.stdout.flush()
    seconds = time.perf_counter() - began
    print(f"{len(chosen)} mistakes, {len(survivors)} not as they should be, {seconds:.0f} s", *survivors, sep="\n  ")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
