"""What a learner begins with: the head and the docstring of a solution, without its body. Text in, text out."""

import ast
import sys

from diffcli.learn.catalogue import CourseTask, Exercise

BODY = "raise NotImplementedError"
RULE = 79


def starter(task: CourseTask) -> str:
    """The file of a task, every exercise of it still to write."""
    written = [exercise for exercise in task.exercises if exercise.kind != "real"]
    parts = [_piece(exercise, i) for i, exercise in enumerate(written, 1)]
    imports = _sorted({line for exercise in written for line in _imports(exercise)})
    aliases = list(dict.fromkeys(line for exercise in written for line in _aliases(exercise)))
    commands = f"The text: diffcli learn show {task.name}\nIs it right? diffcli learn check {task.name}\n"
    about = f'"""{task.title}. {task.summary}\n\n{commands}"""'
    head = ["\n".join(lines) for lines in (imports, aliases) if lines]
    return "\n\n".join([about, *head, *("\n" + part for part in parts)]) + "\n"


def blank(exercise: Exercise) -> str:
    """The head and docstring of its function, with a body that says it is not begun."""
    node, lines = _definition(exercise)
    first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
    if isinstance(node, ast.ClassDef):
        return _blank_class(node, lines)
    last = node.body[0].end_lineno if ast.get_docstring(node) else node.body[0].lineno - 1
    return "\n".join([*lines[first - 1 : last], " " * (node.col_offset + 4) + BODY])


def solution(exercise: Exercise) -> str:
    """The worked solution: its function, and those of the same file that it calls."""
    node, lines = _definition(exercise)
    tree = ast.parse("\n".join(lines))
    helpers = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name != node.name}
    used, waiting = [], [node]
    while waiting:
        names = {n.id for n in ast.walk(waiting.pop()) if isinstance(n, ast.Name)}
        new = [helpers[name] for name in names if name in helpers and helpers[name] not in used]
        used += new
        waiting += new
    wanted = sorted([*used, node], key=lambda n: n.lineno)
    return "\n\n\n".join("\n".join(lines[n.lineno - 1 : n.end_lineno]) for n in wanted)


def replaced(text: str, exercise: Exercise, new: str) -> str:
    """A learner's file with this function in another version, at its end where it is not there."""
    try:
        found = [n for n in ast.parse(text).body if getattr(n, "name", None) == exercise.function]
    except SyntaxError:
        found = []
    if not found:
        return f"{text.rstrip()}\n\n\n{new}\n"
    lines, node = text.split("\n"), found[-1]
    decorators = getattr(node, "decorator_list", [])
    first = decorators[0].lineno if decorators else node.lineno
    return "\n".join([*lines[: first - 1], *new.split("\n"), *lines[node.end_lineno :]])


def _piece(exercise: Exercise, number: int) -> str:
    title = f"# {number}. {exercise.name} "
    facts = f" difficulty {exercise.difficulty}, {exercise.minutes} min"
    head = title + "-" * max(3, RULE - len(title) - len(facts)) + facts
    return "\n".join([head, f"# diffcli learn check {exercise.id}", "", "", blank(exercise)])


def _definition(exercise: Exercise) -> tuple["ast.FunctionDef | ast.ClassDef", list[str]]:
    text = exercise.file.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == exercise.function:
            return node, text.split("\n")
    raise ValueError(f"{exercise.file} does not define {exercise.function}")


def _blank_class(node: ast.ClassDef, lines: list[str]) -> str:
    """A class with its docstring and its methods, each of them blank."""
    kept = lines[node.lineno - 1 : node.body[0].end_lineno if ast.get_docstring(node) else node.lineno]
    for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
        last = method.body[0].end_lineno if ast.get_docstring(method) else method.body[0].lineno - 1
        kept += ["", *lines[method.lineno - 1 : last], " " * (method.col_offset + 4) + BODY]
    return "\n".join(kept)


def _imports(exercise: Exercise) -> list[str]:
    """The imports that the head and the solution need; none of what only grading needs."""
    text = exercise.file.read_text("utf-8")
    names = {n.id for n in ast.walk(_definition(exercise)[0]) if isinstance(n, ast.Name)}
    names |= {n.id for line in _aliases(exercise) for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Name)}
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("diffcli.learn"):
            continue
        if isinstance(node, ast.Import):
            found += [f"import {_alias(a)}" for a in node.names if (a.asname or a.name.split(".")[0]) in names]
        elif isinstance(node, ast.ImportFrom):
            kept = [f"from {node.module} import {_alias(a)}" for a in node.names if (a.asname or a.name) in names]
            found += kept
    return found


def _aliases(exercise: Exercise) -> list[str]:
    """Names of types that the head of a function is written with."""
    node, lines = _definition(exercise)
    heads = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef)]
    annotations = [part for n in heads for part in (n.args, n.returns) if part is not None]
    names = {n.id for part in annotations for n in ast.walk(part) if isinstance(n, ast.Name)}
    found = [n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.Assign)]
    mine = [n for n in found if any(isinstance(target, ast.Name) and target.id in names for target in n.targets)]
    return ["\n".join(lines[n.lineno - 1 : n.end_lineno]) for n in mine]


def _alias(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _sorted(lines: set[str]) -> list[str]:
    """One line for each module, `import` before `from`, the standard library first."""
    plain = sorted(line for line in lines if line.startswith("import "))
    names: dict[str, list[str]] = {}
    for line in sorted(lines - set(plain)):
        module, name = line.removeprefix("from ").split(" import ")
        names.setdefault(module, []).append(name)
    every = [(line, line.split()[1].split(".")[0]) for line in plain]
    every += [(f"from {module} import {', '.join(found)}", module.split(".")[0]) for module, found in names.items()]
    own = [line for line, top in every if top in sys.stdlib_module_names]
    other = [line for line, top in every if top not in sys.stdlib_module_names]
    return [*own, *([""] if own and other else []), *other]
