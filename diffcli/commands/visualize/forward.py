"""diffcli visualize forward"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

FRAMES = 40  # of the animations
LARGEST = 256  # pixels of the longer side of --image


def forward(
    dataset: Annotated[str, typer.Option(help="A name (diffcli data lists them) or a folder of images.")] = "mnist",
    image: Annotated[Optional[Path], typer.Option(metavar="FILE", help="One image, instead of a data set.")] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="Noise schedule, e.g. flow.")] = "cosine",
    count: Annotated[
        Optional[int], typer.Option("--count", help="How many.  [4 images, 2000 points]", min=1, max=20_000)
    ] = None,
    columns: Annotated[
        Optional[int], typer.Option("--columns", help="Levels to show.  [9 of images, 6 of points]", min=2, max=20)
    ] = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The forward process: images or points on their way to noise, level by level."""
    import json

    import torch

    from diffcli.console.show import Show
    from diffcli.core.diffusion import bound
    from diffcli.core.randomness import image_noise
    from diffcli.data.kinds import kind_of
    from diffcli.data.points import TITLES
    from diffcli.pictures.figures import forward_figure
    from diffcli.pictures.grid import grid, save_gif, save_png
    from diffcli.pictures.points import extent, moving, row
    from diffcli.sampling.planes import PlanarData
    from diffcli.specs import schedule as make
    from diffcli.system.files import check_free, fresh_place, write_atomically
    from diffcli.system.text import finite

    show = Show(as_json=as_json, quiet=quiet)
    law = make(schedule)
    points = image is None and dataset in TITLES
    x0 = items(dataset, image, count or (2000 if points else 4), seed, data)
    if not points and len(x0) > 20:
        raise UsageProblem(f"--count must be at most 20 for images, not {count}")
    columns = columns or (6 if points else 9)
    eps = image_noise(seed, "start", range(len(x0)), x0.shape[1:])
    times = torch.linspace(0, 1, columns, dtype=torch.float64)
    levels = [law(t) for t in times]
    end = law(torch.ones((), dtype=torch.float64))
    bits = bound.prior(x0.double(), end).mean().item() / (x0[0].numel() * math.log(2))
    snr = (end.alpha / end.sigma).square().item()

    kind = kind_of(x0.shape[1:])
    path = [law(t) for t in torch.linspace(0, 1, FRAMES, dtype=torch.float64)]
    document = {
        "schedule": schedule,
        "levels": [
            {
                "t": t.item(),
                "alpha": level.alpha.item(),
                "sigma": level.sigma.item(),
                "log_snr": level.log_snr.item(),
            }
            for t, level in zip(times, levels, strict=True)
        ],
        "terminal_snr": snr,
        "prior_kl_bits_per_dim": bits,
    }
    with fresh_place(out, "forward", "forward.png", "forward.gif") as (figure, gif, folder):
        metrics = folder / "metrics.json" if folder == figure.parent else figure.with_suffix(".json")
        check_free(metrics)
        if kind.bounded:
            shown = [level.noised(x0, eps) / torch.hypot(*level) for level in levels]
            forward_figure(figure, shown, times, levels, law, schedule)
            save_gif(gif, [grid(level.noised(x0, eps) / torch.hypot(*level), width=600) for level in path])
        else:
            plane = PlanarData.of_dataset(dataset, data)
            strip = plane.panels([(level, level.noised(x0, eps)) for level in levels])
            save_png(figure, row(strip, title=f"The forward process, {schedule} schedule", side=2.4))
            film = plane.panels([(level, level.noised(x0, eps)) for level in path])
            save_gif(gif, list(moving(film, limit=extent(strip))))
        write_atomically(metrics, (json.dumps(finite(document), indent=2) + "\n").encode())

    document |= {"figure": str(figure), "animation": str(gif), "metrics": str(metrics)}
    lines = [
        f"{schedule} ends at signal-to-noise {snr:.2g}, {bits:.2g} bits/dim from its prior: {_verdict(bits)}",
        "A diffusion model learns the way back: it is shown x at any level and asked what it was without noise.",
        str(figure),
        str(gif),
        str(metrics),
        "next: diffcli train",
    ]
    show.result(document, lines)


def _verdict(bits: float) -> str:
    """Whether sampling may start from pure noise."""
    if bits == 0:
        return "exactly noise"
    if bits < 1e-3:
        return "noise for all purposes"
    return "not yet noise: samples that start from noise will be off in brightness"


def items(dataset: str, image: Path | None, count: int, seed: int, data: Path | None) -> "Tensor":
    """Data to show or to walk from [N, ...]: one file's, or some of a data set, one of each class first."""
    import torch

    from diffcli.core.randomness import keyed
    from diffcli.data import loading as datasets
    from diffcli.data.dataset import to_unit
    from diffcli.data.images import GREY, header, read_image

    if image is not None:
        mode, (width, height) = header(image)
        factor = min(1.0, LARGEST / max(width, height))
        shape = (
            1 if mode in GREY else 3,
            max(1, round(height * factor)),
            max(1, round(width * factor)),
        )
        return to_unit(read_image(image, shape)).unsqueeze(0)
    found = datasets.load_dataset(dataset, data=data)
    order = torch.randperm(len(found), generator=keyed(seed, "show"))[: max(1000, count)]
    if found.labels is not None:  # one of each class first, then the second of each
        labels = found.labels[order]
        rank = torch.nn.functional.one_hot(labels).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
        order = order[rank.argsort(stable=True)]
    return found.take(order[:count])[0]
