"""The recipes of denoising autoencoders."""

from dataclasses import dataclass
from typing import Any, ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem
from diffcli.training.recipes import Training
from diffcli.training.recipes.keys import Keys, choice, key
from diffcli.training.recipes.networks import UNetKeys
from diffcli.training.recipes.optimizers import OPTIMIZERS, MuonKeys


@dataclass(frozen=True)
class GaussianKeys(Keys):
    """Noise on every value."""

    name: ClassVar[str] = "gaussian"

    low: float = key(0.0, "least amount trained on; 0 is the corruption's own", least=0, most=10)
    high: float = key(0.0, "largest amount trained on; 0 is the corruption's own", least=0, most=10)


@dataclass(frozen=True)
class MaskingKeys(GaussianKeys):
    """Some values lost to grey."""

    name: ClassVar[str] = "masking"


@dataclass(frozen=True)
class SaltAndPepperKeys(GaussianKeys):
    """Some values lost to black and white."""

    name: ClassVar[str] = "salt-and-pepper"


NETWORKS: dict[str, type[Keys]] = {"unet": UNetKeys}
CORRUPTIONS: dict[str, type[Keys]] = {
    "gaussian": GaussianKeys, "masking": MaskingKeys, "salt-and-pepper": SaltAndPepperKeys,
}  # fmt: skip


@dataclass(frozen=True)
class DaeRecipe(Training):
    """All keys of `diffcli dae train --set`."""

    family: ClassVar[str] = "dae"
    command: ClassVar[str] = "diffcli dae"

    minutes: float = key(3.0, "time budget; used where steps is 0", above=0, most=1e6)
    optimizer: Any = choice(OPTIMIZERS, MuonKeys(ema=0.99), "how the weights are moved")
    corruption: Any = choice(CORRUPTIONS, GaussianKeys(), "what is done to the images")
    network: Any = choice(NETWORKS, UNetKeys(widths=(64, 128)), "what is trained")

    def check_core(self) -> None:
        """Check the names and that the amounts suit the corruption. Imports torch."""
        from diffcli.core.processes import corruption

        wanted, known = self.corruption, corruption.CORRUPTIONS[self.corruption.name]
        low, high = wanted.low or known.low, wanted.high or known.high
        if not low < high <= known.most:
            raise UsageProblem(
                f"{known.unit} from {low:g} to {high:g} is no range of {wanted.name}",
                f"low must be below high, and high at most {known.most:g}",
            )
        if self.data.name in list(TITLES):
            raise UsageProblem(
                f"{self.data.name} holds points; a DAE here is of images", "diffcli dae score denoises points"
            )


RECIPES: dict[str, DaeRecipe] = {
    "default": DaeRecipe(),
    "tiny": DaeRecipe(
        network=UNetKeys(widths=(8, 16)), steps=20, batch=16, optimizer=MuonKeys(ema=0.99, warmup=5),
    ),
}  # fmt: skip
