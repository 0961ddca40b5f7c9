"""What a run that begins with another model's weights does with them: which are trained, and how they come in."""

from torch import Tensor, nn

from diffcli.core.models import conversion
from diffcli.core.models.lora import add_low_rank
from diffcli.core.models.parts import ADDED, PARTS, counted, part_of
from diffcli.data.kinds import IMAGES, Items
from diffcli.errors import CheckpointProblem, DataProblem, UsageProblem
from diffcli.training.families.base import Basis
from diffcli.training.hinting import fill_branch, freeze_beside
from diffcli.training.recipes.diffusion import Recipe

BRANCHES = "network.control."  # before the names of weights of branches


def adapt(recipe: Recipe, network: nn.Module) -> None:
    """Give a network the additions that its recipe asks for, and let only those weights be trained that it trains.

    Raises UsageProblem for a rank above that of a weight, and where nothing is left to train.
    """
    keys = recipe.adaptation
    if keys.name == "lora":
        try:
            add_low_rank(network, keys.rank, keys.alpha, keys.layers)
        except ValueError as error:
            raise UsageProblem(str(error), "choose a smaller --rank, or other --layers") from None
    if keys.name in ("none", "full"):
        freeze_beside(recipe, network)
        return
    for name, weight in network.named_parameters():
        weight.requires_grad_(_is_trained(keys, name))
    if not any(weight.requires_grad for weight in network.parameters()):
        raise UsageProblem("no part of the network is left to train", f"its parts: {', '.join(PARTS)}")


def _is_trained(keys: object, name: str) -> bool:
    """Whether a weight is trained under an adaptation that leaves some as they are."""
    part, how = part_of(name), getattr(keys, "name", "")
    if how == "frozen":
        return part not in getattr(keys, "parts", ())
    if how == "head":
        return part == "head" or name == conversion.LABELS
    return part == ADDED or (name == conversion.LABELS and getattr(keys, "labels", "") != "no")


def fill_upon(recipe: Recipe, model: nn.Module, items: Items, basis: Basis) -> tuple[str, ...]:
    """Fill an untrained denoiser with the weights of a basis: what was changed for other channels and classes.

    What the basis does not have stays as it was drawn: additions, or a branch beside the network. Buffers stay, too:
    they are of the data. Raises DataProblem for channels that cannot be converted, CheckpointProblem for weights of
    another shape.
    """
    own, notes = dict(model.named_parameters()), list[str]()
    known = {name: value for name, value in basis.state.items() if name in own}
    missing = sorted(name for name in basis.state if name not in own and name not in dict(model.named_buffers()))
    if missing:
        raise CheckpointProblem(f"{basis.place} has {missing[0]}, which the network of this recipe lacks")
    before, after = basis.items, items
    if before.shape[0] != after.shape[0]:
        known |= _of_channels(known, recipe, before, after)
        way = "repeated" if after.shape[0] > 1 else "summed"
        notes.append(
            f"the base is for {_channels(before)}: the first convolution was {way} for {_channels(after)}, the last "
            f"one {'repeated' if after.shape[0] > 1 else 'averaged'}"
        )
    label = f"network.{conversion.LABELS}"
    if label in known and (before.classes != after.classes or len(known[label]) != len(own[label])):
        places = [before.classes.index(name) if name in before.classes else None for name in after.classes]
        known[label] = conversion.relabelled(known[label], places)
        notes.append(_told_of_classes(before, after))
    enter = f"network.{conversion.ENTER}"
    if enter in known and known[enter].shape[1] < own[enter].shape[1]:
        known[enter] = conversion.widened(known[enter], own[enter].shape[1])
    wrong = next((name for name, value in known.items() if value.shape != own[name].shape), None)
    if wrong:
        sizes = ("x".join(map(str, value.shape)) for value in (known[wrong], own[wrong]))
        raise CheckpointProblem(
            f"{wrong} of {basis.place} is {next(sizes)}, and the network of this recipe {next(sizes)}"
        )
    for name, value in known.items():
        own[name].data.copy_(value)
    if recipe.control.name == "branch" and not any(name.startswith(BRANCHES) for name in known):
        fill_branch(model.get_submodule("network"))
    return tuple(notes)


def _of_channels(state: dict[str, Tensor], recipe: Recipe, before: Items, after: Items) -> dict[str, Tensor]:
    """The first and the last convolution for other channels."""
    counts = before.shape[0], after.shape[0]
    enter = f"network.{conversion.ENTER}"
    if after.kind is not IMAGES or 1 not in counts or enter not in state:
        raise DataProblem(
            f"the base is for {_channels(before)}, and the data have {_channels(after)}",
            "only one channel becomes several, or several become one",
        )
    square = recipe.network.own().get("fold", 1) ** 2
    inputs = state[enter].shape[1] // (counts[0] * square)
    found = {enter: conversion.entering(state[enter], inputs, *counts)}
    for name in (f"network.{leave}" for leave in conversion.LEAVE):
        found[name] = conversion.leaving(state[name], len(state[name]) // (counts[0] * square), *counts)
    return found


def _channels(items: Items) -> str:
    count = items.shape[0]
    return f"{count} channel{'s' * (count > 1)}"


def _told_of_classes(before: Items, after: Items) -> str:
    """What became of the embeddings of classes."""
    kept = [name for name in after.classes if name in before.classes]
    new, gone = len(after.classes) - len(kept), len(before.classes) - len(kept)
    parts = [f"{len(kept)} classes keep their embeddings"] if kept else []
    parts += [f"{new} new ones begin as no class"] if new else []
    parts += [f"{gone} of the base are dropped"] if gone else []
    return f"classes: {', '.join(parts) or 'none'}"


def parts_table(model: nn.Module) -> list[list[str]]:
    """What is trained: part, weights, trained or frozen."""
    rows = []
    for part, weights, trained in counted(model):
        how = "trained" if trained == weights else "frozen" if not trained else f"{trained:,} trained"
        rows.append([part, f"{weights:,}", how])
    return rows
