"""The checkpoint file: whole or refused."""

import errno
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from diffcli.errors import CheckpointProblem, EnvironmentProblem
from diffcli.runs import checkpoint

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "c": torch.randn(4, 2, 2).to(torch.bfloat16)}
ABOUT = {"step": 7, "classes": ["ä", "b"], "nothing": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoint.write_checkpoint(tmp_path / "x.safetensors", TENSORS, ABOUT)
    return tmp_path / "x.safetensors"


def test_what_is_saved_is_loaded(path: Path) -> None:
    tensors, about = checkpoint.read_checkpoint(path)
    assert about == ABOUT
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_it_is_a_safetensors_file_that_others_can_read(path: Path) -> None:
    assert torch.equal(safetensors.torch.load_file(path)["a"], TENSORS["a"])
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "2"


def test_channels_last_weights_keep_their_values(tmp_path: Path) -> None:
    weight = torch.randn(3, 2, 4, 4).to(memory_format=torch.channels_last)
    checkpoint.write_checkpoint(tmp_path / "y.safetensors", {"w": weight}, {})
    assert torch.equal(checkpoint.read_checkpoint(tmp_path / "y.safetensors")[0]["w"], weight)


def test_a_flip_of_any_bit_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in (0, 4, 7):
            altered = bytearray(content)
            altered[place] ^= 1 << bit
            path.write_bytes(altered)
            with pytest.raises(CheckpointProblem):
                checkpoint.read_checkpoint(path)


def test_a_file_cut_anywhere_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointProblem):
            checkpoint.read_checkpoint(path)


def test_a_file_with_something_appended_is_noticed(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointProblem):
        checkpoint.read_checkpoint(path)


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("false",)

    for zipped in (True, False):
        path = tmp_path / "bomb.safetensors"
        torch.save(Bomb(), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointProblem, match="pickle"):
            checkpoint.read_checkpoint(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        checkpoint.write_checkpoint(path, TENSORS, {"step": 8})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_newer_format_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    checkpoint.write_checkpoint(path, TENSORS, ABOUT)
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(CheckpointProblem, match="newer"):
        checkpoint.read_checkpoint(path)
