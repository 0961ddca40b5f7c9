"""Data sets of torchvision, read from files that are written here in the formats of their publishers. No network."""

import bz2
import hashlib
import http.server
import pickle
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from conftest import Cli, assert_refused, tree
from PIL import Image
from torchvision import datasets as theirs

from diffcli.data import fitting
from diffcli.data.dataset import Dataset
from diffcli.data.loading import has_test_split, lasting, load_dataset
from diffcli.data.reading import Reading
from diffcli.data.vision import places
from diffcli.data.vision.request import parse
from diffcli.data.vision.sets import refusal, vision_set, vision_sets
from diffcli.errors import DataProblem, EnvironmentProblem, UsageProblem

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (12, 5, 7), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
LABELS = np.arange(12) % 10


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test here reaches the network, and the cache is empty."""

    def refused(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """The unpacked idx file of an array: kind 8 is uint8, 12 is int32."""
    head = bytes([0, 0, kind, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype({8: ">u1", 12: ">i4"}[kind]).tobytes()


def put(folder: Path, **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", "-")).write_bytes(content)


# The formats; each writes a data set below root, whose test images are the training images upside down


def kmnist(root: Path, _: pytest.MonkeyPatch) -> None:
    for split, images in (("train", GREYS), ("t10k", GREYS[:, ::-1])):
        files = {f"{split}__images__idx3__ubyte": idx(images), f"{split}__labels__idx1__ubyte": idx(LABELS)}
        put(root / "KMNIST" / "raw", **files)


def qmnist(root: Path, _: pytest.MonkeyPatch) -> None:
    facts = np.stack([LABELS] * 8, 1)
    for split, images in (("train", GREYS), ("test", GREYS[:, ::-1])):
        files = {f"qmnist__{split}__images__idx3__ubyte": idx(images)}
        put(root / "QMNIST" / "raw", **files, **{f"qmnist__{split}__labels__idx2__int": idx(facts, 12)})


def emnist(root: Path, _: pytest.MonkeyPatch) -> None:
    for split, images in (("train", GREYS), ("test", GREYS[:, ::-1])):
        prefix = f"emnist__letters__{split}"
        files = {f"{prefix}__images__idx3__ubyte": idx(images), f"{prefix}__labels__idx1__ubyte": idx(LABELS + 1)}
        put(root / "EMNIST" / "raw", **files)


def cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "cifar-10-batches-py"
    parts = {f"data_batch_{i}": (COLOURS[i - 1 :: 5], LABELS[i - 1 :: 5]) for i in range(1, 6)}
    for name, (images, labels) in (parts | {"test_batch": (COLOURS[:, :, ::-1], LABELS)}).items():
        put(folder, **{name: pickle.dumps({"data": images.reshape(-1, 3072), "labels": labels.tolist()})})
    names = [f"c{i}" for i in range(10)]
    put(folder, **{"batches.meta": pickle.dumps({"label_names": names})})
    files = theirs.CIFAR10.train_list + theirs.CIFAR10.test_list
    known = [[name, digest(folder / name)] for name, _ in files]
    monkeypatch.setattr(theirs.CIFAR10, "train_list", known[:5])
    monkeypatch.setattr(theirs.CIFAR10, "test_list", known[5:])
    monkeypatch.setattr(theirs.CIFAR10, "meta", theirs.CIFAR10.meta | {"md5": digest(folder / "batches.meta")})


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(exist_ok=True)
    known = dict(theirs.SVHN.split_list)
    for split, images in (("train", COLOURS), ("test", COLOURS[:, :, ::-1])):
        url, name, _ = known[split]
        labels = np.where(LABELS == 0, 10, LABELS)[:, None].astype(np.uint8)  # 10 is the digit 0
        scipy.io.savemat(root / name, {"X": images.transpose(2, 3, 1, 0), "y": labels})
        known[split] = [url, name, digest(root / name)]
    monkeypatch.setattr(theirs.SVHN, "split_list", known)


def stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.repeat(np.repeat(COLOURS, 3, 2), 3, 3)
    for split, images in (("train", large), ("test", large[:, :, ::-1])):
        files = {f"{split}_X.bin": images.transpose(0, 1, 3, 2).tobytes()}  # column by column
        put(root / "stl10_binary", **files, **{f"{split}_y.bin": (LABELS + 1).astype(np.uint8).tobytes()})
    put(root / "stl10_binary", **{"class_names.txt": "\n".join(f"c{i}" for i in range(10)).encode()})
    monkeypatch.setattr(theirs.STL10, "_check_integrity", lambda _: True)


def usps(root: Path, _: pytest.MonkeyPatch) -> None:
    for name, sign in (("usps.bz2", 1), ("usps.t.bz2", -1)):
        values = np.linspace(-1, 1, 256)[::sign]
        line = " ".join(f"{i + 1}:{v:.6f}" for i, v in enumerate(values))
        put(root, **{name: bz2.compress("".join(f"{n + 1} {line} \n" for n in LABELS).encode())})


def tree_of_images(root: Path, grey: bool = False, side: int = 32) -> Path:
    """A class per sub-folder."""
    for i, image in enumerate(COLOURS):
        path = root / f"c{LABELS[i]}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0] if grey else image.transpose(1, 2, 0)).resize((side, side), 0).save(path)
    return root


FORMATS = {"KMNIST": kmnist, "QMNIST": qmnist, "EMNIST,split=letters": emnist, "CIFAR10": cifar10, "SVHN": svhn}


def images_of(dataset: Dataset) -> np.ndarray:
    return np.stack([dataset.storage[i].numpy() for i in range(len(dataset))])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_pixel_and_class_is_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, split: str
) -> None:
    FORMATS[name](tmp_path / "data", monkeypatch)
    found = load_dataset(f"torchvision:{name}", split, data=tmp_path / "data")
    expected, labels = (COLOURS, LABELS) if found.shape[0] == 3 else (GREYS[:, None], LABELS)
    if name == "CIFAR10" and split == "train":
        order = np.concatenate([np.arange(12)[i::5] for i in range(5)])
        expected, labels = expected[order], labels[order]
    assert np.array_equal(images_of(found), expected if split == "train" else expected[:, :, ::-1])
    assert found.labels is not None
    assert found.labels.tolist() == labels.tolist()
    assert len(found.classes) == (26 if "letters" in name else 10)
    assert found.notes == ()
    assert found.name == name.split(",")[0]


def test_classes_have_the_names_that_torchvision_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, classes in (("KMNIST", ("o", "ki", "su")), ("EMNIST,split=letters", ("a", "b", "c")),
                          ("SVHN", ("0", "1", "2")), ("CIFAR10", ("c0", "c1", "c2"))):  # fmt: skip
        FORMATS[name](tmp_path, monkeypatch)
        assert load_dataset(f"torchvision:{name}", data=tmp_path).classes[:3] == classes


def test_large_images_are_cropped_and_resized_as_those_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stl10(tmp_path, monkeypatch)
    found = load_dataset("torchvision:stl10", data=tmp_path)
    assert found.shape == (3, 64, 64)
    assert "resized to 64x64" in found.notes[0]
    whole = load_dataset("torchvision:stl10", data=tmp_path, reading=Reading(size=96))
    assert np.array_equal(images_of(whole)[:, :, ::3, ::3], COLOURS)
    assert whole.classes[:2] == ("c0", "c1")


def test_usps_has_its_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usps(tmp_path, monkeypatch)
    found = load_dataset("torchvision:USPS", data=tmp_path)
    assert found.shape == (1, 16, 16)
    assert (found.storage[0].min(), found.storage[0].max()) == (0, 255)


def test_a_tree_of_images_is_what_it_is_as_a_folder(tmp_path: Path) -> None:
    """Its files are read by our own reader, so every format and grey images are."""
    for grey in (False, True):
        root = tree_of_images(tmp_path / str(grey), grey)
        found, folder = load_dataset(f"torchvision:ImageFolder,root={root}"), load_dataset(str(root))
        assert found.shape == folder.shape == (1 if grey else 3, 32, 32)
        assert found.classes == folder.classes
        assert np.array_equal(images_of(found), images_of(folder))
        assert torch.equal(found.labels, folder.labels)


def test_files_below_a_folder_of_their_own_are_found(tmp_path: Path) -> None:
    tree_of_images(tmp_path / "eurosat" / "2750")
    found = load_dataset("torchvision:EuroSAT", data=tmp_path)
    assert len(found) == 12
    assert not has_test_split("torchvision:EuroSAT")
    with pytest.raises(UsageProblem, match="EuroSAT has no splits"):
        load_dataset("torchvision:EuroSAT", "test", data=tmp_path)


def celeba(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five images of four people, the last two of which are test images."""
    folder = root / "celeba"
    names = [f"{i:06d}.jpg" for i in range(1, 6)]
    (folder / "img_align_celeba").mkdir(parents=True)
    for name, image in zip(names, COLOURS, strict=False):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / "img_align_celeba" / name)

    def lines(values: list[str], head: str = "") -> bytes:
        return (head + "".join(f"{n} {v}\n" for n, v in zip(names, values, strict=True))).encode()

    put(folder, **{
        "list_eval_partition.txt": lines(["0", "0", "0", "2", "2"]),
        "identity_CelebA.txt": lines(["5", "2", "5", "7", "8"]),
        "list_bbox_celeba.txt": lines(["1 2 3 4"] * 5, "5\nimage x y w h\n"),
        "list_landmarks_align_celeba.txt": lines(["1 2"] * 5, "5\nx y\n"),
        "list_attr_celeba.txt": lines(["1 -1 1"] * 5, "5\nBald Hat Young\n"),
    })  # fmt: skip
    monkeypatch.setattr(theirs.CelebA, "file_list", [(i, None, name) for i, _, name in theirs.CelebA.file_list])


