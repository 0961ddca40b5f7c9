"""The Ising model on a square without wrapping around: spins -1 and 1, drawn by Gibbs sampling."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

MOST_SIDE = 32
ENUMERATED = 4  # the largest side of which all 2^(side²) configurations are looked at
AS_MATRIX = 3  # the largest side of which the Gibbs chain is written as a matrix of 2^(side²) states


@dataclass(frozen=True)
class Ising:
    """p(s) ∝ exp(-beta H(s)), H(s) = -Σ s_i s_j over neighbours - field Σ s_i.

    beta:  inverse temperature, the coupling being 1
    """

    side: int
    beta: float
    field: float = 0.0

    def energy(self, spins: Tensor) -> Tensor:
        """H of spins float64 [..., side, side], [...]."""
        return -self.bonds(spins) - self.field * spins.sum((-1, -2))

    def bonds(self, spins: Tensor) -> Tensor:
        """Σ s_i s_j over neighbours, each pair once; like `energy`."""
        down = (spins[..., 1:, :] * spins[..., :-1, :]).sum((-1, -2))
        return down + (spins[..., :, 1:] * spins[..., :, :-1]).sum((-1, -2))

    def up(self, spins: Tensor) -> Tensor:
        """The probability of each spin being 1, given all the others; like spins.

        1 / (1 + exp(-2 beta (Σ s_j over neighbours + field))) (Glauber 1963; Geman & Geman 1984).
        """
        around = torch.zeros_like(spins)
        around[..., 1:, :] += spins[..., :-1, :]
        around[..., :-1, :] += spins[..., 1:, :]
        around[..., :, 1:] += spins[..., :, :-1]
        around[..., :, :-1] += spins[..., :, 1:]
        return (2 * self.beta * (around + self.field)).sigmoid()

    def sweeps(self, spins: Tensor, generator: Generator) -> Iterator[Tensor]:
        """Many chains at once, [C, side, side]: at the start and after each sweep; without end.

        A sweep draws the white squares of a chessboard, which are not neighbours, and then the black ones.
        """
        place = torch.arange(self.side)
        white = (place.unsqueeze(1) + place) % 2 == 0
        while True:
            yield spins
            for squares in (white, ~white):
                uniform = torch.rand(spins.shape, generator=generator, dtype=torch.float64)
                drawn = torch.where(uniform < self.up(spins), 1.0, -1.0).double()
                spins = torch.where(squares, drawn, spins)

    def configurations(self) -> Tensor:
        """All of them, [2^(side²), side, side]: number n has spin 1 where n has a binary digit 1, the lowest first."""
        sites = torch.arange(self.side**2)
        digits = (torch.arange(2 ** (self.side**2)).unsqueeze(1) >> sites) & 1
        return (2.0 * digits - 1).double().reshape(-1, self.side, self.side)

    def law(self) -> Tensor:
        """Of the configurations, [2^(side²)], by enumeration."""
        return (-self.beta * self.energy(self.configurations())).softmax(0)

    def matrix(self) -> Tensor:
        """Of the chain that draws one site, chosen at random, anew: [S, S], S = 2^(side²).

        Glauber dynamics (Levin, Peres & Wilmer 2017, section 3.3).
        """
        spins = self.configurations()
        up = self.up(spins).flatten(1)
        states, sites = torch.arange(len(spins)), spins[0].numel()
        chain = torch.zeros(len(spins), len(spins), dtype=torch.float64)
        for site in range(sites):
            chain[states, states | (1 << site)] += up[:, site] / sites
            chain[states, states & ~(1 << site)] += (1 - up[:, site]) / sites
        return chain
