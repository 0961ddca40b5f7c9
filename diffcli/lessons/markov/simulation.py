"""What `diffcli markov` simulates, and how much of it may be asked for."""

from typing import NamedTuple

from diffcli.errors import UsageProblem

MOST_VISITS = 10_000_000  # steps times chains: what is kept
MOST_UPDATES = 2_000_000_000  # of spins: minutes


class Simulation(NamedTuple):
    """What to simulate, as it was asked for: the chain by its name, so many steps, so many chains at once."""

    name: str
    steps: int
    chains: int
    start: str | None
    seed: int


def check_size(steps: int, chains: int, spins: int = 1, least: int = 1) -> None:
    """Raise UsageProblem for more than fits into the memory or takes more than minutes, and for too few chains."""
    if steps * chains > MOST_VISITS:
        raise UsageProblem(f"{steps} steps of {chains} chains are too many", f"at most {MOST_VISITS:,} in all")
    if chains < least:
        raise UsageProblem("a single chain has no spread", f"give --chains {least} or more")
    if steps * chains * spins > MOST_UPDATES:
        hint = f"at most {MOST_UPDATES // spins:,} sweeps of chains in all: lower --steps or --chains"
        raise UsageProblem(f"{steps} sweeps of {chains} chains of {spins} spins take too long", hint)
