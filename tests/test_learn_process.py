"""A learner's code runs in a process of its own, and whatever it does there ends in one clear sentence."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcli.errors import EnvironmentProblem
from diffcli.learn import asking
from diffcli.learn.answers import Seed, Trouble
from diffcli.learn.asking import Learner
from diffcli.learn.catalogue import Exercise, chosen, tasks_of
from diffcli.learn.checking import Checker
from diffcli.learn.exercise import material
from diffcli.learn.grading import Mark, grade
from diffcli.learn.props import Mlp

AVERAGES = Path(__file__).parent.parent / "examples" / "tasks" / "averages"
FILE = """\
import os, random, subprocess, sys, warnings
from pathlib import Path
import numpy as np
import torch


def blank(x):
    raise NotImplementedError

def forever(x):
    while True:
        x = x + 1

def leaves(x):
    sys.exit(0)

def vanishes(x):
    os._exit(0)

def greedy(x):
    return torch.zeros(10**10)

def recursive(x):
    return recursive(x)

def wrong_shapes(x):
    y = torch.ones(3, 4)
    return y @ x

def in_place(x):
    x += 1
    return x

def a_set(x):
    return {1, 2}

def endless(x):
    while True:
        yield x

def program(x):
    return subprocess.run(["true"])

def package(x):
    from diffcli.core import levels
    return x

def solution(x):
    import diffcli
    return (Path(diffcli.__file__).parent / "learn" / "tasks" / "pre_1" / "log_density.py").read_text()

def constant(x):
    return 3

fruit = 3

def prints(x):
    print("seen", float(x.sum()))
    warnings.warn("beware")
    return x

def in_numpy(x):
    return np.asarray(x) * 2

def yields(x):
    yield from x

def draws(generator):
    return torch.randn(3, generator=generator)

def asks(function, x):
    return function(x, 2) + 1

def misuses(function, x):
    return function(x)

def loss(model, x):
    return (model(x, 0.5) ** 2).mean()

def step(model, optimizer, x):
    optimizer.zero_grad()
    loss(model, x).backward()
    optimizer.step()
