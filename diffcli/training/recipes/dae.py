"""The recipes of denoising autoencoders."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.data.points import TITLES
from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes import Training, key


@dataclass(frozen=True)
class DaeRecipe(Training):
    """All keys of `diffcli dae train --set`."""

    family: ClassVar[str] = "dae"

    minutes: float = key(3.0, "time budget; used where steps is 0", above=0, most=1e6)
    ema: float = key(0.99, "decay of the averaged weights", least=0, most=0.99999)

    corruption: str = key("gaussian", "gaussian, masking or salt-and-pepper")
    low: float = key(0.0, "least amount trained on; 0 is the corruption's own", least=0, most=10)
    high: float = key(0.0, "largest amount trained on; 0 is the corruption's own", least=0, most=10)

    widths: tuple[int, ...] = key((64, 128), "channels of the unet at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks at each resolution", least=1, most=16)
    attention: tuple[int, ...] = key((), "resolutions with self-attention beside the middle, 0 the finest", least=0)
    fold: int = key(2, "side of the pixel square folded into channels", least=1, most=16)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)

    def check_core(self) -> None:
        """Check the names and that the amounts suit the corruption. Imports torch."""
        from diffcli.core.processes.corruption import CORRUPTIONS

        known = CORRUPTIONS[one_of(self.corruption, CORRUPTIONS, "corruption")]
        low, high = self.low or known.low, self.high or known.high
        if not low < high <= known.most:
            raise UsageProblem(
                f"{known.unit} from {low:g} to {high:g} is no range of {self.corruption}",
                f"low must be below high, and high at most {known.most:g}",
            )
        if max(self.attention, default=0) >= len(self.widths):
            raise UsageProblem(
                f"attention={list(self.attention)} names a resolution that widths={list(self.widths)} does not have",
                f"resolutions count from 0 to {len(self.widths) - 1}",
            )
        if self.dataset in list(TITLES):
            raise UsageProblem(
                f"{self.dataset} holds points; a DAE here is of images", "diffcli dae score denoises points"
            )


RECIPES: dict[str, DaeRecipe] = {
    "default": DaeRecipe(),
    "tiny": DaeRecipe(widths=(8, 16), steps=20, batch=16, warmup=5),
}
