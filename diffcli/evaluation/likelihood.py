"""The likelihood of a model by its probability flow, with the noise that turns 8-bit values into real numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.diffusion.likelihood import PROBES, Trace, exact_trace, flowed, hutchinson, log_prior
from diffcli.core.diffusion.schedules import LogSNR
from diffcli.core.levels import CLEAN, Level
from diffcli.core.processes.laws.pixels import STEP
from diffcli.core.randomness import image_noise

DEQUANTISATIONS = ("variational", "uniform", "none")
TRACES = ("exact", *PROBES)


class FollowedFlow(NamedTuple):
    """Of a batch of items.

    nats:         -log p of each, or a bound of it where 8-bit values were turned into real numbers, [B]
    evaluations:  of the flow's velocity, by the batch together
    refused:      steps of the solver that were taken again
    done:         share of the flow in t
    """

    nats: Tensor
    evaluations: int
    refused: int
    done: float


@dataclass(frozen=True)
class FlowLikelihood:
    """How a likelihood is computed.

    most, least:     log-SNR at which the flow begins, data being taken for noisy ones of that level, and ends
    dequantisation:  "uniform" adds noise as wide as a value's bin; "variational" the noise of the first level, whose
                     density and the decoder's cost are part of the bound then; "none" is for real numbers
    trace:           one of `TRACES`, with so many `probes`
    decoder:         the decoder's reverse variance, "large" or "learned"
    """

    denoise: Denoise
    most: float
    least: float
    dequantisation: str
    trace: str
    probes: int = 1
    rtol: float = 1e-5
    atol: float = 1e-5
    seed: int = 0
    decoder: str = "large"
    device: torch.device | str = "cpu"

    @property
    def schedule(self) -> LogSNR:
        """The path: the flow's end does not depend on it, and a solver likes one without the kinks of a table."""
        return LogSNR(self.most, self.least)

    @property
    def level(self) -> Level:
        """Where the flow begins."""
        return self.schedule(torch.zeros((), dtype=torch.float64))

    def run(self, x0: Tensor, first: int, conditions: Conditions) -> Iterator[FollowedFlow]:
        """The flow of items [B, ...] numbered from `first` on, and so conditioned; the last one has the result.

        Raises TooSmallSteps where the flow cannot be followed.
        """
        numbers = range(first, first + len(x0))
        told = {name: values.to(self.device) for name, values in conditions.items()}
        x, cost = self._noised(x0, numbers, told)
        trace = self._trace(x0, numbers)
        steps = flowed(self.denoise, x, self.schedule, 0.0, trace, rtol=self.rtol, atol=self.atol, **told)
        for step in steps:
            yield FollowedFlow(cost, step.evaluations, step.refused, min(step.t, 0.999))
        log_p = log_prior(step.x.cpu(), self.schedule) + step.divergence.cpu().double()
        yield FollowedFlow(cost - log_p, step.evaluations, step.refused, 1.0)

    def _noised(self, x0: Tensor, numbers: range, told: Conditions) -> tuple[Tensor, Tensor]:
        """Where the items start to flow, and what must be added to -log p there, in nats [B]."""
        alpha, sigma = self.level
        size = x0[0].numel()
        if self.dequantisation == "variational":
            eps = image_noise(self.seed, "dequantise", numbers, x0.shape[1:]).double()
            x = self.level.noised(x0.double(), eps).to(x0.dtype).to(self.device)
            of_noise = -(eps.square() / 2 + sigma.log() + math.log(2 * math.pi) / 2).flatten(1).sum(1)
            with torch.no_grad():
                prediction = self.denoise(x, self.level, **told)
            share = None if prediction.variance_fraction is None else prediction.variance_fraction.cpu().double()
            variance = bound.reverse_variance(self.decoder, self.level, CLEAN, fraction=share)
            decoded = bound.decoder(x0.double(), prediction.x0.cpu().double(), variance, discrete=True)
            return x, of_noise + decoded.flatten(1).sum(1)
        shift = torch.zeros_like(x0, dtype=torch.float64)
        if self.dequantisation == "uniform":
            normal = image_noise(self.seed, "dequantise", numbers, x0.shape[1:]).double()
            shift = STEP * (torch.special.ndtr(normal) - 0.5)
        x = (alpha * (x0.double() + shift)).to(x0.dtype).to(self.device)
        per_number = -alpha.log() - (math.log(STEP) if self.dequantisation == "uniform" else 0.0)
        return x, (size * per_number).expand(len(x0))

    def _trace(self, x0: Tensor, numbers: range) -> Trace:
        if self.trace == "exact":
            return exact_trace
        normal = torch.stack([image_noise(self.seed, "probe", numbers, x0.shape[1:], k) for k in range(self.probes)])
        return hutchinson(PROBES[self.trace](normal).to(self.device, x0.dtype))
