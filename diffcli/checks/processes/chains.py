"""Finite Markov chains: stationary laws, classes, periods, gaps and times."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.processes.chains import finite, named
from diffcli.core.randomness import keyed

DRAWS = 40_000


def numbers(*values: float) -> Tensor:
    """As a tensor, float64."""
    return torch.tensor(values, dtype=torch.float64)


def _random(states: int, key: str) -> Tensor:
    """A dense stochastic matrix with no symmetry."""
    matrix = torch.rand(states, states, generator=keyed(0, key), dtype=torch.float64) ** 3
    return matrix / matrix.sum(1, keepdim=True)


def _at(states: int, *places: int) -> Tensor:
    return torch.zeros(states, dtype=torch.bool).index_fill(0, torch.tensor(places), True)


@check(
    "two states: the law is (b, a) / (a + b), the gap a + b or 2 - a - b, d(t) = max(a, b) / (a + b) |1 - a - b|^t",
    "Levin, Peres & Wilmer 2017, example 1.1",
)
def two_states() -> Iterator[Finding]:
    for a, b in ((0.1, 0.3), (0.02, 0.05), (0.9, 0.7), (0.5, 0.5), (0.9, 0.95)):
        case, matrix = f"a {a}, b {b}", named.two_state(a, b).matrix
        law = finite.stationary(matrix)
        yield near(f"law, {case}", numbers(b, a) / (a + b), law, rel=1e-14)
        yield near(f"gap, {case}", 1 - abs(1 - a - b), finite.spectral_gap(finite.eigenvalues(matrix, True)), rel=1e-12)
        distances = [max(a, b) / (a + b) * abs(1 - a - b) ** t for t in range(200)]
        rows = itertools.islice(finite.laws_over_time(matrix, torch.eye(2).double()), 9)
        found = [finite.total_variation(row, law).max().item() for row in rows]
        yield near(f"distances, {case}", numbers(*distances[:9]), numbers(*found), abs=1e-14)
        for wanted in (0.25, 0.01):
            first = next(t for t, d in enumerate(distances) if d <= wanted)
            yield near(f"time to {wanted}, {case}", first, finite.mixing_time(matrix, law, wanted) or 0)


@check(
    "the Land of Oz: two fifths rain, two fifths snow, and never two nice days", "Grinstead & Snell 1997, example 11.19"
)
def land_of_oz() -> Iterator[Finding]:
    chain = named.weather()
    yield near("law", numbers(0.4, 0.2, 0.4), finite.stationary(chain.matrix), rel=1e-12)
    yield near("nice after nice", 0, chain.matrix[1, 1])
    rain = numbers(0.5, 0.25, 0.25)
    yield near("after rain", rain, chain.matrix[0])
    yield near("after snow, as after rain with their parts exchanged", rain.flip(0), chain.matrix[2])
    yield near("after nice days", numbers(0.5, 0, 0.5), chain.matrix[1])


@check(
    "Ehrenfest's urn: the law is binomial, the eigenvalues 1 - 2k/n, the period 2, a return to k takes 2^n / C(n, k)",
    "Kac 1947; Levin, Peres & Wilmer 2017, section 2.3",
)
def ehrenfest_urn() -> Iterator[Finding]:
    for n in (3, 10, 60):
        chain = named.ehrenfest(n)
        law = finite.stationary(chain.matrix)
        binomial = numbers(*(math.comb(n, k) / 2**n for k in range(n + 1)))
        yield near(f"law, n {n}", binomial, law, rel=1e-11)
        (whole,) = finite.classes(chain.matrix)
        yield near(f"period, n {n}", 2, whole.period)
        yield near(f"detailed balance, n {n}", 0, finite.imbalance(chain.matrix, law), abs=1e-14)
        for lazy in (0.0, 0.5):
            values = finite.eigenvalues(named.ehrenfest(n, lazy).matrix, True)
            wanted = numbers(*sorted(lazy + (1 - lazy) * (1 - 2 * k / n) for k in range(n + 1)))
            yield near(f"eigenvalues, n {n}, lazy {lazy}", wanted, values.real.sort().values, abs=1e-12)
            yield near(f"gap, n {n}, lazy {lazy}", 1 / n if lazy else 0, finite.spectral_gap(values), abs=1e-12)
    for k in range(4):
        chain = named.ehrenfest(6)
        back = 1 + chain.matrix[k] @ finite.hitting_times(chain.matrix, _at(7, k))
        yield near(f"return to {k}", 2**6 / math.comb(6, k), back, rel=1e-12)


@check(
    "a walk on a ring: eigenvalues on an ellipse, cos 2πk/n if it is fair; the law uniform; k (n - k) steps to reach k",
    "Levin, Peres & Wilmer 2017, sections 12.3.1 and 2.1",
)
def walk_on_a_ring() -> Iterator[Finding]:
    for n, forward, lazy in ((5, 0.5, 0.0), (8, 0.5, 0.5), (7, 0.8, 0.2), (6, 1.0, 0.0)):
        case, matrix = f"n {n}, forward {forward}, lazy {lazy}", named.cycle(n, forward, lazy).matrix
        angles = [2 * math.pi * k / n for k in range(n)]
        turns = [math.cos(w) + 1j * (2 * forward - 1) * math.sin(w) for w in angles]
        found = finite.eigenvalues(matrix)
        for k, turn in enumerate(turns):
            apart = (found - (lazy + (1 - lazy) * turn)).abs().min()
            yield near(f"eigenvalue {k}, {case}", 0, apart, abs=1e-12)
        law = finite.stationary(matrix)
        yield near(f"law, {case}", 1 / n, law, rel=1e-13)
        flow = (1 - lazy) * abs(2 * forward - 1) / n
        yield near(f"imbalance, {case}", flow, finite.imbalance(matrix, law), abs=1e-14)
        yield near(f"reversible, {case}", forward == 0.5, finite.is_reversible(matrix, law))
        (whole,) = finite.classes(matrix)
        yield near(f"period, {case}", {5: 1, 8: 1, 7: 1, 6: 6}[n], whole.period)
        if forward == 0.5:
            wanted = numbers(*(k * (n - k) / (1 - lazy) for k in range(n)))
            yield near(f"time to 0, {case}", wanted, finite.hitting_times(matrix, _at(n, 0)), rel=1e-12)
    yield near("even and fair", 2, finite.classes(named.cycle(8, 0.5, 0.0).matrix)[0].period)
    yield near("one way in 1 step", 1, named.cycle(8, 1.0, 0.0).matrix[2, 3])


@check(
    "the gambler's ruin: who wins, and after how many rounds",
    "Feller 1968, chapter XIV, eq. 2.4, 2.5, 3.4 and 3.5",
)
def gamblers_ruin() -> Iterator[Finding]:
    for n, p in ((10, 0.5), (10, 0.45), (7, 0.7), (1, 0.3)):
        chain, q = named.random_walk(n, p, "absorbing"), 1 - p
        wealth = torch.arange(n + 1, dtype=torch.float64)
        ratio = q / p
        win = wealth / n if p == 0.5 else (1 - ratio**wealth) / (1 - ratio**n)
        rounds = wealth * (n - wealth) if p == 0.5 else (wealth - n * win) / (q - p)
        found = finite.hitting_probabilities(chain.matrix, _at(n + 1, n))
        yield near(f"winning, n {n}, p {p}", win, found, abs=1e-13)
        yield near(f"rounds, n {n}, p {p}", rounds, finite.hitting_times(chain.matrix, _at(n + 1, 0, n)), abs=1e-10)
        yield near(f"both ends absorb, n {n}, p {p}", 1, chain.matrix.diagonal()[[0, n]])
        alone = finite.hitting_times(chain.matrix, _at(n + 1, n))
        yield near(f"not certain, n {n}, p {p}", n, int(alone.isinf().sum()))


@check(
    "births and deaths: the law is a product of ratios, to full precision in the tails; a fair walk has cos πk/S",
    "Levin, Peres & Wilmer 2017, sections 2.5 and 12.3.2",
)
def births_and_deaths() -> Iterator[Finding]:
    for n, up, down in ((4, 0.3, 0.4), (60, 0.1, 0.6), (50, 0.5, 0.01)):
        matrix = named.birth_death(n, up, down).matrix
        weights = numbers(*((up / down) ** k for k in range(n + 1)))
        yield near(f"law, n {n}", weights / weights.sum(), finite.stationary(matrix), rel=1e-12)
    rise, fall = numbers(0.7, 0.2, 0.4, 0.1), numbers(0.3, 0.5, 0.05, 0.9)
    weights = torch.cat([numbers(1), (rise / fall).cumprod(0)])
    yield near("law, any rates", weights / weights.sum(), finite.stationary(named.line(rise, fall)), rel=1e-12)
    values = finite.eigenvalues(named.random_walk(6).matrix, True).real.sort(descending=True).values
    yield near("eigenvalues", numbers(*(math.cos(math.pi * k / 7) for k in range(7))), values, abs=1e-13)
    yield near("up to the next", 0.3, named.random_walk(4, 0.3).matrix[1, 2])


@check(
    "mean hitting times of a chain without symmetry are (Z_jj - Z_ij) / π_j, by the fundamental matrix",
    "Kemeny & Snell 1960, theorem 4.4.7",
)
def fundamental_matrix() -> Iterator[Finding]:
    matrix, eye = _random(6, "fundamental"), torch.eye(6).double()
    law = torch.linalg.lstsq(
        torch.cat([(eye - matrix).T, torch.ones(1, 6).double()]), eye.new_tensor([0.0] * 6 + [1])
    ).solution
    yield near("law", law, finite.stationary(matrix), rel=1e-11)
    yield near("eigenvector", law, finite.eigenvector(matrix), rel=1e-11)
    z = torch.linalg.inv(eye - matrix + law)
    for j in range(6):
        wanted = (z[j, j] - z[:, j]) / law[j]
        yield near(f"to {j}", wanted, finite.hitting_times(matrix, _at(6, j)), abs=1e-10)
    flow = max(abs(law[i] * matrix[i, j] - law[j] * matrix[j, i]).item() for i in range(6) for j in range(6))
    yield near("imbalance", flow, finite.imbalance(matrix, law), rel=1e-10)
    yield near("not reversible", 0, finite.is_reversible(matrix, law))


@check(
    "the mixing time is that of a search step by step, and lies between the bounds of the relaxation time",
    "Levin, Peres & Wilmer 2017, section 4.5, theorems 12.4 and 12.5",
)
def mixing_times() -> Iterator[Finding]:
    known = {
        "no symmetry": 0.9 * torch.eye(5).double() + 0.1 * _random(5, "mixing"),
        "ring": named.cycle(17, 0.5, 0.5).matrix,
        "births and deaths": named.birth_death(12, 0.2, 0.3).matrix,
    }
    for name, matrix in known.items():
        law = torch.linalg.matrix_power(matrix, 100_000)[0]
        power, steps = torch.eye(len(law)).double(), 0
        while max(sum(abs(p - q) for p, q in zip(row, law.tolist(), strict=True)) / 2 for row in power.tolist()) > 0.25:
            power, steps = power @ matrix, steps + 1
        yield near(f"steps, {name}", steps, finite.mixing_time(matrix, law) or 0)
        if name != "no symmetry":
            gap = 1 - torch.linalg.eigvals(matrix).abs().sort().values[-2].item()
            low, high = (1 / gap - 1) * math.log(2), math.log(4 / law.min()) / gap
            yield near(f"bounds, {name}", numbers(low, high), numbers(*finite.bounds(gap, law.min().item())), rel=1e-9)
            yield near(f"between the bounds, {name}", 1, low <= steps <= high)
    low, high = finite.bounds(0.1, 0.02, 0.05)
    yield near("bounds at 0.05", numbers(9 * math.log(10), 10 * math.log(1000)), numbers(low, high), rel=1e-12)
    quarter = named.two_state(0.25, 0.25)  # d(t) = 2^-(t + 1): exactly 1/4 after one step, which is near enough
    slow = named.two_state(1e-8, 1e-8)
    steps = math.ceil(math.log(0.5) / math.log1p(-2e-8))  # d(t) = (1 - 2e-8)^t / 2
    yield near("millions of steps", steps, finite.mixing_time(slow.matrix, numbers(0.5, 0.5)) or 0, rel=1e-6)
    yield near("at the distance itself", 1, finite.mixing_time(quarter.matrix, numbers(0.5, 0.5)) or 0)
    for apart, wanted in ((0.0, 0.0), (1e-14, 0.0), (1e-11, 1e-11)):  # what rounding leaves is no gap
        gap = finite.spectral_gap(torch.tensor([1, 1 - apart, 0.2], dtype=torch.complex128))
        yield near(f"gap of {apart}", wanted, gap, rel=1e-3)
    yield near("a single state", 1, finite.spectral_gap(torch.ones(1, dtype=torch.complex128)))


@check(
    "classes are what can be reached and left, periods the greatest common divisors of their loops",
    "Norris 1997, sections 1.2 and 1.8",
)
def classes_and_periods() -> Iterator[Finding]:
    edges = {0: (1,), 1: (0,), 2: (2,), 3: (4, 0), 4: (5,), 5: (3, 2), 6: (3,)}
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    for tail, heads in edges.items():
        matrix[tail, list(heads)] = 1 / len(heads)
    wanted = [([0, 1], True, 2), ([2], True, 1), ([3, 4, 5], False, 3), ([6], False, 0)]
    found = finite.classes(matrix)
    yield near("number", len(wanted), len(found))
    for (members, closed, period), part in zip(wanted, found, strict=True):
        yield near(f"members, {members}", numbers(*members), part.members)
        yield near(f"closed, {members}", closed, part.closed)
        yield near(f"period, {members}", period, part.period)
    yield near("into the first", numbers(1, 1, 0, 2 / 3, 1 / 3, 1 / 3, 2 / 3),
               finite.hitting_probabilities(matrix, _at(7, 0, 1)), abs=1e-14)  # fmt: skip
    yield near("the way on from the target does not count", 1, finite.hitting_times(matrix, _at(7, 3))[6])
    laws = finite.stationary_laws(matrix, found)
    yield near("laws", torch.stack([numbers(0.5, 0.5, 0, 0, 0, 0, 0), numbers(0, 0, 1, 0, 0, 0, 0)]), laws)
    loops = torch.zeros(9, 9, dtype=torch.float64)  # of 4 and of 6 steps through state 0
    for tail, head in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 0)):
        loops[tail, head] = 0.5 if tail == 0 else 1
    yield near("loops of 4 and 6", 2, finite.classes(loops)[0].period)


@check(
    "simulated chains have the law of the matrix's power, within 4.5 standard errors of each state",
    "Norris 1997, theorem 1.1.3",
)
def simulated_chains() -> Iterator[Finding]:
    matrix = _random(5, "simulated")
    starts = torch.full((DRAWS,), 2)
    walk = finite.walks(matrix, starts, keyed(0, "simulated chains"))
    for step, states in enumerate(itertools.islice(walk, 3)):
        share = states.bincount(minlength=5).double() / DRAWS
        law = torch.linalg.matrix_power(matrix, step)[2]
        for i in range(5):
            error = math.sqrt(law[i].item() * (1 - law[i].item()) / DRAWS)
            yield near(f"state {i} after {step}", law[i], share[i], abs=4.5 * error)
    one_way = finite.walks(named.cycle(4, 1.0, 0.0).matrix, torch.arange(4), keyed(0, "one way"))
    *_, last = itertools.islice(one_way, 8)
    yield near("around a ring, 7 steps", numbers(3, 0, 1, 2), last)