"""
X = torch.tensor([1.0, 2.0])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("learner") / "mine.py"
    path.write_text(FILE, "utf-8")
    return path


@pytest.fixture(scope="module")
def ask(file: Path) -> Iterator[Callable[..., Any]]:
    """Calls a function of the file, in a process that is begun again where one was ended."""
    held: list[Learner] = []

    def called(name: str, *arguments: Any, limit: float = 20.0, **named: Any) -> Any:
        if not held or not held[-1].alive:
            held.append(Learner())
            held[-1].load(file)
        held[-1].printed = ""
        found = held[-1].ask(name, limit=limit)(*arguments, **named)
        return (found, held[-1].printed) if name == "prints" else found

    yield called
    for learner in held:
        learner.close()


@pytest.mark.parametrize(
    ("name", "kind", "said", "line"),
    [
        ("blank", "blank", "not begun", "raise NotImplementedError"),
        ("leaves", "ended", "ends the program", "sys.exit(0)"),
        ("vanishes", "ended", "ends the process", ""),
        ("greedy", "memory", "4 GiB", "return torch.zeros(10**10)"),
        ("recursive", "raised", "calls itself", "return recursive(x)"),
        ("wrong_shapes", "raised", "RuntimeError", "return y @ x"),
        ("in_place", "changed", "changes its argument x in place", ""),
        ("a_set", "unusual", "returns a set", ""),
        ("endless", "unusual", "without an end", ""),
        ("program", "forbidden", "starts another program", 'return subprocess.run(["true"])'),
        ("package", "forbidden", "imports from diffcli", "from diffcli.core import levels"),
        ("solution", "forbidden", "opens a file of diffcli", "read_text()"),
        ("absent", "missing", "has no function absent", ""),
        ("fruit", "missing", "is no function", ""),
    ],
)
def test_what_goes_wrong_is_told_with_the_line(
    ask: Callable[..., Any], name: str, kind: str, said: str, line: str
) -> None:
    with pytest.raises(Trouble) as caught:
        ask(name, X)
    assert caught.value.kind == kind
    assert said in caught.value.message
    assert line in caught.value.text
    assert bool(line) <= (caught.value.line > 0)


def test_an_endless_loop_is_ended_and_its_line_told(ask: Callable[..., Any]) -> None:
    with pytest.raises(Trouble) as caught:
        ask("forever", X, limit=0.5)
    assert caught.value.kind == "late"
    assert "0.5 seconds" in caught.value.message
    assert caught.value.line in (11, 12)


def test_a_file_that_never_ends_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1\nwhile True:\n    x += 1\n", "utf-8")
    learner = Learner()
    with pytest.raises(Trouble) as caught:
        learner.load(path, limit=0.5)
    assert caught.value.kind == "late"
    assert caught.value.line in (2, 3)
    learner.close()


def test_a_loop_ends_although_nobody_waits_for_it_any_more(file: Path) -> None:
    learner = Learner()
    learner.load(file)
    connection, process = learner._connection, learner._process
    assert connection is not None
    asking._send(connection, ("call", "forever", (X,), {}, "value", 1, 0.5))
    connection.close()  # as when whoever asked was killed
    assert process.wait(timeout=20) != 0
    learner.close()


def test_a_process_that_cannot_begin_is_told_at_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(asking.sys, "executable", "/bin/false")
    with pytest.raises(EnvironmentProblem, match="no process for exercises"):
        Learner().load(file)


def test_what_is_returned_is_plain(ask: Callable[..., Any]) -> None:
    assert ask("constant", X) == 3
    assert torch.equal(ask("in_numpy", X), 2 * X)
    assert [float(value) for value in ask("yields", X)] == [1.0, 2.0]
    assert torch.equal(ask("draws", Seed(3)), torch.randn(3, generator=torch.Generator().manual_seed(3)))


def test_what_is_printed_is_kept_and_warnings_too(ask: Callable[..., Any]) -> None:
    _, printed = ask("prints", X)
    assert "seen 3.0" in printed
    assert "beware" in printed


def test_functions_among_the_arguments_are_computed_here(ask: Callable[..., Any]) -> None:
    seen: list[torch.Tensor] = []

    def times(x: torch.Tensor, factor: int) -> torch.Tensor:
        seen.append(x)
        return x * factor

    assert torch.equal(ask("asks", times, X), 2 * X + 1)
    assert torch.equal(seen[0], X)
    with pytest.raises(Trouble, match="does not take what it was called with"):
        ask("misuses", times, X)


def test_gradients_and_weights_come_back(ask: Callable[..., Any]) -> None:
    x = torch.ones(3, 2)
    model = Mlp(2)
    found = ask("loss", model, x, want="gradients")
    (model(x, 0.5) ** 2).mean().backward()
    for got, weight in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(got, weight.grad)
    [state] = ask("step", model, torch.optim.SGD(model.parameters(), lr=0.1), x, want="state")
    for name, weight in model.named_parameters():
        torch.testing.assert_close(state[name], weight.detach() - 0.1 * weight.grad)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "is no Python"),
        ("import absent_module\n", "ModuleNotFoundError"),
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero (line 1: x = 1 / 0)"),
        ("import sys\nsys.exit()\n", "ends the program"),
        ("\0", "is no Python"),
    ],
)
def test_a_file_that_does_not_run_is_told_once_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    for mark in marks(tmp_path, text, "moving-average", "standard-error"):
        assert mark.state == "error"
        assert said in mark.message


def marks(folder: Path, text: str, *names: str) -> list[Any]:
    """Of these exercises on averages, for a learner's file."""
    path = folder / "averages.py"
    path.write_text(text, "utf-8")
    tasks = {"averages": tasks_of(AVERAGES)[0]}
    exercises: list[Exercise] = [one for name in names for one in chosen(tasks, name)]
    checker = Checker()
    try:
        return [mark for _, mark in checker.marks(path, exercises)]
    finally:
        checker.close()


def test_a_file_that_ends_the_process_does_not_stop_the_other_exercises(tmp_path: Path) -> None:
    text = "import os\ndef moving_average(x, decay):\n    os._exit(1)\n\n"
    text += "def standard_error(x):\n    return x.std() / len(x)**.5\n"
    first, second = marks(tmp_path, text, "moving-average", "standard-error")
    assert (first.state, second.state) == ("error", "passed")


