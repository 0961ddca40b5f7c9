"""The mark on a function: asked twice, held against the truth, and where it is wrong against the usual mistakes."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from diffcli.learn.answers import Trouble
from diffcli.learn.asking import Ask, local
from diffcli.learn.comparing import agree, difference, pattern, told
from diffcli.learn.exercise import Material, Seen, Wrong
from diffcli.learn.progress import BLANK, ERROR, FAILED, PASSED

FIRST, SECOND = 1, 2  # seeds of the global generators, from which nobody should draw
TWO_ANSWERS = "two-answers"  # the mistake of one that draws numbers of its own, or keeps some


class Mark(NamedTuple):
    """What a grader says.

    state:    blank, failed, error or passed
    mistake:  the name of the wrong answer that was recognised
    message:  one or two sentences to whoever wrote it
    """

    state: str
    message: str = ""
    mistake: str | None = None


def grade(material: Material, asking: Callable[[int], Ask], name: str = "it") -> Mark:
    """Ask everything and judge.

    asking:  seed of the global generators -> the function to ask
    name:    of the function, for messages
    """
    found, stopped = _asked(material, asking(FIRST))
    wanted = truths(material)
    for got, want in zip(found, wanted, strict=False):
        if said := difference(got, want):
            mark = _failed(material, found, wanted, f"{name}: {got.case}: {said}")
            return mark if mark.mistake else _unsteady(material, asking, found, mark)
    if isinstance(stopped, Trouble):
        return troubled(stopped, name)
    if stopped:
        return Mark(FAILED, f"{name}: {wanted[len(found)].case}: nothing can be done with the result: {stopped}")
    return _repeated(material, asking, found, name) if material.repeats else Mark(PASSED)


def _asked(material: Material, ask: Ask) -> tuple[list[Seen], Trouble | str]:
    """The answers, and what stopped the questions: no answer, or one that they could not go on with; else nothing."""
    found: list[Seen] = []
    try:
        for seen in material.questions(ask):
            found.append(seen._replace(case=told(seen.case)))
    except Trouble as trouble:
        return found, trouble
    except Exception as error:
        return found, str(error).split("\n")[0] or type(error).__name__
    return found, ""


@cache
def truths(material: Material) -> list[Seen]:
    """The right answers to the questions."""
    return list(material.questions(local(material.truth, FIRST)))


def recognised(material: Material, found: list[Seen]) -> Wrong | None:
    """The wrong answer that gives all of these, and stops where they do."""
    return next((wrong for wrong in material.wrongs if _all_agree(found, _wrong_answers(material, wrong))), None)


def _all_agree(found: list[Seen], wanted: list[Seen]) -> bool:
    return 0 < len(found) == len(wanted) and all(agree(got, want) for got, want in zip(found, wanted, strict=True))


@cache
def _wrong_answers(material: Material, wrong: Wrong) -> list[Seen]:
    """What a wrong answer says, as far as it gets."""
    return _asked(material, local(wrong.function, FIRST))[0]


def _failed(material: Material, found: list[Seen], wanted: list[Seen], said: str) -> Mark:
    wrong = recognised(material, found)
    if wrong:
        return Mark(FAILED, f"{said}. This is what one gets {wrong.text}; look at {wrong.look}.", wrong.name)
    common = pattern(found, wanted)
    return Mark(FAILED, f"{said}; {common}." if common else f"{said}.")


def _unsteady(material: Material, asking: Callable[[int], Ask], found: list[Seen], mark: Mark) -> Mark:
    """The same mark, with the reason where the answer is another one each time."""
    if not material.repeats or _repeated(material, asking, found, "").mistake != TWO_ANSWERS:
        return mark
    reason = "Asked again it gives something else: draw random numbers from what you are given only."
    return Mark(FAILED, f"{mark.message} {reason}", TWO_ANSWERS)


def _repeated(material: Material, asking: Callable[[int], Ask], found: list[Seen], name: str) -> Mark:
    """Ask again, with other seeds of the global generators and after everything else."""
    again, stopped = _asked(material, asking(SECOND))
    if isinstance(stopped, Trouble):
        return troubled(stopped, f"{name}, asked a second time,")
    for first, second in zip(found, [*again, *found[len(again) :]], strict=True):
        if difference(second._replace(within=None), first._replace(within=None)):
            return Mark(FAILED, (
                f"{name}: {first.case}: two calls with the same arguments differ. Keep nothing between calls, and draw "
                "random numbers from what you are given only."
            ), TWO_ANSWERS)  # fmt: skip
    return Mark(PASSED)


def troubled(trouble: Trouble, name: str) -> Mark:
    """What to say where there is no answer."""
    if trouble.kind == "blank":
        return Mark(BLANK, "not begun")
    place = f" (line {trouble.line}: {trouble.text})" if trouble.line else ""
    state = FAILED if trouble.kind in ("changed", "unusual") else ERROR
    return Mark(state, f"{name} {trouble.message}{place}")
