"""The variational bound: what each step of a walk costs in nats (Ho et al. 2020, eq. 5).

    -log p(x0) <= KL(q(x_T | x0) || N(0, alpha_T² + sigma_T²))
                  + sum over steps t -> s of KL(q(x_s | x_t, x0) || p(x_s | x_t)) - log p(x0 | x_1)

A walk is a list of levels that ends in CLEAN, so every term but the first belongs to a pair of neighbours. The step to
CLEAN is the decoder: the share of a Gaussian that falls to each of 256 values, or its density where data are real.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffcli.core.devices import anywhere
from diffcli.core.diffusion.walks import interpolated
from diffcli.core.levels import Level, bridge
from diffcli.core.processes.laws.gaussian import kl
from diffcli.core.processes.laws.pixels import STEP

LEAST_STD = STEP / 8  # of the decoder: half a bin is four of it, and its 256 values cannot be told better apart


def prior(x0: Tensor, level: Level) -> Tensor:
    """KL(q(x_T | x0) || N(0, alpha² + sigma²)) in nats per item [B]: what starting from pure noise costs."""
    length = torch.hypot(level.alpha, level.sigma)
    return kl(level.alpha * x0, level.sigma, 0.0, length).flatten(1).sum(1)


def reverse_variance(
    kind: str, t: Level, s: Level, *, error: Tensor | float | None = None, fraction: Tensor | None = None
) -> Tensor:
    """The variance of p(x_s | x_t), like the levels or like `fraction`.

    kind:   "small" is beta tilde, "large" is beta; "learned" lies between by `fraction`; "optimal" is what minimises
            the bound for this model: beta tilde and what the error of x0 adds (Bao et al. 2022, theorem 1)
    error:  mean squared error of x0, per number, for "optimal"

    On the step to CLEAN beta tilde is 0: there "small" is beta too, and "learned" begins at `LEAST_STD`.
    """
    step = bridge(t, s)
    if kind == "optimal":
        assert error is not None
        return step.variance + step.of_x0**2 * error
    last = s.sigma == 0
    if kind == "learned":
        least = step.forward_variance.clamp(max=LEAST_STD**2)
        return interpolated(step._replace(variance=torch.where(last, least, step.variance)), fraction)
    return torch.where(last, step.forward_variance, step.variance) if kind == "small" else step.forward_variance


def transition(x0: Tensor, estimate: Tensor, t: Level, s: Level, variance: Tensor) -> Tensor:
    """KL(q(x_s | x_t, x0) || N(..., variance)) in nats, number by number: both means differ by the estimate of x0."""
    step = bridge(t, s)
    gap = (step.of_x0.to(x0) * (estimate - x0)).square()
    ratio = (step.variance / variance).to(x0)
    return (gap / variance.to(x0) + ratio - 1 - ratio.log()) / 2


def decoder(x0: Tensor, mean: Tensor, variance: Tensor, *, discrete: bool) -> Tensor:
    """-log p(x0 | x_1) in nats, number by number: of a value's bin (Ho et al. 2020, eq. 13), or as a density."""
    std = variance.sqrt().to(x0)
    if discrete:
        return -log_bin(x0, mean, std)
    return ((x0 - mean) / std).square() / 2 + std.log() + math.log(2 * math.pi) / 2


def terms(
    kind: str, x0: Tensor, estimate: Tensor, t: Level, s: Level, *, discrete: bool, fraction: Tensor | None = None
) -> Tensor:
    """The cost in nats, number by number, of steps that each item has for itself: levels [B, 1, ..., 1], like x0."""
    variance = reverse_variance(kind, t, s, fraction=fraction)
    if x0.device.type != "cpu":  # which would be waited for to tell the items apart
        return chosen_terms(x0, estimate, t, s, variance, discrete=discrete)
    last = (s.sigma == 0).flatten()
    nats = torch.empty_like(x0)
    here, after = (Level(level.alpha[~last], level.sigma[~last]) for level in (t, s))
    nats[~last] = transition(x0[~last], estimate[~last], here, after, variance[~last])
    if bool(last.any()):
        nats[last] = decoder(x0[last], estimate[last], variance[last], discrete=discrete)
    return nats


