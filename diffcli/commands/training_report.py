"""What `train` of every family says, before and after."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcli.system.cores import processors, share_left
from diffcli.system.shell import argument
from diffcli.training import recipes

CALM = 0.85  # of the machine: with less a training is slower than what it says of its time

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.runs.session import Session


def finished(session: "Session", folder: Path, saved: Path) -> tuple[dict[str, Any], list[str]]:
    """What came of a run that is complete, as a document and as lines."""
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
        **({"base": session.based} if session.based else {}),
    }
    return document, [
        f"{steps} steps in {duration(seconds)}, {session.images_per_second:.0f} {session.kind.name}/s",
        look.summary,
        f"checkpoint: {saved}",
        f"preview:    {folder / 'samples' / f'step-{steps:09d}.png'}",
        f"next:       {session.recipe.next_command(argument(folder), classes=bool(session.dataset.classes))}",
    ]


def announced(session: "Session", seconds_per_step: float, others: Callable[[], float | None]) -> list[str]:
    """What will be trained, and how long it will take. others: tells how many cores something else keeps busy"""
    from diffcli.system.text import duration

    recipe, dataset = session.recipe, session.dataset
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    size = "x".join(map(str, dataset.shape))
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return [
        f"data: {dataset.name}, {len(session.places)} {session.kind.name} of {size} numbers{classes}, "
        f"{len(session.held)} held out",
        f"model: {session.family.describe(recipe)}, {session.parameters / 1e6:.2f} M parameters, "
        f"{session.precision} on {session.device}"
        + (f", {session.group.count} processes" if session.group.count > 1 else ""),
        *([session.memory] if session.memory else []),
        *trained_parts(session),
        *chosen(session),
        f"time: about {duration(seconds)}, {recipe.batch / seconds_per_step:.0f} {session.kind.name}/s",
        *(crowded(others()) if session.device.type == "cpu" else []),
    ]


def trained_parts(session: "Session") -> list[str]:
    """What is trained of a run that began with another one's weights, as a table."""
    from diffcli.console.show import table
    from diffcli.training.adapting import parts_table

    if not session.based:
        return []
    head = f"base: {session.based['from']}, digest {session.based['digest'][:16]}"
    rows = parts_table(session.trainer.model.get_submodule("network"))
    return [head, *table(["part", "weights", ""], rows, right=(1,))]


def shown(session: "Session", stop: Callable[[], bool], show: "Show") -> Path:
    """Run the session, showing each event; the last checkpoint."""
    saved = Path()
    start, first = time.monotonic(), session.trainer.step
    with show.progress("training", session.trainer.plan.total, "steps") as bar:
        for progress, written, look, note in session.run(stop):
            speed = (progress.step - first) * session.recipe.batch / (time.monotonic() - start)
            text = f"loss {session.loss:.4f}  {speed:.0f} {session.kind.name}/s"
            bar.update(progress.step, text, session.trainer.plan.total)
            if note:
                bar.note(f"step {progress.step}: {note}")
            if look:
                bar.note(f"step {progress.step}: {look.text}")
            saved = written or saved
    return saved


def crowded(busy: float | None) -> list[str]:
    """What is left of the processor where something else keeps so many cores busy, and what can be done."""
    if busy is None or (left := share_left(busy)) > CALM:
        return []
    return [
        f"note: something else keeps {busy:.1f} of {processors()} cores busy, so about {left:.0%} of the machine "
        "is free: wait for it, let it give way (nice, renice), or choose how many processes share the rest (--devices)"
    ]


def chosen(session: "Session") -> list[str]:
    """What the dial has chosen, and what comes of it."""
    choice, recipe = session.dialled.choice, session.recipe
    if choice is None:
        return []
    lines = [
        f"dial: widths {','.join(map(str, recipe.network.widths))}, batch {recipe.batch}, guidance "
        f"{recipe.sampling.guidance:g}: about {choice.images} {session.kind.name} in {recipe.minutes:g} min"
    ]
    if session.dialled.known:
        share, error = choice.read
        lines.append(
            f"expected: validation loss {choice.loss:.4f} ± {choice.error:.4f}, {share:.1%} ± {error:.1%} of samples "
            "read as the class asked for"
        )
    return lines


def dry_run(session: "Session", seconds_per_step: float, out: Path | None, show: "Show") -> None:
    """The resolved recipe, the estimates, and where the run would be, as the result. out: as asked for"""
    from diffcli.runs.folder import bytes_of_checkpoints
    from diffcli.runs.listing import ROOT
    from diffcli.system.files import numbered
    from diffcli.system.text import duration, printable, size

    recipe = session.recipe
    seconds = recipe.steps * seconds_per_step if recipe.steps else recipe.minutes * 60
    disk, (memory, shared) = bytes_of_checkpoints(session.trainer), memory_of(session)
    folder = session.folder or out or numbered(ROOT, recipe.prefix + session.family.prefix + session.dataset.name)
    document = {
        "recipe": recipes.to_dict(recipe),
        "parameters": session.parameters,
        "steps": recipe.steps or int(seconds / seconds_per_step),
        "seconds": seconds,
        "images_per_second": recipe.batch / seconds_per_step,
        "memory_bytes": memory,
        "disk_bytes": disk,
        "run": str(folder),
    }
    if session.based:
        document["base"] = session.based
    if choice := session.dialled.choice:
        document["dial"] = {"chosen": list(session.dialled.keys), "images": choice.images}
    if choice and session.dialled.known:
        document["expected"] = {
            "validation_loss": choice.loss,
            "validation_loss_error": choice.error,
            "read": choice.read[0],
            "read_error": choice.read[1],
        }
    facts = [
        f"# parameters: {session.parameters}",
        f"# steps:      {document['steps']}" + ("" if recipe.steps else " (as the time allows)"),
        f"# time:       {duration(seconds)}",
        f"# memory:     {shared}",
        f"# disk:       {size(disk)}",
        f"# run:        {printable(str(folder))}",
    ]
    show.result(document, [recipes.to_toml(recipe).rstrip(), *facts])


def memory_of(session: "Session") -> tuple[int | None, str]:
    """Bytes that the training takes, by what a probe and a preview have taken, and in words; of GPUs those of each.

    A processor's processes have all in common memory: what rank 0 took counts for each of them.
    """
    from diffcli.system.memory import most_in_use
    from diffcli.system.text import size

    session.family.preview(session.recipe, session.dataset, session.places, session.held)
    taken, count = most_in_use(session.device), session.group.count
    if taken is None:
        return None, f"nothing tells on {session.device}"
    if session.device.type != "cpu":
        return taken, f"{size(taken)} of {f'each of {count} devices' if count > 1 else session.device}"
    return taken * count, size(taken * count) + (f", {count} processes of {size(taken)}" if count > 1 else "")
