"""Our walks, step by step, against the schedulers of `diffusers`; each difference of convention is bridged here.

Two facts are kept apart: that both sides have the same tables and grids (to the rounding of their float32 arrays), and
that on the same levels both take the same steps. For the second, their own float32 levels are read as float64 by both.
"""

import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import Denoiser, Prediction
from diffcli.core.diffusion.samplers import SAMPLERS, ddim, ddpm
from diffcli.core.diffusion.schedules import SCHEDULES, BetaTable, ZeroTerminal
from diffcli.core.levels import CLEAN, Level

# The largest difference that is allowed, in units of the largest |x| or of 1 if that is larger.
EXACT = 1e-10  # their code stays in float64 if its tables are
ROUNDED = 1e-5  # their `step` casts its sample to float32, ours is in float64

TABLES: dict[str, dict[str, Any]] = {
    # Their defaults for the betas are DDPM's, or in Heun latent diffusion's, whatever the schedule; so all are named.
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}

SOLVERS: dict[str, tuple[str, dict[str, Any], float]] = {
    # Our sampler: their scheduler, what it must be told, and to what its numbers are held.
    "euler": ("EulerDiscrete", {}, ROUNDED),
    "euler-ancestral": ("EulerAncestralDiscrete", {}, ROUNDED),
    "heun": ("HeunDiscrete", {}, EXACT),
    "dpmpp-2m": ("DPMSolverMultistep", {"algorithm_type": "dpmsolver++", "solver_type": "midpoint"}, ROUNDED),
    "dpmpp-sde": ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++", "solver_type": "midpoint"}, ROUNDED),
    "dpmpp-3m": ("DPMSolverMultistep", {"solver_order": 3, "lower_order_final": False}, ROUNDED),
    "unipc": ("UniPCMultistep", {"solver_type": "bh2"}, EXACT),
}
OURS = {"dpmpp-3m": {"curvature": 0.5}}  # their second derivative is half of the parabola's

SPACINGS = {grid: {"timestep_spacing": grid} for grid in ("trailing", "leading", "linspace")}
IN_SIGMA: dict[str, Any] = {"karras": {"use_karras_sigmas": True}, "log-snr": {"use_exponential_sigmas": True}}
HAVE_IN_SIGMA = ("EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep", "UniPCMultistep")  # not the ancestral one
WALKS = [(s, g) for s in SOLVERS for g in (*SPACINGS, "karras") if g in SPACINGS or SOLVERS[s][0] in HAVE_IN_SIGMA]

# Their `np.array(tensor)` and `np.log(tensor)` are not yet NumPy 2's way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

WEIGHTS = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 2


def smooth(x: Tensor, log_snr: Tensor) -> Tensor:
    """A fixed smooth function of x [B, C, H, W] and of the level."""
    return torch.tanh(x @ WEIGHTS + 0.1 * log_snr.clamp(-20, 20).reshape(-1, 1, 1, 1))


def network(x: Tensor, log_snr: Tensor) -> Tensor:
    """eps = alpha v + sigma x of a smooth v, as x0 = alpha x - sigma v is then bounded at every level.

    Theirs would see the timestep, at times rounded to an integer that is not quite its sigma's; ours sees the log-SNR
    of the level itself, and so do both here.
    """
    return log_snr.sigmoid().sqrt() * smooth(x, log_snr) + (-log_snr).sigmoid().sqrt() * x


def denoise(x: Tensor, level: Level) -> Prediction:
    """The network as our samplers see it. `Denoiser` would do the same, but hands on a float32 log-SNR."""
    eps = network(x / torch.hypot(*level), level.log_snr)
    return Prediction((x - level.sigma * eps) / level.alpha, eps)


def noises(count: int) -> list[Tensor]:
    """A start and as many fresh noises, so that both sides are given the same; each [2, 1, 4, 4], float64."""
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(count + 1, 2, 1, 4, 4, generator=generator, dtype=torch.float64))


def diffusers_of(name: str, **config: Any) -> Any:
    import diffusers  # here, as it takes seconds; constructors only: nothing is loaded from the hub

    return getattr(diffusers, f"{name}Scheduler")(**config)


def scheduler_of(name: str, schedule: str, steps: int, **config: Any) -> Any:
    """Their scheduler with its timesteps set, and with its float32 numbers in float64.

    They clip x0 to [-1, 1] unless told not to (DDPM, DDIM); we never do.
    """
    clips = {"clip_sample": False} if name in ("DDPM", "DDIM") else {}
    scheduler = diffusers_of(name, **TABLES[schedule], **clips, **config)
    scheduler.set_timesteps(steps)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    if hasattr(scheduler, "sigmas"):
        scheduler.sigmas = scheduler.sigmas.double()
        scheduler.set_begin_index(0)  # as pipelines do; Karras timesteps, rounded, need not be unique
    return scheduler


