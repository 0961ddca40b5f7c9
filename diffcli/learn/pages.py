"""The page of a task as a learner reads it, Markdown: in the terminal, and in docs/learn."""

from diffcli.learn.catalogue import CourseTask, Exercise
from diffcli.learn.starter import blank


def page(task: CourseTask) -> str:
    """The text, then what each exercise asks for. Hints and solutions are not in it."""
    where = {"path": "the path", "plan": "the plan"}.get(task.track, task.track)
    weeks = f", week{'s' if len(task.weeks) > 1 else ''} {' and '.join(map(str, task.weeks))}" if task.weeks else ""
    facts = f"*{task.name}, {where}{weeks}, {len(task.exercises)} exercises, about {task.time}. {task.summary}*"
    parts = [f"# {task.title}", facts, task.text.strip()]
    parts += [section(task, exercise, i) for i, exercise in enumerate(task.exercises, 1)]
    return "\n\n".join(parts) + "\n"


def section(task: CourseTask, exercise: Exercise, number: int) -> str:
    """What an exercise asks for; `number` is its place in the task, from 1."""
    head = f"## {number}. {exercise.name}"
    facts = f"*Difficulty {exercise.difficulty} of 5, about {exercise.minutes} minutes; data: {exercise.data}.*"
    parts = [head, facts, exercise.objective, f"```\n{exercise.equation.strip()}\n```", f"Source: {exercise.source}."]
    if exercise.reads:
        parts.append(f"Read: {', '.join(map(_read, exercise.reads))}.")
    if exercise.kind == "real":
        return "\n\n".join([*parts, *filter(None, [task.goes_on]), f"```\ndiffcli learn run {exercise.task}\n```"])
    parts.append(f"```python\n{blank(exercise)}\n```")
    parts.append(f"```\ndiffcli learn check {exercise.id}\n```")
    return "\n\n".join(parts)


def _read(place: str) -> str:
    """A page or a command as code, and what to look for behind it: `docs/data.md` (Bits)."""
    name, bracket, note = place.partition(" (")
    return f"`{name}`{bracket}{note}"
