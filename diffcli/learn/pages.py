"""The page of a task as a learner reads it, Markdown: in the terminal, and in docs/learn."""

from diffcli.learn.catalogue import CourseTask, Exercise
from diffcli.learn.starter import blank


def page(task: CourseTask) -> str:
    """The text, then what each exercise asks for. Hints and solutions are not in it."""
    where = {"path": "the path", "plan": "the plan"}.get(task.track, task.track)
    weeks = f", week{'s' if len(task.weeks) > 1 else ''} {' and '.join(map(str, task.weeks))}" if task.weeks else ""
    facts = f"*{task.name}, {where}{weeks}, {len(task.exercises)} exercises, about {task.time}. {task.summary}*"
    parts = [f"# {task.title}", facts, task.text.strip()]
    parts += [section(exercise, i) for i, exercise in enumerate(task.exercises, 1)]
    return "\n\n".join(parts) + "\n"


def section(exercise: Exercise, number: int) -> str:
    """What an exercise asks for; `number` is its place in the task, from 1."""
    head = f"## {number}. {exercise.name}"
    facts = f"*Difficulty {exercise.difficulty} of 5, about {exercise.minutes} minutes; data: {exercise.data}.*"
    parts = [head, facts, exercise.objective, f"```\n{exercise.equation.strip()}\n```", f"Source: {exercise.source}."]
    if exercise.reads:
        parts.append("Read: " + ", ".join(f"`{place}`" for place in exercise.reads) + ".")
    if exercise.kind == "real":
        return "\n\n".join([*parts, f"```\ndiffcli learn run {exercise.task}\n```"])
    parts.append(f"```python\n{blank(exercise)}\n```")
    parts.append(f"```\ndiffcli learn check {exercise.id}\n```")
    return "\n\n".join(parts)
