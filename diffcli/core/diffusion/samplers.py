"""Walks from noise to data. Each yields one `Step` per level; none prints, counts or stores.

All are called as (denoise, x, levels, *, noise, **options, **conditions): x is [B, ...] at levels[0], and `noise` gives
the fresh noise of a stochastic walk by number, standard normal like x. `walk` is that part which they have in common.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.multistep import VARIABLES, deis, dpmpp, dpmpp_3m, ipndm, unipc
from diffcli.core.diffusion.sde import euler_maruyama, probability_flow
from diffcli.core.diffusion.walks import VARIANCES, Noise, Option, Sampler, Step, renoised, walk
from diffcli.core.levels import Level, bridge
from diffcli.core.processes.montecarlo.langevin import langevin_step


@walk
def ddpm(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, variance: str = "small"
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), on any walk of levels.

    variance:  "small" is the posterior's own (beta tilde), right for data that are a point;
               "large" is the forward step's (beta), right for data that are standard normal;
               "learned" is the network's, between the two; ValueError where it has learned none
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        x0, _, fraction = denoise(x, t)
        posterior = bridge(t, s)
        x = posterior.of_x * x + posterior.of_x0 * x0
        if s.sigma > 0:  # the last step adds no noise (algorithm 2, line 3)
            x = x + VARIANCES[variance](posterior, fraction).sqrt() * noise(step)
        yield Step(x, x0)


@walk
def ddim(denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, eta: float = 0.0) -> Iterator[Step]:
    """Keep the clean estimate, change the level (Song et al. 2021, DDIM, eq. 12).

    With eta = 0 this is Euler's method for d(x / alpha) = eps d(sigma / alpha) (their eq. 14), with eta = 1 the
    ancestral one (sigma_up and sigma_down of k-diffusion): the samplers `euler` and `euler-ancestral`.

    eta:  0 is deterministic, 1 has the noise of DDPM with the small variance (eq. 16)
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        x0 = denoise(x, t).x0
        x = renoised(x, x0, t, s, eta, partial(noise, step))
        yield Step(x, x0)


@walk
def edm(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[Level],
    noise: Noise,
    *,
    churn: float = 0.0,
    churn_min: float = 0.0,
    churn_max: float = float("inf"),
    churn_noise: float = 1.0,
) -> Iterator[Step]:
    """Heun's method with a little fresh noise before each step (Karras et al. 2022, algorithm 2).

    It works on x / alpha, whose noise is sigma / alpha. The step to the data is Euler's, and so is one from a level
    without signal, where x / alpha does not exist. Without churn it is algorithm 1: the sampler `heun`.

    churn:                 S_churn, at most 0.41 times the number of steps takes effect
    churn_min, churn_max:  S_min and S_max, the noise levels between which there is churn
    churn_noise:           S_noise, the factor of the fresh noise
    """
    growth = min(churn / (len(levels) - 1), 2**0.5 - 1)
    for step, (t, s) in enumerate(pairwise(levels)):
        if t.alpha == 0:
            x0 = denoise(x, t).x0
            x = renoised(x, x0, t, s)
            yield Step(x, x0)
            continue
        y, before, after = x / t.alpha, t.sigma / t.alpha, s.sigma / s.alpha
        if growth > 0 and churn_min <= before <= churn_max:
            raised = before * (1 + growth)
            y = y + (raised**2 - before**2).sqrt() * churn_noise * noise(step)
            before = raised
        x0, eps, _ = denoise(y, Level(torch.ones_like(before), before))
        ahead = x0 + after * eps
        if after > 0:
            eps_ahead = denoise(ahead, Level(torch.ones_like(after), after)).eps
            ahead = y + (after - before) * (eps + eps_ahead) / 2
        x = s.alpha * ahead
        yield Step(x, x0)


