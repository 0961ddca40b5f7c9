"""What `diffcli draw` says about its draws."""

import math
from typing import Any

from diffcli.console.show import table
from diffcli.lessons.drawing import ALL
from diffcli.lessons.drawing.measures import CoordinateEstimate, plain_moments
from diffcli.lessons.drawing.samples import DrawingSetting, MethodSample
from diffcli.system.shell import argument

DOUBTFUL = 0.001  # a p-value below speaks against a method
LENGTHS = 50  # autocorrelation times that chains should be long, for their numbers to be sure

LEADS = {
    "inverse": "A fixed map from noise to draws is what a diffusion model's probability flow is, without a formula.",
    "box-muller": "All noise of a diffusion model is made so, or by a relative of this map; the model undoes it.",
    "rejection": "M grows exponentially with the dimension, so no image is drawn so: diffusion takes small steps.",
    "importance": "Annealing breaks one heavy weight into many light ones; the levels of a diffusion do the same.",
    "metropolis": "A chain needs no normaliser. Langevin's steps follow the slope of log p too: the score.",
    "independence": "The better the proposal knows the law, the less is refused; a diffusion model learns such a law.",
    "hmc": "It follows the gradient of log p, the score, which is all that a diffusion model learns.",
    "gibbs": "One part given the rest, again and again: inpainting by a diffusion model asks the same.",
    "all": "Images have no closed map and no good envelope; what is left is small steps along the score: diffusion.",
}


def draws_document(setting: DrawingSetting, samples: list[MethodSample]) -> dict[str, Any]:
    """The numbers: those of one method at the top, of all by name, and then some of them at the top by name too."""
    mean, std = setting.law.moments()
    rows = {one.name: _row(one) for one in samples}
    top = {"target": setting.name, "method": setting.method, "seed": setting.seed}
    top |= {"truth": {"mean": mean.tolist(), "std": std.tolist()}}
    if setting.method != ALL:
        return top | rows[setting.method]
    by_name = {key: {name: row[key] for name, row in rows.items()} for key in ("ess", "acceptance", "p_value")}
    return top | by_name | {"methods": rows, "left_out": setting.left_out}


def _row(one: MethodSample) -> dict[str, Any]:
    worth, sample = one.worth, one.sample
    row = {
        "method": one.name,
        "draws": len(one.points),
        "chains": sample.x.shape[1] if one.method.chained else None,
        "acceptance": worth.acceptance,
        "autocorrelation_time": worth.time,
        "ess": worth.effective,
        "evaluations": sample.evaluations,
        "evaluations_per_effective_draw": worth.cost,
        "p_value": worth.p_value,
        "tested": worth.tested,
        "mean": worth.mean.value.tolist(),
        "mean_error": worth.mean.error.tolist(),
        "std": worth.std.value.tolist(),
        "std_error": worth.std.error.tolist(),
    }
    if sample.log_weights is not None:
        mean, normaliser = plain_moments(one.values, sample.log_weights.flatten())
        row["unnormalised"] = {
            "mean": mean.value.tolist(),
            "mean_error": mean.error.tolist(),
            "normaliser": normaliser.value.item(),
            "normaliser_error": normaliser.error.item(),
        }
    return row


def draws_lines(setting: DrawingSetting, samples: list[MethodSample]) -> list[str]:
    """One table of what the draws are worth, and one of their moments beside the truth."""
    heads = ["method", "draws", "accepted", "time", "ESS", "per ESS", "p-value"]
    rows = [
        [
            one.name, str(len(one.points)), f"{w.acceptance:.3f}", _short(w.time), f"{w.effective:.0f}", _short(w.cost),
            _short(w.p_value),
        ]
        for one in samples if (w := one.worth)
    ]  # fmt: skip
    names = ["mean", "std"] if setting.law.dim == 1 else ["mean x1", "mean x2", "std x1", "std x2"]
    truth = ["truth", *(_short(value) for values in setting.law.moments() for value in values.tolist())]
    moments = [[one.name, *_estimates(one.worth.mean), *_estimates(one.worth.std)] for one in samples]
    made = table(heads, rows, right=range(1, 7))
    made += ["time: moves per independent draw; per ESS: evaluations per effective draw", ""]
    made += table(["method", *names], [truth, *moments], wraps=range(1, 1 + len(names)))
    weighted = [_row(one)["unnormalised"] for one in samples if one.sample.log_weights is not None]
    for plain in weighted:
        means = ", ".join(map(_with_error, plain["mean"], plain["mean_error"]))
        weight = _with_error(plain["normaliser"], plain["normaliser_error"])
        made.append(f"importance, not normalised: mean {means}, of the weights {weight} (truth 1)")
    return made + [f"left out: {name}, {reason}" for name, reason in setting.left_out.items()]


