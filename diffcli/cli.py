"""The command line: one line per command, one place for errors. Nothing heavy is imported here."""

import os
import signal
import sys
import traceback
import warnings
from itertools import pairwise
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from diffcli.commands import (
    ais,
    compare,
    control,
    dae,
    data,
    draw,
    evaluate,
    explain,
    finetune,
    grid,
    info,
    langevin,
    learn,
    likelihood,
    markov,
    noise,
    runs,
    sample,
    score,
    train,
    vae,
    verify,
    visualize,
    vlb,
)  # fmt: skip
from diffcli.errors import InterruptedProblem, Problem
from diffcli.system import cache, streams
from diffcli.system.text import installed, one_line

ORDER = (  # from first lessons to the daily tools
    "learn", "explain", "noise", "draw", "markov", "langevin", "ais", "vae", "dae", "score",
    "train", "finetune", "control", "sample", "evaluate", "compare", "grid", "vlb", "likelihood",
    "visualize", "verify", "info", "data", "runs",
)  # fmt: skip


class Commands(TyperGroup):
    """Lists commands in `ORDER`; says that Ctrl-C ended one, of which typer would leave nothing but the exit code."""

    def list_commands(self, context: Any) -> list[str]:
        return sorted(super().list_commands(context), key=ORDER.index)

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise InterruptedProblem("interrupted") from None


app = typer.Typer(
    cls=Commands,
    help="A diffusion laboratory: from Gaussian noise to small diffusion models, on a laptop.",
    epilog="Start with: diffcli train, or from the beginning: diffcli noise gaussian",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(learn.app, name="learn")
app.command()(explain.explain)
app.command()(train.train)
app.command()(finetune.finetune)
app.add_typer(control.app, name="control")
app.command()(sample.sample)
app.add_typer(visualize.app, name="visualize")
app.add_typer(noise.app, name="noise")
app.command()(draw.draw)
app.command()(markov.markov)
app.command()(langevin.langevin)
app.command()(ais.ais)
app.add_typer(dae.app, name="dae")
app.add_typer(vae.app, name="vae")
app.command()(score.score)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(grid.grid)
app.command()(vlb.vlb)
app.command()(likelihood.likelihood)
app.command()(data.data)
app.add_typer(runs.app, name="runs")
app.command()(info.info)
app.command()(verify.verify)


@app.callback(invoke_without_command=True)
def options(
    version: bool = typer.Option(False, "--version", help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error; of every command."),
) -> None:
    if version:
        print(installed("diffcli"))
        raise typer.Exit


def main(arguments: list[str] | None = None) -> int:
    """Run one command; every way it can end becomes an exit code, and a failure one `error:` and one `hint:` line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.")  # torch's, about its own parts
    warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a class may have any name
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _terminated)
    debug, arguments = "--debug" in arguments, [word for word in arguments if word != "--debug"]
    arguments = _asking_for_help(arguments)
    try:
        _settle(arguments)
        code = _run(arguments)
        if error := streams.failure():
            return _fail(f"cannot write the output: {error.strerror or error}", "free some space", 5)
        return code if isinstance(code, int) else 0
    except Problem as problem:
        _traceback(debug)
        return _fail(problem.message, problem.hint, problem.exit_code)
    except typer.TyperException as problem:  # what typer itself found wrong with the arguments
        return _fail(_first_line(problem), "diffcli --help lists commands, diffcli COMMAND --help options", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", "", 130)
    except Terminated as end:
        return _fail(ENDINGS[end.number], "", 128 + end.number)
    except SystemExit as end:  # typer's own way to meet a broken pipe, which is none that we print to
        if isinstance(end.__context__, BrokenPipeError):
            return _fail("another process has ended that this one was speaking to", "", 5)
        raise
    except OSError as error:
        _traceback(debug)
        return _fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""), "", 5)
    except MemoryError:
        return _fail("out of memory", "use a smaller --batch or --count", 5)
    except Exception as error:
        _traceback(debug)
        if "out of memory" in str(error) or "can't allocate memory" in str(error):
            return _fail("out of memory", "use a smaller --batch or --count", 5)
        if place := _plugin_at(error):
            return _fail(f"{place}: {type(error).__name__}: {error}", "--debug shows more", 2)
        return _fail(f"a bug in diffcli: {type(error).__name__}: {error}", "--debug shows where; please report it", 70)


def _plugin_at(error: Exception) -> str:
    """The file and line of a plug-in in which an error arose, the innermost; "" where it is none of a plug-in's."""
    if (plugins := sys.modules.get("diffcli.plugins")) is None:
        return ""
    files = {str(plugin.path): plugin.path.name for plugin in plugins.loaded()}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{files[frames[-1].filename]}:{frames[-1].lineno}" if frames else ""


def _run(arguments: list[str]) -> Any:
    """The command itself; of several processes that torchrun has started only rank 0 runs it, and the others follow."""
    if "WORLD_SIZE" in os.environ:
        from diffcli.ranks import launch

        here = launch.place()
        if here.rank > 0:
            return launch.follow()
        if here.launched:
            with launch.team(here.count):
                return app(arguments, standalone_mode=False)
    return app(arguments, standalone_mode=False)


class Terminated(BaseException):
    """A signal arrived that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


ENDINGS = {int(signal.SIGTERM): "terminated"}
if sys.platform != "win32":
    ENDINGS[int(signal.SIGHUP)] = "the terminal was closed"


def _terminated(number: int, _: FrameType | None) -> None:
    raise Terminated(number)


def _first_line(problem: Exception) -> str:
    text = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    if text.startswith("Usage:"):  # the whole help, where no command was given
        return "no command given"
    return " ".join(text.split()) or "no command given"


def _traceback(wanted: bool) -> None:
    if wanted:
        traceback.print_exc()


def _asking_for_help(arguments: list[str]) -> list[str]:
    """Without an option whose value would be --help: whoever types `train --latent --help` asks what it is."""
    return [
        word
        for word, after in pairwise([*arguments, ""])
        if after not in ("-h", "--help") or not word.startswith("--") or word == "--"
    ]


def _settle(arguments: list[str]) -> None:
    """Find the cache and load the plug-ins of installed packages; not for help, which imports nothing heavy."""
    if not arguments or {"-h", "--help", "--version"} & set(arguments):
        return
    from importlib.metadata import entry_points

    trouble, notes = cache.settle(), []
    if entry_points(group="diffcli.plugins"):
        from diffcli import plugins

        notes = plugins.load_installed()
    for note in [*([trouble] if trouble and "--quiet" not in arguments else []), *notes]:
        print(f"note: {one_line(note)}", file=sys.stderr)


def _fail(message: str, hint: str, code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)
    return code


def run() -> None:
    """The `diffcli` script."""
    streams.settle()
    sys.exit(main())
