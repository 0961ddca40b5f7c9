"""diffcli runs"""

import typer

from diffcli.commands.runs import export, overview

app = typer.Typer(rich_markup_mode=None)
app.callback(invoke_without_command=True)(overview.runs)
app.command()(export.export)
