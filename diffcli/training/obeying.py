"""A look at whether a model in training obeys its hints."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from diffcli.data.kinds import CLASS, HINT
from diffcli.metrics.obedience import MEASURES, obedience, way
from diffcli.training.hinting import hinted
from diffcli.training.recipes.diffusion import Recipe

HALF = 0.5  # of the way from unconditioned samples to real images: there a model is said to obey


class Obeyed(NamedTuple):
    """What a preview saw: the score of its samples, and how far it has come; nan where nothing measures it."""

    score: float
    without: float
    real: float

    @property
    def share(self) -> float:
        """Of the way from unconditioned samples to real images."""
        return way(self.score, self.without, self.real)


class HintsInSight:
    """Hints of items held out, under which previews sample.

    x0:       those items as the model sees them [N, ...], and `images` as images
    """

    def __init__(self, recipe: Recipe, x0: Tensor, images: Tensor, conditions: dict[str, Tensor]) -> None:
        keys = (CLASS, HINT) if recipe.conditional else (HINT,)
        known = hinted(recipe, x0, conditions)
        self.conditions = {name: value for name, value in known.items() if name in keys}
        self.condition, self.images = recipe.control.condition, images
        self.measured = self.condition in MEASURES
        self.without: float | None = None
        self.before: float | None = None

    def look(self, samples: Tensor, draw: Callable[[dict[str, Tensor]], Tensor]) -> tuple[str, dict[str, Any]]:
        """What to say of samples that were drawn under the hints, and for the row of metrics.

        draw:  of conditions makes samples, as images, from the same noise
        """
        if not self.measured:
            return "", {}
        if self.without is None:
            others = {name: value for name, value in self.conditions.items() if name == CLASS}
            self.without = self._score(draw(others))
        found = Obeyed(self._score(samples), self.without, self._score(self.images))
        name, came = MEASURES[self.condition].text, found.share >= HALF
        text = f"{name} {found.score:.3f} (without hints {found.without:.3f}, real images {found.real:.3f})"
        row = {"measure": name, **found._asdict(), "share": found.share}
        if MEASURES[self.condition].exact:
            row["exact"] = self._score(samples, exact=True)
            text += f", without tolerance {row['exact']:.3f}"
        turned = came and (self.before is None or self.before < HALF)
        if turned:
            text += "; it obeys its hints by now: half of the way" + (
                " was come since the last look (sudden convergence)" if self.before is not None else ""
            )
        self.before = found.share
        return text, {"obedience": row | {"turned": turned}}

    def _score(self, images: Tensor, *, exact: bool = False) -> float:
        hints = self.conditions[HINT]
        return obedience(self.condition, images.cpu(), hints, exact=exact).mean().item()
