"""The page of a week: what passed, what was tried, which runs were made; and room for what was thought."""

import os
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from diffcli.learn.catalogue import exercises_of, time_of
from diffcli.learn.progress import FAILED, PASSED, SKIPPED, UNSKIPPED, LearnerProgress, LogEntry, week
from diffcli.learn.workspace import Workspace
from diffcli.runs.listing import Summary, summary
from diffcli.system.text import duration

BEGIN, END = "<!-- diffcli: this part is written anew by diffcli learn log -->", "<!-- diffcli: yours from here -->"
PROMPTS = (
    "What did I expect, and what happened?",
    "Which mistake cost the most time, and how would I see it sooner?",
    "What can I explain now to somebody else, in three sentences?",
    "What do I want to know next?",
)
MOST_PICTURES = 6
MOST_SAID = 100  # characters of a message in a table
PASSED_OVER = {".git", "__pycache__", "node_modules", ".venv"}


def page(workspace: Workspace, number: int, place: Path, written: str = "") -> str:
    """Markdown for a file in the folder `place`; `written` is the page as it is now, whose own part is kept."""
    progress = workspace.progress
    start, end = week(progress, number)
    lines = [
        BEGIN,
        "",
        f"# Week {number}",
        "",
        f"{start:%Y-%m-%d} to {end - timedelta(days=1):%Y-%m-%d}",
        "",
        *_exercises(workspace, progress, start, end),
    ]
    lines += [*_runs(workspace.folder, place, start, end), END]
    own = written.split(END, 1)[1] if END in written else "\n\n" + "\n".join(_prompts())
    return "\n".join(lines) + own.rstrip() + "\n"


def _prompts() -> Iterator[str]:
    yield "## Summary"
    for prompt in PROMPTS:
        yield from ("", f"**{prompt}**", "", "...")


def _exercises(workspace: Workspace, progress: LearnerProgress, start: datetime, end: datetime) -> Iterator[str]:
    events = [event for event in progress.log if start <= datetime.fromisoformat(event.when) < end]
    minutes = {one.id: one.minutes for one in exercises_of(workspace.tasks)}
    passed = list({event.exercise: event for event in reversed(events) if event.what == PASSED}.values())[::-1]
    total = sum(minutes.get(event.exercise, 0) for event in passed)
    yield f"## Passed: {len(passed)} exercises, meant to take {time_of(total)}"
    yield ""
    yield from ([_passed(event, progress) for event in passed] or ["Nothing yet."])
    left_out = dict.fromkeys(event.exercise for event in events if event.what == SKIPPED)
    skipped = [name for name in left_out if progress.standings[name].state == SKIPPED]
    if skipped:
        yield from ("", f"Skipped: {', '.join(skipped)}")
    tried = [event for event in events if event.what not in (PASSED, SKIPPED, UNSKIPPED)]
    if tried:
        yield from ("", "## Tried", "", "| when | exercise | what | mistake |", "|---|---|---|---|")
        yield from (_tried(event) for event in tried)
    yield ""


def _passed(event: LogEntry, progress: LearnerProgress) -> str:
    standing = progress.standings[event.exercise]
    attempts = f"{standing.attempts} attempt{'s' if standing.attempts != 1 else ''}"
    hints = f", {standing.hints} hint{'s' if standing.hints != 1 else ''}" if standing.hints else ""
    return f"- {event.exercise}: {attempts}{hints}{', the solution was read first' if standing.gave_up else ''}"


def _tried(event: LogEntry) -> str:
    said = "" if event.mistake else textwrap.shorten(event.message, MOST_SAID, placeholder=" ...").replace("|", "\\|")
    what = "not yet" if event.what == FAILED else event.what
    what = f"{what}: {said}" if said else what
    return f"| {event.when[:16].replace('T', ' ')} | {event.exercise} | {what} | {event.mistake} |"


def _runs(folder: Path, place: Path, start: datetime, end: datetime) -> Iterator[str]:
    found = [run for run in _summaries(folder) if start.timestamp() <= run.modified < end.timestamp()]
    if found:
        yield from (
            "## Runs",
            "",
            "| run | data | steps | time | validation loss | linear denoiser |",
            "|---|---|---|---|---|---|",
        )
        yield from (_row(run, folder) for run in sorted(found, key=lambda run: run.modified))
        yield ""
    pictures = list(_pictures(folder, found, start, end))
    if pictures:
        yield from ("## Pictures", "")
        for picture in pictures[:MOST_PICTURES]:
            name = picture.relative_to(folder)
            yield from (f"![{name}]({quote(os.path.relpath(picture, place))})", "")
        if len(pictures) > MOST_PICTURES:
            yield from (f"And {len(pictures) - MOST_PICTURES} more in outputs/.", "")


def _summaries(folder: Path) -> Iterator[Summary]:
    """Every run below a folder, but for places that are nobody's work."""
    for path in sorted(folder.rglob("run.json")):
        if not PASSED_OVER & set(path.relative_to(folder).parts):
            yield summary(path.parent)


def _row(run: Summary, folder: Path) -> str:
    losses = [f"{loss:.4f}" if loss is not None else "" for loss in (run.validation_loss, run.linear_denoiser_loss)]
    time = duration(run.seconds) if run.seconds is not None else ""
    cells = [f"{run.path.relative_to(folder)} ({run.state})", run.dataset or "", str(run.steps or ""), time, *losses]
    return f"| {' | '.join(cells)} |"


def _pictures(folder: Path, runs: Iterable[Summary], start: datetime, end: datetime) -> Iterator[Path]:
    """What commands have drawn in outputs, the newest first, and the last preview of each run."""
    drawn = {path: path.stat().st_mtime for path in (folder / "outputs").glob("*/*.png")}
    yield from (
        path
        for path in sorted(drawn, key=lambda path: drawn[path], reverse=True)
        if start.timestamp() <= drawn[path] < end.timestamp()
    )
    for run in runs:
        yield from sorted((run.path / "samples").glob("*.png"))[-1:]
