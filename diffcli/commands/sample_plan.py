"""diffcli sample --plan"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.sampling.prepare import Prepared


OF_WALK = ("checkpoint", "sampler", "schedule", "grid", "steps", "count")  # told elsewhere in the line


def run(prepared: "Prepared", facts: dict[str, Any], show: "Show") -> None:
    """The levels of the walk and what it costs, as the result. facts: what would be written into the picture"""
    job, schedule = prepared.job, prepared.model.schedule_name
    evaluations, draws = job.cost()
    counted = f"{evaluations} network evaluations"
    if prepared.adaptive:
        counted = "as many network evaluations as the model needs"
    levels = [
        {"t": t, "alpha": level.alpha.item(), "sigma": level.sigma.item(), "log_snr": level.log_snr.item()}
        for t, level in zip(prepared.times, job.levels, strict=True)
    ]
    settings = {name.removeprefix("diffcli "): value for name, value in facts.items()}
    more = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in OF_WALK)
    document = {
        "sampler": prepared.sampler,
        "schedule": schedule,
        "grid": prepared.grid,
        "steps": job.steps,
        "evaluations": None if prepared.adaptive else evaluations,
        "noise_draws": draws,
        "levels": levels,
        "settings": {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()},
    }
    length = prepared.model.schedule.length
    entry = f"   {'entry':>9}" if length else ""
    lines = [
        f"{prepared.sampler}, {schedule} schedule, {prepared.grid} grid: {job.steps} steps, "
        f"{counted} and {draws} draws of noise per item; {prepared.count} {prepared.model.items.kind.name}, {more}",
        f"{'level':>5}   {'t':>9}{entry}   {'alpha':>10}   {'sigma':>10}   {'log SNR':>9}",
    ]
    for i, row in enumerate(levels):
        at = f"   {row['t'] * length:>9.7g}" if length else ""
        lines.append(
            f"{i:>5}   {row['t']:>9.6f}{at}   {row['alpha']:>10.6g}   {row['sigma']:>10.6g}   {row['log_snr']:>9.4f}"
        )
    show.result(document, lines)
