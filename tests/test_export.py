"""A run as one file: what is in it, what takes it, where it is found, and what is refused."""

import errno
import json
import os
import platform
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, checkpoint_of, refuses, tree

from diffcli.data.kinds import IMAGES, Items
from diffcli.errors import CheckpointProblem, UsageProblem
from diffcli.runs import checkpoint, listing
from diffcli.runs.export import PRECISIONS, exported, rounded
from diffcli.runs.loading import load_trained
from diffcli.training.recipes import from_dict, override, to_dict
from diffcli.training.recipes.diffusion import RECIPES
from diffcli.training.setup import build

USAGE, DATA, CHECKPOINT, ENVIRONMENT, BUSY = 2, 3, 4, 5, 6
CPU = torch.device("cpu")
SHIPPED = Path("checkpoints") / "mnist.safetensors"


def export(cli: Cli, run: object, path: object, *arguments: object) -> Path:
    """The file of a run."""
    result = cli("runs", "export", run, path, *arguments, "--quiet")
    assert (result.code, result.err) == (0, ""), result.err
    return Path(str(path))


@pytest.fixture
def shipped(cli: Cli, run: Path, pictures: Path, tmp_path: Path) -> Path:
    """The only model here, as in a fresh clone: its file, its data, and no run."""
    export(cli, run, SHIPPED)
    shutil.rmtree(run)
    shutil.copytree(pictures, tmp_path / "shapes")
    return SHIPPED


@pytest.fixture
def more_data(shipped: Path, many: Path) -> Path:
    """The same, with 1,500 pictures to judge by."""
    shutil.rmtree("shapes")
    Path("shapes").symlink_to(many)
    return shipped


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_checkpoint(path)[0]