def _estimates(estimate: CoordinateEstimate) -> list[str]:
    return [_with_error(v, e) for v, e in zip(estimate.value.tolist(), estimate.error.tolist(), strict=True)]


def _with_error(value: float, error: float) -> str:
    """The value to the first digit of its error and one more: 0.994 ± 0.012."""
    if not 0 < error < math.inf:
        return f"{_short(value)} ± {_short(error)}"
    digits = 1 - math.floor(math.log10(error))
    if not -3 < digits < 8:
        return f"{value:.3g} ± {error:.2g}"
    return f"{value:.{max(0, digits)}f} ± {error:.{max(0, digits)}f}"


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def draws_seen(setting: DrawingSetting, samples: list[MethodSample]) -> str:
    """What was seen: of the one method, or of all compared."""
    return _compared(samples) if setting.method == ALL else _seen(samples[0])


def _seen(one: MethodSample) -> str:
    worth = one.worth
    text = f"{len(one.points)} draws by {one.method.title} are worth {worth.effective:.0f} independent ones"
    if math.isfinite(worth.cost):
        text += f", at {_short(worth.cost)} evaluations each"
    if one.name == "rejection":
        text += f"; it kept {worth.acceptance:.3f} where 1/M is {math.exp(-one.law.proposal().log_bound):.3f}"
    elif one.method.chained and one.name != "gibbs":
        text += f"; {worth.acceptance:.3f} of the moves were accepted"
    return f"{text}. {_verdict(one)}"


def _verdict(one: MethodSample) -> str:
    p = one.worth.p_value
    if one.method.chained and len(one.sample.x) < LENGTHS * one.worth.time:
        return (
            f"Its chains are {len(one.sample.x) / one.worth.time:.1f} autocorrelation times long, not {LENGTHS}: "
            "do not trust its numbers yet."
        )
    if math.isnan(p):
        return "They are too few to be tested."
    against = "and the law is another" if p < DOUBTFUL else "and nothing speaks against the law"
    return f"The test gives p = {p:.2g}, {against}."


def _compared(samples: list[MethodSample]) -> str:
    order = sorted((one for one in samples if math.isfinite(one.worth.cost)), key=lambda one: one.worth.cost)
    text = "No method made an effective draw."
    if order:
        cheap, dear = order[0], order[-1]
        text = (
            f"The evaluations per effective draw go from {_short(cheap.worth.cost)} ({cheap.method.title}) "
            f"to {_short(dear.worth.cost)} ({dear.method.title})."
        )
    short = [one.name for one in samples if one.method.chained and len(one.sample.x) < LENGTHS * one.worth.time]
    wrong = [one.name for one in samples if one.worth.p_value < DOUBTFUL]
    if short:
        text += f" Chains too short to be sure of: {', '.join(short)}."
    if wrong:
        return f"{text} The test speaks against {', '.join(wrong)}."
    values = [one.worth.p_value for one in samples if not math.isnan(one.worth.p_value)]
    if not values:
        return f"{text} The draws are too few to be tested."
    return f"{text} No test speaks against a method (least p = {min(values):.2g})."


def next_command(setting: DrawingSetting) -> str:
    """All methods after one, then the banana, then chains."""
    if setting.method != ALL:
        return f"diffcli draw {argument(setting.name)} --method all"
    return "diffcli markov" if setting.name.startswith("banana") else "diffcli draw banana --method all"
