"""DICOM and NIfTI: the numbers that the file means, and nothing of whom it shows."""

import gc
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli

from diffcli.data.folders import load_folder
from diffcli.data.images import read_image
from diffcli.data.spans import Span, Spans
from diffcli.errors import DataProblem

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


def test_what_scanners_made_is_never_shown_without_a_word(cli: Cli, tmp_path: Path) -> None:
    for i in range(8):
        dicom(tmp_path / "scans" / f"{i}.dcm", RNG.integers(0, 4000, (16, 16)).astype(np.uint16))
    quick = ("--recipe", "tiny", "--steps", 1, "--devices", 1, "--out", "run")
    assert load_folder(tmp_path / "scans").items.patients
    for arguments in (
        ("data", tmp_path / "scans"),
        ("train", "--dataset", tmp_path / "scans", *quick),
        ("sample", "run", "--ddim", "--steps", 2, "--count", 1, "--devices", 1),
    ):
        made = cli(*arguments)
        assert made.code == 0, made.err
        assert made.err.count("not for clinical use") == 1


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
    with pytest.raises(DataProblem, match="is not a readable image"):
        load_folder(tmp_path)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_one_image_of_a_file_leaves_nothing_open(tmp_path: Path) -> None:
    """What reads the pixels ends before the file is closed, or the interpreter complains later."""
    found = read_image(dicom(tmp_path / "a.dcm", STORED), (1, 8, 8), Spans(Span(0, 4095), Span(0, 1)))
    torch.testing.assert_close(found[0].double(), truth(STORED, 0, 4095), rtol=0, atol=1e-6)
    gc.collect()
    plan = pydicom.dcmread(dicom(tmp_path / "plan.dcm", STORED))
    del plan.Rows, plan.Columns, plan.BitsAllocated, plan.PixelData
    plan.save_as(tmp_path / "plan.dcm")
    with pytest.raises(DataProblem, match="holds no image"):
        read_image(tmp_path / "plan.dcm", (1, 8, 8))


# As hospitals and research write them


def truth(values: np.ndarray, low: float, high: float) -> torch.Tensor:
    return torch.from_numpy(((values.astype(np.float64) - low) / (high - low)).clip(0, 1) * 2 - 1)


def group(sequence: str, **facts: float) -> Any:
    """A functional group with one item."""
    inside, found = pydicom.Dataset(), pydicom.Dataset()
    for name, value in facts.items():
        setattr(inside, name, value)
    setattr(found, sequence, pydicom.Sequence([inside]))
    return found


def test_frames_of_an_enhanced_file_have_units_of_their_own(tmp_path: Path) -> None:
    """Slopes lie in groups that frames share or have for themselves (DICOM PS3.3 C.7.6.16), as the windows."""
    frames = RNG.integers(0, 4096, (3, 8, 8), dtype=np.uint16)
    own = [group("PixelValueTransformationSequence", RescaleSlope=i + 1, RescaleIntercept=-1000) for i in range(3)]
    shared = group("FrameVOILUTSequence", WindowCenter=100.5, WindowWidth=2001)
    facts = {"PerFrameFunctionalGroupsSequence": own, "SharedFunctionalGroupsSequence": [shared]}
    dicom(tmp_path / "a.dcm", frames, **{name: pydicom.Sequence(value) for name, value in facts.items()})
    assert str(load_folder(tmp_path).items.spans) == "-900:1100"
    for i, image in enumerate(units(tmp_path)):
        meant = truth((i + 1) * frames[i].astype(float) - 1000, -900, 1100)
        torch.testing.assert_close(image[0].double(), meant, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "facts", [{"PixelPaddingValue": -2000}, {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1900}]
)
def test_what_is_outside_of_an_image_is_black_and_no_number_of_it(tmp_path: Path, facts: dict[str, int]) -> None:
    stored = STORED.astype(np.int16) - 1024
    outside = np.zeros((8, 8), bool)
    outside[:2, 4:] = True
    low = stored[~outside].min()
    dicom(tmp_path / "a.dcm", np.where(outside, facts.get("PixelPaddingRangeLimit", -2000), stored), **facts)
    meant = truth(np.where(outside, low, stored), low, stored[~outside].max())
    torch.testing.assert_close(units(tmp_path)[0, 0].double(), meant, rtol=0, atol=1e-6)