def chosen_terms(x0: Tensor, estimate: Tensor, t: Level, s: Level, variance: Tensor, *, discrete: bool) -> Tensor:
    """`terms` of these variances: both costs of every item, of which one is chosen.

    Where the last step is chosen the other one goes to a level on the way, which leaves no nan in a gradient.
    """
    last = s.sigma == 0
    halfway = Level(torch.where(last, t.alpha, s.alpha), torch.where(last, t.sigma / 2, s.sigma))
    nats = transition(x0, estimate, t, halfway, variance)
    return torch.where(last, decoder(x0, estimate, variance, discrete=discrete), nats)


def log_bin(x0: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Log of the share of N(mean, std²) that falls into the bin of each value, the outer bins open to infinity."""
    upper = torch.where(x0 > 1 - STEP / 2, math.inf, (x0 + STEP / 2 - mean) / std)
    lower = torch.where(x0 < -1 + STEP / 2, -math.inf, (x0 - STEP / 2 - mean) / std)
    right = lower > 0  # the upper tail is the lower one mirrored, where differences of Phi do not cancel
    upper, lower = torch.where(right, -lower, upper), torch.where(right, -upper, lower)
    top = anywhere(torch.special.log_ndtr, upper)
    below = (anywhere(torch.special.log_ndtr, lower) - top).clamp(max=-1e-7)
    return top + (-torch.expm1(below)).log()


def fixed_terms(kind: str, errors: Tensor, numbers: int, levels: Sequence[Level], mean_errors: Tensor) -> Tensor:
    """The terms of the steps between `levels`, CLEAN not among them, one variance per step: nats of items [B, N - 1].

    errors:       squared error of x0 of each item at each level, summed over its numbers, [B, N]
    numbers:      in one item
    mean_errors:  per number, of the data that the optimal variance goes by, [N]
    """
    t, s = stacked(levels[:-1]), stacked(levels[1:])
    return _step_nats(kind, errors[:, :-1], numbers, t, s, mean_errors[:-1])


def stacked(levels: Sequence[Level]) -> Level:
    """Many levels as one whose parts are [N]."""
    return Level(*(torch.stack([getattr(level, part) for level in levels]) for part in Level._fields))


def _step_nats(kind: str, errors: Tensor, numbers: int, t: Level, s: Level, mean_error: Tensor) -> Tensor:
    """`transition` summed over the numbers of an item, from the sum of their squared errors alone."""
    step, variance = bridge(t, s), reverse_variance(kind, t, s, error=mean_error)
    ratio = step.variance / variance
    return (step.of_x0**2 * errors / variance + numbers * (ratio - 1 - ratio.log())) / 2


def pair_table(kind: str, errors: Tensor, numbers: int, levels: Sequence[Level], mean_errors: Tensor) -> Tensor:
    """Mean nats of a step from each level to each less noisy one, [N, N]: [i, j] for j > i, infinite elsewhere.

    errors:       mean squared error of x0 per number at each level, [N]; levels fall from noise
    mean_errors:  the same of the data that the optimal variance goes by
    """
    here = stacked(levels)
    t = Level(here.alpha.unsqueeze(1), here.sigma.unsqueeze(1))
    nats = _step_nats(kind, errors.unsqueeze(1) * numbers, numbers, t, here, mean_errors.unsqueeze(1))
    later = torch.arange(len(errors)).unsqueeze(1) < torch.arange(len(errors))
    return torch.where(later, nats, math.inf)


def best_path(first: Tensor, steps: Tensor, last: Tensor, count: int, discount: float = 1.0) -> tuple[list[int], float]:
    """Which `count` levels a walk should stop at to cost least: a shortest path (Watson et al. 2021, algorithm 1).

    first:     cost of starting at each level, [N]
    steps:     cost of a step from level i to level j, infinite where there is none, [N, N]
    last:      cost of the step from each level to CLEAN, [N]
    discount:  step k = 0, 1, ... counts discount^k times (Chen et al. 2024, section 4.2: above 1 late steps more)

    Raises ValueError where there are fewer levels than `count`.
    """
    if not 1 <= count <= len(first):
        raise ValueError(f"a walk over {len(first)} levels cannot stop at {count} of them")
    cost, came = first.clone(), []
    for taken in range(count - 1):
        through = cost.unsqueeze(1) + discount**taken * steps
        cost, origin = through.min(0)
        came.append(origin)
    total = cost + discount ** (count - 1) * last
    place = int(total.argmin())
    path = [place]
    for origin in reversed(came):
        path.append(int(origin[path[-1]]))
    return path[::-1], total[place].item()
