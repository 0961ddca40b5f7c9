"""Runs that train a network to obey hints: what their recipes look like, and the branches that come of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from diffcli.core.models.control import HINT, ControlBranch, controlled
from diffcli.data.canvas import KNOWN
from diffcli.data.canvas_names import SIDES
from diffcli.data.conditions import CONDITIONS
from diffcli.errors import CheckpointProblem, UsageProblem, one_of
from diffcli.runs.additions import name_and_scale
from diffcli.runs.basing import begun_with
from diffcli.runs.loading import Trained, find, load_trained, read
from diffcli.system.files import expanded, is_dir
from diffcli.training.recipes import override
from diffcli.training.recipes.control import PAIRED


@dataclass(frozen=True)
class ControlTaken:
    """A hint that a loaded model takes.

    name:       of the condition that the network is told: hint, hint2, ...
    condition:  what hints show, one of `CONDITIONS` or `PAIRED`
    shape:      of a hint, (k, H, W)
    place:      the checkpoint that learned it
    own:        whether the model has it of itself; else it was put beside, with this strength
    """

    name: str
    condition: str
    shape: tuple[int, ...]
    place: str
    strength: float = 1.0
    own: bool = False

    @property
    def note(self) -> str:
        """For the user; "" where the model has it of itself."""
        return "" if self.own else f"control: {self.place} ({self.condition}) at {self.strength:g}"


def begun_beside(target: str | None, condition: str, mode: str, changes: Mapping[str, Any]) -> tuple[Any, str]:
    """The recipe of a run that teaches a model to obey hints, with changes of keys, and the checkpoint of that model.

    Its rates are the model's own: what is trained is new.

    condition:  one of `CONDITIONS`; or a word or a folder of pictures beside a folder of images
    mode:       branch or concat

    Raises CheckpointProblem and UsageProblem.
    """
    named = {key: changes[key] for key in ("dataset", "data.name") if key in changes}
    recipe, path = begun_with(target, named)
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
    return override(recipe, keys | {k: v for k, v in changes.items() if k not in named}), path


def with_controls(trained: Trained, wanted: Sequence[str], weights: str = "ema") -> list[ControlTaken]:
    """Put branches beside a model that is loaded, each by RUN[:strength]; what hints it takes then, its own first.

    weights:  that it was loaded with; a branch knows its base by the average

    Raises CheckpointProblem for what is no branch, or one of another model.
    """
    keys, found = trained.recipe.control, list[ControlTaken]()
    bases = set[str]()
    if keys.name != "none":
        found.append(ControlTaken(HINT, keys.condition, tuple(keys.hint), str(trained.path), own=True))
        bases.add(trained.stored.about.get("base", {}).get("digest", ""))
    device = next(trained.model.parameters()).device
    if wanted:
        average = trained if weights == "ema" else load_trained(str(trained.path), device=device)
        bases.add(Trained(average.model, average.stored).digest)
    for text in wanted:
        name, strength = name_and_scale(text, "--control", "strength")
        other = load_trained(name, device=device)
        branch = _branch(other)
        base = other.stored.about.get("base", {})
        if base.get("digest") not in bases:
            raise CheckpointProblem(
                f"{other.target} obeys hints beside another model: its base has the digest "
                f"{base.get('digest', '?')[:16]}, and {trained.target} is another",
                f"it began with {base.get('from', 'a model that it does not name')}",
            )
        own = trained.model.network.enter.weight.shape
        if branch.enter.get_parameter("weight").shape != own:
            raise CheckpointProblem(f"{other.target} obeys hints of images of other channels than {trained.target} has")
        shape, sides = tuple(other.recipe.control.hint), trained.items.shape[1:]
        if tuple(-(-side // branch.factor) for side in shape[1:]) != sides:
            size, own = ("x".join(map(str, part)) for part in (shape[1:], sides))
            raise CheckpointProblem(f"hints of {other.target} are {size}, and {trained.target} has items of {own}")
        key = controlled(trained.model.network, branch, strength)
        found.append(ControlTaken(key, other.recipe.control.condition, shape, str(other.path), strength))
    return found


def _branch(other: Trained) -> ControlBranch:
    """The branch of a run of `control train`; raises CheckpointProblem where it has none."""
    kind = other.recipe.control.name
    if kind == "concat":
        raise CheckpointProblem(
            f"{other.target} is a whole network that obeys hints, no branch beside another", f"sample {other.target}"
        )
    if kind != "branch":
        raise CheckpointProblem(f"{other.target} obeys no hints", "diffcli control train makes what does")
    branch: ControlBranch = other.model.network.control[HINT]
    return branch
