"""The rules that keep the folders apart."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "diffcli"
FILES = sorted(ROOT.rglob("*.py"))
LIGHT = [
    ROOT / "cli.py",
    ROOT / "options.py",
    *(ROOT / "recipes").rglob("*.py"),
    ROOT / "errors.py",
    *(ROOT / "commands").rglob("*.py"),
]


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("*.py")), ids=lambda p: p.stem)
def test_the_core_imports_torch_and_itself_only_and_never_prints(path: Path) -> None:
    outside = {n for n in imports(path) if n.split(".")[0] not in ("torch", "diffcli", *STANDARD)}
    assert outside == set()
    assert all(n == "diffcli" or n.startswith("diffcli.core") for n in imports(path) if n.split(".")[0] == "diffcli")
    calls = {
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"print", "open", "input"}


STANDARD = ("abc", "collections", "dataclasses", "functools", "hashlib", "itertools", "math", "typing")


def test_processes_and_models_do_not_know_diffusion() -> None:
    for folder in ("processes", "models"):
        for path in (ROOT / "core" / folder).glob("*.py"):
            assert not any(n.startswith("diffcli.core.diffusion") for n in imports(path)), path


def test_nothing_imports_commands_but_the_command_line_and_commands() -> None:
    for path in FILES:
        if path.name != "cli.py" and ROOT / "commands" not in path.parents:
            assert not any(n.startswith("diffcli.commands") for n in imports(path)), path


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.stem)
def test_the_command_line_imports_nothing_heavy_at_its_top(path: Path) -> None:
    heavy = {"torch", "numpy", "PIL", "matplotlib", "safetensors"}
    assert not {n.split(".")[0] for n in imports(path, top_only=True)} & heavy


def test_no_file_is_long() -> None:
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}
