"""What a model is judged on: data that it was not trained on, or draws of a law that is known."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Denoise
from diffcli.core.diffusion.exact_pixels import PixelHistogram, Pixelwise
from diffcli.core.diffusion.grids import LOWEST_LOG_SNR
from diffcli.core.diffusion.guidance import Conditions, clipped
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.data.dataset import Dataset, to_pixels, to_unit
from diffcli.errors import DataProblem, UsageProblem, one_of
from diffcli.runs.loading import Trained
from diffcli.sampling.models import Model


def held_out(trained: Trained, data: Path | None) -> tuple[Dataset, Tensor]:
    """The test split of what a model was trained on, and the places in it to use; of a folder those held out.

    Raises DataProblem where the data have changed their shape.
    """
    wanted = trained.recipe.data
    tested = datasets.has_test_split(wanted.name, data)
    found = datasets.load_dataset(wanted.name, "test" if tested else "train", data=data, reading=trained.stored.reading)
    if found.shape != trained.items.shape:
        raise DataProblem(
            f"{wanted.name} holds items of {found.shape}, and the model was trained on {trained.items.shape}",
            "train a model on the data as they are",
        )
    places = torch.arange(len(found)) if tested else found.holdout(by_class=trained.stored.by_class)[1]
    return found.among(trained.items.classes), places


@dataclass(frozen=True)
class Subject:
    """A model and what it is judged on.

    x0:      items [N, ...] that it has not seen, and `conditions` what it is told of them, each [N, ...]
    known:   items of the data that it has seen, or more draws of the law: a model's own error is measured there;
             and `known_conditions` what it is told of those
    source:  what the items are, for texts
    """

    model: Model
    denoise: Denoise
    x0: Tensor
    conditions: Conditions
    known: Tensor
    known_conditions: Conditions
    source: str

    @property
    def discrete(self) -> bool:
        """Whether numbers are 8-bit values."""
        return self.model.items.kind.bounded

    @property
    def histogram(self) -> PixelHistogram:
        """Of the known items' values."""
        histogram = PixelHistogram()
        histogram.count(self.known)
        return histogram

    @property
    def histogram_nats(self) -> float:
        """Mean cost of an item for who knows the histogram of the known items only: -log of its values' shares."""
        return -Pixelwise(self.histogram, self.model.items.shape).log_density(self.x0).mean().item()

    @property
    def truth_nats(self) -> float | None:
        """Mean of -log p of an exact law on the items, where it is finite; None of trained models."""
        if self.model.exact is None:
            return None
        log_density = self.model.exact.log_density(self.x0)
        return -log_density.mean().item() if bool(log_density.isfinite().all()) else None

    def truth_at(self, level: Level) -> Tensor:
        """-log p of an exact law in nats per item [N], of data as wide as a level makes them."""
        exact = self.model.exact
        assert exact is not None
        return -exact.log_density(level.alpha * self.x0, level) - self.numbers * level.alpha.log()

    @property
    def numbers(self) -> int:
        """In one item."""
        return self.x0[0].numel()

    @property
    def learned(self) -> bool:
        """Whether the model has learned its variance."""
        return self.model.learned


def subject(model: Model, count: int, known: int, *, conditional: bool, seed: int, data: Path | None) -> Subject:
    """Test items of a trained model, or draws of an exact one.

    known:        how many items of the training data
    conditional:  whether the model is told the class of each

    Raises UsageProblem for a class that the model does not know.
    """
    if conditional and not model.items.classes:
        raise UsageProblem("this model knows no classes", "leave --conditional out")
    if model.codec is not None:
        raise UsageProblem(
            f"{model.name} models latents: what it says of their density is none of pixels, as many images share one "
            "latent and the decoder gives no probabilities",
            "diffcli evaluate judges its samples; vlb and likelihood are for models of pixels",
        )
    kind = model.items.kind
    if model.exact:
        x0, more = (model.exact.draw(n, keyed(seed, f"judged {i}")) for i, n in enumerate((count, known)))
        return Subject(model, model.denoise, x0, {}, more, {}, f"{count} draws of the law")
    trained = model.trained
    assert trained is not None
    test, places = held_out(trained, data)
    order = torch.randperm(len(places), generator=keyed(0, "judged"))  # the first of MNIST are harder than the rest
    x0, conditions = test.take(places[order[:count]])
    train = datasets.load_dataset(trained.recipe.data.name, data=data, reading=trained.stored.reading)
    seen = train.holdout(kind.held, by_class=trained.stored.by_class)[0][:known]
    more, more_conditions = train.among(trained.items.classes).take(seen)
    if not conditional:
        conditions, more_conditions = {}, {}
    source = f"{len(x0)} test {kind.name}"
    if model.items.spans is not None:  # a probability of 8-bit values needs such
        x0, more, source = to_unit(to_pixels(x0)), to_unit(to_pixels(more)), f"{source}, rounded to 8 bits"
    denoise = clipped(model.denoise) if model.clip else model.denoise
    return Subject(model, denoise, x0, conditions, more, more_conditions, source)


def compute_in(model: Model, precision: str) -> None:
    """Have a trained network compute in bf16 or fp32; auto leaves what its recipe says."""
    one_of(precision, ("auto", "bf16", "fp32"), "precision")
    if precision == "auto":
        return
    if model.trained is None:
        raise UsageProblem("an exact model computes in float64", "leave --precision out")
    model.trained.model.network.bf16 = precision == "bf16"


def log_snr_range(schedule: Schedule) -> tuple[float, float]:
    """The log-SNR at the least noisy time of a walk, and at the noisiest one that a grid would go to."""
    first, last = (schedule(torch.tensor(t, dtype=torch.float64)).log_snr.item() for t in (schedule.first, 1.0))
    return first, max(last, LOWEST_LOG_SNR)
