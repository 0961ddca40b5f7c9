"""The well-known networks, by way of torch-fidelity: only where it and their weights are on this machine already."""

import contextlib
import hashlib
import importlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.data.dataset import to_pixels
from diffcli.errors import EnvironmentProblem
from diffcli.evaluation.features.encoder import Encoder

BATCH = 16
EXTRA = "pip install 'diffcli[torch-fidelity]'"
OFFLINE = "put it there; diffcli does not download it"


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
    digest = _verified(_weights(name, published), published)
    with _offline(published):
        network = registry[published.registered](published.registered, [published.layer])
    return Encoder(
        name=name,
        digest=digest,
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
    """The networks that torch-fidelity has, by its names."""
    try:
        return importlib.import_module("torch_fidelity.registry").FEATURE_EXTRACTORS_REGISTRY
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(f"--features {name} needs the extra torch-fidelity", EXTRA) from error
    except Exception as error:  # it imports torchvision: whatever a mismatch with torch leads to
        raise EnvironmentProblem(f"torch-fidelity cannot be imported: {error}", EXTRA) from error


def _weights(name: str, published: Published) -> Path:
    """The file of weights; raises EnvironmentProblem with the place where it, or the code, should be."""
    hub = Path(torch.hub.get_dir())
    weights, code = hub / "checkpoints" / published.weights, hub / published.code
    if not weights.is_file():
        raise EnvironmentProblem(
            f"the weights of {name} are not here: there is no {published.weights} in {weights.parent}", OFFLINE
        )
    if not code.is_dir():
        raise EnvironmentProblem(f"the code of {name} is not here: there is no folder {code.name} in {hub}", OFFLINE)
    return weights


def _verified(weights: Path, published: Published) -> str:
    """16 hexadecimal digits of the file's sha256; raises EnvironmentProblem if it is not what it should be.

    torch-fidelity reads it as a pickle, which could run code: so its name must have its checksum, as torch's hub gives
    it, or torch must find nothing but weights in it.
    """
    with weights.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    told = re.search(r"-([0-9a-f]{8,64})\.", weights.name)
    sound = checksum.startswith(told[1]) if told else _only_weights(weights)
    if not sound:
        raise EnvironmentProblem(f"{weights} is not the file of {published.title}", "delete it, or put it there again")
    return checksum[:16]


def _only_weights(path: Path) -> bool:
    try:
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # UnpicklingError, EOFError, RuntimeError: whatever a file of something else leads to
        return False
    return True


@contextlib.contextmanager
def _offline(published: Published) -> Iterator[None]:
    """Inside, torch's hub takes code from the disk without asking for its newest version, and fetches nothing."""
    hub, code = torch.hub, str(Path(torch.hub.get_dir()) / published.code)
    load = hub.load

    def refused(*_: Any, **__: Any) -> Any:
        raise EnvironmentProblem(f"{published.title} is not here as a whole", OFFLINE)

    instead = {
        "load": lambda _, *rest, **more: load(code, *rest, source="local", **more),
        "download_url_to_file": refused,
        "urlopen": refused,
    }
    before = {name: getattr(hub, name) for name in instead}
    try:
        for name, function in instead.items():
            setattr(hub, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(hub, name, function)


@torch.no_grad()
def _encode(network: Any, device: torch.device, images: Tensor) -> Tensor:
    pixels = to_pixels(images)
    with torch.backends.cudnn.flags(allow_tf32=False):
        return network(pixels.expand(-1, 3, -1, -1).to(device))[0].float().cpu()
