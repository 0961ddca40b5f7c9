"""Drawing: every method against its law, and the numbers that judge draws."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from scipy import integrate, stats
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.processes.line import LAWS, LINE, MIXTURE, TABLE
from diffcli.core.processes.laws.line import Beta, Exponential, Law, LineNormal
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.core.processes.montecarlo import methods
from diffcli.core.randomness import keyed
from diffcli.lessons.drawing import measures
from diffcli.metrics.statistics import kolmogorov_distance

COUNT, FEWER = 20_000, 3000
SURE = 4.5  # standard errors
DISTANCE = math.sqrt(math.log(2 / 1e-6) / 2)
"""√N times the distance of an empirical distribution from the true one that is passed once in a million times."""


@check("two uniform numbers become two normal ones, by radius and angle", "Box & Muller 1958")
def box_muller_by_hand() -> Iterator[Finding]:
    u = methods.uniforms(12, 2, keyed(0, "ring"))
    z = methods.ring(u)
    yield near("u1 from the radius", u[:, 0], (-z.square().sum(1) / 2).exp(), rel=1e-9)
    yield near("u2 from the angle", u[:, 1], (torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi)) % 1, rel=1e-9)
    maps = torch.stack([torch.func.jacrev(lambda v: methods.ring(v[None])[0])(v).det() for v in u])
    yield near("density", stats.norm.logpdf(z.numpy()).sum(1), -maps.abs().log(), abs=1e-9)


def drawn(name: str, law: Law, count: int = COUNT, **options: Any) -> methods.Batch:
    """A sample by a method."""
    return measures.joined(list(methods.METHODS[name].draw(law, count, keyed(7, f"truth {name}"), **options)))


def off(points: Tensor, law: Law, shares: Tensor | None = None) -> float:
    """The largest distance of the empirical distribution from the law, over coordinates and two mixed ones."""
    if isinstance(law, TableLaw):
        found = torch.bincount(points[:, 0].long(), weights=shares, minlength=4)
        return (found / found.sum() - law.p).abs().max().item()
    u = law.cdf(points)
    ways = [u] if law.dim == 1 else [u, (u[:, :1] + u[:, 1:]) % 1, (u[:, :1] - u[:, 1:]) % 1]
    kinds = torch.cat(ways, dim=1)
    weights = torch.full((len(u),), 1 / len(u), dtype=torch.float64) if shares is None else shares / shares.sum()
    return max(kolmogorov_distance(kinds[:, i], weights) for i in range(kinds.shape[1]))


@check(
    "exact methods draw from the law, rejection keeps one proposal in M, and importance weighs by p / q",
    "von Neumann 1951; Massart 1990, corollary 1; Owen 2013, chapter 9",
)
def direct_methods() -> Iterator[Finding]:
    for name, law in LAWS.items():
        for method in ("inverse", "box-muller", "rejection", "importance"):
            if methods.METHODS[method].refusal(law):
                continue
            sample = drawn(method, law, FEWER if law.effort > 1 and method == "inverse" else COUNT)
            points = sample.x.flatten(0, 1)
            weights = None if sample.log_weights is None else sample.log_weights.flatten().exp()
            count = len(points) if weights is None else (weights.sum() ** 2 / (weights**2).sum()).item()
            yield near(f"{method}, {name}", 0, off(points, law, weights), abs=DISTANCE / math.sqrt(count))
            if method == "rejection":
                share, error = 1 / math.exp(law.proposal().log_bound), sample.accepted / sample.proposals
                tolerance = SURE * math.sqrt(share * (1 - share) / sample.proposals) + 1 / sample.proposals
                yield near(f"kept, {name}", share, error, abs=tolerance)
                yield near(f"evaluations, {name}", sample.proposals, sample.evaluations)
            if weights is not None:
                error = (weights.std() / math.sqrt(len(weights))).item()
                yield near(f"mean weight, {name}", 1, weights.mean(), abs=SURE * error)


@check(
    "chains that begin with exact draws still have their law after some moves of every kind",
    "Metropolis et al. 1953; Hastings 1970; Geman & Geman 1984; Neal 2011",
)
def chains_keep_their_law() -> Iterator[Finding]:
    for name, law in LAWS.items():
        begun = law.quantile(methods.uniforms(FEWER, law.dim, keyed(6, name)))
        for method in ("metropolis", "independence", "hmc", "gibbs"):
            if not methods.METHODS[method].refusal(law):
                moved = _moved(method, law, begun, moves=4)
                yield near(f"{method}, {name}", 0, off(moved, law), abs=DISTANCE / math.sqrt(FEWER))


def _moved(method: str, law: Law, x: Tensor, moves: int) -> Tensor:
    """Where chains are that a method moves so many times from x [N, D]."""
    original = methods.begun
    methods.begun = lambda *_: x
    try:
        return drawn(method, law, len(x), chains=len(x), burn_in=moves - 1).x[-1]
    finally:
        methods.begun = original


class Counted(Exponential):
    """The law exp(-x), which counts at how many points its density is asked for."""

    asked = 0

    def log_density(self, x: Tensor) -> Tensor:
        Counted.asked += len(x)
        return super().log_density(x)

    def free_log_density(self, z: Tensor) -> Tensor:
        Counted.asked += len(z)
        return super().free_log_density(z)


@check("the evaluations that a method says it spent are those that the law was asked for", "by counting")
def evaluations_are_counted() -> Iterator[Finding]:
    for name in ("rejection", "importance", "metropolis", "independence", "hmc"):
        chained = methods.METHODS[name].chained
        options = {"chains": 5, "burn_in": 7} | ({"leaps": 3} if name == "hmc" else {})
        Counted.asked = 0
        sample = drawn(name, Counted(1.0), 100, **(options if chained else {}))
        starts = 5 * methods.CHOICE if chained else 0  # the choice of where to begin is not a move
        yield near(name, Counted.asked - starts, sample.evaluations)
        if chained:
            yield near(f"draws, {name}", 100, sample.x.shape[0] * sample.x.shape[1])
            yield near(f"proposals, {name}", 100, sample.proposals)
    yield near("uniform numbers of Box-Muller", 100, drawn("box-muller", LineNormal(), 100).evaluations)
    yield near("maps of the plane", 200, drawn("inverse", Banana(), 100).evaluations)
    yield near("halvings of a mixture", 6000, drawn("inverse", MIXTURE, 100).evaluations)


@check(
    "a walk on a table moves as its matrix of transitions says, round the ends too, and stays where it may",
    "Metropolis et al. 1953",
)
def walk_on_a_table() -> Iterator[Finding]:
    p, count = TABLE.probabilities, 60_000
    for reach in (1, 2):
        for place in range(4):
            expected = [0.0] * 4
            for jump in range(-reach, reach + 1):
                to = (place + jump) % 4
                accept = min(1.0, p[to] / p[place])
                expected[to] += accept / (2 * reach + 1)
                expected[place] += (1 - accept) / (2 * reach + 1)
            begun = torch.full((count, 1), float(place), dtype=torch.float64)
            moved = methods.ring_walk(begun, TABLE.log_density, keyed(3, "ring", reach, place), 4, reach).x
            found = torch.bincount(moved[:, 0].long(), minlength=4) / count
            truth = torch.tensor(expected, dtype=torch.float64)
            yield near(f"from {place}, reach {reach}", truth, found, abs=SURE * math.sqrt(0.25 / count))


@check(
    "Gibbs forgets a correlated pair by rho² a scan, its time is (1 + rho²) / (1 - rho²), and it uses what is new",
    "Roberts & Sahu 1997, for two coordinates",
)
def gibbs_forgets() -> Iterator[Finding]:
    rho, chains = 0.7, 40_000
    x = _moved("gibbs", Normal2(rho), torch.full((chains, 2), 2.0, dtype=torch.float64), moves=1)
    error = SURE / math.sqrt(chains)
    yield near("mean after a scan from (2, 2)", torch.tensor([2 * rho, 2 * rho**2]), x.mean(0), abs=error)
    yield near("variance of x1", 1 - rho**2, x[:, 0].var(), abs=1.5 * error)
    yield near("variance of x2", 1 - rho**4, x[:, 1].var(), abs=1.5 * error)
    sample = drawn("gibbs", Normal2(rho), 40_000, chains=40)
    time = measures.worth(sample, Normal2(rho), chained=True).time
    yield near("autocorrelation time", (1 + rho**2) / (1 - rho**2), time, rel=0.12)


@check(
    "the effective size of importance sampling is N over the mean of p / q under p, by quadrature",
    "Kong 1992",
)
def effective_size_of_weights() -> Iterator[Finding]:
    by_hand = {
        "normal": (stats.norm(1, 2), stats.laplace(1, 2)),
        "exponential": (stats.expon(scale=0.5), stats.expon(scale=1)),
        "beta 2, 5": (stats.beta(2, 5), stats.uniform()),
    }
    for name, (p, q) in by_hand.items():
        low, high = p.ppf([1e-12, 1 - 1e-12])
        square, _ = integrate.quad(lambda x, p=p, q=q: p.pdf(x) ** 2 / q.pdf(x), low, high, points=[p.median()])
        worth = measures.worth(drawn("importance", LINE[name][0]), LINE[name][0], chained=False)
        yield near(f"share of draws, {name}", 1 / square, worth.effective / COUNT, rel=0.04)


@check(
    "means, spreads and their errors: of independent, weighted and correlated draws, by hand",
    "Owen 2013, eq. 9.9; Sokal 1997, section 2; the delta method",
)
def moments_and_errors() -> Iterator[Finding]:
    values = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    mean, std = measures.weighted_moments(values.unsqueeze(1), (3 * weights).log())
    middle = (1 + 4 + 20) / 8
    deviations = [w / 8 * (v - middle) for w, v in zip((1, 2, 5), (1, 2, 4), strict=True)]
    yield near("weighted mean", middle, mean.value, rel=1e-12)
    yield near("its error", math.sqrt(sum(d**2 for d in deviations)), mean.error, rel=1e-12)
    variance = (1 + 2 * 4 + 5 * 16) / 8 - middle**2
    yield near("weighted spread", math.sqrt(variance), std.value, rel=1e-12)
    parts = [w / 8 * ((v - middle) ** 2 - variance) for w, v in zip((1, 2, 5), (1, 2, 4), strict=True)]
    yield near("its error too", math.sqrt(sum(d**2 for d in parts)) / (2 * math.sqrt(variance)), std.error, rel=1e-12)
    plain, normaliser = measures.plain_moments(values.unsqueeze(1), weights.log())
    yield near("not normalised", 25 / 3, plain.value, rel=1e-12)
    yield near("mean of the weights", 8 / 3, normaliser.value, rel=1e-12)
    yield near("and its error", math.sqrt((25 + 4 + 49) / 9 / 2 / 3), normaliser.error, rel=1e-12)
    normals = torch.randn(COUNT, 1, 1, generator=keyed(5, "normals"), dtype=torch.float64)
    mean, std, _ = measures.chain_moments(normals, chained=False)
    yield near("error of the mean of N normal draws", 1 / math.sqrt(COUNT), mean.error, rel=0.05)
    yield near("of their spread, 1 / √(2 N)", 1 / math.sqrt(2 * COUNT), std.error, rel=0.05)
    slow = normals[:2000].repeat_interleave(10, dim=0)  # every draw ten times: as good as a tenth of them
    mean, std, times = measures.chain_moments(slow, chained=True)
    yield near("time where every state is held ten moves", 10, max(times), rel=0.15)
    yield near("error of their mean", 1 / math.sqrt(2000), mean.error, rel=0.1)
    yield near("and of their spread", 1 / math.sqrt(4000), std.error, rel=0.1)


@check(
    "the tests' statistics are Kolmogorov's and Pearson's, by scipy, and with weights those of repeated draws",
    "scipy.stats",
)
def statistics_of_tests() -> Iterator[Finding]:
    u = methods.uniforms(500, 1, keyed(4, "u"))[:, 0] ** 1.1
    even = torch.full((500,), 1 / 500, dtype=torch.float64)
    truth = stats.kstest(u.numpy(), "uniform")
    yield near("Kolmogorov's distance", truth.statistic, kolmogorov_distance(u, even), rel=1e-12)
    yield near("from the other side", truth.statistic, kolmogorov_distance(1 - u, even), rel=1e-9)
    yield near("its p-value", truth.pvalue, measures.p_value_of(u.unsqueeze(1).sqrt(), Beta(2, 1), 500), abs=1e-6)
    cell = torch.arange(500) % 4
    cell[:60] = 0
    truth = stats.chisquare(torch.bincount(cell).numpy(), [100.0, 50.0, 200.0, 150.0]).pvalue
    yield near("Pearson's p-value", truth, measures.pearson(cell, TABLE.p, even, 500), rel=1e-9)
    places = torch.multinomial(TABLE.p, 400, True, generator=keyed(4, "places"))
    truth = stats.chisquare(torch.bincount(places).numpy(), [80.0, 40.0, 160.0, 120.0]).pvalue
    yield near("of a table", truth, measures.p_value_of(places.double().unsqueeze(1), TABLE, 400), rel=1e-6)
    rare = torch.tensor([0.45, 0.45, 0.05, 0.05], dtype=torch.float64)  # two of five expected draws become one cell
    cell = torch.tensor([0] * 50 + [1] * 40 + [2] * 7 + [3] * 3)
    truth = stats.chisquare([50, 40, 10], [45, 45, 10]).pvalue
    yield near(
        "rare cells together", truth, measures.pearson(cell, rare, torch.full((100,), 0.01).double(), 100), rel=1e-6
    )
    twice = torch.cat([u[:250], u[:100]])
    once = torch.where(torch.arange(250) < 100, 2.0, 1.0).double()
    repeated = stats.kstest(twice.numpy(), "uniform").statistic
    yield near("a draw of weight 2 is two draws", repeated, kolmogorov_distance(u[:250], once / 350), rel=1e-9)
    law = Normal2(0.7)
    x = law.quantile(methods.uniforms(250, 2, keyed(4, "cells")))
    seen = law.cdf(x).numpy()
    side = 5
    found = [((seen // (1 / side))[:, 0] * side + (seen // (1 / side))[:, 1] == k).sum() for k in range(side**2)]
    yield near("of the plane", stats.chisquare(found).pvalue, measures.p_value_of(x, law, 250), rel=1e-9)
