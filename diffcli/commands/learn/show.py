"""diffcli learn show"""

from typing import Annotated

import typer

from diffcli.console import options


def show(
    task: Annotated[str, typer.Argument(metavar="[TASK]", help="Which text.  [the task that you are at]")] = "",
    as_json: options.Json = False,
) -> None:
    """The text of a task, and what its exercises ask for."""
    from diffcli.console.show import Show, markdown
    from diffcli.learn.pages import page
    from diffcli.learn.session import task_named

    one = task_named(task)
    text = page(one)
    Show(as_json=as_json).result({"task": one.name, "text": text}, markdown(text))
