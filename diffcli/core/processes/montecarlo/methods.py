"""Ways to draw from a law: exact ones from uniform numbers, weighted ones, and Markov chains.

A method is a generator of batches. It spends evaluations: of the density, of its gradient, of a distribution function
or of a closed map from one uniform number. They are counted as made: the kernels remember nothing between moves.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.processes.laws.line import Law, LineNormal
from diffcli.core.processes.laws.plane import Normal2, TableLaw
from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, choose, hmc, random_walk

BLOCK = 65_536  # points at once
MOVES = 100  # of chains between two batches
CHOICE = 32  # proposals per chain to begin at


class Batch(NamedTuple):
    """Draws x [S, C, D]: S states of each of C chains; independent draws are the states of one chain.

    accepted:     proposals that were accepted, or the sum of their probabilities; of `proposals`
    evaluations:  spent on them
    log_weights:  log p / q of weighted draws [S, C], else None
    """

    x: Tensor
    accepted: float
    proposals: int
    evaluations: int
    log_weights: Tensor | None = None


Draw = Callable[..., Iterator[Batch]]
"""(law, count, generator, **options) -> batches of at least `count` draws together, in the order of the chains."""


def uniforms(count: int, dim: int, generator: Generator) -> Tensor:
    """Uniform numbers in (0, 1), float64 [count, dim]; never 0."""
    return torch.rand(count, dim, generator=generator, dtype=torch.float64).clamp(min=2**-54)


# Direct methods


def inverse(law: Law, count: int, generator: Generator) -> Iterator[Batch]:
    """x = F⁻¹(u); in the plane x1 so, and x2 by its distribution given x1 (Rosenblatt 1952)."""
    for size in _blocks(count):
        u = uniforms(size, law.dim, generator)
        yield _independent(law.quantile(u), law.effort * u.numel())


def box_muller(law: Law, count: int, generator: Generator) -> Iterator[Batch]:
    """Two uniform numbers make two normal ones, from which the law is a shift, a stretch or a turn."""
    if not isinstance(law, LineNormal | Normal2):
        raise ValueError("Box-Muller makes normal numbers only")
    for size in _blocks(count):
        pairs = uniforms(math.ceil(size * law.dim / 2), 2, generator)
        z = ring(pairs).reshape(-1, law.dim)[:size]
        yield _independent(law.from_normals(z), pairs.numel())


def ring(u: Tensor) -> Tensor:
    """Uniform pairs -> standard normal ones: radius √(-2 log u1), angle 2π u2 (Box & Muller 1958). [N, 2]"""
    radius, angle = (-2 * u[:, 0].log()).sqrt(), 2 * math.pi * u[:, 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


class Tried(NamedTuple):
    """Proposals [N, D], how high each was placed under M q as a share of it (0 to 1), p / (M q), and what was kept."""

    x: Tensor
    height: Tensor
    ratio: Tensor
    kept: Tensor


def tried(law: Law, count: int, generator: Generator) -> Tried:
    """One round of rejection: a proposal is kept with probability p / (M q) (von Neumann 1951)."""
    proposal = law.proposal()
    x = proposal.quantile(uniforms(count, law.dim, generator))
    ratio = (law.log_density(x) - proposal.log_density(x) - proposal.log_bound).exp()
    height = uniforms(count, 1, generator)[:, 0]
    return Tried(x, height, ratio, height < ratio)


def rejection(law: Law, count: int, generator: Generator) -> Iterator[Batch]:
    """Proposals under the envelope M q that fall under p: a share of 1 / M of them."""
    bound = math.exp(law.proposal().log_bound)
    while count > 0:
        size = min(BLOCK, math.ceil(bound * count))
        round_ = tried(law, size, generator)
        kept = round_.x[round_.kept]
        yield Batch(kept[:count].unsqueeze(1), len(kept), size, size)
        count -= len(kept)


def importance(law: Law, count: int, generator: Generator) -> Iterator[Batch]:
    """Proposals from q as they come, with weights p / q."""
    proposal = law.proposal()
    for size in _blocks(count):
        x = proposal.quantile(uniforms(size, law.dim, generator))
        weights = law.log_density(x) - proposal.log_density(x)
        yield _independent(x, size)._replace(log_weights=weights.unsqueeze(1))


# Markov chains


def metropolis(
    law: Law, count: int, generator: Generator, *, chains: int = 20, burn_in: int = 200, scale: float | None = None
) -> Iterator[Batch]:
    """A random walk that refuses some steps (Metropolis et al. 1953); a step over an edge is always refused.

    scale:  standard deviation of a step, 2.4 narrow ones unless told (Gelman et al. 1996); of a table, most places
    """
    scale = scale or law.scales().narrow * (1 if law.discrete else 2.4)
    if isinstance(law, TableLaw):
        walk = partial(ring_walk, size=len(law.values), reach=max(1, round(scale)))
    else:
        walk = partial(random_walk, scale=scale)
    return _walked(lambda x: walk(x, law.log_density, generator=generator), law, count, generator, chains, burn_in, 2)


def independence(
    law: Law, count: int, generator: Generator, *, chains: int = 20, burn_in: int = 200
) -> Iterator[Batch]:
    """Proposals that do not look where the chain is, accepted by the ratio of their weights p / q (Hastings 1970)."""
    proposal = law.proposal()

    def log_weight(x: Tensor) -> Tensor:
        return law.log_density(x) - proposal.log_density(x)

    def move(x: Tensor) -> Move:
        fresh = proposal.quantile(uniforms(len(x), law.dim, generator))
        return choose(x, fresh, log_weight(fresh) - log_weight(x), generator)

    return _walked(move, law, count, generator, chains, burn_in, 2)


def hamiltonian(
    law: Law, count: int, generator: Generator, *,
    chains: int = 20, burn_in: int = 200, step: float | None = None, leaps: int | None = None,
) -> Iterator[Batch]:  # fmt: skip
    """Hamiltonian Monte Carlo in free coordinates: log x for x > 0, logit x between 0 and 1, else x itself.

    step:   of a leap, 0.8 narrow ones unless told; every move of a chain takes its own, up to a fifth off, so that no
            orbit closes (Neal 2011, section 5.4.2.2)
    leaps:  per move; as many as make a move 1.6 wide ones long, at most 50, unless told
    """
    narrow, wide = law.free_scales()
    step = step or 0.8 * narrow
    leaps = leaps or min(50, max(1, round(1.6 * wide / step)))

    def move(z: Tensor) -> Move:
        own = step * (0.8 + 0.4 * uniforms(len(z), 1, generator))
        return hmc(z, law.free_log_density, own, leaps, generator)

    free = _walked(move, law, count, generator, chains, burn_in, leaps + 1, law.to_free)
    return (batch._replace(x=law.from_free(batch.x)) for batch in free)


def gibbs(law: Law, count: int, generator: Generator, *, chains: int = 20, burn_in: int = 200) -> Iterator[Batch]:
    """Each coordinate in turn from its law given the other as it is by then (Geman & Geman 1984)."""
    if not isinstance(law, Normal2):
        raise ValueError("Gibbs needs the law of each coordinate given the other")

    def move(x: Tensor) -> Move:
        first, second = x.T
        first = redrawn(law, second, generator)
        second = redrawn(law, first, generator)
        return Move(torch.stack([first, second], dim=1), torch.ones(len(x), dtype=torch.float64))

    return _walked(move, law, count, generator, chains, burn_in, 2)


def redrawn(law: Normal2, other: Tensor, generator: Generator) -> Tensor:
    """One coordinate given the other, [N]."""
    mean, std = law.conditional(other)
    return mean + std * torch.randn(len(other), generator=generator, dtype=torch.float64)


def ring_walk(x: Tensor, log_density: LogDensity, generator: Generator, size: int, reach: int) -> Move:
    """Metropolis on places 0 to size - 1 in a ring [N, 1]: up to `reach` places either way, or none, all alike."""
    jump = torch.randint(-reach, reach + 1, x.shape, generator=generator)
    proposal = (x + jump) % size
    return choose(x, proposal, log_density(proposal) - log_density(x), generator)


def begun(law: Law, chains: int, generator: Generator) -> Tensor:
    """Where chains begin, [C, D]: each at one of `CHOICE` proposals, by their weights, so that none begins far out."""
    proposal = law.proposal()
    x = proposal.quantile(uniforms(chains * CHOICE, law.dim, generator))
    weights = (law.log_density(x) - proposal.log_density(x)).reshape(chains, CHOICE).softmax(1)
    return x.reshape(chains, CHOICE, -1)[torch.arange(chains), weights.multinomial(1, generator=generator)[:, 0]]


def _walked(
    move: Callable[[Tensor], Move], law: Law, count: int, generator: Generator,
    chains: int, burn_in: int, effort: int, enter: Callable[[Tensor], Tensor] = lambda x: x,
) -> Iterator[Batch]:  # fmt: skip
    """The states of chains, without the first `burn_in` of each, which are paid for too."""
    x = enter(begun(law, chains, generator))
    for left, kept in ((burn_in, False), (math.ceil(count / chains), True)):
        for first in range(0, left, MOVES):
            states, accepted = [], 0.0
            for _ in range(min(MOVES, left - first)):
                x, probability = move(x)
                states.append(x)
                accepted += probability.sum().item()
            made = torch.stack(states)
            proposals = len(states) * chains
            yield Batch(made if kept else made[:0], accepted * kept, proposals * kept, proposals * effort)


def _blocks(count: int) -> Iterator[int]:
    for first in range(0, count, BLOCK):
        yield min(BLOCK, count - first)


def _independent(x: Tensor, evaluations: int) -> Batch:
    return Batch(x.unsqueeze(1), len(x), len(x), evaluations)


# Which method goes with which law


@dataclass(frozen=True)
class Method:
    """A way to draw, what it is called in a sentence, whether it makes chains, and why it cannot serve a law or ""."""

    draw: Draw
    title: str
    chained: bool
    refusal: Callable[[Law], str] = lambda law: ""

    @property
    def options(self) -> list[str]:
        """What may be chosen about it."""
        return list(getattr(self.draw, "__kwdefaults__", None) or ())


def _not_normal(law: Law) -> str:
    return "" if isinstance(law, LineNormal | Normal2) else "it turns uniform numbers into normal ones and nothing else"


def _no_gradient(law: Law) -> str:
    return "a table has no gradient to follow" if law.discrete else ""


def _no_conditionals(law: Law) -> str:
    if law.dim == 1:
        return "it draws each coordinate given the others, and here is only one"
    return "" if isinstance(law, Normal2) else "the law of x1 given x2 has no closed form to draw from"


METHODS: dict[str, Method] = {
    "inverse": Method(inverse, "inverse CDF", False),
    "box-muller": Method(box_muller, "Box–Muller", False, _not_normal),
    "rejection": Method(rejection, "rejection", False),
    "importance": Method(importance, "importance sampling", False),
    "metropolis": Method(metropolis, "Metropolis–Hastings, random walk", True),
    "independence": Method(independence, "Metropolis–Hastings, independence", True),
    "hmc": Method(hamiltonian, "Hamiltonian Monte Carlo", True, _no_gradient),
    "gibbs": Method(gibbs, "Gibbs", True, _no_conditionals),
}
