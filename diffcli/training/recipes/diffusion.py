"""The recipes of diffusion models."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes import Training, key


@dataclass(frozen=True)
class Recipe(Training):
    """All keys of `diffcli train --set`."""

    family: ClassVar[str] = "diffusion"

    schedule: str = key("cosine", "noise schedule")
    predict: str = key("v", "what the network predicts")

    model: str = key("unet", "network")
    widths: tuple[int, ...] = key((64, 128), "channels of the unet at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks at each resolution", least=1, most=16)
    attention: tuple[int, ...] = key((), "resolutions with self-attention beside the middle, 0 the finest", least=0)
    fold: int = key(2, "side of the pixel square folded into channels", least=1, most=16)
    width: int = key(128, "numbers per layer of the mlp", least=1, most=4096)
    depth: int = key(4, "residual blocks of the mlp", least=1, most=64)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)

    objective: str = key("simple", "what is minimised: simple, vlb, or hybrid, which is simple + 0.001 vlb")
    weighting: str = key("target", "of the levels in simple: target is the plain loss of what is predicted")
    variance: str = key("fixed", "of the reverse steps: fixed, or learned by hybrid or vlb")
    chain: int = key(1000, "steps of the chain whose bound is trained on", least=2, most=100_000)
    draws: str = key("uniform", "of times to train at: uniform, or importance, by the losses so far")
    prior: str = key("none", "what the network corrects: none, or pixels, the denoiser that knows their histogram")

    label_drop: float = key(0.1, "share of images trained without their class", least=0, most=1)
    guidance: float = key(1.5, "how strongly `sample` follows a class unless told; 1 is none", least=0, most=100)

    def check_core(self) -> None:
        """Check the names that belong to the core, and that schedule and target go together. Imports torch."""
        from diffcli.core.diffusion.denoiser import TARGETS, check_pair
        from diffcli.core.diffusion.weightings import WEIGHTINGS
        from diffcli.core.models import MODELS
        from diffcli.specs import schedule

        law = schedule(self.schedule)
        one_of(self.predict, TARGETS, "prediction")
        one_of(self.model, MODELS, "model")
        one_of(self.objective, ("simple", "vlb", "hybrid"), "objective")
        one_of(self.weighting, ("target", *WEIGHTINGS), "weighting")
        one_of(self.variance, ("fixed", "learned"), "variance")
        one_of(self.draws, ("uniform", "importance"), "draws")
        one_of(self.prior, ("none", "pixels"), "prior")
        self._check_objective(law.length)
        try:
            check_pair(law, self.predict)
        except ValueError as error:
            raise UsageProblem(
                f"{self.schedule} and {self.predict} do not go together: {error}", "use --predict v"
            ) from None
        if max(self.attention, default=0) >= len(self.widths):
            raise UsageProblem(
                f"attention={list(self.attention)} names a resolution that widths={list(self.widths)} does not have",
                f"resolutions count from 0 to {len(self.widths) - 1}",
            )

    def _check_objective(self, length: int | None) -> None:
        """Refuse choices that would do nothing, or cannot be trained together."""
        if self.objective == "simple" and self.variance == "learned":
            raise UsageProblem("the objective simple does not train a variance", "use --set objective=hybrid")
        if self.objective == "hybrid" and self.variance == "fixed":
            raise UsageProblem("the objective hybrid is there to learn the variance", "add --set variance=learned")
        if self.objective == "vlb" and self.weighting != "target":
            raise UsageProblem(
                "the objective vlb has its own weighting", "leave weighting out, or use objective=simple"
            )
        if length is not None and self.chain > length and self.objective != "simple":
            raise UsageProblem(
                f"a chain of {self.chain} steps does not fit {self.schedule}", f"use --set chain={length}"
            )
        if self.prior == "pixels" and self.model != "unet":
            raise UsageProblem("the prior pixels is of images", "use --set prior=none")


def suited(dataset: object) -> Recipe:
    """The recipe for a data set, where none was asked for."""
    return RECIPES["points" if dataset in list(TITLES) else "default"]


RECIPES: dict[str, Recipe] = {
    "default": Recipe(),
    "ddpm": Recipe(
        schedule="linear", predict="eps", fold=1, widths=(32, 64, 128), blocks=2, attention=(1,), dropout=0.1,
        optimizer="adamw", lr=2e-4, batch=128, ema=0.9999, steps=100_000, warmup=5000, guidance=1.0,
    ),
    "points": Recipe(
        dataset="moons", model="mlp", steps=2000, batch=512, optimizer="adamw", ema=0.999, precision="fp32",
    ),
    "mnist-likelihood": Recipe(
        minutes=60.0, schedule="log-snr", predict="eps", widths=(32, 64), ema=0.999, objective="vlb",
        variance="learned", draws="importance", prior="pixels", label_drop=1.0, guidance=1.0,
    ),
    "tiny": Recipe(widths=(8, 16), steps=20, batch=16, warmup=5),
}  # fmt: skip
