"""The lesson of `diffcli noise gaussian`: draws of two Gaussians, and what operations make of the laws and of them."""

import torch

from diffcli.console.results import Lesson
from diffcli.core.randomness import keyed
from diffcli.lessons.gaussians.measures import moments
from diffcli.lessons.gaussians.operations import (
    GaussianSetting,
    Operation,
    conditional,
    divergences,
    operation,
    product,
)
from diffcli.lessons.gaussians.pictures import algebra_figure, density_figure
from diffcli.lessons.gaussians.report import LEADS, gaussian_lines, gaussian_seen, moments_document
from diffcli.pictures.figures import write_figure


def study_gaussians(setting: GaussianSetting, made: Lesson) -> None:
    """Draw, map, add, multiply and condition, and fill the lesson."""
    first, second, count, seed = setting.first, setting.second, setting.count, setting.seed
    x, z = (law.draw(count, keyed(seed, "gaussian", i)) for i, law in enumerate((first, second)))
    uniform = torch.rand(count, generator=keyed(seed, "product"), dtype=torch.float64)
    found = moments(x, first)
    own = Operation("draws", "x", first, x, found)
    multiplied, constant = product(first, second, x, uniform)
    operations = [
        operation("affine", "A x + b", setting.mapped, x @ setting.matrix.mT + setting.shift),
        operation("sum", "x + z", first.plus(second), x + z),
        multiplied,
        conditional(first, second, x, z, setting.given),
    ]
    apart = divergences((first, second), (x, z))

    write_figure(density_figure(first, x, found.deviation(first)), made.figure("density.png"))
    algebra = algebra_figure((first, second), (x, z), operations, apart)
    write_figure(algebra, made.figure("algebra.png"))

    made.document = {"count": count, "product_constant": constant._asdict(), "dim": len(first.mean)}
    made.document |= moments_document(first, found)
    made.document["operations"] = {one.name: moments_document(one.truth, one.measured) for one in operations}
    made.document["kl"] = {name: divergence._asdict() for name, divergence in apart.items()}
    made.lines = gaussian_lines(own, operations, apart)
    made.seen = gaussian_seen(own, operations, apart)
    made.leads = LEADS
    made.next = "diffcli noise chain"
