"""The recipes of autoencoders with latents that are pictures, in which diffusion models can be trained."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem
from diffcli.training.recipes import Training
from diffcli.training.recipes.keys import Keys, key, table
from diffcli.training.recipes.optimizers import MuonKeys


@dataclass(frozen=True)
class LatentKeys(Keys):
    """A convolutional encoder and decoder; each width halves the sides once."""

    channels: int = key(4, "numbers at each place of the latents", least=1, most=64)
    widths: tuple[int, ...] = key((64, 128), "channels at each resolution; k of them divide the sides by 2^k",
                                  least=1, most=4096)  # fmt: skip
    blocks: int = key(2, "residual blocks at each resolution, each way", least=1, most=16)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.widths) <= 5:
            raise UsageProblem("widths must be one to five numbers", "as in --set widths=64,128")


@dataclass(frozen=True)
class ReconstructionKeys(Keys):
    """Squared errors of pixels, a little KL, and a distance of features."""

    kl: float = key(1e-6, "weight of the KL per pixel", least=0, most=1)
    perceptual: float = key(0.1, "weight of the distance of the encoder's own features", least=0, most=100)


@dataclass(frozen=True)
class CodecRecipe(Training):
    """All keys of `diffcli vae train --latent --set`."""

    family: ClassVar[str] = "codec"
    command: ClassVar[str] = "diffcli vae"
    option: ClassVar[str] = " --latent"

    minutes: float = key(5.0, "time budget; used where steps is 0", above=0, most=1e6)
    network: LatentKeys = table(LatentKeys())
    objective: ReconstructionKeys = table(ReconstructionKeys())

    def check_core(self) -> None:
        """Check that the choices go together."""
        if self.data.name in list(TITLES):
            raise UsageProblem(f"{self.data.name} holds points; latents here are of images", "use --dataset mnist")

    def next_command(self, run: str, *, classes: bool = False) -> str:
        """The next useful command after training."""
        return f"diffcli train --latent {run}"


RECIPES: dict[str, CodecRecipe] = {
    "kl-f4": CodecRecipe(),
    "kl-f2": CodecRecipe(network=LatentKeys(widths=(64,))),
    "kl-tiny": CodecRecipe(
        network=LatentKeys(widths=(8, 8), blocks=1), steps=20, batch=16, optimizer=MuonKeys(warmup=5),
    ),
}  # fmt: skip
