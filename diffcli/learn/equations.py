"""The index of equations: what each says, the code that implements it, the checks that hold it. No torch here."""

import ast
import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from diffcli.errors import UsageProblem
from diffcli.learn.catalogue import Exercise
from diffcli.learn.citing import (
    KIND,
    KINDS,
    NUMBER,
    YEAR,
    Paper,
    PaperPlace,
    numbers_in,
    papers_in,
    places_in,
    words_of,
)

INDEX = Path(__file__).with_suffix(".toml")
ROOT = Path(__file__).parents[2]  # of FILE in FILE:NAME
ASKED = re.compile(rf"(?<!\w)(?:{KIND})\.?\s*\(?(?P<numbers>{NUMBER}(?:\s*[-–]\s*{NUMBER})?)", re.I)
BARE = re.compile(r"(?<![\w.])((?:[IVX]+\.)?(?:[A-Z]\.)?\d+(?:\.\d+)*)(?![\w.])", re.I)
IDLE = {
    "a", "al", "an", "and", "are", "by", "do", "does", "et", "explain", "for", "from", "how", "in", "is", "it", "of",
    "on", "or", "paper", "that", "the", "there", "to", "what", "why", "with",
}  # fmt: skip
CLOSE = 0.75  # likeness of a word to one that it may be a slip of
SHARE = 0.5  # of the best one's score that others need to be named beside it
OTHERS = 5
TITLE, WORDS, ELSEWHERE = 3.0, 2.0, 1.0  # what a word counts where it stands
BEGUN = 0.7  # of that if it only begins so


class Code(NamedTuple):
    """Where something is defined: a file below the folder of the package, its name in it, and the line."""

    file: str
    name: str
    line: int


@dataclass(frozen=True)
class Equation:
    """An entry of the index; equations.toml says what each part is."""

    source: str
    title: str
    words: str
    text: str
    here: str
    code: tuple[str, ...]
    checks: tuple[str, ...]
    exercises: tuple[str, ...] = ()

    @cached_property
    def places(self) -> tuple[PaperPlace, ...]:
        return tuple(places_in(self.source, papers()))

    @cached_property
    def papers(self) -> tuple[Paper, ...]:
        return tuple(dict.fromkeys(papers()[name] for _, name in papers_in(self.source, papers())))

    @property
    def name(self) -> str:
        """By which it is asked for."""
        return str(self.places[0])

    def worth(self, word: str) -> float:
        """What a word of a question says for this entry."""
        return max((weight * likeness(word, known) for known, weight in self.weights.items()), default=0.0)

    @cached_property
    def weights(self) -> dict[str, float]:
        """What each word counts that says something for it."""
        names = [place.partition(":")[2] for place in self.code]
        parts = {
            ELSEWHERE: [self.text, self.here, *(paper.reference for paper in self.papers)],
            WORDS: [self.words, *names, *(paper.nickname for paper in self.papers)],
            TITLE: [self.title],
        }
        return {word: weight for weight, texts in parts.items() for text in texts for word in words_of(text)}


class Found(NamedTuple):
    """What was asked for.

    shown:  the entries that are meant
    also:   others that are near
    slips:  words that were taken for others
    """

    shown: list[Equation]
    also: list[Equation]
    slips: dict[str, str]


@cache
def papers() -> Mapping[str, Paper]:
    """By nickname."""
    return {name: Paper(name, reference) for name, reference in _document()["papers"].items()}


@cache
def equations() -> tuple[Equation, ...]:
    """All entries, in the order of the file."""
    return tuple(_equation(**row) for row in _document()["equation"])


def _equation(**row: Any) -> Equation:
    parts: dict[str, Any] = {k: tuple(part) if isinstance(part, list) else part.strip() for k, part in row.items()}
    return Equation(**parts)


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(INDEX.read_text("utf-8"))


def found(question: str) -> Found:
    """The entry that is asked for, by its place in a paper or in words; of a paper alone, all of its.

    Raises UsageProblem with the nearest one.
    """
    cited = {place for place in places_in(question, papers()) if place.paper}
    if cited and (shown := [one for one in equations() if cited & set(one.places)]):
        return Found(shown, [], {})
    kind, numbers, rest = _place_in(question)
    words, slips = _understood(words_of(_hyphened(YEAR.sub(" ", rest))))
    named = _named(words, YEAR.search(rest))
    names = {name for paper in named for name in (paper.nickname, paper.surname)}
    if numbers and (named or not words):
        shown = _at([paper.nickname for paper in named], kind, numbers)
        if not shown or not named:
            raise _unknown(question, shown, named)
        return Found(shown, [], slips)
    if named and set(words) <= names:
        return Found([one for one in equations() if set(one.papers) & set(named)], [], slips)
    shown, also = _by_words(words)
    if not shown:
        raise _unknown(question, [], named)
    return Found(shown, also, slips)


