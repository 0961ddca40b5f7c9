"""The lesson of `diffcli ais`: the same constant with more and more temperatures, up and down."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.processes.montecarlo.annealing import LADDERS
from diffcli.lessons.annealing import COUNTS
from diffcli.lessons.annealing.pictures import LogWeights, ais_figure, particles_figure, snapshot
from diffcli.lessons.annealing.report import LEADS, constant_document, constant_lines, constant_seen, next_command
from diffcli.lessons.annealing.walks import AnnealingSetting, climbed, descended, moves_of, unmoved
from diffcli.lessons.annealing.weights import Closing, ConstantFound, closing, estimate
from diffcli.pictures.figures import write_figure


def study_constant(setting: AnnealingSetting, made: Lesson, show: Show) -> None:
    """Anneal with every number of temperatures, and fill the lesson."""
    problem, kernel_at = setting.problem, moves_of(setting)
    counts = [*(count for count in COUNTS if count < setting.temperatures), setting.temperatures]
    closings: list[Closing] = []
    with show.progress("annealing", sum(counts), "temperatures") as bar:
        for count in counts:
            betas = LADDERS[setting.ladder](count)
            climb = climbed(setting, betas, kernel_at(betas))
            down = descended(setting, betas, kernel_at(betas))
            closings.append(closing(count, climb.log_weights, down))
            bar.update(sum(counts[: len(closings)]))
    up, plain = climb.log_weights, unmoved(setting)
    found = ConstantFound(problem.log_z, closings, estimate(up), estimate(down), estimate(plain))

    figure = ais_figure(problem.log_z, LogWeights(up, -down, plain), climb, closings)
    write_figure(figure, made.figure("ais.png"))
    chains = particles_figure([snapshot(problem, kept) for kept in climb.kept])
    write_figure(chains, made.figure("particles.png"))

    made.document = constant_document(setting, found, climb.accepted.mean().item())
    made.lines = constant_lines(setting, found)
    made.seen = constant_seen(setting, found)
    made.leads = LEADS
    made.next = next_command(setting, found)
