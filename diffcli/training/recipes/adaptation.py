"""What of a network is trained that begins with the weights of another run, as tables of a recipe."""

from dataclasses import dataclass
from typing import ClassVar

from diffcli.errors import UsageProblem, one_of
from diffcli.training.recipes.keys import Keys, key


@dataclass(frozen=True)
class NoAdaptationKeys(Keys):
    """A run that begins with nothing."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True)
class AdaptedKeys(Keys):
    """What all adaptations have."""

    classes: str = key("data", "of the run: those of the data, or all: those of the base, then new ones")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.classes, ("data", "all"), "classes")


@dataclass(frozen=True)
class FullKeys(AdaptedKeys):
    """All weights."""

    name: ClassVar[str] = "full"


@dataclass(frozen=True)
class LoraKeys(AdaptedKeys):
    """Low-rank additions to frozen weights (Hu et al. 2022)."""

    name: ClassVar[str] = "lora"

    rank: int = key(8, "of the additions", least=1, most=1024)
    alpha: float = key(8.0, "an addition is alpha / rank times its two factors", above=0, most=1e4)
    layers: tuple[str, ...] = key(("attention", "modulation", "convolutions"), "that get one; ends are another kind")
    labels: str = key("auto", "whether embeddings of classes are trained, too: yes, no, or auto: where classes are new")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layers", _apart(self.layers))
        one_of(self.labels, ("auto", "yes", "no"), "labels")
        if not self.layers:
            raise UsageProblem("layers must name one kind at least", "as in layers=attention,modulation")


@dataclass(frozen=True)
class HeadKeys(AdaptedKeys):
    """The last layers, and the embeddings of classes."""

    name: ClassVar[str] = "head"


@dataclass(frozen=True)
class FrozenKeys(AdaptedKeys):
    """All weights but those of some parts."""

    name: ClassVar[str] = "frozen"

    parts: tuple[str, ...] = key(("encoder",), "that stay as they are: embeddings, encoder, middle, decoder, head")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "parts", _apart(self.parts))
        if not self.parts:
            raise UsageProblem("parts must name what stays frozen", "as in parts=encoder,middle; or use the mode full")


def _apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that were written with commas between them."""
    return tuple(dict.fromkeys(part.strip() for text in names for part in text.split(",") if part.strip()))


ADAPTATIONS: dict[str, type[Keys]] = {
    "none": NoAdaptationKeys, "full": FullKeys, "lora": LoraKeys, "head": HeadKeys, "frozen": FrozenKeys,
}  # fmt: skip
PARTLY = "lora", "head", "frozen"  # that leave some weights as they are
