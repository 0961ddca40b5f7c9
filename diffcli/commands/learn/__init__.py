"""diffcli learn"""

import typer

from diffcli.commands.learn import check, doctor, helps, init, log, overview, run, show, watch
from diffcli.commands.together import given
from diffcli.console import options
from diffcli.errors import UsageProblem

app = typer.Typer(
    help="The graded path from Gaussians to research. Without a command: where you are, and what is next.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.command()(init.init)
app.command()(check.check)
app.command()(watch.watch)
app.command()(show.show)
app.command()(helps.hint)
app.command()(helps.solution)
app.command()(helps.reset)
app.command()(helps.skip)
app.command()(run.run)
app.command()(overview.status)
app.command()(log.log)
app.command()(doctor.doctor)


@app.callback()
def learn(context: typer.Context, as_json: options.Json = False) -> None:
    command = context.invoked_subcommand
    if command is None:
        overview.overview(as_json=as_json)
    elif before := given(context):
        raise UsageProblem(
            f"options stand after the command that they are for: {', '.join(before.values())}",
            f"as in diffcli learn {command} --json",
        )
