"""diffcli dae score"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
    from diffcli.core.diffusion.exact import Mixture

LOW, HIGH = 0.05, 1.0  # of the sigmas trained on and measured
SMALL, LARGE = 0.01, 5.0  # of --sigma
BATCH, LR, WARMUP, CLIP, EMA = 512, 2e-3, 30, 1.0, 0.99
MEASURED = 9  # sigmas
EXPLAINED = [
    "error: relative root mean square to the score of the noised data",
    "to data: the same to the score of the data, which have no noise",
    "exact: that error of the best denoiser, known in closed form",
]


def score(
    sigma: Annotated[float, typer.Option(help="Noise level of the field that is drawn.")] = 0.2,
    steps: Annotated[int, typer.Option(help="Optimiser steps of the denoiser.", min=1, max=100_000)] = 1200,
    count: Annotated[int, typer.Option(help="Points to measure at.", min=10, max=100_000)] = 4000,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a denoiser of points, and find in it the score: (r(x) - x) / sigma² beside the exact one."""
    import torch

    from diffcli.console.results import lesson
    from diffcli.console.show import Show, table
    from diffcli.core.diffusion.exact import Mixture
    from diffcli.core.processes.laws import toys
    from diffcli.pictures.denoising import score_figure

    if not SMALL <= sigma <= LARGE:
        raise UsageProblem(f"--sigma must be from {SMALL:g} to {LARGE:g}, not {sigma}", "the data have variance 1")
    show, law = Show(as_json=as_json, quiet=quiet), Mixture(*toys.MIXTURE)
    low, high = min(LOW, sigma), max(HIGH, sigma)
    with lesson("dae-score", out, show) as made:
        model = _trained(steps, low, high, seed, show)
        grid = torch.logspace(math.log10(low), math.log10(high), MEASURED, dtype=torch.float64).tolist()
        rows = [_row(model, law, s, count, seed) for s in sorted({*grid, sigma})]
        here = next(row for row in rows if row["sigma"] == sigma)
        score_figure(made.figure("score.png"), _fields(model, law, sigma), rows, sigma)
        made.document |= {"steps": steps, "count": count, **here, "rows": rows}
        heads = ["sigma", "corr.", "cosine", "error", "exact", "to data", "exact"]
        made.lines += table(heads, [_cells(row) for row in rows], right=range(7))
        made.lines += EXPLAINED
        made.seen = (
            f"At sigma {sigma:g} the denoiser's (r(x) - x) / sigma² is the score of the noised data to "
            f"{100 * here['relative_error']:.1f} ± {100 * here['relative_error_se']:.1f} %, with correlation "
            f"{here['correlation']:.4f}; of the best denoiser it is that score exactly ({here['exact_error']:.0e})."
        )
        made.leads = (
            "A denoiser at every sigma is a score at every sigma, and following it from noise to data draws points "
            f"(the law of the data has the score only in the limit: {100 * rows[0]['exact_to_data']:.1f} % off at "
            f"sigma {rows[0]['sigma']:.2g})."
        )
        made.next = "diffcli train --dataset mixture"


def _trained(steps: int, low: float, high: float, seed: int, show: "Show") -> "Autoencoder":
    """The average of a denoiser of the mixture's points, trained at all sigmas from low to high."""
    import torch

    from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
    from diffcli.core.models.mlp import MLP
    from diffcli.core.processes.corruption import GaussianNoise, draw_amounts
    from diffcli.core.processes.laws import toys
    from diffcli.core.randomness import keyed
    from diffcli.training.fit import Plan, Trainer, fit
    from diffcli.training.optimizers import Optimizer

    def batches(first: int) -> Iterator[tuple["Tensor", None]]:
        while True:
            yield toys.mixture(BATCH, keyed(seed, "points", first)), None
            first += BATCH

    def objective(model: Any, x: "Tensor", _: None, generator: torch.Generator) -> "Tensor":
        amount = draw_amounts(GaussianNoise(), len(x), generator, low, high)
        return model.loss(x, GaussianNoise().apply(x, amount, generator), amount)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed(seed, "weights").initial_seed())
        model = Autoencoder(MLP(2, width=128, depth=2), GaussianNoise())
        trainer = Trainer(model, Optimizer(model, name="adamw", lr=LR, muon_lr=LR, weight_decay=0.0), Plan(steps))
        with show.progress("training", steps, "steps") as bar:
            how = {"seed": seed, "batch": BATCH, "warmup": WARMUP, "clip": CLIP, "ema": EMA}
            for step in fit(trainer, batches, objective, **how):  # type: ignore[arg-type]
                bar.update(step.step, f"loss {step.loss:.4f}")
    return trainer.ema  # type: ignore[return-value]


def _scores(model: "Autoencoder", law: "Mixture", x: "Tensor", sigma: float) -> dict[str, "Tensor"]:
    """At points [N, 2]: the exact score of the noised data, that in the network, and that in the best denoiser."""
    import torch

    from diffcli.core.levels import Level
    from diffcli.core.processes.corruption import denoising_score
    from diffcli.core.processes.montecarlo.kernels import value_and_gradient

    level = Level(torch.ones((), dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))
    _, true = value_and_gradient(lambda places: law.log_density(places, level), x)
    with torch.no_grad():
        learned = model(x.float(), torch.full((len(x),), sigma)).double()
    best = law(x, level).x0
    return {"true": true, "learned": denoising_score(learned, x, sigma), "best": denoising_score(best, x, sigma)}


def _row(model: "Autoencoder", law: "Mixture", sigma: float, count: int, seed: int) -> dict[str, float]:
    """Errors at one sigma, over points of the noised data and over points of the data."""
    import torch

    from diffcli.core.processes.montecarlo.kernels import value_and_gradient
    from diffcli.core.randomness import keyed
    from diffcli.metrics.fields import compare

    generator = keyed(seed, "places")
    data = law.draw(count, generator)
    noise = torch.randn(data.shape, generator=generator, dtype=torch.float64)
    there = _scores(model, law, data + sigma * noise, sigma)
    here = _scores(model, law, data, sigma)
    _, of_data = value_and_gradient(law.log_density, data)
    found = compare(there["learned"], there["true"])
    return {
        "sigma": sigma,
        **found._asdict(),
        "exact_error": compare(there["best"], there["true"]).relative_error,
        "learned_to_data": compare(here["learned"], of_data).relative_error,
        "exact_to_data": compare(here["best"], of_data).relative_error,
    }


def _cells(row: dict[str, float]) -> list[str]:
    return [
        f"{row['sigma']:.3g}",
        f"{row['correlation']:.4f}",
        f"{row['cosine']:.4f}",
        f"{row['relative_error']:.4f}",
        f"{row['exact_error']:.0e}",
        f"{row['learned_to_data']:.3f}",
        f"{row['exact_to_data']:.3f}",
    ]


def _fields(model: "Autoencoder", law: "Mixture", sigma: float) -> Any:
    """Scores over a grid of the plane, and the density over a finer one."""
    import torch

    from diffcli.core.levels import Level
    from diffcli.pictures.denoising import Fields

    reach = 2.2 + sigma
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share * reach, share * reach, side, dtype=torch.float64)])
        for share, side in ((0.92, 17), (1.0, 100))
    )
    level = Level(torch.ones((), dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))
    density = law.log_density(cells, level).exp().reshape(100, 100).T
    found = _scores(model, law, places, sigma)
    return Fields(reach, density, places, found["true"], found["learned"])
