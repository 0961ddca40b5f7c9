"""What is written and said of a study of quality: the document with its protocol, the table, the verdicts."""

import math
from typing import Any

from matplotlib.figure import Figure

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.evaluation.quality.conditions import ClassReading
from diffcli.evaluation.quality.judged import Judged
from diffcli.evaluation.quality.measures import COMPARED, Measures, distance_name
from diffcli.evaluation.quality.study import Judgement, QualityFound, QualityStudy
from diffcli.pictures.figures import write_figure
from diffcli.pictures.quality import ClassBars, NearPair, Point, quality_figure
from diffcli.runs.records import not_kept, write_evaluation
from diffcli.system.shell import argument

HEADS = ["", "samples", "real", "error", "bias"]


def fill(made: Lesson, study: QualityStudy, found: QualityFound) -> None:
    """Document, lines, verdicts and figure."""
    judgements = [_document(one, study, found) for one in found.judgements]
    first, copies = found.judgements[0], found.copies
    made.document = {
        "name": study.name,
        "run": str(found.judged.run) if found.judged.run else None,
        **judgements[0],
        "copies": _copies(found, first),
        "downstream": found.downstream._asdict() if found.downstream else None,
        "diagnosis": found.diagnosis.document if found.diagnosis else None,
        "encoders": judgements[1:],
    }
    made.lines = [
        line
        for one in found.judgements
        for line in [*_table(one, study, found.judged), *_remarks(one, found.judged.made), ""]
    ][:-1]
    made.lines += _said_of_downstream(found)
    made.seen = " ".join(filter(None, [_seen(first), copies.reason if copies else ""]))
    made.leads = "A distance means something only beside its floor and its protocol, which metrics.json holds."
    made.next = _next(found.judged)
    write_figure(_figure_of(study, found), made.figure("quality.png"))


def remember(judged: Judged, made: Lesson) -> str:
    """Keep the document in the run that was judged, where `runs` and `info` find it; a note where there is none."""
    if judged.run is not None:
        write_evaluation(judged.run, made.document)
    return not_kept(judged.name) if judged.run is None and _is_trained(judged) else ""


def protocol(judgement: Judgement, study: QualityStudy, judged: Judged) -> dict[str, Any]:
    """All that a number depends on."""
    encoder, against = judgement.encoder, study.reference
    return {
        "features": encoder.name,
        "digest": encoder.digest,
        "accuracy": encoder.accuracy,
        "preprocessing": encoder.preprocessing,
        "data": against.name,
        "split": against.split,
        "data_digest": against.real.fingerprint,
        "real": len(against.real),
        "compared": min(COMPARED, len(against.real)),
        "generated": judgement.samples.images,
        "floor": judgement.floor.images,
        "shrunk": study.wanted.shrink,
        "bits": 8,
        **judged.made,
    }


def _document(one: Judgement, study: QualityStudy, found: QualityFound) -> dict[str, Any]:
    """The numbers of one encoder."""
    samples, floor = one.samples, one.floor
    read = one.classes
    return {
        "distance": distance_name(one.encoder, samples.images),
        "frechet": _figure(samples.frechet, floor.frechet),
        "kernel": _figure(samples.kernel, floor.kernel),
        "sliced": _figure(samples.sliced, floor.sliced),
        **_coverage(samples),
        "coverage_floor": _coverage(floor),
        "class_agreement": read.agreement if read else None,
        "class_agreement_error": read.agreement_error if read else None,
        "class_agreement_floor": one.classes_floor.agreement if one.classes_floor else None,
        "per_class": read.per_class if read else None,
        "confidence": read.confidence if read else None,
        "class_shares": read.shares if read else None,
        "class_imbalance": read.imbalance if read else None,
        "classes": list(one.encoder.classes),
        "judges": one.encoder.judges,
        "protocol": protocol(one, study, found.judged),
    }


