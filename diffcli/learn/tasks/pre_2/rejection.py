"""Random answers, held to their law: moments, a share, the cost and independence, each within 4.5 standard errors.

The truth is no sample: even quantiles of the law by quadrature, in a random order, and the exact share.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from diffcli.learn.answers import Seed
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Polynomial, Powers

COUNT, SIGMAS = 2000, 4.5
FEW = ((1, 1), (1, 2), (1, 3), (5, 4), (500, 5))  # draws and seeds with which accepted proposals are counted

Density = Callable[[Tensor], Tensor]


def rejection(
    density: Callable[[Tensor], Tensor], bound: float, count: int, generator: Generator
) -> tuple[Tensor, float]:
    """Draws of the law on (0, 1) whose density is in proportion to a function, by rejection from uniform proposals.

    density:   x [M] -> [M], between 0 and `bound` for all x in (0, 1); its integral need not be 1
    bound:     a number above 0
    count:     how many draws are wanted
    generator: of all random numbers, as in torch.rand(M, generator=generator)

    Returns (draws [count], share): independent draws, and accepted / proposed over all rounds. Each x for which
    `density` was asked is a proposal, and accepted ones beyond `count` are accepted too.
    """
    rounds: list[Tensor] = []
    accepted = 0
    while accepted < count:
        x = torch.rand(count, generator=generator)
        u = torch.rand(count, generator=generator)
        rounds.append(x[u * bound < density(x)])
        accepted += len(rounds[-1])
    return torch.cat(rounds)[:count], accepted / (len(rounds) * count)


def truth(density: Density, bound: float, count: int, generator: Generator) -> tuple[Tensor, float]:
    grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    steps = torch.cumulative_trapezoid(density(grid), grid)
    below = torch.cat([torch.zeros(1, dtype=torch.float64), steps / steps[-1]])
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    above = torch.searchsorted(below, places)
    part = (places - below[above - 1]) / (below[above] - below[above - 1])
    draws = grid[above - 1] + part / 20_000
    orders = [draws[torch.randperm(count, generator=generator)] for _ in range(100 if count > 5 else 1)]
    return min(orders, key=lambda order: abs(neighbours(order))), (steps[-1] / bound).item()


HUMPED = Powers(1, 4)  # the beta law with 2 and 5, times 1/30; at most 0.082
RISING = Polynomial(1.0, 2.0)  # at most 3, with the integral 2

LAWS = (  # density, bound, name, standard deviation, where to cut, the share below, share of proposals
    (HUMPED, 0.1, "x (1 − x)⁴, bound 0.1", 0.160, 0.2, 0.345, 1 / 3),
    (RISING, 3.0, "1 + 2 x, bound 3", 0.276, 0.6, 0.48, 2 / 3),
)


def neighbours(draws: Tensor) -> float:
    """The correlation of a draw with the next."""
    return torch.corrcoef(torch.stack([draws[:-1], draws[1:]]))[0, 1].item() if len(draws) > 2 else 0.0


def counted(ask: Ask) -> Seen:
    """The share beside what was accepted: with a density that is 0 or its bound, places tell. The first that is off."""
    asked: list[Tensor] = []

    def step(x: Tensor) -> Tensor:
        asked.append(x.reshape(-1))
        return 2.0 * (x < 0.2)

    for count, seed in FEW:
        asked.clear()
        share = float(ask(step, 2.0, count, Seed(seed))[1])
        x = torch.cat([torch.empty(0), *asked])
        accepted = int((x < 0.2).sum())
        right = abs(share - accepted / max(1, len(x))) < 1e-3
        if not right:
            break
    case = f"density 2 for x < 0.2 and 0 elsewhere, bound 2, {count} wanted: {accepted} of {len(x)} proposals "
    return Seen(f"{case}below the curve, and your share is {share:.4g}", "accepted / proposed" if right else "another")


def questions(ask: Ask) -> Iterator[Seen]:
    root = COUNT**0.5
    for density, bound, name, std, cut, below, share in LAWS:
        found, kept = ask(density, bound, COUNT, Seed(3))
        draws = torch.as_tensor(found).double()
        number = draws.numel()
        amount = "as many" if number == COUNT else "fewer" if number < COUNT else "more"
        yield Seen(f"{name}: {COUNT} draws are wanted, {number} come back", amount)
        yield Seen(f"{name}: their mean", round(draws.mean().item(), 4), within=SIGMAS * std / root)
        chance = SIGMAS * (below * (1 - below)) ** 0.5 / root
        yield Seen(f"{name}: the share of them below {cut}", (draws < cut).double().mean().item(), within=chance)
        chance = SIGMAS * (share * (1 - share) * share / COUNT) ** 0.5  # of COUNT / share proposals
        yield Seen(f"{name}: the share of proposals that were accepted", kept, within=chance)
        yield Seen(f"{name}: correlation of a draw with the next", round(neighbours(draws), 2) + 0.0, within=0.12)
        different = len(draws.unique())
        often = "once" if number - different <= 8 else "several times"  # float32 has few numbers
        yield Seen(f"{name}: {different} of {number} draws are different; how often each is used", often)
    yield counted(ask)


WRONG = [
    Swap("refused-kept", "with the proposals that should have been refused",
         "the side of the curve that is kept: below it",
         "u * bound < density(x)", "u * bound > density(x)"),
    Swap("no-bound", "without the bound: a proposal is kept with probability density / bound",
         "the heights of the points: up to the bound",
         "u * bound < density(x)", "u < density(x)"),
    Swap("no-chance", "when a proposal is kept wherever the density is above half of the bound",
         "the purpose of u: a height of its own for each place",
         "u * bound < density(x)", "density(x) > bound / 2"),
    Swap("one-number", "when place and height are the same random number",
         "the two kinds of random numbers: independent of each other",
         "u = torch.rand(count, generator=generator)", "u = x"),
    Swap("one-height", "with one height for all proposals of a round", "the number of heights: one for each proposal",
         "u = torch.rand(count, generator=generator)", "u = torch.rand(1, generator=generator)"),
    Swap("cut-before-counting", "when accepted ones beyond `count` are counted as refused",
         "the number that were accepted, before any are cut off",
         "accepted / (len(rounds) * count)", "1 / len(rounds)"),
    Swap("cost-for-share", "with proposals for each draw, one over the share",
         "the order of the fraction: accepted over proposed",
         "accepted / (len(rounds) * count)", "len(rounds) * count / accepted"),
    Swap("one-round", "with one round only, and so with fewer draws than were wanted",
         "the rounds: they go on while draws are missing",
         "while accepted < count:", "for _ in range(1):"),
    Swap("last-share", "with the share of the last round alone, or when rounds that are too small are thrown away",
         "the rounds before the last: what they proposed and accepted counts too",
         "accepted / (len(rounds) * count)", "len(rounds[-1]) / count"),
    Swap("too-many", "with all that were accepted, more than were wanted", "the number that is wanted: `count`",
         "torch.cat(rounds)[:count]", "torch.cat(rounds)"),
    Swap("sorted", "with the draws in the order of their size", "the order of the draws: that in which they came",
         "torch.cat(rounds)[:count]", "torch.cat(rounds)[:count].sort().values"),
    Swap("replaced", "when draws are picked from the accepted ones with replacement, or given again to fill up",
         "the use of an accepted point: once",
         "torch.cat(rounds)[:count]", "torch.cat(rounds)[torch.randint(accepted, (count,), generator=generator)]"),
]  # fmt: skip


@wrong("with all proposals, as if the density were even", "the condition for a point to be kept")
def everything(density: Density, bound: float, count: int, generator: Generator) -> tuple[Tensor, float]:
    return torch.rand(count, generator=generator), 1.0


@right
def in_small_rounds(density: Density, bound: float, count: int, generator: Generator) -> tuple[list[float], float]:
    kept: list[float] = []
    rounds = 0
    while len(kept) < count:
        x, u = torch.rand(2, 64, generator=generator)
        heights = torch.as_tensor(density(x))
        kept += [
            place for place, up, high in zip(x.tolist(), u.tolist(), heights.tolist(), strict=True) if up < high / bound
        ]
        rounds += 1
    return kept[:count], len(kept) / (64 * rounds)


@right
def in_logs(density: Density, bound: float, count: int, generator: Generator) -> tuple[Tensor, float]:
    """As many as it should take at once, and again."""
    draws, proposed, size = torch.empty(0, dtype=torch.float64), 0, 4 * count
    while len(draws) < count:
        pairs = torch.rand(size, 2, generator=generator, dtype=torch.float64)
        ratio = torch.log(density(pairs[:, 0])) - torch.log(torch.tensor(bound))
        draws = torch.cat([draws, pairs[torch.log(pairs[:, 1]) <= ratio, 0]])
        proposed += size
    return draws[:count], len(draws) / proposed


@right
def place_after_place(density: Density, bound: float, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each place of the result tries again until it has something."""
    draws, waiting = torch.zeros(count), torch.ones(count, dtype=torch.bool)
    proposed = 0
    while waiting.any():
        places = waiting.nonzero().flatten()
        x = torch.rand(len(places), generator=generator)
        good = torch.rand(len(places), generator=generator) <= density(x) / bound
        proposed += len(places)
        draws[places[good]] = x[good]
        waiting[places[good]] = False
    return draws, torch.tensor(count / proposed)
