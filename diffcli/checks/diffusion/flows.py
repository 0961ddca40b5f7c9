"""Walks that hold an error, the reverse SDE as a walk, and annealed Langevin dynamics; and levels item by item."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.algorithms import NOISE, begin, compare, data_estimate, noise_estimate, pairs
from diffcli.checks.diffusion.denoisers import plane_mixture
from diffcli.checks.diffusion.on_gaussians import LAW, MEAN, STD, law
from diffcli.checks.diffusion.schedules import at, linear_paper
from diffcli.core import ode
from diffcli.core.diffusion import exact, grids
from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.exact_pixels import PixelHistogram, Pixelwise
from diffcli.core.diffusion.guidance import clipped, guided, thresholded
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import EDM, SCHEDULES, VP, Flow
from diffcli.core.levels import CLEAN, Level


def bent(x: Tensor, level: Level, **_: Any) -> Prediction:
    """A denoiser that is not linear, of sums, products and quotients only, which round alike in every batch."""
    x0 = 0.2 + level.alpha * x / (1 + x * x)
    return Prediction(x0, (x - level.alpha * x0) / level.sigma)


@check(
    "ode is on the flow of Gaussian data to about its tolerance, the better the smaller that is",
    "Song et al. 2021, eq. 13; every point keeps its quantile",
)
def ode_on_a_gaussian() -> Iterator[Finding]:
    z = torch.tensor([[-2.0, 0.1], [0.3, 1.0], [3.0, -0.5]], dtype=torch.float64)
    for name, schedule in (("vp", VP()), ("edm", EDM())):
        levels, errors = grids.levels(schedule, 3, "karras")[:-1], []
        on_flow = [level.alpha * MEAN + (level.alpha**2 * STD**2 + level.sigma**2).sqrt() * z for level in levels]
        for tolerance in (1e-3, 1e-5, 1e-7):
            steps = SAMPLERS["ode"](LAW, on_flow[0], levels, rtol=tolerance, atol=tolerance)
            errors.append(0.0)
            for level, wanted, step in zip(levels[1:], on_flow[1:], steps, strict=True):
                yield near(f"{name}, {tolerance:g}, sigma {level.sigma:.2g}", wanted, step.x, abs=20 * tolerance)
                errors[-1] = (step.x - wanted).abs().max().item()
        yield near(f"{name}, the error falls", 1, float(errors[0] > 10 * errors[1] > 100 * errors[2]))
    level, low = levels[0], levels[-1]
    for option in ("rtol", "atol"):  # each by itself spoils what the other would hold
        *_, end = SAMPLERS["ode"](LAW, on_flow[0], (level, low), **{"rtol": 1e-9, "atol": 1e-9, option: 1e-2})
        yield near(f"{option} counts", 1, float((end.x - on_flow[-1]).abs().max() > 1e-7))


@check(
    "ode's steps from pure noise and to the data are DDIM's, and it says the clean estimate of where it stood",
    "Song et al. 2021 (DDIM), eq. 12",
)
def ode_at_the_ends() -> Iterator[Finding]:
    x = torch.tensor([[0.4], [-1.0]], dtype=torch.float64)
    levels = [Level.of(0.0, 1.0), Level.of(0.3, 0.9), Level.of(0.8, 0.5), CLEAN]
    first, middle, last = SAMPLERS["ode"](bent, x, levels)
    yield near("from pure noise", 0.3 * 0.2 + 0.9 * x, first.x, abs=1e-12)
    yield near("its estimate", 0.2, first.x0, abs=1e-12)
    yield near("half way, its estimate", bent(first.x, levels[1]).x0, middle.x0, abs=1e-12)
    *_, alone = SAMPLERS["ode"](bent, first.x, levels[1:3])
    yield near("half way", alone.x, middle.x, abs=1e-12)
    yield near("to the data", bent(middle.x, levels[2]).x0, last.x, abs=1e-12)


@check(
    "an item's steps are those of the solver of whole states, forwards and backwards, whatever it is solved with",
    "Hairer, Nørsett & Wanner 1993, section II.4",
)
def steps_of_every_item() -> Iterator[Finding]:
    starts = torch.tensor([[0.2, 1.0], [3.0, -2.0], [40.0, 0.0], [0.0, 0.0]], dtype=torch.float64)

    def slope(t: Tensor, x: Tensor) -> Tensor:
        return torch.cos(3 * t) * x / (1 + x * x) + torch.stack([x[..., 1], -x[..., 0]], -1) * t + 0.3

    for start, end in ((0.0, 2.5), (2.5, 0.0)):
        way = 1 if end > start else -1
        for rtol, atol in ((1e-4, 1e-6), (1e-6, 1e-3)):
            asked: list[Tensor] = []

            def each(t: Tensor, x: Tensor, asked: list[Tensor] = asked) -> Tensor:
                asked.append(t.flatten())
                return slope(t, x)

            first = slope(torch.full((4, 1), start, dtype=torch.float64), starts)
            found = ode.dormand_prince_each(each, starts, start, end, first=first, rtol=rtol, atol=atol)
            for i in range(len(starts)):
                times: list[float] = []

                def one(t: float, state: ode.State, times: list[float] = times, way: int = way) -> ode.State:
                    times.append(way * t)
                    return (way * slope(at(way * t), state[0]),)

                *_, last = ode.dormand_prince(one, (starts[i],), way * start, way * end, rtol=rtol, atol=atol)
                seen = torch.stack(asked)[: len(times) - 1, i]
                case = f"from {start} to {end}, tolerances {rtol:g} and {atol:g}, item {i}"
                yield near(case, last[1][0], found[i], abs=1e-7)
                yield near(f"{case}, times", torch.tensor(times[1:]), seen, abs=1e-6)
                waiting = torch.stack(asked)[len(times) - 1 :, i]
                yield near(f"{case}, then it waits", 0, (waiting != end).sum())


@check("where the slope is no number at all the steps of an item become too small, which is an error", "the promise")
def ode_cannot_go_on() -> Iterator[Finding]:
    def lost(x: Tensor, level: Level) -> Prediction:
        hole = torch.where((level.sigma < 3 * level.alpha) & (x < 0), torch.nan, 0.0)
        return Prediction(x + hole, hole + 0 * x)

    levels, raised = grids.levels(EDM(), 2, "karras"), []
    for x in ([[1.0], [2.0]], [[1.0], [-2.0]]):
        try:
            list(SAMPLERS["ode"](lost, torch.tensor(x, dtype=torch.float64), levels[:-1]))
            raised.append(0.0)
        except ArithmeticError:
            raised.append(1.0)
    yield near("on the whole way a number", 0, raised[0])
    yield near("one item is none", 1, raised[1])


@check("an item of ode is the same to the bit in any batch", "the promise of `sample`")
def ode_in_batches() -> Iterator[Finding]:
    levels = grids.levels(VP(), 3, "karras")
    for shape in ((2,), (1, 3, 3)):
        job = Job(bent, levels, partial(SAMPLERS["ode"].walk, rtol=1e-4, atol=1e-4), shape, seed=5)
        whole = job.drawn(7)
        for batch in (1, 3):
            yield near(f"{shape}, by {batch}", whole, job.drawn(7, batch))
        yield near(f"{shape}, numbers alike", 0, (whole[0] == whole[1]).sum())


@check(
    "a job counts the evaluations that it takes, guidance twice, of items that wait for others too",
    "counted by the network itself",
)
def counted_evaluations() -> Iterator[Finding]:
    rows = 0

    def network(x: Tensor, level: Level, **cond: Any) -> Prediction:
        nonlocal rows
        rows += len(x)
        return bent(x, level)

    levels, told = grids.levels(VP(), 3, "karras"), {"label": torch.arange(5)}
    for name, wanted in (("ddim", 3), ("heun", 5), ("ode", None)):
        job = Job(network, levels, SAMPLERS[name], (2,), conditions=told)
        for scale in (1.0, 2.0):
            rows, before = 0, -1
            for part in replace(job, steered=partial(guided, scale=scale)).draw(5, 2):
                yield near(f"{name}, scale {scale}, items {part.first}, step {part.step}", rows, part.evaluations)
                yield near("more and more", 1, float(part.evaluations > before))
                before = part.evaluations
            if wanted:
                yield near(f"{name}, scale {scale}, all", 5 * wanted * scale, part.evaluations)
    evaluations = [list(Job(network, levels, SAMPLERS["ode"], (2,), seed=s).draw(1))[-1].evaluations for s in (0, 1, 2)]
    yield near(
        "one at a time, of the first evaluations and of six for each step", 0, sum(n % 6 != 3 for n in evaluations)
    )


@check(
    "denoisers made of denoisers and exact models take a level for each item: like every item with its own",
    "the protocol of levels",
)
def levels_of_items() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    times = torch.tensor([0.05, 0.9, 0.3, 0.6, 0.2, 0.45], dtype=torch.float64)
    pixels = PixelHistogram()
    pixels.count(torch.rand(4, 2, generator=generator) * 2 - 1)
    told = {"label": torch.arange(6)}

    def told_denoiser(x: Tensor, level: Level, **cond: Any) -> Prediction:
        x0 = cond["label"].reshape(-1, 1) - bent(x, level).x0 if cond else bent(x, level).x0
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    makes: dict[str, Callable[..., Prediction]] = {
        "mixture": plane_mixture(),
        "pixels": Pixelwise(pixels, (2,)),
        "clipped": clipped(bent, 0.5),
        "thresholded": thresholded(bent, 0.6, 0.3),
        "guided": guided(told_denoiser, 3.0, interval=(0.3, 2.0)),
        "rescaled": guided(told_denoiser, 3.0, interval=(0.3, 2.0), rescale=0.7),
        "null": guided(told_denoiser, 0.0, interval=(0.3, 2.0)),
    }
    for name, denoise in makes.items():
        for some in ([0, 1, 2, 3, 4, 5], [1, 0], [2, 3], [5]):
            level = VP()(times[some].reshape(-1, 1))
            cond = {"label": told["label"][some]} if name in ("guided", "rescaled", "null") else {}
            whole = denoise(x[some], level, **cond)
            for row, i in enumerate(some):
                own = {key: value[row : row + 1] for key, value in cond.items()}
                alone = denoise(x[i : i + 1], VP()(times[i]), **own)
                for part, one, many in zip(("x0", "eps"), alone[:2], whole[:2], strict=True):
                    yield near(f"{name}, {part} of {i} of {some}", one[0], many[row], rel=1e-9, abs=1e-9)


@check("a mixture so large that it is taken in parts splits the levels with the rows", "the protocol of levels")
def levels_in_parts() -> Iterator[Finding]:
    mixture, x = plane_mixture(), torch.linspace(-3, 3, 10, dtype=torch.float64).reshape(5, 2)
    times = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    level, before = VP()(times.reshape(-1, 1)), exact.BLOCK
    try:
        exact.BLOCK = 8  # distances, so two rows at once of four components
        whole, density, same = mixture(x, level).x0, mixture.log_density(x, level), mixture(x, VP()(times[1])).x0
    finally:
        exact.BLOCK = before
    yield near("at one level", mixture(x, VP()(times[1])).x0, same, abs=1e-12)
    for i in range(5):
        alone = VP()(times[i])
        yield near(f"row {i}", mixture(x[i : i + 1], alone).x0[0], whole[i], abs=1e-9)
        yield near(f"log density of row {i}", mixture.log_density(x[i : i + 1], alone)[0], density[i], abs=1e-9)


@check(
    "annealed Langevin dynamics is algorithm 1, x / alpha being kept between the levels",
    "Song & Ermon 2019, algorithm 1 with alpha_i = 4 (snr sigma)²; Jolicoeur-Martineau et al. 2021, section 3.1",
)
def annealed_langevin_algorithm() -> Iterator[Finding]:
    for corrections, snr in ((1, 0.2236), (3, 0.4)):

        def paper(levels: list[tuple[float, float]], count: int = corrections, snr: float = snr) -> Iterator[float]:
            x, draw = begin(levels), 0
            for (a, sa), (b, sb) in pairs(levels):
                for _ in range(count):
                    size = 4 * (snr * sa) ** 2
                    x += size / 2 * (-noise_estimate(x, a, sa) / sa) + math.sqrt(size) * NOISE[draw]
                    draw += 1
                x = b * x / a if sb > 0 else data_estimate(x, a, sa)
                yield x

        yield from compare("annealed-langevin", paper, corrections=corrections, snr=snr)
    # their step is epsilon sigma² / sigma_L², with epsilon = 2e-5 and levels down to sigma_L = 0.01, 100 at each
    yield near("snr of the paper", 2e-5 / 0.01**2, 4 * 0.2236**2, rel=1e-3)


@check(
    "annealed Langevin dynamics on N(m, s²): each step draws in by 1 - h / (2 v) and adds h, v the variance there",
    "Song & Ermon 2019, eq. 4, where the score is affine",
)
def annealed_langevin_on_a_gaussian() -> Iterator[Finding]:
    for name in ("vp", "ve", "flow"):
        for corrections, snr in ((3, 0.2), (7, 0.35)):
            levels = grids.levels(SCHEDULES[name](), 12, "log-snr")
            mean, variance = 0.7, 2.0
            for (a, sa), (b, _) in pairs([(level.alpha.item(), level.sigma.item()) for level in levels]):
                there = a**2 * STD**2 + sa**2
                size = 4 * snr**2 * sa**2
                for _ in range(corrections):
                    mean = a * MEAN + (1 - size / (2 * there)) * (mean - a * MEAN)
                    variance = (1 - size / (2 * there)) ** 2 * variance + size
                last = mean, variance, a * STD**2 / there
                mean, variance = b / a * mean, (b / a) ** 2 * variance
            mean, variance = MEAN + last[2] * (last[0] - a * MEAN), last[2] ** 2 * last[1]
            found = law(SAMPLERS["annealed-langevin"], levels, (0.7, 2.0), corrections=corrections, snr=snr)
            case = f"{name}, {corrections} of snr {snr}"
            yield near(f"mean, {case}", mean, found[0], rel=1e-8)
            yield near(f"spread, {case}", math.sqrt(variance), math.sqrt(found[1]), rel=1e-8)
    levels, x = [Level.of(0.0, 1.0), Level.of(0.6, 0.8)], torch.tensor([[0.5]], dtype=torch.float64)
    *_, end = SAMPLERS["annealed-langevin"](LAW, x, levels, noise=lambda _: 0 * x, corrections=2, snr=0.5)
    seen = (1 - 4 * 0.5**2 / 2) ** 2 * 0.5  # of pure noise, N(0, 1); then DDIM's step with x0 = m
    yield near("from pure noise", 0.6 * MEAN + 0.8 * seen, end.x, abs=1e-12)


@check(
    "euler-maruyama finds its times by the levels: begun later it is the same, and takes the beta of a table's entry",
    "Ho et al. 2020, eq. 2; Song et al. 2021, eq. 11",
)
def euler_maruyama_as_a_walk() -> Iterator[Finding]:
    sampler, noise = SAMPLERS["euler-maruyama"], [torch.tensor([[v]], dtype=torch.float64) for v in NOISE]
    x = torch.tensor([[0.8]], dtype=torch.float64)
    for name in ("vp", "linear", "ve"):
        schedule = SCHEDULES[name]()
        levels = grids.levels(schedule, 9, "log-snr")
        whole = list(sampler.on(schedule)(LAW, x, levels, noise=noise.__getitem__))
        part = sampler.on(schedule)(LAW, whole[4].x, levels[5:], noise=noise[5:].__getitem__)
        for k, (one, two) in enumerate(zip(whole[5:], part, strict=True)):
            yield near(f"{name}, from level 5, step {k + 1}", one.x, two.x, rel=1e-9)
        yield near(f"{name}, the end", LAW(whole[-2].x, levels[-2]).x0, whole[-1].x, abs=1e-12)
    table, betas = SCHEDULES["linear"](), linear_paper()
    for entry in (1000, 617, 500, 3):
        t, s = table(at(entry / 1000)), table(at((entry - 1) / 1000))
        growth = -math.log1p(-betas[entry - 1])  # the integral of beta over the step
        score = -(x - t.alpha * MEAN) / (t.alpha**2 * STD**2 + t.sigma**2)
        wanted = x + growth / 2 * x + growth * score + math.sqrt(growth) * noise[0]
        (step,) = sampler.on(table)(LAW, x, (t, s), noise=noise.__getitem__)
        yield near(f"linear, entry {entry}", wanted, step.x, rel=1e-8)
    try:
        list(sampler.on(Flow())(LAW, x, grids.levels(Flow(), 3)))
        refused = 0.0
    except ValueError:
        refused = 1.0
    yield near("pure noise is refused", 1, refused)
