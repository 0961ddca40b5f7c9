"""diffcli's smallest network, trained twice from the same weights: by `diffcli train`, by the learner's functions."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffcli.learn.running import Outcome

NEEDS = ("to_unit", "stratified_times", "simple_loss", "steps_taken", "averaged", "learning_rate", "dropped_labels")
STEPS, BATCH = 250, 64
EVERY = 50  # steps between lines
CLOSE = 0.08  # of the loss: other random numbers make 1 or 2 % of difference


class Told(nn.Module):
    """(x, t) -> noise: a network that wants the log-SNR and the classes, for whoever has the time."""

    def __init__(self, network: nn.Module, log_snr: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.log_snr = network, log_snr
        self.labels: Tensor | None = None

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        found: Tensor = self.network(x, self.log_snr(t), label=self.labels)
        return found


class Rated:
    """The package's optimizer in the manner of torch's, at a learning rate times `scale`."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer, self.scale = optimizer, 1.0

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.forget()

    def step(self) -> None:
        self.optimizer.step(self.scale)


def commands(impl: Path, out: Path) -> list[list[str]]:
    return [[
        "train", "--recipe", "tiny", "--predict", "eps", "--steps", str(STEPS), "--batch", str(BATCH), "--seed", "0",
        "--out", str(out / "ours"),
    ]]  # fmt: skip


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    from diffcli.core.diffusion.denoiser import LOG_SNR_LIMIT
    from diffcli.data.loading import load_dataset
    from diffcli.specs import schedule as schedule_of
    from diffcli.system.device import pick
    from diffcli.training.families.diffusion import DiffusionPreview
    from diffcli.training.recipes import load_recipe
    from diffcli.training.recipes.diffusion import RECIPES
    from diffcli.training.setup import build, new_trainer

    recipe = load_recipe(str(out / "ours" / "recipe.toml"), RECIPES)
    dataset, schedule, keys = load_dataset("mnist"), schedule_of(recipe.schedule), recipe.optimizer
    places, held = dataset.holdout()
    model = build(recipe, dataset.items, pick("cpu"))
    optimizer = Rated(new_trainer(recipe, dataset.items, model).optimizer)
    null = len(dataset.classes)
    network = Told(model.network, lambda t: schedule(t).log_snr.clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).float())
    ema, generator = copy.deepcopy(network), torch.Generator().manual_seed(1)
    times = torch.as_tensor(functions["stratified_times"](STEPS, BATCH, generator)).double()
    labels, pixels = dataset.labels, dataset.storage
    assert labels is not None and isinstance(pixels, Tensor)
    for step in range(STEPS):
        some = places[torch.randint(len(places), (BATCH,), generator=generator)]
        x0 = torch.as_tensor(functions["to_unit"](pixels[some])).float()
        network.labels = torch.as_tensor(
            functions["dropped_labels"](labels[some], null, recipe.objective.drop, generator)
        )
        t = schedule.training_time(times[step].clamp(min=1e-6))
        alpha, sigma = (part.float() for part in schedule(t))
        eps = torch.randn(x0.shape, generator=generator)
        optimizer.scale = float(functions["learning_rate"](step, STEPS, keys.warmup))
        loss = list(functions["steps_taken"](network, optimizer, [(x0, alpha, sigma, t, eps)], keys.clip))
        functions["averaged"](ema, network, step, keys.ema)
        if (step + 1) % EVERY == 0:
            yield f"yours: {step + 1} of {STEPS} steps  loss {float(torch.as_tensor(loss[0]).detach()):.4f}"
    model.network = ema.network
    look = DiffusionPreview(recipe, dataset, places, held).look(model.eval())
    look.picture.save(out / "yours.png")
    (out / "yours.json").write_text(json.dumps({"steps": STEPS, "validation_loss": look.validation_loss}), "utf-8")


def judged(out: Path) -> Outcome:
    rows = [json.loads(line) for line in (out / "ours" / "metrics.jsonl").read_text("utf-8").splitlines()]
    last = next(row for row in reversed(rows) if "validation_loss" in row)
    ours, linear = last["validation_loss"], last["linear_denoiser_loss"]
    yours = json.loads((out / "yours.json").read_text("utf-8"))["validation_loss"]
    lines = (
        f"your training, {STEPS} steps:   validation loss {yours:.4f}",
        f"diffcli train, {STEPS} steps:   validation loss {ours:.4f}, {abs(yours / ours - 1):.1%} apart",
        f"best linear denoiser:        validation loss {linear:.4f}",
        "in the picture the columns are the classes 0 to 9; specks are what 250 steps of a small network leave",
    )
    return Outcome(abs(yours / ours - 1) < CLOSE, lines, ("yours.png",))
