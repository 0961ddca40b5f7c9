"""Small tables in files: what is read, and that every refusal names the file and the place."""

from pathlib import Path

import numpy as np
import pytest

from diffcli.data import tables
from diffcli.errors import DataProblem

MOST = 10_000


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("1,2\n3,4\n", [], [["1", "2"], ["3", "4"]]),
        ("\ufeffa, b\r\n\r\n1 ,2\r\n", ["a", "b"], [["1", "2"]]),
        ("# two columns\n1,2  # the first\n  \n", [], [["1", "2"]]),
        ('"sun, bright",C#\n0,1\n', ["sun, bright", "C#"], [["0", "1"]]),
        ("a,1\n2,3\n", [], [["a", "1"], ["2", "3"]]),
        ("a,b\n", ["a", "b"], []),
        ("0,5;0,5\n0,2;0,8\n", [], [["0.5", "0.5"], ["0.2", "0.8"]]),
        ("\ufeffa;b \r\n-1,5e-3;,5 \r\n \r\n", ["a", "b"], [["-1.5e-3", ".5"]]),
        ("a\tb\n0,5\t2\n", ["a", "b"], [["0.5", "2"]]),
        ("1,\t2\n3,\t4\n", [], [["1", "2"], ["3", "4"]]),
        ('"x;y",b\n1,2\n', ["x;y", "b"], [["1", "2"]]),
        ("x;y,b\n1,2\n", ["x;y", "b"], [["1", "2"]]),
    ],
)
def test_names_and_cells_of_text(tmp_path: Path, text: str, names: list[str], rows: list[list[str]]) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert tables.read_rows(tmp_path / "t.csv", MOST) == (names, rows)


def test_cells_of_text_and_of_json_are_numbers_alike() -> None:
    assert tables.numbers([["1", " 2e3"], [3, "-inf"]]).tolist() == [[1, 2000], [3, -np.inf]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no rows"),
        ([[1, 2], [3]], "row 2 has 1 entries"),
        ([[1, 2], [3, "x"]], "row 2, column 2 is no number: 'x'"),
        ([[True]], "row 1, column 1"),
        ([[None]], "row 1, column 1"),
        ([[[1]]], "row 1, column 1"),
        ([[10**400]], "row 1, column 1"),
        ([["1" * 50 + "x"]], f"'{'1' * 20}'"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place(rows: list[list[object]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tables.numbers(rows)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "cannot read"),
        ("empty.csv", b"", "empty"),
        ("long.csv", b"1\n" * MOST, "too large"),
        ("binary.csv", b"\xff\xfe\x00\x80", "not text"),
        ("cut.json", b"[1,", "not JSON"),
        ("deep.json", b"[" * (MOST - 1), "too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataProblem, match=words) as problem, tables.reading(path, "a hint"):
        tables.read_json(path, MOST) if name.endswith("json") else tables.read_rows(path, MOST)
    assert str(path) in problem.value.message
    assert problem.value.hint == "a hint"


@pytest.mark.parametrize("suffix", [".csv", ".npy", ".NPY"])
def test_a_square_matrix_comes_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    matrix, path = np.random.default_rng(0).normal(size=(5, 5)), tmp_path / f"m{suffix}"
    if suffix == ".csv":
        np.savetxt(path, matrix, delimiter=",")
    else:
        with path.open("wb") as file:
            np.save(file, matrix)
    assert np.array_equal(tables.read_square(path), matrix)


@pytest.mark.parametrize(
    "matrix", [np.ones((2, 3)), np.ones(4), np.array([[np.nan]]), np.array([["a"]]), np.ones((0, 0))]
)
def test_what_is_no_square_matrix_is_refused(tmp_path: Path, matrix: np.ndarray) -> None:
    np.save(tmp_path / "m.npy", matrix)
    with pytest.raises(DataProblem, match="square matrix"):
        tables.read_square(tmp_path / "m.npy")


def test_an_object_in_a_file_of_numbers_is_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataProblem, match="m.npy"):
        tables.read_square(tmp_path / "m.npy")


def test_a_chain_with_decimal_commas_is_the_chain_with_points(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("0.5,0.5\n0.2,0.8\n", encoding="utf-8")
    (tmp_path / "commas.csv").write_text("\ufeff0,5; 0,5 \r\n0,2;0,8\r\n\r\n", encoding="utf-8")
    found = [tables.read_square(tmp_path / name) for name in ("points.csv", "commas.csv")]
    assert np.array_equal(*found)
