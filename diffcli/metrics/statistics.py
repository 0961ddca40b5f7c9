"""How much a sample knows: standard errors, effective sample sizes, and whether it has the law that it should have.

scipy's laws take a second to import: only where they are asked for, because `sample` and `train` come by here.
"""

import math

import torch
from torch import Tensor


def autocorrelation(chains: Tensor) -> Tensor:
    """The autocorrelation of stationary chains [N, C] of one number each, [N]: 1 at lag 0; nan where nothing moves.

    The covariances are those of all C chains about their common mean, by the Fourier transform.
    """
    centred = chains.double() - chains.double().mean()
    padded = torch.fft.rfft(centred, n=2 * len(chains), dim=0)
    covariance = torch.fft.irfft(padded.abs().square(), dim=0)[: len(chains)].mean(1)
    return covariance / covariance[0]


def autocorrelation_time(chains: Tensor, window: float = 5.0) -> float:
    """Steps per independent draw, 1 + 2 (rho_1 + rho_2 + ...), of chains [N, C] of one number each.

    The sum ends at the first lag of at least `window` times its value (Sokal 1997, section 3), and no sooner than at
    twice the window, for chains that alternate. inf if nothing moves.
    """
    rho = autocorrelation(chains)
    if not bool(rho.isfinite().all()):
        return math.inf
    times = 2 * rho.cumsum(0) - 1
    enough = torch.arange(len(times)) >= window * times.clamp(min=2)
    last = int(enough.nonzero()[0]) if bool(enough.any()) else len(times) - 1
    return max(times[last].item(), 1 / len(chains))


def effective_count(chains: Tensor) -> float:
    """How many independent draws chains [N, C] of one number each are worth: all of them over the time."""
    return chains.numel() / autocorrelation_time(chains)


def effective_weights(log_weights: Tensor) -> float:
    """(Σ w)² / Σ w², between 1 and N, of log-weights [N] (Kong 1992); 0 if all are -inf."""
    size = (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp().item()
    return size if math.isfinite(size) else 0.0


def standard_error(values: Tensor) -> float:
    """Of the mean of independent values [N]: their standard deviation over √N; nan for one."""
    return (values.double().std() / math.sqrt(len(values))).item()


def kolmogorov_distance(u: Tensor, shares: Tensor | None = None) -> float:
    """The largest difference of two distribution functions: that of points u [N] in [0, 1], and the uniform one.

    For draws x of a law with the distribution function F, u = F(x).

    shares:  of 1, that each point has [N]; equal ones by default
    """
    if shares is None:
        from scipy import stats

        return float(stats.ks_1samp(u.flatten().double().numpy(), stats.uniform.cdf, method="asymp").statistic)
    ordered, places = u.sort()
    above = shares[places].cumsum(0)
    return max((above - ordered).max().item(), (ordered - above + shares[places]).max().item())


def ks_p_value(distance: float, count: float) -> float:
    """How often the empirical distribution of `count` true draws is at least this far off, Kolmogorov's two-sided test.

    count:  of independent draws, or as many as a chain's are worth
    """
    from scipy import stats

    return float(stats.kstwo.sf(distance, max(1, round(count))))


def chi2_p_value(statistic: float, degrees: int) -> float:
    """How often Pearson's statistic is at least this large by chance, with so many degrees of freedom."""
    from scipy import stats

    return float(stats.chi2.sf(statistic, degrees))
