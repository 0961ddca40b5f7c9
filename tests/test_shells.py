"""Shells, terminals and machines as people have them: output that ends, any encoding, no home, a busy processor."""

import ast
import errno
import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, start, steps_kept
from matplotlib.figure import Figure
from PIL import Image

from diffcli.cli import main
from diffcli.console.interrupts import Interrupts
from diffcli.core.randomness import keyed
from diffcli.pictures.figures import write_figure
from diffcli.runs import checkpoint
from diffcli.runs.listing import checkpoints
from diffcli.system import cache, cores
from diffcli.system.streams import LastingOutput, lasting
from diffcli.system.text import json_text, one_line, printable

ROOT = Path(__file__).parent.parent / "diffcli"
TINY = ("train", "--recipe", "tiny")
NO_TEXT = os.fsdecode(b"no \xff text")
HARDEST = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}

posix = pytest.mark.skipif(os.name == "nt", reason="signals and descriptors of POSIX")


# Output that ends


class Failing:
    """A stream whose writes fail with these errors, one after the other, and then succeed."""

    def __init__(self, *errors: int) -> None:
        self.errors, self.written = list(errors), b""

    def write(self, content: memoryview) -> int:
        if self.errors:
            raise OSError(self.errors.pop(0), "no")
        self.written += bytes(content[:3])
        return len(content[:3])


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.EBADF])
def test_a_reader_who_has_gone_is_written_nothing_more(number: int) -> None:
    raw = Failing(number)
    output = LastingOutput(raw)
    assert [output.write(b"one"), output.write(b"two")] == [3, 3]
    assert (raw.written, output.error) == (b"", None)


def test_a_full_disk_is_remembered_and_tried_again() -> None:
    raw = Failing(errno.ENOSPC)
    output = LastingOutput(raw)
    assert [output.write(b"lost"), output.write(b"in three pieces")] == [4, 15]
    assert raw.written == b"in three pieces"
    assert output.error is not None
    assert output.error.errno == errno.ENOSPC


@posix
def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    content, got = os.urandom(1 << 20), io.BytesIO()

    def drain() -> None:
        while block := os.read(reading, 4096):
            got.write(block)

    reader = threading.Thread(target=drain)
    reader.start()
    stream = lasting(os.fdopen(writing, "w", encoding="ascii"), 1)
    stream.buffer.write(content)
    stream.buffer.raw.close()  # type: ignore[attr-defined]
    reader.join(60)
    os.close(reading)
    assert got.getvalue() == content


def test_a_stream_keeps_its_encoding_and_replaces_what_that_has_not(tmp_path: Path) -> None:
    for encoding, told in (("cp1252", b"s \xd7 ? ?\n"), ("ascii", b"s ? ? ?\n"), ("utf-8", "s × σ ?\n".encode())):
        stream = lasting((tmp_path / encoding).open("w", encoding=encoding), 1)
        print(f"s × σ {NO_TEXT[3]}", file=stream, flush=True)
        stream.close()
        assert (tmp_path / encoding).read_bytes() == told


@pytest.mark.parametrize(("number", "code"), [(errno.EPIPE, 0), (errno.ENOSPC, 5)])
def test_only_a_reader_who_is_there_misses_something(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(LastingOutput(Failing(*[number] * 9)), "utf-8"))
    assert main(["data"]) == code
    wanted = "error: cannot write the output: no\nhint: free some space\n" if code else ""
    assert capsys.readouterr().err == wanted


def close_input_and_errors() -> None:
    os.close(0)
    os.close(2)


@posix
def test_a_training_that_nobody_listens_to_goes_on_to_its_end_and_writes_only_what_it_should(
    pictures: Path, tmp_path: Path
) -> None:
    """A file that is opened would have the number of a stream that is closed, and be written notes into."""
    reading, writing = os.pipe()
    os.close(reading)
    process = start(
        *TINY, "--steps", 4, "--dataset", pictures, "--out", "run",
        cwd=tmp_path, preexec_fn=close_input_and_errors, stdout=writing, stderr=None,
    )  # fmt: skip
    os.close(writing)
    assert process.wait(120) == 0
    checkpoint.read_checkpoint(checkpoints(tmp_path / "run")[0])
    assert status(tmp_path / "run") == "complete"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def in_terminal(before: Callable[[], Any] | None) -> Callable[[], None]:
    """Make standard input the terminal that a session of its own hangs on."""

    def prepare() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if before:
            before()

    return prepare


def ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def status(run: Path) -> str:
    return json.loads((run / "run.json").read_text())["status"]


def wait(until: Callable[[], bool], processes: list[Any], windows: list[int]) -> None:
    """Read what is shown in some windows, until something is so."""
    end = time.monotonic() + 120
    while not until():
        assert [process.poll() for process in processes] == [None] * len(processes)
        assert time.monotonic() < end
        for window in select.select(windows, [], [], 0.02)[0]:
            os.read(window, 4096)


@posix
def test_a_terminal_that_is_closed_saves_as_sigterm_does_and_under_nohup_the_training_goes_on(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    command = (*TINY, "--dataset", pictures, "--set", "checkpoint_every=20", "--steps", 100_000, "--devices", 1)
    windows, processes = {}, []
    for name, before in (("usual", None), ("nohup", ignore_hangup)):
        window, inside = pty.openpty()
        ends = {"stdin": inside, "stdout": inside, "stderr": inside, "env": os.environ | HARDEST}
        processes.append(start(*command, "--out", name, cwd=tmp_path, preexec_fn=in_terminal(before), **ends))
        os.close(inside)
        windows[window] = tmp_path / name
    usual, nohup = processes
    try:
        wait(lambda: all(checkpoints(run) for run in windows.values()), processes, list(windows))
        for window in windows:
            os.close(window)  # the system sends SIGHUP, and every write fails from now on
        assert usual.wait(60) == 129
        reached = steps_kept(tmp_path / "nohup")[-1]
        wait(lambda: steps_kept(tmp_path / "nohup")[-1] > reached + 20, [nohup], [])
        nohup.send_signal(signal.SIGTERM)
        assert nohup.wait(60) == 143
    finally:
        for process in processes:
            process.kill()
    stopped = steps_kept(tmp_path / "usual")[-1]
    assert [status(tmp_path / name) for name in ("usual", "nohup")] == ["interrupted"] * 2
    assert cli("train", "--resume", "usual", "--steps", stopped + 1, "--json").document["steps"] == stopped + 1


@posix
def test_followers_leave_it_to_rank_0_what_a_hangup_means() -> None:
    code = (
        "import os, signal\nfrom diffcli.ranks import launch\nlaunch._end_with_rank_0(os.getppid())\n"
        "os.kill(os.getpid(), signal.SIGHUP)\nprint('here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "here\n"


@posix
def test_a_second_hangup_does_not_end_what_the_first_has_begun_but_a_second_ctrl_c_does() -> None:
    with Interrupts() as wanted:
        os.kill(os.getpid(), signal.SIGHUP)
        assert wanted.code == 128 + signal.SIGHUP
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@posix
def test_a_signal_that_was_ignored_from_the_start_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as wanted:
            os.kill(os.getpid(), signal.SIGHUP)
            assert wanted.code == 0
        main(["--version"])
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_a_hangup_ends_a_command_that_has_nothing_to_save(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcli.data import catalogue

    monkeypatch.setattr(catalogue, "entries", lambda _: os.kill(os.getpid(), signal.SIGHUP))
    result = cli("data")
    assert (result.code, result.err) == (129, "error: the terminal was closed\n")


# Encodings and names


def odd_pictures(folder: Path) -> Path:
    """Classes whose names are no text, a formula, and of another script."""
    for i, name in enumerate((NO_TEXT, "$a$b$", "日本語", "two\nlines")):
        (folder / name).mkdir(parents=True)
        for j in range(5):
            pixels = torch.randint(60 * i, 60 * i + 60, (8, 8), generator=keyed(i, "odd", j))
            Image.fromarray(pixels.numpy().astype(np.uint8)).save(folder / name / f"{j}.png")
    return folder


@posix
def test_names_that_are_no_text_go_through_training_sampling_and_resume(cli: Cli, tmp_path: Path) -> None:
    folder = odd_pictures(tmp_path / f"data {NO_TEXT}")
    run = f"run {NO_TEXT}"
    result = cli(*TINY, "--steps", 2, "--dataset", folder.name, "--out", run, "--json")
    assert result.code == 0, result.err
    assert result.out.isascii()
    assert result.document["run"] == "run no \ufffd text"
    for path in (tmp_path / run).iterdir():
        if path.suffix in (".json", ".jsonl", ".toml"):
            path.read_bytes().decode("utf-8")
            assert "\\ud" not in path.read_text("utf-8"), "half a character, which not every reader of JSON takes"
    recipe = tomllib.loads((tmp_path / run / "recipe.toml").read_text("utf-8"))
    assert Path(recipe["data"]["name"]).name == "data no \ufffd text"
    drawn = cli("sample", run, "--steps", 2, "--count", 2, "--class", NO_TEXT, "--out", f"out {NO_TEXT}")
    assert drawn.code == 0, drawn.err
    with Image.open(tmp_path / f"out {NO_TEXT}" / "grid.png") as picture:
        assert picture.info["diffcli class"] == "no \ufffd text"
    for command in (("info", run), ("visualize", "reverse", run, "--steps", 2), ("data", folder.name), ("runs",)):
        result = cli(*command)
        assert result.code == 0, result.err
    assert cli("train", "--resume", run, "--steps", 3).code == 0
    assert cli("runs", "export", run, f"{NO_TEXT}.safetensors", "--quiet").code == 0
    assert cli("sample", f"{NO_TEXT}.safetensors", "--steps", 2, "--count", 1, "--each").code == 0


@posix
def test_an_ascii_terminal_is_told_everything_and_nothing_fails(tmp_path: Path) -> None:
    odd_pictures(tmp_path / "☃")
    code = (
        "import sys\nfrom diffcli import cli\nfrom diffcli.system import streams\nstreams.settle()\n"
        "for line in ' '.join(sys.argv[1:]).split(' + '):\n    print(cli.main(line.split()))\n"
    )
    lines = "data ☃ + data ☃ --json + ais --help + sample σ-1 + noise gaussian --out β"
    command = [sys.executable, "-X", "utf8=0", "-c", code, *lines.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=os.environ | HARDEST)
    out, err = done.stdout.decode("ascii"), done.stderr.decode("ascii")
    assert done.returncode == 0, err
    assert [line for line in out.splitlines() if line.isdecimal()] == ["0", "0", "0", "4", "0"]
    document = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert len(document["classes"]) == 4
    assert "unknown run" in err
    assert "Traceback" not in err
    assert "Error" not in err


@pytest.mark.rendered
def test_a_figure_shows_names_as_they_are(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([1, 10, 100], label=f"$a$b{NO_TEXT}")
    axes.set_title("costs $5, not $x_{$")
    axes.set(yscale="log")
    axes.set_xticks(range(3), ["$\\frac$", NO_TEXT, "日本"])
    axes.legend()
    write_figure(figure, tmp_path / "a.png")
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == [r"\$\frac\$", "no \ufffd text", "日本"]
    assert axes.get_title() == r"costs \$5, not \$x_{\$"
    assert any("mathdefault" in text.get_text() for text in axes.get_yticklabels()), "numbers may have exponents"
    write_figure(figure, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_json_is_ascii_that_every_reader_takes() -> None:
    text = json_text({NO_TEXT: [float("nan"), float("inf"), "σ", {"x": NO_TEXT}], "n": 1, "none": None})
    assert text.isascii()
    assert json.loads(text) == {"no \ufffd text": [None, None, "σ", {"x": "no \ufffd text"}], "n": 1, "none": None}


def test_a_line_is_one_line_and_keeps_its_spaces() -> None:
    assert one_line("a  b\n  c\td\x1b[31m\u2028e") == "a  b c d?[31m e"
    assert printable("narrow\u202fspace") == "narrow\u202fspace"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.stem)
def test_every_text_file_is_read_and_written_in_an_encoding_that_is_named(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and (text := opens_text(node)):
            assert text == "named", f"{path.name}, line {node.lineno}: {ast.unparse(node)}"


def opens_text(call: ast.Call) -> str:
    """Whether a call opens a text file, "" if not, and names its encoding."""
    named = any(keyword.arg == "encoding" for keyword in call.keywords)
    function, words = call.func, [a.value for a in call.args if isinstance(a, ast.Constant)]
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
    if name in ("read_text", "write_text") and owner:
        return "named" if named or len(call.args) > (name == "write_text") else "unnamed"
    binary = any(isinstance(word, str) and "b" in word for word in words)
    if name not in ("open", "fdopen") or owner in ("Image", "tarfile", "os", "books", "self.archive") or binary:
        return ""
    return "named" if named else "unnamed"


# No home, no name, a full disk


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No home and no name, and a place for temporary files."""
    for name in (
        "HOME",
        "LOGNAME",
        "USER",
        "LNAME",
        "USERNAME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "MPLCONFIGDIR",
        "TRITON_HOME",
    ):
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    pwd = pytest.importorskip("pwd")

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return temporary


def own(temporary: Path) -> Path:
    return temporary / f"diffcli-{os.getuid()}"


@posix
def test_without_a_home_all_is_kept_in_a_private_temporary_folder(homeless: Path) -> None:
    told = cache.settle()
    folder = cache.cache_folder()
    assert told == f"there is no home folder; what is kept for the next time goes to {folder}"
    assert folder.is_relative_to(own(homeless))
    assert stat.S_IMODE(own(homeless).stat().st_mode) == 0o700
    assert os.environ["LOGNAME"] == f"user{os.getuid()}"
    assert Path(os.environ["HOME"]) == own(homeless)
    assert cache.cache_folders() == [folder]
    assert cache.settle() == "", "processes that are started have it from here, and say nothing again"


@posix
@pytest.mark.parametrize("name", ["", "no/such/folder"])
def test_a_home_that_is_not_there_is_not_made(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("HOME", name and str(tmp_path / name))
    assert "there is no" in cache.settle()
    assert not (tmp_path / "no").exists()
    assert cache.cache_folder().is_relative_to(own(homeless))


@posix
def test_a_cache_that_cannot_be_written_to_is_still_read(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / ".cache").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    writable = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: home not in (Path(p), *Path(p).parents) and writable(p, mode))
    told = cache.settle()
    assert told == f"{home}/.cache/diffcli cannot be written to; what is kept for the next time goes to {own(homeless)}"
    assert cache.cache_folders() == [home / ".cache" / "diffcli", own(homeless)]
    assert Path(os.environ["MPLCONFIGDIR"]) == own(homeless) / "matplotlib"
    assert Path(os.environ["TRITON_HOME"]) == own(homeless)
    assert Path(os.environ["HOME"]) == home


@posix
def test_a_full_disk_is_no_place_for_a_cache(homeless: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_free", lambda folder: 0 if folder == tmp_path else 1 << 40)
    assert "is full" in cache.settle()
    assert cache.cache_folder() == own(homeless)


@posix
def test_a_name_that_somebody_else_has_taken_is_not_used(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = homeless / "elsewhere"
    elsewhere.mkdir()
    own(homeless).symlink_to(elsewhere)
    assert not cache.cache_folder().is_relative_to(own(homeless))
    own(homeless).unlink()
    own(homeless).mkdir()
    own(homeless).chmod(0o777)
    assert not cache.cache_folder().is_relative_to(own(homeless))


@posix
def test_a_command_without_a_home_says_one_thing_and_nothing_when_quiet(cli: Cli, homeless: Path) -> None:
    nobody = (
        "import pwd\ndef nobody(uid): raise KeyError(uid)\npwd.getpwuid = nobody\nfrom diffcli import cli\ncli.run()"
    )
    command = [sys.executable, "-c", nobody, "noise", "gaussian", "--count", "10", "--out", "out"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(homeless)})
    assert done.returncode == 0, done.stderr
    assert [line.split(";")[0] for line in done.stderr.splitlines()] == ["note: there is no home folder"]
    assert {p.name for p in Path.cwd().iterdir()} == {"tmp", "out"}
    assert cli("data", "--quiet").err == ""
    os.environ.pop("HOME")
    assert cli("data").err == done.stderr


# A busy machine


@pytest.mark.parametrize("command", [("train",), ("vae", "train"), ("dae", "train")])
def test_a_training_says_what_a_busy_machine_leaves_to_it(
    cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(cores, "watch", lambda: lambda: 1.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(2)), raising=False)
    monkeypatch.setattr(cores, "processor_quota", lambda _: None)
    words = [*command, "--recipe", "tiny", "--steps", 1, "--dataset", pictures, "--dry-run"]
    told = [line for line in cli(*words).err.splitlines() if "busy" in line]
    assert told == [
        "note: something else keeps 1.5 of 2 cores busy, so about 25% of the machine is free: wait for it, let it give "
        "way (nice, renice), or choose how many processes share the rest (--devices)"
    ]
    assert cli(*words, "--quiet").err == ""
    for calm in (0.2, None):
        monkeypatch.setattr(cores, "watch", lambda calm=calm: lambda: calm)
        assert "busy" not in cli(*words).err


def test_what_others_leave_is_a_share_of_what_the_group_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, busy, left in ((None, 2, 0.75), (None, 9, 0), (2.0, 6, 1.0), (2.0, 7, 0.5), (0.5, 7.75, 0.5)):
        monkeypatch.setattr(cores, "processor_quota", lambda _, quota=quota: quota)
        assert cores.share_left(busy) == pytest.approx(left)
