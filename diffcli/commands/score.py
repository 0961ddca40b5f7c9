"""diffcli score: parse, train the estimators, compare them with the true score, show."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.scores import NAMES

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.lessons.scores.estimators import EstimatorOutcome, EstimatorSetting, Places
    from diffcli.lessons.scores.gradient_noise import Noise

SMALL, LARGE = 0.02, 5.0  # of --sigma
EXPLAINED = [
    "error: root mean squared error over the root mean square of the true score",
    "rare: the same error over the tenth of the points where the density is lowest",
    "loss: its mean; least: the least that it can be; ms: of a step of training",
    "noise: of a batch's gradient at the end, in lengths of the first gradient",
]


def score(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[DATA]", help="mixture, moons, swiss-roll, checkerboard, or mixture,means=-1:0/1:0,stds=0.3."
        ),
    ] = "mixture",
    sigma: Annotated[float, typer.Option(help="Noise on the data, whose coordinates have variance 1.")] = 0.3,
    steps: Annotated[int, typer.Option(help="Optimiser steps of each estimator.", min=1, max=100_000)] = 3000,
    method: Annotated[str, typer.Option(help="explicit, denoising, sliced or all.")] = "all",
    projections: Annotated[int, typer.Option(help="Directions per point, of sliced.", min=1, max=100)] = 1,
    directions: Annotated[str, typer.Option(help="Their law: rademacher or gaussian.")] = "rademacher",
    reduced: Annotated[bool, typer.Option("--reduced", help="Sliced with |s|² for (v·s)²: less variance.")] = False,
    count: Annotated[int, typer.Option("--count", help="Training points.", min=10, max=50_000)] = 10_000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Learn one score by explicit, denoising and sliced score matching, and compare each with the true one."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.diffusion.score_matching import DIRECTIONS
    from diffcli.lessons.scores import estimators, figures, points
    from diffcli.metrics.fields import compare

    if not SMALL <= sigma <= LARGE:
        raise UsageProblem(f"--sigma must be from {SMALL:g} to {LARGE:g}, not {sigma:g}", "the data have variance 1")
    chosen = tuple(NAMES) if method == "all" else (one_of(method, (*NAMES, "all"), "method"),)
    law = one_of(directions, DIRECTIONS, "law of directions")
    show, data = Show(as_json=as_json, quiet=quiet), points.noised_points(target, count, sigma, seed)
    setting = estimators.EstimatorSetting(data, steps, projections, law, reduced, seed)
    with lesson("score", out, show) as made:
        test = estimators.Places.of(data, seed)
        show.note(f"time: about {_estimate(setting, chosen, test)}")
        own = data.own_score(test.x[: estimators.BETWEEN].double()) if data.known else None
        floor = None if own is None else compare(own, test.true[: estimators.BETWEEN]).relative_error
        outcomes = _trained(setting, chosen, test, show)
        study = _studied(setting, show)
        figures.fields(made.figure("fields.png"), setting, outcomes, test.size)
        figures.curves(made.figure("curves.png"), setting, outcomes, floor, study)
        made.document = _document(setting, outcomes, test, floor, study)
        made.lines = _lines(setting, outcomes, floor)
        made.seen = _seen(setting, outcomes, study)
        made.leads = (
            "Denoising needs no derivative of the field, in any dimension: it is what diffusion trains, at every noise "
            "level at once."
        )
        made.next = "diffcli train --dataset mixture"


def _estimate(setting: "EstimatorSetting", chosen: tuple[str, ...], test: "Places") -> str:
    """How long the training will take, and the figures."""
    from diffcli.lessons.scores import estimators
    from diffcli.system.text import duration

    seconds = sum(setting.steps * estimators.seconds_per_step(setting, name, test) for name in chosen)
    return duration(1.2 * seconds + 10)


def _trained(
    setting: "EstimatorSetting", chosen: tuple[str, ...], test: "Places", show: "Show"
) -> dict[str, "EstimatorOutcome"]:
    """Every estimator's outcome, measured."""
    from diffcli.lessons.scores import estimators

    outcomes: dict[str, EstimatorOutcome] = {}
    with show.progress("training", setting.steps * len(chosen), "steps") as bar:
        for i, name in enumerate(chosen):
            for step, loss, outcome in estimators.train(setting, name, test):
                outcomes[name] = outcome
                bar.update(i * setting.steps + step, f"{name}, loss {loss:.2f}")
    unit = estimators.first_gradient(setting)
    for name, outcome in outcomes.items():
        estimators.measure(setting, name, outcome, test, unit)
    return outcomes


