"""The lesson of `diffcli markov`: each kind of chain in the way that suits it."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.processes.chains.autoregression import Autoregression
from diffcli.core.processes.chains.finite import Finite
from diffcli.core.processes.chains.ising import Ising
from diffcli.core.processes.chains.named import Chain
from diffcli.lessons.markov.autoregression import study_autoregression
from diffcli.lessons.markov.finite import study_finite_chain
from diffcli.lessons.markov.forward import ForwardChain, study_forward_process
from diffcli.lessons.markov.ising import study_ising
from diffcli.lessons.markov.simulation import Simulation


def study_chain(chain: Chain | ForwardChain, wanted: Simulation, made: Lesson, show: Show) -> None:
    """Look through a chain, simulate it, and fill the lesson."""
    made.document |= {"chain": wanted.name, "steps": wanted.steps, "chains": wanted.chains, "seed": wanted.seed}
    if isinstance(chain, Finite):
        study_finite_chain(chain, wanted, made)
    elif isinstance(chain, Ising):
        study_ising(chain, wanted, made, show)
    elif isinstance(chain, Autoregression):
        study_autoregression(chain, wanted, made)
    else:
        study_forward_process(chain, wanted, made)