GOOD = "float(x.std() / len(x) ** 0.5)"
ANSWERS = [  # body, state, mistake, what is said
    (f"return {GOOD}", "passed", None, ""),
    (f"return np.float32({GOOD})", "passed", None, ""),
    (f"return torch.tensor([{GOOD}], dtype=torch.float64)", "passed", None, ""),
    ("return x.std() / len(x)", "failed", "no-root", "not by its root; look at the root in the equation."),
    ("pass", "failed", None, "gives nothing"),
    (f"return 3 * {GOOD}", "failed", None, "all are 3 times what they should be"),
    (f"return {GOOD} + 0.25", "failed", None, "all are too large by 0.25"),
    (f"return -{GOOD}", "failed", None, "all are the negative of what they should be"),
    (f"return [{GOOD}, 1]", "failed", None, "shape [2]"),
    (f"return str({GOOD})", "failed", None, "a text"),
    (
        f"calls.append(1); return {GOOD} + (len(calls) > 4)",
        "failed",
        "two-answers",
        "two calls with the same arguments differ",
    ),
    (f"return {GOOD} + 1e-2 * torch.randn(()).item()", "failed", "two-answers", "Asked again it gives something else"),
    ("return 0.8819171", "failed", None, "right is"),
]
CHEATS = {
    "the solution by its path": "import examples_tasks_averages",
    "the grader on the stack": "return sys._getframe(3).f_locals['truth'](x)",
    "a comparison that always agrees": "torch.allclose = torch.equal = lambda *a, **k: True; return Always()",
    "a tensor that is equal to all": "return torch.ones(()).as_subclass(Equal)",
    "the modules": "return sys.modules['diffcli.learn.tasks.averages.standard_error'].standard_error(x)",
    "the garbage": "return [o for o in gc.get_objects() if getattr(o, '__name__', '') == 'by_sums'][0](x)",
    "the doctor": "from diffcli.learn import doctor",
    "another process": "return float(subprocess.check_output([sys.executable, '-c', 'print(1)']))",
    "its source": "return open(os.path.join(os.path.dirname(answers.__file__), 'tasks', '__init__.py')).read()",
    "the file of the example": f"return open({str(AVERAGES / 'standard_error.py')!r}).read()",
    "a constant": "return 0.8819171",
    "the input": "return x",
    "its mean": "return x.mean()",
}
HEAD = """\
import gc, os, subprocess, sys
import numpy as np
import torch
from diffcli.learn import answers
calls = []

class Always(float):
    __sub__ = __rsub__ = __abs__ = lambda *a: 0.0
    __eq__ = __le__ = __lt__ = lambda *a: True
    __hash__ = float.__hash__

class Equal(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        return torch.zeros(())
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Mark]]:
    """The mark on a body of `standard_error`: all of them are functions of one file, in one process."""
    bodies = list(dict.fromkeys([*(row[0] for row in ANSWERS), *CHEATS.values()]))
    path = tmp_path_factory.mktemp("answers") / "mine.py"
    functions = "".join(f"\ndef answer_{i}(x):\n    {body}\n" for i, body in enumerate(bodies))
    path.write_text(HEAD + functions, "utf-8")
    made = material(AVERAGES / "standard_error.py", "standard_error")
    learner = Learner()
    learner.load(path)
    yield lambda body: grade(made, lambda seed: learner.ask(f"answer_{bodies.index(body)}", seed=seed))
    learner.close()


@pytest.mark.parametrize(("body", "state", "mistake", "said"), ANSWERS)
def test_answers_get_the_verdict_that_they_deserve(
    graded: Callable[[str], Mark], body: str, state: str, mistake: str | None, said: str
) -> None:
    mark = graded(body)
    assert (mark.state, mark.mistake) == (state, mistake), mark.message
    assert said in mark.message


@pytest.mark.parametrize("how", CHEATS)
def test_no_way_to_cheat_passes(graded: Callable[[str], Mark], how: str) -> None:
    assert graded(CHEATS[how]).state in ("failed", "error")


def test_what_was_printed_is_shown_where_it_did_not_pass(tmp_path: Path) -> None:
    [mark] = marks(
        tmp_path, "def standard_error(x):\n    print('look', len(x))\n    return x.std()\n", "standard-error"
    )
    assert mark.mistake == "spread"
    assert "look 3" in mark.message
