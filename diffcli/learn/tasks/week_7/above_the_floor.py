"""Graded by an autoencoder's evaluation, by a model of its latents, and by two numbers that are found in the first."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from diffcli.learn.experiments import Case, Fault, claim, judged_by, left_behind, runs_there
from diffcli.runs.checkpoint import read_checkpoint, write_checkpoint
from diffcli.runs.listing import checkpoints, family_name

CLAIMS = ("gain", "times")
NAMES = ["codec", "judged", "latent"]
FEWEST = 200  # test images


def above_the_floor() -> dict[str, str | float]:
    """An autoencoder above its linear floor, a diffusion model of its latents, and how far above it is.

    diffcli vae train --latent --seed 0 --out runs/codec
    diffcli vae evaluate runs/codec --out week-7-codec
    diffcli train --latent runs/codec --minutes 2 --seed 0 --out runs/latent

    gain:  by how many dB the mean PSNR of the autoencoder is above that of the linear code, on test images
    times: how many times smaller a squared error is if its PSNR is so many dB higher

    Returns {"codec": folder, "judged": folder, "latent": folder, "gain": number, "times": number}, the folders beside
    this file.
    """
    return {"codec": "runs/codec", "judged": "week-7-codec", "latent": "runs/latent", "gain": 7.9, "times": 6.2}


def examined(found: dict[str, Path], claimed: Mapping[str, float]) -> Fault | None:
    if sorted(found) != NAMES:
        return Fault("other-names", f"it names {', '.join(found)}: wanted are {', '.join(NAMES)}, and two numbers")
    runs = {name: found[name] for name in ("codec", "latent")}
    if fault := runs_there(runs):
        return fault
    if family_name(found["codec"]) != "codec":
        return Fault("not-a-codec", f"{found['codec'].name} is no autoencoder of vae train --latent")
    document = judged_by(found["codec"], found["judged"], ("images", "psnr", "psnr_linear"))
    if isinstance(document, Fault):
        return document
    if document["images"] < FEWEST:
        return Fault("few-images", f"{FEWEST} test images or more are wanted: leave --count out")
    return _belongs(**runs) or _claimed(document, claimed)


def _belongs(codec: Path, latent: Path) -> Fault | None:
    """Whether the weights that the model of latents carries are those of the autoencoder as it is now, averaged."""
    if not checkpoints(latent):
        return Fault("no-checkpoint", f"{latent.name} has no checkpoint")
    own, carried = (read_checkpoint(checkpoints(run)[0])[0] for run in (codec, latent))
    before = "codec/autoencoder."
    inside = {name.removeprefix(before): value for name, value in carried.items() if name.startswith(before)}
    if not inside:
        return Fault("not-of-latents", f"{latent.name} is a model of pixels: train --latent names the autoencoder")
    weights = {name.removeprefix("ema/"): value for name, value in own.items() if name.startswith("ema/")}
    same = inside.keys() == weights.keys() and all(torch.equal(inside[k].float(), weights[k].float()) for k in inside)
    if not same:
        text = f"{latent.name} is of the latents of another autoencoder, or of {codec.name} before it was trained on"
        return Fault("other-autoencoder", text)
    return None


def _claimed(document: dict[str, Any], claimed: Mapping[str, float]) -> Fault | None:
    ours, linear = document["psnr"], document["psnr_linear"]
    gain = ours - linear
    if gain <= 0:
        return Fault(
            "below-the-floor",
            f"the autoencoder keeps {ours:.1f} dB and a linear code of as many numbers {linear:.1f} dB: so far it is a "
            "worse matrix; diffcli vae train --resume goes on",
        )
    mistaken = {
        "gain-turned-over": (-gain, "how far the linear code is above the autoencoder"),
        "quotient-of-dB": (ours / linear, "a quotient: dB are logarithms, so a ratio of errors is their difference"),
        "psnr-itself": (ours, "the autoencoder's own PSNR"),
        "floor-itself": (linear, "the PSNR of the linear code, the floor"),
    }
    look = "`psnr` and `psnr_linear` in metrics.json of `judged`"
    if fault := claim("gain", claimed["gain"], gain, 0.06, mistaken, look):
        return fault
    times = 10 ** (gain / 10)
    mistaken = {
        "root-of-times": (times**0.5, "by how much the root of the error is smaller"),
        "times-turned-over": (1 / times, "the fraction that is left of the error"),
        "dB-for-times": (gain, "the gain in dB"),
        "quotient-for-times": (ours / linear, "the quotient of the two PSNRs"),
        "power-of-e": (2.718281828 ** (gain / 10), "a power of e: dB are logarithms to base 10"),
    }
    return claim("times", claimed["times"], times, 0.03 * times, mistaken, "PSNR = 10 log10(4/error), turned round")


def cases(folder: Path) -> Iterator[Case]:
    def run(name: str, family: str, weights: dict[str, float]) -> Path:
        made = left_behind(folder / name, recipe={}, family=family)
        tensors = {key: torch.tensor([value]) for key, value in weights.items()}
        write_checkpoint(made / "step-000000600.safetensors", tensors, {})
        return made

    def judged(name: str, psnr: float, linear: float, of: str = "codec", step: int = 600, images: int = 2000) -> Path:
        document: dict[str, Any] = {"images": images, "psnr": psnr, "psnr_linear": linear}
        document["checkpoint"] = f"runs/{of}/step-{step:09d}.safetensors"
        return left_behind(folder / name, recipe={}, judged={}, measured=document)

    codec = run("codec", "codec", {"ema/w": 0.5, "model/w": 0.4})
    latent = run("latent", "diffusion", {"ema/n": 1.0, "codec/autoencoder.w": 0.5, "codec/mean": 0.1})
    found = {"codec": codec, "judged": judged("judged", 35.9, 28.0), "latent": latent}
    right = {"gain": 7.9, "times": 6.17}
    yield Case(found, "", right)
    yield Case(found, "", {"gain": 7.87, "times": 6.1})
    for gain, fault in (
        (-7.9, "gain-turned-over"),
        (1.282, "quotient-of-dB"),
        (35.9, "psnr-itself"),
        (28.0, "floor-itself"),
    ):
        yield Case(found, fault, right | {"gain": gain})
    yield Case(found, "other-gain", right | {"gain": 5.0})
    for times, fault in (
        (2.48, "root-of-times"), (0.162, "times-turned-over"), (7.9, "dB-for-times"), (1.28, "quotient-for-times"),
        (2.2, "power-of-e"), (4.0, "other-times"),
    ):  # fmt: skip
        yield Case(found, fault, right | {"times": times})
    yield Case({"codec": codec, "latent": latent}, "other-names", right)
    yield Case(found | {"codec": folder / "nowhere"}, "missing", right)
    yield Case(found | {"codec": run("pixels", "diffusion", {"ema/n": 1.0})}, "not-a-codec", right)
    yield Case(found | {"judged": folder / "nowhere"}, "not-judged", right)
    yield Case(found | {"judged": codec}, "not-judged", right)
    yield Case(found | {"judged": judged("another", 35.9, 28.0, of="codec-2")}, "judged-another", right)
    yield Case(found | {"judged": judged("before", 35.9, 28.0, step=300)}, "judged-before", right)
    yield Case(found | {"judged": judged("few", 35.9, 28.0, images=20)}, "few-images", right)
    yield Case(found | {"judged": judged("low", 25.2, 28.3)}, "below-the-floor", {"gain": -3.1, "times": 0.5})
    yield Case(found | {"latent": run("of-pixels", "diffusion", {"ema/n": 1.0})}, "not-of-latents", right)
    yield Case(found | {"latent": left_behind(folder / "empty", recipe={})}, "no-checkpoint", right)
    other = run("other", "diffusion", {"ema/n": 1.0, "codec/autoencoder.w": 0.6})
    yield Case(found | {"latent": other}, "other-autoencoder", right)
