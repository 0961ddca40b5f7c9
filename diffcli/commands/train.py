"""diffcli train"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli import options
from diffcli.errors import DivergedProblem, Problem, UsageProblem
from diffcli.options import recipe_option

if TYPE_CHECKING:
    from diffcli.session import Session
    from diffcli.show import Bar, Show


def train(
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.")
    ] = None,
    minutes: Annotated[Optional[float], recipe_option("minutes", "Time budget; the run ends with it.")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    schedule: Annotated[Optional[str], recipe_option("schedule", "Noise schedule, e.g. linear.")] = None,
    predict: Annotated[Optional[str], recipe_option("predict", "What the network predicts, e.g. eps.")] = None,
    model: Annotated[Optional[str], recipe_option("model", "Network.")] = None,
    batch: Annotated[Optional[int], recipe_option("batch", "Images or points per step.")] = None,
    lr: Annotated[Optional[float], recipe_option("lr", "Learning rate of AdamW.")] = None,
    recipe: Annotated[
        Optional[str],
        typer.Option(metavar="NAME|FILE.toml", help="Where to start from.  [what suits the data]"),
    ] = None,
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
    ] = None,
    resume: Annotated[Optional[str], typer.Option(metavar="RUN", help="Go on with a run.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print recipe, size and estimates; stop.")] = False,
    seed: Annotated[Optional[int], recipe_option("seed", "Of all randomness.")] = None,
    data: options.Data = None,
    device: options.Device = "auto",
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a diffusion model: MNIST in five minutes, or your own images."""
    began = time.monotonic()
    from diffcli import device as devices
    from diffcli import recipes, runs
    from diffcli.files import check_free
    from diffcli.interrupts import Interrupts
    from diffcli.session import Session
    from diffcli.show import Show, duration

    show = Show(as_json=as_json, quiet=quiet)
    given = {
        "dataset": dataset, "minutes": minutes, "steps": steps, "schedule": schedule, "predict": predict,
        "model": model, "batch": batch, "lr": lr, "seed": seed,
    }  # fmt: skip
    changes = recipes.parse_settings(settings or []) | {k: v for k, v in given.items() if v is not None}
    if minutes is not None and steps is not None:
        raise UsageProblem("--minutes and --steps exclude each other", "give one of them")
    if changes.get("steps", 1) == 0 and "minutes" not in changes:
        raise UsageProblem("--steps must be at least 1", "or give --minutes")
    where = devices.pick(device)
    if resume is None and out is not None:
        check_free(out, f"go on with --resume {out}, or choose another --out")
    with contextlib.ExitStack() as held:
        if resume is None:
            start = recipes.load(recipe) if recipe else recipes.suited(changes.get("dataset", ""))
            session = Session(recipes.override(start, changes), where, data, began)
            notes = session.dataset.notes
        else:
            if out is not None or recipe is not None:
                raise UsageProblem("--resume goes with neither --out nor --recipe", "the run knows both")
            folder = runs.find(resume)
            if folder.is_file():
                raise UsageProblem(f"--resume takes a run, not a file: {resume}", f"try --resume {folder.parent}")
            held.enter_context(runs.locked(folder))
            session, notes = Session.resumed(folder, changes, where, data, began)

        seconds_per_step = session.probe()
        for line in (*notes, *_announce(session, seconds_per_step)):
            show.note(line)
        if dry_run:
            _dry_run(session, seconds_per_step, show)
            return
        if resume is None:
            folder = runs.create(out, session.recipe.dataset)
            held.enter_context(runs.locked(folder))
            held.enter_context(runs.removed_if_empty(folder))
        runs.describe(folder, session.recipe, session.facts() | {"resumed_at": session.trainer.step or None})
        show.note(f"run: {folder}   (Ctrl-C saves and stops; diffcli train --resume {folder} goes on)")
        with Interrupts() as wish:
            session.prepare(seconds_per_step)
            with show.progress("training", session.trainer.plan.total, "steps") as bar:
                saved = _loop(session, folder, lambda: wish.code != 0, bar)
        if not session.complete:
            show.note(f"saved at step {session.trainer.step}; go on with: diffcli train --resume {folder}")
            raise typer.Exit(wish.code)

    steps_done, seconds = session.trainer.step, session.clock.used
    look = session.look
    assert look is not None
    document = {
        "run": str(folder),
        "checkpoint": str(saved),
        "steps": steps_done,
        "images": steps_done * session.recipe.batch,
        "seconds": seconds,
        "images_per_second": session.images_per_second,
        "loss": session.loss,
        "validation_loss": look.validation_loss,
        "linear_denoiser_loss": look.linear_loss,
    }
    lines = [
        f"{steps_done} steps in {duration(seconds)}, {session.images_per_second:.0f} {session.kind.name}/s",
        f"validation loss {look.validation_loss:.4f}, best linear denoiser {look.linear_loss:.4f}",
        f"checkpoint: {saved}",
        f"preview:    {folder / 'samples' / f'step-{steps_done:09d}.png'}",
        f"next:       diffcli sample {folder} --ddim" + (" --class all" if session.dataset.classes else ""),
    ]
    show.result(document, lines)


def _loop(session: "Session", folder: Path, stop: Callable[[], bool], bar: "Bar") -> Path:
    """Run the session, showing each event; the last checkpoint."""
    from diffcli import runs
    from diffcli.history import checkpoints
    from diffcli.metrics.health import line
    from diffcli.training import Diverged

    saved, status = folder, "failed"
    start, first = time.monotonic(), session.trainer.step
    try:
        for progress, written, look in session.run(folder, stop):
            speed = (progress.step - first) * session.recipe.batch / (time.monotonic() - start)
            text = f"loss {session.loss:.4f}  {speed:.0f} {session.kind.name}/s"
            bar.update(progress.step, text, session.trainer.plan.total)
            if look:
                bar.note(
                    f"step {progress.step}: validation loss {look.validation_loss:.4f} "
                    f"(best linear denoiser {look.linear_loss:.4f}); {line(look.health, session.preview.data)}"
                )
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
    from diffcli.show import duration

    recipe, dataset = session.recipe, session.dataset
    parameters = sum(p.numel() for p in session.trainer.denoiser.parameters())
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    size = "x".join(map(str, dataset.shape))
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return [
        f"data: {dataset.name}, {len(session.places)} {session.kind.name} of {size} numbers{classes}, "
        f"{len(session.held)} held out",
        f"model: {recipe.model}, {parameters / 1e6:.2f} M parameters, {recipe.schedule} schedule, "
        f"predicts {recipe.predict}, {session.facts()['precision']} on {session.device}",
        f"time: about {duration(seconds)}, {recipe.batch / seconds_per_step:.0f} {session.kind.name}/s",
    ]


def _dry_run(session: "Session", seconds_per_step: float, show: "Show") -> None:
    """The resolved recipe and the estimates, as the result."""
    import tomli_w

    from diffcli import recipes, runs
    from diffcli.show import duration, size

    recipe = session.recipe
    weights = sum(p.numel() for p in session.trainer.denoiser.parameters())
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
