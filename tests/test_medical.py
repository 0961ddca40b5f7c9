"""DICOM and NIfTI: the numbers that the file means, and nothing of whom it shows."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli

from diffcli.data.folders import load_folder

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")

RNG = np.random.default_rng(0)
NAME = "Doe^Jane"


def dicom(path: Path, stored: np.ndarray, **facts: Any) -> Path:
    """A file of 16 or 8 bits, with everything of a patient that must not be told."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = Dataset()
    found.file_meta = meta
    found.PatientName, found.PatientID, found.PatientBirthDate, found.StudyDate = NAME, "4711", "19700101", "20200202"
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    several = stored.ndim == 3 and stored.shape[2] != 3
    found.Rows, found.Columns = stored.shape[1:3] if several else stored.shape[:2]
    if several:
        found.NumberOfFrames = len(stored)
    found.SamplesPerPixel = 3 if stored.ndim == 3 and not several else 1
    found.PhotometricInterpretation = "RGB" if found.SamplesPerPixel == 3 else "MONOCHROME2"
    if found.SamplesPerPixel == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = 8 * stored.itemsize
    found.BitsStored, found.HighBit = found.BitsAllocated, found.BitsAllocated - 1
    found.PixelRepresentation = int(stored.dtype.kind == "i")
    for name, value in facts.items():
        setattr(found, name, value)
    found.PixelData = stored.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path


def units(folder: Path) -> torch.Tensor:
    found = load_folder(folder)
    return found.take(range(len(found)))[0]


STORED = RNG.integers(0, 4096, (8, 8), dtype=np.uint16)
STORED.flat[:2] = 0, 4095


def test_slope_and_intercept_lead_to_hounsfield_units(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", STORED, RescaleSlope=2, RescaleIntercept=-1024)
    assert str(load_folder(tmp_path).items.spans) == "-1024:7166"
    truth = torch.from_numpy(STORED / 4095.0) * 2 - 1
    torch.testing.assert_close(units(tmp_path)[0, 0].double(), truth, rtol=0, atol=1e-6)


def test_the_window_of_the_files_is_their_scale(tmp_path: Path) -> None:
    """Center 40.5 and width 401: black at -160, white at 240 (DICOM PS3.3 C.11.2.1.2)."""
    window = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": [40.5, 300], "WindowWidth": [401, 1500]}
    for name in "ab":
        dicom(tmp_path / f"{name}.dcm", STORED, **window)
    found = load_folder(tmp_path)
    assert str(found.items.spans) == "-160:240"
    truth = ((STORED.astype(np.float64) - 1024 + 160) / 400).clip(0, 1) * 2 - 1
    torch.testing.assert_close(units(tmp_path)[0, 0].double(), torch.from_numpy(truth), rtol=0, atol=1e-6)
    assert any("window that the files state" in note for note in found.notes)


def test_small_numbers_are_white_where_the_file_says_so(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", STORED, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    truth = 1 - torch.from_numpy(STORED / 4095.0) * 2
    torch.testing.assert_close(units(tmp_path)[0, 0].double(), truth, rtol=0, atol=1e-6)


def test_frames_colours_and_8_bits(tmp_path: Path) -> None:
    frames = RNG.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    dicom(tmp_path / "frames" / "a.dcm", frames)
    assert torch.equal(load_folder(tmp_path / "frames").storage[:][:, 0], torch.from_numpy(frames))
    colour = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    dicom(tmp_path / "colour" / "a.dcm", colour)
    assert torch.equal(load_folder(tmp_path / "colour").storage[0], torch.from_numpy(colour).permute(2, 0, 1))


def test_a_file_without_an_ending_is_known_by_how_it_begins(tmp_path: Path) -> None:
    for name in ("IM0001", "1.2.840.10008.5"):
        dicom(tmp_path / name, RNG.integers(0, 4096, (8, 8), dtype=np.uint16))
    assert len(load_folder(tmp_path)) == 2


def test_nothing_of_a_patient_is_told_or_kept(cli: Cli, tmp_path: Path) -> None:
    for i in range(12):
        dicom(tmp_path / "scans" / f"{i}.dcm", RNG.integers(0, 4096, (8, 8), dtype=np.uint16))
    result = cli("data", "scans", "--all")
    words = ("--recipe", "tiny", "--steps", "2", "--out", "run")
    trained = cli("train", "--dataset", "scans", *words)
    assert trained.code == 0, trained.err
    assert cli("sample", "run", "--count", "2", "--steps", "2", "--out", "x.png").code == 0
    texts = [result.out, result.err, trained.out, trained.err]
    kept = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and "scans" not in p.parts]
    for secret in ("Doe", "Jane", "4711", "19700101", "20200202"):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in kept)


@pytest.mark.parametrize("content", [b"", b"\0" * 128 + b"DICM", b"text"])
def test_what_is_no_dicom_file_is_named(tmp_path: Path, content: bytes) -> None:
    from diffcli.errors import DataProblem

    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(DataProblem, match=r"a\.dcm is not a readable image"):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_volume_is_its_slices(tmp_path: Path, name: str) -> None:
    volume = RNG.integers(-1000, 1000, (6, 5, 4), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / name)
    found = load_folder(tmp_path)
    assert (len(found), found.shape) == (4, (1, 5, 6))
    low, high = map(float, str(found.items.spans).split(":"))
    for k in range(4):
        truth = (np.rot90(volume[:, :, k]) - low) / (high - low) * 2 - 1
        torch.testing.assert_close(found.storage[k][0].double(), torch.from_numpy(truth.copy()), rtol=0, atol=1e-6)


def test_a_volume_that_is_scaled_or_moves(tmp_path: Path) -> None:
    series = nibabel.Nifti1Image(RNG.random((6, 5, 4, 3)).astype(np.float32), np.eye(4))
    nibabel.save(series, tmp_path / "series.nii.gz")
    assert len(load_folder(tmp_path)) == 12
    (tmp_path / "series.nii.gz").write_bytes(gzip.compress(b"no volume"))
    from diffcli.errors import DataProblem

    with pytest.raises(DataProblem, match="is not a readable image"):
        load_folder(tmp_path)
