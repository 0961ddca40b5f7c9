"""What judges images: the small network of a data set, pixels, and published networks; and how features are kept."""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import platformdirs
import pytest
import torch
from conftest import rewrite_about
from PIL import Image
from torch import Tensor, nn

from diffcli.console.show import Show
from diffcli.data.dataset import Dataset
from diffcli.data.folders import load_folder
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.loading import load_dataset
from diffcli.data.pages import Pages
from diffcli.data.reading import Reading
from diffcli.errors import CheckpointProblem, EnvironmentProblem, UsageProblem
from diffcli.evaluation.features import judge as judges
from diffcli.evaluation.features import keeping, library, training
from diffcli.evaluation.features.encoder import Encoder
from diffcli.evaluation.features.encoders import encoder
from diffcli.evaluation.features.extraction import cached_features, features
from diffcli.evaluation.features.judge import Judge, from_file, trained
from diffcli.evaluation.features.library import LIBRARY, library_encoder
from diffcli.evaluation.features.pixels import pixels

CPU, QUIET = torch.device("cpu"), Show(quiet=True)
FEW = 1600  # images to see: two hundred steps at most


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return platformdirs.user_cache_path("diffcli")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges are trained for ten steps."""
    monkeypatch.setattr(training, "MOST_EPOCHS", 1)


@pytest.fixture(scope="module")
def of_shapes(pictures: Path) -> Judge:
    """The judge of three shapes."""
    return trained(load_folder(pictures), None, CPU, QUIET, budget=FEW)


def shape_encoder(judge: Judge) -> Encoder:
    return judges.encoder_of("judge", judge, CPU)


def unlabelled(height: int, width: int, count: int = 120) -> Dataset:
    """Images without classes whose upper left is bright, so that turns can be told apart."""
    pixels = torch.randint(0, 90, (count, 1, height, width), generator=torch.Generator().manual_seed(1)).byte()
    pixels[:, :, : height // 2, : width // 2] += 120
    return Dataset("bright", Items(IMAGES, (1, height, width)), pixels, None, f"{height}x{width}")


def random_judge(shape: tuple[int, int, int], classes: tuple[str, ...] = ("a", "b")) -> Judge:
    """A judge that has learned nothing."""
    dataset = Dataset("none", Items(IMAGES, shape, classes), torch.zeros(2, *shape).byte(), torch.tensor([0, 1]), "")
    network = training.new_network(dataset, CPU)
    state = {name: judges._half(value) for name, value in network.state_dict().items()}
    about = {"judge": judges.VERSION, "data": "none", "shape": list(shape), "classes": list(classes)}
    return Judge(state, about | {"accuracy": 0.9, "chance": 0.5, "tested": 2, "fingerprint": ""})


# the judge


def test_a_judge_learns_to_tell_shapes_apart(of_shapes: Judge, pictures: Path) -> None:
    found, dataset = shape_encoder(of_shapes), load_folder(pictures)
    assert found.probabilities is not None
    images, conditions = dataset.take(dataset.holdout()[1])
    right = (found.probabilities(found.encode(images)).argmax(1) == conditions["label"]).float().mean().item()
    assert right == found.accuracy == 1.0
    assert found.judges
    assert found.classes == ("circle", "cross", "stripe")
    assert found.encode(images).shape == (len(images), found.dimensions)
    assert "1x8x8 in [-1, 1]" in found.preprocessing


def test_equal_seeds_give_equal_judges_and_the_global_generator_stays(pictures: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (trained(load_folder(pictures), None, CPU, QUIET, budget=1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.digest == second.digest
    other = training.new_network(load_folder(pictures), CPU, seed=1)
    assert not torch.equal(other.decide.weight.half(), first.weights["decide.weight"])


def test_the_images_held_out_are_not_trained_on(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(dataset: Dataset, places: Tensor, **rest: Any) -> Any:
        seen.extend(places.tolist())
        return original(dataset, places, **rest)

    original = training.stream
    monkeypatch.setattr(training, "stream", watched)
    dataset = load_folder(pictures)
    about = trained(dataset, None, CPU, QUIET, budget=1).about
    assert not set(seen) & set(dataset.holdout()[1].tolist())
    assert (about["images"], about["tested"]) == (54, 6)


def test_features_have_a_mean_square_of_one_and_the_network_reads_as_before(of_shapes: Judge, pictures: Path) -> None:
    dataset, places = load_folder(pictures), torch.arange(60)
    learned = shape_encoder(of_shapes).encode(dataset.take(dataset.holdout()[0])[0])
    assert math.isclose(learned.square().mean(), 1, rel_tol=0.01)  # weights are rounded to 16 bits
    network, images = of_shapes.network(CPU), dataset.take(places)[0]
    with torch.no_grad():
        for weight in network.look[-2].parameters():
            weight *= 7
        before, features_before = network(images), network.features(images)
        training.scaled(network, dataset, places)
        assert math.isclose(network.features(images).square().mean(), 1, rel_tol=1e-5)
        factor = features_before.square().mean().sqrt()
        assert torch.allclose(network.features(images) * factor, features_before, rtol=1e-4)
        assert torch.allclose(network(images), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12)])
def test_without_classes_a_judge_learns_how_images_were_turned(height: int, width: int) -> None:
    found = shape_encoder(trained(unlabelled(height, width), None, CPU, QUIET, budget=FEW))
    assert found.accuracy is not None
    assert found.accuracy > 0.95
    assert found.chance == 0.25
    assert (found.classes, found.probabilities) == ((), None)
    assert ("quarter turns" if height == width else "mirrorings") in found.origin


def test_noise_makes_no_judge() -> None:
    pixels = torch.randint(0, 256, (300, 1, 8, 8), generator=torch.Generator().manual_seed(2)).byte()
    labels = torch.arange(300) % 3
    dataset = Dataset("noise", Items(IMAGES, (1, 8, 8), ("a", "b", "c")), pixels, labels, "noise")
    assert not shape_encoder(trained(dataset, None, CPU, QUIET, budget=1)).judges


def test_reading_counts_what_is_read_right_and_what_a_guess_would_be(pictures: Path) -> None:
    class Sees(nn.Module):
        """Says that all is a cross."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(len(x), 4)

    dataset, sees = load_folder(pictures), Sees()
    found = training.reading(sees, dataset, torch.tensor([0, 1, 2, 20, 21, 40, 41, 42]))  # type: ignore[arg-type]
    assert found == (2 / 8, 3 / 8, 8)
    turns = training.reading(sees, unlabelled(8, 8), torch.arange(7))  # type: ignore[arg-type]
    assert turns == (1 / 4, 1 / 4, 7)


