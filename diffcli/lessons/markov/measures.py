"""A finite Markov chain looked through: its exact numbers, and how often simulated chains were where."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from diffcli.core.processes.chains import finite
from diffcli.core.processes.chains.finite import CommunicatingClass, Finite
from diffcli.metrics.statistics import standard_error

BATCHES = 32  # at least, in all
CURVE = 200  # points of a curve over time, at most
FAINT = 1e-10  # a total variation that is not followed below


@dataclass(frozen=True)
class Portrait:
    """All that is known of a chain without simulation.

    laws:         the stationary law of each closed class [K, S]
    imbalances:   the largest violation of detailed balance under each law
    eigenvalues:  complex [S], the largest modulus first
    apart:        the largest difference of the law from the eigenvector; None with several laws
    """

    chain: Finite
    classes: list[CommunicatingClass]
    laws: Tensor
    imbalances: list[float]
    reversible: bool
    eigenvalues: Tensor
    gap: float
    mixing_time: int | None
    apart: float | None

    @property
    def closed(self) -> list[CommunicatingClass]:
        """The closed classes, in the order of their laws."""
        return [part for part in self.classes if part.closed]

    @property
    def irreducible(self) -> bool:
        """Whether every state can be reached from every other."""
        return len(self.classes) == 1

    @property
    def period(self) -> int:
        """The least common multiple of the periods of the closed classes."""
        return math.lcm(*(part.period for part in self.closed))

    @property
    def law(self) -> Tensor | None:
        """The stationary law [S]; None where there are several."""
        return self.laws[0] if len(self.laws) == 1 else None

    @property
    def obstacle(self) -> str:
        """Why the chain does not mix; "" if it does."""
        if len(self.closed) > 1:
            return f"it has {len(self.closed)} closed classes, and which one it ends in depends on the start"
        if self.period > 1:
            return f"it has period {self.period}: its law goes round and never settles"
        return "" if self.mixing_time is not None else f"it takes more than {finite.LONGEST:.0e} steps"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Bounds of the mixing time by the gap; None where the theorem does not apply."""
        if not (self.irreducible and self.reversible and self.gap > 0 and self.law is not None):
            return None
        return finite.bounds(self.gap, self.law.min().item())

    @property
    def worst_start(self) -> int:
        """The state that is furthest from the law when the chain has mixed; 0 where it does not."""
        if self.law is None or not self.mixing_time:
            return 0
        power = torch.linalg.matrix_power(self.chain.matrix, max(1, self.mixing_time - 1))
        return first_largest(finite.total_variation(power, self.law))

    @property
    def likeliest(self) -> int:
        """The state, or the first of those, in which the chain is most of the time; of the first law."""
        return first_largest(self.laws[0])

    def limit(self, start: int) -> Tensor:
        """The share of time in each state in the long run from a start, [S]."""
        shares = [finite.hitting_probabilities(self.chain.matrix, self.inside(part))[start] for part in self.closed]
        return torch.stack(shares) @ self.laws

    def inside(self, part: CommunicatingClass) -> Tensor:
        """The states of a class, as bool [S]."""
        return torch.zeros(len(self.chain.states), dtype=torch.bool).index_fill(0, part.members, True)


def first_largest(values: Tensor) -> int:
    """The first place of the largest value but for rounding, [N]."""
    return int((values > values.max() - 1e-9).nonzero()[0])


def portrait(chain: Finite) -> Portrait:
    """Classes, laws, spectrum and mixing time of a chain."""
    parts = finite.classes(chain.matrix)
    laws = finite.stationary_laws(chain.matrix, parts)
    reversible = all(finite.is_reversible(chain.matrix, law) for law in laws)
    values = finite.eigenvalues(chain.matrix, reversible and len(parts) == 1)
    unique = len(laws) == 1
    settles = unique and all(part.period == 1 for part in parts if part.closed)
    return Portrait(
        chain,
        parts,
        laws,
        [finite.imbalance(chain.matrix, law) for law in laws],
        reversible,
        values,
        finite.spectral_gap(values) if settles else 0.0,
        finite.mixing_time(chain.matrix, laws[0]) if settles else None,
        (finite.eigenvector(chain.matrix) - laws[0]).abs().max().item() if unique else None,
    )


def distances(chain: Finite, law: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Times [T] up to `steps`, and the total variation of the law of the chain then from the law, [T, S] by start."""
    stride = max(1, -(-steps // CURVE))
    count = steps // stride + 1
    rows = islice(finite.laws_over_time(chain.matrix, torch.eye(len(law)).double(), stride), count)
    curve = torch.stack([finite.total_variation(row, law) for row in rows])
    return torch.arange(count) * stride, curve


def occupation(visits: Tensor, states: int) -> tuple[Tensor, Tensor]:
    """The share of time in each state, [S], and its standard error, [S], of visits int64 [N, C] of chains."""
    cut = pieces(visits)
    count, length = cut.shape
    places = torch.arange(count).unsqueeze(1) * states + cut
    shares = places.flatten().bincount(minlength=count * states).reshape(count, states).double() / length
    return shares.mean(0), shares.std(0) / math.sqrt(count)


def piece_mean(values: Tensor) -> tuple[float, float]:
    """The mean of a number along chains, [N, C], and its standard error."""
    means = pieces(values).mean(1)
    return means.mean().item(), standard_error(means)


def pieces(values: Tensor) -> Tensor:
    """Chains [N, C] cut into pieces, 32 or more in all, [B, N'], whose means are taken as independent.

    Within a piece any correlation is allowed (batch means; Geyer 1992). What does not fill a piece is left out.
    """
    steps, chains = values.shape
    cuts = min(steps, -(-BATCHES // chains))
    length = steps // cuts
    return values[-cuts * length :].reshape(cuts, length, chains).transpose(1, 2).reshape(-1, length)


def first_within(distance: Callable[[Tensor], Tensor], near: float) -> int | None:
    """The first whole step at which a distance, which never grows, is at most `near`; None beyond 2^40."""

    def far(step: int) -> bool:
        return distance(torch.tensor(float(step)).double()).item() > near

    if not far(0):
        return 0
    low, high = 0, 1
    while far(high):
        if high >= finite.LONGEST:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if far(middle) else (low, middle)
    return high
