"""What parameters are unless told: those of the papers, and what the help says."""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from diffcli.checks.check import Finding, check, near
from diffcli.core.diffusion import (
    editing,
    grids,
    guidance,
    likelihood,
    multistep,
    samplers,
    schedules,
    sde,
    tables,
    times,
)
from diffcli.core.diffusion.exact_pixels import PixelHistogram
from diffcli.core.processes import corruption, variational
from diffcli.core.processes.chains import finite, ising, named
from diffcli.core.processes.laws import line, pixels, plane, toys
from diffcli.core.processes.montecarlo import annealing, methods, unnormalised
from diffcli.core.randomness import image_noise

Claimed = dict[Callable[..., Any], dict[str, Any]]


def compared(claimed: Claimed) -> Iterator[Finding]:
    """Whether each parameter's default is what is claimed of it, to the bit; some are infinite."""
    for function, wanted in claimed.items():
        for name, value in wanted.items():
            found = inspect.signature(function).parameters[name].default
            case = f"{getattr(function, '__qualname__', function)}, {name}"
            if isinstance(value, tuple):
                yield near(f"{case}, how many", len(value), len(found))
                yield from (
                    near(f"{case} {i}", 1, float(a == b)) for i, (a, b) in enumerate(zip(value, found, strict=False))
                )
            else:
                yield near(case, 1, float(found == value))


@check(
    "schedules have the parameters of their papers unless told",
    "Ho et al. 2020; Rombach et al. 2022; Nichol & Dhariwal 2021; Chen 2023; Song et al. 2021; Karras et al. 2022",
)
def schedules_unless_told() -> Iterator[Finding]:
    beta = {"beta_min": 0.1, "beta_max": 20}
    yield from compared(
        {
            tables.linear_betas: {"steps": 1000, "first": 1e-4, "last": 0.02},
            tables.scaled_linear_betas: {"steps": 1000, "first": 0.00085, "last": 0.012},
            tables.cosine_betas: {"steps": 1000, "offset": 0.008, "limit": 0.999},
            schedules.Sigmoid: {"start": -3, "end": 3, "temperature": 1},
            schedules.VP: beta,
            schedules.SubVP: beta,
            schedules.VE: {"sigma_min": 0.01, "sigma_max": 50},
            schedules.EDM: {"sigma_min": 0.002, "sigma_max": 80, "rho": 7},
            schedules.LogSNR: {"most": 13.3, "least": -6},
            grids.karras: {"rho": 7},
        }
    )
    for name in ("linear", "scaled-linear", "cosine"):
        yield near(f"entries of {name}", 1000, schedules.SCHEDULES[name]().length or 0)


@check(
    "samplers, guidance and edits have the parameters of their papers unless told; what is optional is off",
    "Song et al. 2021, algorithm 4 and table 5; Karras et al. 2022, algorithm 2; Saharia et al. 2022, section 2.3",
)
def walks_unless_told() -> Iterator[Finding]:
    yield from compared(
        {
            samplers.ddim: {"eta": 0},
            samplers.edm: {"churn": 0, "churn_min": 0, "churn_max": math.inf, "churn_noise": 1},
            multistep.dpmpp: {"eta": 0},
            multistep.dpmpp_3m: {"curvature": 1},
            multistep.ipndm: {"order": 4},
            multistep.deis: {"order": 4, "variable": "t"},
            sde.probability_flow: {"rtol": 1e-5, "atol": 1e-5},
            samplers.predictor_corrector: {"corrections": 1, "snr": 0.16},
            samplers.annealed_langevin: {"corrections": 50, "snr": 0.2236},
            guidance.guided: {"interval": (0, math.inf), "rescale": 0},
            guidance.clipped: {"limit": 1},
            guidance.thresholded: {"share": 0.995, "limit": 1},
            editing.inpainting: {"resample": 1},
            likelihood.flowed: {"rtol": 1e-5, "atol": 1e-5},
            times.LossHistory: {"bins": 100, "kept": 10, "floor": 0.001},
            PixelHistogram: {"values": 256},
            image_noise: {"step": 0},
        }
    )


@check(
    "laws and densities have the parameters of their papers unless told",
    "Haario et al. 1999, section 4; Metz et al. 2017, section 3.1; Neal 2001, section 5",
)
def laws_unless_told() -> Iterator[Finding]:
    yield from compared(
        {
            line.LineNormal: {"mean": 0, "std": 1},
            line.Exponential: {"rate": 1},
            line.Beta: {"a": 2, "b": 5},
            plane.Normal2: {"rho": 0.9},
            plane.Banana: {"bend": 0.03, "std": 10},
            toys.ring: {"count": 8, "std": math.sqrt(0.02)},
            pixels.Bits: {"count": 1},
            pixels.Bytes: {"count": 2, "least": -7},
            pixels.Reals: {"std": 0.5, "count": 1},
            unnormalised.unimodal: {"dimension": 6, "mean": 1, "std": 0.1},
            unnormalised.bimodal: {"dimension": 6, "separation": 1, "std": 0.1, "narrow": 0.05, "weight": 2 / 3},
            unnormalised.mixture: {"dimension": 8, "modes": 5, "radius": 3, "std": 0.3, "ratio": 1.5, "log_z": 5},
            unnormalised.rbm: {"visible": 10, "hidden": 6, "scale": 3, "seed": 0},
            variational.objective: {"beta": 1, "free_bits": 0},
        }
    )
    lost = {"low": 0.05, "high": 0.95, "most": 0.999, "shown": (0.1, 0.25, 0.5, 0.75, 0.9)}
    noise = {"low": 0.05, "high": 2, "most": 10, "shown": (0.1, 0.25, 0.5, 1, 2)}
    yield from compared(
        {
            corruption.GaussianNoise: noise,
            corruption.Replacing: lost,
            corruption.draw_amounts: {"low": 0, "high": 0},
        }
    )


@check(
    "chains and walks have the parameters of their papers unless told; mixed is within 1/4",
    "Levin, Peres & Wilmer 2017, section 4.5; Neal 2001, section 5",
)
def chains_unless_told() -> Iterator[Finding]:
    chains = {"chains": 20, "burn_in": 200}
    yield from compared(
        {
            named.two_state: {"a": 0.1, "b": 0.3},
            named.random_walk: {"n": 10, "up": 0.5},
            named.cycle: {"n": 12, "forward": 0.5, "lazy": 0.5},
            named.birth_death: {"n": 10, "up": 0.3, "down": 0.4},
            named.ehrenfest: {"n": 10, "lazy": 0},
            named.ar1: {"rho": 0.9, "noise": 1},
            named.ou: {"rate": 1, "dt": 0.1, "volatility": math.sqrt(2)},
            named.ising: {"side": 3, "beta": 0.4, "field": 0},
            ising.Ising: {"field": 0},
            finite.mixing_time: {"near": 0.25},
            finite.bounds: {"near": 0.25},
            finite.laws_over_time: {"stride": 1},
            annealing.metropolis: {"scales": (0.05, 0.15, 0.5), "repeats": 1},
            annealing.stepping: {"repeats": 1},
            annealing.tuned: {"goal": 0.8, "first": 0.5},
            methods.metropolis: chains,
            methods.independence: chains,
            methods.hamiltonian: chains,
            methods.gibbs: chains,
        }
    )
