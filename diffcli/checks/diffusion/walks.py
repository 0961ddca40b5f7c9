"""Walks of few steps: the search against all walks there are, known costs, and the student's own walks."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import bound, grids, walk_costs
from diffcli.core.diffusion.exact import Gaussian, Mixture
from diffcli.core.diffusion.multistep import ipndm
from diffcli.core.diffusion.samplers import ddim
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.diffusion.walk_costs import Curves, WalkCosts
from diffcli.core.levels import Level
from diffcli.evaluation.grids import search

STD, MEAN = 0.6, 0.25


def noise_levels(levels: Sequence[Level]) -> list[float]:
    """sigma / alpha of each."""
    return [level.sigma.item() / level.alpha.item() for level in levels]


def scale(rho: float) -> float:
    """By how much the flow of N(MEAN, STD²) has spread u - MEAN at a noise level, in units of STD."""
    return math.sqrt(STD**2 + rho**2)


def on_a_gaussian(levels: Sequence[Level], directions: Tensor) -> Curves:
    """The exact flow of N(MEAN, STD²) through MEAN + direction * scale, for directions [B, ...]."""
    xs = [
        level.alpha * (MEAN + directions * scale(rho)) for level, rho in zip(levels, noise_levels(levels), strict=True)
    ]
    law = Gaussian(MEAN, STD)
    estimates = [law(x, level).x0 for level, x in zip(levels[:-1], xs, strict=False)]
    return walk_costs.curves(levels, xs, estimates)


def two_points() -> Mixture:
    """A law whose paths bend."""
    means = torch.tensor([[1.0, 0.2, -0.4], [-0.8, 0.1, 0.5]], dtype=torch.float64)
    return Mixture(torch.tensor([2.0, 1.0]), means, torch.tensor([0.1, 0.2]))


def taught(levels: Sequence[Level], count: int = 6) -> Curves:
    """Curves of `two_points` as iPNDM walks them."""
    law, generator = two_points(), torch.Generator().manual_seed(5)
    x = torch.hypot(*levels[0]) * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    steps = list(ipndm(law, x, levels))
    return walk_costs.curves(levels, [x, *(step.x for step in steps)], [step.x0 for step in steps])


def table_of(teacher: Curves) -> Tensor:
    return torch.stack(list(walk_costs.cost_rows(teacher)))


@check(
    "with a discount too the walk of K steps found is the best of all; its cost is that of the recursion from the end",
    "Chen et al. 2024, algorithm 1: V[i][k] = min over j of cost[i][j] + gamma V[j][k - 1]",
)
def discounted_walks() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(7)
    count = 6
    for trial, gamma in enumerate((1.0, 1.15, 2.0, 0.4)):
        table = torch.rand(count, count + 1, generator=generator, dtype=torch.float64)
        table = torch.where(torch.ones_like(table).triu(1) > 0, table, math.inf)
        cost, later = table.tolist(), WalkCosts.of_table(table)
        value = {(i, 1): cost[i][count] for i in range(count)}
        for k in range(2, count + 1):
            for i in range(count):
                ahead = [cost[i][j] + gamma * value[j, k - 1] for j in range(i + 1, count)]
                value[i, k] = min(ahead, default=math.inf)
        for k in range(1, count + 1):
            paid = {}
            for rest in itertools.combinations(range(1, count), k - 1):
                stops = [0, *rest, count]
                paid[tuple(stops[:-1])] = sum(gamma**n * cost[stops[n]][stops[n + 1]] for n in range(k))
            places, found = bound.best_path(*later, k, gamma)
            case = f"gamma = {gamma}, K = {k}"
            yield near(f"of all walks, {case}", min(paid.values()), found, rel=1e-12)
            yield near(f"from the end, {case}", value[0, k], found, rel=1e-12)
            yield near(f"its stops, {case}", found, paid.get(tuple(places), math.inf), rel=1e-12)
            yield near(f"by `total`, {case}", found, later.total(places, gamma), rel=1e-12)
        first, steps, last = torch.rand(count, generator=generator, dtype=torch.float64), later.steps, later.last
        total = first[1] + steps[1, 2] + gamma * steps[2, 4] + gamma**2 * last[4]
        yield near(
            f"with a start, table {trial}", total, WalkCosts(first, steps, last).total([1, 2, 4], gamma), rel=1e-12
        )


@check(
    "on N(m, s²) one step of DDIM from the exact path misses it by what the root of s² + rho² leaves of its tangent",
    "Chen et al. 2024, section 4; the flow of a Gaussian: (x / alpha - m) grows like sqrt(s² + rho²)",
)
def jumps_on_a_gaussian() -> Iterator[Finding]:
    directions = torch.tensor([[1.0, -2.0, 0.3], [0.1, 0.2, 1.5]], dtype=torch.float64)
    mean_length = (math.sqrt(1 + 4 + 0.09) + math.sqrt(0.01 + 0.04 + 2.25)) / 2
    for name in ("linear", "cosine", "flow", "ve"):
        levels = grids.levels(SCHEDULES[name](), 6, "karras")
        rho = noise_levels(levels)
        table = table_of(on_a_gaussian(levels, directions))
        yield near(f"{name}, no way back", 6 * 7 // 2, table.isposinf().sum().double())
        for i, j in itertools.combinations(range(7), 2):
            tangent = scale(rho[i]) + (rho[j] - rho[i]) * rho[i] / scale(rho[i])
            truth = mean_length * abs(tangent - scale(rho[j]))
            yield near(f"{name}, from {i} to {j}", truth, table[i, j], rel=1e-7, abs=1e-9 * rho[0])


@check(
    "where the noise of a path never changes, a jump misses by nothing and any walk ends at the data", "straight paths"
)
def straight_paths() -> Iterator[Finding]:
    point = Mixture(torch.ones(1), torch.tensor([[0.4, -0.9]], dtype=torch.float64), torch.zeros(1))
    levels = grids.levels(SCHEDULES["linear"](), 8, "karras")
    x = 3 * torch.tensor([[1.0, 2.0], [-0.5, 0.1]], dtype=torch.float64)
    steps = list(ddim(point, x, levels))
    teacher = walk_costs.curves(levels, [x, *(s.x for s in steps)], [s.x0 for s in steps])
    table = table_of(teacher)
    yield near("the noise", teacher.slope[0].expand_as(teacher.slope), teacher.slope, abs=1e-8)
    yield near("every jump", 0, table[table.isfinite()], abs=1e-6)
    *_, stages = walk_costs.rollout(lambda u, i: point(levels[i].alpha * u, levels[i]).eps, teacher, 4)
    yield near("and every walk", 0, torch.stack([stage.distance[-1] for stage in stages]), abs=1e-6)


@check("in its own table the best walk is no dearer than any usual grid's", "it is one of the walks that are searched")
def no_dearer_than_usual() -> Iterator[Finding]:
    schedule = SCHEDULES["cosine"]()
    levels = grids.levels(schedule, 25, "karras")
    log_snr = torch.stack([level.log_snr for level in levels[:-1]])
    table = table_of(taught(levels))
    for gamma in (1.0, 1.15):
        for k in (1, 2, 4, 7, 12, 24):
            choice = search.by_table(
                WalkCosts.of_table(table), k, gamma, usual := search.usual_walks(schedule, log_snr, k)
            )
            stops = [*choice.best.places, 25]
            paid = sum(gamma**n * table[stops[n], stops[n + 1]].item() for n in range(k))
            yield near(f"best, K = {k}, gamma = {gamma}", paid, choice.best.cost, rel=1e-12)
            for name, walk in choice.usual.items():
                stops = [*usual[name], 25]
                cost = sum(gamma**n * table[stops[n], stops[n + 1]].item() for n in range(k))
                yield near(f"{name}, K = {k}, gamma = {gamma}", cost, walk.cost, rel=1e-12)
                above = max(0.0, choice.best.cost - cost)
                yield near(f"best above {name}, K = {k}, gamma = {gamma}", 0, above, abs=1e-12)


@check(
    "usual grids stop at the nearest of a long grid's levels: at its every n-th where they divide it, at none twice",
    "Karras et al. 2022, eq. 5; Lu et al. 2022, section 3.4; Lin et al. 2024, table 2",
)
def usual_stops() -> Iterator[Finding]:
    for name, count in (("karras", 61), ("log-snr", 61), ("trailing", 60)):
        schedule = SCHEDULES["linear"]()
        log_snr = torch.stack([level.log_snr for level in grids.levels(schedule, count, name)[:-1]])
        for k in (4, 10) if name == "trailing" else (4, 6):
            stride = 60 // k if name == "trailing" else 60 // (k - 1)
            walks = search.usual_walks(schedule, log_snr, k)
            yield near(f"{name}, K = {k}", torch.arange(k) * stride, torch.tensor(walks[name]))
            for other, places in walks.items():
                wanted = schedule(grids.times(schedule, k, other)).log_snr.tolist()
                nearest = [min(range(count), key=lambda i, v=v: abs(log_snr[i].item() - v)) for v in wanted]  # type: ignore[misc]
                if len({*nearest}) == k:
                    yield near(f"{other} in {name}, K = {k}", torch.tensor(nearest), torch.tensor(places))
    table = SCHEDULES["linear"]()
    log_snr = torch.stack([level.log_snr for level in grids.levels(table, 12, "karras")[:-1]])
    for k in (6, 12):
        for name, places in search.usual_walks(table, log_snr, k).items():
            apart = all(a < b for a, b in itertools.pairwise(places)) and places[0] == 0 and places[-1] < 12
            yield near(f"{name}, {k} of 12 apart", 1, float(apart))
    yield near("pushed on, and back", torch.tensor([0, 1, 4, 5]), torch.tensor(search.apart([0, 0, 5, 5], log_snr[:6])))


@check(
    "a student's walk costs what DDIM on its stops has; of two steps it is the best of all, of one the only",
    "Pei et al. 2025, algorithm 1",
)
def rolled_out_walks() -> Iterator[Finding]:
    law, count = two_points(), 8
    levels = grids.levels(SCHEDULES["linear"](), count, "log-snr")
    teacher = taught(levels)

    def ends(places: Sequence[int]) -> float:
        *_, step = ddim(law, levels[0].alpha * teacher.u[0], [*(levels[i] for i in places), levels[-1]])
        gaps = (step.x - teacher.u[-1]).tolist()
        return sum(math.hypot(*gap) for gap in gaps) / len(gaps)

    def slope(u: Tensor, place: int) -> Tensor:
        return law(levels[place].alpha * u, levels[place]).eps

    yielded = list(walk_costs.rollout(slope, teacher, 5))
    stages = yielded[-1]
    yield near("evaluations", 1 + sum(count - k for k in (1, 2, 3, 4)), len(yielded))
    for k in range(1, 6):
        places = walk_costs.traced(stages, k)
        yield near(f"steps, K = {k}", k, len(places))
        yield near(f"of the walk itself, K = {k}", ends(places), stages[k - 1].distance[-1], rel=1e-9)
        least = min(ends([0, *rest]) for rest in itertools.combinations(range(1, count), k - 1))
        if k <= 2:
            yield near(f"of all walks, K = {k}", least, stages[k - 1].distance[-1], rel=1e-9)
        yield near(f"below all walks, K = {k}", 0, max(0.0, least - stages[k - 1].distance[-1].item()), abs=1e-9)


@check(
    "the states of a student are those that came nearest to the teacher's, level by level",
    "Pei et al. 2025, algorithm 1",
)
def nearest_states() -> Iterator[Finding]:
    count = 12
    levels = grids.levels(SCHEDULES["vp"](), count, "trailing")  # on which the nearest do not come from next door
    rho = noise_levels(levels)
    teacher = on_a_gaussian(levels, torch.tensor([[1.0], [-2.5]], dtype=torch.float64))
    law = Gaussian(MEAN, STD)
    *_, stages = walk_costs.rollout(lambda u, i: law(levels[i].alpha * u, levels[i]).eps, teacher, 5)
    factors = {0: scale(rho[0])}  # of every direction: DDIM on a Gaussian keeps them
    for k, stage in enumerate(stages, 1):
        reached: dict[int, tuple[float, int, float]] = {}
        for i, factor in sorted(factors.items()):
            for j in range(i + 1, count + 1):
                ahead = factor * (1 + (rho[j] - rho[i]) * rho[i] / scale(rho[i]) ** 2)
                off = abs(ahead - scale(rho[j])) * (1.0 + 2.5) / 2
                if j not in reached or off < reached[j][0]:
                    reached[j] = (off, i, ahead)
        for j in range(count + 1):
            off, origin, _ = reached.get(j, (math.inf, -1, 0.0))
            if j in reached:
                yield near(f"distance, k = {k}, level {j}", off, stage.distance[j], rel=1e-6, abs=1e-9)
            yield near(f"no way, k = {k}, level {j}", j not in reached, stage.distance[j].isinf().double())
            yield near(f"origin, k = {k}, level {j}", origin, stage.origin[j])
        factors = {j: ahead for j, (_, _, ahead) in reached.items() if j < count}


@check(
    "a miss in features is that of the end of the path with the miss added, held to the range of images", "as defined"
)
def misses_in_features() -> Iterator[Finding]:
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.0, 4.0]], dtype=torch.float64)
    clean = torch.tensor([[0.2, -0.5, 0.9], [1.4, 0.0, -0.1]], dtype=torch.float64)
    gap = torch.tensor([[0.1, -0.2, 0.4], [-0.1, 0.3, 0.0]], dtype=torch.float64)
    measure = walk_costs.in_features(lambda x: (x @ weights.mT).square(), clean)
    for row, found in enumerate(measure(gap).tolist()):
        ends = [
            [max(-1.0, min(1.0, v)) for v in values] for values in (clean[row].tolist(), (clean + gap)[row].tolist())
        ]
        known, moved = (
            [sum(w * v for w, v in zip(line, end, strict=True)) ** 2 for line in weights.tolist()] for end in ends
        )
        yield near(f"item {row}", math.dist(known, moved), found, rel=1e-12)
    levels = grids.levels(SCHEDULES["linear"](), 7, "karras")
    teacher = taught(levels)
    own = torch.stack(list(walk_costs.cost_rows(teacher, walk_costs.in_features(lambda x: x, 0 * teacher.u[-1]))))
    misses = [[teacher.miss(i, j).clamp(-1, 1) for j in range(i + 1, 8)] for i in range(7)]
    for i, later in enumerate(misses):
        for j, miss in enumerate(later, i + 1):
            truth = sum(math.hypot(*gap) for gap in miss.tolist()) / len(miss)
            yield near(f"of pixels about nothing, from {i} to {j}", truth, own[i, j], rel=1e-9, abs=1e-12)
