"""The hints of a run: computed from its images, or known of them; and the network that is told them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from diffcli.core.models.control import ControlBranch, HintPlanes, controlled
from diffcli.data.conditions import CONDITIONS
from diffcli.data.dataset import Dataset
from diffcli.data.hinted import with_computed
from diffcli.data.kinds import HINT, IMAGES, Items
from diffcli.errors import DataProblem, UsageProblem
from diffcli.training.recipes.control import PAIRED
from diffcli.training.recipes.diffusion import Recipe


def is_told(recipe: Recipe) -> bool:
    """Whether the network is told pictures."""
    return bool(recipe.control.name != "none")


def is_known(recipe: Recipe) -> bool:
    """Whether the hints come with the data, and are not computed from images."""
    return recipe.control.condition in (PAIRED, recipe.data.hints)


def viewed(recipe: Recipe, dataset: Dataset) -> Dataset:
    """A data set with the hints that its recipe asks for, where these are not computed while it trains.

    Raises UsageProblem for hints that it does not have.
    """
    if not is_told(recipe):
        return dataset
    condition = recipe.control.condition
    if dataset.items.kind is not IMAGES:
        raise UsageProblem(f"hints are of images, and {dataset.name} holds {dataset.items.kind.name}")
    if is_known(recipe):
        if dataset.hints is None:
            raise UsageProblem(f"{dataset.name} has no hints", "pictures beside a folder of images, see data.hints")
        return dataset
    if CONDITIONS[condition].extract is None:
        raise UsageProblem(
            f"no {condition} is known of {dataset.name}", "it is of canvas-64 and canvas-128, and of files of your own"
        )
    return with_computed(dataset, condition) if recipe.latent else replace(dataset, hints=None)


def hinted(recipe: Recipe, x0: Tensor, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The conditions of images x0 [B, C, H, W] in [-1, 1], their hints among them."""
    if not is_told(recipe) or HINT in conditions:
        return dict(conditions)
    extract = CONDITIONS[recipe.control.condition].extract
    assert extract is not None  # else they are with the data, see `viewed`
    return {**conditions, HINT: extract(x0)}


def settled_hint(recipe: Any, dataset: Dataset) -> tuple[int, ...]:
    """The shape (k, H, W) of the hints of a data set, as `viewed`; of latents, too."""
    if dataset.hints is not None:
        return tuple(dataset.hints[0].shape)
    channels, *sides = dataset.shape
    return (CONDITIONS[recipe.control.condition].channels(channels), *sides)


def beside(recipe: Recipe, items: Items) -> dict[str, Any]:
    """Options of a network that sees its hints beside its input; none of another."""
    if recipe.control.name != "concat":
        return {}
    return {"beside": HintPlanes(_shape(recipe), items.shape[1:])}


def add_branch(recipe: Recipe, network: Any, items: Items) -> None:
    """Put the branch beside a network, where the recipe has one."""
    if recipe.control.name == "branch":
        controlled(network, ControlBranch(network, _shape(recipe), items.shape[1:]))


def freeze_beside(recipe: Recipe, network: nn.Module) -> None:
    """Leave the network as it is, beside its branch."""
    if recipe.control.name == "branch" and recipe.adaptation.name == "none":
        for name, weight in network.named_parameters():
            weight.requires_grad_(name.startswith("control."))


def fill_branch(network: Any) -> None:
    """Let the branch beside a network begin as the copy that it is."""
    for branch in network.control.values():
        branch.begin_with(network)


def _shape(recipe: Recipe) -> tuple[int, ...]:
    if not recipe.control.hint:
        raise DataProblem("nothing says how large the hints are", "train it by diffcli control train")
    return tuple(recipe.control.hint)
