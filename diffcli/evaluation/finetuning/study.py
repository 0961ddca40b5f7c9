"""A fine-tuned run judged: as it began, as it is, beside others; what it has forgotten, what its samples are for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from diffcli.console.show import Show
from diffcli.errors import Problem
from diffcli.evaluation.quality import judged as subjects
from diffcli.evaluation.quality import study as quality
from diffcli.evaluation.quality.diagnosis import Diagnosis, diagnosed, has_two_classes
from diffcli.evaluation.quality.reference import reference, trained_on
from diffcli.evaluation.quality.study import QualityFound, QualityOptions, QualityStudy
from diffcli.sampling.models import load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.system import device as devices


@dataclass(frozen=True)
class FineTuningOptions:
    """What is asked for.

    count:        samples of each model
    forgotten:    whether old classes are looked at
    diagnosis:    whether a classifier of two classes is trained with samples and without
    """

    count: int
    forgotten: bool = False
    diagnosis: bool = False
    device: str = "auto"
    data: Path | None = None

    @property
    def quality(self) -> QualityOptions:
        """How each model is judged: the same walk, seed and number of samples for all."""
        sampling = SamplingOptions(sampler="ddim", count=self.count, device=self.device, data=self.data)
        return QualityOptions(sampling=sampling, metrics=("frechet", "coverage", "classes", "copies"))


@dataclass(frozen=True)
class FineTuningFound:
    """What was found.

    models:     by name: as the run began, as it is, from scratch; all on the run's data
    forgotten:  the base and the run on the classes of the base that both can be asked for, on its data
    notes:      what could not be done, and why
    """

    models: Mapping[str, QualityFound]
    forgotten: Mapping[str, QualityFound]
    diagnosis: Diagnosis | None
    notes: tuple[str, ...]


BEFORE, AFTER, SCRATCH = "at step 0", "fine-tuned", "from scratch"


def compared(targets: Mapping[str, str], base: str, wanted: FineTuningOptions, show: Show) -> FineTuningFound:
    """Judge models on the data that the first of them was trained on.

    targets:  checkpoints by name, `AFTER` among them
    base:     the checkpoint that the run began with
    """
    models: dict[str, QualityFound] = {}
    notes: list[str] = []
    diagnosis = None
    try:
        for name, target in targets.items():
            show.note(f"judging: {name}")
            study = quality.prepared(target, wanted.quality)
            models[name] = quality.run(study, show)
            if name == AFTER and wanted.diagnosis:
                diagnosis = _diagnosis(study, models[name], notes, show)
    except Problem as problem:
        notes.append(f"not judged: {problem.message}")
    forgotten: dict[str, QualityFound] = {}
    if wanted.forgotten:
        try:
            forgotten = _forgotten(base, targets[AFTER], wanted, notes, show)
        except Problem as problem:
            notes.append(f"what was forgotten is not known: {problem.message}")
    return FineTuningFound(models, forgotten, diagnosis, tuple(notes))


def _diagnosis(study: QualityStudy, found: QualityFound, notes: list[str], show: Show) -> Diagnosis | None:
    if not has_two_classes(study.reference):
        notes.append(f"no diagnosis: {study.reference.name} has not two classes")
    elif found.judged.asked is None:
        notes.append("no diagnosis: the samples were asked for no class")
    else:
        return diagnosed(found.judged, study.reference, show)
    return None


def _forgotten(base: str, run: str, wanted: FineTuningOptions, notes: list[str], show: Show) -> dict[str, QualityFound]:
    """Base and run asked for the classes that both know, beside the base's data."""
    options = replace(wanted.quality, metrics=("frechet", "classes"))
    where = devices.pick(wanted.device)
    models = {
        name: load_model(target, device=where, data=wanted.data) for name, target in (("base", base), (AFTER, run))
    }
    old, new = (model.items.classes for model in models.values())
    both = [name for name in old if name in new]
    if not both:
        what = f"its classes were {', '.join(old)}" if old else "it has no classes"
        notes.append(f"what was forgotten cannot be asked for: {what}, and now {', '.join(new) or 'none'}")
        return {}
    name, reading = trained_on(base)
    against = reference(name, wanted.data, reading)
    found = {}
    for title, model in models.items():
        show.note(f"judging on {name}: {title}")
        sampling = replace(options.sampling, classes=tuple(both))
        prepared = subjects.prepared_to_judge(model.name, sampling, against, model)
        found[title] = quality.run(QualityStudy(options, against, None, prepared, reading), show)
    return found
