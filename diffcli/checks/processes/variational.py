"""Variational autoencoders: the bound and its relatives, held to probabilistic PCA and to quadrature."""

import math
from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from diffcli.checks.check import Finding, check, near
from diffcli.core.models import vae
from diffcli.core.processes import variational
from diffcli.core.processes.laws import ppca
from diffcli.core.processes.laws.pixels import Bits, Reals
from diffcli.core.processes.variational import Posterior, Terms

NODES = torch.linspace(-9, 9, 3601, dtype=torch.float64)
GAP = 18 / 3600


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@check("the KL of each unit is the integral of q log q/p", "Kingma & Welling 2014, appendix B")
def kl_of_units() -> Iterator[Finding]:
    posterior = Posterior(rows([0.3, -1.5], [0.0, 0.7]), rows([0.8, 0.3], [1.0, 1.3]))
    found = posterior.kl()
    for i, j in product(range(2), range(2)):
        q, p = Normal(posterior.mean[i, j], posterior.std[i, j]), Normal(0.0, 1.0)
        integrand = q.log_prob(NODES).exp() * (q.log_prob(NODES) - p.log_prob(NODES))
        yield near(f"image {i}, unit {j}", integrand.sum() * GAP, found[i, j], abs=1e-6)
    z = rows([0.1, -1.0], [2.0, 0.5])
    for i in range(2):
        wanted = sum(Normal(posterior.mean[i, j], posterior.std[i, j]).log_prob(z[i, j]) for j in range(2))
        yield near(f"log q of image {i}", wanted, posterior.log_density(z)[i], rel=1e-12)


# A linear VAE, for which all is known

STD = 0.4
WEIGHT = rows([0.9, 0.4], [-0.2, 0.7], [0.5, -0.6], [0.1, 0.3])
CENTRE = torch.tensor([0.2, -0.1, 0.0, 0.4], dtype=torch.float64)
POINTS = rows([0.5, -0.3, 0.9, 0.1], [-1.2, 0.8, 0.0, -0.4], [0.2, -0.1, 0.0, 0.4])


def marginal() -> MultivariateNormal:
    """p(x) of the linear VAE, from its definition."""
    return MultivariateNormal(CENTRE, WEIGHT @ WEIGHT.T + STD**2 * torch.eye(4, dtype=torch.float64))


def conditional() -> MultivariateNormal:
    """p(z | x) of the points, by Bayes' rule for Gaussians (Bishop 2006, eq. 2.113-2.117)."""
    precision = torch.eye(2, dtype=torch.float64) + WEIGHT.T @ WEIGHT / STD**2
    means = torch.linalg.solve(precision, WEIGHT.T @ (POINTS - CENTRE).T / STD**2).T
    return MultivariateNormal(means, precision_matrix=precision)


def linear_network() -> vae.VAE:
    """The network `linear` with the weights above and an encoder of no use, pictures of 2x2 pixels."""
    model = vae.VAE(2, Reals(STD), *vae.linear((1, 2, 2), 2, 1)).double()
    layer = model.decoder[0]  # type: ignore[index]
    layer.weight.data, layer.bias.data = WEIGHT.clone(), CENTRE.clone()
    return model.requires_grad_(False)


def _mean_elbo(posterior: Posterior, log_likelihood: Callable[[Tensor], Tensor]) -> Tensor:
    """The bound with its mean over the noise taken exactly: of a quadratic, from two points along each axis."""
    axes = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)]).double()
    found = [variational.terms(posterior, log_likelihood, axis.expand_as(posterior.mean)).elbo for axis in axes]
    return torch.stack(found).mean(0)


@check("probabilistic PCA: its density, its posterior, and its most likely weights", "Tipping & Bishop 1999, eq. 3-8")
def probabilistic_pca() -> Iterator[Finding]:
    law, hidden = marginal(), conditional()
    yield near("log p(x)", law.log_prob(POINTS), ppca.log_density(POINTS, WEIGHT, CENTRE, STD), rel=1e-10)
    mean, covariance = ppca.posterior(POINTS, WEIGHT, CENTRE, STD)
    yield near("posterior mean", hidden.mean, mean, abs=1e-10)
    yield near("posterior covariance", hidden.covariance_matrix[0], covariance, abs=1e-10)
    centred = POINTS - CENTRE
    spread = centred.T @ centred / len(POINTS)
    yield near("log p on average", law.log_prob(POINTS).mean(), ppca.mean_log_density(spread, WEIGHT, STD), rel=1e-10)
    values, vectors = torch.linalg.eigh(law.covariance_matrix)
    best = ppca.best_weight(law.covariance_matrix, 2, STD)
    yield near("the best weights explain the data's own covariance", WEIGHT @ WEIGHT.T, best @ best.T, abs=1e-10)
    one = ppca.best_weight(law.covariance_matrix, 1, STD)
    wanted = (values[-1] - STD**2) * torch.outer(vectors[:, -1], vectors[:, -1])
    yield near("one unit", wanted, one @ one.T, abs=1e-10)
    none = ppca.best_weight(0.5 * STD**2 * torch.eye(4, dtype=torch.float64), 2, STD)
    yield near("nothing to explain", 0.0, none, abs=0.0)


