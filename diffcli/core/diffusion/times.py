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
        bins, kept = self.losses.shape
        size = self.losses.square().mean(1).sqrt()
        if bool((self.seen < kept).any()) or not bool(size.sum() > 0):
            return torch.ones(bins, dtype=torch.float64)
        return (1 - self.floor) * size / size.mean() + self.floor

    def draw(self, count: int, source: Source | None = None) -> tuple[Tensor, Tensor]:
        """Times in (0, 1] and the density of each, both [count]: a loss divided by the density keeps its mean."""
        density = self.density.cpu()
        ends = density.cumsum(0) / density.sum()
        share = stratified(count, source)
        place = torch.searchsorted(ends, share.clamp(max=ends[-1].item()))
        within = (share - (ends - density / density.sum())[place]) / (density / density.sum())[place]
        return ((place + within.clamp(1e-9, 1)) / len(density)).clamp(max=1), density[place]

    @torch.no_grad()
    def record(self, t: Tensor, losses: Tensor) -> None:
        """Remember the loss at each time, [B] both; losses that are not finite are left out."""
        bins, kept = self.losses.shape
        known = losses.isfinite()
        place = (t[known] * bins).ceil().long().clamp(1, bins).sub(1)
        order = place.argsort(stable=True)  # bin by bin, in each as they come
        place, loss = place[order], losses[known][order].to(self.losses)
        counts = place.bincount(minlength=bins)
        turn = torch.arange(len(place)) - (counts.cumsum(0) - counts)[place]  # of its bin, from 0
        last = turn >= counts[place] - kept  # of more than fit the last stay
        self.losses[place[last], ((self.seen[place] + turn) % kept)[last]] = loss[last]
        self.seen += counts
