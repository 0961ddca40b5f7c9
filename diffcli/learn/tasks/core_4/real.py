"""A learner's terms of the bound on the shipped model, beside those of `diffcli vlb` at the same levels and noises."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.learn.running import Outcome

NEEDS = ("prior_term", "step_term", "decoder_nats", "bits_per_dim")
IMAGES, STEPS = 4, 20
CLOSE = 1e-3  # of a term: both are sums of some hundred numbers in single precision

Functions = Mapping[str, Callable[..., Any]]


def compute(functions: Functions, out: Path) -> Iterator[str]:
    """Both bounds in nats per image, term by term, as terms.json and as a picture."""
    from diffcli.console.show import Show
    from diffcli.evaluation.bound import study

    yield f"diffcli vlb mnist --count {IMAGES} --steps {STEPS} --variance small --seed 0, on the shipped model"
    wanted = study.BoundOptions(count=IMAGES, steps=STEPS, variance="small")
    prepared = study.prepared("mnist", wanted)
    parts = study.run(prepared, Show(quiet=True)).parts["small"]
    ours = [parts.prior.mean().item(), *parts.per_step.tolist()]
    yield "your terms, from what the same network says of the same noisy images"
    yours = learners(functions, prepared.task)
    numbers = prepared.task.numbers
    totals = torch.tensor([sum(yours), sum(ours)], dtype=torch.float64)
    bits = torch.as_tensor(functions["bits_per_dim"](totals, numbers, 1.0)).tolist()
    found = {"yours": yours, "ours": ours, "bits": bits, "numbers": numbers}
    (out / "terms.json").write_text(json.dumps(found, indent=2), "utf-8")
    drawn(prepared.task.log_snr, yours, ours, out / "terms.png")


def learners(functions: Functions, task: Any) -> list[float]:
    """L_T, the steps from noise on, and the decoder: means over the images, in nats."""
    costs: list[list[Tensor]] = [[] for _ in task.levels]
    for row in task.rows():
        x0, x_t, estimate = (value.double() for value in (row.x0, row.x, row.prediction.x0))
        for place in row.place.unique().tolist():
            here = row.place == place
            t, s = (float(level.alpha[here].flatten()[0]) ** 2 for level in (row.here, row.after))
            if place == len(costs) - 1:
                nats = torch.as_tensor(functions["decoder_nats"](x0[here], estimate[here], (1 - t) ** 0.5))
                costs[place].append(nats.flatten(1).sum(1))
            else:
                small = (1 - t / s) * (1 - s) / (1 - t)
                arguments = x_t[here], x0[here], estimate[here], t, s, small
                costs[place].append(torch.as_tensor(functions["step_term"](*arguments)))
    noisiest = float(task.levels[0].alpha) ** 2
    prior = torch.as_tensor(functions["prior_term"](task.x0.double(), noisiest))
    return [float(prior.mean()), *(float(torch.cat(nats).mean()) for nats in costs)]


def drawn(log_snr: Tensor, yours: list[float], ours: list[float], path: Path) -> None:
    """The cost of each step over the log-SNR at which it begins."""
    from matplotlib.figure import Figure

    from diffcli.pictures.figures import write_figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(log_snr, ours[1:], color="tab:blue", linewidth=5, alpha=0.35, label="diffcli vlb")
    axes.plot(log_snr, yours[1:], "o-", color="tab:orange", markersize=4, linewidth=1, label="yours")
    axes.set_yscale("log")
    axes.set_xlabel("log SNR at the start of the step  (left noise, right data; the last point is the decoder)")
    axes.set_ylabel("nats per image")
    axes.legend(frameon=False)
    write_figure(figure, path)


def judged(out: Path) -> Outcome:
    """Whether every term agrees."""
    found = json.loads((out / "terms.json").read_text("utf-8"))
    pairs = list(zip(found["yours"], found["ours"], strict=True))
    off = max(abs(a - b) / (abs(b) + 1e-6) for a, b in pairs)
    rows = {"prior": pairs[:1], "diffusion": pairs[1:-1], "decoder": pairs[-1:], "the bound": pairs}
    lines = [f"{'nats per image':<16}{'yours':>12}{'diffcli vlb':>14}"]
    lines += [
        f"{name:<16}{sum(a for a, _ in some):>12.4f}{sum(b for _, b in some):>14.4f}" for name, some in rows.items()
    ]
    yours, ours = found["bits"]
    lines += [f"{'bits/dim':<16}{yours:>12.4f}{ours:>14.4f}", f"the term that is furthest off: {off:.1e} of itself"]
    exact = sum(found["ours"]) / found["numbers"] * 1.4426950408889634
    return Outcome(off < CLOSE and abs(ours - exact) < CLOSE, tuple(lines), ("terms.png",))
