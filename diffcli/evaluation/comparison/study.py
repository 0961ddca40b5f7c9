"""A comparison of ways to draw: distances with paired errors, classes, recall, cost, and the cheapest good one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import to_unit
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import UsageProblem
from diffcli.evaluation.comparison.drawing import LOOKED_AT, KeptSamples, drawings
from diffcli.evaluation.comparison.settings import Candidate
from diffcli.evaluation.comparison.verdict import verdict_of
from diffcli.evaluation.features.encoders import Encoder, encoder
from diffcli.evaluation.features.extraction import cached_features, features
from diffcli.evaluation.quality.conditions import read_classes
from diffcli.evaluation.quality.judged import asked_classes, model_to_judge, prepared_to_judge
from diffcli.evaluation.quality.measures import RealFeatures, check_enough, repeats_for
from diffcli.evaluation.quality.reference import Reference, parted, reference, trained_on
from diffcli.metrics.coverage import coverage
from diffcli.metrics.frechet import Moments, frechet_distance
from diffcli.metrics.resampling import PairedDifferences, frechet_differences
from diffcli.ranks.sharing import Crew
from diffcli.sampling.exact_models import PREFIX
from diffcli.sampling.models import Model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared
from diffcli.system import device as devices
from diffcli.system.text import duration

COUNT = 500  # samples of each setting, unless told
TRUTH = ("heun", 256)  # the walk that others are held against image by image
PROBED = 640  # evaluations of single images after which the time is told


@dataclass(frozen=True)
class ComparisonOptions:
    """What is asked for.

    against:  DATASET[:SPLIT]; None is what the runs were trained on
    truth:    images that are held against the finest walk; 0 for none
    base:     seed, count, classes, weights and the rest that all settings share
    """

    settings: Sequence[Candidate]
    against: str | None = None
    encoder: str = "judge"
    truth: int = 32
    base: SamplingOptions = field(default_factory=SamplingOptions)


@dataclass(frozen=True)
class Comparison:
    """Jobs to compare, and by what."""

    wanted: ComparisonOptions
    reference: Reference
    models: Mapping[str | None, Model]
    jobs: Sequence[Prepared]
    options: Sequence[SamplingOptions]
    reading: Reading

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the checkpoints."""
        return tuple(dict.fromkeys(note for model in self.models.values() for note in model.notes))

    @property
    def has_truth(self) -> bool:
        """Whether some walk leads to one place, so that it can be held against the finest."""
        return not all(map(_is_random, self.jobs))


class Compared(NamedTuple):
    """A setting with what was measured; None where it does not apply.

    frechet, bias, error:  the distance, what its count adds to it, and its standard error
    behind, behind_error:  how much larger it is than the smallest, and the standard error of that paired difference
    off:                   root mean squared difference from the finest walk, image by image, values in [-1, 1]
    """

    setting: Candidate
    prepared: Prepared
    drawn: KeptSamples
    frechet: float
    bias: float
    error: float
    behind: float
    behind_error: float
    agreement: float | None
    recall: float
    off: float | None


@dataclass(frozen=True)
class ComparisonFound:
    """All settings in the order in which they were asked for, and which of them to use.

    floor:   the distance of as many unseen real images
    lowest:  place of the setting with the smallest distance
    best:    place of the cheapest that is within two standard errors of it
    """

    encoder: Encoder
    settings: list[Compared]
    floor: float
    lowest: int
    best: int
    errors: Tensor


def prepared(wanted: ComparisonOptions) -> Comparison:
    """Everything about the comparison checked.

    Raises UsageProblem for runs whose numbers cannot be ranked: of other data, or of images unlike each other.
    """
    runs = list(dict.fromkeys(setting.run for setting in wanted.settings))
    spec, reading = _common(runs, wanted.against)
    against = reference(spec, wanted.base.data, reading)
    base = wanted.base if wanted.base.count else replace(wanted.base, count=COUNT)
    options = [setting.options(base) for setting in wanted.settings]
    models = {run: model_to_judge(run, base, against) for run in runs}
    jobs = [prepared_to_judge(s.run, o, against, models[s.run]) for s, o in zip(wanted.settings, options, strict=True)]
    return Comparison(wanted, against, models, jobs, options, reading)


def _common(runs: Sequence[str | None], against: str | None) -> tuple[str, Reading]:
    """The data set that all runs were trained on, and how its files are read."""
    trained: dict[tuple[str, Reading], str] = {}
    for run in runs:
        if run is not None and run.startswith(PREFIX):
            continue
        trained.setdefault(trained_on(run), run or "the newest run")
    if len(trained) > 1:
        (a, b), (of_a, of_b) = list(trained.values())[:2], [name for name, _ in trained][:2]
        raise UsageProblem(
            f"numbers of unlike protocol are not ranked: {a} was trained on {of_a}, {b} on {of_b}",
            "compare runs of the same data",
        )
    if against is not None:
        return against, next(iter(trained), ("", PLAIN))[1]
    if not trained:
        raise UsageProblem("what are these images to be compared with?", "add --against DATASET")
    return next(iter(trained))


