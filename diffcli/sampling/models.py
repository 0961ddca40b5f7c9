"""What can be sampled: a trained model or an exact one, read by its name into one shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from diffcli import specs
from diffcli.core.diffusion.denoiser import Denoise, check_pair
from diffcli.core.diffusion.exact import Exact
from diffcli.core.diffusion.latent import Codec
from diffcli.core.diffusion.schedules import Schedule
from diffcli.data.kinds import CLASS, Items
from diffcli.data.published import clinical
from diffcli.errors import UsageProblem
from diffcli.metrics.health import HEALTH, Health
from diffcli.runs.additions import Applied, with_additions
from diffcli.runs.codecs import codec_in
from diffcli.runs.controlling import ControlTaken, with_controls
from diffcli.runs.loading import Trained, load_trained
from diffcli.sampling import exact_models

EXACT_SCHEDULE = "linear"  # of exact models, unless told


@dataclass(frozen=True)
class Model:
    """A denoiser with all that sampling needs to know.

    name:     what to call it by, on the command line too
    items:    what it makes, with the classes that it was ever told
    exact:    the law, where it is known
    trained:  the checkpoint, where there is one
    codec:    of a model of latents what turns them into images; its walks are over latents
    added:    low-rank additions that were summed into its weights
    controls: the hints that it takes
    """

    name: str
    denoise: Denoise
    schedule: Schedule
    schedule_name: str
    items: Items
    exact: Exact | None = None
    trained: Trained | None = None
    codec: Codec | None = None
    added: tuple[Applied, ...] = ()
    controls: tuple[ControlTaken, ...] = ()

    @property
    def walked(self) -> Items:
        """What its walks are over: what it makes, or the latents of that."""
        return self.trained.items if self.codec and self.trained else self.items

    def encoded(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] as the walks see them: the means of their latents, or what they are."""
        return images if self.codec is None else self.codec.encode(images).mean

    def finished(self, x: Tensor) -> Tensor:
        """What a walk came to, as images: latents are decoded, what is not finite stays so."""
        if self.codec is None:
            return x
        lost = ~x.flatten(1).isfinite().all(1)
        images = self.codec.decode(x.nan_to_num())
        images[lost] = torch.nan
        return images

    @property
    def target(self) -> str:
        """How a next command names it: the run rather than one of its checkpoints."""
        return self.trained.target if self.trained else self.name

    @cached_property
    def digest(self) -> str:
        """Of the weights; the name of an exact model, which says all."""
        if self.trained is None:
            return self.name
        return self.trained.digest

    @property
    def guidance(self) -> float:
        """That of items with a condition, unless told."""
        return self.trained.recipe.sampling.guidance if self.trained else 1.0

    @property
    def clip(self) -> bool:
        """Whether clean estimates are held to the range of images, unless told."""
        return self.trained is not None and self.walked.kind.bounded

    @property
    def learned(self) -> bool:
        """Whether it has learned the variance of its reverse steps."""
        return bool(getattr(self.denoise, "learned", False))

    @property
    def health(self) -> Health | None:
        """What samples of the data look like in numbers, where that is known."""
        if self.trained is None:
            return None
        about = self.trained.stored.about
        numbers = next(about[k] for k in ("health", "brightness", "moments") if k in about)  # its names, newest first
        return HEALTH[self.items.kind.name](*numbers)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about its checkpoint, and what was added to it."""
        if self.trained is None:
            return ()
        said = clinical(self.trained.recipe.data.name, self.items)
        told = [*(one.note for one in self.controls), *(one.note for one in self.added), said]
        return (*self.trained.stored.notes, *filter(None, told))


def load_model(
    target: str | None,
    *,
    device: torch.device,
    weights: str = "ema",
    schedule: str | None = None,
    data: Path | None = None,
    lora: Sequence[str] = (),
    control: Sequence[str] = (),
) -> Model:
    """The model called `target`: exact:..., a run, or a checkpoint file; None is the newest run.

    schedule:  another than the one it was trained under
    lora:      FILE[:scale] of low-rank additions, or runs that have them
    control:   RUN[:strength] of branches that obey hints

    Raises CheckpointProblem for additions to another network and for branches beside another model, UsageProblem for a
    schedule that does not suit what the network predicts.
    """
    if target is not None and target.startswith(exact_models.PREFIX):
        if weights != "ema":
            raise UsageProblem("an exact model has no weights to choose from", "leave --weights out")
        if lora:
            raise UsageProblem("an exact model has no weights to add to", "leave --lora out")
        if control:
            raise UsageProblem("an exact model has no network to control", "leave --control out")
        law, name = exact_models.exact_model(target, data), EXACT_SCHEDULE if schedule is None else schedule
        return Model(target, law.exact, specs.schedule(name), name, law.items, exact=law.exact)
    trained = load_trained(target, weights=weights, device=device)
    controls = tuple(with_controls(trained, control, weights))
    added = tuple(with_additions(trained, lora))
    name = trained.recipe.schedule if schedule is None else schedule
    noise = specs.schedule(name)
    try:
        check_pair(noise, trained.recipe.objective.predict)
    except ValueError as error:
        raise UsageProblem(f"{name} does not suit this model: {error}", "use another --schedule") from None
    carried = codec_in(trained.stored, device)
    items = trained.items if carried is None else carried.items
    if not trained.recipe.conditional or CLASS not in getattr(trained.model.network, "nulls", {}):  # never told
        items = Items(items.kind, items.shape)
    codec = None if carried is None else carried.codec
    return Model(
        str(trained.path), trained.model, noise, name, items, trained=trained, codec=codec, added=added,
        controls=controls,
    )  # fmt: skip
