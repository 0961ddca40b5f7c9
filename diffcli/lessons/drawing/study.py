"""The lesson of `diffcli draw`: draws by one method or by all, their picture, and what they are worth."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.randomness import keyed
from diffcli.lessons.drawing import ALL
from diffcli.lessons.drawing.pictures import comparison_figure, method_figure
from diffcli.lessons.drawing.report import LEADS, draws_document, draws_lines, draws_seen, next_command
from diffcli.lessons.drawing.samples import DrawingSetting, samples_by_method
from diffcli.pictures.figures import write_figure


def study_draws(setting: DrawingSetting, made: Lesson, show: Show) -> None:
    """Draw by every chosen method, and fill the lesson."""
    samples = list(samples_by_method(setting, show))
    if setting.method == ALL:
        figure = comparison_figure(setting.law, setting.name, samples)
    else:
        figure = method_figure(setting.law, setting.name, samples[0], keyed(setting.seed, "draw figure"))
    write_figure(figure, made.figure("draw.png"))
    made.document = draws_document(setting, samples)
    made.lines = draws_lines(setting, samples)
    made.seen = draws_seen(setting, samples)
    made.leads = LEADS[setting.method]
    made.next = next_command(setting)
