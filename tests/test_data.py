"""Data sets: read rightly, split the same way every time, missing files named."""

import dataclasses
import gzip
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SHAPES, Cli
from PIL import Image

from diffcli.data import kinds, published
from diffcli.data.dataset import Dataset, to_pixels, to_unit
from diffcli.data.formats import CifarBinary, Format, Idx, Npz
from diffcli.data.kinds import Items
from diffcli.data.loading import load_dataset, load_folder
from diffcli.data.published import DATASETS, File, Source
from diffcli.errors import DataProblem, UsageProblem
from diffcli.system.download import fetch

REAL_DATA = os.environ.get("DIFFCLI_DATA")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 3, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2, 1], np.uint8)


def idx(array: np.ndarray) -> bytes:
    """As on Yann LeCun's page: 0, 0, 8 for uint8, the number of dimensions, big-endian sizes, the data."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def toy_of(files: dict[str, bytes], url: str = "", format: Format | None = None, **changes: Any) -> Source:
    """A made-up data set with these published files."""
    published = {name: File(f"sha256:{hashlib.sha256(c).hexdigest()}", len(c)) for name, c in files.items()}
    facts = {"shape": (1, 3, 5), "images": {"train": 7, "test": 7}, "classes": ("a", "b", "c")} | changes
    return Source(title="toy", folder="Toy", licence="none", format=format or Idx(), files=published, url=url, **facts)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """A made-up data set called `toy`; its files, which lie nowhere yet."""
    files = {
        f"{split}-{what}": idx(array)
        for split in ("train", "t10k")
        for what, array in (("images-idx3-ubyte.gz", IMAGES), ("labels-idx1-ubyte.gz", LABELS))
    }
    monkeypatch.setitem(DATASETS, "toy", toy_of(files))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return files


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("below", ["Toy/raw", "Toy", "."])
@pytest.mark.parametrize("by", ["option", "environment", "cache"])
def test_idx_files_are_found_and_read(
    toy: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, by: str
) -> None:
    root = tmp_path / "some"
    if by == "cache":
        put(tmp_path / "cache" / "diffcli" / "Toy", toy)
    else:
        put(root / below, toy)
    if by == "environment":
        monkeypatch.setenv("DIFFCLI_DATA", str(root))
    found = load_dataset("toy", data=root if by == "option" else None)
    assert np.array_equal(found.storage[:, 0].numpy(), IMAGES)
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()
    assert found.classes == ("a", "b", "c")
    assert found.shape == (1, 3, 5)


def test_the_folder_that_is_named_comes_before_the_environment(
    toy: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "good", toy)
    put(tmp_path / "bad", dict.fromkeys(toy, b"damaged"))
    monkeypatch.setenv("DIFFCLI_DATA", str(tmp_path / "bad"))
    assert len(load_dataset("toy", data=tmp_path / "good")) == 7
    monkeypatch.setenv("DIFFCLI_DATA", str(tmp_path / "good"))
    with pytest.raises(DataProblem, match="bad"):
        load_dataset("toy", data=tmp_path / "bad")


def test_a_file_with_another_checksum_is_refused(toy: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "x", toy | {"train-labels-idx1-ubyte.gz": idx(LABELS[::-1].copy())})
    with pytest.raises(DataProblem, match="train-labels-idx1-ubyte.gz is not the toy file it should be"):
        load_dataset("toy", data=tmp_path / "x")


def test_an_idx_file_of_another_kind_is_refused(
    toy: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = idx(np.arange(64, dtype=np.uint8))
    files = toy | {"train-images-idx3-ubyte.gz": wrong}
    put(tmp_path / "x", files)
    monkeypatch.setitem(DATASETS, "toy", toy_of(files))
    with pytest.raises(DataProblem, match="idx"):
        load_dataset("toy", data=tmp_path / "x")


def test_what_is_wrong_inside_a_file_is_said(toy: dict[str, bytes], tmp_path: Path, monkeypatch: Any) -> None:
    """Whatever its checksum says: more labels than images, a label without a class, no gzip, half a header."""
    images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    damages = [
        ({labels: idx(LABELS[:5])}, "7 images and 5 labels"),
        ({labels: idx(LABELS + 1)}, "label 3"),
        ({labels: idx(LABELS[:0]), images: idx(IMAGES[:0])}, "0 images"),
        ({images: b"not gzip"}, "gzip"),
        ({images: gzip.compress(b"\0\0\x08\x03\0\0")}, "idx"),
        ({images: gzip.compress(gzip.decompress(idx(IMAGES))[:-3])}, ""),
    ]
    for i, (changed, words) in enumerate(damages):
        put(tmp_path / str(i), toy | changed)
        monkeypatch.setitem(DATASETS, "toy", toy_of(toy | changed))
        with pytest.raises(DataProblem, match=f"toy in .* is damaged: .*{words}"):
            load_dataset("toy", data=tmp_path / str(i))


# npz


def npz(**changes: np.ndarray) -> bytes:
    """As MedMNIST: images and labels of three splits, each split with images of its own."""
    arrays = {}
    for i, split in enumerate(("train", "val", "test")):
        arrays[f"{split}_images"] = IMAGES + np.uint8(i)
        arrays[f"{split}_labels"] = LABELS[:, None]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays | changes)
    return buffer.getvalue()


def put_npz(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The set `toy` in a numpy archive, below a data folder."""
    put(folder / "Toy", {"toy.npz": content})
    counts = {"train": 7, "val": 7, "test": 7}
    monkeypatch.setitem(DATASETS, "toy", toy_of({"toy.npz": content}, format=Npz("toy.npz"), images=counts))
    return folder