def test_attributes_are_no_class_and_identities_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    celeba(tmp_path, monkeypatch)
    found = load_dataset("torchvision:CelebA", data=tmp_path)
    assert found.labels is None
    assert found.classes == ()
    assert "3 numbers for an image (another target_type may give one)" in found.notes[-1]
    people = load_dataset("torchvision:celeba,target_type=identity", data=tmp_path)
    assert people.labels is not None
    assert [people.classes[i] for i in people.labels] == ["5", "2", "5"]
    assert len(load_dataset("torchvision:celeba", "test", data=tmp_path)) == 2
    with pytest.raises(DataProblem, match="a target is several things"):
        load_dataset("torchvision:celeba,target_type=['attr','identity']", data=tmp_path)


def test_images_without_a_class_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stl10(tmp_path, monkeypatch)
    put(tmp_path / "stl10_binary", **{"unlabeled_X.bin": bytes(2 * 3 * 96 * 96)})
    found = load_dataset("torchvision:STL10,split=train+unlabeled", data=tmp_path)
    assert found.labels is None
    assert "2 images have no class" in found.notes[-1]


def test_made_up_images_are_the_same_every_time() -> None:
    text = "torchvision:fakedata,size=30,image_size=1x8x9,num_classes=3"
    first, second = load_dataset(text), load_dataset(text)
    assert first.shape == (1, 8, 9)
    assert first.classes == ("0", "1", "2")
    assert torch.equal(first.storage[:], second.storage[:])
    assert first.fingerprint == second.fingerprint
    other = load_dataset(text + ",random_offset=1")
    assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["SVHN", "CIFAR10", "ImageFolder"])