@pytest.mark.parametrize(
    ("shape", "pools"), [((1, 8, 8), 0), ((1, 16, 16), 0), ((1, 28, 28), 1), ((3, 32, 32), 1), ((3, 64, 64), 2)]
)
def test_the_network_pools_until_no_side_is_longer_than_eight(shape: tuple[int, int, int], pools: int) -> None:
    network = random_judge(shape).network(CPU)
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in network.look) == pools
    shrunk = [layer for layer in network.look if isinstance(layer, nn.AdaptiveMaxPool2d)]
    sides: list[int] = []
    shrunk[0].register_forward_pre_hook(lambda _, x: sides.extend(x[0].shape[-2:]))
    network(torch.zeros(1, *shape))
    assert max(sides) <= 8


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 90), (1, 5, 64), (3, 200, 130)])
def test_images_of_any_sides_have_features(shape: tuple[int, int, int]) -> None:
    found = shape_encoder(random_judge(shape))
    assert found.encode(torch.zeros(2, *shape)).shape == (2, 64)
    assert ("antialiased" in found.preprocessing) == (max(shape[1:]) > 64)


def test_larger_images_are_seen_less_often_for_the_same_work() -> None:
    def images(side: int) -> int:
        pixels = torch.zeros(20_000, 1, side, side, dtype=torch.uint8)
        dataset = Dataset("black", Items(IMAGES, (1, side, side)), pixels, None, "")
        network = training.new_network(dataset, CPU)
        return next(training.judge_steps(network, dataset, torch.arange(20_000), budget=100_000)).total

    assert images(28) == 100_000 // 64 * 64
    assert math.isclose(images(56) * 4, images(28), rel_tol=0.01)