@pytest.mark.parametrize(("split", "place"), [("train", 0), ("val", 1), ("test", 2)])
def test_each_split_of_a_numpy_archive_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, place: int
) -> None:
    found = load_dataset("toy", split, data=put_npz(tmp_path, npz(), monkeypatch))
    assert np.array_equal(found.storage[:, 0].numpy(), IMAGES + np.uint8(place))
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()
    assert found.shape == (1, 3, 5)


def test_a_split_that_a_set_does_not_have_is_refused(toy: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "x", toy)
    with pytest.raises(UsageProblem, match="unknown split of toy 'val'"):
        load_dataset("toy", "val", data=tmp_path / "x")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK\x03\x04 and no more", npz()[:-200], idx(IMAGES), npz(train_images=IMAGES.astype(np.float32)),
        npz(train_images=IMAGES[0]), npz(train_labels=LABELS), npz(train_labels=LABELS[:3, None]),
        npz(train_images=np.array([{"a": 1}], dtype=object)),
        npz().replace(b"train_labels", b"train_libels"), npz()[:300] + b"\xff" * 40 + npz()[340:],
    ],
    ids=[
        "empty", "start", "cut", "no archive", "floats", "flat", "flat labels", "few labels", "pickle", "misnamed",
        "checksum",
    ],
)  # fmt: skip
def test_a_numpy_archive_that_is_damaged_or_holds_a_pickle_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    with pytest.raises(DataProblem, match="damaged") as caught:
        load_dataset("toy", data=put_npz(tmp_path, content, monkeypatch))
    assert caught.value.hint


# CIFAR


CIFAR = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
BATCHES = {f"data_batch_{i}.bin": [2 * i - 2, 2 * i - 1] for i in range(1, 6)} | {"test_batch.bin": [10, 11]}


