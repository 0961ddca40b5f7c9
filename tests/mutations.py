"""Mistakes that nobody chose: every small change to an operator, a comparison, a number or a sign, by the syntax tree.

Docstrings, annotations, f-strings and what stands after `raise` are left alone: no result depends on them.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CORE = "core"
EXPLAINED = Path(__file__).parent / "mistakes" / "harmless.toml"

OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
}


class Scope(NamedTuple):
    """A function: its file within the package and the first line of its code, or 0 for what runs on import."""

    file: str
    line: int


@dataclass(frozen=True)
class Mutant:
    """A mistake: in this file of the package the old text becomes the new.

    likely:  modules of checks where it shows first
    at:      where the old text begins, in bytes; without it the text must occur exactly once
    line:    the whole line of a random mistake, as it is
    """

    name: str
    file: str
    old: str
    new: str
    likely: tuple[str, ...] = ()
    at: int | None = None
    line: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells a random mistake from others while lines move: the file, the line, the change."""
        return self.file, self.line, self.name.partition(": ")[2]

    def place(self, package: Path) -> int:
        """Where the old text begins in the file, in bytes; raises ValueError unless it is there, and there only."""
        text = (package / self.file).read_bytes()
        if self.at is not None:
            if not text.startswith(self.old.encode(), self.at):
                raise ValueError(f"{self.name}: {self.file} is no longer what it was")
            return self.at
        if (count := text.count(self.old.encode())) != 1:
            raise ValueError(f"{self.name}: the old text occurs {count} times in {self.file}, not once:\n{self.old}")
        return text.index(self.old.encode())

    def planted(self, package: Path) -> str:
        """The file's text with the mistake."""
        at, text = self.place(package), (package / self.file).read_bytes()
        return (text[:at] + self.new.encode() + text[at + len(self.old.encode()) :]).decode()

    def scope(self, package: Path) -> Scope:
        """The innermost function that the mistake is in."""
        at, text = self.place(package), (package / self.file).read_text()
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        begins, end = _line_starts(text), at + len(self.old.encode())
        inside = [f for f in functions if _at(begins, f.body[0]) <= at and end <= _end(begins, f)]
        if not inside:
            return Scope(self.file, 0)
        inner = max(inside, key=lambda f: f.lineno)
        return Scope(self.file, min(node.lineno for node in [inner, *inner.decorator_list]))


def harmless() -> dict[tuple[str, str, str], str]:
    """The random mistakes that change no result, by their key, and why they do not."""
    entries = tomllib.loads(EXPLAINED.read_text()).get("harmless", [])
    return {(e["file"], e["line"], change): e["why"] for e in entries for change in e["changes"]}


def mutations(package: Path, only: str = "") -> list[Mutant]:
    """Every small mistake in the mathematics, or in one folder or file of it, in the order of the text."""
    root = package / CORE / only
    files = [root] if root.is_file() else sorted(root.rglob("*.py"))
    return [mutant for path in files for mutant in _of_file(path.read_text(), str(path.relative_to(package)))]


def _of_file(text: str, file: str) -> Iterator[Mutant]:
    begins, lines, data = _line_starts(text), text.split("\n"), text.encode()
    found = sorted({change for node in _nodes(ast.parse(text)) for change in _changes(node, begins, data)})
    often: dict[tuple[int, str], int] = {}
    for at, old, new in found:
        number = data.count(b"\n", 0, at) + 1
        change = f"{old} -> {new}"
        often[number, change] = time = often.get((number, change), 0) + 1
        name = f"{number}: {change}" + (f" #{time}" if time > 1 else "")
        yield Mutant(name, file, old, new, at=at, line=lines[number - 1].strip())


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it that a result may depend on."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (isinstance(node, ast.Raise | ast.Assert) and name != "test"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from _nodes(child)


def _changes(node: ast.AST, begins: list[int], data: bytes) -> Iterator[tuple[int, str, str]]:
    """What may be changed about a node itself: where, the old text and the new."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        old, new = OPERATORS[type(node.op)]
        at = _between(node.left, old, node.right, begins, data)
        yield at, old, new
        if isinstance(node.op, ast.Mult | ast.Div) and not isinstance(node.right, ast.Constant):
            yield at, old, f"{old} -"
    elif isinstance(node, ast.Compare):
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            old, others = COMPARISONS.get(type(op), ("", ()))
            for new in others:
                yield _between(left, old, right, begins, data), old, new
    elif isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield _between(left, old, right, begins, data), old, new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield _at(begins, node), "-" if isinstance(node.op, ast.USub) else "not ", ""
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        old = data[_at(begins, node) : _end(begins, node)].decode()
        for new in _numbers(node.value):
            yield _at(begins, node), old, new


def _numbers(value: int | float) -> list[str]:
    """The numbers that one becomes."""
    if isinstance(value, int):
        return [str(value + 1), *([str(value - 1)] if value else [])]
    return [f"{1.1 * value:.6g}", f"-{value}"] if value else ["1.0"]


def _between(left: ast.expr, symbol: str, right: ast.expr, begins: list[int], data: bytes) -> int:
    """Where the symbol stands between two expressions."""
    start = _end(begins, left)
    gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), data[start : _at(begins, right)])
    return start + gap.index(symbol.encode())


def _line_starts(text: str) -> list[int]:
    """The byte at which each line begins, the first at index 1."""
    begins = [0, 0]
    for line in text.split("\n"):
        begins.append(begins[-1] + len(line.encode()) + 1)
    return begins


def _at(begins: list[int], node: ast.expr | ast.stmt) -> int:
    return begins[node.lineno] + node.col_offset


def _end(begins: list[int], node: ast.expr | ast.stmt) -> int:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return begins[node.end_lineno] + node.end_col_offset
