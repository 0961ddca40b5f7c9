"""diffcli noise"""

import typer

from diffcli.commands.noise import chain, gaussian
from diffcli.commands.together import given
from diffcli.commands.visualize import forward
from diffcli.console import options
from diffcli.errors import UsageProblem

app = typer.Typer(
    help="Gaussians, and how data become noise. Without a command: eight MNIST digits on their way.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.command()(gaussian.gaussian)
app.command()(forward.forward)
app.command()(chain.chain)


@app.callback()
def noise(
    context: typer.Context,
    seed: options.Seed = 0,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    command = context.invoked_subcommand
    if command is None:
        forward.forward(context, count=8, seed=seed, out=out, as_json=as_json, quiet=quiet)
    elif before := given(context):
        raise UsageProblem(
            f"options stand after the command that they are for: {', '.join(before.values())}",
            f"as in diffcli noise {command} --seed 1",
        )
