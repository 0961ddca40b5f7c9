"""The optimisers as tables of a recipe."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.training.recipes.keys import Keys, key


@dataclass(frozen=True)
class AdamWKeys(Keys):
    """AdamW for all weights."""

    name: ClassVar[str] = "adamw"

    lr: float = key(2e-3, "learning rate of AdamW", above=0, most=10)
    weight_decay: float = key(0.0, "of all weights", least=0, most=10)
    warmup: int = key(30, "steps over which the learning rate rises", least=1)
    clip: float = key(1.0, "longest gradient", above=0)
    ema: float = key(0.995, "decay of the averaged weights", least=0, most=0.99999)


@dataclass(frozen=True)
class MuonKeys(AdamWKeys):
    """Muon for matrices, AdamW for what is no matrix."""

    name: ClassVar[str] = "muon"

    muon_lr: float = key(0.02, "learning rate of Muon", above=0, most=10)


OPTIMIZERS: dict[str, type[Keys]] = {"muon": MuonKeys, "adamw": AdamWKeys}
