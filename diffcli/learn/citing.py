"""Papers, and where equations stand in them, as texts cite them: "Ho et al. 2020, eq. 6-7", "DDIM eq. 12". No torch."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

KINDS = {  # as a place is named -> as texts have it
    "eq": "eqs?|eqns?|equations?", "algorithm": "algorithms?|algo?", "theorem": "theorems?", "lemma": "lemmas?",
    "proposition": "propositions?|prop", "corollary": "corollary|corollaries", "section": "sections?|sec",
    "appendix": "appendix|app", "table": "tables?",
}  # fmt: skip
NUMBERED = ("eq", "algorithm", "theorem", "lemma", "proposition", "corollary")  # what states something
KIND = "|".join(f"(?P<{name}>{pattern})" for name, pattern in KINDS.items())
DIGITS = r"(?:[IVX]+\.)?(?:[A-Z]\.)?\d+(?:\.\d+)*(?!\w)"
NUMBER = rf"(?:{DIGITS}|[A-Z](?:\.\d+)*(?!\w))"  # 7, 2.113, A.23, III.1.5; D and A.2 of an appendix
MORE = rf"(?:\s*[-–]\s*|\s*,\s*|\s+to\s+|\s+and\s+){DIGITS}"
PLACES = re.compile(rf"(?<!\w)(?i:{KIND})\.?\s*\(?(?P<numbers>{NUMBER}(?:{MORE})*)")
YEAR = re.compile(r"(?<![\w.])(?:1[89]|20)\d\d[a-z]?(?!\w)")
NAME = r"[A-Z][\w'-]+"
AUTHORS = re.compile(rf"({NAME})(?:, {NAME})*(?: & {NAME})?(?: et al\.)?")
BEHIND = re.compile(r",? ?\(?[^,;:.)]{0,40}")  # of a year: "(DDIM)" or ", DDIM" says which of two papers is meant
REACH = 200  # characters that authors and title take before the year


class PaperPlace(NamedTuple):
    """An equation, algorithm, theorem, ... of a paper: its nickname, the kind, the number as the paper has it."""

    paper: str
    kind: str
    number: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True)
class Paper:
    """reference: authors, the year, with a letter where texts cite two of them, a comma, the title."""

    nickname: str
    reference: str

    @cached_property
    def year(self) -> str:
        found = YEAR.search(self.reference)
        return found[0] if found else ""

    @cached_property
    def surname(self) -> str:
        """Of the first author."""
        return re.split("[ ,]", plain(self.reference))[0]

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset({self.nickname, *words_of(self.reference)} - {self.year})


def plain(text: str) -> str:
    """Small letters without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o").replace("ł", "l"))
    return "".join(c for c in parts if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """Its words, plain: "x0", "sub-vp", "dpm-solver++"."""
    return re.findall(r"\w[\w'+-]*(?<!-)", plain(text))


def places_in(text: str, papers: Mapping[str, Paper], before: str = "") -> Iterator[PaperPlace]:
    """Every place that a text cites, in order, of the paper cited last; in front of all papers, of the first one.

    before:  the nickname for a text that cites no paper

    A place of a paper that is not known is one of "".
    """
    cited = papers_in(text, papers)
    for found in PLACES.finditer(text):
        earlier = [paper for start, paper in cited if start < found.start()]
        paper = earlier[-1] if earlier else cited[0][1] if cited else before
        kind = next(name for name in KINDS if found[name])
        yield from (PaperPlace(paper, kind, number) for number in numbers_in(found["numbers"]))


def numbers_in(text: str) -> Iterator[str]:
    """ "4, 6-7" -> 4, 6, 7; "2.113-2.117", "A.7-A.8" and "12.4-5" likewise."""
    for part in re.split(r"\s*,\s*|\s+and\s+", text):
        first, *last = re.split(r"\s*[-–]\s*|\s+to\s+", part)
        yield first
        if last:
            head, dot, low = first.rpartition(".")
            high = last[0].rpartition(".")[2]
            yield from (f"{head}{dot}{value}" for value in range(int(low) + 1, int(high) + 1))


def papers_in(text: str, papers: Mapping[str, Paper]) -> list[tuple[int, str]]:
    """Where a text cites papers, in order, and their nicknames, "" for those that are not known."""
    found, begin = [], 0
    for year in YEAR.finditer(text):
        start = max(begin, year.start() - REACH)
        lists = list(AUTHORS.finditer(text, start, year.start()))
        if not lists:
            continue
        behind = BEHIND.match(text, year.end())
        end = behind.end() if behind else year.end()
        named = [_named(authors[1], year[0], text[authors.start() : end], papers) for authors in lists]
        paper = max(named, key=lambda candidate: candidate[0])[1]
        if paper or text[lists[-1].end() : year.start()].strip(", (") == "":
            found.append((year.start(), paper))
            begin = year.end()
    found += [(hit.start(), hit[1].lower()) for hit in _nicknames(tuple(papers)).finditer(text)]
    return sorted(found)


@cache
def _nicknames(names: tuple[str, ...]) -> re.Pattern[str]:
    """One of them right in front of a place: DDPM, eq. 7"""
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})[,)]*\s+(?={KIND})", re.I)


def _named(author: str, year: str, citation: str, papers: Mapping[str, Paper]) -> tuple[int, str]:
    """The paper of this first author and year with most words in the citation, and how many: 0 and "" for none."""
    fitting = [paper for paper in papers.values() if paper.year.startswith(year) and paper.surname == plain(author)]
    seen = set(words_of(citation))
    return max(((len(seen & p.words), p.nickname) for p in fitting), key=lambda found: found[0], default=(0, ""))
