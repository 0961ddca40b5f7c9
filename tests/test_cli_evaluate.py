"""`diffcli evaluate`: every number end to end, copies found, what a run remembers, and what is refused."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import many_pictures
import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, refuses
from torch import Tensor
from torch.nn import functional as F

from diffcli.console.show import Show
from diffcli.data.dataset import to_pixels, to_unit
from diffcli.data.loading import load_dataset
from diffcli.evaluation.features.encoders import encoder
from diffcli.evaluation.features.extraction import features
from diffcli.evaluation.quality.measures import RealFeatures, measure
from diffcli.evaluation.quality.reference import parted, reference, shuffled

USAGE, DATA, ENVIRONMENT = 2, 3, 5
KEYS = {
    "frechet", "kernel", "sliced", "precision", "recall", "density", "coverage", "class_agreement", "per_class",
    "confidence", "copies", "protocol", "downstream", "diagnosis", "encoders", "figures",
}  # fmt: skip
PROTOCOL = {
    "features", "digest", "real", "generated", "split", "preprocessing", "sampler", "grid", "steps", "evaluations",
    "guidance", "weights", "seed",
}  # fmt: skip


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An array of 90 further pictures with their classes."""
    path = tmp_path_factory.mktemp("fresh") / "fresh.npz"
    images, labels = many_pictures.pixels(30, seed=1)
    np.savez(path, images=images, labels=labels)
    return path