def test_a_mask_of_one_bit_is_black_and_white(tmp_path: Path) -> None:
    mask = RNG.random((8, 8)) > 0.5
    path = dicom(tmp_path / "a.dcm", mask.astype(np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0)
    found = pydicom.dcmread(path)
    found.PixelData = np.packbits(mask.reshape(-1), bitorder="little").tobytes()
    found.save_as(path)
    assert torch.equal(load_folder(tmp_path).storage[0][0], torch.from_numpy(mask.astype(np.uint8) * 255))


def test_a_palette_is_colours(tmp_path: Path) -> None:
    stored = RNG.integers(0, 4, (8, 8), dtype=np.uint8)
    colours = RNG.integers(0, 256, (4, 3), dtype=np.uint8)
    facts: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for i, colour in enumerate(("Red", "Green", "Blue")):
        facts[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        facts[f"{colour}PaletteColorLookupTableData"] = (colours[:, i].astype("<u2") * 257).tobytes()
    dicom(tmp_path / "a.dcm", stored, **facts)
    assert torch.equal(load_folder(tmp_path).storage[0], torch.from_numpy(colours[stored]).permute(2, 0, 1))


def test_reports_and_indexes_are_counted_and_no_error(tmp_path: Path) -> None:
    for name in ("DICOMDIR", "plan.dcm"):
        found = pydicom.dcmread(dicom(tmp_path / name, STORED))
        for key in ("Rows", "Columns", "BitsAllocated", "PixelData"):
            delattr(found, key)
        found.save_as(tmp_path / name)
    with pytest.raises(DataProblem, match="holds no images"):
        load_folder(tmp_path)
    dicom(tmp_path / "IM1", STORED)
    found = load_folder(tmp_path)
    assert len(found) == 1
    assert "2 files are without images: DICOMDIR, plan.dcm" in found.notes


def test_a_compression_that_needs_a_package_names_it(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", STORED)
    found = pydicom.dcmread(path)
    found.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    found.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    found["PixelData"].is_undefined_length = True
    found.save_as(path, enforce_file_format=True)
    if not pydicom.pixels.get_decoder(pydicom.uid.JPEGLSLossless).is_available:
        with pytest.raises(DataProblem, match=r"needs another package: pip install 'pylibjpeg\[all\]'"):
            load_folder(tmp_path)


DIRECTIONS = {
    "RAS": lambda v: v, "LPS": lambda v: v[::-1, ::-1], "LAS": lambda v: v[::-1], "ARS": lambda v: v.swapaxes(0, 1),
    "PLS": lambda v: v.swapaxes(0, 1)[::-1, ::-1],
}  # fmt: skip


@pytest.mark.parametrize("codes", DIRECTIONS)
def test_a_head_looks_up_however_the_file_counts(tmp_path: Path, codes: str) -> None:
    """The same head, stored along other directions, as different programs do it."""
    head = RNG.integers(0, 1000, (6, 5, 3), dtype=np.int16)
    stored = DIRECTIONS[codes](head)  # of head [R, A, S] as [codes]: each of these is its own inverse
    orientation = nibabel.orientations.axcodes2ornt(codes)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(orientation):
        affine[int(world), axis] = sign
    assert nibabel.aff2axcodes(affine) == tuple(codes)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stored), affine), tmp_path / "a.nii.gz")
    found = load_folder(tmp_path)
    assert found.shape == (1, 5, 6)
    spans = found.items.spans
    assert spans is not None
    for k, image in enumerate(found.take(range(3))[0]):
        meant = truth(np.rot90(head[:, :, k]), spans.integers.black, spans.integers.white)
        torch.testing.assert_close(image[0].double(), meant, rtol=0, atol=1e-6)


def test_a_body_stands_in_slices_from_the_side(tmp_path: Path) -> None:
    """Slices across the left-right axis: what is above is up, what is in front is right."""
    body = RNG.integers(0, 1000, (6, 5, 3), dtype=np.int16)  # [A, I, R]
    affine = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    assert nibabel.aff2axcodes(affine) == ("A", "I", "R")
    nibabel.save(nibabel.Nifti1Image(body, affine), tmp_path / "a.nii")
    found = load_folder(tmp_path)
    spans = found.items.spans
    assert spans is not None
    meant = truth(body[:, :, 1].T, spans.integers.black, spans.integers.white)
    torch.testing.assert_close(found.take([1])[0][0, 0].double(), meant, rtol=0, atol=1e-6)


def test_one_slice_and_colours_are_volumes_too(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    nibabel.save(
        nibabel.Nifti1Image(RNG.integers(0, 9, (6, 5), dtype=np.uint8), np.eye(4)), tmp_path / "flat" / "a.nii"
    )
    assert load_folder(tmp_path / "flat").shape == (1, 5, 6)
    colours = RNG.integers(0, 256, (6, 5, 2, 3), dtype=np.uint8)
    volume = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "b.nii.gz")
    found = load_folder(tmp_path / "b.nii.gz")
    assert torch.equal(found.storage[1], torch.from_numpy(np.rot90(colours[:, :, 1]).copy()).permute(2, 0, 1))
