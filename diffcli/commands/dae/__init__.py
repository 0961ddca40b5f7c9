"""diffcli dae"""

import typer

from diffcli.commands.dae import denoise, evaluate, score, train

app = typer.Typer(
    help="Denoising autoencoders: train one, hold it against other denoisers, and find the score in it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(denoise.denoise)
app.command()(score.score)