def _place_in(question: str) -> tuple[str, list[str], str]:
    """The kind of a place, "" if it is not said; its numbers; and what else is said."""
    place = ASKED.search(question)
    if place:
        rest = question.replace(place[0], " ", 1)
        return next(name for name in KINDS if place[name]), list(numbers_in(place["numbers"].upper())), rest
    bare = BARE.search(YEAR.sub(" ", question))
    return ("", [bare[1].upper()], question.replace(bare[1], " ", 1)) if bare else ("", [], question)


def _hyphened(text: str) -> str:
    """With the nicknames of papers as they are: dpm-solver++ for DPM solver."""
    for name in papers():
        usual = re.escape(name.rstrip("+")).replace(r"\-", "[ -]")
        text = re.sub(rf"(?<![\w-]){usual}(?![\w+-])", name, text, flags=re.I)
    return text


def _named(words: list[str], year: re.Match[str] | None) -> list[Paper]:
    """The papers whose nickname or first author is among the words: those of which most words are."""
    known = [p for p in papers().values() if {p.nickname, p.surname} & set(words)]
    known = [p for p in known if not year or p.year.startswith(year[0])]
    most = max((len(p.words & set(words)) for p in known), default=0)
    return [p for p in known if len(p.words & set(words)) == most]


def _at(names: list[str], kind: str, numbers: list[str]) -> list[Equation]:
    """The entries that stand there, equations before algorithms and sections; of any paper, where none is named."""
    for one in [kind] if kind else KINDS:
        wanted = {(one, number) for number in numbers}
        here = [
            e for e in equations()
            if any((p.kind, p.number.upper()) in wanted and (not names or p.paper in names) for p in e.places)
        ]  # fmt: skip
        if here:
            return here
    return []


def _by_words(words: list[str]) -> tuple[list[Equation], list[Equation]]:
    """The entry that the words say most for, and those for which they say half of that or more."""
    scores = [sum(equation.worth(word) for word in words) for equation in equations()]
    best = max(scores)
    ranked = sorted(zip(scores, equations(), strict=True), key=lambda pair: -pair[0])
    near = [equation for score, equation in ranked if score >= SHARE * best]
    return (near[:1], near[1 : OTHERS + 1]) if best > 0 else ([], [])


def _understood(words: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The words that say something, slips put right, and which these were."""
    kept, slips = [], {}
    for word in words:
        if word in IDLE:
            continue
        if not any(likeness(word, known) for known in vocabulary()):
            near = difflib.get_close_matches(word, vocabulary(), 1, CLOSE)
            if not near:
                continue
            slips[word] = near[0]
        kept.append(slips.get(word, word))
    return kept, slips


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that says something for an entry."""
    known = [word for equation in equations() for word in equation.weights]
    known += [name for paper in papers().values() for name in (paper.nickname, paper.surname)]
    return tuple(dict.fromkeys(word for word in known if word not in IDLE))


def likeness(word: str, known: str) -> float:
    """1 for the same word, less if one begins the other, as with posteriors, else 0."""
    if word == known:
        return 1.0
    short, long = sorted((word, known), key=len)
    return BEGUN if len(short) >= 4 and long.startswith(short) else 0.0


def _unknown(question: str, there: list[Equation], named: list[Paper]) -> UsageProblem:
    asked = " ".join(question.split())
    if there:
        there_too = [str(p) for e in there for p in e.places if re.search(rf"\b{re.escape(p.number)}\b", asked, re.I)]
        return UsageProblem(f"'{asked}' of which paper?", f"there are {', '.join(dict.fromkeys(there_too))}")
    names = {paper.nickname for paper in named}
    known = [str(place) for e in equations() for place in e.places if not names or place.paper in names]
    known += [] if names else [e.title for e in equations()]
    near = difflib.get_close_matches(asked, known, 1, 0)
    hint = f"did you mean {near[0]}? " if near else ""
    return UsageProblem(f"unknown equation '{asked}'", f"{hint}diffcli explain --list shows them all")


def located(place: str) -> Code:
    """Where FILE:NAME is, NAME being a function, a class, a constant, or CLASS.METHOD. Raises LookupError."""
    file, _, name = place.partition(":")
    line = _lines(file).get(name)
    if line is None:
        raise LookupError(f"{file} defines no {name}")
    return Code(file, name, line)


@cache
def _lines(file: str) -> dict[str, int]:
    """The line of every name that a file defines; of a file that is not there, none."""
    path = ROOT / file
    return dict(_defined(ast.parse(path.read_text("utf-8")).body)) if path.is_file() else {}


def _defined(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield within + node.name, node.lineno
            if isinstance(node, ast.ClassDef):
                yield from _defined(node.body, f"{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((within + n.id, node.lineno) for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))


def exercises_on(equation: Equation, exercises: Iterable[Exercise]) -> list[Exercise]:
    """Those that are about it: told by the index, by a source that stands there too, or by the code that they name."""
    return [
        one for one in exercises
        if one.id in equation.exercises
        or set(equation.code) & set(one.used)
        or set(equation.places) & _cited(one.source)
    ]  # fmt: skip


@cache
def _cited(source: str) -> frozenset[PaperPlace]:
    return frozenset(places_in(source, papers()))
