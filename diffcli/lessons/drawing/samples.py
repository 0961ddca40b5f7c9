"""What is drawn from a law: the methods that can, what they are told, and the sample of each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.console.show import Show
from diffcli.core.processes.laws.line import Law
from diffcli.core.processes.montecarlo.methods import METHODS, Batch, Method
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem, one_of
from diffcli.lessons.drawing import ALL
from diffcli.lessons.drawing.measures import Worth, joined, worth
from diffcli.lessons.drawing.named import named_law
from diffcli.system.text import flag

MOST_PROPOSALS = 50_000_000  # of rejection: a minute
CHAINS = 20
RANGES = {
    "chains": (1, 10_000), "burn_in": (0, 1_000_000), "scale": (1e-9, 1e9), "step": (1e-9, 1e9), "leaps": (1, 1000),
}  # fmt: skip


@dataclass(frozen=True)
class DrawingSetting:
    """A law, by its name as it was written, and how to draw from it.

    method:    the name of one, or all
    chosen:    the methods to draw by
    left_out:  why the others are not among all
    options:   those of methods
    """

    name: str
    law: Law
    method: str
    chosen: dict[str, Method]
    left_out: dict[str, str]
    count: int
    options: dict[str, Any]
    seed: int


def drawing_setting(name: str, method: str, count: int, wished: dict[str, Any], seed: int) -> DrawingSetting:
    """What was asked for, checked; raises UsageProblem, and DataProblem for a file.

    wished:  options of methods; None for those that were not given
    """
    options = {option: value for option, value in wished.items() if value is not None}
    for option, value in options.items():
        least, most = RANGES[option]
        if not least <= value <= most:
            raise UsageProblem(f"{flag(option)} must be from {least:g} to {most:.10g}, not {value:g}")
    one_of(method, [*METHODS, ALL], "method")
    law = named_law(name)
    chosen, left_out = _chosen(method, law, name, count)
    _check_takers(options, chosen, method)
    options.setdefault("chains", min(CHAINS, max(1, count // 100)))
    if options["chains"] * 10 > count:
        raise UsageProblem(f"--chains {options['chains']} leaves fewer than 10 draws each", "more --count")
    return DrawingSetting(name, law, method, chosen, left_out, count, options, seed)


def _chosen(method: str, law: Law, name: str, count: int) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods to draw by, and why the others are left out; refuses a method that cannot work."""
    refusals = {name: m.refusal(law) or _too_slow(name, law, count) for name, m in METHODS.items()}
    works = {name: m for name, m in METHODS.items() if not refusals[name]}
    if method == ALL:
        return works, {name: reason for name, reason in refusals.items() if reason}
    if refusals[method]:
        raise UsageProblem(f"{method} cannot draw from {name}: {refusals[method]}", f"what can: {', '.join(works)}")
    return {method: works[method]}, {}


def _too_slow(method: str, law: Law, count: int) -> str:
    log_tries = law.proposal().log_bound + math.log(count)
    if method != "rejection" or log_tries < math.log(MOST_PROPOSALS):
        return ""
    return f"it would take some 1e{log_tries / math.log(10):.0f} proposals for {count} draws"


def _check_takers(options: dict[str, Any], chosen: dict[str, Method], method: str) -> None:
    """Refuse an option that no chosen method takes."""
    for option in options:
        if not any(option in m.options for m in chosen.values()):
            takers = [name for name, m in METHODS.items() if option in m.options]
            raise UsageProblem(
                f"{flag(option)} does not belong to the method {method}", f"it belongs to {', '.join(takers)}"
            )


class MethodSample(NamedTuple):
    """What a method of this name drew, and what it is worth."""

    name: str
    law: Law
    method: Method
    sample: Batch
    worth: Worth

    @property
    def points(self) -> Tensor:
        """All draws, [N, D]."""
        return self.sample.x.flatten(0, 1)

    @property
    def tested(self) -> str:
        """The verdict of the test."""
        return "not tested" if math.isnan(self.worth.p_value) else f"p = {self.worth.p_value:.2g}"

    @property
    def values(self) -> Tensor:
        """What they stand for, [N, D]."""
        return self.law.worth(self.points)

    @property
    def shares(self) -> Tensor:
        """The share of every draw in the whole, [N]; their sum is 1."""
        weights = self.sample.log_weights
        count = len(self.points)
        return torch.full((count,), 1 / count, dtype=torch.float64) if weights is None else weights.flatten().softmax(0)


def samples_by_method(setting: DrawingSetting, show: Show) -> Iterator[MethodSample]:
    """The draws of every chosen method, each with random numbers of its own."""
    law, count = setting.law, setting.count
    total = count * len(setting.chosen)
    with show.progress("draws", total) as bar:
        for number, (name, method) in enumerate(setting.chosen.items()):
            batches: list[Batch] = []
            have = 0
            options = {option: value for option, value in setting.options.items() if option in method.options}
            for batch in method.draw(law, count, keyed(setting.seed, f"draw {name}"), **options):
                batches.append(batch)
                have += batch.x.shape[0] * batch.x.shape[1]
                bar.update(min(number * count + have, total), method.title)
            sample = joined(batches)
            yield MethodSample(name, law, method, sample, worth(sample, law, chained=method.chained))
