"""diffcli visualize"""

import typer

from diffcli.commands.visualize import forward, reverse, schedules, score, weights

app = typer.Typer(help="Draw what a diffusion model does.", no_args_is_help=True, rich_markup_mode=None)
app.command()(forward.forward)
app.command()(reverse.reverse)
app.command()(schedules.schedules)
app.command()(score.score)
app.command()(weights.weights)