def batches() -> dict[str, bytes]:
    """As Alex Krizhevsky's page says: a byte of label, then 1024 of red, green and blue; image i is of class i."""
    return {name: b"".join(bytes([i % 10]) + CIFAR[i].tobytes() for i in places) for name, places in BATCHES.items()}


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The archive of a CIFAR-10 of twelve images, which lies nowhere yet."""
    content = tarred({"batches.meta.txt": b"airplane", **batches()})
    small = dataclasses.replace(
        DATASETS["cifar10"],
        files={"cifar-10-binary.tar.gz": File(f"md5:{hashlib.md5(content).hexdigest()}", len(content))},
        images={"train": 10, "test": 2},
    )
    monkeypatch.setitem(DATASETS, "cifar10", small)
    return content


@pytest.mark.parametrize("kind", ["archive", "unpacked", "unpacked, itself", "cache", "download"])
def test_cifar_is_read_from_its_archive_and_unpacked(
    cifar: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = {"cache": "cache/diffcli/cifar-10-batches-bin", "unpacked": "x/cifar-10-batches-bin"}.get(kind, "x")
    put(tmp_path / folder, batches() if kind.startswith("unpacked") else {"cifar-10-binary.tar.gz": cifar})
    if kind == "download":
        shop = dataclasses.replace(DATASETS["cifar10"], url=(tmp_path / "x").as_uri())
        monkeypatch.setitem(DATASETS, "cifar10", shop)
    data = None if kind in ("cache", "download") else tmp_path / "x"
    train, test = load_dataset("cifar10", data=data), load_dataset("cifar10", "test", data=data)
    assert np.array_equal(train.storage[:].numpy(), CIFAR[:10])
    assert np.array_equal(test.storage[:].numpy(), CIFAR[10:])
    assert train.labels is not None
    assert [train.classes[i] for i in train.labels] == list(train.classes)
    assert train.shape == (3, 32, 32)
    assert train.notes == ()


def test_an_archive_is_downloaded_and_unpacked_once(
    cifar: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "shop", {"cifar-10-binary.tar.gz": cifar})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop = dataclasses.replace(DATASETS["cifar10"], url=(tmp_path / "shop").as_uri())
    monkeypatch.setitem(DATASETS, "cifar10", shop)
    real, calls = published.unpacked, []
    monkeypatch.setattr(published, "unpacked", lambda *a: calls.append("unpacked") or real(*a))
    monkeypatch.setattr(published, "fetch", lambda *a, **k: calls.append("fetched") or fetch(*a, **k))
    load_dataset("cifar10")
    assert calls == ["fetched", "unpacked"]


def test_a_record_that_is_cut_off_is_refused(cifar: bytes, tmp_path: Path) -> None:
    put(tmp_path / "x", batches() | {"data_batch_3.bin": batches()["data_batch_3.bin"][:-1]})
    with pytest.raises(DataProblem, match=r"CIFAR-10 in .*x is damaged: data_batch_3\.bin ends within a record"):
        load_dataset("cifar10", data=tmp_path / "x")
    assert len(load_dataset("cifar10", "test", data=tmp_path / "x")) == 2


def test_a_batch_with_fewer_records_is_read_and_noted(cifar: bytes, tmp_path: Path) -> None:
    put(tmp_path / "x", batches() | {"data_batch_3.bin": b""})
    found = load_dataset("cifar10", data=tmp_path / "x")
    assert np.array_equal(found.storage[:].numpy(), np.delete(CIFAR[:10], [4, 5], 0))
    assert found.notes == ("8 images, where the published set has 10",)


def test_a_label_without_a_class_is_refused(cifar: bytes, tmp_path: Path) -> None:
    put(tmp_path / "x", batches() | {"test_batch.bin": b"\x0a" + bytes(3072)})
    with pytest.raises(DataProblem, match="label 10"):
        load_dataset("cifar10", "test", data=tmp_path / "x")


@pytest.mark.parametrize("cut", [0, 3, 1000])
def test_an_archive_with_another_checksum_is_refused(cifar: bytes, tmp_path: Path, cut: int) -> None:
    put(tmp_path / "x", {"cifar-10-binary.tar.gz": cifar[:cut]})
    with pytest.raises(DataProblem, match=r"cifar-10-binary.tar.gz is not the CIFAR-10 file it should be"):
        load_dataset("cifar10", data=tmp_path / "x")


@pytest.mark.parametrize(
    "content", [b"", b"no archive", tarred({"test_batch.bin": b""}), tarred(batches())[:-2000]],
    ids=["empty", "text", "incomplete", "cut"],
)  # fmt: skip
def test_an_archive_of_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Even with the right checksum."""
    put(tmp_path / "x", {"toy.tar.gz": content})
    monkeypatch.setitem(DATASETS, "toy", toy_of({"toy.tar.gz": content}, format=CifarBinary(), archive="toy.tar.gz"))
    with pytest.raises(DataProblem, match="toy in .*x is damaged"):
        load_dataset("toy", data=tmp_path / "x")


# Downloads


