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
    """The text of a task, or what one exercise asks for."""
    from diffcli.console.show import Show, markdown
    from diffcli.learn.pages import page, section
    from diffcli.learn.session import task_named

    task = task_named(name)
    found = [(i, one) for i, one in enumerate(task.exercises, 1) if "." in name and name in one.ids]
    text = "\n\n".join(section(task, one, i) for i, one in found) or page(task)
    Show(as_json=as_json).result({"task": task.name, "text": text}, markdown(text))
