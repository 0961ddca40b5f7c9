"""Likelihoods of a variational autoencoder as `vae evaluate` takes them, on a linear one, whose likelihood is known."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.processes.variational import CENTRE, POINTS, STD, WEIGHT, conditional, linear_network, marginal
from diffcli.core.models.vae import VAE
from diffcli.core.processes.laws import ppca
from diffcli.core.processes.variational import iwae
from diffcli.evaluation import vae_bounds

X = POINTS.reshape(-1, 1, 2, 2)
CHAINS, RUNGS = 400, 25


def told() -> VAE:
    """The linear autoencoder with an encoder: the best mean, and a width that is half as much again as it should be."""
    model = linear_network()
    precision = torch.eye(2, dtype=torch.float64) + WEIGHT.T @ WEIGHT / STD**2
    slope = torch.linalg.solve(precision, WEIGHT.T) / STD**2
    spread: torch.nn.Module = model.encoder[1]  # type: ignore[index]
    spread.layer.weight.data, spread.layer.bias.data = slope.clone(), -slope @ CENTRE  # type: ignore[union-attr]
    spread.log_std.data = (1.5 * precision.diagonal().rsqrt()).log()
    return model


def error(weights: Tensor) -> Tensor:
    """The standard error of the log of the mean weight of each image, by the delta method, [N]."""
    scaled = (weights - weights.logsumexp(1, keepdim=True)).exp() * weights.shape[1]
    return scaled.std(1) / math.sqrt(weights.shape[1])


@check(
    "of a linear autoencoder the importance-weighted and the annealed estimates are log p(x), from both sides",
    "Tipping & Bishop 1999, eq. 3; Burda et al. 2016, theorem 1; Wu et al. 2017, section 3.2",
)
def likelihood_of_a_linear_autoencoder() -> Iterator[Finding]:
    model, truth = told(), marginal().log_prob(POINTS)
    weights = torch.cat(list(vae_bounds.log_weights(model, X, 4000, 0)), dim=1)
    yield near("how many weights", 4000, weights.shape[1])
    yield near("importance weights", truth, vae_bounds.log_mean_exp(weights), abs=4.5 * error(weights).max().item())
    yield near("their mean is lower", 1, float((weights.mean(1) < truth - 0.05).all()))
    z, many = exact_draws(), X.repeat_interleave(CHAINS, 0)
    for rungs in (1, RUNGS):  # on one rung the chains stay near their start, which must be right
        *_, (rung, up) = vae_bounds.Annealing.of(model, X, chains=CHAINS, temperatures=rungs, seed=0).lower()
        yield near("rungs", rungs, rung)
        yield near(f"upwards, {rungs} rungs", truth, vae_bounds.log_mean_exp(up), abs=4.5 * error(up).max().item())
        *_, (_, down) = vae_bounds.Annealing.of(model, many, chains=1, temperatures=rungs, seed=0).upper(z)
        found = down.reshape(len(X), CHAINS)
        allowed = 4.5 * error(found).max().item()
        yield near(f"downwards, {rungs} rungs", truth, -vae_bounds.log_mean_exp(found), abs=allowed)
    yield near("upwards, spread", 0, up.std(1), abs=0.5)


@check("the importance-weighted bound is the log of the mean weight of each group", "Burda et al. 2016, eq. 8")
def groups_of_weights() -> Iterator[Finding]:
    logs = torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 8.0, 4.0]], dtype=torch.float64).log()
    for samples, truth in (
        (1, [math.log(105) / 4, math.log(128) / 4]),
        (2, [math.log(2 * 6) / 2, math.log(2 * 6) / 2]),
        (4, [math.log(4), math.log(4)]),
    ):
        yield near(f"{samples} samples", torch.tensor(truth, dtype=torch.float64), iwae(logs, samples), rel=1e-12)


def exact_draws() -> Tensor:
    """z from p(z | x) of each point, CHAINS each, [3 * CHAINS, 2]."""
    hidden = conditional()
    noise = torch.randn(3, CHAINS, 2, generator=torch.Generator().manual_seed(31), dtype=torch.float64)
    return (hidden.mean.unsqueeze(1) + noise @ hidden.scale_tril[0].T).reshape(-1, 2)


@check(
    "the bound of many images is that of each, and its parts are the reconstruction and the KL",
    "Kingma & Welling 2014, eq. 7",
)
def bound_of_images() -> Iterator[Finding]:
    model = told()
    found = vae_bounds.bound(model, X.repeat(200, 1, 1, 1), 0)
    best = ppca.diagonal_posterior(POINTS, WEIGHT, CENTRE, STD)
    width = 1.5 * best.std
    kl = ((best.mean**2 + width**2 - 1) / 2 - width.log()).repeat(200, 1)
    yield near("KL of each unit", kl, found.kl, rel=1e-9)
    square = (POINTS - CENTRE - best.mean @ WEIGHT.T).square().sum(1) + (width**2 @ WEIGHT.T.square()).sum(1)
    wanted = -square / (2 * STD**2) - 2 * math.log(2 * math.pi * STD**2)
    images = found.reconstruction.reshape(200, 3)
    allowed = 4.5 * (images.std(0) / math.sqrt(200)).max().item()
    yield near("reconstruction on average", wanted, images.mean(0), abs=allowed)


@check("images that a model draws come from the z beside them; bits per dimension", "Theis et al. 2016, section 3.1")
def simulated_images() -> Iterator[Finding]:
    model = linear_network().float()
    x, z = vae_bounds.simulated(model, 4000, 0)
    left = x.flatten(1) - (z @ WEIGHT.float().T + CENTRE.float())
    yield near("what is left is the noise of the pixels", STD, left.std(0), rel=4.5 / math.sqrt(8000))
    yield near("z has unit variance", 1, z.std(0), rel=4.5 / math.sqrt(8000))
    yield near("two bits for each of three", 2, vae_bounds.bits_per_dim(-6 * math.log(2), 3), rel=1e-12)