@pytest.fixture
def shop(toy: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to download `toy` from."""
    put(tmp_path / "shop", toy)
    url = (tmp_path / "shop").as_uri()
    monkeypatch.setitem(DATASETS, "toy", toy_of(toy, url))
    return tmp_path / "shop"


def test_a_download_is_made_once(shop: Path, tmp_path: Path) -> None:
    first = load_dataset("toy")
    assert np.array_equal(first.storage[:, 0].numpy(), IMAGES)
    for path in shop.iterdir():
        path.unlink()
    assert load_dataset("toy").fingerprint == first.fingerprint
    kept = {p.name for p in (tmp_path / "cache" / "diffcli" / "Toy").iterdir()}
    assert kept == {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}


def test_a_download_of_something_else_is_thrown_away(shop: Path, tmp_path: Path) -> None:
    (shop / "train-images-idx3-ubyte.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataProblem, match="checksum"):
        load_dataset("toy")
    assert list((tmp_path / "cache" / "diffcli" / "Toy").iterdir()) == []


@pytest.mark.parametrize("error", [TimeoutError("timed out"), ConnectionResetError("reset"), "incomplete"])
def test_a_download_that_breaks_off_leaves_nothing(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    import http.client

    reason = http.client.IncompleteRead(b"half") if error == "incomplete" else error
    real = urllib.request.urlopen

    def breaking(url: str, **options: Any) -> Any:
        answer = real(url, **options)
        whole, calls = answer.read, []

        def read(size: int) -> bytes:
            calls.append(size)
            if len(calls) > 1:
                raise reason
            return whole(size)

        answer.read = read
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", breaking)
    with pytest.raises(DataProblem, match="cannot download train-images"):
        load_dataset("toy")
    assert list((tmp_path / "cache" / "diffcli" / "Toy").iterdir()) == []


def test_offline_the_missing_file_and_its_place_are_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = cli("train", "--dataset", "fashion-mnist")
    assert result.code == 3
    assert len(result.err.splitlines()) == 2
    assert "train-images-idx3-ubyte.gz" in result.err
    assert str(tmp_path / "cache" / "diffcli" / "FashionMNIST") in result.err
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


# The real ones


def test_the_bundled_mnist_is_mnist() -> None:
    """The counts per class and the statistics that the literature gives (mean 0.1307, spread 0.3081)."""
    train, test = load_dataset("mnist"), load_dataset("mnist", "test")
    assert train.shape == test.shape == (1, 28, 28)
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = train.storage[:].double() / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.skipif(not REAL_DATA, reason="DIFFCLI_DATA is not set")
def test_fashion_mnist_is_fashion_mnist() -> None:
    found = load_dataset("fashion-mnist", data=Path(str(REAL_DATA)))
    assert found.labels is not None
    assert found.labels.bincount().tolist() == [6000] * 10
    assert (found.storage[:].double() / 255).mean().item() == pytest.approx(0.2860, abs=5e-5)
    assert found.classes[found.labels[0]] == "boot"


@pytest.mark.skipif(not REAL_DATA, reason="DIFFCLI_DATA is not set")
@pytest.mark.parametrize(
    ("name", "split", "counts"),
    [
        ("pneumoniamnist", "train", [1214, 3494]),
        ("pneumoniamnist", "val", [135, 389]),
        ("pneumoniamnist", "test", [234, 390]),
        ("breastmnist", "train", [147, 399]),
        ("breastmnist", "val", [21, 57]),
        ("breastmnist", "test", [42, 114]),
    ],
)
def test_medmnist_is_medmnist(name: str, split: str, counts: list[int]) -> None:
    """The counts per class that its paper gives."""
    found = load_dataset(name, split, data=Path(str(REAL_DATA)))
    assert found.labels is not None
    assert found.labels.bincount().tolist() == counts
    assert found.shape == (1, 28, 28)
    assert found.notes == ()


# Folders


def test_a_sub_folder_is_a_class(pictures: Path) -> None:
    found = load_folder(pictures)
    assert found.classes == SHAPES
    assert found.labels is not None
    assert found.labels.bincount().tolist() == [20, 20, 20]
    for place in (0, 25, 59):
        name = SHAPES[int(found.labels[place])]
        with Image.open(pictures / name / f"{place % 20:02d}.png") as image:
            assert np.array_equal(found.storage[place][0].numpy(), np.asarray(image))


def test_a_folder_without_sub_folders_has_no_classes(pictures: Path) -> None:
    found = load_folder(pictures / "circle")
    assert found.labels is None
    assert found.classes == ()
    assert len(found) == 20


def test_images_deep_below_belong_to_the_class_on_top(tmp_path: Path) -> None:
    for name in ("cat/a/1.png", "cat/b/2.png", "dog/c/d/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    found = load_folder(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "a/.3.png", ".thumbnails/4.png", "a/.cache/5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    found = load_folder(tmp_path)
    assert len(found) == 2
    assert found.classes == ("a", "b")


def test_the_fingerprint_changes_with_a_pixel_and_with_a_label(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name)
    first = load_folder(tmp_path).fingerprint
    assert load_folder(tmp_path).fingerprint == first
    (tmp_path / "b/2.png").rename(tmp_path / "a/2.png")
    Image.new("L", (4, 4)).save(tmp_path / "b/3.png")
    (tmp_path / "a/1.png").unlink()  # the same pixels and classes, but once more of b
    Image.new("L", (4, 4)).save(tmp_path / "b/4.png")
    moved = load_folder(tmp_path).fingerprint
    (tmp_path / "b/4.png").rename(tmp_path / "a/4.png")
    assert load_folder(tmp_path).fingerprint != moved
    image = Image.new("L", (4, 4))
    image.putpixel((3, 3), 1)
    image.save(tmp_path / "b/3.png")
    assert load_folder(tmp_path).fingerprint not in (first, moved)


# Ranges and splits


def test_every_pixel_value_survives_the_way_to_the_model_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    unit = to_unit(values)
    assert unit[0] == -1
    assert unit[-1] == 1
    assert torch.equal(to_pixels(unit), values)


@pytest.mark.parametrize(("count", "held"), [(3, 3), (9, 9), (10, 1), (600, 60), (20_000, 512)])
def test_a_tenth_is_held_out_at_most_512(count: int, held: int) -> None:
    dataset = Dataset("x", Items(kinds.IMAGES, (1, 1, 1)), torch.zeros(count, 1, 1, 1, dtype=torch.uint8), None, "")
    train, validation = dataset.holdout()
    assert len(validation) == held
    if held < count:
        assert sorted([*train.tolist(), *validation.tolist()]) == list(range(count))
    assert torch.equal(dataset.holdout()[1], validation)