def test_what_does_not_fit_into_memory_is_read_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    FORMATS.get(name, lambda root, _: tree_of_images(root))(tmp_path / "data", monkeypatch)
    read = {"data": tmp_path / "data", "reading": Reading(16)}
    in_memory = load_dataset(f"torchvision:{name}", **read)
    monkeypatch.setattr(fitting, "MEMORY_LIMIT", 0)
    on_disk = load_dataset(f"torchvision:{name}", **read)
    assert not isinstance(on_disk.storage, torch.Tensor)
    assert np.array_equal(images_of(on_disk), images_of(in_memory))
    assert torch.equal(on_disk.labels, in_memory.labels)
    assert on_disk.fingerprint != in_memory.fingerprint


def test_the_fingerprint_tells_a_pixel_and_a_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for i, (place, step) in enumerate([(0, 0), (16 + 5 * 7 * 3, 1), (0, 0)]):
        kmnist(tmp_path / str(i), monkeypatch)
        path = tmp_path / str(i) / "KMNIST" / "raw" / "train-images-idx3-ubyte"
        content = bytearray(path.read_bytes())
        content[place] ^= step
        path.write_bytes(bytes(content))
        if i == 2:
            put(path.parent, train__labels__idx1__ubyte=idx((LABELS + 1) % 10))
        seen.add(load_dataset("torchvision:KMNIST", data=tmp_path / str(i)).fingerprint)
    assert len(seen) == 3


