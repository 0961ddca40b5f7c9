"""Samples as arrays, and what `diffcli evaluate` says of them: the same for everyone."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import note
from processes import command_line, run

from racing.peers import CLASSES, Walk
from racing.stages import together

CHUNK = 250  # images that a worker draws between two files

OURS = (Walk("dpmpp-2m", 10), Walk("dpmpp-2m", 20), Walk("ddim", 50))
OUR_LADDER = (*(Walk("dpmpp-2m", steps) for steps in (5, 8, 12, 20, 30)), Walk("ddim", 50), Walk("ddpm", 1000))


class Verdict(NamedTuple):
    """What the judge says of some samples.

    frechet:  the distance, its error, and that of as many unseen real images
    read:     share that is read as the class asked for, and its error; None without classes
    """

    frechet: float
    error: float
    floor: float
    read: float | None
    read_error: float | None
    images: int

    @property
    def text(self) -> str:
        read = "" if self.read is None else f", {self.read:.1%} read as asked for"
        return f"{self.frechet:.3f} ± {self.error:.3f} (floor {self.floor:.3f}){read}"


def drawn(
    folder: Path, library: str, classed: bool, weights: str, which: str, walk: Walk, count: int, processes: int
) -> Path:
    """An array of a peer's samples, drawn by several processes of one thread each; goes on where it was cut."""
    folder.mkdir(parents=True, exist_ok=True)
    size = min(CHUNK, count)
    chunks = list(range(-(-count // size)))
    shares = [chunks[i::processes] for i in range(processes)]
    common = {"library": library, "classed": classed, "weights": weights, "which": which, "walk": list(walk)}
    lost = together("draw", 1, [{**common, "chunks": s, "size": size, "out": str(folder)} for s in shares if s])
    if sum(lost):
        note(f"{sum(lost)} of {count} images of {library} by {walk} are not finite; they are judged as black ones")
    images = np.concatenate([np.load(folder / f"chunk-{i:03d}.npy") for i in chunks])[:count]
    return written(folder / "images.npz", images, classed)


def drawn_by_us(folder: Path, checkpoint: str, classed: bool, walk: Walk, count: int) -> Path:
    """An array of the samples of a run of ours, by `diffcli sample`; classes are followed as its recipe says."""
    folder.mkdir(parents=True, exist_ok=True)
    array = folder / "images.npy"
    array.unlink(missing_ok=True)
    sample(checkpoint, classed, walk, count, folder, "--array", str(array))
    images = ((np.load(array).clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return written(folder / "images.npz", images, classed)


def sample(checkpoint: str, classed: bool, walk: Walk, count: int, folder: Path, *more: str) -> Any:
    """What `diffcli sample` says."""
    (folder / "grid.png").unlink(missing_ok=True)
    asked = ["--sampler", walk.sampler, "--steps", str(walk.steps), "--count", str(count)]
    asked += [*(["--class", "all"] if classed else []), "--out", str(folder / "grid.png"), *more]
    return json.loads(run([*command_line(), "sample", checkpoint, *asked, "--json", "--quiet"]).stdout)


def written(path: Path, images: np.ndarray, classed: bool) -> Path:
    labels = {"labels": np.arange(len(images)) % CLASSES} if classed else {}
    np.savez_compressed(path, images=images, **labels)
    return path


def judged(array: Path) -> Verdict:
    """By the judge's features, against MNIST."""
    folder = array.with_name("judged")
    asked = ["--against", "mnist", "--metrics", "frechet,classes", "--json", "--quiet"]
    if folder.exists():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    said = json.loads(run([*command_line(), "evaluate", str(array), *asked, "--out", str(folder)]).stdout)
    return verdict(said)


def verdict(said: dict[str, Any]) -> Verdict:
    """The numbers of a document of `diffcli evaluate`."""
    frechet, count = said["frechet"], said["protocol"]["generated"]
    read, error = said["class_agreement"], said["class_agreement_error"]
    return Verdict(frechet["value"], frechet["error"], frechet["floor"], read, error, count)


def as_good(walk: Verdict, chain: Verdict) -> bool:
    """Whether the samples of a walk are no worse than those of the whole chain, within two standard errors."""
    return walk.frechet <= chain.frechet + 2 * (walk.error**2 + chain.error**2) ** 0.5
