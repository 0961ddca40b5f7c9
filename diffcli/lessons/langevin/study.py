"""The lesson of `diffcli langevin`: the dynamics from one start, and what the size of their step costs."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.lessons.langevin import NAMES
from diffcli.lessons.langevin.dynamics import DynamicsOutcome, walked_by
from diffcli.lessons.langevin.pictures import bias_figure, compared, film, scores_figure
from diffcli.lessons.langevin.report import LEADS, dynamics_document, dynamics_lines, dynamics_seen
from diffcli.lessons.langevin.setting import DynamicsSetting
from diffcli.lessons.langevin.step_bias import step_bias
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import save_gif, save_png

SECONDS = 5.0  # of the animation


def study_dynamics(setting: DynamicsSetting, made: Lesson, show: Show) -> None:
    """Walk by every chosen dynamics, and fill the lesson."""
    outcomes: dict[str, DynamicsOutcome] = {}
    with show.progress("walking", setting.steps * len(setting.methods), "steps") as bar:
        for i, name in enumerate(setting.methods):
            for done, outcome in walked_by(setting, name):
                outcomes[name] = outcome
                bar.update(i * setting.steps + done, NAMES[name])
    bias = step_bias(setting)

    save_png(made.figure("compare.png"), compared(setting, outcomes))
    write_figure(scores_figure(setting), made.figure("score.png"))
    write_figure(bias_figure(bias), made.figure("bias.png"))
    save_gif(made.figure("langevin.gif"), list(film(setting, outcomes)), seconds=SECONDS)

    made.document = dynamics_document(setting, outcomes) | {"bias": bias._asdict()}
    made.lines = dynamics_lines(setting, outcomes)
    made.seen = dynamics_seen(setting, outcomes)
    made.leads = LEADS
    made.next = "diffcli ais"
