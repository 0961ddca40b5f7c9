"""A study of the quality of images: from what is asked for to every number with its floor and its error."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import UsageProblem, one_of
from diffcli.evaluation.features.encoders import Encoder, encoder
from diffcli.evaluation.features.extraction import cached_features, features
from diffcli.evaluation.quality import judged as subjects
from diffcli.evaluation.quality.conditions import ClassReading, read_classes
from diffcli.evaluation.quality.diagnosis import Diagnosis, diagnosed, has_two_classes
from diffcli.evaluation.quality.downstream import Downstream, check_downstream, downstream
from diffcli.evaluation.quality.judged import COUNT, Judged, asked_classes
from diffcli.evaluation.quality.measures import METRICS as METRICS
from diffcli.evaluation.quality.measures import Measures, RealFeatures, check_enough, measure
from diffcli.evaluation.quality.reference import Reference, parted, reference, shuffled, trained_on
from diffcli.metrics.distances import squared_distances
from diffcli.metrics.likelihood_divergence import feature_likelihood_divergence
from diffcli.metrics.memorisation import Audit, FeatureNearness, audit, nearest_in_features
from diffcli.ranks.sharing import Crew
from diffcli.sampling.exact_models import PREFIX
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import Prepared
from diffcli.system import device as devices
from diffcli.system.text import duration

AUDITED = 5_000  # samples and unseen images whose nearest training images are looked for
PAIR = 3e-8  # seconds to compare a sample with a training image, all moves of it
JUDGES, FEWEST_JUDGES = 2_000, 50  # further unseen images, whose likelihood tells whether as many samples are copies


@dataclass(frozen=True)
class QualityOptions:
    """What is asked for; None is what suits the target.

    against:     DATASET[:SPLIT]; None is what a run was trained on
    encoders:    names of features
    sampling:    how samples are drawn, of models
    shrink:      whether covariances are shrunk
    downstream:  whether a classifier is trained on the samples
    """

    against: str | None = None
    encoders: tuple[str, ...] = ("judge",)
    metrics: tuple[str, ...] = METRICS
    sampling: SamplingOptions = field(default_factory=lambda: SamplingOptions(sampler="ddim"))
    shrink: bool = False
    downstream: bool = False
    batch: int = 0

    @property
    def data(self) -> Path | None:
        """The folder to look for data sets in first."""
        return self.sampling.data


@dataclass(frozen=True)
class QualityStudy:
    """What is to be judged and by what: images that are given, or the job of a model.

    reading:  how the files of a folder are read
    """

    wanted: QualityOptions
    reference: Reference
    given: Judged | None
    prepared: Prepared | None
    reading: Reading = PLAIN

    @property
    def name(self) -> str:
        """Of what is judged."""
        return self.given.name if self.given else self.prepared.model.name if self.prepared else ""

    @property
    def asked(self) -> Tensor | None:
        """The classes that the images were asked for, where the reference has them."""
        if self.given:
            return self.given.asked
        return asked_classes(self.prepared, self.reference) if self.prepared else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the checkpoint, or about the images."""
        return self.prepared.model.notes if self.prepared else self.given.images.notes if self.given else ()

    @property
    def count(self) -> int:
        """Of images."""
        return len(self.given.images) if self.given else self.prepared.count if self.prepared else 0


@dataclass(frozen=True)
class Judgement:
    """What one encoder makes of the images, and of unseen real ones.

    unlikely, unlikely_floor:  the feature likelihood divergence
    nearest:                   training images in features
    """

    encoder: Encoder
    samples: Measures
    floor: Measures
    classes: ClassReading | None
    classes_floor: ClassReading | None
    unlikely: float | None
    unlikely_floor: float | None
    nearest: FeatureNearness | None


@dataclass(frozen=True)
class QualityFound:
    """All that a study found."""

    judged: Judged
    unseen: Dataset
    judgements: list[Judgement]
    copies: Audit | None
    downstream: Downstream | None
    diagnosis: Diagnosis | None = None


def prepared(target: str | None, wanted: QualityOptions) -> QualityStudy:
    """The study that is asked for, everything about it checked that can be before an image is drawn."""
    for name in wanted.metrics:
        one_of(name, METRICS, "metric")
    if wanted.shrink and "frechet" not in wanted.metrics:
        raise UsageProblem("--shrink changes nothing without the Fréchet distance", "leave it out")
    spec, reading = _against(target, wanted)
    against = reference(spec, wanted.data, reading)
    if subjects.is_given(target):
        assert target is not None
        judged = subjects.given(target, against, wanted.data)
        study = QualityStudy(wanted, against, judged.some(wanted.sampling.count or len(judged.images)), None, reading)
    else:
        study = QualityStudy(
            wanted, against, None, subjects.prepared_to_judge(target, _counted(wanted.sampling), against), reading
        )
    if wanted.downstream:
        check_downstream(study.asked is not None, against)
    return study


