"""What `train` of every family does: parse, prepare, train, say."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from diffcli.errors import DivergedProblem, Problem, UsageProblem

if TYPE_CHECKING:
    from diffcli.console.show import Bar, Show
    from diffcli.runs.session import Session


@dataclass(frozen=True)
class Options:
    """What `train` of every family takes.

    keys:  of the recipe, as options of their own; None where not given
    """

    keys: dict[str, Any]
    recipe: Optional[str] = None
    settings: list[str] = field(default_factory=list)
    resume: Optional[str] = None
    dry_run: bool = False
    data: Optional[Path] = None
    device: str = "auto"
    out: Optional[Path] = None
    as_json: bool = False
    quiet: bool = False
    began: float = field(default_factory=time.monotonic)


def train_family(name: str, wish: Options, suited: Callable[[Any], Any] | None = None) -> None:
    """Train a model of the family.

    suited:  data set -> the recipe where none was asked for; the recipe `default` unless given
    """
    from diffcli.console.interrupts import Interrupts
    from diffcli.console.show import Show
    from diffcli.runs import folder as runs
    from diffcli.runs.listing import family_name
    from diffcli.runs.loading import check_family, find
    from diffcli.runs.session import Session
    from diffcli.system import device as devices
    from diffcli.system.files import check_free
    from diffcli.training import recipes
    from diffcli.training.families import FAMILIES

    show, family = Show(as_json=wish.as_json, quiet=wish.quiet), FAMILIES[name]
    changes = _changes(wish)
    where = devices.pick(wish.device)
    command = f"{family.command} train"
    if wish.resume is None and wish.out is not None:
        check_free(wish.out, f"go on with --resume {wish.out}, or choose another --out")
    with contextlib.ExitStack() as held:
        if wish.resume is None:
            usual = suited(changes.get("dataset", "")) if suited else family.recipes["default"]
            start = recipes.load_recipe(wish.recipe, family.recipes) if wish.recipe else usual
            session = Session(recipes.override(start, changes), where, wish.data, wish.began)
            notes = session.dataset.notes
        else:
            if wish.out is not None or wish.recipe is not None:
                raise UsageProblem("--resume goes with neither --out nor --recipe", "the run knows both")
            folder = find(wish.resume, name)
            if folder.is_file():
                raise UsageProblem(f"--resume takes a run, not a file: {wish.resume}", f"try --resume {folder.parent}")
            check_family(folder, family_name(folder), name)
            held.enter_context(runs.locked(folder))
            session, notes = Session.resumed(folder, changes, where, wish.data, wish.began)

        seconds_per_step = session.probe()
        for line in (*notes, *_announce(session, seconds_per_step)):
            show.note(line)
        if wish.dry_run:
            _dry_run(session, seconds_per_step, show)
            return
        if wish.resume is None:
            folder = runs.create(wish.out, family.prefix + Path(session.recipe.dataset).name)
            held.enter_context(runs.locked(folder))
            held.enter_context(runs.removed_if_empty(folder))
        runs.describe(folder, session.recipe, session.facts() | {"resumed_at": session.trainer.step or None})
        show.note(f"run: {folder}   (Ctrl-C saves and stops; {command} --resume {folder} goes on)")
        with Interrupts() as wanted:
            session.prepare(seconds_per_step)
            with show.progress("training", session.trainer.plan.total, "steps") as bar:
                saved = _loop(session, folder, lambda: wanted.code != 0, bar)
        if not session.complete:
            show.note(f"saved at step {session.trainer.step}; go on with: {command} --resume {folder}")
            raise typer.Exit(wanted.code)
    _finish(session, folder, saved, show)


def _changes(wish: Options) -> dict[str, Any]:
    """The keys of the recipe that the options replace."""
    from diffcli.training import recipes

    given = {k: v for k, v in wish.keys.items() if v is not None}
    changes = recipes.parse_settings(wish.settings) | given
    if "minutes" in given and "steps" in given:
        raise UsageProblem("--minutes and --steps exclude each other", "give one of them")
    if changes.get("steps", 1) == 0 and "minutes" not in changes:
        raise UsageProblem("--steps must be at least 1", "or give --minutes")
    return changes


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
        f"next:       {session.family.next(session.recipe, folder, session.dataset.classes)}",
    ]
    show.result(document, lines)


def _loop(session: "Session", folder: Path, stop: Callable[[], bool], bar: "Bar") -> Path:
    """Run the session, showing each event; the last checkpoint."""
    from diffcli.runs import folder as runs
    from diffcli.runs.listing import checkpoints
    from diffcli.training.fit import Diverged

    saved, status = folder, "failed"
    start, first = time.monotonic(), session.trainer.step
    try:
        for progress, written, look in session.run(folder, stop):
            speed = (progress.step - first) * session.recipe.batch / (time.monotonic() - start)
            text = f"loss {session.loss:.4f}  {speed:.0f} {session.kind.name}/s"
            bar.update(progress.step, text, session.trainer.plan.total)
            if look:
                bar.note(f"step {progress.step}: {look.text}")
            saved = written or saved
        status = "complete" if session.complete else "interrupted"
    except Diverged as error:
        status = "diverged"
        kept = checkpoints(folder)
        whole = f"; the last good checkpoint is {kept[0]}" if kept else ""
        message = f"training diverged at step {session.trainer.step}: {error}"
        raise DivergedProblem(message, f"lower --lr or --set muon_lr=...{whole}") from error
    finally:
        with contextlib.suppress(Problem):  # a full disk has its own message by now
            runs.set_status(folder, status)
    return saved


def _announce(session: "Session", seconds_per_step: float) -> list[str]:
    """What will be trained, and how long it will take."""
    from diffcli.system.text import duration

    recipe, dataset = session.recipe, session.dataset
    parameters = sum(p.numel() for p in session.trainer.model.parameters())
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    size = "x".join(map(str, dataset.shape))
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return [
        f"data: {dataset.name}, {len(session.places)} {session.kind.name} of {size} numbers{classes}, "
        f"{len(session.held)} held out",
        f"model: {session.family.describe(recipe)}, {parameters / 1e6:.2f} M parameters, "
        f"{session.facts()['precision']} on {session.device}",
        f"time: about {duration(seconds)}, {recipe.batch / seconds_per_step:.0f} {session.kind.name}/s",
    ]


def _dry_run(session: "Session", seconds_per_step: float, show: "Show") -> None:
    """The resolved recipe and the estimates, as the result."""
    import tomli_w

    from diffcli.runs import folder as runs
    from diffcli.system.text import duration, size
    from diffcli.training import recipes

    recipe = session.recipe
    weights = sum(p.numel() for p in session.trainer.model.parameters())
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    moments = 1 if recipe.optimizer == "muon" else 2
    disk = runs.KEPT * 4 * weights * (2 + moments)
    plain = recipes.to_dict(recipe)
    document = {
        "recipe": plain,
        "parameters": weights,
        "steps": recipe.steps or int(seconds / seconds_per_step),
        "seconds": seconds,
        "images_per_second": recipe.batch / seconds_per_step,
        "disk_bytes": disk,
    }
    facts = [
        f"# parameters: {weights}",
        f"# steps:      {document['steps']}" + ("" if recipe.steps else " (as the time allows)"),
        f"# time:       {duration(seconds)}",
        f"# disk:       {size(disk)}",
    ]
    show.result(document, [tomli_w.dumps(plain).rstrip(), *facts])
