"""diffcli learn show"""

from typing import Annotated

import typer

from diffcli.console import options


def show(
    name: Annotated[
        str, typer.Argument(metavar="[TASK[.EXERCISE]]", help="Which text.  [of the task that you are at]")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """The text of a task, or of one exercise by name or number."""
    from diffcli.console.show import Show, markdown
    from diffcli.learn.catalogue import chosen
    from diffcli.learn.pages import page, section
    from diffcli.learn.session import task_named

    task = task_named(name)
    asked = chosen({task.name: task}, name) if "." in name else []
    text = "\n\n".join(section(task, one, task.exercises.index(one) + 1) for one in asked) or page(task)
    Show(as_json=as_json).result({"task": task.name, "text": text}, markdown(text))
