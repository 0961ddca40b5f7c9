"""diffcli vae evaluate"""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffcli.console import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from diffcli.console.show import Show
    from diffcli.core.models.vae import VAE

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SIDE = 15  # pictures along a side of the map of a latent plane


def evaluate(
    run: options.Run = None,
    count: Annotated[int, typer.Option("--count", help="Test images for IWAE.", min=2, max=10_000)] = 200,
    samples: Annotated[int, typer.Option("--samples", help="k of IWAE-k.", min=1, max=5000)] = 500,
    ais_images: Annotated[int, typer.Option(help="Images of each kind for annealing.", min=2, max=50)] = 8,
    ais_chains: Annotated[int, typer.Option(help="Chains per image.", min=1, max=200)] = 8,
    ais_temperatures: Annotated[int, typer.Option(help="Rungs of the ladder.", min=1, max=10_000)] = 150,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The bound in its parts, IWAE-k, log p(x) by annealing with bounds from both sides, and the latent space."""
    from diffcli.commands.opening import opened
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.processes.variational import active_units
    from diffcli.evaluation import vae_bounds

    show = Show(as_json=as_json, quiet=quiet)
    trained = opened(run, "vae", show)
    model = vae_bounds.exact(trained)
    dataset, x, labels = vae_bounds.images(trained, 10_000, data)
    some = x[:count]
    how = {"chains": ais_chains, "temperatures": ais_temperatures, "seed": seed}
    show.note(f"time: about {_estimate(model, some, samples, x[:ais_images], ais_chains, ais_temperatures)}")
    with lesson("vae-evaluate", out, show) as made:
        terms, posterior = vae_bounds.bound(model, x, seed), vae_bounds.encoded(model, x)
        active = active_units(posterior.mean)
        weights = _weights(model, some, samples, seed, show)
        test = _bounds(model, x[:ais_images], samples, None, how, show)
        drawn, z = vae_bounds.simulated(model, ais_images, seed)
        sandwich = _bounds(model, drawn, samples, z, how, show)
        curve = _curve(weights)
        _draw(made, trained, model, terms, active, curve, posterior, labels, dataset.classes, test, sandwich)
        made.document = _document(trained, terms, active, weights, curve, test, sandwich)
        made.lines = _lines(made.document, len(x), len(some), ais_images)
        d, s = made.document, made.document["sandwich"]
        made.seen = (
            f"ELBO {d['elbo']:.2f}, IWAE-{samples} {d['iwae']:.2f} nats. On its own images log p(x) is known to "
            f"{abs(s['gap']):.2f} ± {s['gap_standard_error']:.2f} nats; the ELBO is {s['upper'] - s['elbo']:.2f} below."
        )
        made.leads = "What the ELBO misses is KL(q || p(z | x)): diffusion fixes q and makes up for it by many layers."
        made.next = f"diffcli vae sample {trained.path.parent}"


def _estimate(model: "VAE", x: "Tensor", samples: int, few: "Tensor", chains: int, temperatures: int) -> str:
    """How long it will take, from one block of each kind of work."""
    from diffcli.core.processes.montecarlo.kernels import value_and_gradient
    from diffcli.core.randomness import keyed
    from diffcli.evaluation import vae_bounds
    from diffcli.system.text import duration

    target, u = vae_bounds.whitened(model, few, chains), vae_bounds.start(model, few, chains, keyed(0, "trial"))
    for _ in range(2):  # the first call of each kind is slower than the rest
        began = time.monotonic()
        block = next(vae_bounds.log_weights(model, x, samples, 0))
        per_weight = (time.monotonic() - began) / block.numel()
        began = time.monotonic()
        value_and_gradient(target, u)
        per_leap = time.monotonic() - began
    evaluations = (len(x) + 2 * len(few)) * samples
    leaps = 3 * temperatures * (vae_bounds.LEAPS + 2)  # up twice and down once
    return duration(4 + per_weight * evaluations + per_leap * leaps)


def _weights(model: "VAE", x: "Tensor", samples: int, seed: int, show: "Show") -> "Tensor":
    import torch

    from diffcli.evaluation import vae_bounds

    parts, done = [], 0
    with show.progress("importance weights", samples, "samples per image") as bar:
        for part in vae_bounds.log_weights(model, x, samples, seed):
            parts.append(part)
            bar.update(done := done + part.shape[1])
    return torch.cat(parts, dim=1)


def _bounds(
    model: "VAE", x: "Tensor", samples: int, z: "Tensor | None", how: dict[str, int], show: "Show"
) -> dict[str, "Tensor"]:
    """Every bound of log p(x) for a few images; the upper one where the z that they were drawn from is known."""
    import torch

    from diffcli.evaluation import vae_bounds

    weights = torch.cat(list(vae_bounds.log_weights(model, x, samples, how["seed"])), dim=1)
    annealing = vae_bounds.Annealing.of(model, x, **how)
    found = {"ELBO": weights.mean(1), "IWAE": vae_bounds.log_mean_exp(weights)}
    found["AIS, lower"] = vae_bounds.log_mean_exp(_walked(annealing.lower(), "annealing", how, show))
    if z is not None:
        found["AIS, upper"] = -vae_bounds.log_mean_exp(_walked(annealing.upper(z), "annealing back", how, show))
    return found


def _walked(walk: "Iterator[tuple[int, Tensor]]", title: str, how: dict[str, int], show: "Show") -> "Tensor":
    """The log-weights at the end of a ladder."""
    with show.progress(title, how["temperatures"], "rungs") as bar:
        for rung, weights in walk:
            bar.update(rung)
            last = weights
    return last


def _curve(weights: "Tensor") -> list[dict[str, float]]:
    """IWAE-k for growing k, with standard errors over images."""
    from diffcli.core.processes.variational import iwae
    from diffcli.metrics.statistics import standard_error

    total = weights.shape[1]
    rows = []
    for k in sorted({*(c for c in COUNTS if c < total), total}):
        values = iwae(weights, k)
        rows.append({"samples": k, "nats": values.mean().item(), "standard_error": standard_error(values)})
    return rows


def _draw(
    made: Any, trained: Any, model: "VAE", terms: Any, active: Any, curve: Any, posterior: Any, labels: Any,
    names: Any, test: Any, sandwich: Any,
) -> None:  # fmt: skip
    import torch

    from diffcli.evaluation import vae_bounds
    from diffcli.pictures import latents
    from diffcli.pictures.grid import grid, save_png

    kl = terms.kl.mean(0)
    latents.bounds_figure(made.figure("bounds.png"), curve, kl, active)
    latents.sandwich_figure(made.figure("sandwich.png"), {"test images": test, "images that the model drew": sandwich})
    units = kl.argsort(descending=True)[:2].tolist() if model.latent > 1 else [0, 0]
    shown = posterior.mean[:5000, units]
    latents.latent_figure(
        made.figure("latent.png"), shown, None if labels is None else labels[: len(shown)], names,
        [f"unit {unit} ({kl[unit]:.2f} nats)" for unit in units],
    )  # fmt: skip
    if model.latent == 2:
        share = torch.linspace(0.02, 0.98, SIDE, dtype=torch.float64)
        places = torch.special.ndtri(share).float()
        plane = torch.cartesian_prod(places.flip(0), places)[:, [1, 0]]
        with torch.no_grad():
            save_png(made.figure("map.png"), grid(vae_bounds.decoded(model, plane), columns=SIDE))


def _document(
    trained: Any, terms: Any, active: Any, weights: "Tensor", curve: Any, test: Any, sandwich: Any
) -> dict[str, Any]:
    import math

    from diffcli.core.processes.variational import iwae
    from diffcli.evaluation import vae_bounds
    from diffcli.metrics.statistics import standard_error

    elbo, numbers = terms.elbo, math.prod(trained.shape)
    kl = terms.kl.mean(0)
    gain = iwae(weights, weights.shape[1]) - weights.mean(1)  # varies far less from image to image than log p(x) does
    lower, upper = sandwich["AIS, lower"].mean().item(), sandwich["AIS, upper"].mean().item()
    byte = trained.recipe.pixels == "8bit"
    return {
        "checkpoint": str(trained.path),
        "pixels": trained.recipe.pixels,
        "images": len(elbo),
        "elbo": elbo.mean().item(),
        "elbo_standard_error": standard_error(elbo),
        "reconstruction": terms.reconstruction.mean().item(),
        "kl": kl.sum().item(),
        "kl_per_unit": kl.tolist(),
        "active_units": int(active.sum()),
        "iwae": elbo.mean().item() + gain.mean().item(),
        "iwae_standard_error": math.hypot(standard_error(elbo), standard_error(gain)),
        "iwae_gain": gain.mean().item(),
        "iwae_gain_standard_error": standard_error(gain),
        "iwae_samples": curve[-1]["samples"],
        "iwae_images": len(weights),
        "iwae_curve": curve,
        "log_p_ais": test["AIS, lower"].mean().item(),
        "ais_images": {name: values.tolist() for name, values in test.items()},
        "sandwich": {
            "elbo": sandwich["ELBO"].mean().item(),
            "iwae": sandwich["IWAE"].mean().item(),
            "lower": lower,
            "upper": upper,
            "gap": upper - lower,
            "gap_standard_error": standard_error(sandwich["AIS, upper"] - sandwich["AIS, lower"]),
            "images": {name: values.tolist() for name, values in sandwich.items()},
        },
        "bits_per_dim": vae_bounds.bits_per_dim(elbo.mean().item(), numbers) if byte else None,
        "iwae_bits_per_dim": vae_bounds.bits_per_dim(elbo.mean().item() + gain.mean().item(), numbers)
        if byte
        else None,
    }


def _lines(d: dict[str, Any], every: int, some: int, few: int) -> list[str]:
    from diffcli.console.show import table

    s, name = d["sandwich"], f"IWAE-{d['iwae_samples']}"
    test = {bound: sum(values) / len(values) for bound, values in d["ais_images"].items()}
    rows = [
        ["ELBO", f"{d['elbo']:.2f}", f"{d['elbo_standard_error']:.2f}", f"{every} test images"],
        ["  reconstruction", f"{d['reconstruction']:.2f}", "", ""],
        ["  KL", f"{d['kl']:.2f}", "", f"{d['active_units']} of {len(d['kl_per_unit'])} units active"],
        [name, f"{d['iwae']:.2f}", f"{d['iwae_standard_error']:.2f}", f"{every}, by the gain"],
        ["  its gain", f"{d['iwae_gain']:.2f}", f"{d['iwae_gain_standard_error']:.2f}", f"{some} of them"],
        ["ELBO", f"{test['ELBO']:.2f}", "", f"{few} of them"],
        [name, f"{test['IWAE']:.2f}", "", f"{few} of them"],
        ["annealed log p(x)", f"{d['log_p_ais']:.2f}", "", f"{few} of them"],
        ["ELBO", f"{s['elbo']:.2f}", "", f"{few} that the model drew"],
        [name, f"{s['iwae']:.2f}", "", f"{few} that the model drew"],
        ["annealed, lower", f"{s['lower']:.2f}", "", f"{few} that the model drew"],
        ["annealed, upper", f"{s['upper']:.2f}", "", f"{few} that the model drew"],
    ]
    bits = [] if d["bits_per_dim"] is None else [f"{d['bits_per_dim']:.3f} bits per dimension by the ELBO"]
    return [*table(["nats per image", "mean", "std. error", "over"], rows, right=(1, 2)), *bits]
