"""What is drawn and said of how likely a variational autoencoder finds images."""

import math
from typing import Any

from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.core.processes.variational import iwae
from diffcli.evaluation import vae_bounds
from diffcli.lessons.autoencoders.vae_likelihood import VaeLikelihood, VaeLikelihoodStudy
from diffcli.lessons.autoencoders.vae_pictures import bounds_figure, latent_figure, latent_map, sandwich_figure
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import save_png
from diffcli.system.shell import argument

SHOWN = 5000  # codes in the picture of the latent space


def fill(made: Lesson, study: VaeLikelihoodStudy, found: VaeLikelihood) -> None:
    """Figures, document and lines."""
    _draw(made, study, found)
    d = made.document = _document(study, found)
    made.lines = _lines(d, len(study.x), len(found.weights), study.annealed)
    s = d["sandwich"]
    made.seen = (
        f"ELBO {d['elbo']:.2f}, IWAE-{study.samples} {d['iwae']:.2f} nats. On its own images log p(x) is known to "
        f"{abs(s['gap']):.2f} ± {s['gap_standard_error']:.2f} nats; the ELBO is {s['upper'] - s['elbo']:.2f} below."
    )
    made.leads = "What the ELBO misses is KL(q || p(z | x)): diffusion fixes q and makes up for it by many layers."
    made.next = f"diffcli vae sample {argument(study.trained.target)}"


def _draw(made: Lesson, study: VaeLikelihoodStudy, found: VaeLikelihood) -> None:
    kl = found.terms.kl.mean(0)
    write_figure(bounds_figure(found.curve, kl, found.active), made.figure("bounds.png"))
    groups = {"test images": found.test, "images that the model drew": found.drawn}
    write_figure(sandwich_figure(groups), made.figure("sandwich.png"))
    units = kl.argsort(descending=True)[:2].tolist() if study.model.latent > 1 else [0, 0]
    codes = found.posterior.mean[:SHOWN, units]
    labels = None if study.labels is None else study.labels[: len(codes)]
    names = [f"unit {unit} ({kl[unit]:.2f} nats)" for unit in units]
    write_figure(latent_figure(codes, labels, study.classes, names), made.figure("latent.png"))
    if study.model.latent == 2:
        save_png(made.figure("map.png"), latent_map(study.model))


def _document(study: VaeLikelihoodStudy, found: VaeLikelihood) -> dict[str, Any]:
    """The numbers, in nats per image."""
    elbo, kl, weights = found.terms.elbo, found.terms.kl.mean(0), found.weights
    gain = iwae(weights, weights.shape[1]) - weights.mean(1)  # varies far less from image to image than log p(x) does
    iwae_of_all = elbo.mean().item() + gain.mean().item()
    numbers, byte = math.prod(study.trained.items.shape), study.trained.recipe.pixels.name == "8bit"
    return {
        "checkpoint": str(study.trained.path),
        "pixels": study.trained.recipe.pixels.name,
        "images": len(elbo),
        "elbo": elbo.mean().item(),
        "elbo_standard_error": standard_error(elbo),
        "reconstruction": found.terms.reconstruction.mean().item(),
        "kl": kl.sum().item(),
        "kl_per_unit": kl.tolist(),
        "active_units": int(found.active.sum()),
        "iwae": iwae_of_all,
        "iwae_standard_error": math.hypot(standard_error(elbo), standard_error(gain)),
        "iwae_gain": gain.mean().item(),
        "iwae_gain_standard_error": standard_error(gain),
        "iwae_samples": study.samples,
        "iwae_images": len(weights),
        "iwae_curve": found.curve,
        "log_p_ais": found.test["AIS, lower"].mean().item(),
        "ais_images": {name: values.tolist() for name, values in found.test.items()},
        "sandwich": _sandwich(found.drawn),
        "bits_per_dim": vae_bounds.bits_per_dim(elbo.mean().item(), numbers) if byte else None,
        "iwae_bits_per_dim": vae_bounds.bits_per_dim(iwae_of_all, numbers) if byte else None,
    }


def _sandwich(bounds: dict[str, Tensor]) -> dict[str, Any]:
    """log p(x) from both sides, over the images that the model drew."""
    lower, upper = bounds["AIS, lower"].mean().item(), bounds["AIS, upper"].mean().item()
    return {
        "elbo": bounds["ELBO"].mean().item(),
        "iwae": bounds["IWAE"].mean().item(),
        "lower": lower,
        "upper": upper,
        "gap": upper - lower,
        "gap_standard_error": standard_error(bounds["AIS, upper"] - bounds["AIS, lower"]),
        "images": {name: values.tolist() for name, values in bounds.items()},
    }


def _lines(d: dict[str, Any], every: int, some: int, few: int) -> list[str]:
    """The bounds over all test images, over some, and over the few that were annealed."""
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
