"""A training run and its folder, from the first step to the last. Yields; whoever calls shows."""

import contextlib
import dataclasses
import functools
import gc
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.errors import DivergedProblem, EnvironmentProblem, Problem
from diffcli.pictures.grid import save_png
from diffcli.ranks.group import ALONE, Group
from diffcli.runs import contents
from diffcli.runs import folder as runs
from diffcli.runs.basing import settled_upon
from diffcli.runs.codecs import Carried
from diffcli.runs.data import BY_CLASS, loaded
from diffcli.runs.dialling import dialled
from diffcli.runs.fitting import fit_by, seconds_per_step
from diffcli.runs.listing import checkpoints
from diffcli.runs.setting import Event as Event
from diffcli.runs.setting import Setting as Setting
from diffcli.system.device import computing_threads, use_bf16
from diffcli.system.shell import argument
from diffcli.training.clock import Clock, looks
from diffcli.training.families import family_of
from diffcli.training.families.base import Basis, Look
from diffcli.training.progress import Diverged, Progress
from diffcli.training.recipes import Training
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Trainer

LOG_EVERY = 10  # steps between rows of metrics.jsonl
TIMED = 2  # steps that the dial times, of which the faster counts
RECENT = 50  # steps that the shown loss is the mean of


class Session:
    """Everything that one process needs to train a run. Made by `diffcli.runs.assignment.opened`.

    folder:        of the run; None before `begin`
    notes:         what the user should know of the data or the run
    based:         on what a run began, for its files; None where that is random weights
    group:         ranks that train the run together, of which rank 0 alone writes
    ranks_before:  how many trained it so far; 0 for a fresh run
    """

    ranks_before = 0
    based: dict[str, Any] | None = None

    def __init__(
        self, recipe: Training, place: Setting, held: contextlib.ExitStack, holdout: str = BY_CLASS,
        codec: Carried | None = None, basis: Basis | None = None, known: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        recipe.check_core()
        self.device, self.used, self.group = place.device, 0.0, ALONE
        self._out, self._held, self.holdout = place.out, held, holdout
        self.dataset, recipe, self.places, self.held, reading, self.codec = loaded(
            recipe, place.data, holdout, place.device, codec
        )
        if getattr(getattr(recipe, "adaptation", None), "classes", "") == "all":
            every = tuple(dict.fromkeys((*(basis.items.classes if basis else known), *self.dataset.classes)))
            self.dataset, self.codec = self.dataset.among(every), self.codec and self.codec.among(every)
        self.notes, self._basis = self.dataset.notes, basis
        recipe = settled_upon(recipe, basis, self.dataset) if basis else recipe
        self.began = place.began + reading  # the minutes are for training
        self.kind, self.family = self.dataset.items.kind, family_of(recipe)
        left = recipe.minutes * 60 - (time.monotonic() - self.began)
        self._processes, gpu = place.processes, self.device.type != "cpu"
        self.dialled = dialled(recipe, self.dataset, left, self._timed, processes=place.processes, accelerator=gpu)
        self.recipe = recipe = self.dialled.recipe
        self.trainer = self._fresh(recipe)
        self.recent: deque[Progress] = deque(maxlen=RECENT)
        self.look: Look | None = None
        self.folder: Path | None = None

    def join(self, group: Group) -> None:
        """Train with other ranks from now on, or alone again; before the first step. Says nothing to them."""
        self.group = group
        self._put(self.trainer)

    def _fresh(self, recipe: Training) -> Trainer:
        """A trainer at its start; one that is to be divided in the processor's memory, where there is more."""
        apart = recipe.shard and self._processes > 1
        model = build(recipe, self.dataset.items, self.device, on=torch.device("cpu") if apart else None)
        self.family.begin(model, self.dataset, self.places)
        if self._basis:
            notes = self.family.upon(recipe, model, self.dataset.items, self._basis)
            self.based = self._basis.about | {"notes": list(notes)}
            self.notes = (*self.dataset.notes, *notes)
        return new_trainer(recipe, self.dataset.items, model)

    def _put(self, trainer: Trainer) -> None:
        """Let a trainer train with the other ranks, if there are any."""
        if self.recipe.shard and self.group.count > 1:
            trainer.divide(self.group, self.device)
        else:
            trainer.join(self.group)

    def check_like(self, group: Group) -> None:
        """Raise EnvironmentProblem where other ranks compute in other ways. All of them must call this together."""
        words = f"{torch.__version__} {self.precision} {use_bf16('auto', self.device)}".encode()
        if not group.alike([torch.tensor(list(words.ljust(80)[:80]), dtype=torch.uint8)]):
            raise EnvironmentProblem(
                "the processes differ in torch's version, or not all have bfloat16", "add --set precision=fp32"
            )

    @property
    def memory(self) -> str:
        """What became of a batch that did not fit; nothing where it did."""
        if not self.trainer.micro or self.recipe.micro_batch:
            return ""
        return f"memory ran out: {self.trainer.micro} {self.kind.name} at once from here on, {self.recipe.batch} a step"

    def probe(self, steps: int = 3) -> float:
        """Seconds per step, from the fastest of a few of a trainer that is thrown away; the same number on all ranks.

        Where memory runs out it also finds how many items fit at once.
        """
        trial = self._fresh(self.recipe)
        self._put(trial)
        seconds = seconds_per_step(self.recipe, trial, self.dataset, self.places, self.group.told(steps))
        self.trainer.micro = trial.micro
        if trial.divided:
            del trial
            gc.collect()  # what is divided refers to itself
        told: float = self.group.told(seconds)
        return told

    def _timed(self, recipe: Training) -> float:
        """Seconds per step of another recipe on these data."""
        trainer = self._fresh(dataclasses.replace(recipe, shard=False))
        return seconds_per_step(recipe, trainer, self.dataset, self.places, TIMED)

    def begin(self) -> Path:
        """The folder of the run, made and held where the run is a fresh one, with its recipe and facts written."""
        if not self.group.leads:
            self.folder = self.group.told(None)
            return self.folder
        if self.folder is None:
            self.folder = runs.create(self._out, self.recipe.prefix + self.family.prefix + self.dataset.name)
            self._held.enter_context(runs.locked(self.folder))
            self._held.enter_context(runs.removed_if_empty(self.folder))
        (self.folder / "samples").mkdir(exist_ok=True)  # of a run that is gone on with, somebody may have deleted it
        runs.describe(self.folder, self.recipe, contents.facts(self) | {"resumed_at": self.trainer.step or None})
        runs.keep(self.folder, contents.plugins_of(self))
        self.group.told(self.folder)
        return self.folder

    def prepare(self, seconds_per_step: float) -> None:
        """Plan the run and compute what previews compare with."""
        recipe = self.recipe
        budget = None if recipe.steps else recipe.minutes * 60
        self.clock = Clock(budget, used=self.used, since=self.began, every=recipe.checkpoint_every)
        if self.group.leads:
            self.preview = self.family.preview(recipe, self.dataset, self.places, self.held)
        self.trainer.plan = self.clock.begin(self.trainer.step, self.trainer.plan, seconds_per_step)
        self._agree()

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Train to the end of the plan, or until `stop`; each event is already on the disk.

        What became of the run is recorded. Raises DivergedProblem.
        """
        assert self.folder is not None
        status = "failed"
        try:
            yield from self._steps(self.folder, stop)
            status = "complete" if self.complete else "interrupted"
        except Diverged as error:
            status = "diverged"
            kept = checkpoints(self.folder)
            whole = f"; the last good checkpoint is {kept[0]}" if kept else ""
            message = f"training diverged at step {self.trainer.step}: {error}"
            raise DivergedProblem(message, f"lower --lr or --set muon_lr=...{whole}") from error
        finally:
            if self.group.leads:
                with contextlib.suppress(Problem):  # a full disk has its own message by now
                    runs.set_status(self.folder, status)

    def _steps(self, folder: Path, stop: Callable[[], bool]) -> Iterator[Event]:
        trainer, clock, leads = self.trainer, self.clock, self.group.leads
        if leads:
            runs.set_aside(folder, after=trainer.step)
            runs.forget_rows(folder, after=trainer.step)
        if self.based and trainer.step == 0:
            tensors = trainer.tensors()
            if leads:
                runs.save_begin(folder, trainer, self._with_codec(tensors), self._about(tensors))
        micro = trainer.micro
        for progress in self._fit(trainer, stop):
            self.recent.append(progress)
            note, micro = "" if trainer.micro == micro else self.memory, trainer.micro
            saved = look = None
            due = clock.due(progress.step) and not progress.refused  # two refused steps must not push out good ones
            if due or progress.step >= trainer.plan.total or progress.stopping:
                self._check_alike()
                tensors = trainer.tensors()
                if leads:
                    trainer.plan = clock.revise(progress.step, trainer.plan)
                    if progress.step >= trainer.plan.total or (looks(clock.saves) and not progress.stopping):
                        look = self._look(folder, tensors)
                    saved = runs.save(folder, trainer, self._with_codec(tensors), self._about(tensors))
                    clock.saved(progress.step, looked=look is not None)
                self._agree()
            if leads and (progress.step % LOG_EVERY == 0 or look):
                runs.log(folder, contents.row(self, progress, look))
            yield Event(progress, saved, look, note)
            if progress.stopping:
                return

    def _with_codec(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return tensors | (self.codec.tensors if self.codec else {})

    def _agree(self) -> None:
        """What rank 0 has made of the clock, for all ranks."""
        self.trainer.plan, self.clock.next_save = self.group.told((self.trainer.plan, self.clock.next_save))

    def _check_alike(self) -> None:
        """Raise EnvironmentProblem where the weights of the ranks are no longer the same."""
        if self.trainer.divided:
            return  # nobody else has what a rank has
        if not self.group.alike(list(self.trainer.model.parameters())):
            raise EnvironmentProblem(
                f"the weights of the {self.group.count} processes have drifted apart by step {self.trainer.step}",
                "are the machines and their versions of torch alike?",
            )

    def lost(self, error: RuntimeError) -> Exception:
        """What to say where the ranks cannot reach each other any more."""
        found = self.group.explained(error)
        kept = checkpoints(self.folder) if self.folder else []
        if isinstance(found, Problem) and kept:
            found.hint = f"go on with --resume {argument(self.folder)}: {kept[0].name} is whole"
        return found

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
        """The mean training loss of the last steps that have been read; nan before the first."""
        known = [progress.loss for progress in self.recent if progress.known]
        return sum(known) / len(known) if known else math.nan

    @property
    def precision(self) -> str:
        """That networks compute in."""
        return "bf16" if use_bf16(self.recipe.precision, self.device) else "fp32"

    @property
    def parameters(self) -> int:
        """Of the model."""
        return sum(p.numel() for p in self.trainer.model.parameters())

    def _fit(self, trainer: Trainer, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        return fit_by(self.recipe, trainer, self.dataset, self.places, stop)

    def _look(self, folder: Path, tensors: dict[str, Tensor]) -> Look:
        with computing_threads(torch.get_num_threads() * (self.group.count if self.device.type == "cpu" else 1)):
            self.look = look = self.preview.look(self._averaged(tensors))  # the other ranks wait
        path = folder / "samples" / f"step-{self.trainer.step:09d}.png"
        save_png(path, look.picture, {"step": self.trainer.step})
        return look

    def _about(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        return contents.about(self, functools.partial(self._averaged, tensors))

    def _averaged(self, tensors: dict[str, Tensor]) -> Any:
        """The model with the averaged weights, whole."""
        if not self.trainer.divided:
            return self.trainer.ema
        model = build(self.recipe, self.dataset.items, self.device)
        model.load_state_dict({k.removeprefix("ema/"): v for k, v in tensors.items() if k.startswith("ema/")})
        return model.eval().requires_grad_(False)
