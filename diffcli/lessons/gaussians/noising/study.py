"""The lesson of `diffcli noise chain`: data that walk to noise step by step, and data that jump."""

from diffcli.console.results import Lesson
from diffcli.console.show import Show
from diffcli.core.diffusion.job import spread
from diffcli.lessons.gaussians.noising.pictures import images_figure, paths_figure, points_sheet
from diffcli.lessons.gaussians.noising.report import LEADS, laws_held, walk_document, walk_lines, walk_seen
from diffcli.lessons.gaussians.noising.setting import NoisingSetting
from diffcli.lessons.gaussians.noising.walk import ChainBesideJump, levels_up, noise_correlations, walked
from diffcli.pictures.figures import write_figure
from diffcli.pictures.grid import save_png
from diffcli.sampling.planes import PlanarData

PANELS = 4  # times at which laws and points are shown


def study_chain_and_jump(setting: NoisingSetting, made: Lesson, show: Show) -> None:
    """Walk and jump, and fill the lesson."""
    walk = walked(setting.x0, levels_up(setting.schedule, setting.steps), setting.seed, show)
    held, correlations = laws_held(walk), noise_correlations(walk)
    made.document = walk_document(walk, held, correlations) | {
        "schedule": setting.schedule_name,
        "steps": setting.steps,
        "dataset": setting.dataset,
        "value": setting.value,
        "shape": [*setting.x0.shape],
    }
    made.lines = walk_lines(walk, held)
    made.seen = walk_seen(held, correlations)
    made.leads = LEADS
    made.next = "diffcli draw"
    write_pictures(setting, walk, made)


def write_pictures(setting: NoisingSetting, walk: ChainBesideJump, made: Lesson) -> None:
    """The paths and the laws; images and points of the plane are shown themselves, too."""
    stops = list(walk.chain)
    few = [stops[i] for i in spread(len(stops), PANELS)]
    title = f"The forward process, {setting.schedule_name} schedule, {setting.steps} steps"
    write_figure(paths_figure(walk, few, title), made.figure("chain.png"))
    if walk.x0.dim() == 4:
        write_figure(images_figure(walk), made.figure("images.png"))
    elif walk.x0.shape[1:] == (2,):
        plane = PlanarData.of_dataset(setting.dataset_name, setting.folder)
        save_png(made.figure("points.png"), points_sheet(walk, plane, few))
