"""A training run and its folder: begun, gone on with, and run to its end. Yields; the command shows."""

import copy
import dataclasses
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset, stream
from diffcli.data.kinds import kind_of
from diffcli.errors import DataProblem, UsageProblem
from diffcli.pictures.grid import save_png
from diffcli.runs import folder as runs
from diffcli.runs.loading import read, restore, understood
from diffcli.system.device import use_bf16
from diffcli.system.files import write_atomically
from diffcli.training.clock import Clock, looks
from diffcli.training.families import family_of
from diffcli.training.families.base import Look
from diffcli.training.fit import Plan, Progress, Trainer, fit
from diffcli.training.recipes import Training, override, to_dict
from diffcli.training.setup import build, new_trainer

LOG_EVERY = 10  # steps between rows of metrics.jsonl
RECENT = 50  # steps that the shown loss is the mean of


class Event(NamedTuple):
    """One optimiser step, the checkpoint written after it if any, and what a preview saw if one was made."""

    progress: Progress
    saved: Path | None
    look: Look | None


class Session:
    """Everything that one process needs to train a run."""

    def __init__(self, recipe: Training, device: torch.device, data_folder: Path | None, began: float) -> None:
        recipe.check_core()
        self.device, self.began, self.used = device, began, 0.0
        loaded = datasets.load_dataset(recipe.dataset, data=data_folder, size=recipe.size)
        self.dataset = family_of(recipe).view(recipe, loaded)
        if recipe.dataset not in datasets.names():
            recipe = dataclasses.replace(recipe, dataset=str(Path(recipe.dataset).expanduser().resolve()))
        self.kind = kind_of(self.dataset.shape)
        if recipe.flip and not self.kind.mirrors:
            raise UsageProblem(f"flip mirrors images; {recipe.dataset} holds {self.kind.name}", "leave flip out")
        self.recipe, self.family = recipe, family_of(recipe)
        self.places, self.held = self.dataset.holdout(self.kind.held)
        self.trainer = new_trainer(recipe, self._build())
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.look: Look | None = None

    @classmethod
    def resumed(
        cls,
        folder: Path,
        changes: dict[str, Any],
        device: torch.device,
        data_folder: Path | None,
        began: float,
    ) -> tuple["Session", tuple[str, ...]]:
        """The session that goes on with a run from its newest whole checkpoint, and notes.

        Only `steps` or `minutes` may change; both count from the run's beginning.
        """
        path, tensors, about, notes = read(folder)
        recipe, _, _ = understood(path, about)
        if refused := sorted(set(changes) - {"steps", "minutes"}):
            raise UsageProblem(f"a resume cannot change {', '.join(refused)}", "start a new run for that")
        torch.set_num_threads(about["threads"])
        session = cls(override(recipe, changes), device, data_folder, began)
        if session.dataset.fingerprint != about["data"]:
            raise DataProblem(f"{recipe.dataset} has changed since the run began", "start a new run")
        restore(session.trainer, path, tensors, about)
        session.used = about["seconds"]
        trainer = session.trainer
        if changes:
            trainer.plan = Plan(session.recipe.steps)
        spent = session.recipe.steps == 0 and session.used >= session.recipe.minutes * 60
        if session.complete or (changes and spent):
            done = f"{trainer.step} steps in {session.used / 60:.1f} minutes"
            raise UsageProblem(f"{folder} is complete: {done}", "go on to more --steps or --minutes in all")
        return session, notes

    def probe(self, steps: int = 3) -> float:
        """Seconds per step, from the fastest of a few on a copy that is thrown away."""
        trial = new_trainer(self.recipe, copy.deepcopy(self.trainer.model))
        trial.plan = Plan(steps + 1)
        marks = [time.monotonic() for _ in self._fit(trial)]
        return min(b - a for a, b in zip(marks, marks[1:], strict=False))

    def prepare(self, seconds_per_step: float) -> None:
        """Plan the run and compute what previews compare with."""
        recipe = self.recipe
        budget = None if recipe.steps else recipe.minutes * 60
        self.clock = Clock(budget, used=self.used, since=self.began, every=recipe.checkpoint_every)
        self.preview = self.family.preview(recipe, self.dataset, self.places, self.held)
        self.trainer.plan = self.clock.begin(self.trainer.step, self.trainer.plan, seconds_per_step)

    def run(self, folder: Path, stop: Callable[[], bool]) -> Iterator[Event]:
        """Train to the end of the plan, or until `stop`; each event is already on the disk. Raises Diverged."""
        trainer, clock = self.trainer, self.clock
        runs.set_aside(folder, after=trainer.step)
        _forget_rows(folder / "metrics.jsonl", after=trainer.step)
        for progress in self._fit(trainer):
            self.recent.append(progress.loss)
            saved = look = None
            stopping = stop()  # asked once: a signal that comes later is for the next step
            due = clock.due(progress.step) and not progress.refused  # two refused steps must not push out good ones
            if due or progress.step >= trainer.plan.total or stopping:
                trainer.plan = clock.revise(progress.step, trainer.plan)
                if progress.step >= trainer.plan.total or (looks(clock.saves) and not stopping):
                    look = self._look(folder)
                saved = runs.save(folder, trainer, self._about())
                clock.saved(progress.step, looked=look is not None)
            if progress.step % LOG_EVERY == 0 or look:
                runs.log(folder, self._row(progress, look))
            yield Event(progress, saved, look)
            if stopping:
                return

    @property
    def complete(self) -> bool:
        """Whether the plan has come to its end."""
        return 0 < self.trainer.plan.total <= self.trainer.step

    @property
    def images_per_second(self) -> float:
        """Training images, or points, per second of the whole run, previews and checkpoints included."""
        return self.trainer.step * self.recipe.batch / self.clock.used

    @property
    def loss(self) -> float:
        """The mean training loss of the last steps; nan before the first."""
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    def facts(self) -> dict[str, Any]:
        """What run.json says beside argv and versions."""
        return {
            "family": self.family.name,
            "seed": self.recipe.seed,
            "device": str(self.device),
            "precision": "bf16" if use_bf16(self.recipe.precision, self.device) else "fp32",
            "data": self.dataset.fingerprint,
            "images": len(self.places),
            "validation_images": len(self.held),
            "status": "running",
        }

    def _build(self) -> Any:
        model = build(self.recipe, self.dataset.shape, len(self.dataset.classes), self.device)
        self.family.begin(model, self.dataset, self.places)
        return model

    def _fit(self, trainer: Trainer) -> Iterator[Progress]:
        return fit_by(self.recipe, trainer, self.dataset, self.places)

    def _look(self, folder: Path) -> Look:
        self.look = look = self.preview.look(self.trainer.ema)
        path = folder / "samples" / f"step-{self.trainer.step:09d}.png"
        save_png(path, look.picture, {"step": self.trainer.step})
        return look

    def _about(self) -> dict[str, Any]:
        return {
            "family": self.family.name,
            "recipe": to_dict(self.recipe),
            "shape": list(self.dataset.shape),
            "classes": list(self.dataset.classes),
            "data": self.dataset.fingerprint,
            "threads": torch.get_num_threads(),
            "seconds": self.clock.used,
            "validation_loss": self.look.validation_loss if self.look else None,
            **self.preview.about(),
        }

    def _row(self, progress: Progress, look: Look | None) -> dict[str, Any]:
        row: dict[str, Any] = {
            "step": progress.step,
            "images": progress.step * self.recipe.batch,
            "seconds": round(self.clock.used, 2),
            "loss": self.loss,
            "gradient_norm": progress.gradient_norm,
            "scale": progress.scale,
        }
        if look:
            row |= {
                "validation_loss": look.validation_loss,
                "linear_denoiser_loss": look.linear_loss,
                **look.row,
            }
        return row


def fit_by(recipe: Training, trainer: Trainer, dataset: Dataset, places: torch.Tensor) -> Iterator[Progress]:
    """`fit` with the settings of a recipe on some places of a data set."""
    batches = stream(dataset, places, batch=recipe.batch, seed=recipe.seed, flip=recipe.flip)
    return fit(
        trainer, batches, family_of(recipe).objective(recipe), seed=recipe.seed, batch=recipe.batch,
        warmup=recipe.warmup, clip=recipe.clip, ema=recipe.ema,
    )  # fmt: skip


def _forget_rows(path: Path, after: int) -> None:
    """Drop the rows of steps that will be taken again."""
    if path.exists():
        rows = [line for line in path.read_text().splitlines() if _step(line) <= after]
        write_atomically(path, "".join(row + "\n" for row in rows).encode())


def _step(row: str) -> float:
    """The step of a row; infinite where it is half-written."""
    try:
        return json.loads(row)["step"]
    except ValueError:
        return math.inf
