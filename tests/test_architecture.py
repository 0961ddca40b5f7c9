"""The rules that keep the rooms apart."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "diffcli"
FILES = sorted(ROOT.rglob("*.py"))
TASKS = ROOT / "learn" / "tasks"

FLOORS: dict[str, set[str]] = {
    # Every room, and the rooms that it may import: only such as stand above it here. From the ground up.
    "errors": set(),
    "core": set(),
    "system": {"errors"},
    "console": {"system"},
    "ranks": {"errors", "system"},
    "specs": {"core", "errors"},
    "data": {"console", "core", "errors", "system"},
    "metrics": {"core", "data"},
    "pictures": {"core", "data", "system"},
    "training": {"core", "data", "errors", "metrics", "pictures", "ranks", "specs", "system"},
    "plugins": {"core", "errors", "system", "training"},
    "runs": {"core", "data", "errors", "metrics", "pictures", "plugins", "ranks", "system", "training"},
    "sampling": {
        "core", "data", "errors", "metrics", "pictures", "plugins", "ranks", "runs", "specs", "system",
    },
    "evaluation": {
        "console", "core", "data", "errors", "metrics", "pictures", "plugins", "ranks", "runs", "sampling", "specs",
        "system", "training",
    },
    "lessons": {
        "console", "core", "data", "errors", "evaluation", "metrics", "pictures", "runs", "sampling", "specs", "system",
        "training",
    },
    "checks": {"core", "data", "evaluation", "lessons", "metrics"},
    "learn": {
        "checks", "console", "core", "data", "errors", "evaluation", "lessons", "metrics", "pictures", "runs", "specs",
        "system", "training",
    },
    "commands": {
        "checks", "console", "core", "data", "errors", "evaluation", "learn", "lessons", "metrics", "pictures",
        "plugins", "ranks", "runs", "sampling", "specs", "system", "training",
    },
    "cli": {"commands", "errors", "plugins", "ranks", "system"},
    "__main__": {"cli"},
}  # fmt: skip
MOST_ROOMS = 20

CORE_FLOORS = {"processes": {"levels", "randomness"}, "models": {"levels", "randomness"}}
STANDARD = (
    "abc", "collections", "copy", "dataclasses", "functools", "hashlib", "inspect", "itertools", "math", "typing",
)  # fmt: skip
HEAVY = {"torch", "numpy", "PIL", "matplotlib", "safetensors", "scipy", "torchvision"}
LIGHT = [
    ROOT / "cli.py",
    ROOT / "errors.py",
    ROOT / "console" / "options.py",
    *sorted((ROOT / "training" / "recipes").rglob("*.py")),
    *sorted((ROOT / "commands").rglob("*.py")),
]


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Every module and every name that a file imports, dotted."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def arrows() -> dict[str, set[str]]:
    """Room -> the other rooms that it imports, as the files have it."""
    found: dict[str, set[str]] = {
        room_of(path): set() for path in FILES if path.parent != ROOT or path.stem != "__init__"
    }
    for path in FILES:
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "diffcli" and len(parts) > 1 and parts[1] != room_of(path):
                found[room_of(path)].add(parts[1])
    return found


def test_every_room_imports_only_rooms_on_lower_floors() -> None:
    assert {room: sorted(below - FLOORS.get(room, set())) for room, below in arrows().items()} == {
        room: [] for room in FLOORS
    }


def test_the_table_of_floors_goes_one_way_and_has_no_room_too_many() -> None:
    rooms = list(FLOORS)
    for i, (room, below) in enumerate(FLOORS.items()):
        assert below <= set(rooms[:i]), room
    assert len(rooms) <= MOST_ROOMS
    taken = {room: FLOORS[room] & below for room, below in arrows().items()}
    assert taken == FLOORS, "an arrow that nobody takes"


def test_no_two_public_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in FILES
        if TASKS not in path.parents  # where a class is what a learner writes, or a plug-in of one task
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("*.py")), ids=lambda p: p.stem)
def test_the_core_imports_torch_and_itself_only_and_never_prints(path: Path) -> None:
    outside = {n for n in imports(path) if n.split(".")[0] not in ("torch", "diffcli", *STANDARD)}
    assert outside == set()
    calls = {
        n.func.id
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"print", "open", "input"}


def test_processes_and_models_do_not_know_diffusion() -> None:
    for folder in ("processes", "models"):
        for path in (ROOT / "core" / folder).rglob("*.py"):
            assert not any(n.startswith("diffcli.core.diffusion") for n in imports(path)), path


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_command_line_imports_nothing_heavy_at_its_top(path: Path) -> None:
    assert not {n.split(".")[0] for n in imports(path, top_only=True)} & HEAVY


@pytest.mark.parametrize("path", sorted((ROOT / "commands").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_command_computes_nothing_and_is_a_page_or_two(path: Path) -> None:
    """Whatever it needs of tensors, pictures or files of weights, another room does for it, inside functions too."""
    assert not {n.split(".")[0] for n in imports(path)} & HEAVY
    assert lines_of(path) <= 200


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_is_long() -> None:
    assert {str(p.relative_to(ROOT)): lines_of(p) for p in FILES if lines_of(p) > 300} == {}