def run(study: Comparison, show: Show, crew: Crew | None = None) -> ComparisonFound:
    """Draw every setting that is not known yet, and measure all of them together. crew: processes that draw"""
    crew = crew or Crew()
    wanted, against, base = study.wanted, study.reference, study.options[0]
    device = devices.pick(base.device)
    judge = encoder(wanted.encoder, against.name, base.data, device, show, reading=study.reading)
    count = base.count or COUNT
    unseen, _ = parted(against.unseen, count, _strata(study))
    for number, what in ((count, "samples"), (len(unseen), "unseen real images")):
        check_enough(number, what, judge, ("frechet",), shrink=False)
    real = RealFeatures.of(cached_features(judge, against.real, show, crew))
    of_unseen = features(judge, unseen, show, "unseen real images", crew=crew)
    floor = frechet_distance(Moments.of(of_unseen), real.moments)
    drawings = _drawn(study, judge, show, crew)
    truths = _truths(study, judge, show, crew) if wanted.truth else {}
    paired = frechet_differences(
        [one.features for one in drawings], real.moments, repeats_for(judge.dimensions), strata=_strata(study)
    )
    return _found(study, judge, drawings, truths, real, floor, paired)


def _is_random(job: Prepared) -> bool:
    """Whether a walk draws noise on its way, so that it has no end of its own."""
    return job.job.cost()[1] > 0


def _strata(study: Comparison) -> Tensor | None:
    """The classes of the samples, where all settings ask for the same ones."""
    asked = [asked_classes(job, study.reference) for job in study.jobs]
    first = asked[0]
    same = all(one is not None and first is not None and torch.equal(one, first) for one in asked)
    return first if same else None


def _drawn(study: Comparison, judge: Encoder, show: Show, crew: Crew) -> list[KeptSamples]:
    """The samples of every setting, behind one bar over all evaluations; how long it takes is told after the first."""
    found: list[KeptSamples] = []
    costs = [prepared.job.cost()[0] * prepared.count for prepared in study.jobs]
    told = False
    with show.progress("drawing", sum(costs), "evaluations") as bar:
        for setting, job, options in zip(study.wanted.settings, study.jobs, study.options, strict=True):
            before, since = sum(costs[: len(found)]), time.monotonic()
            for share, drawn in drawings(job, setting, options, judge, show, crew):
                bar.update(before + round(share * costs[len(found)]), setting.title)
                if not told and drawn is None and share * costs[len(found)] >= PROBED:
                    told, speed = True, share * costs[len(found)] / (time.monotonic() - since)
                    bar.note(f"time: about {duration((sum(costs) - before) / speed)}, {speed:.0f} evaluations/s")
            assert drawn is not None
            found.append(drawn)
    return found


def _truths(study: Comparison, judge: Encoder, show: Show, crew: Crew) -> dict[tuple[str | None, float], Tensor]:
    """Where the finest walk leads from the same start, by run and guidance: images [n, C, H, W]."""
    sampler, steps = TRUTH
    wanted: dict[tuple[str | None, float], Candidate] = {}
    for setting, job in zip(study.wanted.settings, study.jobs, strict=True):
        if not _is_random(job):
            finest = Candidate(setting.run, sampler, steps, guidance=setting.guidance)
            wanted.setdefault((setting.run, job.guidance), finest)
    found: dict[tuple[str | None, float], Tensor] = {}
    base = replace(study.options[0], count=min(study.wanted.truth, LOOKED_AT, study.jobs[0].count), options={})
    with show.progress(f"{sampler}, {steps} steps", 100, "%") as bar:
        for key, setting in wanted.items():
            options = setting.options(base)
            job = prepared_to_judge(setting.run, options, study.reference, study.models[setting.run])
            for share, drawn in drawings(job, setting, options, judge, show, crew):
                bar.update(round(100 * (len(found) + share) / len(wanted)))
                if drawn is not None:
                    truth = drawn.first
            found[key] = truth
    return found


def _found(
    study: Comparison, judge: Encoder, drawn: list[KeptSamples], truths: dict[tuple[str | None, float], Tensor],
    real: RealFeatures, floor: float, paired: PairedDifferences,
) -> ComparisonFound:  # fmt: skip
    """Everything about every setting; the verdict."""
    values = [one.value for one in paired.resampled]
    lowest, best = verdict_of(values, paired.errors, [one.evaluations for one in drawn])
    rows = []
    for i, (setting, job, one) in enumerate(zip(study.wanted.settings, study.jobs, drawn, strict=True)):
        known = real.some[: len(one.features)]
        truth = truths.get((setting.run, job.guidance))
        rows.append(
            Compared(
                setting, job, one, *paired.resampled[i], values[i] - values[lowest],
                paired.errors[i, lowest].item(), _agreement(study, judge, job, one),
                coverage(known, one.features[: len(known)]).recall, _off(job, one, truth),
            )
        )  # fmt: skip
    return ComparisonFound(judge, rows, floor, lowest, best, paired.errors)


def _agreement(study: Comparison, judge: Encoder, job: Prepared, drawn: KeptSamples) -> float | None:
    """The share read as the class that was asked for."""
    asked, labels = asked_classes(job, study.reference), study.reference.real.labels
    if asked is None or labels is None:
        return None
    reading = read_classes(judge, drawn.features, asked, labels)
    return reading.agreement if reading else None


def _off(job: Prepared, drawn: KeptSamples, truth: Tensor | None) -> float | None:
    """How far the images are from those of the finest walk; of walks without fresh noise, which lead to one place."""
    if truth is None or _is_random(job):
        return None
    return (to_unit(drawn.first[: len(truth)]) - to_unit(truth)).square().mean().sqrt().item()
