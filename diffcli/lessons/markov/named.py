"""The chains that `diffcli markov` looks through, by name or from a file."""

from pathlib import Path

from diffcli import specs
from diffcli.core.processes.chains.named import CHAINS, Chain
from diffcli.errors import UsageProblem
from diffcli.lessons.markov import matrices
from diffcli.lessons.markov.forward import ForwardChain, forward_chain

FORWARD = "diffusion"


def named_chain(text: str) -> Chain | ForwardChain:
    """The chain of a matrix in a file, or of a name with parameters, of which diffusion's last may be a schedule.

    Raises UsageProblem, and DataProblem for files.
    """
    if Path(text).suffix.lower() in matrices.SUFFIXES:
        return matrices.read_chain(Path(text))
    text, comma, schedule = text.partition(",schedule=")
    if comma and text.split(",")[0].strip() != FORWARD:
        raise UsageProblem("only diffusion has a schedule", "as in diffusion,schedule=cosine")

    def diffusion(steps: int = 0) -> ForwardChain:
        return forward_chain(specs.schedule(schedule or "linear"), steps)

    return specs.make(CHAINS | {FORWARD: diffusion}, text, "chain")