# Where files are looked for


@pytest.mark.parametrize("by", ["option", "environment", "cache", "folder of its name", "root"])
def test_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    root = {"cache": tmp_path / "cache/diffcli/torchvision/USPS", "folder of its name": tmp_path / "x/USPS"}
    usps_root = root.get(by, tmp_path / "x")
    usps_root.mkdir(parents=True)
    usps(usps_root, monkeypatch)
    if by == "environment":
        monkeypatch.setenv("DIFFCLI_DATA", str(tmp_path / "x"))
    name = f"torchvision:USPS,root={tmp_path / 'x'}" if by == "root" else "torchvision:USPS"
    given = tmp_path / "x" if by in ("option", "folder of its name") else None
    assert len(load_dataset(name, data=given)) == 12


@pytest.mark.parametrize("name", ["Caltech101", "Caltech256", "KMNIST", "INaturalist", "OxfordIIITPet"])
def test_looking_for_files_leaves_a_folder_as_it_was(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    assert places.find(parse(f"torchvision:{name}"), "train", tmp_path / "data") is None
    assert list((tmp_path / "data").iterdir()) == []


def test_damaged_files_are_named_and_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kmnist(tmp_path, monkeypatch)
    put(tmp_path / "KMNIST" / "raw", train__images__idx3__ubyte=idx(GREYS)[:-9])
    with pytest.raises(DataProblem, match=f"KMNIST in {tmp_path} is damaged") as caught:
        load_dataset("torchvision:KMNIST", data=tmp_path)
    assert caught.value.hint


def test_pickles_are_read_only_with_the_checksums_that_torchvision_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        cifar10(tmp_path, patched)
    with pytest.raises(DataProblem, match="cannot download CIFAR10"):
        load_dataset("torchvision:CIFAR10", data=tmp_path)


# Downloads


@pytest.mark.parametrize("name", ["SVHN", "KMNIST", "EMNIST,split=digits", "CIFAR100", "EuroSAT", "Food101", "STL10"])
def test_without_a_network_the_way_out_is_said_and_nothing_is_left(cli: Cli, tmp_path: Path, name: str) -> None:
    result = cli("train", "--dataset", f"torchvision:{name}", "--recipe", "tiny", "--steps", 1)
    assert_refused(result, 3, "cannot download", "Name or service not known", "--data", "cache/diffcli/torchvision")
    assert [p for p in tree(tmp_path) if (tmp_path / p).is_file()] == []
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "words"), [("ImageNet", "ILSVRC2012_devkit_t12.tar.gz"), ("FER2013", "fer2013.csv"), ("LFWPeople", "lfw")]
)
def test_what_cannot_be_downloaded_says_which_files_belong_where(cli: Cli, name: str, words: str) -> None:
    result = cli("train", "--dataset", f"torchvision:{name}", "--recipe", "tiny", "--steps", 1)
    assert_refused(result, 3, words, f"cache/diffcli/torchvision/{name}")


