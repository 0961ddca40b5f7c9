"""Numbers that are independent of each other and take few values, as the pixels of an image do on their own."""

from typing import Any

import torch
from torch import Tensor, nn

from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.exact import Exact
from diffcli.core.levels import CLEAN, Level

BLOCK = 1 << 19  # posterior weights held at once: they fit a cache
LEAST_VARIANCE = 1e-12  # keeps the derivative of the standard deviation finite


class PixelHistogram(nn.Module):
    """How often each of 256 values, evenly spaced in [-1, 1], occurs; and what it makes of one noisy number.

    forward(x, level) -> mean and standard deviation of x0 given x, number by number, each like x.
    """

    counts: Tensor
    values: Tensor

    def __init__(self, values: int = 256) -> None:
        super().__init__()
        self.register_buffer("counts", torch.ones(values))
        self.register_buffer("values", torch.linspace(-1, 1, values, dtype=torch.float64).float(), persistent=False)

    def count(self, x0: Tensor) -> None:
        """Take the histogram of data in [-1, 1], each value once more than it occurs: none is impossible."""
        places = ((x0.flatten().double() + 1) / 2 * (len(self.counts) - 1)).round().long()
        self.counts.copy_(torch.bincount(places, minlength=len(self.counts)) + 1)

    @property
    def entropy(self) -> float:
        """Of one number, in nats: no model that knows the histogram alone takes fewer."""
        shares = self.counts.double() / self.counts.sum()
        return -(shares * shares.log()).sum().item()

    def forward(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Bayes' rule over the values."""
        alpha, sigma = (part.to(x).expand_as(x).flatten().unsqueeze(1) for part in level)
        rows = max(1, BLOCK // len(self.counts))
        parts = zip(*(part.split(rows) for part in (x.flatten().unsqueeze(1), alpha, sigma)), strict=True)
        mean, std = (torch.cat(part).reshape(x.shape) for part in zip(*(self._part(*p) for p in parts), strict=True))
        return mean, std

    def cost(self, x0: Tensor, x: Tensor, level: Level) -> Tensor:
        """-log p(x0 | x) in nats, number by number: a decoder that knows the histogram (Kingma et al. 2021, section 3).

        p(x0 | x) is in proportion to how often x0 occurs and to the density of x given it.
        """
        values, shares = self.values.to(x), self.counts.to(x).log()
        places = ((x0 + 1) / 2 * (len(values) - 1)).round().long()
        rows = max(1, BLOCK // len(values) // max(1, x[0].numel()))
        found = []
        for i in range(0, len(x), rows):
            here = Level(*(part[i : i + rows].to(x) if part.dim() else part.to(x) for part in level))
            distance = (x[i : i + rows].unsqueeze(-1) - here.alpha.unsqueeze(-1) * values) / here.sigma.unsqueeze(-1)
            logits = shares - distance * distance / 2
            of_x0 = logits.gather(-1, places[i : i + rows].unsqueeze(-1)).squeeze(-1)
            found.append(logits.logsumexp(-1) - of_x0)
        return torch.cat(found)

    def _part(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        values = self.values.to(x)
        distance = (x - alpha * values) / sigma
        weights = (self.counts.to(x).log() - distance * distance / 2).softmax(1)
        mean = weights @ values
        # the second moment about the mean's nearest value: no cancellation where one value has all the weight
        nearest = values[((mean + 1) / 2 * (len(values) - 1)).round().long()]
        offset = values - nearest.unsqueeze(1)
        square = (weights * (offset * offset)).sum(1)
        return mean, (square - (mean - nearest) ** 2).clamp(min=LEAST_VARIANCE).sqrt()


class Pixelwise(Exact):
    """Data whose numbers are drawn independently from one histogram: the best model that looks at each alone."""

    def __init__(self, histogram: PixelHistogram, shape: tuple[int, ...]) -> None:
        self.histogram, self.shape = histogram, shape

    def __call__(self, x: Tensor, level: Level, **_: Any) -> Prediction:
        wide = x.double()
        x0, _ = self.histogram(wide, level)
        return Prediction(x0.to(x.dtype), ((wide - level.alpha * x0) / level.sigma).to(x.dtype))

    def log_density(self, x: Tensor, level: Level = CLEAN) -> Tensor:
        """At CLEAN, log of the probability of values that the histogram has; elsewhere a density."""
        shares = self.histogram.counts.double() / self.histogram.counts.sum()
        if level.sigma == 0:
            places = ((x.double() + 1) / 2 * (len(shares) - 1)).round().long()
            return shares[places].log().flatten(1).sum(1)
        values = self.histogram.values.double()
        distance = (x.double().unsqueeze(-1) - level.alpha * values) / level.sigma
        constant = shares.log() - (level.sigma * (2 * torch.pi) ** 0.5).log()
        return (constant - distance.square() / 2).logsumexp(-1).flatten(1).sum(1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        numbers = count * torch.Size(self.shape).numel()
        places = torch.multinomial(self.histogram.counts.double(), numbers, replacement=True, generator=generator)
        return self.histogram.values.double()[places].reshape(count, *self.shape)