def at_entry(scheduler: Any, timestep: int) -> Level:
    """Their timestep 0 is the paper's entry 1; what is before it is the data (their set_alpha_to_one, a default)."""
    if timestep < 0:
        return CLEAN
    alpha2 = scheduler.alphas_cumprod[timestep]
    return Level(alpha2.sqrt(), (1 - alpha2).sqrt())


def at_ratio(sigma: Tensor) -> Level:
    """The variance-preserving level of their sigma, which is our sigma / alpha; their last, 0, is CLEAN."""
    return Level(1 / (1 + sigma**2).sqrt(), sigma / (1 + sigma**2).sqrt())


def levels_of(scheduler: Any) -> list[Level]:
    """The walk that their scheduler is set for, ending in CLEAN (their final_sigmas_type = "zero", a default)."""
    if not hasattr(scheduler, "sigmas"):
        return [at_entry(scheduler, t) for t in scheduler.timesteps.tolist()] + [CLEAN]
    sigmas = scheduler.sigmas
    if scheduler.order == 2:  # Heun lists each sigma but the first and last twice, one for each evaluation
        sigmas = torch.cat([sigmas[:1], sigmas[1::2]])
    return [at_ratio(sigma) for sigma in sigmas]


def table_of(scheduler: Any) -> BetaTable:
    """Our table through the levels of theirs, whose first sigma is off by 1e-4 of itself from float32's 1 - beta."""
    alpha2 = scheduler.alphas_cumprod
    return BetaTable(1 - alpha2 / torch.cat([alpha2.new_ones(1), alpha2[:-1]]))


def scales(scheduler: Any) -> list[Tensor | float]:
    """What their x is multiplied by to be ours, before each call of `step` and at the end.

    Euler and Heun walk on x / alpha, as Karras et al. do; they divide it by sqrt(sigma² + 1) for the network, and start
    it from noise of that size, or of sigma itself on linspace and trailing. All others start from 1.
    """
    if scheduler.init_noise_sigma == 1:
        return [1.0] * (len(scheduler.timesteps) + 1)
    return [at_ratio(sigma).alpha for sigma in scheduler.sigmas]


def theirs(scheduler: Any, x: Tensor, noise: list[Tensor], model: Any = network, **options: Any) -> Iterator[Tensor]:
    """Their loop, as their pipelines write it: x after each call of `step`, in our units.

    noise:  a stochastic step of theirs draws once, the last included; we number the draws by the step
    """
    draws, module = iter(noise), sys.modules[type(scheduler).__module__]
    before, *after = scales(scheduler)
    x = x / before
    for call, (t, scale) in enumerate(zip(scheduler.timesteps, after, strict=True)):
        level = at_ratio(scheduler.sigmas[call]) if hasattr(scheduler, "sigmas") else at_entry(scheduler, t)
        output = model(scheduler.scale_model_input(x, t), level.log_snr)
        with patch.object(module, "randn_tensor", lambda *_, **__: next(draws), create=True):
            x = scheduler.step(output, t, x, **options).prev_sample
        yield x * scale


def assert_same(ours: list[Tensor], others: list[Tensor], tolerance: float) -> None:
    for step, (x, other) in enumerate(zip(ours, others, strict=True), 1):
        difference = ((x - other).abs().max() / x.abs().max().clamp(min=1)).item()
        assert difference <= tolerance, f"step {step} of {len(ours)} differs by {difference:.2g}"


@pytest.mark.parametrize("schedule", TABLES)
def test_tables_hold_the_same_betas_and_levels(schedule: str) -> None:
    """Theirs is a running product of 1 - beta in float32, ours a sum of logarithms in float64.

    With 1000 entries: linear and scaled-linear of other lengths are scaled in ours, to end in the same noise.
    """
    scheduler, table = scheduler_of("DDIM", schedule, 10), SCHEDULES[schedule]()
    torch.testing.assert_close(table.betas, scheduler.betas.double(), rtol=1e-6, atol=0)
    alpha2 = BetaTable(scheduler.betas.double()).alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000) ** 2
    torch.testing.assert_close(alpha2, scheduler.alphas_cumprod, rtol=1e-5, atol=0)


