"""diffcli explain, and whether its index is true: it has every equation that the code cites, and points at code."""

import ast
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import Cli, refuses

from diffcli.checks.every import all_checks
from diffcli.commands.explain import told
from diffcli.learn.catalogue import Exercise, all_tasks, exercises_of
from diffcli.learn.citing import KINDS, NUMBERED, PaperPlace, numbers_in, papers_in, places_in
from diffcli.learn.equations import ROOT, Equation, equations, exercises_on, found, located, papers

PACKAGE = ROOT / "diffcli"
OURS = (PACKAGE / "learn", PACKAGE / "commands" / "explain.py")  # which speak of citations
FILES = sorted(path for path in PACKAGE.rglob("*.py") if not any(path.is_relative_to(place) for place in OURS))


def written(path: Path) -> Iterator[str]:
    """What a file says in texts and comments, statement by statement."""
    parts: list[str] = []
    with path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type == tokenize.COMMENT:
                parts.append(token.string.lstrip("# "))
            elif token.type == tokenize.STRING:
                parts.append(str(ast.literal_eval(token.string)) if token.string[0] in "'\"" else token.string)
            elif token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) and parts:
                yield "\n".join(parts)
                parts = []


@cache
def cited(path: Path) -> list[tuple[PaperPlace, str]]:
    """Every numbered statement that a file cites, with the text that does."""
    found, before = [], ""
    for text in written(path):
        places = [place for place in places_in(text, papers(), before) if place.kind in NUMBERED]
        found += [(place, " ".join(text.split())) for place in places]
        known = [name for _, name in papers_in(text, papers())]
        before = known[-1] if known else before
    return found


def standing(place: PaperPlace) -> list[Equation]:
    """The entries that stand there."""
    return [equation for equation in equations() if place in equation.places]


# Is the index true?


def test_every_equation_that_the_code_cites_is_in_the_index() -> None:
    uses = [(place, f"{path.name}: {place} in: {text}") for path in FILES for place, text in cited(path)]
    assert [use for place, use in uses if not standing(place)] == []
    assert len(uses) > 250


def test_what_a_file_cites_points_back_to_it() -> None:
    """So a number that is another paper's of the same author and year is found."""
    astray = []
    for path in FILES:
        here = f"{path.relative_to(ROOT).as_posix()}:"
        for place, text in cited(path):
            pointed = [code for equation in standing(place) for code in equation.code]
            if "checks" not in path.parts and not any(code.startswith(here) for code in pointed):
                astray.append(f"{path.name}: {place} in: {text}")
    assert astray == []


def test_every_entry_points_at_code_that_is_there() -> None:
    for equation in equations():
        assert equation.code
        for place in equation.code:
            code = located(place)
            line = (ROOT / code.file).read_text().splitlines()[code.line - 1]
            assert code.name.rpartition(".")[2] in line, place


def test_every_check_of_an_entry_is_there_and_every_check_that_cites_it_is_named() -> None:
    known = all_checks()
    assert {name for equation in equations() for name in equation.checks} <= set(known)
    unnamed = [
        f"{name}: {place}"
        for name, check in known.items()
        for place in places_in(check.source, papers())
        if place.kind in NUMBERED and not any(name in equation.checks for equation in standing(place))
    ]
    assert unnamed == []


def test_entries_without_a_check_are_few_and_known() -> None:
    without = {equation.name for equation in equations() if not equation.checks}
    assert without == {"iddpm eq 16", "adamw algorithm 2", "chinchilla eq 2"}


def test_entries_have_names_of_their_own_places_that_are_known() -> None:
    assert [name for name, count in Counter(equation.name for equation in equations()).items() if count > 1] == []
    for equation in equations():
        assert all(place.paper for place in equation.places), equation.source
        assert equation.text and equation.here and equation.words, equation.name


def test_every_paper_is_cited_by_an_entry() -> None:
    assert {paper.nickname for equation in equations() for paper in equation.papers} == set(papers())


def test_exercises_that_entries_name_are_there_and_so_is_the_code_that_exercises_name() -> None:
    known = {exercise.id: exercise for exercise in exercises_of(all_tasks())}
    assert {name for equation in equations() for name in equation.exercises} <= set(known)
    for exercise in known.values():
        assert all(located(place).line for place in exercise.used), exercise.id