def evaluate(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("evaluate", *arguments, "--json", "--quiet")
    assert (result.code, result.err) == (0, ""), result.err
    return result.document


@pytest.mark.rendered
def test_fresh_images_of_the_same_law_are_near_the_floor_and_no_copies(
    cli: Cli, many: Path, fresh: Path, tmp_path: Path
) -> None:
    found = evaluate(cli, fresh, "--against", many, "--out", "out")
    assert found.keys() >= KEYS
    assert found["protocol"].keys() >= PROTOCOL
    assert found["frechet"].keys() == {"value", "floor", "bias", "error"}
    assert found["frechet"]["value"] < 3 * found["frechet"]["floor"]
    assert abs(found["kernel"]["value"]) < 5 * found["kernel"]["error"]
    assert found["precision"] > 0.7
    assert found["recall"] > 0.7
    assert found["copies"]["flagged"] is False
    assert (found["protocol"]["generated"], found["protocol"]["real"]) == (90, 1350)
    assert [found["protocol"][name] for name in ("sampler", "steps", "guidance", "weights")] == [None] * 4
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["frechet"] == found["frechet"]
    assert (tmp_path / "out" / "quality.png").stat().st_size > 10_000


def test_classes_of_an_array_are_numbers_and_those_of_a_folder_names(
    cli: Cli, many: Path, fresh: Path, tmp_path: Path
) -> None:
    images, labels = many_pictures.pixels(25, seed=1)
    folder = many_pictures.write(tmp_path / "given", images, labels)
    named = evaluate(cli, folder, "--against", many, "--metrics", "frechet,classes")
    assert named["class_agreement"] > 0.9
    assert len(named["per_class"]) == 3
    other = many_pictures.write(tmp_path / "wrong", images, (labels + 1) % 3)
    assert evaluate(cli, other, "--against", many, "--metrics", "classes")["class_agreement"] < 0.1
    (other / "circle").rename(other / "disc")
    assert evaluate(cli, other, "--against", many, "--metrics", "classes")["class_agreement"] is None


def test_training_images_among_the_samples_are_flagged(cli: Cli, many: Path, tmp_path: Path) -> None:
    images, _ = many_pictures.pixels(27, seed=1)
    seen = reference(str(many), None).train
    copies = to_pixels(seen.take(range(12))[0])[:, 0]
    np.save(tmp_path / "some.npy", np.concatenate([images, copies.numpy()]))
    found = evaluate(cli, "some.npy", "--against", many)["copies"]
    assert found["flagged"] is True
    assert found["copies"] == pytest.approx(12 / 93)
    assert found["likelihood_divergence"].keys() == {"value", "floor"}
    assert None not in found["likelihood_divergence"].values()


@pytest.mark.rendered
def test_a_run_is_judged_on_its_own_data_and_remembers_it(cli: Cli, many: Path, many_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(many_run, tmp_path / "checkpoints" / "many-1")
    found = evaluate(cli, "--count", 70, "--steps", 3, "--sampler", "ddim,eta=0.5", "--guidance", 2)
    protocol = found["protocol"]
    assert (protocol["sampler"], protocol["steps"], protocol["evaluations"]) == ("ddim,eta=0.5", 3, 6)
    assert (protocol["guidance"], protocol["weights"], protocol["seed"]) == (2, "ema", 0)
    assert protocol["data"] == str(many)
    assert found["class_agreement"] is not None
    assert json.loads((run / "metrics.json").read_text())["frechet"] == found["frechet"]
    (row,) = cli("runs", "--json").document["runs"]
    assert row["evaluation"]["frechet"] == found["frechet"]["value"]
    assert f"{found['frechet']['value']:.3g}" in cli("runs").out
    assert "70 by ddim,eta=0.5 in 3 steps" in cli("info", run).out


def test_two_encoders_are_both_reported(cli: Cli, many: Path, fresh: Path) -> None:
    found = evaluate(cli, fresh, "--against", many, "--features", "judge,pixels", "--metrics", "frechet,kernel")
    assert found["protocol"]["features"] == "judge"
    (second,) = found["encoders"]
    assert second["protocol"]["features"] == "pixels"
    assert second["frechet"]["value"] != found["frechet"]["value"]


def test_the_same_samples_give_the_same_numbers(cli: Cli, many: Path, fresh: Path) -> None:
    arguments = (fresh, "--against", many, "--metrics", "frechet,kernel,sliced,coverage")
    first, second = (evaluate(cli, *arguments) for _ in range(2))
    assert first["frechet"] == second["frechet"]
    assert first["sliced"] == second["sliced"]


def test_what_is_learned_from_samples_is_read_in_real_images(cli: Cli, many: Path, fresh: Path) -> None:
    found = evaluate(cli, fresh, "--against", many, "--metrics", "classes", "--downstream")["downstream"]
    assert found["accuracy"] > 0.8
    assert found["real_accuracy"] > 0.8
    assert (found["trained"], found["tested"]) == (90, 150)


def test_few_images_are_refused_or_their_covariances_shrunk(cli: Cli, many: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", many_pictures.pixels(10, seed=1)[0])
    arguments = ("evaluate", "few.npy", "--against", many, "--metrics", "frechet")
    result = cli(*arguments)
    assert_refused(result, DATA, "30 images are too few for a Fréchet distance in 64 features", "--shrink")
    found = evaluate(cli, *arguments[1:], "--shrink")
    assert found["protocol"]["shrunk"] is True
    assert found["frechet"]["error"] is None


def test_a_split_may_be_named_and_the_floor_comes_from_the_other() -> None:
    to_test, to_train = reference("mnist:test", None), reference("mnist", None)
    assert (len(to_test.real), len(to_test.unseen), len(to_test.train)) == (10_000, 60_000, 60_000)
    assert (len(to_train.real), len(to_train.unseen)) == (60_000, 10_000)
    assert to_test.untrained.fingerprint == to_train.untrained.fingerprint
    floor, judges = parted(to_train.unseen, 9_000, None, 2_000)
    assert (len(floor), len(judges)) == (9_000, 1_000)
    classes = torch.tensor([3] * 200 + [7] * 100)
    floor, judges = parted(to_train.unseen, 300, classes, 10_000)
    assert floor.class_counts == [0, 0, 0, 200, 0, 0, 0, 100, 0, 0]
    together = torch.cat([part.take(range(len(part)))[0] for part in (floor, judges)]).flatten(1)
    whole = to_train.unseen.take(range(10_000))[0].flatten(1)
    assert len(together) == 10_000
    torch.testing.assert_close(together.double().sum(0), whole.double().sum(0))


def test_copies_are_told_from_images_that_were_not_trained_on_whatever_is_compared_with(
    cli: Cli, tmp_path: Path
) -> None:
    """Against the test split the floor is of training images; these must not be the yardstick of copies."""
    train, test = load_dataset("mnist"), load_dataset("mnist", "test")
    some = torch.cat([test.take(range(50))[0], train.take(range(10))[0]])
    np.save(tmp_path / "some.npy", to_pixels(some)[:, 0].numpy())
    found = evaluate(cli, "some.npy", "--against", "mnist:test", "--metrics", "copies")["copies"]
    assert found["flagged"] is True
    assert (found["copies"], found["held_copies"]) == (pytest.approx(10 / 60), 0)


def corruptions() -> dict[str, Any]:
    """Ways to spoil images [N, 1, 28, 28] in [-1, 1], the more the larger the number."""
    generator = torch.Generator().manual_seed(0)

    def blurred(x: Tensor, amount: int) -> Tensor:
        kernel = torch.ones(1, 1, 2 * amount + 1, 2 * amount + 1) / (2 * amount + 1) ** 2
        return F.conv2d(x, kernel, padding=amount)

    def lost(x: Tensor, amount: int) -> Tensor:
        return torch.where(torch.rand(x.shape, generator=generator) < 0.08 * amount, torch.ones(()), x)

    def covered(x: Tensor, amount: int) -> Tensor:
        hidden = x.clone()
        hidden[..., 10 : 10 + 3 * amount, 10 : 10 + 3 * amount] = -1
        return hidden

    return {
        "noise": lambda x, amount: x + 0.25 * amount * torch.randn(x.shape, generator=generator),
        "blur": blurred,
        "salt": lost,
        "holes": covered,
        "shift": lambda x, amount: x.roll(2 * amount, -1),
        "grey": lambda x, amount: x * (1 - 0.2 * amount),
    }


@pytest.fixture(scope="module")
def judged_digits() -> tuple[Any, RealFeatures, Tensor]:
    """The judge of MNIST, features of 4,000 training images, and 600 test images."""
    judge = encoder("judge", "mnist", None, torch.device("cpu"), Show(quiet=True))
    train, test = load_dataset("mnist"), load_dataset("mnist", "test")
    known = features(judge, train, Show(quiet=True), "", shuffled(len(train))[:4000])
    return judge, RealFeatures.of(known), test.take(shuffled(len(test))[:600])[0]


@pytest.mark.parametrize("name", corruptions())
def test_all_distances_grow_with_the_corruption(name: str, judged_digits: tuple[Any, RealFeatures, Tensor]) -> None:
    judge, real, digits = judged_digits
    distances = []
    for amount in (0, 1, 2, 3):
        spoilt = to_unit(to_pixels(corruptions()[name](digits, amount) if amount else digits))
        found = measure(judge.encode(spoilt), real, ("frechet", "kernel", "sliced"), shrink=False)
        assert found.frechet and found.kernel and found.sliced
        distances.append([found.frechet.value, found.kernel.value, found.sliced.value])
    for column in zip(*distances, strict=True):
        assert list(column) == sorted(column), name


REFUSALS: dict[str, tuple[tuple[object, ...], int, tuple[str, ...]]] = {
    "an unknown metric": (("mnist:test", "--against", "mnist", "--metrics", "fid"), USAGE, ("metric 'fid'",)),
    "unknown features": (
        ("mnist:test", "--against", "mnist:test", "--features", "jugde", "--count", "70"),
        USAGE, ("did you mean judge",),
    ),
    "an unknown data set": (("mnist:test", "--against", "mnits"), DATA, ("did you mean mnist",)),
    "nothing to compare with": (("mnist:test",), USAGE, ("--against DATASET",)),
    "points": (("mnist:test", "--against", "moons"), USAGE, ("points, not images",)),
    "samples of points": (("exact:mixture", "--against", "mnist"), USAGE, ("has points",)),
    "a split of a folder": (("mnist:test", "--against", "shapes:test"), USAGE, ("no test split",)),
    "shrinking without a covariance": (
        ("mnist:test", "--against", "mnist", "--metrics", "kernel", "--shrink"), USAGE, ("--shrink changes nothing",),
    ),
    "other sizes": (("shapes", "--against", "mnist"), DATA, ("images of 8x8, mnist of 28x28",)),
    "no images": (("nothing", "--against", "mnist"), DATA, ("no images in nothing",)),
    "no such array": (("away.npy", "--against", "mnist"), DATA, ("away.npy",)),
    "classes for a classifier": (
        ("plain.npy", "--against", "shapes", "--downstream"), USAGE, ("needs images whose classes are known",),
    ),
    "few real images": (("plain.npy", "--against", "few", "--metrics", "kernel"), DATA, ("too few to judge by",)),
    "an unknown sampler": (
        ("exact:pixels", "--against", "mnist", "--sampler", "dimm"), USAGE, ("did you mean ddim",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_judged_is_refused_in_a_line(name: str, cli: Cli, many: Path, tmp_path: Path) -> None:
    (tmp_path / "shapes").symlink_to(many)
    (tmp_path / "nothing").mkdir()
    images, labels = many_pictures.pixels(5, seed=2)
    many_pictures.write(tmp_path / "few", images, labels)
    np.save(tmp_path / "plain.npy", np.concatenate([images] * 5))
    arguments, code, words = REFUSALS[name]
    refuses(cli, tmp_path, code, "evaluate", *arguments, words=words)


@pytest.mark.parametrize(
    "values, words",
    [
        (np.full((20, 8, 8), np.nan, np.float32), "nan"),
        (np.full((20, 8, 8), 300.0, np.float32), "300"),
        (np.zeros((20, 8, 8, 3), np.uint8), "channels"),
        (np.zeros((0, 8, 8), np.uint8), "no"),
    ],
    ids=["nan", "range", "channels", "empty"],
)
def test_arrays_that_are_no_images_are_refused(
    values: np.ndarray[Any, Any], words: str, cli: Cli, many: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", values)
    refuses(cli, tmp_path, DATA, "evaluate", "x.npy", "--against", many, words=(words,))


def test_an_extra_that_is_missing_is_named(cli: Cli, many: Path, fresh: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("torch_fidelity", "torch_fidelity.registry"):
        monkeypatch.setitem(sys.modules, name, None)
    refuses(
        cli, tmp_path, ENVIRONMENT, "evaluate", fresh, "--against", many, "--features", "inception", words=("extra",)
    )
