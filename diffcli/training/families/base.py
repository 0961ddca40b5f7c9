"""What a family of models brings to training; the rest, from the clock to the checkpoint, is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from PIL import Image
from torch import Tensor, nn

from diffcli.data.dataset import Dataset
from diffcli.data.kinds import Items
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


class Preview(Protocol):
    """What a look at a model in training needs, computed once per session; on the averaged weights."""

    def look(self, model: Any) -> Look: ...

    def about(self) -> dict[str, Any]:
        """What the checkpoint shall remember of the data."""
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

    @property
    def command(self) -> str:
        """The words before `train`: `diffcli` or `diffcli vae`."""
        return self.recipe.command
