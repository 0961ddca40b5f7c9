"""The recipes of variational autoencoders."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes import Training, key


@dataclass(frozen=True)
class VaeRecipe(Training):
    """All keys of `diffcli vae train --set`."""

    family: ClassVar[str] = "vae"

    minutes: float = key(3.0, "time budget; used where steps is 0", above=0, most=1e6)
    batch: int = key(128, "images per step", least=1, most=65536)

    pixels: str = key("dynamic", "what pixels are: dynamic, static, 8bit or real")
    noise: float = key(0.5, "standard deviation of real pixels in [-1, 1]", least=0.01, most=10)
    latent: int = key(32, "units of z", least=1, most=1024)
    beta: float = key(1.0, "weight of the KL in the loss; 1 is the bound", least=0, most=1000)
    free_bits: float = key(0.0, "nats of KL per unit that cost nothing", least=0, most=100)

    model: str = key("conv", "network: conv, mlp or linear")
    widths: tuple[int, ...] = key((32, 64), "channels of conv at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks of conv at each resolution", least=1, most=16)
    width: int = key(512, "numbers per layer of the mlp", least=1, most=8192)
    depth: int = key(1, "residual blocks of the mlp, each way", least=0, most=64)
    dropout: float = key(0.0, "share of activations dropped in the mlp", least=0, most=0.9)

    def check_core(self) -> None:
        """Check the names and that the choices go together. Imports torch."""
        from diffcli.core.models.vae import NETWORKS
        from diffcli.core.processes.laws.pixels import PIXELS

        one_of(self.model, NETWORKS, "model")
        one_of(self.pixels, PIXELS, "kind of pixels")
        if not 1 <= len(self.widths) <= 6:
            raise UsageProblem("widths must be one to six numbers", "as in --set widths=32,64")
        if self.dataset in list(TITLES):
            raise UsageProblem(f"{self.dataset} holds points; a VAE here is of images", "use --dataset mnist")


RECIPES: dict[str, VaeRecipe] = {
    "default": VaeRecipe(),
    "mlp": VaeRecipe(model="mlp", optimizer="adamw", lr=2e-3, batch=256),
    "plane": VaeRecipe(latent=2),
    "8bit": VaeRecipe(pixels="8bit"),
    "linear": VaeRecipe(
        model="linear", pixels="real", latent=8, optimizer="adamw", lr=5e-3, batch=256, minutes=0.5, ema=0.999,
        precision="fp32", clip=1e4,
    ),
    "tiny": VaeRecipe(model="mlp", width=16, depth=1, latent=4, steps=20, batch=16, warmup=5),
}  # fmt: skip
