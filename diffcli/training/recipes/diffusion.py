"""The recipes of diffusion models."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem, one_of
from diffcli.training.dial import KEYS as DIAL
from diffcli.training.recipes import DataKeys, Training, tables
from diffcli.training.recipes.adaptation import ADAPTATIONS, PARTLY, NoAdaptationKeys
from diffcli.training.recipes.control import CONTROLS, PAIRED, NoControlKeys
from diffcli.training.recipes.keys import Keys, choice, key, table
from diffcli.training.recipes.networks import NETWORKS, MlpKeys, UNetKeys
from diffcli.training.recipes.optimizers import AdamWKeys, MuonKeys


@dataclass(frozen=True)
class ObjectiveKeys(Keys):
    """What all objectives have."""

    variance: ClassVar[str] = "fixed"
    weighting: ClassVar[str] = "target"

    predict: str = key("v", "what the network predicts, and the unit of the loss")
    drop: float = key(0.1, "share of images trained without a condition, as their class", least=0, most=1)
    draws: str = key("uniform", "of times to train at: uniform, or importance, by the losses so far")
    prior: str = key("none", "what the network corrects: none, or pixels, the denoiser that knows their histogram")


@dataclass(frozen=True)
class SimpleKeys(ObjectiveKeys):
    """The squared error, levels weighted."""

    name: ClassVar[str] = "simple"

    weighting: str = key("target", "of the levels: target is the plain loss of what is predicted")  # type: ignore[misc]


@dataclass(frozen=True)
class BoundKeys(ObjectiveKeys):
    """The variational bound."""

    name: ClassVar[str] = "vlb"

    chain: int = key(1000, "steps of the chain whose bound is trained on", least=2, most=100_000)
    variance: str = key("fixed", "of the reverse steps: fixed or learned")  # type: ignore[misc]


@dataclass(frozen=True)
class HybridKeys(ObjectiveKeys):
    """simple + 0.001 vlb, which is there to learn the variance."""

    name: ClassVar[str] = "hybrid"

    weighting: str = key("target", "of the levels: target is the plain loss of what is predicted")  # type: ignore[misc]
    chain: int = key(1000, "steps of the chain whose bound is trained on", least=2, most=100_000)
    variance: str = key("learned", "of the reverse steps")  # type: ignore[misc]


OBJECTIVES: dict[str, type[Keys]] = {"simple": SimpleKeys, "vlb": BoundKeys, "hybrid": HybridKeys}


@dataclass(frozen=True)
class SamplingKeys(Keys):
    """What `sample` does unless told."""

    guidance: float = key(1.25, "how strongly a condition is followed; 1 is none", least=0, most=100)


@dataclass(frozen=True)
class Recipe(Training):
    """All keys of `diffcli train --set`."""

    family: ClassVar[str] = "diffusion"
    command: ClassVar[str] = "diffcli"

    latent: str = key("", "a run of vae train --latent, whose latents are learned; empty is pixels")
    schedule: str = key("cosine", "noise schedule, with its parameters: linear,steps=250")
    network: Any = choice(NETWORKS, UNetKeys(), "what is trained")
    objective: Any = choice(OBJECTIVES, SimpleKeys(), "what is minimised")
    sampling: SamplingKeys = table(SamplingKeys())
    adaptation: Any = choice(ADAPTATIONS, NoAdaptationKeys(), "what is trained of a run that this one began with")
    control: Any = choice(CONTROLS, NoControlKeys(), "how hints are told, the pictures beside noise and class")
    dial: tuple[str, ...] = key((), "keys that the time and the machine choose when the training begins")  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.dial:
            one_of(name, DIAL, "key that the dial may choose")
        if self.shard and (self.adaptation.name in PARTLY or self.control.name == "branch"):
            raise UsageProblem("shard divides weights that are all trained", "leave it out, or use the mode full")

    def settled(self, keys: Collection[str]) -> "Recipe":
        """Without what is set; a network of another kind leaves nothing open, and only keys that are there can be."""
        left = tuple(name for name in self.dial if name not in keys)
        if "dial" in keys:
            left = self.dial
        if self.network.name != "unet":
            left = ()
        parts = {head: set(part.own()) for head, part in tables(self).items()}
        left = tuple(
            name for name in left if "." not in name or name.partition(".")[2] in parts[name.partition(".")[0]]
        )
        return self if left == self.dial else replace(self, dial=left)

    def check_core(self) -> None:
        """Check the names that belong to the core, and that schedule and target go together. Imports torch."""
        from diffcli.core.diffusion.denoiser import TARGETS, check_pair
        from diffcli.core.diffusion.weightings import WEIGHTINGS
        from diffcli.core.models import MODELS
        from diffcli.core.models.lora import LAYERS
        from diffcli.core.models.parts import PARTS
        from diffcli.data.conditions import CONDITIONS
        from diffcli.specs import schedule

        law, objective = schedule(self.schedule), self.objective
        one_of(objective.predict, TARGETS, "prediction")
        one_of(self.network.name, MODELS, "network")
        one_of(objective.weighting, ("target", *WEIGHTINGS), "weighting")
        one_of(objective.variance, ("fixed", "learned"), "variance")
        one_of(objective.draws, ("uniform", "importance"), "draws")
        one_of(objective.prior, ("none", "pixels"), "prior")
        for layer in self.adaptation.own().get("layers", ()):
            one_of(layer, LAYERS, "layer that can have an addition")
        for part in self.adaptation.own().get("parts", ()):
            one_of(part, PARTS, "part of a network")
        if self.control.name != "none":
            one_of(self.control.condition, (*CONDITIONS, PAIRED), "condition")
        if objective.name == "hybrid" and objective.variance == "fixed":
            raise UsageProblem("the objective hybrid is there to learn the variance", "use --set variance=learned")
        if objective.name != "simple" and law.length is not None and objective.chain > law.length:
            raise UsageProblem(
                f"a chain of {objective.chain} steps does not fit {self.schedule}", f"use --set chain={law.length}"
            )
        if objective.prior == "pixels" and self.latent:
            raise UsageProblem("the prior pixels is of images, not of latents", "use --set prior=none")
        if objective.prior == "pixels" and self.data.name in TITLES:
            raise UsageProblem("the prior pixels is of images", "use --set prior=none")
        try:
            check_pair(law, objective.predict)
        except ValueError as error:
            raise UsageProblem(
                f"{self.schedule} and {objective.predict} do not go together: {error}", "use --predict v"
            ) from None

    def next_command(self, run: str, *, classes: bool = False) -> str:
        """The next useful command after training. classes: whether the data have any"""
        if self.objective.name == "vlb":
            return f"diffcli vlb {run}"
        if self.control.name != "none":
            return f"diffcli control evaluate {run}"
        return f"diffcli sample {run} --ddim" + (" --class all" if classes and self.conditional else "")

    @property
    def prefix(self) -> str:
        """What hints show, where it obeys some."""
        return "" if self.control.name == "none" else f"{self.control.condition}-"

    @property
    def encoded_by(self) -> str:
        """The run whose latents are learned; "" for pixels and points."""
        return self.latent

    @property
    def conditional(self) -> bool:
        """Whether the network is ever told a condition."""
        return self.objective.drop < 1


COLOUR = "cifar10", "cifar100"  # sets of small photographs of things that may be mirrored


def suited(dataset: object, latent: object = "") -> Recipe:
    """The recipe for a data set, or for latents, where none was asked for."""
    if latent:
        return RECIPES["latent"]
    if dataset in list(TITLES):
        return RECIPES["points"]
    return RECIPES["colour" if str(dataset).lower().removeprefix("torchvision:") in COLOUR else "default"]


RECIPES: dict[str, Recipe] = {
    "default": Recipe(dial=DIAL),
    "ddpm": Recipe(
        schedule="linear", steps=100_000, batch=128,
        network=UNetKeys(widths=(32, 64, 128), blocks=2, attention=(1,), fold=1, dropout=0.1),
        objective=SimpleKeys(predict="eps"), sampling=SamplingKeys(guidance=1.0),
        optimizer=AdamWKeys(lr=2e-4, ema=0.9999, warmup=5000),
    ),
    "colour": Recipe(  # mirrored as by Ho et al. 2020, appendix B; its network is the dial's
        minutes=60.0, data=DataKeys("cifar10", augment="flip"), sampling=SamplingKeys(guidance=1.5),
        dial=tuple(key for key in DIAL if key != "sampling.guidance"),
    ),
    "latent": Recipe(
        network=UNetKeys(widths=(64, 128), fold=1), optimizer=MuonKeys(ema=0.995),
        dial=("batch", "optimizer.warmup", "optimizer.ema"),
    ),
    "points": Recipe(
        data=DataKeys("moons"), network=MlpKeys(), steps=2000, batch=512, optimizer=AdamWKeys(ema=0.999),
        precision="fp32",
    ),
    "mnist-likelihood": Recipe(
        minutes=60.0, schedule="log-snr", network=UNetKeys(widths=(32, 64)), optimizer=MuonKeys(ema=0.999),
        objective=BoundKeys(predict="eps", variance="learned", draws="importance", prior="pixels", drop=1.0),
        sampling=SamplingKeys(guidance=1.0),
    ),
    "tiny": Recipe(network=UNetKeys(widths=(8, 16)), steps=20, batch=16, optimizer=MuonKeys(warmup=5)),
}  # fmt: skip
