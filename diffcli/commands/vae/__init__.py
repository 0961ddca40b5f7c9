"""diffcli vae"""

import typer

from diffcli.commands.vae import train

app = typer.Typer(
    help="Variational autoencoders: train one, and bound its likelihood from both sides.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train.train)