# Is what is asked for found?


@pytest.mark.parametrize("equation", equations(), ids=lambda equation: equation.name)
def test_an_entry_is_found_by_its_places_by_its_source_and_by_its_title(equation: Equation) -> None:
    for place in equation.places:
        assert equation in found(str(place)).shown
    assert equation in found(equation.source).shown
    assert equation in found(equation.title).shown


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("ddpm eq 7", "ddpm eq 6"),
        ("DDPM, eq. (11)", "ddpm eq 1"),
        ("Ho 2020 equation 14", "ddpm eq 14"),
        ("ddpm 7", "ddpm eq 6"),
        ("eq 14 of ddpm", "ddpm eq 14"),
        ("karras algorithm 2", "edm algorithm 1"),
        ("edm alg. 1", "edm algorithm 1"),
        ("Song et al. 2021 (DDIM), eq. 12", "ddim eq 7"),
        ("Song et al. 2021, eq. 12", "sde eq 12"),
        ("nichol 15", "iddpm eq 15"),
        ("kingma 2", "vdm eq 2"),
        ("gpml a.23", "gpml eq A.23"),
        ("hairer II.1.11", "hairer eq II.1.11"),
        ("posterior", "ddpm eq 6"),
        ("beta tilde", "ddpm eq 6"),
        ("bridge", "ddpm eq 6"),
        ("elbo", "ddpm eq 3"),
        ("cosine schedule", "iddpm eq 17"),
        ("v-prediction", "distillation eq 11"),
        ("classifier free guidance", "cfg eq 6"),
        ("probability flow", "sde eq 13"),
        ("what is the reparametrization trick?", "vae section 2.4"),
        ("Frechet distance", "fid eq 6"),
        ("langevin", "ncsn eq 4"),
        ("dpm solver", "dpm-solver++ algorithm 2"),
        ("snr", "vdm eq 2"),
        ("loss", "ddpm eq 14"),
    ],
)
def test_what_a_student_would_ask(question: str, name: str) -> None:
    assert found(question).shown[0].name == name


def test_slips_are_taken_for_the_nearest_word() -> None:
    assert found("posteriro").slips == {"posteriro": "posterior"}
    assert found("ddmp eq 7").shown == found("ddpm eq 7").shown
    assert found("karas algorithm 2").shown == found("edm algorithm 2").shown
    assert found("classifer guidence").shown[0].name == "cfg eq 6"


def test_a_number_of_an_author_with_two_papers_shows_both() -> None:
    assert [equation.name for equation in found("song eq 12").shown] == ["sde eq 12", "ddim eq 7"]


def test_a_paper_alone_shows_all_of_it() -> None:
    shown = found("how does ddim work").shown
    assert len(shown) > 2
    assert all("ddim" in {paper.nickname for paper in equation.papers} for equation in shown)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Ho et al. 2020, eq. 6-7; Kingma et al. 2021, appendix A.2", "ddpm eq 6|ddpm eq 7|vdm appendix A.2"),
        ("d(x / alpha) (Song et al. 2021, DDIM, eq. 14).", "ddim eq 14"),
        ("the score (Song et al. 2021, eq. 7) and eq. 13", "sde eq 7|sde eq 13"),
        ("ddim is eq. 12\nSong et al. 2021 (DDIM), eq. 16", "ddim eq 12|ddim eq 16"),
        ("Salimans & Ho 2022, eq. 11; Ho & Salimans 2022, eq. 6, w = 1", "distillation eq 11|cfg eq 6"),
        ("Kingma & Welling, Auto-Encoding Variational Bayes (2014), eq. 7 and 10", "vae eq 7|vae eq 10"),
        ("Lu et al. 2022b, algorithm 2, line 3; Zhang & Chen 2023, eq. 4", "dpm-solver++ algorithm 2| eq 4"),
        ("Levin, Peres & Wilmer 2017, theorems 12.4-5", "levin theorem 12.4|levin theorem 12.5"),
        ("Kynkäänniemi et al. 2019 (eq. 1 and 2), with 3", "recall eq 1|recall eq 2"),
        ("DLMF, eq. 8.17.22", "dlmf eq 8.17.22"),
        ("as DDPM eq. 11 has it", "ddpm eq 11"),
        ("Nobody & Else 1999, eq. 3", " eq 3"),
        ("the equation has 2 sides, and 7 of 9 are done", ""),
    ],
)
def test_citations_are_read_as_people_write_them(text: str, places: str) -> None:
    assert "|".join(map(str, places_in(text, papers()))) == places


