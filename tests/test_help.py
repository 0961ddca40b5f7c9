"""Help at the usual width of a terminal."""

import pytest
from conftest import Cli

GROUPS = ("", "learn", "noise", "visualize", "control", "vae", "dae", "runs")


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_has_a_line_that_fits_its_column(cli: Cli, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    """typer cuts off what does not fit, and ends it in dots."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli(*group.split(), "--help").out.splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    rows = [line for line in listed[: listed.index("") if "" in listed else None] if line.startswith("  ")]
    assert len(rows) >= {"runs": 1, "control": 2}.get(group, 3)
    assert [row for row in rows if row.endswith("...") or len(row) > 80 or len(row.split(maxsplit=1)) < 2] == []


def test_the_groups_are_all_there_are(cli: Cli) -> None:
    from typer.main import get_command

    from diffcli.cli import app

    groups = {name for name, command in get_command(app).commands.items() if hasattr(command, "commands")}  # type: ignore[attr-defined]
    assert groups == set(GROUPS) - {""}


@pytest.mark.parametrize("arguments", ["train --latent", "train --json --latent", "sample mnist --hint", "vae train"])
@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_no_value_of_an_option(cli: Cli, arguments: str, word: str) -> None:
    made = cli(*arguments.split(), word)
    assert made.code == 0
    assert made.out.startswith("Usage: ")
    assert not made.err
