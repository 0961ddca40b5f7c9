"""diffcli verify"""

import time
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import one_of

if TYPE_CHECKING:
    from diffcli.checks.check import Report


def verify(
    names: Annotated[
        Optional[list[str]], typer.Argument(metavar="[CHECK]...", help="Only these checks; default all.")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Hold every formula against its closed form: what is claimed, the truth, what we got. Takes up to a minute."""
    from diffcli.checks.check import all_checks
    from diffcli.console.show import Show

    show = Show(as_json=as_json, quiet=quiet)
    known = all_checks()
    chosen = [known[one_of(name, known, "check")] for name in names] if names else list(known.values())
    began, reports = time.monotonic(), []
    with show.progress("verifying", len(chosen), "checks") as bar:
        for done, check in enumerate(chosen, 1):
            reports.append(check.run())
            bar.update(done, check.name)
    failed = [report for report in reports if not report.passed]
    seconds = time.monotonic() - began
    document = {
        "passed": not failed,
        "checks": [_document(report) for report in reports],
        "seconds": seconds,
    }
    lines = [line for report in reports for line in _lines(report)]
    cases = sum(report.cases for report in reports)
    verdict = f"{len(failed)} of {len(reports)} checks FAILED" if failed else f"all {len(reports)} checks hold"
    show.result(document, [*lines, f"{verdict}, {cases} numbers in {seconds:.0f} s"])
    if failed:
        raise typer.Exit(1)


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
