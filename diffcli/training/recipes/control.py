"""What pictures a network is told beside noise and class, and how, as tables of a recipe."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.errors import UsageProblem
from diffcli.training.recipes.keys import Keys, key

PAIRED = "paired"  # hints in files beside the images: data.hints says where


@dataclass(frozen=True)
class NoControlKeys(Keys):
    """A network that is told no pictures."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True)
class HintKeys(Keys):
    """What all networks have that are told pictures."""

    condition: str = key("edges", "what the hints show: edges, mask, sketch, blur, lowres, layout, or paired files")
    hint: tuple[int, ...] = key((), "planes, height and width of a hint; the data tell")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hint and (len(self.hint) != 3 or min(self.hint) < 1):
            raise UsageProblem("hint must be planes, height and width, as in hint=1,28,28", "leave it out")


@dataclass(frozen=True)
class BranchKeys(HintKeys):
    """A trained copy of the encoder beside the frozen network (Zhang et al. 2023)."""

    name: ClassVar[str] = "branch"


@dataclass(frozen=True)
class ConcatKeys(HintKeys):
    """Hints beside the noisy image, and all of the network is trained (Saharia et al. 2021)."""

    name: ClassVar[str] = "concat"

    drop: float = key(0.1, "share of images trained without their hint", least=0, most=1)


CONTROLS: dict[str, type[Keys]] = {"none": NoControlKeys, "branch": BranchKeys, "concat": ConcatKeys}
