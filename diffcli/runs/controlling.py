"""Runs that train a network to obey hints: what their recipes look like, and the branches that come of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffcli.data.canvas import KNOWN
from diffcli.data.canvas_names import SIDES
from diffcli.data.conditions import CONDITIONS
from diffcli.errors import UsageProblem, one_of
from diffcli.runs.basing import begun_with
from diffcli.runs.loading import find, read
from diffcli.system.files import expanded, is_dir
from diffcli.training.recipes import override
from diffcli.training.recipes.control import PAIRED


def begun_beside(target: str | None, condition: str, mode: str, changes: Mapping[str, Any]) -> tuple[Any, str]:
    """The recipe of a run that teaches a model to obey hints, with changes of keys, and the checkpoint of that model.

    Its rates are the model's own: what is trained is new.

    condition:  one of `CONDITIONS`; or a word or a folder of pictures beside a folder of images
    mode:       branch or concat

    Raises CheckpointProblem and UsageProblem.
    """
    recipe, path = begun_with(target, dict(changes))
    own = read(find(path, "diffusion")).recipe
    if own.control.name != "none":
        raise UsageProblem(f"{target or path} obeys hints already", "name the model that it began with")
    if recipe.network.name != "unet":
        raise UsageProblem(f"the network {recipe.network.name} cannot be told hints", "name a model of images")
    rates = {k: getattr(own.optimizer, k) for k in ("lr", "muon_lr") if k in own.optimizer.own()}
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, **rates))
    known = condition in CONDITIONS
    if not known and not is_dir(expanded(condition)) and not is_dir(expanded(recipe.data.name)):
        one_of(condition, CONDITIONS, "condition")
    keys = {"control": mode, "control.condition": condition if known else PAIRED}
    if not known or (condition in KNOWN and recipe.data.name in SIDES):
        keys["data.hints"] = condition
    return override(recipe, keys | dict(changes)), path
