"""diffcli data: what there is and where, without opening or downloading anything; and what a folder holds."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SHAPES, Cli, assert_refused, tree
from PIL import Image

from diffcli.commands import data_look
from diffcli.core.processes.laws.toys import TOYS
from diffcli.data import loading as datasets
from diffcli.data.canvas_names import SIDES
from diffcli.data.published import DATASETS


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test here may download, and the cache is empty."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "empty-cache"))


def entry(cli: Cli, name: str, *arguments: object) -> dict[str, Any]:
    (found,) = (e for e in cli("data", "--json", *arguments).document["datasets"] if e["name"] == name)
    return found


def place(root: Path, name: str, *splits: str) -> Path:
    """Empty files with the names of those of a data set; to be present they need no content."""
    source = DATASETS[name]
    (root / source.folder).mkdir(parents=True)
    for split in splits or source.images:
        for file in source.format.names(split):
            (root / source.folder / file).touch()
    return root


def test_every_data_set_is_listed_with_the_facts_of_its_files(cli: Cli) -> None:
    listed = {e["name"]: e for e in cli("data", "--json").document["datasets"]}
    assert list(listed) == [*DATASETS, *SIDES, *TOYS]
    assert listed["moons"]["shape"] == [2]
    assert listed["moons"]["present"] is True
    assert listed["mnist"] == {
        "name": "mnist", "title": "MNIST", "train": 60000, "val": None, "test": 10000, "shape": [1, 28, 28],
        "classes": list("0123456789"), "licence": "CC BY-SA 3.0, Yann LeCun and Corinna Cortes", "present": True,
        "where": "bundled", "download_bytes": 0, "checksum": "sha256",
    }  # fmt: skip
    assert listed["pneumoniamnist"]["val"] == 524
    assert listed["cifar10"]["shape"] == [3, 32, 32]
    assert listed["cifar10"]["checksum"] == "md5"


@pytest.mark.parametrize("name", ["pneumoniamnist", "breastmnist"])
def test_medical_images_come_with_their_warning(cli: Cli, name: str) -> None:
    assert "not intended for clinical use" in entry(cli, name)["licence"]
    assert "not intended for clinical use" in " ".join(cli("data", name).out.split())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fashion-mnist", "downloads 30.9 MB from github.com"),
        ("cifar10", "downloads 170.1 MB from www.cs.toronto.edu"),
        ("breastmnist", "downloads 559.6 kB from zenodo.org"),
    ],
)
def test_what_is_not_here_says_how_much_it_would_download(cli: Cli, tmp_path: Path, name: str, words: str) -> None:
    found = entry(cli, name)
    assert found["present"] is False
    assert found["where"] == f"not here: {words}"
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "mnist"])
@pytest.mark.parametrize("by", ["option", "environment", "cache"])
def test_what_is_here_is_found_by_its_name_alone(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, by: str
) -> None:
    if by == "cache":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = place(tmp_path / ("diffcli" if by == "cache" else "some"), name)
    if by == "environment":
        monkeypatch.setenv("DIFFCLI_DATA", str(root))
    found = entry(cli, name, *(["--data", root] if by == "option" else []))
    assert found["present"] is True
    assert found["where"] == ("in the cache" if by == "cache" else f"found at {root / DATASETS[name].folder}")
    assert found["download_bytes"] == 0


def test_the_archive_of_cifar_is_as_good_as_its_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").touch()
    assert entry(cli, "cifar10", "--data", tmp_path)["present"] is True
    assert entry(cli, "cifar10", "--data", tmp_path)["checksum"] == "md5"


def test_unpacked_cifar_is_said_to_have_no_checksum(cli: Cli, tmp_path: Path) -> None:
    assert entry(cli, "cifar10", "--data", place(tmp_path, "cifar10"))["checksum"] == "none"


def test_training_images_alone_are_present_and_the_rest_is_told(cli: Cli, tmp_path: Path) -> None:
    """As a training leaves the cache."""
    found = entry(cli, "fashion-mnist", "--data", place(tmp_path, "fashion-mnist", "train"))
    assert found["present"] is True
    assert found["where"].endswith("but test images: downloads 4.4 MB from github.com")
    assert found["download_bytes"] == 4_422_102 + 5_148
    assert entry(cli, "fashion-mnist", "--data", tmp_path / "nowhere")["present"] is False


def test_half_of_the_training_images_are_not_present(cli: Cli, tmp_path: Path) -> None:
    root = place(tmp_path, "fashion-mnist")
    (root / "FashionMNIST" / "train-labels-idx1-ubyte.gz").unlink()
    found = entry(cli, "fashion-mnist", "--data", root)
    assert found["present"] is False
    assert found["download_bytes"] == 29_515


def test_without_its_bundled_files_mnist_is_unavailable(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("diffcli.data.published.resources", lambda _: tmp_path)
    found = entry(cli, "mnist")
    assert (found["present"], found["where"], found["download_bytes"]) == (False, "not here: unavailable", 0)


@pytest.mark.parametrize("columns", [80, 200])
def test_the_list_fits_the_terminal_and_is_whole(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = cli("data", "--data", place(tmp_path / ("deep/" * 30), "breastmnist")).out
    assert max(map(len, out.splitlines())) <= columns
    for name, source in DATASETS.items():
        assert any(line.split()[:1] == [name] for line in out.splitlines())
        assert all(word.strip(",") in out for label in source.classes for word in label.split())
    assert "…" not in out
    assert out.splitlines()[-1].startswith("next: diffcli ")


@pytest.mark.parametrize("arguments", [["data"], ["data", "cifar10"], ["runs"]])
def test_a_list_is_made_without_torch(tmp_path: Path, arguments: list[str]) -> None:
    code = f"import sys\nfrom diffcli.cli import main\nassert main({arguments}) == 0\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, env=os.environ)
    assert done.returncode == 0, done.stderr


# One of them


def test_a_set_that_is_not_here_is_told_of_and_not_downloaded(cli: Cli) -> None:
    result = cli("data", "cifar10", "--json")
    assert result.code == 0
    assert result.document["present"] is False
    assert "fingerprint" not in result.document
    assert "diffcli train --dataset cifar10" in cli("data", "cifar10").out


def test_a_set_that_is_here_is_measured(cli: Cli) -> None:
    """Mean and spread as the literature gives them for [0, 1]: 0.1307 and 0.3081."""
    found = cli("data", "mnist", "--json").document
    assert found["images"] == 60000
    assert found["class_counts"] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert found["mean"] == pytest.approx(2 * 0.1307 - 1, abs=1e-4)
    assert found["std"] == pytest.approx(2 * 0.3081, abs=1e-4)
    assert (found["min"], found["max"]) == (-1, 1)
    assert found["fingerprint"] == datasets.load_dataset("mnist").fingerprint
    assert found["where"] == "bundled"


def test_a_damaged_set_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("data", "breastmnist", "--data", place(tmp_path, "breastmnist"))
    assert result.code == 3
    assert "breastmnist.npz is not the BreastMNIST file it should be" in result.err


# Folders


def test_a_folder_is_what_training_would_see(cli: Cli, pictures: Path) -> None:
    found = cli("data", pictures, "--json").document
    pixels = datasets.load_folder(pictures).storage[:].double().numpy() / 127.5 - 1
    assert found["name"] == str(pictures)
    assert found["images"] == 60
    assert found["shape"] == [1, 8, 8]
    assert found["classes"] == list(SHAPES)
    assert found["class_counts"] == [20, 20, 20]
    assert found["notes"] == []
    assert found["mean"] == pytest.approx(pixels.mean(), abs=1e-6)
    assert found["std"] == pytest.approx(pixels.std(), abs=1e-6)
    assert (found["min"], found["max"]) == pytest.approx((pixels.min(), pixels.max()), abs=1e-6)
    assert found["fingerprint"] == datasets.load_folder(pictures).fingerprint


def test_the_values_do_not_depend_on_how_many_are_read_at_once(
    cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cli("data", pictures, "--json").document
    monkeypatch.setattr("diffcli.metrics.values.AT_ONCE", 7 * 64 + 1)
    monkeypatch.setattr("diffcli.data.fitting.MEMORY_LIMIT", 0)
    parts = cli("data", pictures, "--json").document
    for key in ("mean", "std", "min", "max"):
        assert parts[key] == pytest.approx(whole[key], abs=1e-12)


def test_what_would_be_done_to_the_images_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    Image.fromarray(np.zeros((70, 90, 4), np.uint8)).save(tmp_path / "pics" / "a.png")
    Image.fromarray(np.zeros((80, 80), np.uint16)).save(tmp_path / "pics" / "b.png")
    out = " ".join(cli("data", "pics").out.split())
    for words in (
        "2 images, each 3x64x64",
        "0 is black and 1 white",
        "transparency is laid over white (1 of 2 images)",
        "resized to 64x64",
        "classes: none",
    ):
        assert words in out
    assert cli("data", "pics", "--json").document["class_counts"] is None


def test_many_classes_are_counted(cli: Cli, tmp_path: Path) -> None:
    for i in range(data_look.NAMED + 1):
        (tmp_path / "many" / f"class-{i:02d}").mkdir(parents=True)
        for j in range(1 + i % 3):
            Image.new("L", (4, 4)).save(tmp_path / "many" / f"class-{i:02d}" / f"{j}.png")
    out = cli("data", "many").out
    assert "41, of 1 to 3 images each" in out
    assert "class-10" not in out
    assert len(cli("data", "many", "--json").document["classes"]) == 41


@pytest.mark.parametrize("name", ["two\nlines", "[bold]x", "{name}", "%s", "a b", "-x"])
def test_odd_names_of_folders_and_classes_are_shown_in_single_lines(cli: Cli, tmp_path: Path, name: str) -> None:
    for label in ("[red]", "e\x1b[31m"):
        (tmp_path / name / label).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / name / label / "1.png")
    result = cli("data", "--", name)
    assert result.code == 0
    assert "\x1b" not in result.out
    assert "[red]: 1" in result.out
    facts = {line.partition(":")[0] for line in result.out.splitlines()}
    assert facts >= {"to train on", "classes", "values", "fingerprint", "next"}
    assert json.loads(cli("data", "--json", "--", name).out)["name"] == name


# Canvases, and pictures of items


def test_canvases_are_told_of_with_captions_and_boxes(cli: Cli) -> None:
    found = cli("data", "canvas", "--json").document
    assert (found["name"], found["shape"], found["images"]) == ("canvas-64", [3, 64, 64], 50_000)
    assert sum(found["class_counts"]) == 50_000
    for example in found["examples"]:
        first = example["boxes"][0]
        assert example["caption"].startswith("a large ")
        assert f" {example['class']}" in example["caption"]
        assert first["label"] == example["class"]
        assert 0 <= first["left"] < first["right"] <= 64


@pytest.mark.parametrize("settings", [[], ["--set", "data.hints=mask"]])
@pytest.mark.parametrize("name", ["canvas-64", "pics"])
def test_a_picture_of_items_is_drawn(cli: Cli, tmp_path: Path, name: str, settings: list[str]) -> None:
    for i in range(3):
        (tmp_path / "pics").mkdir(exist_ok=True)
        Image.new("L", (8, 8), 40 * i).save(tmp_path / "pics" / f"{i}.png")
        if settings:
            Image.new("L", (8, 8), 40 * i).save(tmp_path / "pics" / f"{i}.mask.png")
    found = cli("data", name, "--look", "look.png", "--json", *settings).document
    assert found["look"] == "look.png"
    assert found["hints"] == ([1, *found["shape"][1:]] if settings else None)
    with Image.open(tmp_path / "look.png") as image:
        assert image.width > 900


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["moons", "--look", "a.png"], 2, "moons holds points"),
        (["canvas-64", "--look", "a.jpg"], 2, "--look writes a PNG"),
        (["cifar10", "--look", "a.png"], 3, "cifar10 is not here"),
        (["--look", "a.png"], 2, "are about one data set"),
        (["torchvision", "--look", "a.png"], 2, "are about one data set"),
        (["canvas-64", "--set", "size=32"], 2, "data.size belongs to folders of images; canvas-64 is painted"),
    ],
)
def test_what_cannot_be_drawn_is_refused(cli: Cli, arguments: list[str], code: int, words: str) -> None:
    assert_refused(cli("data", *arguments), code, words)
