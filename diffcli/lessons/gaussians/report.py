"""What `diffcli noise gaussian` says of draws beside the formulas."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from diffcli.console.show import table
from diffcli.core.processes.laws.gaussian import Normal
from diffcli.lessons.gaussians.measures import Divergence, MeasuredMoments
from diffcli.lessons.gaussians.operations import Operation

LEADS = (
    "A diffusion is made of these: each step an affine map and a sum, the way back q(x_s | x_t, x0) a conditional, the "
    "loss a KL."
)


def moments_document(truth: Normal, measured: MeasuredMoments | None) -> dict[str, Any]:
    """Moments predicted and measured; None where there was nothing to measure."""
    found: dict[str, Any] = {"mean_true": truth.mean.tolist(), "covariance_true": truth.covariance.tolist()}
    for key in ("mean", "covariance", "mean_error", "covariance_error"):
        name = key.replace("error", "standard_error")
        found[name] = getattr(measured, key).tolist() if measured else None
    if measured:
        found["mean_z"] = ((measured.mean - truth.mean) / measured.mean_error).tolist()
        found["covariance_z"] = ((measured.covariance - truth.covariance) / measured.covariance_error).tolist()
        found["largest_z"] = measured.deviation(truth)
    return found


def gaussian_lines(own: Operation, operations: Sequence[Operation], divergences: Mapping[str, Divergence]) -> list[str]:
    """The table of predicted and measured moments, and the divergences three ways.

    own:  the draws of x, with which nothing was done
    """
    heads = ["law of", "mean, predicted", "measured", "variance, predicted", "measured", "furthest"]
    cells = [[one.name, *_cells(one.truth, one.measured)] for one in (own, *operations)]
    return [
        *table(heads, cells, right=[5]),
        *(
            f"KL {name.replace('_', ' ')}: {d.closed:.4g} nats; quadrature {d.quadrature:.4g}, "
            f"Monte Carlo {d.monte_carlo:.4g} ± {d.standard_error:.2g}"
            for name, d in divergences.items()
        ),
    ]


def gaussian_seen(own: Operation, operations: Sequence[Operation], divergences: Mapping[str, Divergence]) -> str:
    """How far the worst moment is from its formula, and that the divergence has a direction."""
    furthest = max(one.measured.deviation(one.truth) for one in (own, *operations) if one.measured)
    there, back = divergences.values()
    return (
        f"Every mean and covariance lies within {furthest:.1f} standard errors of its formula; "
        f"KL is {there.closed:.3g} nats one way and {back.closed:.3g} the other."
    )


def _cells(truth: Normal, measured: MeasuredMoments | None) -> list[str]:
    """Means and variances as a table has them, and the furthest of all in standard errors."""

    def short(values: Tensor) -> str:
        return " ".join(f"{value:.4g}" for value in values.tolist())

    predicted = (short(truth.mean), short(truth.covariance.diagonal()))
    if measured is None:
        return [predicted[0], "-", predicted[1], "-", "too few"]
    found = (short(measured.mean), short(measured.covariance.diagonal()))
    return [predicted[0], found[0], predicted[1], found[1], f"{measured.deviation(truth):.1f} s.e."]