def test_numbers_of_a_range_are_counted_up() -> None:
    assert list(numbers_in("2, 4-6 and 2.113-2.115, A.7-A.8")) == [
        "2", "4", "5", "6", "2.113", "2.114", "2.115", "A.7", "A.8",
    ]  # fmt: skip
    assert {place.kind for equation in equations() for place in equation.places} <= set(KINDS)


def test_exercises_are_found_by_the_index_by_their_source_and_by_the_code_that_they_name() -> None:
    (posterior,) = found("ddpm eq 7").shown

    def exercise(source: str = "", used: tuple[str, ...] = ()) -> Exercise:
        return Exercise("t", "e", "e", 1, 1, "", "", source, "", "", ("", "", ""), used=used)

    by_source = exercise("Ho et al., Denoising Diffusion Probabilistic Models (2020), eq. 7")
    by_code = exercise(used=("diffcli/core/levels.py:bridge",))
    assert exercises_on(posterior, [by_source, by_code]) == [by_source, by_code]
    assert exercises_on(posterior, [exercise("Ho et al. (2020), eq. 4", ("diffcli/core/levels.py:Level",))]) == []


# The command


def test_an_equation_is_explained_with_its_code_and_its_checks(cli: Cli) -> None:
    result = cli("explain", "ddpm eq 7")
    assert result.code == 0
    assert "β̃ = σ²_{t|s} σ_s² / σ_t²" in result.out
    assert f"diffcli/core/levels.py:{located('diffcli/core/levels.py:bridge').line}  bridge" in result.out
    assert "diffcli verify chain-and-posterior" in result.out
    assert "Ho, Jain & Abbeel 2020, Denoising Diffusion Probabilistic Models" in result.out


def test_words_need_no_quotes_and_what_is_near_is_named(cli: Cli) -> None:
    result = cli("explain", "beta", "tilde")
    assert result.out.startswith("the posterior of a step back")
    assert "near it:" in result.out


def test_as_json(cli: Cli) -> None:
    document = cli("explain", "posterior", "--json").document
    (entry,) = document["equations"]
    assert entry["name"] == "ddpm eq 6"
    assert entry["places"] == ["ddpm eq 6", "ddpm eq 7", "vdm appendix A.2"]
    assert entry["code"][0] == located("diffcli/core/levels.py:bridge")._asdict()
    assert "chain-and-posterior" in entry["checks"]
    assert set(entry) == {
        "name", "title", "source", "places", "papers", "text", "symbols", "code", "checks", "exercises",
    }  # fmt: skip
    assert "efron eq 1.4" in document["also"]


def test_the_list_has_all_and_with_words_those_that_they_name(cli: Cli) -> None:
    whole = cli("explain", "--list", "--json").document["equations"]
    assert [entry["name"] for entry in whole] == [equation.name for equation in equations()]
    assert f"{len(whole)} equations" in cli("explain", "--list").out
    some = cli("explain", "--list", "ddim", "--json").document["equations"]
    assert 2 < len(some) < len(whole)
    assert "ddim" in some[0]["papers"]


def test_a_slip_is_told(cli: Cli) -> None:
    result = cli("explain", "posteriro")
    assert result.code == 0
    assert "'posteriro' is taken for 'posterior'" in result.err


def test_lines_fit_the_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for equation in equations() for line in told(equation, [])]
    assert [line for line in [*lines, *cli("explain", "--list").out.split("\n")] if len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ddpm eq 99"], ("unknown equation 'ddpm eq 99'", "did you mean ddpm eq 9?")),
        (["Ho et al. 2020, algorithm 7"], ("unknown equation", "did you mean ddpm")),
        (["xyzzy"], ("unknown equation 'xyzzy'", "did you mean", "--list")),
        (["eq 7"], ("of which paper?", "ddpm eq 7", "ddim eq 7")),
        ([], ("which equation?", "--list")),
        (["  "], ("which equation?",)),
    ],
)
def test_what_is_unknown_names_the_nearest(
    cli: Cli, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, 2, "explain", *arguments, words=words)
