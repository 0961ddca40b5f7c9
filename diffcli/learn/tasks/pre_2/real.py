"""The learner's ways to draw beside those of `diffcli draw`: the same laws, as many draws, the same tests."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from diffcli.core.processes.laws.line import Beta, Exponential, Law, LineMixture, LineNormal
from diffcli.core.processes.laws.plane import TableLaw
from diffcli.core.processes.montecarlo.methods import METHODS, Batch, uniforms
from diffcli.core.randomness import keyed
from diffcli.learn.running import Outcome
from diffcli.lessons.drawing.measures import joined, worth
from diffcli.lessons.drawing.pictures import result
from diffcli.lessons.drawing.samples import MethodSample
from diffcli.pictures.figures import write_figure

NEEDS = (
    "monte_carlo", "inverse_transform", "box_muller", "mixture_draws", "gumbel_max", "importance", "rejection",
)  # fmt: skip
SEED, COUNT = 1, 20_000  # of all randomness; draws of each law
SIGMAS, DOUBTFUL = 4.5, 1e-4  # standard errors off, and a p-value, that fail
MIXTURE = LineMixture((0.3, 0.7), (-2.0, 1.0), (0.5, 1.0))
LAWS: dict[str, tuple[Law, str]] = {  # by function: what is drawn from, and the package's method beside it
    "inverse_transform": (Exponential(), "inverse"),
    "box_muller": (LineNormal(), "box-muller"),
    "rejection": (Beta(), "rejection"),
    "mixture_draws": (MIXTURE, "inverse"),
    "gumbel_max": (TableLaw((0.0, 1.0, 2.0, 3.0), (0.2, 0.1, 0.4, 0.3)), "inverse"),
    "importance": (MIXTURE, "importance"),
}


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    rows, figure = {}, Figure(figsize=(12.0, 6.5), layout="constrained")
    for (name, (law, method)), ax in zip(LAWS.items(), figure.subplots(2, 3).flatten(), strict=True):
        yield f"{COUNT} draws by your {name}, and by the package's {method}"
        theirs = joined(list(METHODS[method].draw(law, COUNT, keyed(SEED, f"draw {name}"))))
        batch = theirs if name == "importance" else drawn(functions[name], law, name)
        yours, ours = worth(batch, law, chained=False), worth(theirs, law, chained=False)
        rows[name] = summary(functions, batch, law) | {
            "truth": law.moments().mean.item(), "should": [math.exp(-law.proposal().log_bound), ours.effective],
            "p": yours.p_value, "error_should": yours.mean.error.item(),
            "ours": [ours.mean.value.item(), ours.mean.error.item()],
        }  # fmt: skip
        result(ax, law, MethodSample(method, law, METHODS[method], batch, yours))
        if name == "gumbel_max":
            ax.set_xlabel("class")
        ax.set_title(f"your {name}, p = {yours.p_value:.2g}")
    (out / "draws.json").write_text(json.dumps(rows), "utf-8")
    write_figure(figure, out / "draws.png")


def drawn(function: Callable[..., Any], law: Law, name: str) -> Batch:
    """Draws of a law by the learner's function for it."""
    generator, share = keyed(SEED, f"learn {name}"), 1.0
    u = uniforms(COUNT, 4, generator)
    first = u[:, 0].clone()
    if isinstance(law, Beta):
        density, peak = (lambda x: law.log_density(x.double().unsqueeze(1)).exp()), math.exp(law.proposal().log_bound)
        found, share = function(density, peak, COUNT, generator)
    elif isinstance(law, LineMixture):
        found = function(*law.parts(), first, torch.randn(COUNT, generator=generator, dtype=torch.float64))
    elif isinstance(law, TableLaw):
        found = function(law.p.log().expand(COUNT, 4).clone(), u)
    else:
        found = function(u[::2, :2].clone()) if isinstance(law, LineNormal) else function(first, 1.0, math.inf)
    x = torch.as_tensor(found).double().reshape(-1, 1, 1)
    return Batch(x, len(x), round(len(x) / float(share)), len(x))


def summary(functions: Mapping[str, Callable[..., Any]], batch: Batch, law: Law) -> dict[str, Any]:
    """Mean, standard error and what the draws are worth, by the learner's functions; p lacks its constant."""
    values = law.worth(batch.x[:, 0])[:, 0]
    if batch.log_weights is None:
        mean, error = functions["monte_carlo"](values)
        return {"mean": float(mean), "error": float(error), "share": batch.accepted / batch.proposals}
    log_q = law.proposal().log_density(batch.x[:, 0])
    mean, effective = functions["importance"](batch.log_weights[:, 0] + log_q + 500.0, log_q, values)
    return {"mean": float(mean), "effective": float(effective)}


def judged(out: Path) -> Outcome:
    """Whether no test speaks against a method, means lie within their errors, and errors and costs are right."""
    rows = json.loads((out / "draws.json").read_text("utf-8"))
    lines, passed = [f"{'':<18}{'truth':>8}{'yours':>18}{'p':>8}   {'the package':<18}"], True
    for name, row in rows.items():
        error, off, said = row.get("error", row["error_should"]), [], ""
        kept, effective = row["should"]
        if not (row["p"] > DOUBTFUL and abs(row["mean"] - row["truth"]) < SIGMAS * row["error_should"]):
            off.append("the law")
        if not abs(error / row["error_should"] - 1) < 1e-3:
            off.append("the standard error")
        if name == "rejection":
            said = f"kept {row['share']:.4f}, 1/M = {kept:.4f}"
            off += ["the share"] * (not abs(row["share"] - kept) < SIGMAS * kept * math.sqrt((1 - kept) / COUNT))
        if name == "importance":
            said = f"worth {row['effective']:.0f} draws"
            off += ["the effective size"] * (not abs(row["effective"] / effective - 1) < 1e-3)
        yours, ours = (f"{mean:.4f} ± {spread:.4f}" for mean, spread in ((row["mean"], error), row["ours"]))
        line = f"{name:<18}{row['truth']:>8.4f}{yours:>18}{row['p']:>8.2g}   {ours:<18}{said}"
        lines.append(line.rstrip() + (f"  <- {', '.join(off)}" if off else ""))
        passed &= not off
    return Outcome(passed and len(rows) == len(LAWS), tuple(lines), ("draws.png",))
