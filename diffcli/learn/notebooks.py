"""The files of a workspace as Jupyter notebooks, each kept in step with the other by jupytext."""

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffcli.errors import DataProblem, EnvironmentProblem, UsageProblem
from diffcli.learn.workspace import Workspace, content
from diffcli.system.files import write_atomically

FORM = "py:light"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def in_step(workspace: Workspace, task: str) -> str:
    """Write whichever of a task's file and notebook is behind; returns the name of what was written, "" for nothing.

    Raises UsageProblem where both have changed since they were the same, EnvironmentProblem without jupytext.
    """
    path = workspace.path(task)
    notebook = path.with_suffix(".ipynb")
    theirs = _text_of(notebook) if notebook.exists() else None
    ours = content(path) if path.exists() else None
    if theirs == ours:
        _remember(workspace, path, ours)
        return ""
    before = workspace.progress.synced.get(path.name)
    file_changed, notebook_changed = (text is not None and _digest(text) != before for text in (ours, theirs))
    if file_changed and notebook_changed and theirs is not None:
        raise UsageProblem(
            f"{path.name} and {notebook.name} have both changed since they were the same",
            "move the one away that you do not want; the other is written again from it",
        )
    if theirs is not None and (notebook_changed or ours is None):
        write_atomically(path, theirs.encode())
        _remember(workspace, path, theirs)
        return path.name
    assert ours is not None
    write_atomically(notebook, _notebook(ours, notebook).encode())
    _remember(workspace, path, ours)
    return notebook.name


def _remember(workspace: Workspace, path: Path, text: str | None) -> None:
    if text is not None and workspace.progress.synced.get(path.name) != _digest(text):
        workspace.changed(lambda old: replace(old, synced={**old.synced, path.name: _digest(text)}))


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def _text_of(notebook: Path) -> str:
    """The notebook as a Python file."""
    jupytext, nbformat = _libraries()
    try:
        read = nbformat.read(notebook, as_version=4)
    except Exception as error:
        raise DataProblem(f"{notebook.name} is no notebook: {error}", "move it away: it is written again") from None
    read.metadata.clear()  # what a Jupyter server adds would be a header of the Python file
    text: str = jupytext.writes(read, fmt=FORM)
    return text


def _notebook(text: str, there: Path) -> str:
    """The file as a notebook; outputs of cells that have not changed are kept."""
    jupytext, nbformat = _libraries()
    made = jupytext.reads(text, fmt=FORM)
    made.metadata.clear()
    made.metadata["kernelspec"] = KERNEL
    if there.exists():
        made = jupytext.combine.combine_inputs_with_outputs(made, nbformat.read(there, as_version=4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(nbformat.writes(made)) + "\n"


def _libraries() -> tuple[Any, Any]:
    try:
        import jupytext
        import jupytext.combine
        import nbformat
    except ImportError:
        raise EnvironmentProblem("notebooks need jupytext", "pip install 'diffcli[notebooks]'") from None
    return jupytext, nbformat
