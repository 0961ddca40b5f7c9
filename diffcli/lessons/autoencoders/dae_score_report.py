"""What is drawn and said of the score in a denoiser."""

from diffcli.console.results import Lesson
from diffcli.console.show import table
from diffcli.lessons.autoencoders.dae_pictures import learned_score_figure
from diffcli.lessons.autoencoders.dae_score import DenoisingScore, DenoisingScoreStudy
from diffcli.pictures.figures import write_figure

EXPLAINED = [
    "error: relative root mean square to the score of the noised data",
    "to data: the same to the score of the data, which have no noise",
    "exact: that error of the best denoiser, known in closed form",
]


def fill(made: Lesson, study: DenoisingScoreStudy, found: DenoisingScore) -> None:
    """Figure, document and lines."""
    sigma, rows = study.sigma, found.rows
    write_figure(learned_score_figure(found.field, rows, sigma), made.figure("score.png"))
    here = next(row for row in rows if row["sigma"] == sigma)
    made.document = {"steps": study.steps, "count": study.count, **here, "rows": rows}
    heads = ["sigma", "corr.", "cosine", "error", "exact", "to data", "exact"]
    made.lines = [*table(heads, [_cells(row) for row in rows], right=range(7)), *EXPLAINED]
    made.seen = (
        f"At sigma {sigma:g} the denoiser's (r(x) - x) / sigma² is the score of the noised data to "
        f"{100 * here['relative_error']:.1f} ± {100 * here['relative_error_se']:.1f} %, with correlation "
        f"{here['correlation']:.4f}; of the best denoiser it is that score exactly ({here['exact_error']:.0e})."
    )
    made.leads = (
        "A denoiser at every sigma is a score at every sigma, and following it from noise to data draws points "
        f"(the law of the data has the score only in the limit: {100 * rows[0]['exact_to_data']:.1f} % off at "
        f"sigma {rows[0]['sigma']:.2g})."
    )
    made.next = "diffcli train --dataset mixture"


def _cells(row: dict[str, float]) -> list[str]:
    return [
        f"{row['sigma']:.3g}",
        f"{row['correlation']:.4f}",
        f"{row['cosine']:.4f}",
        f"{row['relative_error']:.4f}",
        f"{row['exact_error']:.0e}",
        f"{row['learned_to_data']:.3f}",
        f"{row['exact_to_data']:.3f}",
    ]
