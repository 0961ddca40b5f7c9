"""How a command opens a run of its family."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcli.console.show import Show
    from diffcli.runs.loading import Trained


def opened(run: str | None, family: str, show: "Show", device: str = "cpu") -> "Trained":
    """The model of a run or checkpoint, the newest of the family for None; what was odd about it is said.

    Raises as `diffcli.runs.loading.load_trained` and `diffcli.system.device.pick` do.
    """
    from diffcli.data.published import clinical
    from diffcli.runs.loading import load_trained
    from diffcli.system import device as devices

    trained = load_trained(run, device=devices.pick(device), family=family)
    for note in trained.stored.notes:
        show.note(f"note: {note}")
    if said := clinical(trained.recipe.data.name, trained.items):
        show.once(said)
    return trained


def family_meant(run: str | None, families: Sequence[str]) -> str:
    """Which of some families a run is of; for None that of the newest run of any of them. The first if neither is."""
    from diffcli.errors import CheckpointProblem
    from diffcli.runs.loading import find, read

    found = {}
    for family in families:
        with contextlib.suppress(CheckpointProblem):
            stored = read(find(run, family))
            if stored.recipe.family == family:
                found[stored.path.stat().st_mtime] = family
    return found[max(found)] if found else families[0]