def test_a_package_that_a_data_set_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gdown", None)
    with pytest.raises(EnvironmentProblem, match="CelebA needs the package gdown") as caught:
        load_dataset("torchvision:CelebA")
    assert "pip install gdown, or put its files into" in caught.value.hint


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on this machine that has the files of USPS, and their checksums in torchvision's list."""
    folder = tmp_path / "shop"
    usps(folder, monkeypatch)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known = {
            split: [f"http://127.0.0.1:{server.server_port}/{name}", name, digest(folder / name)]
            for split, (_, name, _) in theirs.USPS.split_list.items()
        }
        monkeypatch.setattr(theirs.USPS, "split_list", known)
        monkeypatch.setattr(urllib.request, "urlopen", urllib.request.build_opener().open)
        yield folder
        server.shutdown()


def test_a_download_is_made_once_and_torchvision_says_nothing(
    shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = load_dataset("torchvision:USPS")
    assert capfd.readouterr() == ("", "")
    cache = tmp_path / "cache/diffcli/torchvision"
    assert sorted(tree(cache)) == ["USPS", "USPS/usps.bz2"]
    for path in shop.iterdir():
        path.rename(path.with_suffix(".away"))
    assert load_dataset("torchvision:USPS").fingerprint == first.fingerprint
    with pytest.raises(DataProblem, match="cannot download USPS"):
        load_dataset("torchvision:USPS", "test")
    assert "USPS/usps.bz2" in tree(cache)


def test_a_download_of_something_else_is_thrown_away(shop: Path, tmp_path: Path) -> None:
    (shop / "usps.bz2").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataProblem, match="File not found or corrupted"):
        load_dataset("torchvision:USPS")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_a_bar_shows_the_bytes(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("diffcli.console.show.PLAIN_EVERY", 0)
    load_dataset("torchvision:USPS")
    assert "downloading USPS: " in capsys.readouterr().err


# Which data sets there are


def test_those_with_a_class_for_each_image_are_found() -> None:
    found = vision_sets()
    assert found.keys() >= {
        "SVHN", "STL10", "KMNIST", "EMNIST", "QMNIST", "USPS", "CIFAR10", "CIFAR100", "CelebA", "Flowers102", "EuroSAT",
        "OxfordIIITPet", "Food101", "ImageFolder", "FakeData", "ImageNet", "Omniglot", "GTSRB", "Places365",
    }  # fmt: skip
    assert not found.keys() & {"VisionDataset", "DatasetFolder", "LSUNClass", "VOCDetection", "UCF101", "KittiFlow"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("VOCSegmentation", "pictures or boxes"), ("CocoCaptions", "captions or boxes"), ("HMDB51", "videos"),
        ("Sintel", "pairs of images"), ("WIDERFace", "annotations"), ("SBU", "captions"), ("LFWPairs", "pairs"),
        ("Kitti", "boxes"), ("MovingMNIST", "no pairs of an image and a target"), ("DatasetFolder", "loader"),
    ],
)  # fmt: skip
def test_others_are_refused_with_the_reason(cli: Cli, name: str, words: str) -> None:
    result = cli("train", "--dataset", f"torchvision:{name.lower()}", "--recipe", "tiny", "--steps", 1)
    assert_refused(result, 3, f"torchvision:{name} has no class for each image", words)


def test_names_are_found_in_any_case_and_the_nearest_is_suggested() -> None:
    assert vision_set("oxfordiiitpet").name == "OxfordIIITPet"
    with pytest.raises(DataProblem) as caught:
        vision_set("emnits")
    assert "did you mean torchvision:EMNIST?" in caught.value.hint
    assert refusal(vision_set("svhn")) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("EMNIST", "needs split: one of byclass"), ("EMNIST,split=leters", "Valid values are"),
        ("FakeData,siz=3", "unknown argument of FakeData 'siz'"), ("FakeData,size=x", "must be like 1000"),
        ("FakeData,size", "has no value"), ("FakeData,size=3,size=4", "twice"), ("STL10,folds=12", "folds"),
        ("SVHN,transform=1", "unknown argument"), ("SVHN,download=true", "unknown argument"),
        ("FakeData,root=x", "unknown argument"), ("SVHN,split=nothing", "Valid values are"),
    ],
)  # fmt: skip
def test_arguments_that_a_data_set_does_not_take_are_refused(cli: Cli, text: str, words: str) -> None:
    result = cli("train", "--dataset", f"torchvision:{text}", "--recipe", "tiny", "--steps", 1)
    assert_refused(result, 2, words)


