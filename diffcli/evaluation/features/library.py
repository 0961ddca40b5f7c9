"""The well-known networks, by way of torch-fidelity: only where it and their weights are on this machine already."""

import contextlib
import hashlib
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

from diffcli.data.dataset import to_pixels
from diffcli.errors import EnvironmentProblem
from diffcli.evaluation.features.encoder import Encoder

BATCH = 16
EXTRA = "pip install 'diffcli[torch-fidelity]'"


class Published(NamedTuple):
    """A network with published weights.

    registered:  its name in torch-fidelity
    layer:       what torch-fidelity calls its features
    dimensions:  of them
    side:        that images are resized to
    weights:     name of its file in torch's folder of checkpoints
    code:        folder of its code in torch's hub, where it is not torch-fidelity's
    title:       for people
    """

    registered: str
    layer: str
    dimensions: int
    side: int
    weights: str
    title: str
    code: str = ""


LIBRARY: dict[str, Published] = {
    "inception": Published(
        "inception-v3-compat", "2048", 2048, 299, "weights-inception-2015-12-05-6726825d.pth", "Inception v3 of the FID"
    ),
    "dinov2": Published(
        "dinov2-vit-l-14", "dinov2", 1024, 224, "dinov2_vitl14_pretrain.pth", "DINOv2 ViT-L/14",
        "facebookresearch_dinov2_main",
    ),
    "clip": Published(
        "clip-vit-b-32", "clip", 512, 224,
        "clip-vit-b-32-40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af.pt", "CLIP ViT-B/32",
    ),
}  # fmt: skip


def library_encoder(name: str, device: torch.device) -> Encoder:
    """One of `LIBRARY`; raises EnvironmentProblem where torch-fidelity or the weights are not here. Fetches nothing."""
    published = LIBRARY[name]
    registry = _registry(name)
    weights = _weights(name, published)
    with _offline(published):
        network = registry[published.registered](published.registered, [published.layer])
    return Encoder(
        name=name,
        digest=_digest(weights),
        dimensions=published.dimensions,
        preprocessing=f"8-bit colour (grey repeated), resized to {published.side}x{published.side} by torch-fidelity "
        "(bilinear as in TensorFlow 1, without antialiasing)",
        classes=(),
        accuracy=None,
        encode=partial(_encode, network.eval().to(device), device),
        probabilities=None,
        origin=f"{published.title}, torch-fidelity's {published.registered}",
        batch=BATCH,
    )


def _registry(name: str) -> Any:
    try:
        return importlib.import_module("torch_fidelity.registry").FEATURE_EXTRACTORS_REGISTRY
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(f"--features {name} needs torch-fidelity", f"it is an extra: {EXTRA}") from error


def _weights(name: str, published: Published) -> Path:
    """The file of weights; raises EnvironmentProblem with the place where it should be."""
    hub = Path(torch.hub.get_dir())
    weights = hub / "checkpoints" / published.weights
    if not weights.is_file():
        raise EnvironmentProblem(
            f"the weights of {name} are not here: there is no {published.weights} in {weights.parent}",
            "put the file there; diffcli does not download it",
        )
    if published.code and not (hub / published.code).is_dir():
        raise EnvironmentProblem(
            f"the code of {name} is not here: there is no folder {published.code} in {hub}",
            "put the repository there; diffcli does not download it",
        )
    return weights


@contextlib.contextmanager
def _offline(published: Published) -> Iterator[None]:
    """Inside, torch.hub takes code from the disk without asking for its newest version."""

    def refused(*_: Any, **__: Any) -> Any:
        raise EnvironmentProblem(f"{published.title} is not here as a whole", "diffcli does not download it")

    load, code = torch.hub.load, str(Path(torch.hub.get_dir()) / published.code)
    with (
        mock.patch.object(torch.hub, "load", lambda _, *rest, **more: load(code, *rest, source="local", **more)),
        mock.patch.object(torch.hub, "download_url_to_file", refused),
        mock.patch.object(torch.hub, "urlopen", refused),
    ):
        yield


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@torch.no_grad()
def _encode(network: Any, device: torch.device, images: Tensor) -> Tensor:
    pixels = to_pixels(images)
    with torch.backends.cudnn.flags(allow_tf32=False):
        return network(pixels.expand(-1, 3, -1, -1).to(device))[0].float().cpu()
