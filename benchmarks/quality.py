"""How good the samples of a run on MNIST are, by a classifier's judgement: `python benchmarks/quality.py RUN`.

Draws images with class i mod 10 and asks a classifier, trained on the training images once and kept, which digit it
reads, and how far its features of them are from those of real images. Real test images are judged the same way
beside them: a perfect model can do no better. The result goes to stdout, progress to stderr.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from classifier import Reading, prepared, read
from measuring import note, number, table
from torch import Tensor

from diffcli.data import loading as datasets
from diffcli.data.dataset import to_pixels, to_unit
from diffcli.errors import Problem, UsageProblem
from diffcli.runs.loading import Trained
from diffcli.sampling.draw import drawn
from diffcli.sampling.prepare import SamplingOptions, prepare

CLASSES = 10
REFERENCE = 10_000  # training images that samples are compared with
BATCH = 250  # images drawn at once


def draw(run: str, count: int, guidance: float | None, steps: int, seed: int) -> tuple[Tensor, float, Trained]:
    """Images [count, 1, 28, 28] by DDIM, image i of class i mod 10, as a PNG would hold them; guidance; model."""
    wanted = SamplingOptions(
        sampler="ddim", steps=steps, label="all", guidance=guidance, count=count, seed=seed, device="cpu"
    )
    prepared = prepare(run, wanted)
    trained = prepared.model.trained
    if trained is None:
        raise UsageProblem(f"{run} was not trained", "name a run")
    if trained.recipe.data.name != "mnist":
        raise UsageProblem(f"{run} was trained on {trained.recipe.data.name}", "the classifier can judge mnist only")
    for advance in drawn(prepared, BATCH):
        if advance.samples is None and advance.done % (BATCH * steps) == 0:
            note(f"sampling: {advance.done // steps} of {count} images")
    assert advance.samples is not None
    return to_unit(to_pixels(advance.samples.x)), prepared.guidance, trained


def real(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Real images with their labels, the classes in turn like those of the samples; fewer if a class runs out."""
    dataset = datasets.load_dataset("mnist", split)
    assert dataset.labels is not None
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    by_class = [order[dataset.labels[order] == c] for c in range(CLASSES)]
    rows = min(map(len, by_class))
    places = torch.stack([members[:rows] for members in by_class], dim=1).flatten()[:count]
    return dataset.take(places)[0], dataset.labels[places]


def frechet(a: Tensor, b: Tensor) -> float:
    """The Fréchet distance of the normal distributions with the moments of features [N, D] and [M, D].

    |mean_a - mean_b|² + tr(A + B - 2 (A^½ B A^½)^½) with the covariances A and B (Heusel et al. 2017, eq. 6).
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap).item()


def judged(reading: Reading, asked: Tensor, reference: Tensor) -> dict[str, Any]:
    """Share of images read as the class asked for, in all and per class, and the distance to the reference features."""
    right = (reading.classes == asked).float()
    per_class = [right[asked == c].mean().item() if (asked == c).any() else None for c in range(CLASSES)]
    return {
        "count": len(asked),
        "read_as_asked": right.mean().item(),
        "read_as_asked_per_class": per_class,
        "frechet": frechet(reading.features, reference),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything there is to report. The samples come first, because what was asked for may be refused."""
    images, guidance, trained = draw(options.run, options.count, options.guidance, options.steps, options.seed)
    classifier, accuracy = prepared()
    reference = read(classifier, real("train", REFERENCE)[0]).features
    tests, labels = real("test", options.count)
    return {
        "checkpoint": str(trained.path),
        "sampler": "ddim",
        "steps": options.steps,
        "guidance": guidance,
        "seed": options.seed,
        "classifier_accuracy": accuracy,
        "reference_images": REFERENCE,
        "samples": judged(read(classifier, images), torch.arange(len(images)) % CLASSES, reference),
        "real": judged(read(classifier, tests), labels, reference),
    }


def report(found: dict[str, Any]) -> Iterator[str]:
    """The lines of the report, in Markdown."""
    samples, tests = found["samples"], found["real"]
    yield f"{found['checkpoint']}: DDIM, {found['steps']} steps, guidance {found['guidance']:g}, seed {found['seed']}"
    yield f"classifier: {found['classifier_accuracy']:.2%} of the 10,000 test images read right"
    yield ""
    rows = [
        ["images", str(samples["count"]), str(tests["count"])],
        ["read as the class asked for", share(samples["read_as_asked"]), share(tests["read_as_asked"])],
        *(
            [f"... of class {c}", share(of_samples), share(of_tests)]
            for c, (of_samples, of_tests) in enumerate(
                zip(samples["read_as_asked_per_class"], tests["read_as_asked_per_class"], strict=True)
            )
        ),
        [f"Fréchet distance to {REFERENCE:,} training images", number(samples["frechet"]), number(tests["frechet"])],
    ]
    yield from table(["", "samples", "real test images"], rows)


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge the samples of a run on MNIST by a classifier.")
    parser.add_argument("run", metavar="RUN", help="a run or a checkpoint")
    parser.add_argument("--count", type=int, default=1000, help="images to draw (default 1000)")
    parser.add_argument("--guidance", type=float, help="1 is none (default: the recipe's, as in `diffcli sample`)")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    options = parser.parse_args()
    if options.count < 2:
        parser.error("--count must be at least 2: a distance needs a covariance")
    return options


def main() -> None:
    options = parse()
    try:
        found = measure(options)
    except Problem as problem:
        hint = f"\nhint: {problem.hint}" if problem.hint else ""
        print(f"error: {problem.message}{hint}", file=sys.stderr)
        sys.exit(problem.exit_code)
    print(json.dumps(found, indent=2) if options.json else "\n".join(report(found)))


if __name__ == "__main__":
    main()
