"""The pages in docs/learn are what `learn show` shows; `python tests/test_learn_pages.py` writes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diffcli.commands.learn.overview import map_of
from diffcli.learn.catalogue import CourseTask, all_tasks
from diffcli.learn.pages import page
from diffcli.learn.progress import LearnerProgress

DOCS = Path(__file__).parent.parent / "docs" / "learn"
BEGIN, END = "<!-- tasks: what tests/test_learn_pages.py writes and checks -->\n", "<!-- tasks: end -->"
README = DOCS.parents[1] / "README.md"
MAP, MAP_END = "<!-- learn: the map -->\n", "<!-- learn: end -->"
TITLES = {"path": "The path", "plan": "The plan"}


def overview() -> str:
    """The tables of the entry page, one for each track."""
    return "".join(f"\n{line}" if line else "\n" for line in _rows()) + "\n\n"


def _rows() -> Iterator[str]:
    track = ""
    for task in all_tasks().values():
        if task.track != track:
            track = task.track
            yield from (
                *([""] if track != "path" else []),
                f"| {TITLES[track]} | | exercises | time |",
                "|---|---|---|---|",
            )
        optional = " (optional)" if task.optional else ""
        cells = [
            f"[{task.name}]({task.name}.md)",
            f"{task.title}{optional}",
            str(len(task.exercises)),
            task.time,
        ]
        yield f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_the_page_of_a_task_is_as_it_is_shown(task: CourseTask) -> None:
    assert (DOCS / f"{task.name}.md").read_text("utf-8") == page(task)


def test_the_entry_page_lists_every_task() -> None:
    text = (DOCS / "README.md").read_text("utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == overview()


def the_map() -> str:
    """What `diffcli learn` shows outside of a workspace."""
    return "\n```\n" + "\n".join(map_of(all_tasks(), LearnerProgress())) + "\n```\n\n"


def test_the_readme_has_the_map() -> None:
    text = README.read_text("utf-8")
    assert text.split(MAP)[1].split(MAP_END)[0] == the_map()


if __name__ == "__main__":
    readme = README.read_text("utf-8")
    top, rest = readme.split(MAP)
    README.write_text(top + MAP + the_map() + MAP_END + rest.split(MAP_END)[1], "utf-8")
    for task in all_tasks().values():
        (DOCS / f"{task.name}.md").write_text(page(task), "utf-8")
    entry = DOCS / "README.md"
    before, rest = entry.read_text("utf-8").split(BEGIN)
    entry.write_text(before + BEGIN + overview() + END + rest.split(END)[1], "utf-8")
