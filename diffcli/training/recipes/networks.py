"""The networks as tables of a recipe: what their constructors take, with ranges."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.errors import UsageProblem
from diffcli.training.recipes.keys import Keys, key


@dataclass(frozen=True)
class UNetKeys(Keys):
    """Of `diffcli.core.models.unet.UNet`."""

    name: ClassVar[str] = "unet"

    widths: tuple[int, ...] = key((32, 64), "channels at each resolution", least=1, most=4096)
    blocks: int = key(1, "residual blocks at each resolution", least=1, most=16)
    attention: tuple[int, ...] = key((), "resolutions with self-attention beside the middle, 0 the finest", least=0)
    fold: int = key(2, "side of the pixel square folded into channels", least=1, most=16)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.attention, default=0) >= len(self.widths):
            raise UsageProblem(
                f"attention={list(self.attention)} names a resolution that widths={list(self.widths)} does not have",
                f"resolutions count from 0 to {len(self.widths) - 1}",
            )


@dataclass(frozen=True)
class MlpKeys(Keys):
    """Of `diffcli.core.models.mlp.MLP`."""

    name: ClassVar[str] = "mlp"

    width: int = key(128, "numbers per layer", least=1, most=4096)
    depth: int = key(4, "residual blocks", least=1, most=64)
    dropout: float = key(0.0, "share of activations dropped", least=0, most=0.9)


NETWORKS: dict[str, type[Keys]] = {"unet": UNetKeys, "mlp": MlpKeys}
