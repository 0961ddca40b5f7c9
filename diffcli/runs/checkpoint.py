"""One file per checkpoint: safetensors with a digest of everything in it, replaced atomically, no pickle."""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from diffcli.errors import CheckpointProblem
from diffcli.system.files import write_atomically

FORMAT = 2  # 1 had recipes without tables, and the history of losses in the model


def write_checkpoint(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and a JSON description, atomically; raises EnvironmentProblem where that cannot be done."""
    metadata = {"format": str(FORMAT), "about": json.dumps(about, sort_keys=True)}
    content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)
    header, data = _parts(content)
    header["__metadata__"]["digest"] = _digest(header, data)
    text = json.dumps(header, sort_keys=True).encode()  # safetensors writes metadata in any order
    text += b" " * (-len(text) % 8)
    write_atomically(path, len(text).to_bytes(8, "little") + text + data)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the description; raises CheckpointProblem unless the file is whole and unaltered."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointProblem(f"cannot read {path}: {error.strerror}") from None
    if content[8:9] != b"{" and (content[:1] == b"\x80" or content[:4] == b"PK\x03\x04"):
        raise CheckpointProblem(
            f"{path} is a pickle, not a safetensors file", "diffcli never loads pickles: they can run code"
        )
    try:
        header, data = _parts(content)
        metadata = header["__metadata__"]
        expected, version = metadata.pop("digest"), int(metadata["format"])
        about = json.loads(metadata["about"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointProblem(f"{path} is damaged or not a diffcli checkpoint") from error
    if _digest(header, data) != expected:
        raise CheckpointProblem(f"{path} is damaged: its content does not match its digest")
    if version > FORMAT:
        raise CheckpointProblem(f"{path} was written by a newer diffcli (format {version})", "upgrade diffcli")
    try:
        return safetensors.torch.load(content), about
    except safetensors.SafetensorError as error:
        raise CheckpointProblem(f"{path} is damaged: {error}") from error


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file: 8 bytes of length, JSON, tensors."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("truncated")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _digest(header: dict[str, Any], data: bytes) -> str:
    digest = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=32)
    digest.update(data)
    return digest.hexdigest()
