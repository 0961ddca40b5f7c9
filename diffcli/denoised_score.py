"""The score in a denoiser, on a mixture in the plane where it is known: learned, exact, and compared."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.diffusion.exact import Mixture
from diffcli.core.models.dae import DAE, amounts
from diffcli.core.models.mlp import MLP
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.langevin import targets
from diffcli.langevin.dynamics import clean_score, noised
from diffcli.optimizers import Optimizer
from diffcli.training import Plan, Trainer, fit

SIGMAS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
LEAST, MOST = 0.04, 2.0  # of the noise that the denoiser is trained on
BATCH, COMPARED = 512, 4000
ARROWS, CELLS = 17, 120


class Comparison(NamedTuple):
    """At one noise level, over draws of the mixture with that noise.

    correlation:  of the learned field with the true score, both components together
    error:        of the learned field, relative to the score, root mean square
    identity:     the same of the exact denoiser: the theorem's own error, rounding (Vincent 2011, section 4)
    limit:        the same of the exact denoiser, against the score of the data without noise; 0 in the limit of no
                  noise (Alain & Bengio 2014, theorem 1)
    """

    sigma: float
    correlation: float
    error: float
    identity: float
    limit: float


def plane(spec: str) -> Mixture:
    """The mixture in the plane that is described; raises UsageProblem."""
    law = targets.load(spec)
    if law.means.shape[1] != 2:
        raise UsageProblem(f"{spec} is not in the plane", "give means of two coordinates, as in -1:0/1:0")
    size = (law.weights @ (law.means**2).mean(1) + law.weights @ law.stds**2).sqrt().item()
    if not 0.5 <= size <= 2:
        raise UsageProblem(
            f"{spec} has coordinates of size {size:.2g}; the denoiser is made for about 1", "scale means and stds"
        )
    return law


def check_sigma(sigma: float) -> None:
    """Raise UsageProblem for noise that the denoiser is not trained on."""
    if not LEAST <= sigma <= MOST:
        raise UsageProblem(f"--sigma must be from {LEAST:g} to {MOST:g}, not {sigma:g}")


def learn(law: Mixture, steps: int, seed: int) -> Iterator[tuple[int, float, DAE]]:
    """Train a denoiser of points with Gaussian noise; the steps done, the loss, and the model, averaged over steps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DAE(MLP(2, width=128, depth=3), "gaussian")
    trainer = Trainer(model, Optimizer(model, name="adamw", lr=2e-3, muon_lr=0.02, weight_decay=0.0), Plan(steps))

    def batches(first: int) -> Iterator[tuple[Tensor, None]]:
        while True:
            yield law.draw(BATCH, keyed(seed, "points", first)).float(), None
            first += BATCH

    def objective(network: DAE, x0: Tensor, label: Any, generator: Generator) -> Tensor:
        return network.loss(x0, amounts(len(x0), LEAST, MOST, generator, even="log"), generator)

    for progress in fit(trainer, batches, objective, seed=seed, batch=BATCH, warmup=30, clip=1.0, ema=0.99):
        yield progress.step, progress.loss, trainer.ema  # type: ignore[misc]


@torch.no_grad()
def in_denoiser(model: DAE, x: Tensor, sigma: float) -> Tensor:
    """(r(x) - x) / sigma² of a denoiser for points [N, 2], like x."""
    r = model(x.float(), torch.full((len(x),), sigma)).to(x.dtype)
    return (r - x) / sigma**2


def in_exact(law: Mixture, x: Tensor, sigma: float) -> Tensor:
    """The same of the best denoiser, E[x0 | x]."""
    return (law(x, noised(sigma)).x0 - x) / sigma**2


def true_score(law: Mixture, x: Tensor, sigma: float) -> Tensor:
    """The gradient of the log-density of the mixture with noise, by automatic differentiation: no denoiser is in it."""
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(law.log_density(x, noised(sigma)).sum(), x)
    return slope


def compare(model: DAE, law: Mixture, sigma: float, seed: int) -> Comparison:
    """The fields at draws of the mixture with noise."""
    eps = torch.randn(COMPARED, 2, generator=keyed(seed, "noise"), dtype=torch.float64)
    x = law.draw(COMPARED, keyed(seed, "compared")) + sigma * eps
    truth, learned, exact = true_score(law, x, sigma), in_denoiser(model, x, sigma), in_exact(law, x, sigma)
    pair = torch.stack([learned.flatten(), truth.flatten()])
    clean = clean_score(law, x)
    return Comparison(
        sigma, torch.corrcoef(pair)[0, 1].item(), _off(learned, truth), _off(exact, truth), _off(exact, clean)
    )


def _off(field: Tensor, truth: Tensor) -> float:
    return ((field - truth).square().mean() / truth.square().mean()).sqrt().item()


def fields(model: DAE, law: Mixture, sigma: float) -> tuple[float, Tensor, Tensor, dict[str, Tensor]]:
    """For the figure: the reach of the square, the density in it, places, and the fields there."""
    reach = float(law.means.abs().max() + 2 * (law.stds.max() ** 2 + sigma**2) ** 0.5)
    places, cells = (
        torch.cartesian_prod(*2 * [torch.linspace(-share, share, count, dtype=torch.float64) * reach])
        for share, count in ((0.92, ARROWS), (1.0, CELLS))
    )
    density = law.log_density(cells, noised(sigma)).exp().reshape(CELLS, CELLS).T
    truth, learned = true_score(law, places, sigma), in_denoiser(model, places, sigma)
    named = {"the score": truth, "in the learned denoiser": learned, "their difference": learned - truth}
    return reach, density, places, {name: field.float() for name, field in named.items()}
