"""Denoisers side by side on test images: their quality at several amounts of corruption, and examples at one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.processes.corruption import Corruption
from diffcli.core.randomness import keyed
from diffcli.data import loading as datasets
from diffcli.errors import DataProblem, DivergedProblem
from diffcli.evaluation.denoisers import KNOWN, Baselines, check_amount
from diffcli.metrics.quality import Quality
from diffcli.runs.loading import Trained

EXAMPLES = 6
AT_ONCE = 512  # images


@dataclass(frozen=True)
class DenoiserStudy:
    """A denoising autoencoder, and what it is compared on.

    known:   training images [N, C, H, W], which the linear and the memorising denoiser know
    test:    images [M, C, H, W] to corrupt and to denoise
    amount:  of corruption, that the headline and the examples are at
    """

    trained: Trained
    known: Tensor
    test: Tensor
    amount: float
    seed: int

    @property
    def corruption(self) -> Corruption:
        """What is done to the images."""
        return self.trained.model.corruption

    @property
    def amounts(self) -> list[float]:
        """All that are tried, from the least on."""
        return sorted({self.amount, *self.corruption.shown})


@dataclass(frozen=True)
class DenoiserComparison:
    """What was found.

    rows:      an amount, a denoiser, and its quality there, in each
    examples:  denoiser, or "clean" -> some images [N, C, H, W] at the study's amount, and the PSNR of each
    """

    rows: list[dict[str, Any]]
    examples: dict[str, tuple[Tensor, list[float]]]

    def at(self, amount: float) -> dict[str, dict[str, Any]]:
        """The rows of one amount, by denoiser."""
        return {row["denoiser"]: row for row in self.rows if row["amount"] == amount}


def denoiser_study(
    trained: Trained, amount: float, count: int, seed: int, data: Path | None, show: Show
) -> DenoiserStudy:
    """The study of a model on at most `count` test images; raises UsageProblem for an impossible amount."""
    check_amount(trained.model.corruption, amount)
    known, test = _images(trained, data, count, show)
    return DenoiserStudy(trained, known, test, amount, seed)


def _images(trained: Trained, folder: Path | None, count: int, show: Show) -> tuple[Tensor, Tensor]:
    """Training images to know, as many as memory takes, and images to test on."""
    wanted, shape = trained.recipe.data, trained.items.shape
    dataset = datasets.load_dataset(wanted.name, data=folder, reading=trained.stored.reading)
    if dataset.shape != shape:
        raise DataProblem(
            f"{wanted.name} holds items of {dataset.shape}, and the model was trained on {shape}",
            "train a model on the data as they are",
        )
    places, held = dataset.holdout(by_class=trained.stored.by_class)
    most = int(KNOWN / dataset.items.numbers)
    if len(places) > most:
        show.note(f"note: the linear and the memorising denoiser know {most} of {len(places)} training images")
    known, _ = dataset.take(places[:most])
    if datasets.has_test_split(wanted.name, folder):
        tested = datasets.load_dataset(wanted.name, "test", data=folder, reading=trained.stored.reading)
        return known, tested.take(range(min(count, len(tested))))[0]
    show.note("note: a folder has no test images; these were held out of its training")
    return known, dataset.take(held[:count])[0]


def compare_denoisers(study: DenoiserStudy, show: Show) -> DenoiserComparison:
    """Denoise the test images at every amount; raises DivergedProblem where the network's estimates are not finite."""
    baselines, test, amounts = Baselines(study.corruption, study.known), study.test, study.amounts
    rows: list[dict[str, Any]] = []
    examples: dict[str, tuple[Tensor, list[float]]] = {"clean": (test[:EXAMPLES], [])}
    with show.progress("denoising", len(amounts) * len(test), "images") as bar:
        for place, amount in enumerate(amounts):
            noise = keyed(study.seed, "corruption")
            y = study.corruption.apply(test, torch.full((len(test),), amount), noise)
            denoisers = baselines.at(amount, study.trained.model)
            for name, denoise in {"noisy": lambda y: y, **denoisers}.items():
                estimate = torch.cat([denoise(part) for part in y.split(AT_ONCE)])
                quality = Quality.of(estimate, test)
                rows.append({"amount": amount, "denoiser": name, **quality.summary()})
                if amount == study.amount:
                    examples[name] = (estimate[:EXAMPLES], quality.psnr[:EXAMPLES].tolist())
            bar.update((place + 1) * len(test))
    found = DenoiserComparison(rows, examples)
    if not torch.tensor(found.at(study.amount)["network"]["psnr"]).isfinite():
        raise DivergedProblem("the network's estimates are not finite", "train it again, with a lower --lr")
    return found
