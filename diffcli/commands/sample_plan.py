"""diffcli sample --plan"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.sampling.prepare import Prepared


def run(prepared: "Prepared", show: "Show") -> None:
    """The levels of the walk and what it costs, as the result."""
    job, schedule = prepared.job, prepared.model.schedule_name
    evaluations, draws = job.cost()
    counted = f"{evaluations} network evaluations"
    if prepared.adaptive:
        counted = "as many network evaluations as the model needs"
    levels = [
        {"t": t, "alpha": level.alpha.item(), "sigma": level.sigma.item(), "log_snr": level.log_snr.item()}
        for t, level in zip(prepared.times, job.levels, strict=True)
    ]
    document = {
        "sampler": prepared.sampler,
        "schedule": schedule,
        "grid": prepared.grid,
        "steps": job.steps,
        "evaluations": None if prepared.adaptive else evaluations,
        "noise_draws": draws,
        "levels": levels,
    }
    length = prepared.model.schedule.length
    entry = f"   {'entry':>9}" if length else ""
    lines = [
        f"{prepared.sampler}, {schedule} schedule, {prepared.grid} grid: {job.steps} steps, "
        f"{counted} and {draws} draws of noise per item",
        f"{'level':>5}   {'t':>9}{entry}   {'alpha':>10}   {'sigma':>10}   {'log SNR':>9}",
    ]
    for i, row in enumerate(levels):
        at = f"   {row['t'] * length:>9.7g}" if length else ""
        lines.append(
            f"{i:>5}   {row['t']:>9.6f}{at}   {row['alpha']:>10.6g}   {row['sigma']:>10.6g}   {row['log_snr']:>9.4f}"
        )
    show.result(document, lines)
