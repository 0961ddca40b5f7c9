"""What `diffcli ais` says of the constant that it found."""

from typing import Any

from diffcli.console.show import table
from diffcli.lessons.annealing import COUNTS
from diffcli.lessons.annealing.walks import AnnealingSetting
from diffcli.lessons.annealing.weights import ROUNDING, ConstantFound, LogEstimate
from diffcli.system.shell import argument

AGREED = 3  # standard errors
LEADS = (
    "A diffusion model is such a ladder from noise to data; its moves are learned, so that a few hundred do, and its "
    "variational bound is a mean log-weight, as the lower bound here."
)
NEXT = {
    "unimodal": "diffcli ais bimodal",
    "bimodal": "diffcli ais rbm --kernel hmc",
    "mixture": "diffcli ais bimodal",
    "rbm": "diffcli vae train",
}


def constant_document(setting: AnnealingSetting, found: ConstantFound, accepted: float) -> dict[str, Any]:
    """What was asked for and what was measured, for metrics.json; in nats."""
    bounds = {
        name: [
            {"temperatures": closing.temperatures, name: value, "standard_error": error}
            for closing in found.closings
            for value, error in [getattr(closing, name)]
        ]
        for name in ("lower", "upper")
    }
    up, down, plain = found.up, found.down, found.plain
    return {
        "problem": setting.name,
        "ladder": setting.ladder,
        "temperatures": setting.temperatures,
        "chains": setting.chains,
        "kernel": setting.kernel,
        "moves": setting.moves,
        "seed": setting.seed,
        "accepted": accepted,
        "log_z": up.value,
        "log_z_true": found.truth,
        "standard_error": up.standard_error,
        "ess": up.effective,
        "lower": found.last.lower[0],
        "upper": found.last.upper[0],
        "surely_above": found.surely_above,
        "surely_below": found.surely_below,
        "reverse": {"log_z": -down.value, "standard_error": down.standard_error, "ess": down.effective},
        "plain": {"log_z": plain.value, "standard_error": plain.standard_error, "ess": plain.effective},
        "bounds": bounds,
    }


def constant_lines(setting: AnnealingSetting, found: ConstantFound) -> list[str]:
    """The table of estimates and bounds."""

    def row(name: str, log_z: float, known: LogEstimate, draws: int) -> list[str]:
        error = known.standard_error
        off = f"{(log_z - found.truth) / error:+.1f}" if error > ROUNDING else ""
        return [name, f"{log_z:.3f}", f"{error:.3f}", off, f"{known.effective:.1f} of {draws}"]

    last = found.last
    rows = [
        ["truth", f"{found.truth:.3f}", "", "", ""],
        row("AIS", found.up.value, found.up, setting.chains),
        row("AIS downwards", -found.down.value, found.down, setting.chains),
        row("plain sampling", found.plain.value, found.plain, setting.plain_draws),
        ["lower bound", f"{last.lower[0]:.3f}", f"{last.lower[1]:.3f}", "", ""],
        ["upper bound", f"{last.upper[0]:.3f}", f"{last.upper[1]:.3f}", "", ""],
    ]
    heads = ["", "log Z", "std. error", "errors off", "worth draws"]
    sure = f"above {found.surely_above:.3f}, and below {found.surely_below:.3f}: each with 99 % certainty"
    return [*table(heads, rows, right=(1, 2, 3, 4)), sure]


def constant_seen(setting: AnnealingSetting, found: ConstantFound) -> str:
    """What the numbers of this run say."""
    truth, plain = found.truth, found.plain
    agrees = "agrees with" if found.errors_off <= AGREED else "misses"
    (low, below), (high, above) = found.last.lower, found.last.upper
    if low <= truth <= high:
        held = "which lies between its bounds"
    elif low - AGREED * below - ROUNDING <= truth <= high + AGREED * above + ROUNDING:
        held = "whose bounds are as close as their own errors"
    else:
        held = "whose bounds do not hold it, so these chains are too few"
    return (
        f"AIS {agrees} the truth ({found.errors_off:.1f} standard errors off), {held}; plain importance sampling is "
        f"{abs(plain.value - truth):.2f} nats off, its {setting.plain_draws} draws worth {plain.effective:.1f}."
    )


def next_command(setting: AnnealingSetting, found: ConstantFound) -> str:
    """More temperatures where the truth was missed, else what else there is to see."""
    if found.errors_off > AGREED and setting.temperatures < COUNTS[-1]:
        return f"diffcli ais {argument(setting.name)} --temperatures {min(COUNTS[-1], 3 * setting.temperatures)}"
    return NEXT[setting.name.partition(",")[0].strip()]
