"""What `train` of every family is: one command, made from the flags that a family has."""

import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from diffcli.commands import training_report
from diffcli.commands.training_changes import changes_of, dataset_of, family_wanted, is_long
from diffcli.console import options
from diffcli.errors import UsageProblem
from diffcli.ranks.count import gathered, processes
from diffcli.runs.listing import ranks_of
from diffcli.system import cores
from diffcli.training import recipes
from diffcli.training.recipes import Training

if TYPE_CHECKING:
    from diffcli.ranks.launch import Team

COMMON: dict[str, Any] = {  # options of every `train`, beside the recipe and its keys
    "settings": options.Settings,
    "impl": options.Impl,
    "resume": options.Resume,
    "dry_run": options.DryRun,
    "skip_broken": options.SkipBroken,
    "data": options.Data,
    "device": options.Device,
    "devices": options.Devices,
    "out": options.Out,
    "as_json": options.Json,
    "quiet": options.Quiet,
}
Suited = Callable[[dict[str, Any]], Training]


class Manner(NamedTuple):
    """How a command that trains differs from `train` of its family.

    words:  of the command, that goes on with its runs
    begin:  changes of keys -> the recipe with them, and the checkpoint that the run begins with; None has no such base
    then:   (run, document, lines, show, again): what else is done with a run that is complete, and said of it; `again`
            trains another recipe in the same way
    """

    words: str
    begin: Callable[[dict[str, Any]], tuple[Training, str]] | None = None
    then: Callable[..., None] | None = None


EARLY = "diffcli.runs.together"  # what followers import while rank 0 does
DEFAULTS = {
    "device": "auto",
    "devices": "auto",
    "dry_run": False,
    "skip_broken": False,
    "as_json": False,
    "quiet": False,
}


def train_command(
    family: str,
    summary: str,
    known: Mapping[str, Training],
    flags: Mapping[str, str],
    suited: Suited | None = None,
    also: tuple[str, ...] = (),
) -> Callable[..., None]:
    """The command that trains models of a family.

    summary:  for its help
    known:    recipes by name; `default` where none is asked for, unless `suited` (set keys -> recipe) says so
    flags:    keys of the recipe that have options of their own, with what they are
    also:     other families that some of these recipes are of
    """
    usual = known["default"]

    def train(**given: Any) -> None:
        keys = {name: given.pop(name) for name in flags}
        named, run = given["recipe"], given["resume"]
        wanted = family if not also else family_wanted((family, *also), named, run, known)
        train_as(wanted, keys, suited or (lambda _: usual), known, **given)

    start = f"Where to start from: {', '.join(known)}.  [{'what suits the data' if suited else 'default'}]"
    recipe = Annotated[Optional[str], typer.Option(metavar="NAME|FILE.toml", help=start)]
    hints = {name: _flag(usual, name, text) for name, text in flags.items()} | {"recipe": recipe} | COMMON
    train.__annotations__ = hints
    train.__doc__ = summary
    train.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=hint)
            for name, hint in hints.items()
        ]
    )
    return train


def _flag(usual: Training, key: str, text: str) -> Any:
    """The type of an option that replaces a key; its help ends with the value of the usual recipe, unless 0."""
    value = recipes.value_of(usual, key)
    ending = f"  [{value}]" if value or key == "seed" else ""
    return Annotated[Optional[type(value)], typer.Option(help=text + ending)]


def train_as(
    family: str, keys: dict[str, Any], suited: Suited, known: Mapping[str, Training],
    *, settings: list[str] | None, resume: str | None, device: str, devices: str,
    skip_broken: bool, recipe: str | None = None, manner: Manner | None = None, **given: Any,
) -> None:  # fmt: skip
    """Train a model of the family, with as many processes as are worth it: these are started before all else.

    keys:    of the recipe, that options give; None of those that are not given
    suited:  those that are -> the recipe where none is asked for
    """
    began = time.monotonic()
    changes = changes_of(keys, settings or []) | ({"skip_broken": True} if skip_broken else {})
    usual = known.get(recipe, known["default"]) if recipe else suited(changes)
    before = ranks_of(resume) if resume else 0
    long = is_long(usual, (recipes.length_of(recipe) if recipe else {}) | changes)
    count, choose = processes(devices, device, worth=bool(before) or long, before=before)
    tell = cores.watch()
    with gathered(count, EARLY) as team:
        tell = cores.busy_cores if team else tell  # a team keeps some busy while it imports
        _lead(
            family, changes, suited, team, choose, manner, began, tell,
            recipe=recipe, resume=resume, device=device, **given,
        )  # fmt: skip


def _lead(
    family: str, changes: dict[str, Any], suited: Suited, team: "Team | None", choose: bool, manner: Manner | None,
    began: float, others: Callable[[], float | None], *, recipe: str | None, impl: list[Path] | None,
    resume: str | None, dry_run: bool, data: Path | None, device: str, out: Path | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Parse, prepare, train, say."""
    from diffcli import plugins
    from diffcli.commands.training_run import Ended, trained
    from diffcli.console.show import Show
    from diffcli.runs.assignment import Assignment
    from diffcli.runs.codecs import data_of
    from diffcli.runs.session import Setting
    from diffcli.runs.together import begun_before
    from diffcli.system import device as devices
    from diffcli.training.families import FAMILIES

    show, manner = Show(as_json=as_json, quiet=quiet), manner or Manner(f"{FAMILIES[family].command} train")
    files = plugins.load([*(impl or ()), *(recipes.impl_of(recipe) if recipe else ())])
    where = devices.pick(device)
    start = base = None
    if resume is not None and (out is not None or recipe is not None):
        raise UsageProblem("--resume goes with neither --out nor --recipe", "the run knows both")
    again = begun_before(team)
    if again is not None:
        resume, changes = again, {}
    named = {"impl": tuple(dict.fromkeys(str(plugin.path) for plugin in files))} if files else {}
    if resume is None and manner.begin:
        start, base = manner.begin(changes | named)
    elif resume is None:
        known = FAMILIES[family].recipes
        start = recipes.load_recipe(recipe, known) if recipe else suited(changes)
        if family == "diffusion" and changes.get("latent") and not dataset_of(changes):
            start = recipes.override(start, {"data": data_of(changes["latent"])})
        start = recipes.override(start, changes | named)

    def run(start: Training | None, base: str | None, out: Path | None, began: float) -> Ended | None:
        setting = Setting(where, data, out, began, team.count if team else 1)
        assignment = Assignment(family, setting, start, resume if start is None else None, changes, base=base)
        return trained(assignment, manner.words, show, team, others, choose=choose, dry_run=dry_run)

    ended = run(start, base, out, began)
    if ended is None:
        return
    document, lines = training_report.finished(*ended)
    if manner.then:
        manner.then(ended, document, lines, show, lambda recipe: run(recipe, None, None, time.monotonic()))
    show.result(document, lines)
