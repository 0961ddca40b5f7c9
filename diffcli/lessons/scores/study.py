"""The lesson of `diffcli score`: estimators trained side by side, and their gradients' noise at the true score."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.lessons.scores import estimators, gradient_noise
from diffcli.lessons.scores.estimators import EstimatorOutcome, EstimatorSetting, FreshPoints
from diffcli.lessons.scores.gradient_noise import GradientNoise
from diffcli.lessons.scores.pictures import curves_figure, fields_figure
from diffcli.lessons.scores.report import LEADS, estimators_document, estimators_lines, estimators_seen
from diffcli.metrics.fields import compare
from diffcli.pictures.figures import write_figure
from diffcli.system.text import duration

FIGURES = 10  # seconds that they take


def study_scores(setting: EstimatorSetting, made: Lesson, show: Show) -> None:
    """Train and measure every estimator, and fill the lesson."""
    test = FreshPoints.of(setting.data, setting.seed)
    show.note(f"time: about {_estimated_time(setting, test)}")
    floor = error_of_training_points(setting, test)
    outcomes = trained(setting, test, show)
    noise = noise_over_sigma(setting, show)

    write_figure(fields_figure(setting, outcomes, test.size), made.figure("fields.png"))
    write_figure(curves_figure(setting, outcomes, floor, noise), made.figure("curves.png"))

    made.document = estimators_document(setting, outcomes, test, floor, noise)
    made.lines = estimators_lines(setting, outcomes, floor)
    made.seen = estimators_seen(setting, outcomes, noise)
    made.leads = LEADS
    made.next = "diffcli train --dataset mixture"


def _estimated_time(setting: EstimatorSetting, test: FreshPoints) -> str:
    """How long the training will take, and the figures."""
    seconds = sum(setting.steps * estimators.seconds_per_step(setting, name, test) for name in setting.methods)
    return duration(1.2 * seconds + FIGURES)


def error_of_training_points(setting: EstimatorSetting, test: FreshPoints) -> float | None:
    """How far the training points' own score is off: what no estimator can be below. None where it is the truth."""
    if not setting.data.known:
        return None
    some = slice(0, estimators.BETWEEN)
    own = setting.data.own_score(test.x[some].double())
    return compare(own, test.true[some]).relative_error


def trained(setting: EstimatorSetting, test: FreshPoints, show: Show) -> dict[str, EstimatorOutcome]:
    """Every estimator's outcome, measured."""
    outcomes: dict[str, EstimatorOutcome] = {}
    with show.progress("training", setting.steps * len(setting.methods), "steps") as bar:
        for i, name in enumerate(setting.methods):
            for step, loss, outcome in estimators.train_estimator(setting, name, test):
                outcomes[name] = outcome
                bar.update(i * setting.steps + step, f"{name}, loss {loss:.2f}")
    unit = estimators.first_gradient(setting)
    for name, outcome in outcomes.items():
        estimators.measure_outcome(setting, name, outcome, test, unit)
    return outcomes


def noise_over_sigma(setting: EstimatorSetting, show: Show) -> GradientNoise:
    """The noise of the gradients at the true score, at every noise level."""
    with show.progress("the noise of the gradients", gradient_noise.COUNT, "noise levels") as bar:
        for noise in gradient_noise.over_sigma(setting.data, setting.projections, setting.directions, setting.seed):
            bar.update(len(noise.sigmas))
    return noise