@check(
    "a linear VAE: the bound is log p(x) at the exact posterior, and lower by the KL to it elsewhere",
    "Tipping & Bishop 1999, eq. 4; Kingma & Welling 2014, eq. 1; Lucas et al. 2019, section 4",
)
def linear_vae() -> Iterator[Finding]:
    model, truth = linear_network(), marginal().log_prob(POINTS)
    x = POINTS.reshape(-1, 1, 2, 2)
    likelihood = model.log_likelihood(x)
    hidden = conditional()
    for name, mean, std in (
        ("the best of its kind", hidden.mean, hidden.precision_matrix[0].diagonal().rsqrt().expand(3, 2)),
        ("a wrong one", hidden.mean + 0.3, torch.full((3, 2), 0.7, dtype=torch.float64)),
    ):
        q = MultivariateNormal(mean, torch.diag_embed(std**2))
        gap = kl_divergence(q, hidden)
        yield near(f"bound of {name}", truth - gap, _mean_elbo(Posterior(mean, std), likelihood), rel=1e-9)
    best = ppca.diagonal_posterior(POINTS, WEIGHT, CENTRE, STD)
    yield near("the best independent width", hidden.precision_matrix[0].diagonal().rsqrt(), best.std, rel=1e-10)
    yield near("the joint", hidden.log_prob(best.mean) + truth, model.log_joint(x, best.mean), rel=1e-10)


@check(
    "with orthogonal weights the posterior is exact: every weight is p(x), the bound of any number of samples log p(x)",
    "Tipping & Bishop 1999, section 3.2; Burda et al. 2016, theorem 1",
)
def weights_of_the_exact_posterior() -> Iterator[Finding]:
    vectors, _ = torch.linalg.qr(WEIGHT)
    weight = vectors * torch.tensor([1.3, 0.6], dtype=torch.float64)
    truth = MultivariateNormal(CENTRE, weight @ weight.T + STD**2 * torch.eye(4, dtype=torch.float64)).log_prob(POINTS)
    posterior = ppca.diagonal_posterior(POINTS, weight, CENTRE, STD)
    law = Reals(STD)

    def likelihood(z: Tensor) -> Tensor:
        return law.log_prob((z @ weight.T + CENTRE).reshape(-1, 1, 2, 2), POINTS.reshape(-1, 1, 2, 2))

    generator = torch.Generator().manual_seed(0)
    weights = torch.stack(list(variational.log_weights(posterior, likelihood, 6, generator)), dim=1)
    yield near("every weight", truth.unsqueeze(1), weights, rel=1e-9)
    for samples in (1, 2, 4, 6):
        yield near(f"{samples} samples", truth, variational.iwae(weights, samples), rel=1e-9)
    yield near("the bound", truth, _mean_elbo(posterior, likelihood), rel=1e-9)
    u = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    flat = variational.whitened(posterior, likelihood)(u) - variational.log_normal(u)
    yield near("the whitened joint over N(0, 1)", truth, flat, rel=1e-9)