def _figure(samples: Any, floor: Any) -> dict[str, Any] | None:
    """A number with its floor, its error, and its bias where that is known."""
    if samples is None:
        return None
    return {
        "value": samples.value,
        "floor": floor.value,
        **{k: v for k, v in samples._asdict().items() if k != "value"},
    }


def _coverage(measures: Measures) -> dict[str, Any]:
    names = ("precision", "recall", "density", "coverage")
    return {name: getattr(measures.coverage, name) if measures.coverage else None for name in names}


def _copies(found: QualityFound, first: Judgement) -> dict[str, Any] | None:
    """The audit for the document."""
    audit, near = found.copies, first.nearest
    if audit is None:
        return None
    samples, held = audit.samples, audit.held
    return {
        "share": audit.share,
        "flagged": audit.flagged,
        "nearest_ratio": samples.ratio,
        "held_ratio": held.ratio,
        "copies": samples.copies / samples.count,
        "held_copies": held.copies / held.count,
        "identical": samples.identical / samples.count,
        "distance": samples.distance,
        "held_distance": held.distance,
        "p_value": audit.p_value,
        "noticeable": audit.noticeable,
        "reason": audit.reason,
        "audited": samples.count,
        "nearest": [pair._asdict() | {"variant": str(pair.variant)} for pair in audit.pairs],
        "in_features": near._asdict() if near else None,
        "likelihood_divergence": {"value": first.unlikely, "floor": first.unlikely_floor},
    }


def _table(one: Judgement, study: QualityStudy, judged: Judged) -> list[str]:
    """The table of one encoder, and above it what it is a table of."""
    samples, floor = one.samples, one.floor
    rows = []
    for name, value, beside in (
        (distance_name(one.encoder, samples.images), samples.frechet, floor.frechet),
        ("kernel distance, x 1000", samples.kernel, floor.kernel),
        ("sliced distance (MIND)", samples.sliced, floor.sliced),
    ):
        if value is not None and beside is not None:
            scale = 1000 if name.startswith("kernel") else 1
            bias = getattr(value, "bias", math.nan)
            rows.append([name, *(_number(scale * v) for v in (value.value, beside.value, value.error, bias))])
    for name, value in _coverage(samples).items():
        if value is not None:
            rows.append([name, _number(value), _number(_coverage(floor)[name]), "", ""])
    rows += _class_rows(one.classes, one.classes_floor)
    if one.unlikely is not None:
        rows.append(["likelihood divergence", _number(one.unlikely), _number(one.unlikely_floor or math.nan), "", ""])
    if one.nearest is not None:
        near = one.nearest
        rows.append(["nearer to training data", _share(near.share), "1.0 %", "", ""])
    head = (
        f"{samples.images} images of {study.name} against {len(study.reference.real)} of {study.reference.name}, "
        f"{study.reference.split}; {floor.images} unseen real images beside them"
    )
    return [head, _made(judged), *table(HEADS, rows, right=(1, 2, 3, 4), wraps=(0,))]


def _class_rows(read: ClassReading | None, floor: ClassReading | None) -> list[list[str]]:
    if read is None or floor is None:
        return []
    rows = []
    if read.agreement is not None:
        beside = _share(floor.agreement)
        rows.append(["read as the class asked for", _share(read.agreement), beside, _share(read.agreement_error), ""])
    rows.append(["confidence", _number(read.confidence), _number(floor.confidence), "", ""])
    rows.append(["imbalance of classes", _number(read.imbalance), _number(floor.imbalance), "", ""])
    return rows


def _remarks(one: Judgement, made: dict[str, Any]) -> list[str]:
    """What the reader must know of these numbers."""
    encoder, samples = one.encoder, one.samples
    lines = []
    if encoder.accuracy is not None:
        reads = f"{encoder.name}: reads {encoder.accuracy:.1%} of held-out real images right"
        lines.append(reads if encoder.judges else f"{reads}: it cannot tell classes apart, and is no judge")
    if made["class"] not in (None, "all"):
        lines.append(
            f"samples of class {made['class']} alone, beside real images of every class: only agreement is fair"
        )
    if one.floor.images < samples.images:
        lines.append(
            f"the floor is that of {one.floor.images} images, for want of more; at {samples.images} it is lower"
        )
    return lines


