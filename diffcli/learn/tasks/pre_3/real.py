"""A learner's annealed importance sampling of a Boltzmann machine's constant, beside that of `diffcli ais`."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from diffcli.learn.running import Outcome

NEEDS = ("annealed_log_density", "annealed_log_weights", "log_mean_weight")
MACHINE, TEMPERATURES, MOVES, CHAINS = "rbm,visible=6,hidden=4,scale=2", 400, 2, 500
ERRORS = 4.5  # standard errors that an estimate or a bound may be on the wrong side
ROUNDING = 0.02  # nats: the chains are those of the package, so only rounding parts the two estimates
NARROW = 2.0  # nats between the bounds at most: the ladder closes them to about 1

Log = Callable[[Tensor], Tensor]


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    """Log-weights of four runs as weights.png, and what they say as constants.json."""
    from diffcli.core.processes.montecarlo.annealing import LADDERS
    from diffcli.core.processes.montecarlo.unnormalised import draw_standard, standard
    from diffcli.core.randomness import keyed
    from diffcli.lessons.annealing.walks import annealing_setting, climbed, moves_of
    from diffcli.lessons.annealing.weights import estimate, mean_log

    setting = annealing_setting(
        MACHINE, ladder=None, temperatures=TEMPERATURES, chains=CHAINS, kernel="random-walk", moves=MOVES, seed=0
    )
    problem, betas, rungless = setting.problem, LADDERS[setting.ladder](TEMPERATURES), torch.tensor([0.0, 1.0]).double()

    def weights(x: Tensor, ladder: Tensor, start: Log, target: Log, generator: Generator) -> Tensor:
        kernel = moves_of(setting)(ladder)

        def move(x: Tensor, beta: float) -> Tensor:
            def law(y: Tensor) -> Tensor:
                return torch.as_tensor(functions["annealed_log_density"](y, float(beta), start, target))

            return kernel(torch.as_tensor(x), law, 0, generator).x

        found = functions["annealed_log_weights"](x, ladder, start, target, move)
        return torch.as_tensor(found, dtype=torch.float64)

    generator = keyed(0, "ais-up", len(betas))  # the package's, so that the chains are the same
    x = draw_standard(CHAINS, problem.dimension, generator)
    yield f"diffcli ais {MACHINE} --temperatures {TEMPERATURES} --moves {MOVES} --chains {CHAINS} --seed 0"
    ours = climbed(setting, betas, moves_of(setting)(betas)).log_weights
    yield f"your ladder of {TEMPERATURES} rungs: from the normal law to the machine"
    up = weights(x, betas, standard, problem.log_density, generator)
    yield "your ladder the other way: from exact draws of the machine to the normal law"
    other = keyed(0, "learn-down")
    down = -weights(problem.draw(CHAINS, other), betas, problem.log_density, standard, other)
    plain = weights(x, rungless, standard, problem.log_density, keyed(0, "learn-plain"))
    found = {"truth": problem.log_z, "ours": estimate(ours), "below": mean_log(up)[:2], "above": mean_log(down)[:2]}
    for name, log_weights in (("yours", up), ("plain", plain)):
        value, worth = functions["log_mean_weight"](log_weights)
        found[name] = float(value), estimate(log_weights).standard_error, float(worth)
    (out / "constants.json").write_text(json.dumps(found, indent=2), "utf-8")
    drawn(problem.log_z, {"no rungs": plain, "upwards": up, "downwards, minus log w": down}, out / "weights.png")


def drawn(truth: float, some: Mapping[str, Tensor], path: Path) -> None:
    """Histograms of log-weights, with the truth among them."""
    from matplotlib.figure import Figure

    from diffcli.pictures.figures import write_figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    low, high = (torch.cat([*some.values()]).quantile(q).item() for q in (0.1, 0.999))
    for name, log_weights in some.items():
        axes.hist(log_weights.tolist(), bins=60, range=(low, high + 1), alpha=0.55, label=f"your chains, {name}")
    for name, colour in (("upwards", "C1"), ("downwards, minus log w", "C2")):
        mean = some[name].mean().item()
        axes.axvline(mean, color=colour, label=f"mean {name.split(',')[0]}, a bound = {mean:.3f}")
    axes.axvline(truth, color="black", linestyle="--", label=f"log Z = {truth:.3f}")
    axes.set_xlabel("log-weight, nats")
    axes.set_ylabel("chains")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    write_figure(figure, path)


def judged(out: Path) -> Outcome:
    """Whether estimate and bounds agree with the sum over all hidden states, and the estimate with the package's."""
    found = json.loads((out / "constants.json").read_text("utf-8"))
    truth, (value, error, worth), (below, low), (above, high) = (found[k] for k in ("truth", "yours", "below", "above"))
    ours, _, as_many = found["ours"]
    right = abs(value - truth) < ERRORS * error and abs(value - ours) < ROUNDING and abs(worth / as_many - 1) < ROUNDING
    between = below - ERRORS * low < truth < above + ERRORS * high and 0 < above - below < NARROW
    lines = [
        f"{'':<26}{'log Z':>8}{'std. error':>12}{f'worth of {CHAINS}':>15}",
        f"{'the truth, by enumeration':<26}{truth:>8.3f}",
        f"{'diffcli ais':<26}{ours:>8.3f}{found['ours'][1]:>12.3f}{as_many:>15.1f}",
        f"{'yours':<26}{value:>8.3f}{error:>12.3f}{worth:>15.1f}",
        f"{'yours without rungs':<26}{found['plain'][0]:>8.3f}{found['plain'][1]:>12.3f}{found['plain'][2]:>15.1f}",
        f"{'yours, bound from below':<26}{below:>8.3f}{low:>12.3f}",
        f"{'yours, bound from above':<26}{above:>8.3f}{high:>12.3f}",
    ]
    return Outcome(right and between, tuple(lines), ("weights.png",))
