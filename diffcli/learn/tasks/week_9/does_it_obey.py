"""Graded by what `control evaluate` measured of a run, and by what is made of its numbers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffcli.learn.experiments import Case, Fault, claim, judged_by, left_behind, recipe, runs_there

CLAIMS = ("share", "error", "exact_share")
NAMES = ["control", "judged"]
FEWEST = 50  # hints


def does_it_obey() -> dict[str, str | float]:
    """A control on edges, what was measured of it, and how far it has come.

    diffcli control train mnist --condition edges --minutes 2 --seed 0 --out runs/edges
    diffcli control evaluate runs/edges --count 64 --out week-9-obeys

    A score between that of samples without hints, u, and that of real images, r, is a share of the way between them:
    (score − u)/(r − u).

    share:       of the edge F1 with a pixel of tolerance
    error:       the standard error of this share; that of u is left out, as it counts little when the share is near 1
    exact_share: of the edge F1 without tolerance, which is 1 for real images

    Returns {"control": folder, "judged": folder, "share": number, "error": number, "exact_share": number}, the folders
    beside this file.
    """
    return {"control": "runs/edges", "judged": "week-9-obeys", "share": 0.92, "error": 0.024, "exact_share": 0.65}


def examined(found: dict[str, Path], claimed: Mapping[str, float]) -> Fault | None:
    if sorted(found) != NAMES:
        return Fault("other-names", f"it names {', '.join(found)}: wanted are {', '.join(NAMES)}, and three numbers")
    if fault := runs_there({"control": found["control"]}):
        return fault
    if recipe(found["control"]).get("control.condition") != "edges":
        return Fault(
            "no-edges", f"{found['control'].name} does not obey edges: diffcli control train --condition edges"
        )
    document = judged_by(found["control"], found["judged"], list(MEASURED))
    if isinstance(document, Fault):
        return document
    if document["count"] < FEWEST:
        return Fault("few-hints", f"{FEWEST} hints or more are wanted: --count 64")
    score, without, real = (document[f"score{name}"] for name in ("", "_unconditioned", "_real"))
    if score - without < 2 * document["score_error"]:
        return Fault(
            "not-yet",
            f"F1 is {score:.3f}, and {without:.3f} without hints: no difference that could be told; diffcli control "
            "train --resume goes on, and obedience comes suddenly",
        )
    return _shares(document, score, without, real, claimed)


def _shares(
    document: dict[str, Any], score: float, without: float, real: float, claimed: Mapping[str, float]
) -> Fault | None:
    """Whether the three numbers are those of the document."""
    share = (score - without) / (real - without)
    exact, exact_without = document["exact"], document["exact_unconditioned"]
    exact_share = (exact - exact_without) / (1 - exact_without)
    mistaken = {
        "score-for-share": (score, "the score itself: without any hint it would have been high already"),
        "not-divided": (score - without, "the way that was come, not a share of the whole way"),
        "gain-in-percent": (
            (score - without) / without,
            "the gain over samples without hints, as a part of their score",
        ),
        "what-is-left": (1 - share, "what is left of the way"),
        "exact-for-tolerant": (exact_share, "the share without tolerance"),
    }
    look = "`score`, `score_unconditioned` and `score_real` in metrics.json of `judged`"
    if fault := claim("share", claimed["share"], share, 0.006, mistaken, look):
        return fault
    error = document["score_error"] / (real - without)
    mistaken = {
        "error-of-the-score": (document["score_error"], "the error of the score: the share has another unit"),
        "error-multiplied": (
            document["score_error"] * (real - without),
            "the error times the way, for the error over it",
        ),
        "spread": (error * document["count"] ** 0.5, "the spread of single hints: that of their mean is wanted"),
    }
    look = "`score_error`, and what the score is divided by"
    if fault := claim("error", claimed["error"], error, 0.1 * error + 0.0006, mistaken, look):
        return fault
    mistaken = {
        "exact-for-share": (exact, "the score itself: u is not 0 without tolerance either"),
        "exact-beside-tolerant": ((exact - without) / (real - without), "by the u of the score with tolerance"),
        "tolerant-for-exact": (share, "the share with tolerance"),
    }
    look = "`exact` and `exact_unconditioned` in metrics.json of `judged`"
    return claim("exact_share", claimed["exact_share"], exact_share, 0.006, mistaken, look)


MEASURED = {
    "count": 64, "score": 0.983, "score_error": 0.005, "score_unconditioned": 0.79,
    "score_real": 1.0, "exact": 0.756, "exact_unconditioned": 0.31,
}  # fmt: skip


def cases(folder: Path) -> Iterator[Case]:
    def run(name: str, **control: str) -> Path:
        made = left_behind(folder / name, recipe={"control": {"name": "branch", "condition": "edges", **control}})
        (made / "step-000000299.safetensors").write_bytes(b"")
        return made

    def judged(name: str, of: str = "edges", step: int = 299, **changed: float) -> Path:
        place = {"checkpoint": f"runs/{of}/step-{step:09d}.safetensors"}
        return left_behind(folder / name, recipe={}, judged={}, measured=MEASURED | place | changed)

    found = {"control": run("edges"), "judged": judged("judged")}
    right = {"share": 0.919, "error": 0.0238, "exact_share": 0.646}
    yield Case(found, "", right)
    yield Case(found, "", {"share": 0.92, "error": 0.024, "exact_share": 0.65})
    for share, fault in (
        (0.983, "score-for-share"), (0.193, "not-divided"), (0.244, "gain-in-percent"), (0.081, "what-is-left"),
        (0.646, "exact-for-tolerant"), (0.5, "other-share"),
    ):  # fmt: skip
        yield Case(found, fault, right | {"share": share})
    for error, fault in (
        (0.005, "error-of-the-score"),
        (0.00105, "error-multiplied"),
        (0.19, "spread"),
        (0.1, "other-error"),
    ):
        yield Case(found, fault, right | {"error": error})
    for exact, fault in (
        (0.756, "exact-for-share"), (-0.162, "exact-beside-tolerant"), (0.919, "tolerant-for-exact"),
        (0.5, "other-exact-share"),
    ):  # fmt: skip
        yield Case(found, fault, right | {"exact_share": exact})
    yield Case({"control": found["control"]}, "other-names", right)
    yield Case(found | {"control": folder / "nowhere"}, "missing", right)
    yield Case(found | {"control": run("masks", condition="mask")}, "no-edges", right)
    yield Case(found | {"judged": folder / "nowhere"}, "not-judged", right)
    yield Case(found | {"judged": found["control"]}, "not-judged", right)
    yield Case(found | {"judged": judged("another", of="edges-2")}, "judged-another", right)
    yield Case(found | {"judged": judged("before", step=100)}, "judged-before", right)
    yield Case(found | {"judged": judged("few", count=10)}, "few-hints", right)
    yield Case(found | {"judged": judged("early", score=0.795)}, "not-yet", right)
