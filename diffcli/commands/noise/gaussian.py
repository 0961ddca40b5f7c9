"""diffcli noise gaussian"""

import math
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.results import Lesson
    from diffcli.core.processes.laws.gaussian import Normal
    from diffcli.lessons.gaussians.measures import Divergence, MeasuredMoments
    from diffcli.lessons.gaussians.pictures import Operation

MATRICES = {1: "2", 2: "1,-0.5/0.5,1"}
COVARIANCES = {1: ("1.5", "0.5"), 2: ("1,0.6/0.6,2", "0.8,-0.3/-0.3,0.5")}  # the first's, the other's
FEWEST = 10  # draws that say something of a product
MATRIX = "NUMBERS|FILE"


def gaussian(
    dim: Annotated[int, typer.Option(help="Dimensions, 1 or 2.", min=1, max=2)] = 2,
    mean: Annotated[str, typer.Option(help="One number, or one per dimension, as 0.5:-1.")] = "0",
    std: Annotated[Optional[str], typer.Option(help="The same, for independent coordinates.")] = None,
    covariance: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="Rows, or .csv, .npy.  [1.5, or 1,0.6/0.6,2]")
    ] = None,
    other_mean: Annotated[str, typer.Option(help="Of a second Gaussian.")] = "1",
    other_std: Annotated[Optional[str], typer.Option(help="Of the second.")] = None,
    other_covariance: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="Of the second.  [0.5, or 0.8,-0.3/-0.3,0.5]")
    ] = None,
    matrix: Annotated[
        Optional[str], typer.Option(metavar=MATRIX, help="A of the affine map A x + b.  [2, or 1,-0.5/0.5,1]")
    ] = None,
    shift: Annotated[str, typer.Option(help="b of the affine map.")] = "1",
    given: Annotated[
        str, typer.Option(help="Where the second coordinate is, in 1-D x + z, for the conditional.")
    ] = "1.5",
    count: Annotated[int, typer.Option("--count", help="Draws.", min=10, max=1_000_000)] = 20_000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Gaussians: draws beside the density; affine map, sum, product, conditional and KL against their formulas."""
    import torch

    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.randomness import keyed
    from diffcli.lessons.gaussians import named
    from diffcli.lessons.gaussians.measures import moments
    from diffcli.lessons.gaussians.pictures import algebra_figure, density_figure

    show = Show(as_json=as_json, quiet=quiet)
    own, others = COVARIANCES[dim]
    first = named.normal(mean, std, own if std is covariance is None else covariance, dim)
    second = named.normal(
        other_mean, other_std, others if other_std is other_covariance is None else other_covariance, dim, "other-"
    )
    turn, move = named.matrix(matrix or MATRICES[dim], (dim, dim), "--matrix"), named.numbers(shift, dim, "--shift")
    value = named.numbers(given, 1, "--given").item()
    x, z = (law.draw(count, keyed(seed, "gaussian", i)) for i, law in enumerate((first, second)))
    uniform = torch.rand(count, generator=keyed(seed, "product"), dtype=torch.float64)
    try:
        mapped = first.affine(turn, move)
    except ValueError:
        raise UsageProblem("--matrix must have an inverse", "else A x + b has no density") from None
    with lesson("noise-gaussian", out, show) as made:
        made.document["count"] = count
        own_moments = moments(x, first)
        operations = [
            _operation("affine", "A x + b", mapped, x @ turn.mT + move),
            _operation("sum", "x + z", first.plus(second), x + z),
            _product(first, second, x, uniform, made),
            _conditional(first, second, x, z, value),
        ]
        divergences = _divergences((first, second), (x, z))
        density_figure(made.figure("density.png"), first, x, own_moments.deviation(first))
        algebra_figure(made.figure("algebra.png"), (first, second), (x, z), operations, divergences)
        _say(made, first, own_moments, operations, divergences)


def _operation(name: str, formula: str, truth: "Normal", draws: "Tensor") -> "Operation":
    from diffcli.lessons.gaussians.measures import moments
    from diffcli.lessons.gaussians.pictures import Operation

    return Operation(name, formula, truth, draws, moments(draws, truth) if len(draws) >= FEWEST else None)


def _product(first: "Normal", second: "Normal", x: "Tensor", uniform: "Tensor", made: "Lesson") -> "Operation":
    """Draws of the product by rejection; how many stay measures its constant."""
    from diffcli.lessons.gaussians.measures import accepted

    truth, constant = first.times(second)
    kept, peak = accepted(x, second, uniform), second.log_density(second.mean)
    share = (constant - peak).exp().item()
    made.document["product_constant"] = {
        "log": constant.item(),
        "integral_true": constant.exp().item(),
        "integral": len(kept) / len(x) * peak.exp().item(),
        "standard_error": math.sqrt(share * (1 - share) / len(x)) * peak.exp().item(),
        "accepted": len(kept),
    }
    return _operation("product", "p(x) q(x), normalised", truth, kept)


def _conditional(first: "Normal", second: "Normal", x: "Tensor", z: "Tensor", value: float) -> "Operation":
    """In 2-D the first coordinate given the second; in 1-D x given x + z, which is what a denoiser looks for."""
    import torch

    from diffcli.core.processes.laws.gaussian import Normal
    from diffcli.lessons.gaussians.measures import MeasuredMoments, along_regression, regression_error
    from diffcli.lessons.gaussians.pictures import Operation

    if len(first.mean) == 2:
        joint, pairs, formula = first, x, f"x 1 where x 2 = {value:g}"
    else:
        both = Normal(torch.cat([first.mean, second.mean]), torch.block_diag(first.covariance, second.covariance))
        rows = torch.tensor([[1, 0], [1, 1]], dtype=torch.float64)
        joint, pairs = both.affine(rows, torch.zeros(2, dtype=torch.float64)), torch.cat([x, x + z], dim=1)
        formula = f"x where x + z = {value:g}"
    truth = joint.given([1], torch.tensor([value], dtype=torch.float64))
    draws = along_regression(pairs, value).unsqueeze(1)
    mean_error, variance_error = regression_error(pairs, value, truth.covariance[0, 0])
    variance = (draws - draws.mean()).square().sum().reshape(1, 1) / (len(draws) - 2)  # a line has two parameters
    found = MeasuredMoments(draws.mean(0), variance, mean_error.reshape(1), variance_error.reshape(1, 1))
    return Operation("conditional", formula, truth, draws, found)


def _divergences(laws: tuple["Normal", "Normal"], draws: tuple["Tensor", "Tensor"]) -> "dict[str, Divergence]":
    from diffcli.lessons.gaussians.measures import divergence

    (first, second), (x, z) = laws, draws
    return {"first_from_other": divergence(first, second, x), "other_from_first": divergence(second, first, z)}


def _moments(truth: "Normal", measured: "MeasuredMoments | None") -> dict[str, Any]:
    """Predicted and measured, as a document has them; None where there was nothing to measure."""
    found: dict[str, Any] = {"mean_true": truth.mean.tolist(), "covariance_true": truth.covariance.tolist()}
    for key in ("mean", "covariance", "mean_error", "covariance_error"):
        name = key.replace("error", "standard_error")
        found[name] = getattr(measured, key).tolist() if measured else None
    if measured:
        found["mean_z"] = ((measured.mean - truth.mean) / measured.mean_error).tolist()
        found["covariance_z"] = ((measured.covariance - truth.covariance) / measured.covariance_error).tolist()
        found["largest_z"] = measured.deviation(truth)
    return found


def _say(
    made: "Lesson",
    first: "Normal",
    own: "MeasuredMoments",
    operations: "list[Operation]",
    divergences: "dict[str, Divergence]",
) -> None:
    """Fill the document, and say what is in it."""
    from diffcli.console.show import table

    made.document |= {"dim": len(first.mean), **_moments(first, own)}
    made.document["operations"] = {o.name: _moments(o.truth, o.measured) for o in operations}
    made.document["kl"] = {name: found._asdict() for name, found in divergences.items()}
    cells = [["draws", *_cells(first, own)], *([o.name, *_cells(o.truth, o.measured)] for o in operations)]
    heads = ["law of", "mean, predicted", "measured", "variance, predicted", "measured", "furthest"]
    there, back = divergences.values()
    made.lines = [
        *table(heads, cells, right=[5]),
        *(
            f"KL {name.replace('_', ' ')}: {d.closed:.4g} nats; quadrature {d.quadrature:.4g}, "
            f"Monte Carlo {d.monte_carlo:.4g} ± {d.standard_error:.2g}"
            for name, d in divergences.items()
        ),
    ]
    known = [o.measured.deviation(o.truth) for o in operations if o.measured]
    furthest = max(own.deviation(first), *known)
    made.seen = (
        f"Every mean and covariance lies within {furthest:.1f} standard errors of its formula; "
        f"KL is {there.closed:.3g} nats one way and {back.closed:.3g} the other."
    )
    made.leads = (
        "A diffusion is made of these: each step an affine map and a sum, the way back q(x_s | x_t, x0) a conditional, "
        "the loss a KL."
    )
    made.next = "diffcli noise chain"


def _cells(truth: "Normal", measured: "MeasuredMoments | None") -> list[str]:
    """Means and variances as a table has them, and the furthest of all in standard errors."""

    def short(values: "Tensor") -> str:
        return " ".join(f"{value:.4g}" for value in values.tolist())

    predicted = (short(truth.mean), short(truth.covariance.diagonal()))
    if measured is None:
        return [predicted[0], "-", predicted[1], "-", "too few"]
    found = (short(measured.mean), short(measured.covariance.diagonal()))
    return [predicted[0], found[0], predicted[1], found[1], f"{measured.deviation(truth):.1f} s.e."]
