"""What `learn run` does: a learner's functions in the real pipeline, beside the package's own."""

from typing import NamedTuple


class Judged(NamedTuple):
    """How a run for real went.

    passed:    whether the learner's functions did what the package's own do
    lines:     numbers, for a reader
    pictures:  files in the folder that are worth a look
    """

    passed: bool
    lines: tuple[str, ...]
    pictures: tuple[str, ...] = ()
