"""diffcli langevin: parse, run the three dynamics, say what came of them."""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.langevin import NAMES

if TYPE_CHECKING:
    from diffcli.lessons.langevin.dynamics import DynamicsOutcome, DynamicsSetting

MOST = 50_000_000  # moves of a particle


def langevin(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[TARGET]",
            help="two-modes, bimodal, gaussian, or mixture,means=-1:0/1:0,weights=1/3,stds=0.2.",
        ),
    ] = "two-modes",
    method: Annotated[str, typer.Option(help="ula, mala, annealed or all.")] = "all",
    step: Annotated[
        float,
        typer.Option(help="Size h of a step, in units of the variance of the narrowest mode."),
    ] = 0.1,
    noise_step: Annotated[
        float, typer.Option(help="Size of an annealed step, in units of the variance of its noise.")
    ] = 0.3,
    steps: Annotated[int, typer.Option(help="Steps of each particle.", min=1, max=100_000)] = 1000,
    count: Annotated[int, typer.Option("--count", help="Particles.", min=10, max=100_000)] = 2000,
    levels: Annotated[int, typer.Option(help="Noise levels of annealed.", min=1, max=1000)] = 10,
    sigma_max: Annotated[
        Optional[float], typer.Option(help="Noise of the first level.  [twice the reach of the modes]")
    ] = None,
    sigma_min: Annotated[
        Optional[float], typer.Option(help="Noise of the last level.  [0.2 of the narrowest mode]")
    ] = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Walk along the score of a mixture: plain Langevin gets the weights wrong, annealed Langevin right."""
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.langevin import dynamics, figures, mixtures

    show = Show(as_json=as_json, quiet=quiet)
    chosen = tuple(NAMES) if method == "all" else (one_of(method, (*NAMES, "all"), "method"),)
    setting = dynamics.DynamicsSetting.of(
        mixtures.named_mixture(target), step=step, share=noise_step, steps=steps, count=count, levels=levels,
        high=sigma_max, low=sigma_min, seed=seed,
    )  # fmt: skip
    if count * steps > MOST:
        raise UsageProblem(f"{count} particles of {steps} steps are too many", f"keep their product below {MOST}")
    with lesson("langevin", out, show) as made:
        outcomes: dict[str, DynamicsOutcome] = {}
        with show.progress("walking", steps * len(chosen), "steps") as bar:
            for i, name in enumerate(chosen):
                for done, outcome in dynamics.run(setting, name):
                    outcomes[name] = outcome
                    bar.update(i * steps + done, NAMES[name])
        bias = dynamics.bias(setting)
        figures.compare(made.figure("compare.png"), setting, outcomes)
        figures.score(made.figure("score.png"), setting)
        figures.bias(made.figure("bias.png"), bias)
        figures.animate(made.figure("langevin.gif"), setting, outcomes)
        made.document = _document(target, setting, outcomes) | {"bias": bias._asdict()}
        made.lines = _lines(setting, outcomes)
        made.seen = _seen(setting, outcomes)
        made.leads = (
            "Annealed Langevin is the reverse walk of diffusion with a known score; training learns that score."
        )
        made.next = "diffcli ais"


def _document(target: str, setting: "DynamicsSetting", outcomes: dict[str, "DynamicsOutcome"]) -> dict[str, Any]:
    last = list(outcomes.values())[-1]
    return {
        "target": target,
        "method": "all" if len(outcomes) > 1 else next(iter(outcomes)),
        "particles": setting.count,
        "steps": setting.steps,
        "step": setting.step,
        "noise_step": setting.share,
        "sigmas": setting.sigmas,
        "weights": last.weights.values,
        "weights_true": setting.law.weights.tolist(),
        "weight_standard_errors": last.weights.errors,
        "methods": {name: outcome.document for name, outcome in outcomes.items()},
    }


def _lines(setting: "DynamicsSetting", outcomes: dict[str, "DynamicsOutcome"]) -> list[str]:
    from diffcli.console.show import table

    rows = [
        [
            NAMES[name],
            _weights(o.weights.values),
            f"{max(o.weights.errors):.3f}",
            f"{o.within:.3f}",
            f"{o.energy:.4f}",
            f"{o.acceptance:.3f}" if name == "mala" else "-",
        ]
        for name, o in outcomes.items()
    ]
    truth = [["the truth", _weights(setting.law.weights.tolist()), "", f"{setting.variance:.3f}", "0", ""]]
    heads = ["dynamics", "weights of the modes", "error", "variance", "distance", "accepted"]
    return [
        *table(heads, [*truth, *rows], right=(2, 3, 4, 5), wraps=(1,)),
        "",
        "error: standard error of a weight; variance: within the modes; distance: energy distance to exact draws",
    ]


def _weights(values: list[float]) -> str:
    if len(values) > 3:
        return f"{min(values):.3f} to {max(values):.3f}"
    return " ".join(f"{value:.3f}" for value in values)


def _seen(setting: "DynamicsSetting", outcomes: dict[str, "DynamicsOutcome"]) -> str:
    """What this run showed of the weights."""
    truth = setting.law.weights.tolist()
    if len(truth) == 1:
        name, o = next(iter(outcomes.items()))
        settled = f"{NAMES[name]} steps settle at a variance of {o.within:.3f}"
        return f"One mode: {settled} where the truth is {setting.variance:.3f}."
    parts = []
    for name, o in outcomes.items():
        off, miss = max((abs(w - t), i) for i, (w, t) in enumerate(zip(o.weights.values, truth, strict=True)))
        verdict = "right" if off <= 4 * o.weights.errors[miss] + 0.01 else "wrong"
        parts.append(f"{NAMES[name]} {verdict} ({o.weights.values[miss]:.2f} where {truth[miss]:.2f} is true)")
    return f"Weights of the modes: {', '.join(parts)}."
