"""Every check, in the order in which to read them: this imports all modules that have some."""

import torch

from diffcli.checks.check import CHECKS, Check


def all_checks() -> dict[str, Check]:
    """Every check by name, in the order in which to read them. From here on torch takes one thread.

    What they compute is small: two threads gain nothing, and beside a busy neighbour wait for each other.
    """
    torch.set_num_threads(1)
    from diffcli.checks.diffusion import schedules, denoisers, exact, losses  # noqa: F401, I001
    from diffcli.checks.diffusion import on_gaussians, algorithms, orders, finite, editing, jobs, gaussian_flow  # noqa: F401, I001
    from diffcli.checks.diffusion import multistep, flows  # noqa: F401, I001
    from diffcli.checks.processes import kernels, gaussians, line, toys, drawing, steps  # noqa: F401, I001
    from diffcli.checks.processes import randomness, chains, autoregressions  # noqa: F401, I001
    from diffcli.checks.processes import langevin, annealing, problems, variational, pixels  # noqa: F401, I001
    from diffcli.checks.evaluation import vae_bounds  # noqa: F401, I001
    from diffcli.checks.processes import corruption  # noqa: F401, I001
    from diffcli.checks.evaluation import memorisation, quality, tiles, features  # noqa: F401, I001
    from diffcli.checks.evaluation import frechet, feature_distances, coverage, resampling  # noqa: F401, I001
    from diffcli.checks.evaluation import feature_likelihood, judging, strata, obedience  # noqa: F401, I001
    from diffcli.checks.diffusion import score_matching, bound, weightings, likelihood, solver, contracts, conditions  # noqa: F401, I001
    from diffcli.checks.diffusion import walks, latent  # noqa: F401, I001
    from diffcli.checks.evaluation import linear_codes  # noqa: F401, I001
    from diffcli.checks.models import layers, networks, autoencoders, lora, control  # noqa: F401, I001
    from diffcli.checks.data import reading, hints, canvases  # noqa: F401, I001
    from diffcli.checks.parameters import defaults, limits  # noqa: F401, I001

    return CHECKS
