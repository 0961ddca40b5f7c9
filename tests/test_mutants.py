"""That the truth checks catch planted mistakes: a few here, all of them with `-m slow` or by `tests/mutants.py`."""

import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from mutants import PACKAGE, Mutant, Verdict, listed

SCRIPT = Path(__file__).parent / "mutants.py"
A_FEW = (
    "beta for beta tilde",
    "ddim: sigma_t for sigma_s",
    "heun: the half forgotten",
    "score without 1 / sigma",
    "keys run together",
)


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


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_a_few_mistakes_are_caught() -> None:
    result = script("--quick", *A_FEW)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(A_FEW)} mistakes, 0 not as they should be" in result.stdout


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict("", "", 1.0), Verdict("check", "1e9", 1.0)), 0),
        ((Verdict("check", "1e9", 1.0), Verdict("check", "1e9", 1.0)), 1),
        ((Verdict("", "", 1.0), Verdict("", "", 1.0)), 1),
        ((Verdict("", "", 1.0), Verdict("check", "NameError: x", 1.0, broken=True)), 1),
    ],
    ids=["all as it should be", "the copy itself fails", "a mistake survives", "a mutant is no program"],
)
def test_the_exit_code_tells(monkeypatch: pytest.MonkeyPatch, verdicts: tuple[Verdict, ...], code: int) -> None:
    monkeypatch.setattr(mutants, "trials", lambda chosen, jobs: iter(verdicts))
    assert mutants.main(["heun: averaging x0"]) == code


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_every_mistake_is_caught() -> None:
    result = script()
    assert result.returncode == 0, result.stdout + result.stderr
