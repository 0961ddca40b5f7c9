"""What an autoencoder with pictures for latents keeps of images it has not seen, beside the best linear code."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.console.show import Show, table
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset, to_pixels
from diffcli.evaluation.features.encoders import encoder
from diffcli.evaluation.features.extraction import features
from diffcli.evaluation.subject import held_out
from diffcli.lessons.autoencoders.vae_pictures import strips_figure
from diffcli.metrics.frechet import Moments, frechet_distance
from diffcli.metrics.linear_code import linear_code
from diffcli.metrics.quality import psnr, ssim
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.figures import write_figure
from diffcli.runs.loading import Trained
from diffcli.system.shell import argument
from diffcli.training.families.codec import scale_of

SHOWN = 10
AT_ONCE = 100
LONG = 1 << 26  # numbers in the basis of a linear code from which on it is found in minutes


def study_codec(trained: Trained, count: int, data: Path | None, show: Show, made: Lesson) -> None:
    """Encode and decode `count` test images: PSNR, SSIM, Fréchet distance, all beside the linear code; the latents.

    Raises DataProblem where the data have changed their shape.
    """
    test, places = held_out(trained, data)
    test = test.only(places[:count])
    name, reading = trained.recipe.data.name, trained.stored.reading
    train = datasets.load_dataset(name, data=data, reading=reading)
    known, _ = train.holdout(by_class=trained.stored.by_class)
    numbers = torch.Size(trained.model.latent_shape).numel()
    x, _ = test.take(range(len(test)))
    if numbers * x[0].numel() > LONG:
        show.note(f"finding the best linear code of {numbers} numbers for {x[0].numel()}: this takes minutes")
    code = linear_code(train, known, numbers)
    made_of = {"autoencoder": _restored(trained, x), "linear": code.restored(x).clamp(-1, 1)}
    judged = encoder("judge", name, data, torch.device("cpu"), show, reading=reading)
    real = Moments.of(features(judged, test, show, "judging images"))
    distances = {
        kind: frechet_distance(real, Moments.of(features(judged, _as_dataset(test, images), show, f"judging {kind}")))
        for kind, images in made_of.items()
    }
    quality = {kind: psnr(images, x) for kind, images in made_of.items()}
    scale = scale_of(trained.model, x)
    before = trained.stored.about.get("latents", scale)
    made.document = {
        "checkpoint": str(trained.path),
        "images": len(x),
        "psnr": quality["autoencoder"].mean().item(),
        "psnr_standard_error": standard_error(quality["autoencoder"]),
        "psnr_linear": quality["linear"].mean().item(),
        "ssim": ssim(made_of["autoencoder"], x).mean().item(),
        "ssim_linear": ssim(made_of["linear"], x).mean().item(),
        "frechet": distances["autoencoder"],
        "frechet_linear": distances["linear"],
        "latent_shape": list(trained.model.latent_shape),
        "latent_mean": scale["mean"],
        "latent_std": scale["std"],
        "latent_std_in_training": before["std"],
        "numbers": numbers,
        "numbers_of_an_image": x[0].numel(),
        "linear_fitted_on": code.fitted_on,
    }
    _say(made, trained)
    strips = {"image": x[:SHOWN], **{_TITLES[kind]: images[:SHOWN] for kind, images in made_of.items()}}
    means = (f"{kind} {quality[kind].mean():.1f} dB" for kind in made_of)
    title = f"{numbers} numbers for {x[0].numel()}: {', '.join(means)}; above, the PSNR of each"
    heads = [f"{value:.1f} dB" for value in quality["autoencoder"][:SHOWN].tolist()]
    write_figure(strips_figure(strips, title, heads), made.figure("reconstructions.png"))


def study_codec_reconstructions(trained: Trained, x: Tensor, made: Lesson) -> None:
    """Encode and decode images [N, C, H, W], each with its PSNR and SSIM."""
    found = _restored(trained, x)
    values = {"psnr": psnr(found, x), "ssim": ssim(found, x)}
    numbers = torch.Size(trained.model.latent_shape).numel()
    heads = [f"{value:.1f} dB" for value in values["psnr"].tolist()]
    title = f"Images and what comes back from {numbers} numbers; above, the PSNR"
    write_figure(strips_figure({"image": x, "reconstruction": found}, title, heads), made.figure("reconstructions.png"))
    rows = [{name: value[i].item() for name, value in values.items()} for i in range(len(x))]
    made.document = {"run": trained.target, "numbers": numbers, "images": rows}
    cells = [[str(i + 1), f"{row['psnr']:.2f}", f"{row['ssim']:.4f}"] for i, row in enumerate(rows)]
    made.lines = table(["image", "PSNR, dB", "SSIM"], cells, right=range(3))
    worst = min(range(len(rows)), key=lambda i: rows[i]["psnr"])
    made.seen = f"Image {worst + 1} loses most: {rows[worst]['psnr']:.1f} dB are left."
    made.leads = "Whatever the decoder cannot give back, no diffusion model of these latents can draw."
    made.next = f"diffcli vae evaluate {argument(trained.target)}"


_TITLES = {"autoencoder": "autoencoder", "linear": "linear code"}


@torch.no_grad()
def _restored(trained: Trained, x: Tensor) -> Tensor:
    """What the means of the latents of images [N, C, H, W] are decoded to."""
    model = trained.model
    return torch.cat([model.decode(model.encode(part).mean) for part in x.split(AT_ONCE)]).clamp(-1, 1)


def _as_dataset(like: Dataset, images: Tensor) -> Dataset:
    return replace(like, storage=to_pixels(images), labels=None, fingerprint="reconstructions")


def _say(made: Lesson, trained: Trained) -> None:
    d: dict[str, Any] = made.document
    rows = [
        [title, f"{d[key]:{form}}", f"{d[f'{key}_linear']:{form}}"]
        for title, key, form in (
            ("PSNR, dB", "psnr", ".2f"),
            ("SSIM", "ssim", ".4f"),
            ("Fréchet distance", "frechet", ".3g"),
        )
    ]
    size = "x".join(map(str, d["latent_shape"]))
    made.lines = table(["", "autoencoder", "linear code"], rows, right=(1, 2))
    spread = ", ".join(f"{value:.3f}" for value in d["latent_std"])
    made.lines += [f"latents: {size}, {d['numbers']} numbers of {d['numbers_of_an_image']}; std per channel {spread}"]
    gain = d["psnr"] - d["psnr_linear"]
    verdict = "it has learned more than a covariance knows" if gain > 0 else "a covariance knows as much: train longer"
    compared = f"{abs(gain):.2f} dB {'better' if gain > 0 else 'worse'} than by the best linear code of as many numbers"
    made.seen = f"{d['images']} test images come back {compared}: {verdict}."
    made.leads = (
        "A diffusion model of these latents can be no sharper than the decoder: this is the ceiling of its quality."
    )
    made.next = f"diffcli train --latent {argument(trained.target)}"
