"""Which times a network is trained at: evenly, or more often where its loss is large."""

import torch
from torch import Tensor, nn

from diffcli.core.draws import Source, drawn_places


def stratified(count: int, source: Source | None = None) -> Tensor:
    """Times in (0, 1], [count] float64, each uniform.

    One random number shifts `count` equally spaced times, so that together they cover the range, which lowers the
    variance of the loss (Kingma et al. 2021, appendix I.1).
    """
    return 1 - drawn_places(source, count)


class LossHistory(nn.Module):
    """Draws times with a density in proportion to the root mean square of the last losses there.

    Of all densities this gives the mean loss with the least variance (Nichol & Dhariwal 2021, eq. 18). The history
    is part of a model's state, so that a resumed training draws the same times.

    bins:  of the times, each with a density of its own
    kept:  losses remembered per bin; until each bin has so many, times are even
    """

    losses: Tensor
    seen: Tensor

    def __init__(self, bins: int = 100, kept: int = 10, floor: float = 0.001) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer("losses", torch.zeros(bins, kept, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(bins, dtype=torch.int64))

    @property
    def density(self) -> Tensor:
        """Of times, bin by bin, with mean 1; at least `floor`."""
        size = self.losses.square().mean(1).sqrt()
        known = (self.seen >= self.losses.shape[1]).all() & (size.sum() > 0)
        return torch.where(known, (1 - self.floor) * size / size.mean() + self.floor, 1.0)

    def draw(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Times in (0, 1] and the density of each: a loss divided by the density keeps its mean.

        places:  what the times would be if they were even, in (0, 1], where the history is; all are like it
        """
        density = self.density
        ends = density.cumsum(0) / density.sum()
        place = torch.searchsorted(ends, torch.minimum(places, ends[-1]))
        within = (places - (ends - density / density.sum())[place]) / (density / density.sum())[place]
        return ((place + within.clamp(1e-9, 1)) / len(density)).clamp(max=1), density[place]

    @torch.no_grad()
    def record(self, t: Tensor, losses: Tensor) -> None:
        """Remember the loss at each time, [B] both, where the history is; losses that are not finite are left out.

        It is as if they came one by one. Nothing here is waited for, so what is left out has a bin of its own.
        """
        bins, kept = self.losses.shape
        place = torch.where(losses.isfinite(), (t * bins).ceil().long().clamp(1, bins) - 1, bins)
        place, order = place.sort(stable=True)  # bin by bin, in each as they come
        begin = torch.searchsorted(place, torch.arange(bins + 2, device=t.device))
        counts = begin.diff()
        turn = torch.arange(len(place), device=t.device) - begin[place]  # of its bin, from 0
        row = place.clamp(max=bins - 1)
        stays = (place < bins) & (turn >= counts[place] - kept)  # of more than fit the last
        cell = torch.where(stays, row * kept + (self.seen[row] + turn) % kept, bins * kept)
        held = torch.cat([self.losses.flatten(), self.losses.new_zeros(1)])
        held[cell] = losses[order].to(held.dtype)
        self.losses.copy_(held[:-1].view_as(self.losses))
        self.seen += counts[:-1]
