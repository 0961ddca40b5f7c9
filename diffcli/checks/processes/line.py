"""The laws to draw from, against scipy, quadrature and changes of variables; and the envelopes over them."""

import math
from collections.abc import Iterator

import torch
from scipy import special, stats
from torch import Tensor
from torch.distributions import MultivariateNormal

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.laws.line import Beta, Exponential, Law, LineMixture, LineNormal, Proposal
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.core.processes.montecarlo.methods import uniforms
from diffcli.core.randomness import keyed

LINE: dict[str, tuple[Law, stats.rv_continuous]] = {
    "normal": (LineNormal(1, 2), stats.norm(1, 2)),
    "exponential": (Exponential(2), stats.expon(scale=0.5)),
    "beta 2, 5": (Beta(2, 5), stats.beta(2, 5)),
    "beta 0.5, 3": (Beta(0.5, 3), stats.beta(0.5, 3)),
    "beta 0.7, 0.6": (Beta(0.7, 0.6), stats.beta(0.7, 0.6)),
}
MIXTURE = LineMixture((0.3, 0.7), (-2.0, 1.0), (0.5, 1.0))
PLANE: dict[str, Law] = {"normal2": Normal2(0.7), "normal2, falling": Normal2(-0.4), "banana": Banana(0.2, 1.5)}
TABLE = TableLaw((1.0, 4.0, -2.0, 0.5), (0.2, 0.1, 0.4, 0.3))
LAWS: dict[str, Law] = {name: law for name, (law, _) in LINE.items()} | {"mixture": MIXTURE} | PLANE | {"table": TABLE}


def mixed(x: Tensor, function: str) -> Tensor:
    """The density or the distribution function of MIXTURE."""
    parts = zip(MIXTURE.weights, MIXTURE.means, MIXTURE.stds, strict=True)
    return torch.as_tensor(sum(w * getattr(stats.norm(m, s), function)(x.numpy()) for w, m, s in parts))


@check("the laws on the line have the density, distribution function and moments that scipy gives them", "scipy.stats")
def laws_on_the_line() -> Iterator[Finding]:
    for name, (law, truth) in LINE.items():
        x = torch.as_tensor(truth.ppf([0.001, 0.03, 0.2, 0.5, 0.77, 0.98])).unsqueeze(1)
        yield near(f"log density, {name}", truth.logpdf(x[:, 0].numpy()), law.log_density(x), abs=1e-10)
        yield near(f"distribution function, {name}", truth.cdf(x.numpy()), law.cdf(x), rel=1e-9)
        yield near(f"quantile, {name}", x, law.quantile(torch.as_tensor(truth.cdf(x.numpy()))), rel=1e-8, abs=1e-9)
        yield near(f"mean, {name}", truth.mean(), law.moments().mean, rel=1e-12)
        yield near(f"spread, {name}", truth.std(), law.moments().std, rel=1e-12)
    ends = torch.tensor([[-0.1], [0.0], [1.0], [1.1]], dtype=torch.float64)
    for a, b in ((0.5, 3), (1, 1), (2, 0.5), (2, 5)):
        yield near(f"no density at the ends, beta {a}, {b}", 0, Beta(a, b).log_density(ends).exp())
    yield near("nor of the exponential", torch.zeros(2), Exponential(2).log_density(ends[:2]).exp())
    x = torch.linspace(-4, 4, 9, dtype=torch.float64).unsqueeze(1)
    yield near("density, mixture", mixed(x[:, 0], "pdf"), MIXTURE.log_density(x).exp(), rel=1e-9)
    yield near("distribution function, mixture", mixed(x, "cdf"), MIXTURE.cdf(x), rel=1e-9)
    yield near("quantile, mixture", x, MIXTURE.quantile(mixed(x, "cdf")), abs=1e-7)
    means, weights = torch.tensor(MIXTURE.means), torch.tensor(MIXTURE.weights)
    second = (weights * (torch.tensor(MIXTURE.stds) ** 2 + means**2)).sum()
    yield near("mean, mixture", (weights * means).sum(), MIXTURE.moments().mean, rel=1e-6)
    yield near("spread, mixture", (second - (weights * means).sum() ** 2).sqrt(), MIXTURE.moments().std, rel=1e-6)


