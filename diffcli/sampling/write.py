"""What was drawn, written as pictures: a grid or a scatter, one file each, frames, an array."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from diffcli.pictures.deep import quantised, save_pixels
from diffcli.pictures.grid import layered, save_array, save_gif, save_png, shown_hints, single
from diffcli.pictures.samples import animation, scatter
from diffcli.sampling.draw import Samples
from diffcli.sampling.planes import PlanarData
from diffcli.sampling.prepare import Prepared
from diffcli.system.files import OutputPlace


class Output(NamedTuple):
    """What to write, and where.

    place:    of the picture, the animation and the single images
    strip:    columns of the samples that lie between two, which become an animation too; 0 for a grid
    animate:  whether the walk becomes an animation
    depth:    bits per channel of images, 8 or 16; animations have 8
    """

    place: OutputPlace
    array: Path | None = None
    each: bool = False
    animate: bool = False
    strip: int = 0
    depth: int = 8


def write(
    prepared: Prepared, samples: Samples, output: Output, facts: dict[str, Any], data: Path | None
) -> tuple[list[Path], list[Path]]:
    """Write all that is wanted; the paths of the pictures and arrays, and those of the single images.

    facts:  to be kept in the pictures
    data:   folder to look for data sets in first
    """
    place, model = output.place, prepared.model
    written = [place.picture]
    plane = PlanarData.of_model(model, data)
    density = plane.density() if plane else None
    if model.items.kind.dimensions == 3:
        rows = [shown_hints(hints, samples.x) for hints in prepared.hinted.of(prepared.count).values()]
        whole = layered([*rows, samples.x], output.strip, above=prepared.source)
        pixels = quantised(whole, output.depth)
    else:
        pixels = np.asarray(scatter(samples.x, density=density, law=model.exact))
    save_pixels(written[0], pixels, facts)
    if output.animate or output.strip:
        written.append(place.animation)
        moving = animation(samples.frames, samples.levels, density) if output.animate else map(single, samples.x)
        save_gif(written[-1], list(moving))
    for path, hint in _found_hints(prepared, place):
        written.append(path)
        save_png(path, single(hint))
    suffix = place.picture.suffix.lower()
    singles = [place.singles / f"{i:05d}{suffix}" for i in range(prepared.count)] if output.each else []
    if output.each:
        place.singles.mkdir(exist_ok=True)
    for path, image in zip(singles, samples.x, strict=False):
        save_pixels(path, quantised(image, output.depth), facts)
    if output.array:
        written.append(output.array)
        save_array(output.array, samples.x)
        if samples.walked is not None:
            written.append(output.array.with_suffix(f".latents{output.array.suffix}"))
            save_array(written[-1], samples.walked)
    return written, singles


def _found_hints(prepared: Prepared, place: OutputPlace) -> Iterator[tuple[Path, Tensor]]:
    """Hints that were found in images, [k, H, W], each beside the picture, from where --hint takes it."""
    if prepared.hinted.found:
        for name, hints in prepared.hinted.hints:
            for i, hint in enumerate(hints):
                number = "" if len(hints) == 1 else f"-{i:03d}"
                yield place.picture.with_name(f"{place.picture.stem}.{name}{number}.png"), hint
