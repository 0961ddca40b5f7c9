"""What a network is trained on: the losses of the papers, and the levels that are drawn for a batch."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from diffcli.checks.check import Finding, check, near
from diffcli.checks.diffusion.schedules import alpha_bar, at, linear_paper
from diffcli.core.diffusion.denoiser import TARGETS, Denoiser, check_pair
from diffcli.core.diffusion.schedules import EDM, SCHEDULES, VE, VP, BetaTable, Flow, LogSNR, Schedule, ZeroTerminal
from diffcli.core.diffusion.tables import linear_betas

CONDITION = 0.7


class Told(nn.Module):
    """A network of fixed weights that depends on all that it is told."""

    def forward(self, x: Tensor, log_snr: Tensor, *, condition: float = 0.0) -> Tensor:
        mixing = torch.tensor([[0.3, -0.8, 0.1], [0.5, 0.4, 0.2], [-0.6, 0.7, 0.9]], dtype=x.dtype)
        return torch.tanh(x @ mixing + 0.1 * log_snr.to(x.dtype).unsqueeze(1) + condition)


@check(
    "each target's loss is its paper's: eps, x0 and v plainly, the score's by sigma², the flow's by a half",
    "Ho et al. 2020, eq. 14; Salimans & Ho 2022, appendix D; Song et al. 2021, eq. 7; Lipman et al. 2023, eq. 23",
)
def losses_of_the_papers() -> Iterator[Finding]:
    draws = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x0, eps = draws.unbind()
    for name, schedule in (("vp", VP()), ("ve", VE()), ("flow", Flow())):
        level = schedule(torch.tensor([[0.01], [0.2], [0.5], [0.9]], dtype=torch.float64))
        length = (level.alpha**2 + level.sigma**2).sqrt()
        alpha, sigma = level.alpha / length, level.sigma / length
        log_snr = torch.log(alpha**2 / sigma**2).flatten()
        output = Told()((level.alpha * x0 + level.sigma * eps) / length, log_snr, condition=CONDITION)
        wanted = {
            "x0": (x0 - output) ** 2,
            "eps": (eps - output) ** 2,
            "v": (alpha * eps - sigma * x0 - output) ** 2,
            "flow": (eps - x0 - math.sqrt(2) * output) ** 2 / 2,  # the network's unit is the target's size, sqrt(2)
            "score": sigma**2 * (-eps / sigma - output / sigma) ** 2,  # here 1 / sigma
        }
        for target, errors in wanted.items():
            found = Denoiser(Told(), target).loss(x0, level, eps, condition=CONDITION)
            yield near(f"{target}, {name}", errors.sum(1) / 3, found, rel=1e-5)  # it is told the log-SNR in float32


def _strata(shares: Tensor) -> Finding:
    """Of sorted numbers in (0, 1], one must lie in each of as many equal parts."""
    places = (shares.flatten().sort().values * len(shares)).ceil()
    return near(f"one of {len(shares)} in each part", torch.arange(1, len(shares) + 1).double(), places)


@check(
    "training times are uniform and spread over the batch, and a batch of T has each entry of a table once",
    "Kingma et al. 2021, appendix I.1; Ho et al. 2020, algorithm 1; Karras et al. 2022, table 1",
)
def training_levels() -> Iterator[Finding]:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.zeros(1000, 2, dtype=torch.float64)
    roots = torch.tensor(alpha_bar(linear_paper())[1:], dtype=torch.float64).sqrt()
    table = BetaTable(linear_betas())
    found = table.draw(x0, generator).alpha.flatten().sort(descending=True).values
    yield near("each entry of the table", roots, found, rel=1e-9)
    shifted = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])  # Lin et al. 2024, algorithm 1
    found = ZeroTerminal(table).draw(x0, generator).alpha.flatten().sort(descending=True).values
    yield near("each entry of the table with zero SNR", shifted, found, rel=1e-9, abs=1e-12)
    first = []
    for _ in range(400):
        shares = Flow().draw(x0[:8], generator).sigma  # the straight line's sigma is the time
        yield _strata(shares)
        first.append(shares[0])
    standard_error = 1 / math.sqrt(12 * len(first))
    yield near("mean time of the first image", 0.5, torch.cat(first).mean(), abs=5 * standard_error)
    log_sigma = EDM().draw(x0[:50], generator).sigma.log()
    yield _strata(torch.distributions.Normal(-1.2, 1.2).cdf(log_sigma))


@check(
    "where no signal is left eps and the score are refused, and nothing else ever is",
    "Salimans & Ho 2022, section 4; Lin et al. 2024, section 3.3",
)
def refused_targets() -> Iterator[Finding]:
    schedules: dict[str, Schedule] = {name: make() for name, make in SCHEDULES.items()}
    schedules["linear with zero SNR"] = ZeroTerminal(SCHEDULES["linear"]())
    schedules["log-snr to alpha = sigma"] = LogSNR(least=0.0)
    for name, schedule in schedules.items():
        lost = schedule(at(1.0)).alpha.item() == 0
        for target in TARGETS:
            try:
                check_pair(schedule, target)
                refused = False
            except ValueError:
                refused = True
            yield near(f"{target}, {name}", float(lost and target in ("eps", "score")), float(refused))
