"""The encoders by name, as --features takes them."""

from dataclasses import replace
from pathlib import Path

import torch

from diffcli.console.show import Show
from diffcli.data.reading import PLAIN, Reading
from diffcli.errors import CheckpointProblem, one_of
from diffcli.evaluation.features.encoder import Encoder as Encoder
from diffcli.evaluation.features.encoder import EncoderElsewhere
from diffcli.evaluation.features.judge import from_file, images_of, judge
from diffcli.evaluation.features.library import LIBRARY, library_encoder
from diffcli.evaluation.features.pixels import pixels
from diffcli.system.files import expanded

NAMES = ("judge", "pixels", *LIBRARY)
SUFFIX = ".safetensors"


def encoder(
    name: str,
    reference: str,
    data: Path | None,
    device: torch.device,
    show: Show,
    *,
    reading: Reading = PLAIN,
    train: bool = True,
) -> Encoder:
    """An encoder by name: judge, pixels, inception, dinov2, clip, or a judge in a file.

    reference:  data set, by name or folder, that images are judged against; its training images make the judge
    data:       a folder to look in first for its files
    reading:    how the files of a folder are read
    train:      whether a judge may be trained where there is none

    Raises UsageProblem for an unknown name, CheckpointProblem for a file that is no judge, EnvironmentProblem where a
    package or its weights are missing, and what `load_dataset` raises.
    """
    found = _named(name, reference, data, device, show, reading, train)
    return replace(found, elsewhere=EncoderElsewhere(name, reference, data, str(device), reading))


def _named(
    name: str, reference: str, data: Path | None, device: torch.device, show: Show, reading: Reading, train: bool
) -> Encoder:
    if name.endswith(SUFFIX):
        path = expanded(name)
        if not path.is_file():
            raise CheckpointProblem(f"there is no file {name}", "a judge is a file of --features judge")
        return from_file(path, images_of(reference, data, reading).shape[0], device)
    one_of(name, (*NAMES, f"FILE{SUFFIX}"), "features")
    if name == "judge":
        return judge(reference, data, device, show, reading=reading, train=train)
    if name == "pixels":
        return pixels(images_of(reference, data, reading).shape)
    return library_encoder(name, device)
