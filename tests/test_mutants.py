"""That the checks of `verify` catch planted mistakes: a few here, all of them with `-m slow` or by `mutants.py`."""

import ast
import random
import signal
import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from mutants import PACKAGE, Plan, Verdict, listed, outcome, trials
from mutations import Mutant, Scope, harmless, mutations

SCRIPT = Path(__file__).parent / "mutants.py"
A_FEW = (
    "beta for beta tilde",
    "ddim: sigma_t for sigma_s",
    "heun: the half forgotten",
    "score without 1 / sigma",
    "keys run together",
)
forks = pytest.mark.skipif(sys.platform == "win32", reason="it forks")


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=1800)


def test_every_mistake_can_be_planted_in_the_code_as_it_is() -> None:
    assert len(listed()) > 200
    for mutant in listed():
        compile(mutant.planted(PACKAGE), mutant.name, "exec")


def test_a_text_that_is_gone_or_there_twice_is_refused() -> None:
    for old in ("no such text", "import"):
        with pytest.raises(ValueError, match="not once"):
            Mutant("", "core/diffusion/sde.py", old, "").planted(PACKAGE)


def test_random_mistakes_are_programs_and_other_programs() -> None:
    for mutant in random.Random(0).sample(mutations(PACKAGE), 60):
        before, after = (PACKAGE / mutant.file).read_text(), mutant.planted(PACKAGE)
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))
        assert sum(a != b for a, b in zip(before.split("\n"), after.split("\n"), strict=True)) == 1


CODE = '''"""1 + 2 in words."""
import math
Few = tuple[int, ...]
MOST: int = 10
def f(x: float = 0.5, n: int = -3) -> float:
    """2 * x."""
    if not 0 <= x < 1 and n:
        raise ValueError(f"{n + 1} is {2:.3f}")
    return -x @ n + max(2 * x,  # 7
        math.pi / (n - 1)) ** 2
'''


def test_what_may_be_mistaken_and_what_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text(CODE)
    found = {f"{mutant.name}" for mutant in mutations(tmp_path)}
    expected = {
        "4: 10 -> 11", "4: 10 -> 9",
        "5: 0.5 -> 0.55", "5: 0.5 -> -0.5", "5: - -> ", "5: 3 -> 4", "5: 3 -> 2",
        "7: not  -> ", "7: 0 -> 1", "7: <= -> <", "7: <= -> >", "7: < -> <=", "7: < -> >",
        "7: 1 -> 2", "7: 1 -> 0", "7: and -> or",
        "9: - -> ", "9: @ -> *", "9: + -> -", "9: 2 -> 3", "9: 2 -> 1", "9: * -> /", "9: * -> * -",
        "10: / -> *", "10: / -> / -", "10: - -> +", "10: 1 -> 2", "10: 1 -> 0", "10: ** -> *",
        "10: 2 -> 3", "10: 2 -> 1",
    }  # fmt: skip
    assert found == expected


def test_the_scope_of_a_mistake_is_the_innermost_function_that_it_is_in(tmp_path: Path) -> None:
    text = "A = 1\n\n\n@wrapped\ndef f(x=2):\n    def g(y):\n        return 3 * y\n\n    return g(4)\n"
    (tmp_path / "a.py").write_text(text)
    scopes = {old: Mutant("", "a.py", old, "0").scope(tmp_path) for old in "1234"}
    assert scopes == {"1": Scope("a.py", 0), "2": Scope("a.py", 0), "3": Scope("a.py", 6), "4": Scope("a.py", 4)}


def test_every_harmless_mistake_is_one_that_could_be_made_and_has_a_reason() -> None:
    known = {mutant.key for mutant in mutations(PACKAGE)}
    for key, why in harmless().items():
        assert key in known
        assert len(why.split()) > 3


BEGIN = "CLEAN = Level.of(1.0, 0.0)"
LOOP = Mutant("loops", "core/levels.py", BEGIN, f"while True:\n    pass\n{BEGIN}")
MEMORY = Mutant("grows", "core/levels.py", BEGIN, f"many = [bytes([1]) * 2**29 for _ in range(99)]\n{BEGIN}")
DIES = Mutant("dies", "core/levels.py", BEGIN, f"import os\nos.kill(os.getpid(), 9)\n{BEGIN}")


@forks
def test_who_loops_or_grows_without_end_or_dies_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "QUICK", 1.0)  # seconds of the processor
    monkeypatch.setattr(mutants, "NEIGHBOURS", 1000)  # of the processor, and not of the clock
    monkeypatch.setattr(mutants, "MEMORY", 1 << 28)  # which is reached in less time than QUICK
    monkeypatch.setattr(mutants, "check_modules", lambda package: ["diffcli.core.levels"])
    monkeypatch.delitem(sys.modules, "diffcli.core.levels", raising=False)  # or the forks would not import it
    verdicts = {mutant.name: verdict for mutant, verdict in trials([LOOP, MEMORY, DIES], PACKAGE, Plan(), 2)}
    assert [verdicts[name].ended for name in ("loops", "grows", "dies")] == [True, True, True]
    assert verdicts["loops"].how == f"ended by signal {signal.SIGXCPU}"
    assert verdicts["grows"].how.startswith("MemoryError")
    assert verdicts["dies"].how == f"ended by signal {signal.SIGKILL}"


@forks
def test_a_few_mistakes_are_caught() -> None:
    result = script("--quick", *A_FEW)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(A_FEW)} caught, 0 past the limit, 0 harmless, 0 survive" in result.stdout


CAUGHT, SURVIVED, ENDED = Verdict("check", "1e9", 1.0), Verdict("", "", 1.0), Verdict("", "", 1.0, ended=True)
NO_PROGRAM = Verdict("check", "NameError: x", 1.0)


def test_an_error_proves_nothing_of_a_classic_mistake_but_shows_a_random_one() -> None:
    one = Mutant("", "", "", "")
    assert [outcome(one, v, by_chance=False) for v in (CAUGHT, SURVIVED, ENDED, NO_PROGRAM)] == [
        "caught", "survives", "ended", "survives",
    ]  # fmt: skip
    assert outcome(one, NO_PROGRAM, by_chance=True) == "caught"


@pytest.mark.parametrize(
    ("verdict", "failures", "code"),
    [(CAUGHT, [], 0), (ENDED, [], 0), (SURVIVED, [], 1), (NO_PROGRAM, [], 1), (CAUGHT, ["a check"], 1)],
    ids=["caught", "ended", "survives", "no program", "the copy itself fails"],
)
def test_the_exit_code_tells(monkeypatch: pytest.MonkeyPatch, verdict: Verdict, failures: list[str], code: int) -> None:
    monkeypatch.setattr(mutants, "trials", lambda chosen, *_: ((one, verdict) for one in chosen))
    monkeypatch.setattr(mutants, "planned", lambda package: Plan([], failures))
    monkeypatch.setattr(mutants, "warmed_up", lambda: None)
    assert mutants.main(["heun: averaging x0"]) == code


@pytest.mark.slow
@pytest.mark.timeout(1800)
@forks
def test_every_mistake_is_caught() -> None:
    result = script()
    assert result.returncode == 0, result.stdout + result.stderr
