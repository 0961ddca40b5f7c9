"""diffcli control train"""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from diffcli.commands.training import Manner, train_as
from diffcli.console import options
from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes.diffusion import RECIPES, Recipe

MODES = ("branch", "concat")


def train(
    run: options.Run = None,
    condition: Annotated[
        Optional[str],
        typer.Option(
            "--condition",
            metavar="NAME|WORD|FOLDER",
            help="edges, mask, sketch, blur, lowres, hole, layout; or pictures beside images: a word, a folder.",
        ),
    ] = None,
    mode: Annotated[
        Optional[str],
        typer.Option(metavar="NAME", help="branch beside the frozen network, or concat: all is trained.  [branch]"),
    ] = None,
    dataset: Annotated[
        Optional[str], typer.Option("--dataset", help="Another than the run's: a name or a folder of images.")
    ] = None,
    minutes: Annotated[Optional[float], typer.Option(help="Time budget; the run ends with it.  [5]")] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, instead of --minutes.")] = None,
    batch: Annotated[Optional[int], typer.Option(help="Images per step.  [the run's, 64 at most]")] = None,
    lr: Annotated[Optional[float], typer.Option(help="Learning rate of AdamW.  [the run's]")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Of all randomness.  [the run's]")] = None,
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
    """Teach a trained model to obey pictures. A branch beside its frozen network, or the whole of it."""
    keys = {"dataset": dataset, "minutes": minutes, "steps": steps, "batch": batch, "lr": lr, "seed": seed}
    if resume is None and condition is None:
        raise UsageProblem("what are the pictures to show?", "add --condition edges, or mask, sketch, blur, lowres ...")
    if resume is not None and (run is not None or mode is not None or condition is not None):
        raise UsageProblem("--resume goes with neither RUN nor --condition nor --mode", "the run knows them")
    if mode is not None:
        one_of(mode, MODES, "mode")

    def begin(changes: dict[str, Any]) -> tuple[Recipe, str]:
        from diffcli.runs.controlling import begun_beside

        return begun_beside(run, condition or "", mode or MODES[0], changes)

    train_as(
        "diffusion", keys, lambda _: Recipe(), RECIPES, settings=settings, resume=resume, device=device,
        devices=devices, skip_broken=skip_broken, impl=impl, dry_run=dry_run, data=data, out=out, as_json=as_json,
        quiet=quiet, manner=Manner("diffcli control train", begin),
    )  # fmt: skip
