"""diffcli vae"""

import typer

from diffcli.commands.vae import evaluate, interpolate, reconstruct, sample, train

app = typer.Typer(
    help="Variational autoencoders: train, draw, bound the likelihood.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command(cls=train.WithBareLatent)(train.train)
app.command()(evaluate.evaluate)
app.command()(sample.sample)
app.command()(reconstruct.reconstruct)
app.command()(interpolate.interpolate)