@check("the bound of k samples averages the log of the mean weight over groups of k", "Burda et al. 2016, eq. 8")
def grouped_weights() -> Iterator[Finding]:
    weights = [[1.0, 3.0, 2.0, 8.0, 5.0], [0.1, 0.2, 0.7, 0.4, 9.0]]
    logs = rows(*weights).log()
    for samples in (1, 2, 3, 4, 5):
        wanted = []
        for row in weights:
            groups = [row[i : i + samples] for i in range(0, 5 // samples * samples, samples)]
            wanted.append(sum(math.log(sum(group) / samples) for group in groups) / len(groups))
        yield near(f"{samples} samples", torch.tensor(wanted), variational.iwae(logs, samples), rel=1e-6)


# A VAE of one unit that is not linear, by quadrature

CURVED = Posterior(rows([0.3]), rows([1.2]))  # wider than the prior, or the weights had no variance
SEEN = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64).reshape(1, 1, 1, 3)


def _curved(z: Tensor) -> Tensor:
    """log p(x | z) [B] of three bits, by the network's own law of pixels."""
    logits = torch.cat([3 * z.sin(), z - 1, 0.5 * z**2], dim=1).reshape(-1, 1, 1, 3)
    return Bits().log_prob(logits, SEEN.expand_as(logits))


def _log_ratio(u: Tensor) -> Tensor:
    """log p(x, z) - log q(z | x) at z = 0.3 + 1.2 u, written out."""
    z = 0.3 + 1.2 * u
    shares = (1 / (1 + (-3 * z.sin()).exp()), 1 - 1 / (1 + (1 - z).exp()), 1 / (1 + (-(z**2) / 2).exp()))
    prior = -(z**2) / 2 - math.log(2 * math.pi) / 2
    return sum(share.log() for share in shares) + prior + u**2 / 2 + math.log(2 * math.pi) / 2 + math.log(1.2)


@check(
    "weights average to p(x); the bound rises from one sample to two, and on to log p(x), as quadrature says",
    "Burda et al. 2016, eq. 8-9 and theorem 1; its bias falls as Var(w) / 2 k p², Domke & Sheldon 2018, theorem 3",
)
def bounds_of_a_curved_vae() -> Iterator[Finding]:
    noise = NODES.unsqueeze(1)
    many = Posterior(CURVED.mean.expand_as(noise), CURVED.std.expand_as(noise))
    found = variational.log_weight(many, _curved, noise)
    yield near("log-weights", _log_ratio(NODES), found, rel=1e-9, abs=1e-9)
    shares = (-(NODES**2) / 2).exp() * GAP / math.sqrt(2 * math.pi)
    log_p = (_log_ratio(NODES).exp() * shares).sum().log()
    whole = (variational.whitened(many, _curved)(noise).exp() * GAP).sum().log()
    yield near("the whitened joint integrates to p(x)", log_p, whole, abs=1e-6)

    coarse, coarse_shares = NODES[::8], 8 * shares[::8]
    weights = _log_ratio(coarse).exp()
    one = (weights.log() * coarse_shares).sum()
    pairs = ((weights.unsqueeze(0) + weights.unsqueeze(1)) / 2).log()
    two = coarse_shares @ pairs @ coarse_shares
    variance = (weights**2 * coarse_shares).sum() / log_p.exp() ** 2 - 1
    generator = torch.Generator().manual_seed(1)
    draws = 200_000
    drawn = torch.randn(draws, 1, generator=generator, dtype=torch.float64)
    posterior = Posterior(CURVED.mean.expand_as(drawn), CURVED.std.expand_as(drawn))
    log_weights = variational.log_weight(posterior, _curved, drawn).unsqueeze(0)
    for samples, wanted in ((1, one), (2, two), (100, log_p - variance / 200)):
        groups = variational.iwae(log_weights.reshape(-1, samples), samples)
        error = groups.std() / math.sqrt(len(groups))
        yield near(
            f"{samples} samples", wanted, groups.mean(), abs=4.5 * error.item() + 2 * (variance / 200).item() ** 2
        )
        yield near(
            f"{samples} samples, grouped", groups.mean(), variational.iwae(log_weights, samples).mean(), rel=1e-9
        )
    elbo = variational.terms(posterior, _curved, drawn).elbo
    yield near("the bound", one, elbo.mean(), abs=4.5 * elbo.std().item() / math.sqrt(draws))
    yield near("what they rise by from one to two is not negative", 0.0, (one - two).clamp(min=0), abs=0.0)


@check(
    "the loss: β times the KL; free bits count the mean KL of a unit over the batch as λ where it is less",
    "Higgins et al. 2017, eq. 4; Kingma et al. 2016, eq. 15",
)
def free_bits() -> Iterator[Finding]:
    kl = [[0.1, 2.0, 0.4], [0.3, 1.0, 0.0]]
    found = Terms(torch.tensor([-3.0, -5.0], dtype=torch.float64), rows(*kl))
    yield near("the bound", torch.tensor([-5.5, -6.3], dtype=torch.float64), found.elbo, rel=1e-12)
    for beta, free in ((1.0, 0.0), (1.0, 0.25), (0.5, 0.25), (4.0, 0.21)):
        means = [(kl[0][j] + kl[1][j]) / 2 for j in range(3)]
        wanted = 4.0 + beta * sum(max(free, mean) for mean in means)
        got = variational.objective(found, beta, free).mean()
        yield near(f"β {beta}, {free} nats free", wanted, got, rel=1e-12)
    width = rows([0.9, 0.2]).requires_grad_()
    variational.objective(Terms(torch.zeros(1), Posterior(torch.zeros_like(width), width).kl()), 1.0, 0.1).backward()
    assert width.grad is not None
    yield near("no pull on a unit below its free bits", 0.0, width.grad[0, 0], abs=0.0)
    yield near("the full pull on another", 0.2 - 5.0, width.grad[0, 1], rel=1e-9)


@check(
    "a unit is active if the variance of its posterior mean over the data is above 0.01", "Burda et al. 2016, sec. 5.2"
)
def units_that_speak() -> Iterator[Finding]:
    means = rows(*([s, 0.0999 * s, 0.1001 * s, 3.0] for s in (1.0, -1.0, 0.0)))  # variances 1, .00998, .01002, 0
    wanted = torch.tensor([1.0, 0.0, 1.0, 0.0])
    yield near("four units", wanted, variational.active_units(means).double(), abs=0.0)
