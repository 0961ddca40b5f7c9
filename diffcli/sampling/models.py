"""What can be sampled: a trained model or an exact one, read by its name into one shape."""

from dataclasses import dataclass
from pathlib import Path

import torch

from diffcli import specs
from diffcli.core.diffusion.denoiser import Denoise, check_pair
from diffcli.core.diffusion.exact import Exact
from diffcli.core.diffusion.schedules import Schedule
from diffcli.data.kinds import kind_of
from diffcli.errors import UsageProblem
from diffcli.metrics.health import Health
from diffcli.runs.loading import Trained, load_trained
from diffcli.sampling import exact_models

EXACT_SCHEDULE = "linear"  # of exact models, unless told


@dataclass(frozen=True)
class Model:
    """A denoiser with all that sampling needs to know.

    name:        what to call it by, on the command line too
    shape:       of one item, (C, H, W) or (D,)
    guidance:    that of images of a class, unless told
    clip:        whether clean estimates are held to the range of images, unless told
    health:      what samples of the data look like in numbers, where that is known
    exact:       the law, where it is known
    trained:     the checkpoint, where there is one
    """

    name: str
    denoise: Denoise
    schedule: Schedule
    schedule_name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    guidance: float = 1.0
    clip: bool = False
    health: Health | None = None
    notes: tuple[str, ...] = ()
    exact: Exact | None = None
    trained: Trained | None = None

    @property
    def target(self) -> str:
        """How a next command names it: the run rather than one of its checkpoints."""
        return str(self.trained.path.parent) if self.trained else self.name


def load_model(
    target: str | None,
    *,
    device: torch.device,
    weights: str = "ema",
    schedule: str | None = None,
    data: Path | None = None,
) -> Model:
    """The model called `target`: exact:..., a run, or a checkpoint file; None is the newest run.

    schedule:  another than the one it was trained under

    Raises UsageProblem for a schedule that does not suit what the network predicts.
    """
    if target is not None and target.startswith(exact_models.PREFIX):
        if weights != "ema":
            raise UsageProblem("an exact model has no weights to choose from", "leave --weights out")
        law, name = exact_models.exact_model(target, data), EXACT_SCHEDULE if schedule is None else schedule
        return Model(target, law.exact, specs.schedule(name), name, law.shape, exact=law.exact)
    trained = load_trained(target, weights=weights, device=device)
    kind = kind_of(trained.shape)
    name = trained.recipe.schedule if schedule is None else schedule
    noise = specs.schedule(name)
    try:
        check_pair(noise, trained.recipe.predict)
    except ValueError as error:
        raise UsageProblem(f"{name} does not suit this model: {error}", "use another --schedule") from None
    return Model(
        name=str(trained.path),
        denoise=trained.model,
        schedule=noise,
        schedule_name=name,
        shape=trained.shape,
        classes=trained.classes if trained.recipe.label_drop < 1 else (),  # never told, never learned
        guidance=trained.recipe.guidance,
        clip=kind.bounded,
        health=kind.health(*trained.about[kind.health.__name__.lower()]),
        notes=trained.notes,
        trained=trained,
    )
