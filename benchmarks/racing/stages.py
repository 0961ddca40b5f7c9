"""The folder of a race: what is done is in it, and is not done again."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measuring import note

HERE = Path(__file__).parents[1]  # where `racing` is found


class Folder:
    """stages/NAME.json is the result of each stage that came to its end."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        """Open or make the folder; leaves where it was made with other settings."""
        self.path = path.absolute()
        for below in ("stages", "weights", "runs", "images"):
            (self.path / below).mkdir(parents=True, exist_ok=True)
        kept = self.path / "settings.json"
        if kept.exists() and (found := json.loads(kept.read_text())) != settings:
            other = ", ".join(f"{k} {found.get(k)}" for k in settings if found.get(k) != settings[k])
            raise SystemExit(f"error: {path} holds a race with other settings: {other}; name another --out")
        _write(kept, settings)

    def stage(self, name: str, do: Callable[[], Any]) -> Any:
        """The result of a stage, done now unless it was done before."""
        path = self.path / "stages" / f"{name}.json"
        if not path.exists():
            note(f"{name} ...")
            _write(path, do())
        return json.loads(path.read_text())


def _write(path: Path, document: Any) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(document, indent=1) + "\n")
    unfinished.replace(path)


def work(what: str, threads: int, **arguments: Any) -> Any:
    """What a worker process finds."""
    return together(what, threads, [arguments])[0]


def together(what: str, threads: int, several: Sequence[dict[str, Any]]) -> list[Any]:
    """What several worker processes find that run side by side, with so many threads each."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": _path(), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "racing.worker", what]
    processes = [
        subprocess.Popen(
            [*command, json.dumps(arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment,
        )
        for arguments in several
    ]  # fmt: skip
    try:
        outputs = [process.communicate() for process in processes]
    except BaseException:
        for process in processes:
            process.kill()
        raise
    for process, (_, errors) in zip(processes, outputs, strict=True):
        if process.returncode:
            raise SystemExit(f"error: {what} ended with {process.returncode}: {_last(errors)}")
    return [json.loads(output.strip().splitlines()[-1]) for output, _ in outputs]


def _path() -> str:
    before = os.environ.get("PYTHONPATH")
    return f"{HERE}{os.pathsep}{before}" if before else str(HERE)


def _last(errors: str) -> str:
    return (errors.strip().splitlines() or ["no message"])[-1]
