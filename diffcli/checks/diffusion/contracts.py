"""What everything of a kind must do, the package's own and a plug-in's: schedules, samplers, targets, and so on."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.on_gaussians import LAW, Samplers
from diffcli.checks.diffusion.schedules import Schedules, at
from diffcli.core.diffusion import grids
from diffcli.core.diffusion.denoiser import TARGETS, Denoise, Denoiser, Prediction, target_scale
from diffcli.core.diffusion.guidance import GUIDANCE
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES, VP
from diffcli.core.diffusion.weightings import WEIGHTINGS
from diffcli.core.levels import Level
from diffcli.core.models import MODELS

TIMES = torch.linspace(0, 1, 201, dtype=torch.float64)[1:]
SIZES = {1: [(2,), (3,)], 3: [(1, 28, 28), (3, 9, 13)]}  # of items, by the dimensions that a network takes


@check(
    "every schedule goes from data to noise without a turn, and its rates are its slopes",
    "Kingma et al. 2021, section 3.1; central differences",
)
def schedules_go_one_way(schedules: Schedules = SCHEDULES) -> Iterator[Finding]:
    for name, make in schedules.items():
        schedule = make()
        level = schedule(TIMES)
        yield near(f"{name}, turns", 0, (level.log_snr.diff() >= 0).sum())
        yield near(f"{name}, negative", 0, ((level.alpha < 0) | (level.sigma < 0)).sum())
        first = schedule(at(schedule.first))
        yield near(f"{name}, noise at the first time, of the signal", 0, first.sigma / first.alpha, abs=0.2)
        yield near(f"{name}, signal at the last time, of the noise", 0, level.alpha[-1] / level.sigma[-1], abs=0.2)
        t, step = at(0.3704), 1e-6  # between two entries of a table
        ahead, behind = schedule(t + step), schedule(t - step)
        for part, rate, a, b in zip(Level._fields, schedule.rates(t), ahead, behind, strict=True):
            yield near(f"{name}, rate of {part}", (a - b) / (2 * step), rate, rel=1e-4, abs=1e-6)


@check(
    "every sampler yields a step per level, ends at its clean estimate, and has no noise but what it is given",
    "the protocol of walks",
)
def samplers_keep_the_protocol(samplers: Samplers = SAMPLERS) -> Iterator[Finding]:
    levels = grids.levels(VP(), 6, "log-snr")
    x = torch.tensor([[0.8], [-1.1]], dtype=torch.float64)
    for name, sampler in samplers.items():
        draws: list[int] = []

        def noise(number: int, draws: list[int] = draws) -> Tensor:
            draws.append(number)
            return torch.tensor([[0.3], [-0.7]], dtype=torch.float64) * (-1) ** number

        walk = sampler.on(VP())
        one = list(walk(LAW, x, levels, noise=noise))
        yield near(f"{name}, steps", 6, len(one))
        yield near(f"{name}, the end", one[-1].x0, one[-1].x, abs=1e-12)
        yield near(f"{name}, numbers of noise used twice", 0, len(draws) - len(set(draws)))
        used = list(draws)
        torch.manual_seed(0)
        two = list(walk(LAW, x, levels, noise=noise))
        yield near(f"{name}, again", one[-1].x, two[-1].x)
        yield near(f"{name}, the same numbers again", 0, float(used != draws[len(used) :]))
        for key, option in sampler.options.items():
            if not option.names:
                default = inspect.signature(sampler.walk).parameters[key].default
                yield near(f"{name}, the default of {key} within its range", 0, float(not _within(option, default)))


def _within(option: Any, value: float) -> bool:
    return bool(option.least <= value <= option.most)


class _Answers(nn.Module):
    """A network that outputs a x0 + b eps for known x0 and eps, in units of the target."""

    def __init__(self, pair: tuple[Any, Any], x0: Tensor, eps: Tensor) -> None:
        super().__init__()
        self.answer = (pair[0] * x0 + pair[1] * eps) / target_scale(*pair)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        return self.answer.to(x)


@check(
    "a network that outputs a target's a x0 + b eps is read back as x0 and eps, at no loss",
    "two equations for two unknowns: Salimans & Ho 2022, section 4",
)
def targets_are_read_back(targets: Mapping[str, Callable[..., Any]] = TARGETS) -> Iterator[Finding]:
    x0 = torch.tensor([[0.3, -1.2], [0.9, 0.1]], dtype=torch.float64)
    eps = torch.tensor([[1.1, 0.4], [-0.6, 0.2]], dtype=torch.float64)
    for name, pair in targets.items():
        for t in (0.05, 0.4, 0.9):
            level = VP()(at(t))
            ours = dict(TARGETS)
            TARGETS[name] = pair
            try:
                denoiser = Denoiser(_Answers(pair(*level), x0, eps), name)
                found = denoiser(level.noised(x0, eps), level)
                loss = denoiser.loss(x0, level, eps)
            finally:
                TARGETS.clear()
                TARGETS.update(ours)
            yield near(f"{name}, x0 at {t}", x0, found.x0, abs=1e-8)
            yield near(f"{name}, eps at {t}", eps, found.eps, abs=1e-8)
            yield near(f"{name}, loss at {t}", 0, loss, abs=1e-12)


@check(
    "every weighting is finite and not negative, number by number",
    "Kingma & Gao 2023: a weight of the error of eps as a function of log-SNR",
)
def weightings_are_weights(weightings: Mapping[str, Callable[..., Tensor]] = WEIGHTINGS) -> Iterator[Finding]:
    log_snr = torch.linspace(-20, 20, 81, dtype=torch.float64)
    rate = torch.full_like(log_snr, 12.0)
    for name, weigh in weightings.items():
        whole = weigh(log_snr, rate)
        yield near(f"{name}, not finite", 0, (~whole.isfinite()).sum())
        yield near(f"{name}, negative", 0, (whole < 0).sum())
        alone = torch.stack([weigh(a, b) for a, b in zip(log_snr, rate, strict=True)])
        yield near(f"{name}, one by one", whole, alone, rel=1e-12)


@check(
    "every network keeps the shape, works item by item, and takes an absent class for its null",
    "the protocol of networks; Ho & Salimans 2022, algorithm 1",
)
def networks_keep_the_protocol(networks: Mapping[str, Callable[..., Any]] = MODELS) -> Iterator[Finding]:
    for name, make in networks.items():
        for shape in SIZES[make.dimensions]:  # type: ignore[attr-defined]
            torch.manual_seed(0)
            network = make(shape[0], 3).eval()
            for weights in network.parameters():
                nn.init.normal_(weights, std=0.1)
            x, log_snr = torch.randn(4, *shape), torch.tensor([-3.0, 0.0, 2.0, 6.0])
            with torch.no_grad():
                whole = network(x, log_snr)
                parts = torch.cat([network(x[i : i + 1], log_snr[i : i + 1]) for i in range(4)])
            case = f"{name}, {'x'.join(map(str, shape))}"
            yield near(f"{case}, other shape", 0, float(whole.shape != x.shape))
            yield near(f"{case}, item by item", whole, parts, rel=1e-3, abs=1e-4)
            yield near(f"{case}, blind to the level", 0, float(torch.equal(network(x, log_snr), network(x, -log_snr))))
            if "label" in getattr(network, "nulls", {}):
                null = torch.full((4,), int(network.nulls["label"]))
                with torch.no_grad():
                    yield near(f"{case}, the null class", whole, network(x, log_snr, label=null))
                    one = network(x, log_snr, label=torch.zeros(4, dtype=torch.long))
                yield near(f"{case}, blind to the class", 0, float(torch.equal(one, whole)))


@check(
    "guidance of scale 1 is the conditional model, and at any scale the noise explains x",
    "Ho & Salimans 2022, eq. 6",
)
def guidance_explains_x(guidances: Mapping[str, Callable[..., Denoise]] = GUIDANCE) -> Iterator[Finding]:
    x, level = torch.tensor([[0.4, -0.2], [1.3, 0.7]], dtype=torch.float64), VP()(at(0.4))

    def denoise(x: Tensor, level: Level, **cond: Any) -> Prediction:
        x0 = 0.3 * x if "label" not in cond else 0.5 * x + 0.2
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    label = torch.tensor([0, 1])
    for name, guide in guidances.items():
        plain = guide(denoise, 1.0)(x, level, label=label)
        yield near(f"{name}, scale 1", denoise(x, level, label=label).x0, plain.x0, abs=1e-12)
        for scale in (0.5, 3.0):
            found = guide(denoise, scale)(x, level, label=label)
            yield near(f"{name}, explains x at {scale}", x, level.noised(found.x0, found.eps), abs=1e-9)
            yield near(f"{name}, does nothing at {scale}", 0, float(torch.equal(found.x0, plain.x0)))
