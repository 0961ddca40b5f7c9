"""What is compared: every way to draw that the options ask for, from the same start noise."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffcli import specs
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.errors import UsageProblem
from diffcli.sampling.gridfile import SUFFIX
from diffcli.sampling.options import SamplingOptions

MOST_SETTINGS = 500


@dataclass(frozen=True)
class Candidate:
    """One way to draw.

    run:      whose model, as it was named
    sampler:  with parameters perhaps
    steps:    None where the grid is a file
    grid:     None is the sampler's usual one
    eta:      None of samplers that have none
    start:    what the first evaluations are replaced by; None is nothing
    """

    run: str | None
    sampler: str
    steps: int | None
    grid: str | None = None
    eta: float | None = None
    guidance: float | None = None
    start: str | None = None

    def options(self, base: SamplingOptions) -> SamplingOptions:
        """How `prepare` is asked for it; seed, count, classes and weights are those of `base`."""
        own = {} if self.eta is None else {"eta": self.eta}
        return replace(
            base, sampler=self.sampler, steps=self.steps, grid=self.grid, guidance=self.guidance, start=self.start,
            options=own,
        )  # fmt: skip

    @property
    def title(self) -> str:
        """What to call it in a table of one run."""
        parts = [self.sampler]
        parts += [f"eta {self.eta:g}"] if self.eta is not None else []
        parts += [Path(self.grid).stem] if self.grid else []
        parts += [f"guidance {self.guidance:g}"] if self.guidance is not None else []
        parts += [f"start {self.start}"] if self.start else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Asked:
    """The lists that the options give; every combination that makes sense is compared.

    steps_told:  whether the numbers of steps were asked for
    """

    samplers: Sequence[str]
    steps: Sequence[int]
    grids: Sequence[str | None] = (None,)
    etas: Sequence[float | None] = (None,)
    guidances: Sequence[float | None] = (None,)
    starts: Sequence[str | None] = (None,)
    steps_told: bool = False


def settings(runs: Sequence[str | None], asked: Asked) -> list[Candidate]:
    """All combinations: eta for samplers that have it only, and one number of steps for a grid from a file.

    Raises UsageProblem for too many of them, and for an eta or numbers of steps that none has use for.
    """
    found: dict[Candidate, None] = {}
    takers = [sampler for sampler in asked.samplers if _has_eta(sampler)]
    if any(eta is not None for eta in asked.etas) and not takers:
        raise UsageProblem("--eta belongs to none of these samplers", "add ddim, or leave it out")
    for run, sampler, grid, guidance, start in itertools.product(
        runs, asked.samplers, asked.grids, asked.guidances, asked.starts
    ):
        from_file = grid is not None and grid.endswith(SUFFIX)
        spec, own_steps = own_number(sampler)
        for steps in (None,) if from_file else (own_steps,) if own_steps else asked.steps:
            for eta in asked.etas if sampler in takers else (None,):
                found[Candidate(run, spec, steps, grid, eta, guidance, start)] = None
    if asked.steps_told and not any(setting.steps in asked.steps for setting in found):
        raise UsageProblem("--steps changes nothing where every sampler or --grid has its own number", "leave it out")
    if len(found) > MOST_SETTINGS:
        raise UsageProblem(f"{len(found)} settings are too many to compare", f"ask for {MOST_SETTINGS} at most")
    return list(found)


def own_number(sampler: str) -> tuple[str, int | None]:
    """ "ddpm,steps=1000" -> ("ddpm", 1000): a sampler may have a number of steps of its own; raises UsageProblem."""
    parts = sampler.split(",")
    own = [part.removeprefix("steps=") for part in parts if part.startswith("steps=")]
    rest = ",".join(part for part in parts if not part.startswith("steps="))
    return rest, specs.numbers(own[-1], "steps", int, 1)[0] if own else None


def _has_eta(sampler: str) -> bool:
    sampler, _ = own_number(sampler)
    name, own = specs.parameters({k: s.walk for k, s in SAMPLERS.items()}, sampler, "sampler")
    return "eta" in SAMPLERS[name].options and "eta" not in own


def specs_of(text: str) -> list[str]:
    """ "ddim,eta=0.5,unipc" -> ["ddim,eta=0.5", "unipc"]: what has a = belongs to the name before it."""
    found: list[str] = []
    for part in text.split(","):
        if "=" in part and found:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return list(dict.fromkeys(found))
