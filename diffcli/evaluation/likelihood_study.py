"""A study of log p(x) by the probability flow: from what is asked for to what every item costs."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.ode import TooSmallSteps
from diffcli.errors import DivergedProblem, UsageProblem, one_of
from diffcli.evaluation import subject as subjects
from diffcli.evaluation.likelihood import DEQUANTISATIONS, TRACES, FlowLikelihood
from diffcli.evaluation.subject import Subject
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.bound import likelihood_figure
from diffcli.pictures.figures import write_figure
from diffcli.sampling.models import load_model
from diffcli.system import device as devices
from diffcli.system.text import duration

IMAGES, POINTS = 64, 1000  # evaluated unless told
LARGEST_EXACT = 16  # numbers of an item up to which the trace is exact unless told
USUAL = 120  # evaluations that a flow is expected to take


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
    """A flow and the items that follow it, so many at once."""

    subject: Subject
    flow: FlowLikelihood
    batch: int


def prepared(target: str | None, wanted: LikelihoodOptions) -> LikelihoodStudy:
    """The study that is asked for, everything about it checked."""
    for name, value in (("rtol", wanted.rtol), ("atol", wanted.atol)):
        if value is not None and not 1e-12 <= value <= 0.1:
            raise UsageProblem(f"--{name} must be from 1e-12 to 0.1, not {value:g}")
    where = devices.pick(wanted.device)
    model = load_model(target, device=where, weights=wanted.weights, schedule=wanted.schedule, data=wanted.data)
    points = model.items.kind.dimensions == 1
    count = wanted.count or (POINTS if points else IMAGES)
    subject = subjects.subject(model, count, 1000, conditional=wanted.conditional, seed=wanted.seed, data=wanted.data)
    if not model.exact:
        subjects.compute_in(model, wanted.precision)
    tolerance = 1e-6 if points else 1e-4
    most, least = subjects.log_snr_range(model.schedule)
    flow = FlowLikelihood(
        model.denoise, most, least, _dequantisation(wanted.dequantise, subject),
        _trace(wanted.trace, wanted.probes, subject), wanted.probes, wanted.rtol or tolerance, wanted.atol or tolerance,
        wanted.seed, "learned" if subject.learned else "large", "cpu" if model.exact else where,
    )  # fmt: skip
    return LikelihoodStudy(subject, flow, wanted.batch or (10_000 if points else 64))


def run(study: LikelihoodStudy, made: Lesson, show: Show) -> None:
    """Follow the flow of every batch, and fill in the results."""
    subject, flow, batch = study.subject, study.flow, study.batch
    x0 = subject.x0
    parts, evaluations, refused = [], [], 0
    began = time.monotonic()
    with show.progress("following the flow", 100, "%") as bar:
        for first in range(0, len(x0), batch):
            here = x0[first : first + batch]
            told = {name: values[first : first + batch] for name, values in subject.conditions.items()}
            try:
                for number, step in enumerate(flow.run(here, first, told)):
                    bar.update(int(100 * (first + step.done * len(here)) / len(x0)), f"{step.evaluations} evaluations")
                    if first == number == 0:
                        seconds = (time.monotonic() - began) / step.evaluations * USUAL * len(x0) / len(here)
                        bar.note(f"time: about {duration(seconds)}, if a flow takes {USUAL} evaluations")
            except TooSmallSteps as error:
                raise DivergedProblem(str(error), "loosen --rtol and --atol, or use another --schedule") from None
            parts.append(step.nats)
            evaluations.append(step.evaluations)
            refused += step.refused
    nats = torch.cat(parts)
    if not bool(nats.isfinite().all()):
        raise DivergedProblem("the likelihood is not finite: the flow or the model diverged", "use another --schedule")
    _fill(made, subject, flow, nats, evaluations, refused)


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
    made.next = f"diffcli vlb {model.target}"


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