@check(
    "the incomplete beta function far from the middle, steep and wide, is scipy's",
    "DLMF, eq. 8.17.22",
)
def incomplete_beta() -> Iterator[Finding]:
    for a, b in ((0.7, 0.6), (1, 1), (2.3, 5.1), (40, 3), (1000, 1000), (0.5, 1000), (1000, 0.5)):
        spread = math.sqrt(a * b / (a + b + 1)) / (a + b)
        x = (a / (a + b) + spread * torch.linspace(-4, 4, 9, dtype=torch.float64)).clamp(0, 1).unsqueeze(1)
        yield near(f"a {a}, b {b}", special.betainc(a, b, x.numpy()), Beta(a, b).cdf(x), rel=1e-8, abs=1e-13)


@check(
    "the laws in the plane are a normal pair, turned or bent: density, exact draws, moments, and one given the other",
    "Rosenblatt 1952; Haario et al. 1999, section 4",
)
def laws_in_the_plane() -> Iterator[Finding]:
    u = uniforms(12, 2, keyed(0, "plane"))
    for name, law in PLANE.items():
        x = law.quantile(u)
        yield near(f"and back, {name}", u, law.cdf(x), rel=1e-9)
        stretched = torch.stack([torch.func.jacrev(lambda v, law=law: law.quantile(v[None])[0])(v).det() for v in u])
        yield near(
            f"density of what uniform numbers become, {name}", -stretched.abs().log(), law.log_density(x), abs=1e-9
        )
    for rho, law in ((0.7, PLANE["normal2"]), (-0.4, PLANE["normal2, falling"])):
        x = 2 * u - 1
        covariance = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
        truth = MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance).log_prob(x)
        yield near(f"log density, correlation {rho}", truth, law.log_density(x), abs=1e-12)
    bend, std = 0.2, 1.5
    x = 4 * u - 2
    straight = x[:, 1] + bend * x[:, 0] ** 2 - bend * std**2
    truth = stats.norm(0, std).logpdf(x[:, 0].numpy()) + stats.norm(0, 1).logpdf(straight.numpy())
    yield near("log density, banana", truth, PLANE["banana"].log_density(x), abs=1e-12)
    for name, law in PLANE.items():
        nodes, weights = (torch.as_tensor(v) for v in special.roots_hermitenorm(20))
        grid = law.quantile(torch.as_tensor(stats.norm.cdf(torch.cartesian_prod(nodes, nodes).numpy())).clamp(1e-300))
        share = torch.cartesian_prod(weights, weights).prod(1, keepdim=True) / (2 * math.pi)
        mean = (share * grid).sum(0)
        yield near(f"mean, {name}", mean, law.moments().mean, abs=1e-6)
        yield near(f"spread, {name}", (share * (grid - mean) ** 2).sum(0).sqrt(), law.moments().std, rel=1e-6)


@check(
    "a table has its probabilities, its values' moments, and every entry where its share of [0, 1] lies",
    "Devroye 1986, III.2",
)
def law_of_a_table() -> Iterator[Finding]:
    places = torch.arange(4).unsqueeze(1)
    yield near("probabilities", torch.tensor([0.2, 0.1, 0.4, 0.3]), TABLE.log_density(places).exp(), abs=1e-7)
    yield near("cumulated", torch.tensor([[0.2], [0.3], [0.7], [1.0]]), TABLE.cdf(places), abs=1e-7)
    u = torch.tensor([0.001, 0.199, 0.201, 0.299, 0.301, 0.699, 0.701, 0.999], dtype=torch.float64).unsqueeze(1)
    yield near("places", torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]).unsqueeze(1), TABLE.quantile(u), abs=0)
    mean = 0.2 * 1 + 0.1 * 4 - 0.4 * 2 + 0.3 * 0.5
    yield near("mean", mean, TABLE.moments().mean, abs=1e-12)
    second = 0.2 * 1 + 0.1 * 16 + 0.4 * 4 + 0.3 * 0.25
    yield near("spread", math.sqrt(second - mean**2), TABLE.moments().std, rel=1e-12)
    yield near("values", torch.tensor([[1.0], [4.0], [-2.0], [0.5]]), TABLE.worth(places), abs=0)


