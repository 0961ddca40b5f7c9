"""What `diffcli noise chain` says: the laws at every stop, and how the noise of two times correlates."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from diffcli.console.show import table
from diffcli.lessons.gaussians.noising.measures import LawAtLevel, law_at_level
from diffcli.lessons.gaussians.noising.walk import ChainBesideJump, NoiseCorrelation

ALIKE = 5  # standard errors that the law of chain and jump may be off by
UNLIKELY = 1e-4  # a p-value, over all tests, below which their laws differ from the truth
LEADS = (
    "Training looks at one time at once, so it may jump; sampling goes back along the chain, step by step, by "
    "q(x_s | x_t, x0)."
)


class LawsAtStop(NamedTuple):
    """What x has of its law at the level of a number, by the chain and by the jump."""

    stop: int
    chain: LawAtLevel
    jump: LawAtLevel


class LawsHeld(NamedTuple):
    """Chain and jump at every stop, the largest deviation of a moment in standard errors, and the least p-value."""

    stops: list[LawsAtStop]
    deviation: float
    p_value: float

    @property
    def alike(self) -> bool:
        """Whether nothing speaks against one law of chain and jump."""
        return self.deviation < ALIKE and self.p_value * 2 * len(self.stops) > UNLIKELY


def laws_held(walk: ChainBesideJump) -> LawsHeld:
    """What was walked against its law, at every stop."""
    stops = [
        LawsAtStop(
            stop,
            law_at_level(x, walk.x0, walk.levels[stop]),
            law_at_level(walk.jump(stop), walk.x0, walk.levels[stop]),
        )
        for stop, x in walk.chain.items()
    ]
    laws = [law for at in stops for law in (at.chain, at.jump)]
    return LawsHeld(stops, max(law.deviation for law in laws), min(law.p_value for law in laws))


def walk_document(walk: ChainBesideJump, held: LawsHeld, correlations: Sequence[NoiseCorrelation]) -> dict[str, Any]:
    """What was measured, for metrics.json."""
    times = []
    for at in held.stops:
        level = walk.levels[at.stop]
        head = {"step": at.stop, "t": walk.time(at.stop), "alpha": level.alpha.item(), "sigma": level.sigma.item()}
        times.append(head | {"chain": at.chain._asdict(), "jump": at.jump._asdict()})
    return {
        "times": times,
        "correlations": [pair._asdict() for pair in correlations],
        "largest_deviation": held.deviation,
        "least_p_value": held.p_value,
        "numbers": walk.x0.numel(),
        "end_miss": walk.miss,
    }


def walk_lines(walk: ChainBesideJump, held: LawsHeld) -> list[str]:
    """A row of the chain's moments and both p-values for every stop."""
    cells = []
    for at in held.stops:
        chain = at.chain
        numbers = (chain.mean, chain.mean_true, chain.variance, chain.variance_true, chain.p_value)
        cells.append([f"{walk.time(at.stop):.3f}", *(f"{n:.4g}" for n in numbers), f"{at.jump.p_value:.4g}"])
    heads = ["t", "mean", "true", "variance", "true", "p chain", "p jump"]
    return [
        *table(heads, cells, right=range(7)),
        f"the chain's end against the jump with the sum of its noises as eps: {walk.miss:.1e} sigma apart",
    ]


def walk_seen(held: LawsHeld, correlations: Sequence[NoiseCorrelation]) -> str:
    """One law at every time, and other paths."""
    seen = (
        f"Chain and jump {'have one law' if held.alike else 'differ from the law'} at every time (furthest "
        f"{held.deviation:.1f} standard errors, least p {held.p_value:.2g} of {2 * len(held.stops)})"
    )
    if correlations:
        far = min(correlations, key=lambda pair: abs(pair.true - 0.5))  # neither the same nor strangers
        seen += (
            f", but not the same paths: the noise at t = {far.s:.2f} and {far.t:.2f} correlates "
            f"{far.chain:.3f} ± {far.standard_error:.3f} along the chain (exact {far.true:.3f}) "
            "and 1 along the jump"
        )
    return seen + "."
