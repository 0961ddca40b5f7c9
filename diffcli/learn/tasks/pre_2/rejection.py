"""Random answers, held to their law: moments, a share, the cost and independence, each within 4.5 standard errors.

The truth is no sample: even quantiles of the law by quadrature, in a random order, and the exact share.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from diffcli.learn.answers import Seed
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import Polynomial

COUNT, SIGMAS = 2000, 4.5

Density = Callable[[Tensor], Tensor]


def rejection(
    density: Callable[[Tensor], Tensor], bound: float, count: int, generator: Generator
) -> tuple[Tensor, float]:
    """Draws of the law on (0, 1) whose density is in proportion to a function, by rejection from uniform proposals.

    density:   x [M] -> [M], between 0 and `bound` for all x in (0, 1); its integral need not be 1
    bound:     a number above 0
    count:     how many draws are wanted
    generator: of all random numbers, as in torch.rand(M, generator=generator)

    Returns (draws [count], share): independent draws, and the share of all proposals so far that were accepted.
    Accepted ones that are more than wanted count for the share.
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
    return (grid[above - 1] + part / 20_000)[torch.randperm(count, generator=generator)], (steps[-1] / bound).item()


HUMPED = Polynomial(0.0, 1.0, -4.0, 6.0, -4.0, 1.0)  # x (1 - x)⁴: the beta law with 2 and 5; at most 0.082
RISING = Polynomial(1.0, 2.0)  # at most 3, with the integral 2

LAWS = (  # density, bound, name, standard deviation, where to cut, the share below, share of proposals
    (HUMPED, 0.1, "x (1 − x)⁴, bound 0.1", 0.160, 0.2, 0.345, 1 / 3),
    (RISING, 3.0, "1 + 2 x, bound 3", 0.276, 0.6, 0.48, 2 / 3),
)


def questions(ask: Ask) -> Iterator[Seen]:
    root = COUNT**0.5
    for density, bound, name, std, cut, below, share in LAWS:
        found, kept = ask(density, bound, COUNT, Seed(3))
        draws = torch.as_tensor(found).double()
        yield Seen(f"{name}: how many draws come back of {COUNT} that were wanted", draws.numel())
        yield Seen(f"{name}: their mean", draws.mean().item(), within=SIGMAS * std / root)
        chance = SIGMAS * (below * (1 - below)) ** 0.5 / root
        yield Seen(f"{name}: the share of them below {cut}", (draws < cut).double().mean().item(), within=chance)
        chance = SIGMAS * (share * (1 - share) * share / COUNT) ** 0.5  # of COUNT / share proposals
        yield Seen(f"{name}: the share of proposals that were accepted", kept, within=chance)
        pairs = torch.stack([draws[:-1], draws[1:]])
        yield Seen(f"{name}: correlation of a draw with the next", torch.corrcoef(pairs)[0, 1].item(), within=0.12)
        yield Seen(f"{name}: how many of the draws are different", len(draws.unique()), within=8.0)


WRONG = [
    Swap("refused-kept", "with the proposals that should have been refused",
         "which side of the curve is kept: below it",
         "u * bound < density(x)", "u * bound > density(x)"),
    Swap("no-bound", "without the bound: a proposal is kept with probability density / bound",
         "how high points are thrown",
         "u * bound < density(x)", "u < density(x)"),
    Swap("no-chance", "where a proposal is kept whenever the density is above half of the bound", "what u is for",
         "u * bound < density(x)", "density(x) > bound / 2"),
    Swap("one-number", "where place and height are the same random number", "that the two are independent",
         "u = torch.rand(count, generator=generator)", "u = x"),
    Swap("one-height", "with one height for all proposals of a round", "that each proposal is thrown by itself",
         "u = torch.rand(count, generator=generator)", "u = torch.rand(1, generator=generator)"),
    Swap("cut-before-counting", "where those thrown away at the end count as refused",
         "what is counted as accepted: all that were", "accepted / (len(rounds) * count)", "1 / len(rounds)"),
    Swap("cost-for-share", "with proposals for each draw, one over the share", "which of the two is divided by which",
         "accepted / (len(rounds) * count)", "len(rounds) * count / accepted"),
    Swap("one-round", "after one round, with fewer draws than were wanted", "what happens while draws are missing",
         "while accepted < count:", "for _ in range(1):"),
]  # fmt: skip


@wrong("where draws are given again until there are enough", "that draws are independent: each is used once")
def repeated(density: Density, bound: float, count: int, generator: Generator) -> tuple[Tensor, float]:
    x, u = torch.rand(count, generator=generator), torch.rand(count, generator=generator)
    kept = x[u * bound < density(x)]
    return kept.repeat(count // len(kept) + 1)[:count], len(kept) / count


@wrong("with all proposals, as if the density were even", "what is accepted, and with which probability")
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
        x = torch.rand(count, generator=generator)
        good = waiting & (torch.rand(count, generator=generator) <= density(x) / bound)
        proposed += int(waiting.sum())
        draws = torch.where(good, x, draws)
        waiting = waiting & ~good
    return draws, torch.tensor(count / proposed)
