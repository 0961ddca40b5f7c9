"""How long a learner waits for a grader: `python benchmarks/learning.py [--readme]`."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from measuring import Goal, note, number, put
from racing.report import goal_lines

from diffcli.learn.catalogue import Exercise, exercises_of
from diffcli.learn.checking import Checker
from diffcli.learn.starter import replaced, solution
from diffcli.learn.workspace import Workspace, begun

TIMES = 5
ONE = "pre-1.log-density"
READY = 4.0  # seconds in which the next process has begun, as it has while somebody writes


def solved(folder: Path) -> Workspace:
    """A workspace in which every exercise has its solution."""
    workspace, _ = begun(folder)
    for task in workspace.tasks.values():
        path = workspace.path(task.name)
        text = path.read_text("utf-8")
        for exercise in written(task.exercises):
            text = replaced(text, exercise, solution(exercise))
        path.write_text(text, "utf-8")
    return workspace


def written(exercises: tuple[Exercise, ...]) -> list[Exercise]:
    return [exercise for exercise in exercises if exercise.kind == "function"]


def cold(folder: Path) -> float:
    """Seconds of a whole `diffcli learn check` of one exercise."""
    began = time.perf_counter()
    words = ["learn", "check", ONE, "--quiet"]
    code = subprocess.call([sys.executable, "-m", "diffcli", *words], cwd=folder, stdout=subprocess.DEVNULL)
    if code:
        raise SystemExit(f"error: diffcli learn check ended with {code}")
    return time.perf_counter() - began


def warm(workspace: Workspace, exercise: Exercise, checker: Checker) -> float:
    """Seconds from saving a file to the word on an exercise, as `learn watch` has it."""
    checker.ready()
    time.sleep(READY)
    began = time.perf_counter()
    [(_, mark)] = checker.marks(workspace.path(exercise.task), [exercise])
    if mark.state != "passed":
        raise SystemExit(f"error: {exercise.id}: {mark.message}")
    return time.perf_counter() - began


def each(workspace: Workspace, checker: Checker) -> dict[Exercise, float]:
    """Seconds of every exercise, its truth computed anew; a process for each file."""
    found = {}
    for task in workspace.tasks.values():
        began = time.perf_counter()
        for exercise, mark in checker.marks(workspace.path(task.name), written(task.exercises)):
            if mark.state != "passed":
                raise SystemExit(f"error: {exercise.id}: {mark.message}")
            found[exercise] = time.perf_counter() - began
            began = time.perf_counter()
        note(task.name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a learner waits.")
    parser.add_argument("--readme", action="store_true", help="put the report into README.md, between its marks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, closing(Checker()) as checker:
        workspace = solved(Path(folder) / "learn")
        whole = statistics.median(cold(workspace.folder) for _ in range(TIMES))
        by_id = {exercise.id: exercise for exercise in exercises_of(workspace.tasks)}
        waited = statistics.median(warm(workspace, by_id[ONE], checker) for _ in range(TIMES))
        times = each(workspace, checker)
    slowest = max(times, key=lambda exercise: times[exercise])
    goals = [
        Goal("`learn check` of one exercise", f"{number(whole)} s", "under 4 s", whole < 4),
        Goal("the same in `learn watch`", f"{number(waited)} s", "under 1 s", waited < 1),
        Goal(
            f"the slowest of {len(times)} exercises, {slowest.id}",
            f"{number(times[slowest])} s",
            "under 90 s",
            times[slowest] < 90,
        ),
    ]
    lines = goal_lines(goals)
    if options.readme:
        put(Path(__file__).with_name("README.md"), "learning", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
