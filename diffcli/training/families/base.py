"""What a family of models brings to training; the rest, from the clock to the checkpoint, is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from PIL import Image
from torch import Tensor, nn

from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
from diffcli.errors import UsageProblem
from diffcli.training.recipes import Training
from diffcli.training.trainer import Objective


class Look(NamedTuple):
    """What a preview saw.

    validation_loss:  on items held out, with fixed randomness
    linear_loss:      of the best linear model on the same, where there is one
    summary:          one line on the model as it is
    text:             more than that, while it trains
    picture:          what is written to samples/
    row:              more for the row of metrics.jsonl
    """

    validation_loss: float
    linear_loss: float | None
    summary: str
    text: str
    picture: Image.Image
    row: dict[str, Any]


@dataclass(frozen=True)
class Basis:
    """What a run begins with instead of random weights: those of another model.

    state:   averaged weights by name, additions merged into them
    items:   that the model makes
    digest:  of the model
    place:   where it comes from, as the user would name it
    """

    state: Mapping[str, Tensor]
    recipe: Training
    items: Items
    digest: str
    place: str

    @property
    def about(self) -> dict[str, str]:
        """For run.json and a checkpoint's header."""
        return {"digest": self.digest, "from": self.place}


def _no_basis(recipe: Training, model: nn.Module, items: Items, basis: Basis) -> tuple[str, ...]:
    raise UsageProblem(f"runs of {recipe.command} train begin with nothing", "leave the base out")


class Preview(Protocol):
    """What a look at a model in training needs, computed once per session; on the averaged weights."""

    def look(self, model: Any) -> Look: ...

    def about(self, averaged: Callable[[], Any]) -> dict[str, Any]:
        """What the checkpoint shall remember: of the data, and of the model as it is saved."""
        ...


@dataclass(frozen=True)
class Family:
    """A kind of model.

    name:       as in its recipes and checkpoints
    title:      what texts call one
    prefix:     of the names of its runs
    recipe:     the class of its recipes
    recipes:    those by name; `default` is one of them
    build:      (recipe, items, whether to compute in bf16) -> the model at its start, its weights from torch's global
                generator, which is seeded; raises UsageProblem if it does not take such items
    objective:  (recipe, items) -> what is minimised
    preview:    (recipe, dataset, places to train on, places held out) -> Preview
    describe:   recipe -> network and choices, for the line on the model
    view:       (recipe, dataset) -> the data set as this family trains on it
    begin:      (model, dataset, places to train on): give an untrained model what it takes from the data before its
                first step
    upon:       (recipe, model, items, basis) -> notes for the user: fill an untrained model, whose recipe has the
                network of the basis, with its weights; raises UsageProblem and DataProblem where they do not fit
    """

    name: str
    title: str
    prefix: str
    recipe: type[Training]
    recipes: Mapping[str, Training]
    build: Callable[[Any, Items, bool], nn.Module]
    objective: Callable[[Any, Items], Objective]
    preview: Callable[[Any, Dataset, Tensor, Tensor], Preview]
    describe: Callable[[Any], str]
    view: Callable[[Any, Dataset], Dataset] = lambda _, dataset: dataset
    begin: Callable[[Any, Dataset, Tensor], None] = lambda _, dataset, places: None
    upon: Callable[[Any, Any, Items, Basis], tuple[str, ...]] = _no_basis

    @property
    def command(self) -> str:
        """The words before `train`: `diffcli` or `diffcli vae`."""
        return self.recipe.command