def test_zero_terminal_tables_have_the_same_levels() -> None:
    scheduler = scheduler_of("DDIM", "linear", 10, rescale_betas_zero_snr=True)
    ours = ZeroTerminal(SCHEDULES["linear"]()).alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    torch.testing.assert_close(ours, scheduler.alphas_cumprod.sqrt(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", ["DDPM", "DDIM"])
def test_grids_stop_at_the_same_entries_at_every_number_of_steps(name: str, spacing: str) -> None:
    """Their timesteps count from 0, our entries from 1. So a place halfway between two entries, which is rounded to
    the even one, goes to either side; nowhere else do they differ.

    For some numbers of steps, the first being 61, their trailing has one timestep too many, -1, from `np.arange`. One
    step of their linspace is at timestep 0, nearly clean, ours at the noisiest: so this begins with 2.
    """
    scheduler, table = scheduler_of(name, "linear", 1, timestep_spacing=spacing), SCHEDULES["linear"]()
    for steps in range(2, 1001):
        scheduler.set_timesteps(steps)
        found = (grids.times(table, steps, spacing) * 1000).round().long()
        away = (found - scheduler.timesteps[:steps] - 1).abs()
        left = torch.arange(steps, 0, -1)
        place, unit = {
            "trailing": (1000 * left, steps),
            "leading": (1000 // steps * (left - 1) + 1, 1),
            "linspace": (steps - 1 + 999 * (left - 1), steps - 1),
        }[spacing]
        halfway = (2 * place % unit == 0) & (place % unit != 0)
        assert torch.all(away <= halfway), f"{steps} steps"


@pytest.mark.parametrize("grid", ["trailing", *IN_SIGMA])
@pytest.mark.parametrize("schedule", ["linear", "scaled-linear"])
@pytest.mark.parametrize("name", HAVE_IN_SIGMA)
def test_grids_of_solvers_have_the_same_levels(name: str, schedule: str, grid: str) -> None:
    """Their Karras sigmas run over the table, but in Euler and Heun over the spacing, by default linspace: the same."""
    for steps in (2, 7, 30):
        assert_same_levels(scheduler_of(name, schedule, steps, **(SPACINGS | IN_SIGMA)[grid]), steps, grid)


def test_karras_grid_of_a_table_that_goes_on_to_nothing_is_bounded() -> None:
    """Cosine ends at sigma / alpha = 2e4. Ours begins a grid over sigma at log-SNR -11; they must be told sigma_max."""
    bound = torch.tensor(-grids.LOWEST_LOG_SNR / 2).exp().item()
    scheduler = scheduler_of("EulerDiscrete", "cosine", 10, use_karras_sigmas=True, sigma_max=bound)
    assert_same_levels(scheduler, 10, "karras")


def assert_same_levels(scheduler: Any, steps: int, grid: str) -> None:
    """sigma / alpha, to the rounding of their float32 sigmas."""
    walks = grids.levels(table_of(scheduler), steps, grid), levels_of(scheduler)
    ours, others = (torch.stack([level.sigma / level.alpha for level in walk]) for walk in walks)
    torch.testing.assert_close(ours, others, rtol=1e-6, atol=0)


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("spacing, steps", [("trailing", 7), ("leading", 50), ("linspace", 10), ("leading", 1000)])
@pytest.mark.parametrize("schedule", TABLES)
def test_ddpm_takes_the_same_steps(schedule: str, spacing: str, steps: int, variance: str) -> None:
    scheduler = scheduler_of("DDPM", schedule, steps, timestep_spacing=spacing, variance_type=f"fixed_{variance}")
    x, *noise = noises(steps)
    ours = ddpm(denoise, x, levels_of(scheduler), variance=variance, noise=noise.__getitem__)
    # They leave out the noise where the timestep is 0 only, so the last step of trailing still has some: sqrt(beta)
    # of it with the large variance. Ho et al. (2020, algorithm 2, line 3) add none on the last step, and so do we.
    others = theirs(scheduler, x, [*noise[:-1], torch.zeros_like(x)])
    assert_same([step.x for step in ours], list(others), EXACT)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing, steps", [("trailing", 50), ("leading", 7), ("leading", 200)])
@pytest.mark.parametrize("schedule", TABLES)
def test_ddim_takes_the_same_steps(schedule: str, spacing: str, steps: int, eta: float) -> None:
    scheduler = scheduler_of("DDIM", schedule, steps, timestep_spacing=spacing)
    x, *noise = noises(steps)
    ours = ddim(denoise, x, levels_of(scheduler), eta=eta, noise=noise.__getitem__)
    assert_same([step.x for step in ours], list(theirs(scheduler, x, noise, eta=eta)), EXACT)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing, steps", [("trailing", 7), ("linspace", 4), ("linspace", 50)])
def test_ddim_takes_the_same_steps_where_theirs_do_not_join(spacing: str, steps: int, eta: float) -> None:
    """They step from t to t - T // S, even where the walk goes on from another entry, or ends short of the data.

    We step to the next level of the walk. So each of their steps is compared with a walk of one step of ours.
    """
    scheduler = scheduler_of("DDIM", "linear", steps, timestep_spacing=spacing)
    x, *noise = noises(steps)
    others, ours = list(theirs(scheduler, x, noise, eta=eta)), []
    for t, fresh in zip(scheduler.timesteps.tolist(), noise, strict=True):
        pair = at_entry(scheduler, t), at_entry(scheduler, t - 1000 // steps)
        (step,) = ddim(denoise, x, pair, eta=eta, noise=[fresh].__getitem__)
        x = step.x
        ours.append(x)
    assert_same(ours, others, EXACT)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize("schedule", TABLES)
@pytest.mark.parametrize("sampler, grid", WALKS)
def test_solvers_take_the_same_steps(sampler: str, schedule: str, grid: str, steps: int) -> None:
    """The levels are theirs: on linspace and leading the multistep solvers take the first S of S + 1 entries, and on
    linspace Euler and Heun interpolate sigma between entries, where we round to one.

    Their solver_order = 2, lower_order_final and final_sigmas_type = "zero" are defaults: the last step is of first
    order, as ours is.
    """
    name, config, tolerance = SOLVERS[sampler]
    scheduler = scheduler_of(name, schedule, steps, **config, **(SPACINGS | IN_SIGMA)[grid])
    x, *noise = noises(steps)
    scale = scales(scheduler)[0]
    x = (x / scale).float().double() * scale  # a float32 where theirs becomes one, or cosine would enlarge the rounding
    ours = SAMPLERS[sampler](denoise, x, levels_of(scheduler), noise=noise.__getitem__, **OURS.get(sampler, {}))
    others = list(theirs(scheduler, x, noise))
    if scheduler.order == 2:  # every other call of Heun's ends a step, and so does the last, which is Euler's
        others = others[1::2] + others[-1:]
    assert_same([step.x for step in ours], others, tolerance)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("spacing", [*SPACINGS, "karras"])
@pytest.mark.parametrize("schedule", TABLES)
def test_deis_takes_the_same_steps(schedule: str, spacing: str, order: int, steps: int) -> None:
    """Theirs extrapolates in log(sigma / alpha), by antiderivatives in closed form. Its walk ends at the first entry of
    the table, or on Karras' grid twice at the last sigma, and not at the data; so ours is given no step to them.
    """
    config = {"solver_order": order, "lower_order_final": False, **(SPACINGS | IN_SIGMA)[spacing]}
    scheduler = scheduler_of("DEISMultistep", schedule, steps, **config)
    x, *_ = noises(steps)
    ours = SAMPLERS["deis"](denoise, x, levels_of(scheduler), order=order, variable="log-rho")
    assert_same([step.x for step in ours], list(theirs(scheduler, x, [])), EXACT)


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 30])
def test_ipndm_takes_the_same_steps(steps: int) -> None:
    """Theirs has levels of its own, (cos, sin) of an angle in even steps, and takes v, of which it makes eps.

    It begins in pure noise, where it takes x0 to be 0 and keeps the noise to look back upon; so both begin at the next
    level, whose sigmas are handed to it as its betas. Its last step combines noises too; ours is to the clean estimate.
    """
    sigmas = torch.sin(torch.linspace(1, 0, steps + 2, dtype=torch.float64)[1:] * torch.pi / 2)
    scheduler = diffusers_of("IPNDM", trained_betas=sigmas.tolist())
    scheduler.set_timesteps(steps)
    levels = [Level((1 - sigma**2).sqrt(), sigma) for sigma in sigmas[:-1]] + [CLEAN]
    scheduler.betas, scheduler.alphas = sigmas, torch.stack([level.alpha for level in levels])
    scheduler.set_begin_index(0)
    x, *_ = noises(steps)
    ours = [step.x for step in SAMPLERS["ipndm"](denoise, x, levels)]
    others = []
    for t, level in zip(scheduler.timesteps, levels[:-1], strict=True):
        x0, eps, _ = denoise(x, level)
        x = scheduler.step(level.alpha * eps - level.sigma * x0, t, x).prev_sample
        others.append(x)
    assert_same(ours[:-1], others[:-1], EXACT)


@pytest.mark.parametrize(
    "predicts, name, zero_snr",  # zero SNR without eps, as pure noise says nothing of x0
    [("eps", "epsilon", False), ("x0", "sample", False), ("x0", "sample", True)]
    + [("v", "v_prediction", False), ("v", "v_prediction", True)],
)
def test_predictions_of_a_network_mean_the_same(predicts: str, name: str, zero_snr: bool) -> None:
    """Both are of x scaled to alpha² + sigma² = 1. `Denoiser` hands on the log-SNR in float32."""
    config = {"prediction_type": name, "rescale_betas_zero_snr": zero_snr, "timestep_spacing": "trailing"}
    scheduler = scheduler_of("DDIM", "linear", 20, **config)
    (x,) = noises(0)
    ours = ddim(Denoiser(smooth, predicts), x, levels_of(scheduler))
    assert_same([step.x for step in ours], list(theirs(scheduler, x, [], smooth)), ROUNDED)