@walk
def predictor_corrector(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, corrections: int = 1, snr: float = 0.16
) -> Iterator[Step]:
    """Ancestral steps, each followed by Langevin steps at the new level (Song et al. 2021, algorithm 1).

    A Langevin step is x + h score + sqrt(2 h) noise with h = 2 (snr sigma)². That is the paper's 2 (snr |z| / |score|)²
    with the norms at their expected values, so that an image does not depend on the others of its batch.

    corrections:  Langevin steps after each step but the last, which ends at the data
    snr:          r of algorithm 4, their signal-to-noise ratio
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        draw = step * (corrections + 1)
        x0 = denoise(x, t).x0
        x = renoised(x, x0, t, s, 1.0, partial(noise, draw))
        for correction in range(1, corrections + 1 if s.sigma > 0 else 1):
            score = -denoise(x, s).eps / s.sigma
            x = langevin_step(x, score, 4 * (snr * s.sigma) ** 2, noise(draw + correction))  # langevin_step halves 2 h
        yield Step(x, x0)


@walk
def annealed_langevin(
    denoise: Denoise, x: Tensor, levels: Sequence[Level], noise: Noise, *, corrections: int = 50, snr: float = 0.2236
) -> Iterator[Step]:
    """Langevin steps at each level, x / alpha being kept from one to the next (Song & Ermon 2019, algorithm 1).

    The steps are those of `predictor_corrector`. In the paper's units, h = 2 alpha_i there, they are of the size
    4 (snr sigma)² = 2e-5 sigma² / sigma_L² with sigma_L = 0.01: snr is 0.2236. The last step is to the clean estimate
    (Jolicoeur-Martineau et al. 2021, section 3.1), which leaves out the noise of the last level.

    corrections:  Langevin steps at each level, T of the paper
    snr:          of a Langevin step; its law has sigma² / (1 - snr²) for sigma² where the data are a point
    """
    for step, (t, s) in enumerate(pairwise(levels)):
        for correction in range(corrections):
            x0, eps, _ = denoise(x, t)
            x = langevin_step(x, -eps / t.sigma, 4 * (snr * t.sigma) ** 2, noise(step * corrections + correction))
        if t.alpha == 0 or s.sigma == 0:
            x0 = denoise(x, t).x0
            x = renoised(x, x0, t, s)
        else:
            x = s.alpha / t.alpha * x
        yield Step(x, x0)


_CHURN = {
    "churn": Option(0, 1e6), "churn_min": Option(0, 1e6), "churn_max": Option(0), "churn_noise": Option(0, 10),
}  # fmt: skip
_SNR = Option(0, 1)  # beyond 1 Langevin steps grow without end
_TOLERANCE = Option(1e-10, 1)
_ORDER = Option(1, 4)

SAMPLERS: dict[str, Sampler] = {
    # heun and edm on their paper's own grid: on others the first steps may be too long for them. ipndm and deis are on
    # that of their paper for VP, on which they were nearest to the flow
    "ddpm": Sampler(ddpm, 1000, separable=True, options={"variance": Option(names=tuple(VARIANCES))}),
    "ddim": Sampler(ddim, order=1, separable=True, options={"eta": Option(0, 1)}),
    "euler": Sampler(partial(ddim, eta=0.0), order=1, separable=True),
    "euler-ancestral": Sampler(partial(ddim, eta=1.0), 100, separable=True),
    "heun": Sampler(partial(edm, churn=0.0), 18, "karras", order=2, separable=True),
    "edm": Sampler(edm, 18, "karras", order=2, options=_CHURN),
    "dpmpp-2m": Sampler(dpmpp, 20, order=2, options={"eta": Option(0, 1)}),
    "dpmpp-sde": Sampler(partial(dpmpp, eta=1.0), 25),
    "dpmpp-3m": Sampler(dpmpp_3m, 20, "log-snr", order=3, options={"curvature": Option(0, 1)}),
    "unipc": Sampler(unipc, 20, order=3),
    "ipndm": Sampler(ipndm, 20, "quadratic", order=2, options={"order": _ORDER}),
    "deis": Sampler(
        deis, 20, "quadratic", order=4, options={"order": _ORDER, "variable": Option(names=tuple(VARIABLES))}
    ),
    "ode": Sampler(
        probability_flow, 2, "karras", separable=True, options={"rtol": _TOLERANCE, "atol": _TOLERANCE}, adaptive=True
    ),
    "predictor-corrector": Sampler(
        predictor_corrector, 500, separable=True, options={"corrections": Option(0, 100), "snr": _SNR}
    ),
    "annealed-langevin": Sampler(
        annealed_langevin, 20, "log-snr", separable=True, options={"corrections": Option(1, 1000), "snr": _SNR}
    ),
    "euler-maruyama": Sampler(euler_maruyama, 1000, separable=True, timed=True),
}
