"""The recipes of denoising autoencoders."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.errors import UsageProblem, one_of
from diffcli.recipes import Training, key


@dataclass(frozen=True)
class DaeRecipe(Training):
    """All keys of `diffcli dae train --set`."""

    family: ClassVar[str] = "dae"

    corruption: str = key("gaussian", "gaussian, masking or salt-and-pepper")
    least: float = key(0.0, "least amount of damage trained on; 0 is the corruption's own", least=0, most=20)
    most: float = key(0.0, "most damage trained on; 0 is the corruption's own", least=0, most=20)

    widths: tuple[int, ...] = key((64, 128), "channels of the unet at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks at each resolution", least=1, most=16)
    attention: tuple[int, ...] = key((), "resolutions with self-attention beside the middle, 0 the finest", least=0)
    fold: int = key(2, "side of the pixel square folded into channels", least=1, most=16)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)

    minutes: float = key(3.0, "time budget; used where steps is 0", above=0, most=1e6)
    ema: float = key(0.99, "decay of the averaged weights", least=0, most=0.99999)

    def check_core(self) -> None:
        """Check the corruption and the range of its amounts. Imports torch."""
        from diffcli.core.processes.corruption import CORRUPTIONS

        one_of(self.corruption, CORRUPTIONS, "corruption")
        kind, (low, high) = CORRUPTIONS[self.corruption], self.amounts
        if not kind.least <= low < high <= kind.most:
            raise UsageProblem(
                f"the damage must rise, within {kind.least:g} to {kind.most:g}, not from {low:g} to {high:g}",
                f"{self.corruption}: {kind.title}",
            )
        if max(self.attention, default=0) >= len(self.widths):
            raise UsageProblem(
                f"attention={list(self.attention)} names a resolution that widths={list(self.widths)} does not have",
                f"resolutions count from 0 to {len(self.widths) - 1}",
            )

    @property
    def amounts(self) -> tuple[float, float]:
        """Between which amounts of damage the network is trained. Imports torch."""
        from diffcli.core.processes.corruption import CORRUPTIONS

        low, high = CORRUPTIONS[self.corruption].trained
        return self.least or low, self.most or high


RECIPES: dict[str, DaeRecipe] = {
    "default": DaeRecipe(),
    "tiny": DaeRecipe(widths=(8, 16), steps=20, batch=16, warmup=5),
}
