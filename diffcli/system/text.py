"""Numbers and names as people and JSON write them."""

import json
import re
import shutil
import unicodedata
from typing import Any

HALVES = re.compile("[\ud800-\udfff]")
"""Characters that are none: what Python makes of the bytes of a file's name that are no UTF-8."""

BREAKS = re.compile(r"\s*[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
"""What would end a line, or move the cursor as one does, with the spaces around it."""


def json_text(document: Any, indent: int | None = None) -> str:
    """The document as JSON that every reader takes, in ASCII: nan and infinities are null, and names are `legible`."""
    return json.dumps(finite(document), indent=indent)


def finite(value: Any) -> Any:
    """The same of what JSON has: None for nan and infinities, U+FFFD for what is no character."""
    if isinstance(value, dict):
        return {finite(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return legible(value) if isinstance(value, str) else value


def legible(text: str) -> str:
    """The text with U+FFFD for each byte of a name that is no UTF-8, so that it can be written as UTF-8."""
    return HALVES.sub("\ufffd", text)


def utf8(text: str) -> bytes:
    """The bytes of a text file, whatever names are in it."""
    return legible(text).encode()


def duration(seconds: float) -> str:
    """312.0 -> "5 min 12 s"."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Bytes as people write them: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


def printable(text: str) -> str:
    """The text with a ? for what moves the cursor or cannot be written, as a file's name may have it."""
    return text if text.isprintable() else "".join(c if is_printable(c) else "?" for c in text)


def is_printable(character: str) -> bool:
    """Whether it can be shown in a line; Python counts the many widths of a space out, and names have them."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def one_line(text: str) -> str:
    """The text in a line of printable characters; spaces stay as they are, as a quoted name may have two."""
    return printable(BREAKS.sub(" ", text.strip()))


def flag(option: str) -> str:
    """churn_min -> --churn-min"""
    return f"--{option.replace('_', '-')}"


def installed(package: str) -> str:
    """The version of an installed package; of one that runs from its folder alone nobody knows."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
