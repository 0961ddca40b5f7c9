"""How likely a variational autoencoder finds images: its bound in parts, IWAE-k, and log p(x) from both sides."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.models.vae import VAE
from diffcli.core.processes.montecarlo.kernels import value_and_gradient
from diffcli.core.processes.variational import Posterior, Terms, active_units, iwae
from diffcli.core.randomness import keyed
from diffcli.evaluation import vae_bounds
from diffcli.metrics.statistics import standard_error
from diffcli.runs.loading import Trained
from diffcli.system.text import duration

IMAGES = 10_000  # at most, for the ELBO
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # samples at which IWAE-k is shown


@dataclass(frozen=True)
class VaeLikelihoodStudy:
    """A variational autoencoder, test images, and how much work goes into each bound.

    x, labels:     test images [N, C, H, W] for the ELBO, and their classes [N]; classes: what these are called
    weighted:      how many of them for IWAE-k, and samples: the largest k
    annealed:      how many for annealing, and as many that the model draws itself
    chains:        per annealed image
    temperatures:  rungs of the ladder
    """

    trained: Trained
    model: VAE
    x: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    weighted: int
    samples: int
    annealed: int
    chains: int
    temperatures: int
    seed: int

    def estimate(self) -> str:
        """How long it will take, from one block of each kind of work."""
        x, few = self.x[: self.weighted], self.x[: self.annealed]
        target = vae_bounds.whitened(self.model, few, self.chains)
        u = vae_bounds.start(self.model, few, self.chains, keyed(0, "trial"))
        for _ in range(2):  # the first call of each kind is slower than the rest
            began = time.monotonic()
            block = next(vae_bounds.log_weights(self.model, x, self.samples, 0))
            per_weight = (time.monotonic() - began) / block.numel()
            began = time.monotonic()
            value_and_gradient(target, u)
            per_leap = time.monotonic() - began
        evaluations = (len(x) + 2 * len(few)) * self.samples
        leaps = 3 * self.temperatures * (vae_bounds.LEAPS + 2)  # up twice and down once
        return duration(4 + per_weight * evaluations + per_leap * leaps)


@dataclass(frozen=True)
class VaeLikelihood:
    """What was found.

    terms, posterior:  of all test images
    active:            which units of z say anything, [D]
    weights:           log-weights of some of them, [weighted, samples]
    test, drawn:       bound -> its value for each annealed image: test images, and those that the model drew
    """

    terms: Terms
    posterior: Posterior
    active: Tensor
    weights: Tensor
    test: dict[str, Tensor]
    drawn: dict[str, Tensor]

    @property
    def curve(self) -> list[dict[str, float]]:
        """IWAE-k for growing k, with standard errors over images."""
        total = self.weights.shape[1]
        rows = []
        for k in sorted({*(c for c in COUNTS if c < total), total}):
            values = iwae(self.weights, k)
            rows.append({"samples": k, "nats": values.mean().item(), "standard_error": standard_error(values)})
        return rows


def vae_likelihood_study(
    trained: Trained, *, weighted: int, samples: int, annealed: int, chains: int, temperatures: int, seed: int,
    data: Path | None,
) -> VaeLikelihoodStudy:  # fmt: skip
    """The study of a model on test images of what it was trained on."""
    dataset, x, labels = vae_bounds.test_images(trained, IMAGES, data)
    return VaeLikelihoodStudy(
        trained, vae_bounds.in_full_precision(trained), x, labels, dataset.classes,
        weighted, samples, annealed, chains, temperatures, seed,
    )  # fmt: skip


def vae_likelihood(study: VaeLikelihoodStudy, show: Show) -> VaeLikelihood:
    """Every bound."""
    model, x, seed = study.model, study.x, study.seed
    terms, posterior = vae_bounds.bound(model, x, seed), vae_bounds.encoded(model, x)
    weights = _weights(study, show)
    test = _bounds(study, x[: study.annealed], None, show)
    images, z = vae_bounds.simulated(model, study.annealed, seed)
    drawn = _bounds(study, images, z, show)
    return VaeLikelihood(terms, posterior, active_units(posterior.mean), weights, test, drawn)


def _weights(study: VaeLikelihoodStudy, show: Show) -> Tensor:
    """log p(x, z) - log q(z | x) of some test images, [weighted, samples]."""
    parts, done = [], 0
    with show.progress("importance weights", study.samples, "samples per image") as bar:
        for part in vae_bounds.log_weights(study.model, study.x[: study.weighted], study.samples, study.seed):
            parts.append(part)
            bar.update(done := done + part.shape[1])
    return torch.cat(parts, dim=1)


def _bounds(study: VaeLikelihoodStudy, x: Tensor, z: Tensor | None, show: Show) -> dict[str, Tensor]:
    """Every bound of log p(x) for a few images; the upper one where the z that they were drawn from is known."""
    weights = torch.cat(list(vae_bounds.log_weights(study.model, x, study.samples, study.seed)), dim=1)
    annealing = vae_bounds.Annealing.of(
        study.model, x, chains=study.chains, temperatures=study.temperatures, seed=study.seed
    )
    found = {"ELBO": weights.mean(1), "IWAE": vae_bounds.log_mean_exp(weights)}
    found["AIS, lower"] = vae_bounds.log_mean_exp(_climbed(annealing.lower(), "annealing", study.temperatures, show))
    if z is not None:
        weights = _climbed(annealing.upper(z), "annealing back", study.temperatures, show)
        found["AIS, upper"] = -vae_bounds.log_mean_exp(weights)
    return found


def _climbed(walk: Iterator[tuple[int, Tensor]], title: str, rungs: int, show: Show) -> Tensor:
    """The log-weights at the end of a ladder."""
    with show.progress(title, rungs, "rungs") as bar:
        for rung, weights in walk:
            bar.update(rung)
            last = weights
    return last
