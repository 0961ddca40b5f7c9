"""How a command opens a run of its family."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffcli.runs import Trained
    from diffcli.show import Show


def opened(run: str | None, family: str, show: "Show", device: str = "cpu") -> "Trained":
    """The model of a run or checkpoint, the newest of the family for None; what was odd about it is said.

    Raises as `diffcli.runs.load` and `diffcli.device.pick` do.
    """
    from diffcli import device as devices
    from diffcli import runs

    trained = runs.load(run, device=devices.pick(device), family=family)
    for note in trained.notes:
        show.note(f"note: {note}")
    return trained