def _studied(setting: "EstimatorSetting", show: "Show") -> "Noise":
    """The noise of the gradients at the true score, over sigma."""
    from diffcli.lessons.scores import gradient_noise

    with show.progress("the noise of the gradients", gradient_noise.COUNT, "noise levels") as bar:
        for study in gradient_noise.over_sigma(setting.data, setting.projections, setting.directions, setting.seed):
            bar.update(len(study.sigmas))
    return study


def _document(
    setting: "EstimatorSetting",
    outcomes: dict[str, "EstimatorOutcome"],
    test: "Places",
    floor: float | None,
    study: "Noise",
) -> dict[str, Any]:
    from diffcli.core.diffusion.score_matching import denoising_surplus
    from diffcli.lessons.scores import estimators

    data = setting.data
    return {
        "data": data.name,
        "truth": data.truth,
        "sigma": data.sigma,
        "training_points": len(data.points),
        "steps": setting.steps,
        "batch": estimators.BATCH,
        "projections": setting.projections,
        "directions": setting.directions,
        "reduced": setting.reduced,
        "least_explicit_loss": test.least,
        "denoising_surplus": denoising_surplus(2, data.sigma),
        "error_of_training_points": floor,
        "methods": {name: outcome.document for name, outcome in outcomes.items()},
        "gradient_noise_at_the_true_score": study._asdict(),
    }


def _lines(setting: "EstimatorSetting", outcomes: dict[str, "EstimatorOutcome"], floor: float | None) -> list[str]:
    from diffcli.console.show import table

    rows = [
        [
            name,
            f"{o.agreement.relative_error:.3f} ± {o.agreement.relative_error_se:.3f}",
            f"{o.rare:.3f}",
            f"{o.agreement.cosine:.4f}",
            f"{o.loss:.2f} ± {o.loss_se:.2f}",
            f"{o.loss_least:.2f}",
            f"{o.noise:.1f}",
            f"{o.milliseconds:.1f}",
        ]
        for name, o in outcomes.items()
    ]
    heads = ["score matching", "error", "rare", "cosine", "loss", "least", "noise", "ms"]
    about = [f"truth: the score of {setting.data.truth}, with noise of sigma {setting.data.sigma:g}"]
    if floor is not None:
        about.append(f"the score of the {len(setting.data.points)} training points themselves is off by {floor:.3f}")
    return [*table(heads, rows, right=range(1, 8)), "", *about, "", *EXPLAINED]


def _seen(setting: "EstimatorSetting", outcomes: dict[str, "EstimatorOutcome"], study: "Noise") -> str:
    """What this run showed of the estimators, and of their noise."""
    parts = [f"{name} {100 * o.agreement.relative_error:.1f} %" for name, o in outcomes.items()]
    ratios = (study.curves["denoising"][i] / study.curves["explicit"][i] for i in (0, -1))
    low, high = (f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}" for ratio in ratios)
    return (
        f"After {setting.steps} steps the fields are off by: {', '.join(parts)}. "
        f"At the true score denoising's gradient is {low} times as noisy as explicit's at sigma {study.sigmas[0]:g}, "
        f"and {high} times at {study.sigmas[-1]:g}."
    )
