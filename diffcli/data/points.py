"""The data sets of points: so many draws, once and for all, from the laws of `TOYS`. Importing this is cheap."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcli.data.dataset import Dataset

COUNTS = {"train": 100_000, "test": 10_000}
TITLES = {
    "mixture": "eight Gaussians on a circle",
    "moons": "two half circles that reach into each other",
    "swiss-roll": "a spiral",
    "checkerboard": "eight squares of a board of four by four",
}


def toy_dataset(name: str, split: str) -> "Dataset":
    """The points of a toy; the same whatever the seed of a run is."""
    from diffcli.core.processes.laws.toys import TOYS
    from diffcli.core.randomness import keyed
    from diffcli.data.dataset import Dataset
    from diffcli.data.kinds import POINTS, Items

    points = TOYS[name](COUNTS[split], keyed(0, f"{name} {split}"))
    digest = hashlib.sha256(points.numpy().tobytes()).hexdigest()[:16]
    return Dataset(name, Items(POINTS, tuple(points.shape[1:])), points, None, digest)
