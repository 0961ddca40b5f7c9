"""What is printed to be pasted can be pasted: names with spaces, quotes, dollars, dashes and worse."""

import ast
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Cli, Result

from diffcli.evaluation.comparison import report as comparison
from diffcli.evaluation.quality import report as quality
from diffcli.runs.listing import made_by
from diffcli.system import shell
from diffcli.system.shell import argument, command_line, quoted

NASTY = "my  run; $(x) 'a\""
NAMES = [
    "plain-1", NASTY, "-dash", "~", "~root", "two\nlines", "tab\there", "$HOME", "`id`", "a&b|c", "*", "!x", "#no",
    "back\\slash'\n", "naïve ☃", "narrow\u202fspace", "\x1b[31mred", "", os.fsdecode(b"no \xff text"),
]  # fmt: skip
ROOT = Path(__file__).parent.parent / "diffcli"
FEW = {
    "visualize reverse": ("--steps", 2, "--count", 1),
    "sample": ("--steps", 2, "--count", 3),
    "likelihood": ("--count", 1, "--rtol", 0.1, "--atol", 0.1),
    "vlb": ("--steps", 3, "--count", 1),
    "train": ("--recipe", "tiny", "--steps", 2),
}  # what makes a command that is printed a short one


@pytest.fixture
def nasty(shapes_run: Path, tmp_path: Path) -> Path:
    """A copy of the run of that name, in the folder that `cli` works in."""
    return Path(shutil.copytree(shapes_run, tmp_path / NASTY))


def next_of(result: Result) -> list[str]:
    """The words of the command behind `next:`, as a shell takes them, without `diffcli`."""
    assert result.code == 0, result.err
    (line,) = re.findall(r"^next: +(.*)$", result.out, re.MULTILINE)
    first, *words = shlex.split(line)
    assert first == "diffcli"
    return words


def run_again(cli: Cli, words: list[str]) -> Result:
    """The command that was printed, made short."""
    name = next(name for name in FEW if words[: len(name.split())] == name.split())
    result = cli(*words, *FEW[name][2 * ("--grid" in words) :])  # a grid has its own steps
    assert result.code == 0, result.err
    return result


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_makes_the_same_of_a_quoted_word() -> None:
    lines = "".join(f"printf '%s\\0' {quoted(name)}\n" for name in NAMES)
    assert lines.count("\n") == len(NAMES), "each is one line"
    told = subprocess.run(["bash"], input=os.fsencode(lines), capture_output=True, check=True)
    assert [os.fsdecode(word) for word in told.stdout.split(b"\0")[:-1]] == NAMES
    line = command_line(NAMES)
    told = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}".encode()], capture_output=True, check=True)
    assert [os.fsdecode(word) for word in told.stdout.split(b"\0")[:-1]] == NAMES


def test_a_plain_word_stays_as_it_is_and_a_path_is_no_option_and_nobody_s_home() -> None:
    assert argument(Path("checkpoints/mnist-1")) == "checkpoints/mnist-1"
    assert argument("exact:mixture,means=-1:0/1:0.5,weights=1/3") == "exact:mixture,means=-1:0/1:0.5,weights=1/3"
    assert shlex.split(argument(NASTY)) == [NASTY]
    assert argument("-dash") == "./-dash"
    assert shlex.split(argument("~root")) == ["./~root"]
    assert command_line(["train", "--resume", "a b"]) == "train --resume 'a b'"


def test_on_windows_words_are_quoted_as_it_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "WINDOWS", True)
    assert argument(r"checkpoints\mnist-1") == r"checkpoints\mnist-1"
    assert argument("my run") == '"my run"'


def test_what_a_sample_leads_to_and_back(cli: Cli, nasty: Path) -> None:
    words = next_of(cli("sample", NASTY, *FEW["sample"], "--ddim"))
    assert words == ["visualize", "reverse", NASTY]
    words = next_of(run_again(cli, words))
    assert words[:2] == ["sample", NASTY]
    run_again(cli, words)


@pytest.mark.parametrize(
    ("command", "follows"),
    [
        (("info",), ["sample", NASTY]),
        (("vlb", *FEW["vlb"]), ["likelihood", NASTY]),
        (("vlb", "--steps", 4, "--count", 1, "--best-steps", 2, "--out", "-o ' 2"), ["sample", NASTY]),
        (("likelihood", *FEW["likelihood"]), ["vlb", NASTY]),
        (("grid", "--teacher", 5, "--steps", 2, "--count", 2, "--out", "-g $x"), ["sample", NASTY]),
    ],
    ids=lambda part: part[0],
)
def test_the_next_command_of_a_run_can_be_run(
    cli: Cli, nasty: Path, command: tuple[Any, ...], follows: list[str]
) -> None:
    words = next_of(cli(command[0], NASTY, *command[1:]))
    assert words[: len(follows)] == follows
    run_again(cli, words)


