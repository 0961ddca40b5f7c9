"""diffcli dae"""

import typer

from diffcli.commands.dae import denoise, evaluate, score, train

app = typer.Typer(
    help="Denoising autoencoders: train, compare, and find the score.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(denoise.denoise)
app.command()(score.score)
