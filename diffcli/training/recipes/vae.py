"""The recipes of variational autoencoders."""

from dataclasses import dataclass
from typing import Any, ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem
from diffcli.training.recipes import Training
from diffcli.training.recipes.keys import Keys, choice, key, table
from diffcli.training.recipes.optimizers import AdamWKeys, MuonKeys


@dataclass(frozen=True)
class ConvKeys(Keys):
    """A convolutional encoder and decoder."""

    name: ClassVar[str] = "conv"

    widths: tuple[int, ...] = key((32, 64), "channels at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks at each resolution", least=1, most=16)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.widths) <= 6:
            raise UsageProblem("widths must be one to six numbers", "as in --set widths=32,64")


@dataclass(frozen=True)
class DenseKeys(Keys):
    """Every layer sees the whole image."""

    name: ClassVar[str] = "mlp"

    width: int = key(512, "numbers per layer", least=1, most=8192)
    depth: int = key(1, "residual blocks, each way", least=0, most=64)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)


@dataclass(frozen=True)
class LinearKeys(Keys):
    """Linear both ways: probabilistic principal components."""

    name: ClassVar[str] = "linear"


@dataclass(frozen=True)
class DynamicKeys(Keys):
    """Bits drawn afresh at every step, with the grey value as their probability."""

    name: ClassVar[str] = "dynamic"


@dataclass(frozen=True)
class StaticKeys(Keys):
    """Bits drawn once and for all."""

    name: ClassVar[str] = "static"


@dataclass(frozen=True)
class ByteKeys(Keys):
    """One of 256 values."""

    name: ClassVar[str] = "8bit"


@dataclass(frozen=True)
class RealKeys(Keys):
    """Real numbers."""

    name: ClassVar[str] = "real"

    noise: float = key(0.5, "standard deviation of pixels in [-1, 1]", least=0.01, most=10)


NETWORKS: dict[str, type[Keys]] = {"conv": ConvKeys, "mlp": DenseKeys, "linear": LinearKeys}
PIXELS: dict[str, type[Keys]] = {"dynamic": DynamicKeys, "static": StaticKeys, "8bit": ByteKeys, "real": RealKeys}


@dataclass(frozen=True)
class BetaKeys(Keys):
    """The bound with its sign turned, and departures from it."""

    beta: float = key(1.0, "weight of the KL in the loss; 1 is the bound", least=0, most=1000)
    free_bits: float = key(0.0, "nats of KL per unit that cost nothing", least=0, most=100)


@dataclass(frozen=True)
class VaeRecipe(Training):
    """All keys of `diffcli vae train --set`."""

    family: ClassVar[str] = "vae"
    command: ClassVar[str] = "diffcli vae"

    minutes: float = key(3.0, "time budget; used where steps is 0", above=0, most=1e6)
    batch: int = key(128, "images per step", least=1, most=65536)
    latent: int = key(32, "units of z", least=1, most=1024)

    pixels: Any = choice(PIXELS, DynamicKeys(), "what pixels are")
    network: Any = choice(NETWORKS, ConvKeys(), "what is trained")
    objective: BetaKeys = table(BetaKeys())

    def check_core(self) -> None:
        """Check that the choices go together."""
        if self.data.name in list(TITLES):
            raise UsageProblem(f"{self.data.name} holds points; a VAE here is of images", "use --dataset mnist")


RECIPES: dict[str, VaeRecipe] = {
    "default": VaeRecipe(),
    "mlp": VaeRecipe(network=DenseKeys(), optimizer=AdamWKeys(), batch=256),
    "plane": VaeRecipe(latent=2),
    "8bit": VaeRecipe(pixels=ByteKeys()),
    "linear": VaeRecipe(
        network=LinearKeys(), pixels=RealKeys(), latent=8, optimizer=AdamWKeys(lr=5e-3, ema=0.999, clip=1e4),
        batch=256, minutes=0.5, precision="fp32",
    ),
    "tiny": VaeRecipe(
        network=DenseKeys(width=16), latent=4, steps=20, batch=16, optimizer=MuonKeys(warmup=5),
    ),
}  # fmt: skip