@pytest.mark.parametrize("name", [NASTY, "-dash", "~", "two\nlines", os.fsdecode(b"no \xff text")])
def test_a_run_of_any_name_is_gone_on_with_as_it_says(cli: Cli, shapes_run: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(shapes_run, tmp_path / name)
    refused = cli("train", "--recipe", "tiny", "--steps", 1, f"--out={name}")
    assert refused.code == 6
    hint = refused.err.splitlines()[-1]
    found = re.fullmatch(r"hint: go on with (--resume .*), or choose another --out", hint)
    assert found, hint
    words = pasted(found[1])
    assert words[0] == "--resume"
    assert Path(words[1]) == Path(name)
    again = cli("train", *words)
    assert again.code == 2
    assert "is complete" in again.err


def pasted(line: str) -> list[str]:
    """What a shell makes of the words."""
    if "$'" not in line:
        return shlex.split(line)
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    told = subprocess.run(["bash", "-c", os.fsencode(f"printf '%s\\0' {line}")], capture_output=True, check=True)
    return [os.fsdecode(word) for word in told.stdout.split(b"\0")[:-1]]


def test_a_training_says_how_to_go_on_and_what_comes_next(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pictures, tmp_path / "my $pictures"))
    words = next_of(cli("data", folder.name))
    assert words == ["train", "--dataset", folder.name]
    result = run_again(cli, [*words, f"--out={NASTY}"])
    (told,) = re.findall(r"^run: .*\(Ctrl-C saves and stops; (diffcli .*) goes on\)$", result.err, re.MULTILINE)
    assert shlex.split(told) == ["diffcli", "train", "--resume", NASTY]
    words = next_of(result)
    assert words[:2] == ["sample", NASTY]
    run_again(cli, words)
    assert cli(*shlex.split(told)[1:], "--steps", 3).code == 0


def test_runs_and_an_exported_file(cli: Cli, nasty: Path, tmp_path: Path) -> None:
    words = next_of(cli("runs", "export", NASTY, "it's.safetensors"))
    assert words[:2] == ["sample", "it's.safetensors"]
    run_again(cli, words)
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    nasty.rename(tmp_path / "checkpoints" / NASTY)
    words = next_of(cli("runs"))
    assert words[:2] == ["sample", f"checkpoints/{NASTY}"]
    run_again(cli, words)


def test_auto_names_the_comparison_that_it_lacks(cli: Cli, nasty: Path) -> None:
    told = cli("sample", NASTY, "--auto", "--count", 1)
    (line,) = re.findall(r"nothing was compared; (diffcli .*)$", told.err, re.MULTILINE)
    assert shlex.split(line) == ["diffcli", "compare", NASTY]


def test_what_judges_name_the_run_and_its_grid() -> None:
    model = SimpleNamespace(target=NASTY, name=NASTY, trained=SimpleNamespace(run=Path(NASTY)))
    best = SimpleNamespace(prepared=SimpleNamespace(model=model), agreement=None)
    assert shlex.split(comparison._next(best)) == ["diffcli", "sample", NASTY, "--auto"]
    judged = SimpleNamespace(run=Path(NASTY), name="x", made={"weights": "ema"})
    assert shlex.split(quality._next(judged)) == ["diffcli", "compare", NASTY]
    about = {"versions": {}, "precision": "fp32", "device": "cpu", "threads": 1, "argv": ["train", "--out", NASTY]}
    line = made_by(about)
    assert line is not None
    assert shlex.split(line[: line.index(" (fp32")]) == ["diffcli", "train", "--out", NASTY]


# No other way

OWN = {
    "PREFIX", "NEXT", "command", "context.invoked_subcommand", "path", "classes", "sampler", "run", "place", "version",
    "min(COUNTS[-1], 3 * setting.temperatures)", "'diffusion' if energy['expected'] is None else larger",
    "k.replace('_', '-')",
    # names of tasks and exercises, which `learn.catalogue` holds to letters, digits and hyphens
    "exercise.id", "exercise.task", "here.id", "here.task", "left[0].id", "one.id", "one.task", "task.name",
    "wrong[0].id",
}  # fmt: skip
"""What stands unquoted in a command that is printed: words of ours, and those that the caller has quoted."""
PRINTED = re.compile(r"(?:^|[\s(`])(?:diffcli [^|;:,.]*|--(?:resume|impl|grid|dataset|recipe|schedule|out|data) )$")


@pytest.mark.parametrize("path", sorted(p for p in ROOT.rglob("*.py") if "checks" not in p.parts), ids=lambda p: p.stem)
def test_every_printed_command_quotes_what_the_user_has_named(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += part.value
                continue
            assert isinstance(part, ast.FormattedValue)
            called = part.value.func if isinstance(part.value, ast.Call) else None
            quotes = isinstance(called, ast.Name) and called.id in ("argument", "quoted", "command_line")
            if PRINTED.search(text) and not quotes:
                own = ast.unparse(part.value)
                assert own in OWN or own.isupper(), f"{path.name}, line {node.lineno}"
            text += "x"