def run(study: QualityStudy, show: Show, crew: Crew | None = None) -> QualityFound:
    """Draw if there is something to draw, encode, compare, and look for copies. crew: processes that share the work"""
    wanted, against, crew = study.wanted, study.reference, crew or Crew()
    device = devices.pick(wanted.sampling.device)
    encoders = [
        encoder(name, against.name, wanted.data, device, show, reading=study.reading)
        for name in dict.fromkeys(wanted.encoders)
    ]
    unseen, _ = parted(against.unseen, study.count, study.asked)
    held = parted(against.untrained, study.count, study.asked, JUDGES)
    for one in encoders:
        for count, what in (
            (study.count, "images"),
            (len(unseen), "unseen real images"),
            (len(against.real), "real images"),
        ):
            check_enough(count, what, one, wanted.metrics, shrink=wanted.shrink)
    judged = study.given
    if judged is None:
        assert study.prepared is not None
        judged = subjects.drawn(study.prepared, wanted.sampling, against, wanted.batch, show, crew)
    show.note(f"time: about {duration(_seconds(encoders, judged, unseen, study))} to judge {study.count} images")
    judgements = [_judgement(one, judged, unseen, held, study, show, crew) for one in encoders]
    copies = _copies(judged.images, held[0], against, show) if "copies" in wanted.metrics else None
    cas = diagnosis = None
    if wanted.downstream:
        cas = downstream(judged, against, show)
        diagnosis = diagnosed(judged, against, show) if has_two_classes(against) else None
    return QualityFound(judged, unseen, judgements, copies, cas, diagnosis)


def _seconds(encoders: list[Encoder], judged: Judged, unseen: Dataset, study: QualityStudy) -> float:
    """How long it takes, by the time of one batch and by the pairs of images that the audit compares."""
    against, audited = study.reference, "copies" in study.wanted.metrics
    seconds = 0.0
    for one in encoders:
        images = len(judged.images) + 2 * len(unseen) + len(against.real) * one.kept
        part = judged.images.take(range(min(len(judged.images), one.batch)))[0]
        one.encode(part)  # the first one is slower
        began = time.monotonic()
        one.encode(part)
        seconds += (time.monotonic() - began) / len(part) * images
    pairs = (min(len(judged.images), AUDITED) + min(len(unseen), AUDITED)) * len(against.train)
    return seconds + PAIR * pairs * audited


def _judgement(
    encoder: Encoder, judged: Judged, unseen: Dataset, held: tuple[Dataset, Dataset], study: QualityStudy, show: Show,
    crew: Crew,
) -> Judgement:  # fmt: skip
    """Everything that is measured in the features of one encoder.

    held:  real images that no model was trained on, as many as there are samples, and others to judge both by
    """
    wanted, against = study.wanted, study.reference
    known = cached_features(encoder, against.real, show, crew)
    real = RealFeatures.of(known, against.real.labels)
    unseen_classes = None if judged.asked is None else unseen.labels
    of_samples = features(encoder, judged.images, show, f"{encoder.name}: samples", crew=crew)
    of_unseen = features(encoder, unseen, show, f"{encoder.name}: unseen", crew=crew)
    with show.progress(f"{encoder.name}: comparing", 2) as bar:
        samples = measure(of_samples, real, wanted.metrics, shrink=wanted.shrink, asked=judged.asked)
        bar.update(1)
        floor = measure(of_unseen, real, wanted.metrics, shrink=wanted.shrink, asked=unseen_classes)
    classes = classes_floor = None
    if "classes" in wanted.metrics and against.real.labels is not None:
        classes = read_classes(encoder, of_samples, judged.asked, against.real.labels)
        classes_floor = read_classes(encoder, of_unseen, unseen.labels, against.real.labels)
    unlikely = unlikely_floor = nearest = None
    if "copies" in wanted.metrics:
        train = known if against.train is against.real else cached_features(encoder, against.train, show, crew)
        of_held, of_judges = (features(encoder, some, show, f"{encoder.name}: held out", crew=crew) for some in held)
        nearest = _nearest(of_samples[:AUDITED], train, of_held[:AUDITED], show)
        if len(of_judges) >= FEWEST_JUDGES:
            unlikely, unlikely_floor = (_divergence(some, train, of_judges) for some in (of_samples, of_held))
    return Judgement(encoder, samples, floor, classes, classes_floor, unlikely, unlikely_floor, nearest)


def _divergence(samples: Tensor, train: Tensor, judges: Tensor) -> float:
    """The feature likelihood divergence of some samples.

    Widths are fitted to the training image that is nearest to each sample, where a copy would be, and to some others:
    to all of them it would take minutes.
    """
    some = samples[:JUDGES]
    nearest = torch.cat([squares.argmin(1) for squares in squared_distances(some, train)])
    fitted = torch.cat([nearest, shuffled(len(train))[:JUDGES]]).unique()
    return feature_likelihood_divergence(some, train[fitted], judges)


def _nearest(samples: Tensor, train: Tensor, unseen: Tensor, show: Show) -> FeatureNearness:
    """The nearest training images in features, behind a bar."""
    with show.progress("nearest in features", 100, "%") as bar:
        for advance in nearest_in_features(samples, train, unseen):
            bar.update(round(100 * advance[0] / advance[1]))
    assert advance[2] is not None
    return advance[2]


def _copies(images: Dataset, held_out: Dataset, against: Reference, show: Show) -> Audit:
    """The audit in pixels, behind a bar."""
    samples, held = (part.take(range(min(len(part), AUDITED)))[0] for part in (images, held_out))
    with show.progress("looking for copies", 100, "%") as bar:
        for advance in audit(samples, against.train, held):
            bar.update(round(100 * advance[0] / advance[1]))
    assert advance[2] is not None
    return advance[2]


def _against(target: str | None, wanted: QualityOptions) -> tuple[str, Reading]:
    """What to compare with, and how its files are read: as asked for, or as a run was trained."""
    if not subjects.is_given(target) and not (target or "").startswith(PREFIX):
        name, reading = trained_on(target)
        return wanted.against or name, reading
    if wanted.against is None:
        raise UsageProblem("what are these images to be compared with?", "add --against DATASET, as in --against mnist")
    return wanted.against, PLAIN


def _counted(sampling: SamplingOptions) -> SamplingOptions:
    return sampling if sampling.count else replace(sampling, count=COUNT)