def test_training_says_how_long_it_takes_and_what_it_is(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(load_folder(pictures), None, CPU, Show(), budget=200)
    assert "the judge of shapes is trained, once, and kept: about" in capsys.readouterr().err


# where judges are


def test_a_judge_is_trained_once_and_kept(
    cache: Path, brief: None, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encoder("judge", str(pictures), None, CPU, QUIET)
    (kept,) = (cache / "judges").iterdir()
    assert kept.name == f"shapes-{load_folder(pictures).fingerprint}.safetensors"
    monkeypatch.setattr(judges, "trained", None)  # it would fail
    assert encoder("judge", str(pictures), None, CPU, QUIET).digest == first.digest
    assert encoder(str(kept), str(pictures), None, CPU, QUIET).digest == first.digest


def test_other_images_have_another_judge(cache: Path, brief: None, pictures: Path) -> None:
    encoder("judge", str(pictures), None, CPU, QUIET)
    encoder("judge", str(pictures), None, CPU, QUIET, reading=Reading(6))
    assert len(list((cache / "judges").iterdir())) == 2


@pytest.mark.parametrize("how", ["cut", "empty", "pickle", "older"])
def test_a_kept_judge_that_cannot_be_used_is_trained_again(
    cache: Path, brief: None, pictures: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = encoder("judge", str(pictures), None, CPU, QUIET)
    (kept,) = (cache / "judges").iterdir()
    content = {"cut": kept.read_bytes()[:-5], "empty": b"", "pickle": b"\x80\x04}."}
    if how == "older":
        rewrite_about(kept, judge=0)
    else:
        kept.write_bytes(content[how])
    capsys.readouterr()
    assert encoder("judge", str(pictures), None, CPU, Show()).digest == first.digest
    assert ("note: " in capsys.readouterr().err) == (how != "older")
    assert encoder("judge", str(pictures), None, CPU, QUIET).digest == first.digest


def test_a_judge_that_is_interrupted_leaves_nothing(
    cache: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[training.JudgeStep]:
        yield training.JudgeStep(8, 400, 1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "judge_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encoder("judge", str(pictures), None, CPU, QUIET)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_to_is_told_of(
    cache: Path, brief: None, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.parent.write_text("a file where a folder should be")
    monkeypatch.setattr(keeping, "cache_folder", lambda: cache)  # and the temporary one neither
    monkeypatch.setattr(keeping, "cache_folders", lambda: [cache])
    assert encoder("judge", str(pictures), None, CPU, Show()).classes
    assert "cannot be kept" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(judges.SHIPPED.glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_shipped_judge_is_small_and_reads_well(path: Path) -> None:
    found = from_file(path, 1, CPU)
    least = {"mnist": 0.993, "fashion-mnist": 0.91}[path.stem]
    assert found.accuracy is not None
    assert found.accuracy >= least
    assert path.stat().st_size < 1_000_000


def test_mnist_is_judged_by_the_shipped_judge(cache: Path) -> None:
    found, test = encoder("judge", "mnist", None, CPU, QUIET), load_dataset("mnist", "test")
    assert not cache.exists()
    assert found.probabilities is not None
    images, conditions = test.take(range(0, 10_000, 10))
    right = (found.probabilities(found.encode(images)).argmax(1) == conditions["label"]).float().mean().item()
    assert right >= 0.985  # of a thousand, where 99.3 % of all are


def test_a_judge_of_the_same_name_and_other_images_is_not_taken(
    cache: Path, brief: None, pictures: Path, tmp_path: Path
) -> None:
    other = tmp_path / "mnist"
    other.symlink_to(pictures)
    assert encoder("judge", str(other), None, CPU, QUIET).classes[0] == "circle"
    moved = tmp_path / "elsewhere" / "mnist"
    moved.mkdir(parents=True)
    for i in range(12):
        Image.fromarray(np.full((6, 6), 20 * i, np.uint8)).save(moved / f"{i}.png")
    assert encoder("judge", str(moved), None, CPU, QUIET).classes == ()


# judges in files


def test_a_file_is_refused_where_its_channels_do_not_fit(tmp_path: Path) -> None:
    judge = random_judge((3, 8, 8))
    keeping.keep(tmp_path / "colour.safetensors", judge.weights, judge.about, QUIET)
    assert from_file(tmp_path / "colour.safetensors", 3, CPU).name == "colour.safetensors"
    with pytest.raises(UsageProblem, match="3 channels, and these have 1"):
        from_file(tmp_path / "colour.safetensors", 1, CPU)


def test_a_judge_brings_images_of_other_sides_to_its_own() -> None:
    found = shape_encoder(random_judge((1, 12, 12)))
    grey = torch.full((1, 1, 12, 12), 0.3)
    assert torch.allclose(found.encode(grey), found.encode(torch.full((1, 1, 30, 7), 0.3)), atol=1e-5)
    with pytest.raises(UsageProblem, match="1 channels, and these have 3"):
        found.encode(torch.zeros(1, 3, 12, 12))


@pytest.mark.parametrize(
    "change",
    [
        {"judge": 0},
        {"judge": None},
        {"shape": [1, 8]},
        {"shape": None},
        {"classes": ["a", "b", "c"]},
        {"classes": 3},
    ],
    ids=str,
)
def test_a_file_that_is_no_judge_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    judge, path = random_judge((1, 8, 8)), tmp_path / "judge.safetensors"
    keeping.keep(path, judge.weights, judge.about | change, QUIET)
    with pytest.raises(CheckpointProblem, match="not a judge"):
        from_file(path, 1, CPU)


def test_runs_and_missing_files_are_no_judges(digits_run: Path, tmp_path: Path, pictures: Path) -> None:
    for path in (next(digits_run.glob("step-*.safetensors")), tmp_path / "nowhere.safetensors"):
        with pytest.raises(CheckpointProblem):
            encoder(str(path), str(pictures), None, CPU, QUIET)


def test_unknown_features_and_points_are_refused(pictures: Path) -> None:
    with pytest.raises(UsageProblem, match="unknown features 'inceptoin'") as caught:
        encoder("inceptoin", str(pictures), None, CPU, QUIET)
    assert "did you mean inception?" in caught.value.hint
    for name in ("judge", "pixels"):
        with pytest.raises(UsageProblem, match="moons holds points"):
            encoder(name, "moons", None, CPU, QUIET)


# pixels


def test_pixels_are_the_values_and_refuse_other_shapes(pictures: Path) -> None:
    found = encoder("pixels", str(pictures), None, CPU, QUIET)
    images = load_folder(pictures).take([0, 30])[0]
    assert torch.equal(found.encode(images), images.flatten(1))
    assert found.judges
    assert found.digest == pixels((1, 8, 8)).digest != pixels((1, 8, 9)).digest
    with pytest.raises(UsageProblem, match="1x8x8, and these are 1x6x6"):
        found.encode(torch.zeros(1, 1, 6, 6))


# features of many images


def counting(calls: list[int]) -> Encoder:
    """The mean of an image, and how many were encoded at once."""

    def encode(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images.flatten(1).mean(1, keepdim=True)

    return Encoder("mean", "0123456789abcdef", 1, "", (), None, encode, None, batch=25)


def test_features_come_batch_by_batch_in_the_order_of_the_places(pictures: Path) -> None:
    dataset, calls = load_folder(pictures), list[int]()
    found = features(counting(calls), dataset, QUIET, "means")
    assert calls == [25, 25, 10]
    assert torch.allclose(found[:, 0], dataset.take(range(60))[0].flatten(1).mean(1))
    some = features(counting([]), dataset, QUIET, "means", torch.tensor([40, 3]))
    assert torch.equal(some, found[[40, 3]])
    assert (found.shape, found.dtype) == ((60, 1), torch.float32)


def test_files_are_read_batch_by_batch(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_folder(pictures)
    monkeypatch.setattr("diffcli.data.fitting.MEMORY_LIMIT", 0)
    on_disk = load_folder(pictures).storage
    assert isinstance(on_disk, Pages)
    read: list[int] = []

    class Watched(Pages):
        def __getitem__(self, index: int) -> Tensor:
            read.append(index)
            return super().__getitem__(index)

    lazy = Dataset("lazy", dataset.items, Watched(on_disk.pages, on_disk.shape), None, "lazy")
    found, read_before = counting([]), list[int]()

    def encode(images: Tensor) -> Tensor:
        read_before.append(len(read))
        return found.encode(images)

    watched = Encoder("mean", "", 1, "", (), None, encode, None, batch=25)
    assert torch.allclose(features(watched, lazy, QUIET, ""), features(found, dataset, QUIET, ""))
    assert read_before == [25, 50, 60]


def test_features_of_data_are_computed_once(cache: Path, pictures: Path) -> None:
    dataset, calls = load_folder(pictures), list[int]()
    first, second = (cached_features(counting(calls), dataset, QUIET) for _ in range(2))
    assert torch.equal(first, second)
    assert len(calls) == 3
    cached_features(counting(calls), dataset.only(torch.arange(30)), QUIET)
    assert len(calls) == 5


@pytest.mark.parametrize("how", ["cut", "another", "shape"])
def test_kept_features_that_do_not_belong_are_computed_again(cache: Path, pictures: Path, how: str) -> None:
    dataset, calls = load_folder(pictures), list[int]()
    first = cached_features(counting(calls), dataset, QUIET)
    (path,) = (cache / "features").iterdir()
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "another":
        rewrite_about(path, data="of something else")
    else:
        about = {"features": 1, "encoder": "0123456789abcdef", "data": dataset.fingerprint}
        keeping.keep(path, {"features": first[:30]}, about, QUIET)
    assert torch.equal(cached_features(counting(calls), dataset, QUIET), first)
    assert len(calls) == 6
    cached_features(counting(calls), dataset, QUIET)
    assert len(calls) == 6


def test_pixels_are_not_kept(cache: Path, pictures: Path) -> None:
    cached_features(encoder("pixels", str(pictures), None, CPU, QUIET), load_folder(pictures), QUIET)
    assert not cache.exists()


# published networks


class Extractor(nn.Module):
    """Stands for torch-fidelity's: mean colours, repeated; it loads and fetches as `how` says."""

    how: Callable[[], Any] = staticmethod(lambda: None)

    def __init__(self, name: str, layers: list[str]) -> None:
        super().__init__()
        self.name, self.layers = name, layers
        type(self).how()

    def forward(self, x: Tensor) -> tuple[Tensor]:
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        assert not self.training
        dimensions = {"2048": 2048, "dinov2": 1024, "clip": 512}[self.layers[0]]
        return (x.double().mean((1, 2, 3))[:, None].expand(-1, dimensions),)


@pytest.fixture
def fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torch-fidelity that is not the real one, and an empty hub; the folder of the hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    registry = ModuleType("torch_fidelity.registry")
    registry.FEATURE_EXTRACTORS_REGISTRY = {entry.registered: Extractor for entry in LIBRARY.values()}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.registry", registry)
    monkeypatch.setattr(Extractor, "how", staticmethod(lambda: None))
    hub = tmp_path / "torch" / "hub"
    (hub / "checkpoints").mkdir(parents=True)
    return hub


def put(hub: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files where those of a network should be; what has its checksum in its name gets another name."""
    path = hub / "checkpoints" / LIBRARY[name].weights
    torch.save({"weight": torch.zeros(3)}, path)
    if "-" in path.stem:
        name_told = f"weights-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
        path = path.rename(path.with_name(name_told))
        monkeypatch.setitem(LIBRARY, name, LIBRARY[name]._replace(weights=name_told))
    (hub / LIBRARY[name].code).mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize("name", LIBRARY)
def test_a_published_network_makes_features_of_8_bit_colour(
    name: str, fidelity: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    path = put(fidelity, name, monkeypatch)
    found = encoder(name, str(pictures), None, CPU, QUIET)
    images = load_folder(pictures).take([0, 30])[0]
    made = found.encode(images)
    assert made.shape == (2, found.dimensions)
    assert torch.allclose(made[:, 0], (images + 1).mean((1, 2, 3)) * 127.5)
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert str(LIBRARY[name].side) in found.preprocessing
    assert (found.classes, found.accuracy, found.judges) == ((), None, True)


@pytest.mark.parametrize("name", LIBRARY)
def test_weights_that_are_not_here_are_named_with_their_folder(name: str, fidelity: Path) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        library_encoder(name, CPU)
    assert LIBRARY[name].weights in caught.value.message
    assert str(fidelity / "checkpoints") in caught.value.message
    assert "does not download" in caught.value.hint


def test_code_that_is_not_here_is_named_with_its_folder(fidelity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(fidelity, "dinov2", monkeypatch)
    (fidelity / LIBRARY["dinov2"].code).rmdir()
    with pytest.raises(EnvironmentProblem, match="no folder facebookresearch_dinov2_main in"):
        library_encoder("dinov2", CPU)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_file_that_is_not_the_published_one_is_never_opened(
    name: str, fidelity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(fidelity, name, monkeypatch)
    torch.save(print, path)  # a pickle that calls for more than weights
    monkeypatch.setattr(Extractor, "how", staticmethod(lambda: pytest.fail("it was opened")))
    with pytest.raises(EnvironmentProblem, match="is not the file of"):
        library_encoder(name, CPU)


@pytest.mark.parametrize(
    "fetch",
    [
        lambda: torch.hub.load_state_dict_from_url("https://nowhere.invalid/other.pth"),
        lambda: torch.hub.urlopen("https://nowhere.invalid"),
    ],
)
def test_nothing_is_ever_fetched(fetch: Callable[[], Any], fidelity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(fidelity, "inception", monkeypatch)
    monkeypatch.setattr(Extractor, "how", staticmethod(fetch))
    before = (torch.hub.load, torch.hub.download_url_to_file, torch.hub.urlopen)
    with pytest.raises(EnvironmentProblem, match="not here as a whole"):
        library_encoder("inception", CPU)
    assert (torch.hub.load, torch.hub.download_url_to_file, torch.hub.urlopen) == before


def test_the_code_of_dinov2_is_taken_from_the_disk(fidelity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(fidelity, "dinov2", monkeypatch)
    code = fidelity / LIBRARY["dinov2"].code / "hubconf.py"
    code.write_text("import torch\n\ndef dinov2_vitl14():\n    return torch.nn.Identity()\n")
    made: list[Any] = []
    hub = staticmethod(lambda: made.append(torch.hub.load("facebookresearch/dinov2", "dinov2_vitl14")))
    monkeypatch.setattr(Extractor, "how", hub)
    library_encoder("dinov2", CPU)
    assert isinstance(made[0], nn.Identity)


def test_without_torch_fidelity_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.delitem(sys.modules, "torch_fidelity.registry", raising=False)
    with pytest.raises(EnvironmentProblem, match="needs the extra torch-fidelity") as caught:
        library_encoder("clip", CPU)
    assert caught.value.hint == library.EXTRA
