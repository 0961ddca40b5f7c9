"""diffcli vae"""

import typer

from diffcli.commands.vae import evaluate, interpolate, reconstruct, sample, train

app = typer.Typer(
    help="Variational autoencoders: train one, draw from it, and bound its likelihood from both sides.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(sample.sample)
app.command()(reconstruct.reconstruct)
app.command()(interpolate.interpolate)
