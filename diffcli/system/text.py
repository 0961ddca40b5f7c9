"""Numbers and names as people and JSON write them."""

import shutil
from typing import Any


def finite(value: Any) -> Any:
    """The same with nan and infinities as None, which JSON has."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


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
    return "".join(c if c.isprintable() else "?" for c in text)


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
