"""One file over https: to a `.part` beside it, checked against its checksum, then renamed."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from diffcli.errors import DataProblem


def has_checksum(content: bytes, checksum: str) -> bool:
    """Whether the content has this checksum, "sha256:<hex>" for instance."""
    algorithm, _, expected = checksum.partition(":")
    return hashlib.new(algorithm, content, usedforsecurity=algorithm != "md5").hexdigest() == expected


def fetch(url: str, path: Path, checksum: str, *, hint: str, timeout: float = 20.0) -> Iterator[tuple[int, int]]:
    """Bring what is at `url` to `path`, where it is when this ends; yields the bytes so far and in all, 0 if unknown.

    Raises DataProblem, leaving nothing there, if it cannot be had.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=timeout) as answer, part.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(1 << 18):
                file.write(block)
                yield file.tell(), total
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        reason = getattr(error, "reason", None) or error
        raise DataProblem(f"cannot download {path.name}: {reason}", hint) from error
    if not has_checksum(part.read_bytes(), checksum):
        part.unlink()
        raise DataProblem(f"{url} does not hold the file it should (its checksum differs)", hint)
    part.replace(path)
