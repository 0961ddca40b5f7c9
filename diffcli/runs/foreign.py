"""Autoencoders of the library diffusers, in whose latents models can be trained: an `AutoencoderKL` in a folder."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from diffcli.core.processes.variational import Posterior
from diffcli.errors import CheckpointProblem, EnvironmentProblem
from diffcli.system.files import is_file

CONFIG = "config.json"
KIND = "AutoencoderKL"


class ForeignAutoencoder(nn.Module):
    """An `AutoencoderKL` behind the two functions that a codec needs.

    config:  what its config.json says; z is what it was before its scaling_factor and shift_factor
    """

    def __init__(self, inner: Any, config: dict[str, Any]) -> None:
        super().__init__()
        self.inner, self.config = inner, config
        self.factor = 2 ** (len(config["block_out_channels"]) - 1)

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation that its latents are said to have."""
        return float(self.config.get("shift_factor") or 0.0), 1 / float(self.config.get("scaling_factor") or 1.0)

    def encode(self, x: Tensor) -> Posterior:
        """q(z | x) of images [B, C, H, W]."""
        found = self.inner.encode(x).latent_dist
        return Posterior(found.mean, found.std)

    def decode(self, z: Tensor) -> Tensor:
        """Images of latents [B, c, h, w]."""
        found: Tensor = self.inner.decode(z).sample
        return found


def is_foreign(target: str) -> bool:
    """Whether this is a folder with an autoencoder of diffusers."""
    return is_file(Path(target) / CONFIG)


def read_foreign(target: str) -> ForeignAutoencoder:
    """The autoencoder in a folder; raises CheckpointProblem, or EnvironmentProblem where diffusers is not installed."""
    config = _config(target)
    library = _library()
    try:
        return ForeignAutoencoder(library.from_pretrained(target, local_files_only=True, use_safetensors=True), config)
    except Exception as error:  # whatever a library finds wrong with a file
        line = str(error).strip().partition("\n")[0]
        raise CheckpointProblem(f"{target} holds no whole {KIND}: {line}") from None


def built_foreign(config: dict[str, Any]) -> ForeignAutoencoder:
    """The autoencoder that a config describes, its weights still to be filled in; raises as `read_foreign` does."""
    try:
        return ForeignAutoencoder(_library().from_config(config), config)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointProblem(f"the checkpoint describes no {KIND}: {error}") from None


def _config(target: str) -> dict[str, Any]:
    path = Path(target) / CONFIG
    try:
        found = json.loads(path.read_text("utf-8"))
        name = found.get("_class_name")
    except (OSError, ValueError, AttributeError):
        raise CheckpointProblem(f"{path} is no configuration of an autoencoder") from None
    if name != KIND or not found.get("block_out_channels"):
        raise CheckpointProblem(f"{target} holds {name or 'something else'}, not an {KIND}", "name a folder with one")
    return {key: value for key, value in found.items() if not key.startswith("_name")}


def _library() -> Any:
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise EnvironmentProblem(f"an {KIND} needs the library diffusers", "pip install 'diffcli[diffusers]'") from None
    return AutoencoderKL
