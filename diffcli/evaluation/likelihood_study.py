"""A study of log p(x) by the probability flow: from what is asked for to what every item costs."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.ode import TooSmallSteps
from diffcli.errors import DivergedProblem, UsageProblem, one_of
from diffcli.evaluation import subject as subjects
from diffcli.evaluation.likelihood import DEQUANTISATIONS, TRACES, FlowLikelihood, FollowedFlow
from diffcli.evaluation.subject import Subject
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.bound import likelihood_figure
from diffcli.pictures.figures import write_figure
from diffcli.ranks.launch import Place
from diffcli.ranks.pieces import Do
from diffcli.ranks.sharing import Crew, own_device
from diffcli.sampling.models import Model, load_model
from diffcli.sampling.sharing import ModelElsewhere, elsewhere
from diffcli.system import device as devices
from diffcli.system.shell import argument
from diffcli.system.text import duration

IMAGES, POINTS = 64, 1000  # evaluated unless told
LARGEST_EXACT = 16  # numbers of an item up to which the trace is exact unless told
USUAL = 120  # evaluations that a flow is expected to take
AT_ONCE = 64  # images
PARTS, FEWEST = 4, 10  # batches at least, of so many images
SURE = 0.1  # of a batch, after which the time is told


@dataclass(frozen=True)
class LikelihoodOptions:
    """What is asked for; None is what suits the model."""

    count: int | None = None
    dequantise: str | None = None
    trace: str | None = None
    probes: int = 1
    rtol: float | None = None
    atol: float | None = None
    schedule: str | None = None
    conditional: bool = False
    weights: str = "ema"
    precision: str = "fp32"
    batch: int | None = None
    seed: int = 0
    data: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class LikelihoodStudy:
    """A flow and the items that follow it, so many at once. wanted: what it was prepared by"""

    wanted: LikelihoodOptions
    subject: Subject
    flow: FlowLikelihood
    batch: int

    @property
    def batches(self) -> int:
        """How many."""
        return math.ceil(len(self.subject.x0) / self.batch)

    def follow(self, number: int) -> Iterator[tuple[float, FollowedFlow | None]]:
        """The flow of one batch by its number: the share of it that is done, and the end.

        Raises TooSmallSteps where it cannot be followed.
        """
        first = number * self.batch
        here = self.subject.x0[first : first + self.batch]
        told = {name: values[first : first + self.batch] for name, values in self.subject.conditions.items()}
        for step in self.flow.run(here, first, told):
            share = max(step.done, min(step.evaluations / USUAL, 0.95))  # the first tenth takes a third of them
            yield share, step if step.done == 1 else None


@dataclass(frozen=True)
class SharedFlow:
    """The flows, as another process is told to follow them."""

    model: ModelElsewhere
    wanted: LikelihoodOptions

    def begin(self, place: Place) -> Do[FollowedFlow]:
        wanted = replace(self.wanted, device=own_device(self.wanted.device, place))
        return prepared(self.model.name, wanted, self.model.loaded(place)).follow


def prepared(target: str | None, wanted: LikelihoodOptions, model: Model | None = None) -> LikelihoodStudy:
    """The study that is asked for, everything about it checked.

    model:  that of the target, where it is loaded already
    """
    for name, value in (("rtol", wanted.rtol), ("atol", wanted.atol)):
        if value is not None and not 1e-12 <= value <= 0.1:
            raise UsageProblem(f"--{name} must be from 1e-12 to 0.1, not {value:g}")
    where = devices.pick(wanted.device)
    if model is None:
        model = load_model(target, device=where, weights=wanted.weights, schedule=wanted.schedule, data=wanted.data)
    points = model.items.kind.dimensions == 1
    count = wanted.count or (POINTS if points else IMAGES)
    subject = subjects.subject(model, count, 1000, conditional=wanted.conditional, seed=wanted.seed, data=wanted.data)
    if not model.exact or wanted.precision != LikelihoodOptions.precision:
        subjects.compute_in(model, wanted.precision)
    tolerance = 1e-6 if points else 1e-4
    most, least = subjects.log_snr_range(model.schedule)
    flow = FlowLikelihood(
        model.denoise, most, least, _dequantisation(wanted.dequantise, subject),
        _trace(wanted.trace, wanted.probes, subject), wanted.probes, wanted.rtol or tolerance, wanted.atol or tolerance,
        wanted.seed, "learned" if subject.learned else "large", "cpu" if model.exact else where,
    )  # fmt: skip
    return LikelihoodStudy(wanted, subject, flow, wanted.batch or usual_batch(count, points, where))


def usual_batch(count: int, points: bool, device: torch.device) -> int:
    """How many items follow their flows together: on cores a few batches at least, which can be shared out."""
    if points:
        return 10_000
    parts = max(math.ceil(count / AT_ONCE), min(PARTS, count // FEWEST) if device.type == "cpu" else 1)
    return math.ceil(count / parts)


def run(study: LikelihoodStudy, made: Lesson, show: Show, crew: Crew | None = None) -> None:
    """Follow the flow of every batch, and fill in the results. crew: processes that share the work"""
    found, began, told = dict[int, FollowedFlow](), time.monotonic(), False
    with show.progress("following the flow", 100, "%") as bar:
        try:
            for one in (crew or Crew()).shared(
                lambda: SharedFlow(elsewhere(study.subject.model, study.wanted), study.wanted),
                study.follow,
                study.batches,
            ):
                if one.found is not None:
                    found[one.piece] = one.found
                share = one.done / study.batches
                bar.update(int(100 * share))
                if not told and one.done > SURE:
                    told = True
                    seconds = (time.monotonic() - began) / share
                    bar.note(f"time: about {duration(seconds)}, if a flow takes {USUAL} evaluations")
        except TooSmallSteps as error:
            raise DivergedProblem(str(error), "loosen --rtol and --atol, or use another --schedule") from None
    flows = [found[number] for number in range(study.batches)]
    nats = torch.cat([flow.nats for flow in flows])
    if not bool(nats.isfinite().all()):
        raise DivergedProblem("the likelihood is not finite: the flow or the model diverged", "use another --schedule")
    refused = sum(flow.refused for flow in flows)
    _fill(made, study.subject, study.flow, nats, [flow.evaluations for flow in flows], refused)


def _fill(
    made: Lesson, subject: Subject, flow: FlowLikelihood, nats: Tensor, evaluations: list[int], refused: int
) -> None:

    model = subject.model
    scale = 1 / (subject.numbers * math.log(2)) if subject.discrete else 1.0
    unit = "bits/dim" if subject.discrete else "nats"
    error = standard_error(nats)
    mean = nats.mean().item()
    document: dict[str, Any] = {
        "model": model.name,
        "bits_per_dim": mean * scale if subject.discrete else None,
        "nats": mean,
        "standard_error": error,
        "bits_per_dim_standard_error": error * scale if subject.discrete else None,
        "evaluations": sum(evaluations) / len(evaluations),
        "refused_steps": refused,
        "dequantisation": flow.dequantisation,
        "trace": flow.trace,
        "probes": None if flow.trace == "exact" else flow.probes,
        "rtol": flow.rtol,
        "atol": flow.atol,
        "start_log_snr": flow.level.log_snr.item(),
        "schedule": model.schedule_name,
        "images": len(nats),
        "conditional": bool(subject.conditions),
        "dimensions": subject.numbers,
        "seed": flow.seed,
        "each_nats": nats.tolist(),
    }
    spread = f" ± {error * scale:.4f}" if error == error else ""
    made.lines = [
        f"-log p: {mean * scale:.4f}{spread} {unit} ({mean:.3f} nats per item)",
        f"{document['evaluations']:.0f} evaluations of the flow per item, {refused} steps refused",
    ]
    made.seen = f"The probability flow gives {mean * scale:.4f} {unit} over {len(nats)} items."
    if subject.discrete:
        made.seen += " It bounds -log P from above: Jensen's inequality, over the noise that makes values real."
    truth = None
    if model.exact and not subject.discrete:
        truth = subject.truth_at(flow.level)
        worst = (nats - truth).abs().max().item()
        document |= {"truth_nats": truth.mean().item(), "largest_error_nats": worst}
        said = f"the law itself on the same draws: {truth.mean().item():.4f} nats"
        made.lines += [f"{said}; no item is off by more than {worst:.2g}"]
    figure = likelihood_figure(
        nats * scale, None if truth is None else truth * scale, unit,
        f"-log p of {model.name} by its probability flow",
    )  # fmt: skip
    write_figure(figure, made.figure("likelihood.png"))
    made.document = document
    made.leads = "The bound of the reverse chain is what training can lower; the flow is what it is worth: diffcli vlb."
    made.next = f"diffcli vlb {argument(model.target)}"


def _dequantisation(name: str | None, subject: Subject) -> str:
    """That asked for; refuses one that does not suit the data."""
    if name is None:
        return "variational" if subject.discrete else "none"
    one_of(name, DEQUANTISATIONS, "dequantisation")
    if name != "none" and not subject.discrete:
        raise UsageProblem(f"--dequantise {name} is for 8-bit values; these are real numbers", "leave it out")
    if name == "none" and subject.discrete:
        raise UsageProblem(
            "8-bit values have no density: without dequantisation it can be made as large as one likes",
            "use --dequantise variational or uniform",
        )
    return name


def _trace(name: str | None, probes: int, subject: Subject) -> str:
    """That asked for, or exact where items are small."""
    if name is None:
        return "exact" if subject.numbers <= LARGEST_EXACT and probes == 1 else "rademacher"
    one_of(name, TRACES, "trace")
    if name == "exact" and probes > 1:
        raise UsageProblem("an exact trace has no probes", "leave --probes out")
    return name