@check("in free coordinates the density has its Jacobian, and the way back is the way", "Neal 2011, section 5.5.1.5")
def free_coordinates() -> Iterator[Finding]:
    for name, law in LAWS.items():
        if law.discrete:
            continue
        x = law.quantile(uniforms(6, law.dim, keyed(1, "free")))
        z = law.to_free(x)
        yield near(f"there and back, {name}", x, law.from_free(z), rel=1e-9)
        pull = torch.stack([torch.func.jacrev(lambda v, law=law: law.from_free(v[None])[0])(v).det() for v in z])
        yield near(f"density, {name}", law.log_density(x) + pull.abs().log(), law.free_log_density(z), abs=1e-8)
        if law.dim == 1:
            u = (torch.arange(1000, dtype=torch.float64).unsqueeze(1) + 0.5) / 1000
            spread, (narrow, wide) = law.to_free(law.quantile(u)).std(0), law.free_scales()
            yield near(f"narrowest, {name}", spread, narrow, rel=0.04)
            yield near(f"widest, {name}", spread, wide, rel=0.04)


BOUNDS = {
    # M by hand: p / q where it is largest.
    "normal": math.sqrt(2 * math.e / math.pi),
    "exponential": 2,
    "beta 2, 5": 30 * 0.2 * 0.8**4,
    "beta 0.5, 3": 2 / special.beta(0.5, 3),
    "beta 0.7, 0.6": 1 / (0.42 * special.beta(0.7, 0.6)),
    "normal2": math.sqrt(1.7 / 0.3),
    "normal2, falling": math.sqrt(1.4 / 0.6),
    "table": 4 * 0.4,
}


@check(
    "a proposal is a law, its draws are its own, and M q covers p, with the least M that there is where p / q has one",
    "Devroye 1986, II.3",
)
def proposals_cover() -> Iterator[Finding]:
    u = torch.tensor([[0.01], [0.3], [0.8]], dtype=torch.float64)
    by_hand = stats.laplace(1, 2).ppf(u.numpy())
    yield near("double exponential", by_hand, LAWS["normal"].proposal().quantile(u), rel=1e-9)
    for name, law in LAWS.items():
        proposal = law.proposal()
        u = torch.cartesian_prod(*2 * [torch.linspace(0.001, 0.999, 131, dtype=torch.float64)])
        u = u if law.dim == 2 else torch.linspace(1e-6, 1 - 1e-6, 20_001, dtype=torch.float64).unsqueeze(1)
        ratio = (law.log_density(proposal.quantile(u)) - proposal.log_density(proposal.quantile(u))).exp()
        bound = math.exp(proposal.log_bound)
        yield near(f"M is enough, {name}", 0, max(0.0, ratio.max().item() / bound - 1), abs=1e-9)
        if name in BOUNDS:
            yield near(f"M, {name}", BOUNDS[name], bound, rel=1e-9)
        if not law.discrete:
            yield near(f"density of its draws, {name}", *_pushed(proposal, law.dim), abs=1e-8)
    for a, b, highest in ((1, 1, 1.0), (2, 2, 1.5), (3, 3, 1.875), (2, 1, 2.0), (1, 2, 2.0), (3, 1, 3.0)):
        yield near(f"M, beta {a}, {b}", highest, math.exp(Beta(a, b).proposal().log_bound), rel=1e-9)


def _pushed(proposal: Proposal, dim: int) -> tuple[Tensor, Tensor]:
    """log q at some draws: by the Jacobian of the map from uniform numbers, and as the proposal has it."""
    u = uniforms(9, dim, keyed(2, "pushed"))
    maps = torch.stack([torch.func.jacrev(lambda v: proposal.quantile(v[None])[0])(v).det() for v in u])
    return -maps.abs().log(), proposal.log_density(proposal.quantile(u))


@check(
    "the bounds of the mixture and of the banana are what their proofs give",
    "p <= the sum of the parts' own bounds; exp(-d²/2 + |d|/h) <= exp(1 / (2 h²))",
)
def bounds_by_proof() -> Iterator[Finding]:
    middle = 0.3 * -2 + 0.7 * 1
    variance = 0.3 * (0.25 + 4) + 0.7 * (1 + 1) - middle**2 + 1
    parts = [
        w * math.sqrt(variance) / s * math.exp((m - middle) ** 2 / (2 * (variance - s**2)))
        for w, m, s in zip(MIXTURE.weights, MIXTURE.means, MIXTURE.stds, strict=True)
    ]
    yield near("mixture", math.log(sum(parts)), MIXTURE.proposal().log_bound, rel=1e-9)
    for bend, std in ((0.2, 1.5), (0.03, 10.0), (-0.01, 1.0)):
        h = max(1.0, 4 * abs(bend) * std**2)
        truth = 0.5 * math.log(2) + math.log(2 * h / math.sqrt(2 * math.pi)) + 1 / (2 * h**2)
        yield near(f"banana, bend {bend}", truth, Banana(bend, std).proposal().log_bound, rel=1e-9)
