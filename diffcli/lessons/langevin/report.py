"""What `diffcli langevin` says of the three dynamics."""

from collections.abc import Mapping
from typing import Any

from diffcli.console.show import table
from diffcli.lessons.langevin import ALL, NAMES
from diffcli.lessons.langevin.dynamics import DynamicsOutcome
from diffcli.lessons.langevin.setting import DynamicsSetting

LEADS = "Annealed Langevin is the reverse walk of diffusion with a known score; training learns that score."


def dynamics_document(setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> dict[str, Any]:
    """What was asked for and what was measured, for metrics.json; the weights at the top are the last dynamics'."""
    last = list(outcomes.values())[-1]
    return {
        "target": setting.name,
        "method": ALL if len(outcomes) > 1 else next(iter(outcomes)),
        "particles": setting.count,
        "steps": setting.steps,
        "step": setting.step,
        "noise_step": setting.share,
        "sigmas": setting.sigmas,
        "weights": last.weights.values,
        "weights_true": setting.law.weights.tolist(),
        "weight_standard_errors": last.weights.errors,
        "methods": {name: outcome.document for name, outcome in outcomes.items()},
    }


def dynamics_lines(setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> list[str]:
    """A row for each of the dynamics, below the truth."""
    rows = [
        [
            NAMES[name],
            _weights(o.weights.values),
            f"{max(o.weights.errors):.3f}",
            f"{o.within:.3f}",
            f"{o.energy:.4f}",
            f"{o.acceptance:.3f}" if name == "mala" else "-",
        ]
        for name, o in outcomes.items()
    ]
    truth = [["the truth", _weights(setting.law.weights.tolist()), "", f"{setting.variance:.3f}", "0", ""]]
    heads = ["dynamics", "weights of the modes", "error", "variance", "distance", "accepted"]
    return [
        *table(heads, [*truth, *rows], right=(2, 3, 4, 5), wraps=(1,)),
        "",
        "error: standard error of a weight; variance: within the modes; distance: energy distance to exact draws",
    ]


def _weights(values: list[float]) -> str:
    if len(values) > 3:
        return f"{min(values):.3f} to {max(values):.3f}"
    return " ".join(f"{value:.3f}" for value in values)


def dynamics_seen(setting: DynamicsSetting, outcomes: Mapping[str, DynamicsOutcome]) -> str:
    """What this run showed of the weights."""
    truth = setting.law.weights.tolist()
    if len(truth) == 1:
        name, o = next(iter(outcomes.items()))
        settled = f"{NAMES[name]} steps settle at a variance of {o.within:.3f}"
        return f"One mode: {settled} where the truth is {setting.variance:.3f}."
    parts = []
    for name, o in outcomes.items():
        off, miss = max((abs(w - t), i) for i, (w, t) in enumerate(zip(o.weights.values, truth, strict=True)))
        verdict = "right" if off <= 4 * o.weights.errors[miss] + 0.01 else "wrong"
        parts.append(f"{NAMES[name]} {verdict} ({o.weights.values[miss]:.2f} where {truth[miss]:.2f} is true)")
    return f"Weights of the modes: {', '.join(parts)}."
