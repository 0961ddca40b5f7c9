"""Fifty thousand photographs read for the first time and again: `python benchmarks/reading.py --out FOLDER [--readme]`.

Makes the images once in FOLDER/images (1.5 GB). Told are the seconds of a first and of a second start, how good the
estimate of the first was after five seconds, and the largest resident memory of a process.
"""

import argparse
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring import Goal, note, put
from PIL import Image
from racing.report import goal_lines

DIFFERENT = 500  # images; the others are copies
EARLY = 5.0  # seconds after which the estimate is held against the truth
LINE = re.compile(r"(?:opening|reading): .*?((?:\d+ h )?(?:\d+ min )?(?:\d+ s)?) left")


class Start(NamedTuple):
    """One `diffcli data FOLDER`: seconds in all, its estimate of all of them after `EARLY`, and the peak of memory."""

    seconds: float
    estimate: float | None
    peak: int


def photograph(seed: int, side: int) -> bytes:
    """A JPEG with the frequencies of a photograph: noise whose amplitude falls as one over the frequency."""
    rng = np.random.default_rng(seed)
    row, column = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    falls = 1 / np.maximum(np.hypot(row, column), 1 / side)
    planes = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * falls).real for _ in range(3)]
    values = np.stack([128 + 50 * plane / plane.std() for plane in planes], -1).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def made(folder: Path, count: int, side: int) -> None:
    """The images, of which every `DIFFERENT`th is the same: files take as long to read whatever is in them."""
    contents = [photograph(seed, side) for seed in range(DIFFERENT)]
    for i in range(count):
        path = folder / f"class-{i % 10}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(contents[i % DIFFERENT])


def started(folder: Path, cache: Path, *asked: str) -> Start:
    """Read the folder by a process of its own, with a cache of its own, and listen to it."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "diffcli", "data", str(folder), *asked]
    began, estimate = time.monotonic(), None
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        used, found = time.monotonic() - began, LINE.search(line)
        if found and line.startswith("reading") and estimate is None and used >= EARLY:
            estimate = used + seconds_of(found[1])
    if process.wait():
        raise SystemExit(f"error: diffcli data ended with {process.returncode}")
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return Start(time.monotonic() - began, estimate, 1024 * peak)


def seconds_of(text: str) -> float:
    """3 min 20 s -> 200."""
    return sum(float(n) * {"h": 3600, "min": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+) (h|min|s)", text))


def main() -> None:
    parser = argparse.ArgumentParser(description="Read many photographs, twice.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the images and a cache")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--readme", action="store_true", help="put the report into README.md, between its marks")
    options = parser.parse_args()
    images, cache = options.out / "images", options.out / "cache"
    note(f"making {options.count} images")
    made(images, options.count, options.side)
    shutil.rmtree(cache, ignore_errors=True)
    first, second = (started(images, cache) for _ in range(2))
    disk = started(images, cache, "--set", f"size={options.side}", "--set", "frames=first")
    off = "none" if first.estimate is None else f"{100 * (first.estimate / first.seconds - 1):+.0f} %"
    good = first.estimate is not None and abs(first.estimate / first.seconds - 1) <= 0.3
    peak = max(first.peak, second.peak, disk.peak)
    goals = [
        Goal("estimate after five seconds", off, "within 30 %", good),
        Goal("largest resident memory", f"{peak / 1e9:.2f} GB", "under 2 GB", peak < 2e9),
        Goal("second start against the first", f"{first.seconds / second.seconds:.0f} ×", "quick", second.seconds < 15),
    ]
    lines = [
        f"{options.count:,} JPEG of {options.side}x{options.side}, `diffcli data FOLDER`: "
        f"first start {first.seconds:.0f} s, second {second.seconds:.1f} s; on the disk at {options.side} pixels "
        f"(`--set size={options.side}`) {disk.seconds:.0f} s.", "", *goal_lines(goals),
    ]  # fmt: skip
    if options.readme:
        put(Path(__file__).with_name("README.md"), "reading", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