def test_a_split_that_is_trained_on_is_not_tested_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn(tmp_path, monkeypatch)
    trained = load_dataset("torchvision:SVHN,split=test", data=tmp_path)
    assert np.array_equal(images_of(trained), COLOURS[:, :, ::-1])
    with pytest.raises(UsageProblem, match="split=test is trained on its test images"):
        load_dataset("torchvision:SVHN,split=test", "test", data=tmp_path)
    with pytest.raises(UsageProblem, match="SVHN has no val split"):
        load_dataset("torchvision:SVHN", "val", data=tmp_path)


def test_a_recipe_names_what_it_was_trained_on_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole path, and the side that images were given."""
    monkeypatch.chdir(tmp_path)
    tree_of_images(Path("pics"), side=96)
    name = "torchvision:imagefolder,root=pics"
    kept = lasting(name, Reading(), load_dataset(name))
    assert kept == (f"torchvision:ImageFolder,root={tmp_path / 'pics'}", Reading(64))
    for text in ("FakeData,size=3,image_size=3x8x8", "EMNIST,split=letters"):
        assert parse(parse(f"torchvision:{text}").spelling).given == parse(f"torchvision:{text}").given


# The commands


def test_a_set_of_torchvision_is_trained_on_and_sampled_from(cli: Cli) -> None:
    name = "torchvision:fakedata,size=60,image_size=3x8x8,num_classes=3"
    trained = cli("train", "--dataset", name, "--recipe", "tiny", "--steps", 4, "--json")
    assert trained.code == 0, trained.err
    run = trained.document["run"]
    assert run == "checkpoints/FakeData-1"
    again = cli("train", "--resume", run, "--steps", 6)
    assert again.code == 0, again.err
    sampled = cli("sample", run, "--steps", 3, "--class", "2", "--count", 2)
    assert sampled.code == 0, sampled.err


def test_a_model_is_judged_on_the_test_images(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kmnist(tmp_path / "data", monkeypatch)
    asked: list[str] = []
    real = places.find
    monkeypatch.setattr(places, "find", lambda *a: asked.append(a[1]) or real(*a))
    folder = ["--data", tmp_path / "data"]
    trained = cli("train", "--dataset", "torchvision:KMNIST", "--recipe", "tiny", "--steps", 2, "--out", "r", *folder)
    assert trained.code == 0, trained.err
    assert set(asked) == {"train"}
    judged = cli("vlb", "r", "--count", 4, "--steps", 5, *folder, "--json")
    assert judged.code == 0, judged.err
    assert "test" in asked


def test_the_list_of_data_sets_has_one_row_for_all(cli: Cli) -> None:
    out = cli("data").out
    assert out.count("torchvision:NAME") == 1
    names = cli("data", "torchvision", "--json").document["datasets"]
    assert "torchvision:SVHN" in names
    assert cli("data", "torchvision:").out == cli("data", "torchvision").out


def test_what_is_not_here_is_described_without_the_network(cli: Cli, tmp_path: Path) -> None:
    found = cli("data", "torchvision:svhn", "--json").document
    assert found["present"] is False
    assert "downloads it from ufldl.stanford.edu" in found["where"]
    assert found["page"] == "http://ufldl.stanford.edu/housenumbers/"
    assert "see the data set's own page" in found["licence"]
    assert found["arguments"] == {"split": "train"}
    assert "fingerprint" not in found
    assert "stl10_binary" in cli("data", "torchvision:STL10").out
    assert [p for p in tree(tmp_path) if (tmp_path / p).is_file()] == []


def test_what_is_here_is_measured(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn(tmp_path / "data", monkeypatch)
    found = cli("data", "torchvision:svhn", "--data", tmp_path / "data", "--json").document
    assert found["images"] == 12
    assert found["class_counts"] == [2, 2, *[1] * 8]
    assert found["mean"] == pytest.approx(2 * (COLOURS / 255).mean() - 1, abs=1e-6)
    assert str(tmp_path / "data") in found["where"]
