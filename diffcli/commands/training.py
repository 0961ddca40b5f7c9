"""What `train` of every family is: one command, made from the flags that a family has."""

import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem
from diffcli.training import recipes
from diffcli.training.recipes import Training

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.runs.session import Session

COMMON: dict[str, Any] = {  # options of every `train`, beside the keys of its recipe
    "recipe": Annotated[
        Optional[str], typer.Option(metavar="NAME|FILE.toml", help="Where to start from.  [what suits the data]")
    ],
    "settings": options.Settings,
    "resume": options.Resume,
    "dry_run": options.DryRun,
    "data": options.Data,
    "device": options.Device,
    "out": options.Out,
    "as_json": options.Json,
    "quiet": options.Quiet,
}
DEFAULTS = {"device": "auto", "dry_run": False, "as_json": False, "quiet": False}


def train_command(
    family: str,
    summary: str,
    usual: Training,
    flags: Mapping[str, str],
    suited: Callable[[Any], Training] | None = None,
) -> Callable[..., None]:
    """The command that trains models of a family.

    summary:  for its help
    usual:    the recipe where none is asked for, unless `suited` (data set -> recipe) says another
    flags:    keys of the recipe that have options of their own, with what they are
    """

    def train(**given: Any) -> None:
        keys = {name: given.pop(name) for name in flags}
        _train(family, keys, suited or (lambda _: usual), **given)

    hints = {name: _flag(usual, name, text) for name, text in flags.items()} | COMMON
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


def _train(
    family: str, keys: dict[str, Any], suited: Callable[[Any], Training], *, recipe: str | None,
    settings: list[str] | None, resume: str | None, dry_run: bool, data: Path | None, device: str, out: Path | None,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Train a model of the family: parse, prepare, train, say."""
    began = time.monotonic()
    from diffcli.console.interrupts import Interrupts
    from diffcli.console.show import Show
    from diffcli.runs.session import Assignment, opened
    from diffcli.system import device as devices
    from diffcli.training.families import FAMILIES

    show, command = Show(as_json=as_json, quiet=quiet), f"{FAMILIES[family].command} train"
    changes = _changes(keys, settings or [])
    where = devices.pick(device)
    start = None
    if resume is None:
        known = FAMILIES[family].recipes
        start = recipes.load_recipe(recipe, known) if recipe else suited(changes.get("dataset", ""))
        start = recipes.override(start, changes)
    elif out is not None or recipe is not None:
        raise UsageProblem("--resume goes with neither --out nor --recipe", "the run knows both")
    with opened(Assignment(family, start, where, data, resume, changes, out, began)) as session:
        seconds_per_step = session.probe()
        for line in (*session.notes, *_announce(session, seconds_per_step)):
            show.note(line)
        if dry_run:
            _dry_run(session, seconds_per_step, show)
            return
        folder = session.begin()
        show.note(f"run: {folder}   (Ctrl-C saves and stops; {command} --resume {folder} goes on)")
        with Interrupts() as wanted:
            session.prepare(seconds_per_step)
            saved = _loop(session, lambda: wanted.code != 0, show)
        if not session.complete:
            show.note(f"saved at step {session.trainer.step}; go on with: {command} --resume {folder}")
            raise typer.Exit(wanted.code)
    _finish(session, folder, saved, show)


def _changes(keys: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """The keys of the recipe that the options replace."""
    given = {k: v for k, v in keys.items() if v is not None}
    changes = recipes.parse_settings(settings) | given
    if "minutes" in given and "steps" in given:
        raise UsageProblem("--minutes and --steps exclude each other", "give one of them")
    if changes.get("steps", 1) == 0 and "minutes" not in changes:
        raise UsageProblem("--steps must be at least 1", "or give --minutes")
    return changes


def _loop(session: "Session", stop: Callable[[], bool], show: "Show") -> Path:
    """Run the session, showing each event; the last checkpoint."""
    saved = Path()
    start, first = time.monotonic(), session.trainer.step
    with show.progress("training", session.trainer.plan.total, "steps") as bar:
        for progress, written, look in session.run(stop):
            speed = (progress.step - first) * session.recipe.batch / (time.monotonic() - start)
            text = f"loss {session.loss:.4f}  {speed:.0f} {session.kind.name}/s"
            bar.update(progress.step, text, session.trainer.plan.total)
            if look:
                bar.note(f"step {progress.step}: {look.text}")
            saved = written or saved
    return saved


def _finish(session: "Session", folder: Path, saved: Path, show: "Show") -> None:
    """Say what came of a run that is complete."""
    from diffcli.system.text import duration

    steps, seconds, look = session.trainer.step, session.clock.used, session.look
    assert look is not None
    document = {
        "run": str(folder),
        "checkpoint": str(saved),
        "steps": steps,
        "images": steps * session.recipe.batch,
        "seconds": seconds,
        "images_per_second": session.images_per_second,
        "loss": session.loss,
        "validation_loss": look.validation_loss,
        "linear_denoiser_loss": look.linear_loss,
    }
    lines = [
        f"{steps} steps in {duration(seconds)}, {session.images_per_second:.0f} {session.kind.name}/s",
        look.summary,
        f"checkpoint: {saved}",
        f"preview:    {folder / 'samples' / f'step-{steps:09d}.png'}",
        f"next:       {session.family.next(session.recipe, folder, session.dataset.items)}",
    ]
    show.result(document, lines)


def _announce(session: "Session", seconds_per_step: float) -> list[str]:
    """What will be trained, and how long it will take."""
    from diffcli.system.text import duration

    recipe, dataset = session.recipe, session.dataset
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    size = "x".join(map(str, dataset.shape))
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return [
        f"data: {dataset.name}, {len(session.places)} {session.kind.name} of {size} numbers{classes}, "
        f"{len(session.held)} held out",
        f"model: {session.family.describe(recipe)}, {session.parameters / 1e6:.2f} M parameters, "
        f"{session.precision} on {session.device}",
        f"time: about {duration(seconds)}, {recipe.batch / seconds_per_step:.0f} {session.kind.name}/s",
    ]


def _dry_run(session: "Session", seconds_per_step: float, show: "Show") -> None:
    """The resolved recipe and the estimates, as the result."""
    from diffcli.runs.folder import bytes_of_checkpoints
    from diffcli.system.text import duration, size

    recipe = session.recipe
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    disk = bytes_of_checkpoints(session.trainer)
    document = {
        "recipe": recipes.to_dict(recipe),
        "parameters": session.parameters,
        "steps": recipe.steps or int(seconds / seconds_per_step),
        "seconds": seconds,
        "images_per_second": recipe.batch / seconds_per_step,
        "disk_bytes": disk,
    }
    facts = [
        f"# parameters: {session.parameters}",
        f"# steps:      {document['steps']}" + ("" if recipe.steps else " (as the time allows)"),
        f"# time:       {duration(seconds)}",
        f"# disk:       {size(disk)}",
    ]
    show.result(document, [recipes.to_toml(recipe).rstrip(), *facts])
