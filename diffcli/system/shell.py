"""Words of a command as a shell takes them, so that what is printed can be pasted."""

import os
import shlex
import subprocess
from collections.abc import Iterable

from diffcli.system.text import is_printable

WINDOWS = os.name == "nt"
ESCAPES = {"'": r"\'", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"}


def quoted(word: object) -> str:
    """A word, in quotes where a shell would make something else of it; always one line of printable characters."""
    text = str(word)
    if WINDOWS:
        return subprocess.list2cmdline([text])
    if all(map(is_printable, text)):
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"  # of bash, zsh, ksh and POSIX 2024


def argument(value: object) -> str:
    """A path, or a name, as an argument: never taken for an option, nor for somebody's home."""
    text = str(value)
    return quoted(f"./{text}" if text.startswith(("-", "~")) else text)


def command_line(words: Iterable[object]) -> str:
    """The words of a command in one line."""
    return " ".join(map(quoted, words))


def _escaped(character: str) -> str:
    """A character inside $'...'; of a name that is no text the byte itself."""
    if character in ESCAPES:
        return ESCAPES[character]
    if is_printable(character):
        return character
    try:
        content = character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = b"?"
    return "".join(f"\\{byte:03o}" for byte in content)
