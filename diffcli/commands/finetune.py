"""diffcli finetune"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.commands.training import Manner, train_as
from diffcli.console import options
from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes.adaptation import FrozenKeys, LoraKeys
from diffcli.training.recipes.diffusion import RECIPES, Recipe

if TYPE_CHECKING:
    from diffcli.commands.training_run import Ended
    from diffcli.console.show import Show

Again = Callable[[Recipe], "Ended | None"]
MODES = ("full", "lora", "head", "frozen")
RANK, ALPHA = LoraKeys().rank, LoraKeys().alpha
LAYERS, PARTS = ",".join(LoraKeys().layers), ",".join(FrozenKeys().parts)


def finetune(
    run: options.Run = None,
    dataset: Annotated[
        Optional[str], typer.Option("--dataset", help="A name (diffcli data lists them) or a folder of images.")
    ] = None,
    mode: Annotated[
        Optional[str], typer.Option(metavar="NAME", help="full, lora, head or frozen: what is trained.  [full]")
    ] = None,
    rank: Annotated[Optional[int], typer.Option(help=f"Of --mode lora.  [{RANK}]")] = None,
    alpha: Annotated[Optional[float], typer.Option(help=f"Its size: alpha / rank.  [{ALPHA:g}]")] = None,
    layers: Annotated[
        Optional[str], typer.Option(metavar="NAME[,NAME]", help=f"Of --mode lora; ends, too.  [{LAYERS}]")
    ] = None,
    parts: Annotated[
        Optional[str], typer.Option(metavar="NAME[,NAME]", help=f"Of --mode frozen, that stay.  [{PARTS}]")
    ] = None,
    minutes: Annotated[Optional[float], typer.Option(help="Time budget; the run ends with it.  [5]")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    batch: Annotated[Optional[int], typer.Option(help="Images per step.  [the base's]")] = None,
    lr: Annotated[Optional[float], typer.Option(help="Learning rate of AdamW.  [half the base's]")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Of all randomness.  [0]")] = None,
    judge: Annotated[
        int,
        typer.Option(help="Samples to judge it by, as it began and as it is; 0 for no judgement.", min=0),
    ] = 500,
    against_scratch: Annotated[
        bool, typer.Option("--against-scratch", help="Train the same from scratch, too, for as many seconds.")
    ] = False,
    forget_check: Annotated[
        bool, typer.Option("--forget-check", help="What the base's own classes have lost, where they can be asked for.")
    ] = False,
    downstream: Annotated[
        Optional[bool],
        typer.Option(help="Train classifiers of two classes with samples and without.  [for medical sets]"),
    ] = None,
    settings: options.Settings = None,
    impl: options.Impl = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    skip_broken: options.SkipBroken = False,
    data: options.Data = None,
    device: options.Device = "auto",
    devices: options.Devices = "auto",
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder of the run.  [a fresh one]")] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on from a trained model with other data. All of it, additions of low rank, or some of its parts."""
    own = {"rank": rank, "alpha": alpha, "layers": layers, "parts": parts, "seed": seed}
    keys = {"dataset": dataset, "adaptation": mode, "minutes": minutes, "steps": steps, "batch": batch, "lr": lr, **own}
    if resume is None and dataset is None:
        raise UsageProblem("what is the model to learn?", "add --dataset NAME, or a folder of images")
    if resume is not None and (run is not None or mode is not None):
        raise UsageProblem("--resume goes with neither RUN nor --mode", "the run knows both")
    if mode is not None:
        one_of(mode, MODES, "mode")
    if not judge and (against_scratch or forget_check or downstream):
        raise UsageProblem("--judge 0 leaves nothing to compare", "leave it out")

    def begin(changes: dict[str, Any]) -> tuple[Recipe, str]:
        from diffcli.runs.basing import begun_with

        recipe, path = begun_with(run, {"adaptation": "full"} | changes)
        if recipe.control.name != "none":
            raise UsageProblem(f"{path} obeys hints, which other data do not have", "name the model that it began with")
        return recipe, path

    def then(ended: "Ended", document: dict[str, Any], lines: list[str], show: "Show", again: Again) -> None:
        if not judge or ended.session.based is None:
            return
        from diffcli.commands import finetune_judge

        wanted = {"count": judge, "forgotten": forget_check, "diagnosis": downstream, "device": device, "data": data}
        finetune_judge.judged(ended, wanted, document, lines, show, again if against_scratch else None)

    train_as(
        "diffusion", keys, lambda _: Recipe(), RECIPES, settings=settings, resume=resume, device=device,
        devices=devices, skip_broken=skip_broken, impl=impl, dry_run=dry_run, data=data, out=out, as_json=as_json,
        quiet=quiet, manner=Manner("diffcli finetune", begin, then),
    )  # fmt: skip
