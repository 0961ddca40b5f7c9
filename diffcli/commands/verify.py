"""diffcli verify"""

import time
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffcli.checks.check import Report


def verify(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[CHECK]...", help="Only these checks; default all.")
    ] = None,
    impl: options.Impl = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold every formula against its closed form. Claim, truth, what we got.

    Takes up to a minute. With --impl what the file defines is examined: what it adds, and functions that have the name
    of one of the core's.
    """
    from diffcli.checks.every import all_checks
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    known = all_checks()
    wanted = [one_of(name, known, "check") for name in names] if names else list(known)
    runs = _handed(impl, wanted) if impl else [(name, known[name].run) for name in wanted]
    began, reports = time.monotonic(), []
    with show.progress("verifying", len(runs), "checks") as bar:
        for done, (name, run) in enumerate(runs, 1):
            reports.append(run())
            bar.update(done, name)
    failed = [report for report in reports if not report.passed]
    seconds = time.monotonic() - began
    document = {
        "passed": not failed,
        "checks": [_document(report) for report in reports],
        "seconds": seconds,
    }
    lines = [line for report in reports for line in _lines(report)]
    cases = sum(report.cases for report in reports)
    verdict = f"{len(failed)} of {len(reports)} checks FAILED" if failed else _held(len(reports))
    show.result(document, [*lines, f"{verdict}, {cases} numbers in {seconds:.0f} s"])
    if failed:
        raise typer.Exit(1)


def _handed(files: "list[Path]", wanted: list[str]) -> "list[tuple[str, Callable[[], Report]]]":
    """The checks that concern what files define, on what they define."""
    from functools import partial

    from diffcli import plugins
    from diffcli.checks.every import all_checks
    from diffcli.checks.handed import concerned, examines, run_with, stand_ins

    every = {name: check for name, check in all_checks().items() if name in wanted}
    loaded = plugins.load(files)
    things: dict[str, dict[str, object]] = {}
    functions: dict[str, object] = {}
    for plugin in loaded:
        for kind, added in plugin.defined.items():
            things.setdefault(kind, {}).update({name: plugins.REGISTRIES[kind][name] for name in added})
        functions |= stand_ins(every, vars(plugin.module))
    runs: list[tuple[str, Callable[[], Report]]] = [
        (name, partial(every[name].run, **subjects)) for name, subjects in concerned(every, things).items()
    ]
    runs += [
        (name, partial(run_with, check, functions))
        for name, check in every.items()
        if any(examines(check, function) for function in functions)
    ]
    if not runs:
        raise UsageProblem(
            f"no check concerns what {', '.join(str(path) for path in files)} defines",
            "define what is added by a decorator of diffcli.plugins, or a function with the name of one of the core's",
        )
    return runs


def _held(count: int) -> str:
    return "the check holds" if count == 1 else f"all {count} checks hold"


def _document(report: "Report") -> dict[str, object]:
    worst = report.worst
    return {
        "name": report.check.name,
        "claim": report.check.claim,
        "source": report.check.source,
        "passed": report.passed,
        "cases": report.cases,
        "case": worst.case if worst else None,
        "truth": worst.truth if worst else None,
        "got": worst.got if worst else None,
        "tolerance": worst.tolerance if worst else None,
        "error": report.error or None,
        "seconds": report.seconds,
    }


def _lines(report: "Report") -> list[str]:
    """Four lines for a reader: verdict and claim, source, the worst case, and room to breathe."""
    check, worst = report.check, report.worst
    lines = [f"{'ok  ' if report.passed else 'FAIL'}  {check.name}: {check.claim}", f"      {check.source}"]
    if worst:
        off = f"off by {abs(worst.got - worst.truth):.1e}, allowed {worst.tolerance:.1e}"
        nearest = "" if report.cases == 1 else f"the worst of {report.cases}: "
        lines.append(f"      {nearest}{worst.case}: truth {worst.truth:.8g}, got {worst.got:.8g}, {off}")
    if report.error:
        lines.append(f"      {report.error}")
    return [*lines, ""]
