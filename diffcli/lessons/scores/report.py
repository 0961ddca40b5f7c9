"""What `diffcli score` says of the estimators, and of the noise of their gradients."""

from collections.abc import Mapping
from typing import Any

from diffcli.console.show import table
from diffcli.core.diffusion.score_matching import denoising_surplus
from diffcli.lessons.scores.estimators import BATCH, EstimatorOutcome, EstimatorSetting, FreshPoints
from diffcli.lessons.scores.gradient_noise import GradientNoise

EXPLAINED = [
    "error: root mean squared error over the root mean square of the true score",
    "rare: the same error over the tenth of the points where the density is lowest",
    "loss: its mean; least: the least that it can be; ms: of a step of training",
    "noise: of a batch's gradient at the end, in lengths of the first gradient",
]
LEADS = (
    "Denoising needs no derivative of the field, in any dimension: it is what diffusion trains, at every noise "
    "level at once."
)


def estimators_document(
    setting: EstimatorSetting,
    outcomes: Mapping[str, EstimatorOutcome],
    test: FreshPoints,
    floor: float | None,
    noise: GradientNoise,
) -> dict[str, Any]:
    """What was asked for and what was measured, for metrics.json.

    floor:  the error of the training points' own score, where the truth is another
    """
    data = setting.data
    return {
        "data": data.name,
        "truth": data.truth,
        "sigma": data.sigma,
        "training_points": len(data.points),
        "steps": setting.steps,
        "batch": BATCH,
        "projections": setting.projections,
        "directions": setting.directions,
        "reduced": setting.reduced,
        "least_explicit_loss": test.least,
        "denoising_surplus": denoising_surplus(2, data.sigma),
        "error_of_training_points": floor,
        "methods": {name: outcome.document for name, outcome in outcomes.items()},
        "gradient_noise_at_the_true_score": noise._asdict(),
    }


def estimators_lines(
    setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], floor: float | None
) -> list[str]:
    """A row for each estimator, what the truth is, and what the columns mean."""
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


def estimators_seen(setting: EstimatorSetting, outcomes: Mapping[str, EstimatorOutcome], noise: GradientNoise) -> str:
    """What this run showed of the estimators, and of their noise."""
    parts = [f"{name} {100 * o.agreement.relative_error:.1f} %" for name, o in outcomes.items()]
    ratios = (noise.curves["denoising"][i] / noise.curves["explicit"][i] for i in (0, -1))
    low, high = (f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}" for ratio in ratios)
    return (
        f"After {setting.steps} steps the fields are off by: {', '.join(parts)}. "
        f"At the true score denoising's gradient is {low} times as noisy as explicit's at sigma {noise.sigmas[0]:g}, "
        f"and {high} times at {noise.sigmas[-1]:g}."
    )