def averaged(run: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a run of twelve steps."""
    return {name: value for name, value in weights(checkpoint_of(run, 12)).items() if name.startswith("ema/")}


def set_weight(run: Path, name: str, value: torch.Tensor) -> None:
    """Write the newest checkpoint again with one of its tensors replaced."""
    path = checkpoint_of(run, 12)
    tensors, about = checkpoint.read_checkpoint(path)
    checkpoint.write_checkpoint(path, tensors | {name: value}, about)


# What is in it


def test_in_float32_it_holds_the_averaged_weights_bit_for_bit_and_nothing_else(cli: Cli, run: Path) -> None:
    found, truth = weights(export(cli, run, "x.safetensors", "--precision", "float32")), averaged(run)
    assert found.keys() == truth.keys()
    assert all(torch.equal(found[name], truth[name]) and found[name].dtype == torch.float32 for name in truth)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_in_half_precision_each_weight_is_the_nearest_number_there_is(cli: Cli, run: Path, precision: str) -> None:
    found, truth = weights(export(cli, run, "x.safetensors", "--precision", precision)), averaged(run)
    kind = PRECISIONS[precision]
    for name, value in truth.items():
        assert found[name].dtype == kind
        nearer = torch.nextafter(found[name], torch.full_like(found[name], torch.inf))
        other = torch.nextafter(found[name], torch.full_like(found[name], -torch.inf))
        off = (found[name].double() - value.double()).abs()
        assert (off <= (nearer.double() - value.double()).abs()).all()
        assert (off <= (other.double() - value.double()).abs()).all()


def test_it_takes_two_bytes_a_number_and_a_header(cli: Cli, run: Path) -> None:
    numbers = sum(value.numel() for value in averaged(run).values())
    result = cli("runs", "export", run, "x.safetensors", "--json")
    size = Path("x.safetensors").stat().st_size
    header = 8 + int.from_bytes(Path("x.safetensors").read_bytes()[:8], "little")
    assert size == header + 2 * numbers
    assert header < 20_000
    assert result.document == {
        "file": "x.safetensors", "checkpoint": str(checkpoint_of(run, 12)), "precision": "float16",
        "numbers": numbers, "bytes": size,
    }  # fmt: skip


def test_one_run_gives_the_same_bytes_each_time(cli: Cli, run: Path, tmp_path: Path) -> None:
    """safetensors writes what is said of a file in an order that changes from one to the next."""
    there = Path(shutil.copytree(run, tmp_path / "elsewhere" / "other-name"))
    files = [export(cli, source, f"{i}.safetensors") for i, source in enumerate([run, run, run, there, there])]
    assert len({path.read_bytes() for path in files}) == 1


def test_it_knows_how_it_was_trained_but_not_where(cli: Cli, run: Path, pictures: Path, tmp_path: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["argv"] = ["train", "--dataset", str(pictures), "--out=/home/me/runs/x", r"C:\runs\me", "~/me/runs", "a/b"]
    (run / "run.json").write_text(json.dumps(facts))
    path = export(cli, run, "x.safetensors")
    about, before = (checkpoint.read_checkpoint(p)[1] for p in (path, checkpoint_of(run, 12)))
    for name in ("family", "kind", "shape", "classes", "data", "step", "seconds", "ranks", "health", "validation_loss"):
        assert about[name] == before[name]
    assert about["exported"] == {"weights": "ema", "precision": "float16"}
    assert about["made"]["argv"] == ["train", "--dataset", "./shapes", "--out=./x", "./me", "./runs", "a/b"]
    assert about["made"]["versions"] == facts["versions"]
    assert about["made"]["device"] == "cpu"
    assert not {"plan", "randomness", "micro_batch"} & about.keys()
    recipe, own = (from_dict(RECIPES["default"], a["recipe"]) for a in (about, before))
    assert recipe == override(own, {"data.name": "./shapes"})
    content = path.read_bytes()
    for secret in (str(tmp_path), str(pictures.parent), str(Path.home()) + "/", platform.node() + "."):
        assert secret.encode() not in content


def test_counts_are_not_rounded_but_weights_are() -> None:
    """Pixels are counted by the million, and float16 ends at 65,504. Tensors and a description are enough."""
    recipe = override(RECIPES["mnist-likelihood"], {"network.widths": (8, 16)})
    items = Items(IMAGES, (1, 8, 8), ())
    model = build(recipe, items, CPU)
    counts = torch.arange(256.0) * 1e5
    model.load_state_dict(model.state_dict() | {"prior.counts": counts})
    about = {"recipe": to_dict(recipe), "kind": "images", "shape": [1, 8, 8], "classes": []}
    found, described = exported({f"ema/{k}": v for k, v in model.state_dict().items()}, about)
    assert torch.equal(found.pop("ema/prior.counts"), counts)
    assert {value.dtype for value in found.values()} == {torch.float16}
    assert described == about | {"exported": {"weights": "ema", "precision": "float16"}}


@pytest.mark.parametrize(
    ("walk", "kept"),
    [
        ({"sampler": "heun", "steps": 3, "grid": "karras", "evaluations": 5, "run": "/home/me/x"}, True),
        ({"sampler": "heun", "steps": 3, "grid": "grid.json", "evaluations": 5}, False),
        (None, False),
    ],
)
def test_the_best_walk_comes_along_unless_it_lies_in_a_file(
    cli: Cli, run: Path, walk: dict[str, Any] | None, kept: bool
) -> None:
    if walk:
        (run / "comparison.json").write_text(json.dumps({"best": walk}))
        (run / "grid.json").write_text("{}")
    path = export(cli, run, "x.safetensors")
    shutil.rmtree(run)
    result = cli("sample", path, "--auto", "--plan", "--json")
    assert ("auto: heun in 3 steps on karras" in result.err) == kept
    assert ("the usual choice" in result.err) != kept
    assert result.document["steps"] == (3 if kept else 10)


# What takes it


def test_samples_of_a_float32_file_are_those_of_the_run_bit_for_bit(cli: Cli, run: Path) -> None:
    path = export(cli, run, "x.safetensors", "--precision", "float32")
    for target, name in ((run, "run.npy"), (path, "file.npy")):
        assert cli("sample", target, "--ddim", "--steps", 5, "--count", 6, "--class", "all", "--array", name).code == 0
    assert np.array_equal(np.load("run.npy"), np.load("file.npy"))


def test_a_half_precision_file_computes_as_the_run_does_with_rounded_weights(cli: Cli, run: Path) -> None:
    path = export(cli, run, "x.safetensors")
    model, truth = (load_trained(str(target), device=CPU).model for target in (path, run))
    truth.load_state_dict({k: v.half().float() for k, v in truth.state_dict().items()})
    state = model.state_dict()
    assert all(torch.equal(v, state[k]) and state[k].dtype == torch.float32 for k, v in truth.state_dict().items())


@pytest.mark.parametrize(
    "command",
    ["sample --ddim --steps 2 --count 2", "visualize reverse --steps 2 --columns 2 --count 1", "info",
     "vlb --count 4 --steps 5", "likelihood --count 2 --rtol 0.1", "grid --steps 2 --teacher 4 --count 2",
     "evaluate --count 70 --steps 2 --features pixels --metrics kernel",
     "compare --count 70 --steps 2 --samplers ddim --features pixels --truth 0"],
)  # fmt: skip
def test_every_command_takes_it_says_so_once_and_writes_nothing_beside_it(
    cli: Cli, more_data: Path, command: str
) -> None:
    shipped = more_data
    before = tree(Path("checkpoints"))
    result = cli(*command.split())
    assert result.code == 0, result.err
    told = [line for line in result.err.splitlines() if "there is no run of yours yet" in line]
    assert told == [
        f"note: there is no run of yours yet: this is the shipped mnist checkpoint ({shipped}); "
        "diffcli train makes your own"
    ]
    assert tree(Path("checkpoints")) == before
    kept = [line for line in result.err.splitlines() if "a file without a run" in line]
    assert len(kept) == (command.split()[0] in ("evaluate", "compare"))
    follows = result.out.splitlines()[-1].split(":")[-1]
    assert f" {shipped}" in follows
    assert cli(*command.split(), "--quiet").err == ""


@pytest.mark.usefixtures("more_data")
def test_the_next_command_after_a_comparison_draws_as_its_best_setting_does(cli: Cli) -> None:
    arguments = ["--count", 70, "--steps", "2,3", "--samplers", "ddim", "--eta", "0,1", "--features", "pixels"]
    result = cli("compare", *arguments, "--truth", 0, "--guidance", 2, "--out", "out")
    best = json.loads(Path("out/metrics.json").read_text())["best"]
    follows = shlex.split(result.out.splitlines()[-1].removeprefix("next: diffcli "))
    assert "--auto" not in follows
    plan = cli(*follows, "--plan", "--json").document
    assert (plan["sampler"], plan["steps"], plan["grid"]) == (best["sampler"], best["steps"], best["grid"])
    assert (plan["noise_draws"] > 1) == (best["eta"] > 0)


def test_what_is_said_of_it(cli: Cli, shipped: Path) -> None:
    found = cli("info", shipped, "--json").document
    assert found["exported"] == {"weights": "ema", "precision": "float16"}
    assert "on cpu, 1 threads; diffcli 0.1.0, numpy" in found["made_by"]
    assert found["step"] == 12
    assert found["next"] == f"diffcli sample {shipped} --ddim --class all"
    assert "averaged weights in float16" in cli("info", shipped).out


# Where it is found


def test_a_run_of_ones_own_goes_before_it(cli: Cli, run: Path) -> None:
    export(cli, run, SHIPPED)
    result = cli("sample", "--ddim", "--steps", 2, "--count", 2)
    assert "no run of yours" not in result.err
    assert str(run.name) in result.out.splitlines()[-1]
    assert cli("info", "--json").document["name"].startswith(str(Path("checkpoints") / run.name))


def test_a_run_of_another_family_does_not_stand_in_its_way(cli: Cli, shipped: Path) -> None:
    assert cli("vae", "train", "--recipe", "tiny", "--steps", 2, "--quiet", "--dataset", "shapes").code == 0
    assert f"({shipped})" in cli("sample", "--ddim", "--steps", 2, "--count", 2).err
    assert "no run of yours" not in cli("vae", "sample").err


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("command", [("vae", "sample"), ("dae", "evaluate"), ("vae", "train", "--resume", "mine")])
def test_other_families_have_none(cli: Cli, command: tuple[str, ...]) -> None:
    assert_refused(cli(*command), CHECKPOINT, "train")


def test_another_familys_command_refuses_it_by_name(cli: Cli, shipped: Path) -> None:
    assert_refused(cli("vae", "sample", "mnist"), CHECKPOINT, str(shipped), "diffusion model")


def test_without_it_the_error_is_what_it_was(cli: Cli, run: Path) -> None:
    export(cli, run, Path("checkpoints") / "other.safetensors")
    shutil.rmtree(run)
    assert_refused(cli("sample"), CHECKPOINT, "there is no trained model in checkpoints/", "diffcli train")
    assert cli("info", "--json").document["name"] == "default"


def test_it_is_found_here_first_then_beside_the_package(
    cli: Cli, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, other = tmp_path / "checkpoints", tmp_path / "other"
    monkeypatch.setattr(listing, "BESIDE", clone)
    other.mkdir()
    monkeypatch.chdir(other)
    for target in ((), ("mnist",)):
        assert cli("info", *target, "--json").document["name"] == str(clone / shipped.name)
    (other / "checkpoints").mkdir()
    shutil.copy(clone / shipped.name, other / shipped)
    for target in ((), ("mnist",)):
        assert cli("info", *target, "--json").document["name"] == str(shipped)


def test_beside_the_package_is_the_folder_of_a_clone() -> None:
    import diffcli

    place = Path(listing.__file__).resolve().parents[2]
    assert place == Path(diffcli.__file__).resolve().parent.parent


def test_any_file_has_the_name_of_its_stem_where_no_run_and_no_path_has_it(cli: Cli, run: Path) -> None:
    path = export(cli, run, Path("checkpoints") / "mine.safetensors")
    assert cli("info", "mine", "--json").document["name"] == str(path)
    assert_refused(cli("sample", "mime"), CHECKPOINT, "unknown run 'mime'", "did you mean mine?")
    shutil.copytree(run, Path("checkpoints") / "mine")
    assert cli("info", "mine", "--json").document["name"] == str(checkpoint_of(Path("checkpoints") / "mine", 12))
    shutil.copy(path, "mine")
    assert cli("info", "mine", "--json").document["name"] == "mine"


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_one_is_refused(cli: Cli, shipped: Path, content: bytes) -> None:
    shipped.write_bytes(content)
    assert_refused(cli("sample"), CHECKPOINT, str(shipped), "damaged")
    assert cli("runs").code == 0


def test_runs_lists_files_and_not_as_something_foreign(cli: Cli, run: Path) -> None:
    path = export(cli, run, SHIPPED)
    for name in ("mnist.md", "README.md", "notes.md"):
        (path.parent / name).write_text("hello")
    shutil.copytree(run, path.parent / "mnist")
    result, document = cli("runs"), cli("runs", "--json").document
    assert [line.split()[1] for line in result.err.splitlines()] == [str(path.parent / "notes.md")]
    assert {found["name"] for found in document["runs"]} == {"shapes-1", "mnist"}
    assert document["files"] == [{"name": "mnist", "file": str(path), "bytes": path.stat().st_size}]
    assert str(path) in result.out


# What is refused


def test_it_cannot_be_gone_on_with(cli: Cli, shipped: Path, tmp_path: Path) -> None:
    for target in ("mnist", shipped):
        words = (str(shipped), "averaged weights only", "diffcli train")
        refuses(cli, tmp_path, USAGE, "train", "--resume", target, "--quiet", words=words)


@pytest.mark.parametrize("command", ["sample", "vlb", "evaluate"])
def test_it_has_no_other_weights(cli: Cli, shipped: Path, tmp_path: Path, command: str) -> None:
    words = (str(shipped), "averaged weights only", "--weights")
    refuses(cli, tmp_path, USAGE, command, shipped, "--weights", "raw", words=words)


def test_it_is_not_exported_again(cli: Cli, shipped: Path, tmp_path: Path) -> None:
    refuses(cli, tmp_path, USAGE, "runs", "export", shipped, "y.safetensors", words=("an export already",))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("shapes-1", "taken.safetensors"), BUSY, ("taken.safetensors", "exists already")),
        (("shapes-1", "x.bin"), USAGE, (".safetensors", "x.bin")),
        (("shapes-1", "no/x.safetensors"), ENVIRONMENT, ("no",)),
        (("shapes-1", "step-000000013.safetensors"), USAGE, ("step-000000013",)),
        (("shapes-2", "x.safetensors"), CHECKPOINT, ("shapes-2", "did you mean shapes-1?")),
        (("shapes-1", "x.safetensors", "--precision", "int8"), USAGE, ("int8", "bfloat16")),
        (("shapes-1",), USAGE, ("FILE.safetensors",)),
        (("exact:gaussian", "x.safetensors"), CHECKPOINT, ("exact:gaussian",)),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_cannot_be_exported_says_why_and_leaves_nothing(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "taken.safetensors").write_text("mine")
    refuses(cli, tmp_path, code, "runs", "export", *arguments, words=words)


def test_options_before_the_verb_are_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    refuses(cli, tmp_path, USAGE, "runs", "--json", "export", run, "x.safetensors", words=("behind the verb",))


def test_a_full_disk_leaves_nothing_behind(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    words = ("No space left", "free some space")
    refuses(cli, tmp_path, ENVIRONMENT, "runs", "export", run, "x.safetensors", words=words)


def test_a_read_only_folder_is_found_out_before_the_work(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is read-only is asked for, as root may write anywhere."""
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, kind: (Path(path).name, kind) != ("locked", os.W_OK))
    words = ("locked", "Permission", "FILE")
    refuses(cli, tmp_path, ENVIRONMENT, "runs", "export", run, "locked/x.safetensors", words=words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (7e4, ("does not fit float16", "7e+04", "--precision float32")),
        (1e-9, ("would lose 100%", "--precision float32")),
    ],
)
def test_a_weight_that_half_precision_cannot_hold_is_named(
    cli: Cli, run: Path, tmp_path: Path, value: float, words: tuple[str, ...]
) -> None:
    name, weight = next((k, v) for k, v in averaged(run).items() if v.dim() == 4)
    set_weight(run, name, torch.full_like(weight, value))
    words = (name.removeprefix("ema/"), *words)
    refuses(cli, tmp_path, CHECKPOINT, "runs", "export", run, "x.safetensors", words=words)
    found = weights(export(cli, run, "x.safetensors", "--precision", "float32"))
    assert torch.equal(found[name], torch.full_like(weight, value))


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_weight_that_is_not_finite_is_named(cli: Cli, run: Path, tmp_path: Path, precision: str) -> None:
    name, weight = next(iter(averaged(run).items()))
    set_weight(run, name, torch.full_like(weight, torch.nan))
    words = (name.removeprefix("ema/"), "not finite")
    refuses(cli, tmp_path, CHECKPOINT, "runs", "export", run, "x.safetensors", "--precision", precision, words=words)


def test_what_rounding_may_cost() -> None:
    """Zeros cost nothing, and a tenth is the limit: of 1.05 and 1 units of the smallest number float16 has."""
    unit = 2.0**-24
    assert torch.equal(rounded("w", torch.zeros(3), "float16"), torch.zeros(3).half())
    assert rounded("w", torch.tensor([1.05 * unit]), "float16").item() == unit
    with pytest.raises(CheckpointProblem, match="w would lose 17%"):
        rounded("w", torch.tensor([1.2 * unit]), "float16")
    assert rounded("w", torch.tensor([1.2 * unit]), "bfloat16").item() == pytest.approx(1.2 * unit, rel=2**-8)


def test_tensors_without_an_average_are_refused(run: Path) -> None:
    tensors, about = checkpoint.read_checkpoint(checkpoint_of(run, 12))
    for kept in ({}, {k: v for k, v in tensors.items() if k.startswith("model/")}):
        with pytest.raises(CheckpointProblem, match="of another shape"):
            exported(kept, about)
    with pytest.raises(UsageProblem, match="an export already"):
        exported(tensors, about | {"exported": {}})