def _figure_of(study: QualityStudy, found: QualityFound) -> Figure:
    """The four panels."""
    first, images, train = found.judgements[0], found.judged.images, study.reference.train
    pairs = []
    for pair in found.copies.pairs if found.copies else ():
        caption = f"off {pair.distance:.3f}\nratio {pair.ratio:.2f}\n{str(pair.variant).replace(', ', chr(10))}"
        pairs.append(NearPair(images.take([pair.sample])[0][0], train.take([pair.training])[0][0], caption))
    points = []
    for one in found.judgements:
        for measures, name in ((one.floor, "real"), (one.samples, "samples")):
            if measures.coverage:
                label = f"{name} ({one.encoder.name})" if len(found.judgements) > 1 else name
                points.append(Point(label, measures.coverage.precision, measures.coverage.recall, name == "real"))
    title = f"{study.name} against {study.reference.name}, {study.reference.split}"
    return quality_figure(title, images.take(range(min(40, len(images))))[0], len(images), pairs, _bars(first), points)


def _bars(one: Judgement) -> ClassBars | None:
    """Per class the share read as asked, or where nothing was asked the share of all images."""
    read, floor = one.classes, one.classes_floor
    if read is None or floor is None:
        return None
    if read.agreement is None:
        return ClassBars("read as each class", one.encoder.classes, read.shares, floor.shares)
    known = [i for i, share in enumerate(read.per_class) if share is not None]
    samples, real = ([shares[i] or 0.0 for i in known] for shares in (read.per_class, floor.per_class))
    return ClassBars("read as asked", [one.encoder.classes[i] for i in known], samples, real)


def _made(judged: Judged) -> str:
    """How the images were made, in a line."""
    made = judged.made
    if made["sampler"] is None:
        return "images as they are given"
    guided = f", guidance {made['guidance']:g}" if made["guidance"] is not None else ""
    return (
        f"{made['sampler']}, {made['steps']} steps on {made['grid']}, {made['evaluations']:g} evaluations{guided}, "
        f"seed {made['seed']}"
    )


def _said_of_downstream(found: QualityFound) -> list[str]:
    if found.downstream is None:
        return []
    d = found.downstream
    return [
        "",
        f"classification accuracy score: a classifier trained on {d.trained} samples reads {d.accuracy:.1%} of "
        f"{d.tested} real images right; trained on as many real ones {d.real_accuracy:.1%}",
        *(found.diagnosis.lines if found.diagnosis else []),
    ]


def _seen(one: Judgement) -> str:
    """The distance and the coverage in a sentence."""
    samples, floor = one.samples, one.floor
    parts = []
    if samples.frechet and floor.frechet:
        beside = "as many" if floor.images == samples.images else f"{floor.images:,}"
        parts.append(
            f"{distance_name(one.encoder, samples.images)}: {_number(samples.frechet.value)} where {beside} real "
            f"images have {_number(floor.frechet.value)}."
        )
    if samples.coverage and floor.coverage:
        missed = samples.coverage.recall < 0.9 * floor.coverage.recall
        odd = samples.coverage.precision < 0.9 * floor.coverage.precision
        what = " and ".join(
            [*["part of the real variety is missing"] * missed, *["part of the samples is like no real image"] * odd]
        )
        if what:
            parts.append(f"{what[0].upper()}{what[1:]}.")
    return " ".join(parts)


def _next(judged: Judged) -> str:
    return f"diffcli compare {argument(judged.run or judged.name)}" if _is_trained(judged) else "diffcli train"


def _is_trained(judged: Judged) -> bool:
    """Whether a trained model has made the images."""
    return judged.made["weights"] is not None


def _number(value: float) -> str:
    """Three digits, never an exponent; nothing for nan."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{100 * value:.1f} %"
