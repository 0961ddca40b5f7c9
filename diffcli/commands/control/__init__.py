"""diffcli control"""

import typer

from diffcli.commands.control import evaluate, train

app = typer.Typer(
    help="Models that obey pictures: edges, masks, layouts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train.train)
app.command()(evaluate.evaluate)
