"""Bad input: one `error:` line, at most one `hint:` line, the right exit code, nothing lost, nothing half-written."""

import errno
import io
import json
import os
import pickle
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, Result, assert_refused, checkpoint_of, refuses, rewrite_about, start, steps_kept
from PIL import Image

from diffcli.errors import CheckpointProblem
from diffcli.runs import checkpoint

USAGE, DATA, CHECKPOINT, ENVIRONMENT, TAKEN = 2, 3, 4, 5, 6
TINY = ("train", "--recipe", "tiny", "--steps", "2")
FAST = ("--ddim", "--steps", "2", "--count", "2")


# Names


@pytest.mark.parametrize(
    ("arguments", "code", "nearest"),
    [
        (["trian"], USAGE, "'train'"),
        (["visualize", "forwad"], USAGE, "'forward'"),
        (["train", "--sted", "3"], USAGE, "--seed"),
        (["sample", "--aray", "x.npy"], USAGE, "--array"),
        (["train", "--recipe", "tinny"], USAGE, "did you mean tiny?"),
        (["train", "--dataset", "mnits"], DATA, "did you mean mnist?"),
        (["train", "--dataset", "fasion-mnist"], DATA, "did you mean fashion-mnist?"),
        (["train", "--dataset", "cifar-10"], DATA, "did you mean cifar10?"),
        (["data", "pneumonia-mnist"], DATA, "did you mean pneumoniamnist?"),
        (["train", "--schedule", "cosin"], USAGE, "did you mean cosine?"),
        (["train", "--schedule", "Linear"], USAGE, "did you mean linear?"),
        (["train", "--predict", "epz"], USAGE, "did you mean eps?"),
        (["train", "--model", "unnet"], USAGE, "did you mean unet?"),
        (["train", "--set", "batchh=3"], USAGE, "did you mean batch?"),
        (["train", "--set", "optimizer=adam"], USAGE, "did you mean adamw?"),
        (["train", "--set", "precision=fp23"], USAGE, "did you mean fp32?"),
        (["train", "--resume", "shapes-2"], CHECKPOINT, "did you mean shapes-1?"),
        (["sample", "shapes-2"], CHECKPOINT, "did you mean shapes-1?"),
        (["sample", "shapes-1", "--sampler", "ddimm"], USAGE, "did you mean ddim?"),
        (["sample", "shapes-1", "--variance", "smal"], USAGE, "did you mean small?"),
        (["sample", "shapes-1", "--weights", "emma"], USAGE, "did you mean ema?"),
        (["sample", "shapes-1", "--class", "circel"], USAGE, "did you mean circle?"),
        (["visualize", "forward", "--schedule", "liner"], USAGE, "did you mean linear?"),
        (["visualize", "forward", "--dataset", "mnits"], DATA, "did you mean mnist?"),
        (["visualize", "reverse", "shapes-2"], CHECKPOINT, "did you mean shapes-1?"),
        (["visualize", "reverse", "shapes-1", "--sampler", "dpdm"], USAGE, "did you mean ddpm?"),
        (["visualize", "reverse", "shapes-1", "--class", "strip"], USAGE, "did you mean stripe?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_unknown_name_is_answered_by_the_nearest(
    cli: Cli, run: Path, tmp_path: Path, arguments: list[str], code: int, nearest: str
) -> None:
    refuses(cli, tmp_path, code, *arguments, words=(nearest,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ()),
        (["visualize"], ()),
        (["train", "extra"], ("extra",)),
        (["train", "--steps"], ("--steps",)),
        (["sample", "shapes-1", "--class"], ("--class",)),
        (["train", "--set", "lr"], ("--set key=value",)),
        (["train", "--set"], ("--set",)),
        (["train", "--json=yes"], ("--json",)),
        (["sample", "shapes-1", "shapes-1"], ()),
        (["runs", "shapes-1"], ("shapes-1",)),
        (["data", "mnist", "mnist"], ()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_line_that_is_no_command_is_refused(
    cli: Cli, run: Path, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, USAGE, *arguments, words=words)


@pytest.mark.parametrize("arguments", [[], ["visualize"]])
def test_no_command_says_so_in_a_line_that_fits_a_terminal(cli: Cli, arguments: list[str]) -> None:
    assert all(len(line) <= 100 for line in cli(*arguments).err.splitlines())


# Numbers


HUGE = "1" + "0" * 400
OUT_OF_RANGE = {
    "train": {
        "--steps": ["0", "-1", "1.5", "nan", "inf", ""],
        "--minutes": ["0", "-1", "nan", "inf", "-inf", "1e300", "five"],
        "--batch": ["0", "-1", "nan", "99999999999", HUGE],
        "--lr": ["0", "-1", "nan", "inf", "1e300", "1e999"],
        "--seed": ["-1", "nan", "9999999999999999999999"],
        "--set": [
            "lr=nan", "lr=inf", "lr=1e999", "lr=-1", f"lr={HUGE}", f"seed={HUGE}", "minutes=0", "steps=-1", "batch=0",
            "size=-1", "size=99999", "fold=0", "blocks=0", "blocks=1000", "widths=0", "widths=8,-8", "widths=[]",
            "widths=()", "attention=5", "attention=-1", "dropout=1", "dropout=-0.1", "ema=1", "ema=-1", "ema=nan",
            "label_drop=1.1", "label_drop=-1", "warmup=0", "clip=0", "clip=inf", "muon_lr=0", "weight_decay=-1",
            "checkpoint_every=-1",
        ],
    },
    "sample shapes-1": {
        "--steps": ["0", "-1", "1.5", "nan", "inf", "1001", HUGE],
        "--eta": ["-0.1", "1.1", "nan", "inf", "x"],
        "--guidance": ["-1", "nan", "inf", "-inf", "1e9"],
        "--count": ["0", "-1", "nan", "1e3", "100001", HUGE],
        "--batch": ["0", "-1", "nan"],
        "--seed": ["-1", "nan", "1.5"],
        "--class": ["-1", "3", "99", HUGE, "", "nan", "²", "1.0"],
    },
    "visualize forward": {
        "--count": ["0", "-1", "21", "nan", HUGE],
        "--columns": ["0", "1", "-1", "21", "nan"],
        "--seed": ["-1", "nan"],
    },
    "visualize reverse shapes-1": {
        "--steps": ["0", "-1", "1001", "nan"],
        "--guidance": ["-1", "nan", "inf"],
        "--count": ["0", "11"],
        "--columns": ["1", "21"],
    },
    "noise": {"--seed": ["-1", "nan"]},
}  # fmt: skip
ALSO_CALLED = {"label_drop": "drop"}


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [(c, o, v) for c, options in OUT_OF_RANGE.items() for o, values in options.items() for v in values],
    ids=lambda value: value[:30],
)
def test_a_number_out_of_range_is_refused(
    cli: Cli, run: Path, tmp_path: Path, command: str, option: str, value: str
) -> None:
    more = ["--ddim"] if command.startswith("sample") and option == "--eta" and value == "x" else []
    words = (ALSO_CALLED.get(key := value.partition("=")[0], key),) if option == "--set" else ()
    refuses(cli, tmp_path, USAGE, *command.split(), option, value, *more, words=words)


def test_an_error_names_the_value_and_the_range(cli: Cli, run: Path) -> None:
    assert "at least 1" in cli("train", "--batch", "-3").err
    assert "-3" in cli("train", "--batch", "-3").err
    assert "0 to 1" in cli("sample", "shapes-1", "--eta", "7").err


def test_too_many_steps_of_a_continuous_schedule_are_refused_before_memory_is_gone(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    assert cli(*TINY, "--dataset", pictures, "--schedule", "flow", "--out", "flow").code == 0
    refuses(cli, tmp_path, USAGE, "sample", "flow", "--steps", 10**12)
    refuses(cli, tmp_path, USAGE, "sample", "flow", "--steps", HUGE)


# Types, recipes, and what does not go together


@pytest.mark.parametrize(
    "setting",
    [
        "lr=abc", "lr=", "lr=None", "lr=1e-3,2", "lr={}", "lr={[]:1}", "lr={{}}", "lr=1+2j", "lr=true", "steps=2.5",
        "steps=true", "steps='3'", "batch=abc", "flip=1", "flip=yes", "widths=a", "widths=8,x", "widths=8.5",
        "widths={8:1}", "dataset=5", "dataset=[1]", "schedule=7", "=3", " =3", "seed=1.0", "lr=" + "(" * 300,
        "lr=" + "-" * 20_000 + "1",
    ],
    ids=lambda setting: setting[:20],
)  # fmt: skip
def test_a_setting_of_the_wrong_type_is_refused(cli: Cli, tmp_path: Path, setting: str) -> None:
    refuses(cli, tmp_path, USAGE, "train", "--set", setting)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (b"steps = ", DATA, ("bad.toml", "TOML")),
        (b"steps: 3\n", DATA, ("TOML",)),
        (b"\xff\xfe\x00", DATA, ("TOML",)),
        (b"steps = 1" + b"0" * 5000, DATA, ()),
        (b"widths = " + b"[" * 5000, DATA, ()),
        (b"stepz = 3\n", USAGE, ("did you mean steps?",)),
        (b"[train]\nsteps = 3\n", USAGE, ("train",)),
        (b"[lr]\nvalue = 3\n", USAGE, ("unknown table of the recipe 'lr'", "optimizer")),
        (b"steps = '3'\n", USAGE, ("steps must be a whole number",)),
        (b"steps = 3.5\n", USAGE, ("steps must be a whole number",)),
        (b"lr = nan\n", USAGE, ("lr",)),
        (b"lr = 2020-01-01\n", USAGE, ("lr",)),
        (b"widths = 'wide'\n", USAGE, ("widths",)),
        (b"widths = [8, [16]]\n", USAGE, ("widths",)),
        (b"schedule = 'flow'\npredict = 'eps'\n", USAGE, ("--predict v",)),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
def test_a_bad_recipe_file_is_refused(cli: Cli, tmp_path: Path, text: bytes, code: int, words: tuple[str, ...]) -> None:
    (tmp_path / "bad.toml").write_bytes(text)
    refuses(cli, tmp_path, code, "train", "--recipe", "bad.toml", words=words)


def test_a_recipe_file_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    refuses(cli, tmp_path, DATA, "train", "--recipe", "nope.toml", words=("nope.toml",))
    refuses(cli, tmp_path, DATA, "train", "--recipe", "folder.toml", words=("folder.toml",))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--schedule", "flow", "--predict", "eps"], ("flow", "eps", "--predict v")),
        (["train", "--schedule", "flow", "--predict", "score"], ("flow", "score", "--predict v")),
        (["train", "--minutes", "1", "--steps", "5"], ("--minutes", "--steps")),
        (["train", "--set", "size=16"], ("mnist",)),
        (["train", "--resume", "shapes-1", "--out", "new"], ("--resume", "--out")),
        (["train", "--resume", "shapes-1", "--recipe", "tiny"], ("--recipe",)),
        (["train", "--resume", "shapes-1", "--lr", "0.1"], ("lr", "new run")),
        (["train", "--resume", "shapes-1", "--set", "widths=8"], ("widths",)),
        (["train", "--resume", "shapes-1", "--set", "nonsense=8"], ("nonsense",)),
        (["train", "--resume", "shapes-1", "--steps", "-1"], ("steps",)),
        (["train", "--resume", "shapes-1", "--minutes", "nan"], ("minutes",)),
        (["sample", "shapes-1", "--guidance", "2"], ("--class",)),
        (["sample", "shapes-1", "--ddim", "--sampler", "ddpm"], ("--ddim",)),
        (["sample", "shapes-1", "--ddim", "--eta", "1"], ("--eta",)),
        (["sample", "shapes-1", "--sampler", "ddpm", "--eta", "0.5"], ("--eta", "ddim")),
        (["sample", "shapes-1", "--ddim", "--variance", "small"], ("--variance", "ddpm")),
        (["sample", "shapes-1", "--array", "x.txt"], (".npy",)),
        (["sample", "shapes-1", "--device", "gpu"], ("gpu", "cuda")),
        (["sample", "shapes-1", "--device", ""], ()),
        (["train", "--device", "cuda:x"], ("cuda:x",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_are_refused(
    cli: Cli, run: Path, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, USAGE, *arguments, words=words)


def test_a_class_is_refused_by_a_model_that_has_none(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    assert cli(*TINY, "--dataset", pictures / "circle", "--out", "plain").code == 0
    refuses(cli, tmp_path, USAGE, "sample", "plain", "--class", "0", words=("no classes",))
    refuses(cli, tmp_path, USAGE, "sample", "plain", "--class", "all", words=("no classes",))


@pytest.mark.parametrize("widths", ["72", "100", "8,100", "7"])
def test_a_network_of_any_width_is_built(cli: Cli, pictures: Path, tmp_path: Path, widths: str) -> None:
    """The heads of the attention must divide the channels, whatever these are."""
    result = cli(*TINY, "--dataset", pictures, "--set", f"widths={widths}", "--steps", 1, "--json")
    assert result.code == 0, result.err


# Data


def test_a_folder_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, DATA, "train", "--dataset", "some/folder", words=("some/folder",))
    refuses(cli, tmp_path, DATA, "train", "--dataset", "./pictures", words=("pictures",))
    refuses(cli, tmp_path, DATA, "train", "--dataset", "~nobody-of-that-name/x", words=("nobody-of-that-name",))
    refuses(cli, tmp_path, DATA, "train", "--dataset", "a" * 400)
    refuses(cli, tmp_path, DATA, "train", "--dataset", "")
    for name in ("some/folder", "~nobody-of-that-name/x", "a" * 400, ""):
        refuses(cli, tmp_path, DATA, "data", name)


@pytest.mark.parametrize("content", [{}, {"readme.txt": b"hello"}, {".hidden.png": b"x"}])
def test_a_folder_without_images_is_refused(cli: Cli, tmp_path: Path, content: dict[str, bytes]) -> None:
    (tmp_path / "pics").mkdir()
    for name, data in content.items():
        (tmp_path / "pics" / name).write_bytes(data)
    refuses(cli, tmp_path, DATA, *TINY, "--dataset", "pics", words=("no images", ".png"))
    refuses(cli, tmp_path, DATA, "data", "pics", words=("no images", ".png"))


def test_a_file_is_no_folder_of_images(cli: Cli, tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    refuses(cli, tmp_path, DATA, *TINY, "--dataset", "one.png", words=("one.png",))
    refuses(cli, tmp_path, DATA, "data", "one.png", words=("one.png",))


def broken_images() -> dict[str, bytes]:
    """Files that are called images."""
    whole: dict[str, bytes] = {}
    picture = Image.effect_noise((40, 40), 90)
    for suffix in ("png", "jpg", "gif", "tif", "bmp", "webp"):
        buffer = io.BytesIO()
        picture.save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
        whole[suffix] = buffer.getvalue()
    files = {f"half.{suffix}": content[: len(content) // 2] for suffix, content in whole.items()}
    files |= {"text.png": b"this is no picture\n", "empty.png": b"", "start.png": whole["png"][:20]}
    return files | {"flipped.png": whole["png"][:50] + b"\xff" * 20 + whole["png"][70:]}


@pytest.mark.parametrize("name", broken_images())
def test_a_broken_image_is_named(cli: Cli, pictures: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "pics").mkdir()
    Image.new("L", (40, 40)).save(tmp_path / "pics" / "good.png")
    (tmp_path / "pics" / name).write_bytes(broken_images()[name])
    refuses(cli, tmp_path, DATA, *TINY, "--dataset", "pics", words=(name,))
    refuses(cli, tmp_path, DATA, "data", "pics", words=(name,))
    refuses(cli, tmp_path, DATA, "visualize", "forward", "--image", f"pics/{name}", words=(name,))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpeg", "gif", "tiff", "bmp", "webp"])
def test_an_image_with_damaged_bytes_is_read_or_refused(tmp_path: Path, suffix: str) -> None:
    """Whatever Pillow makes of it, the outcome is an image of the right shape or a DataProblem."""
    from diffcli.data.images import header, read_image
    from diffcli.errors import DataProblem

    dice = random.Random(0)
    path = tmp_path / f"x.{suffix}"
    Image.effect_noise((12, 9), 90).save(path)
    whole = path.read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content[: dice.choice([len(content), dice.randrange(len(content))])])
        try:
            header(path)
            assert read_image(path, (1, 9, 12)).shape == (1, 9, 12)
        except DataProblem:
            pass


def test_an_image_that_is_not_there_is_called_missing(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, DATA, "visualize", "forward", "--image", "nope.png", words=("nope.png",))
    assert "repair" not in cli("visualize", "forward", "--image", "nope.png").err


def test_data_that_changed_are_noticed_on_resume(cli: Cli, pictures: Path, run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(pictures, tmp_path / "shapes")
    assert cli(*TINY, "--dataset", "shapes", "--out", "mine").code == 0
    Image.new("L", (8, 8), 7).save(tmp_path / "shapes" / "circle" / "00.png")
    refuses(cli, tmp_path, DATA, "train", "--resume", "mine", "--steps", "4", words=("changed",))


# Checkpoints


def newest(run: Path) -> Path:
    return checkpoint_of(run, steps_kept(run)[-1])


@pytest.mark.parametrize("place", ["empty", "3 bytes", "8 bytes", "in the header", "in the data", "the last byte"])
def test_a_truncated_checkpoint_is_refused(cli: Cli, run: Path, tmp_path: Path, place: str) -> None:
    content = newest(run).read_bytes()
    header = int.from_bytes(content[:8], "little")
    lengths = {
        "empty": 0, "3 bytes": 3, "8 bytes": 8, "in the header": 8 + header // 2,
        "in the data": 8 + header + 1000, "the last byte": len(content) - 1,
    }  # fmt: skip
    (tmp_path / "cut.safetensors").write_bytes(content[: lengths[place]])
    refuses(cli, tmp_path, CHECKPOINT, "sample", "cut.safetensors", words=("cut.safetensors",))


def test_a_checkpoint_with_bytes_to_spare_is_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "long.safetensors").write_bytes(newest(run).read_bytes() + b"\0" * 8)
    refuses(cli, tmp_path, CHECKPOINT, "sample", "long.safetensors", words=("long.safetensors",))


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.0005, 0.01, 0.03, 0.2, 0.6, 0.999999])
@pytest.mark.parametrize("command", ["sample", "visualize reverse"])
def test_a_bit_flipped_checkpoint_is_refused(cli: Cli, run: Path, tmp_path: Path, share: float, command: str) -> None:
    newest(run).rename(path := tmp_path / "flipped.safetensors")
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)
    refuses(cli, tmp_path, CHECKPOINT, *command.split(), path, words=("flipped.safetensors",))


def test_no_single_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    """Every bit of a small checkpoint: refused, or the same content (white space may change its kind)."""
    path = tmp_path / "x.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    checkpoint.write_checkpoint(path, tensors, {"step": 7, "classes": ["ä"]})
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found, about = checkpoint.read_checkpoint(path)
        except CheckpointProblem:
            continue
        assert about == {"step": 7, "classes": ["ä"]}
        assert all(torch.equal(found[k], tensors[k]) for k in tensors)


def test_noise_is_no_checkpoint(tmp_path: Path) -> None:
    dice = random.Random(1)
    path = tmp_path / "x.safetensors"
    starts = [b"", b"\x08" + b"\0" * 7, b"\x02" + b"\0" * 7 + b"{}", b"\x04" + b"\0" * 7 + b"null", b"\x80\x04\x95"]
    starts += [b"\x10\x27" + b"\0" * 6 + b"[" * 10_000, b'\x0e\0\0\0\0\0\0\0{"digest": ""}']
    starts += [json.dumps(m).encode() for m in ({"__metadata__": 3}, {"__metadata__": {"digest": 1, "format": []}})]
    for start_ in starts:
        for length in (0, 1, 9, 5000):
            if start_[:1] == b"{":
                start_ = len(start_).to_bytes(8, "little") + start_
            path.write_bytes(start_ + dice.randbytes(length))
            with pytest.raises(CheckpointProblem):
                checkpoint.read_checkpoint(path)


class Payload:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["torch", "torch legacy", *range(pickle.HIGHEST_PROTOCOL + 1)])
def test_a_pickle_is_refused_and_never_run(cli: Cli, tmp_path: Path, kind: str | int) -> None:
    path, payload = tmp_path / "model.safetensors", Payload(tmp_path / "pwned")
    if isinstance(kind, int):
        path.write_bytes(pickle.dumps({"weights": payload}, protocol=kind))
    else:
        torch.save({"weights": payload}, path, _use_new_zipfile_serialization=kind == "torch")
    words = ("pickle",) if not isinstance(kind, int) or kind >= 2 else ()
    refuses(cli, tmp_path, CHECKPOINT, "sample", "model.safetensors", words=words)


def test_no_length_of_the_header_makes_a_checkpoint_look_like_a_pickle(tmp_path: Path) -> None:
    """A header of 640 bytes begins with 80 02, as a pickle does."""
    path = tmp_path / "x.safetensors"
    lengths = set()
    for padding in range(700):
        checkpoint.write_checkpoint(path, {"a": torch.zeros(1)}, {"name": "x" * padding})
        lengths.add(path.read_bytes()[:2])
        assert checkpoint.read_checkpoint(path)[1] == {"name": "x" * padding}
    assert b"\x80\x02" in lengths


OTHER_SHAPE = "the weights in other.safetensors are of another shape than its recipe says"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [3, 8, 8]}, OTHER_SHAPE),
        ({"shape": [1, 8]}, "images of shape [1, 8]"),
        ({"shape": None}, "cannot follow"),
        ({"shape": [1, -8, 8]}, "images of shape [1, -8, 8]"),
        ({"shape": [1, "8", 8]}, "images of shape [1, '8', 8]"),
        ({"kind": "points"}, "points of shape [1, 8, 8]"),
        ({"kind": "sounds"}, "sounds"),
        ({"family": "gan"}, "gan"),
        ({"classes": ["a"]}, OTHER_SHAPE),
        ({"recipe": 3}, "cannot follow"),
        ({"recipe": {"nonsense": 1}}, "unknown key of the recipe 'nonsense'"),
        ({"recipe": {"schedule": "unheard of"}}, "unknown schedule 'unheard of'"),
        ({"recipe": {"network": {"name": "unet", "widths": [16, 16]}}}, OTHER_SHAPE),
        ({"recipe": {"network": {"name": "dit"}}}, "unknown network 'dit'"),
        ({"recipe": {"network": {"name": "mlp"}}}, "the network mlp does not take images"),
        ({"recipe": {"network": {"name": "unet", "width": 9}}}, "width does nothing with the network unet"),
    ],
    ids=str,
)
def test_a_checkpoint_that_does_not_fit_its_recipe_is_refused(
    cli: Cli, run: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    newest(run).rename(tmp_path / "other.safetensors")
    path = Path("other.safetensors")
    if isinstance(change.get("recipe"), dict):
        change = {"recipe": checkpoint.read_checkpoint(path)[1]["recipe"] | change["recipe"]}
    rewrite_about(path, **change)
    refuses(cli, tmp_path, CHECKPOINT, "sample", path, *FAST, words=("other.safetensors", words))


def test_a_checkpoint_of_a_newer_format_asks_for_an_upgrade(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = newest(run)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 99)
        rewrite_about(path)
    refuses(cli, tmp_path, CHECKPOINT, "sample", path, words=("upgrade",))


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(cli: Cli, run: Path) -> None:
    path = newest(run)
    path.write_bytes(path.read_bytes()[:-100])
    result = cli("sample", "shapes-1", *FAST, "--json")
    assert result.code == 0
    assert "note:" in result.err
    assert path.name in result.err
    with Image.open(result.document["grid"]) as grid:
        assert Path(grid.info["diffcli checkpoint"]).name == checkpoint_of(run, 6).name


def test_two_damaged_checkpoints_are_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    for path in run.glob("step-*.safetensors"):
        path.write_bytes(path.read_bytes()[:-100])
    refuses(cli, tmp_path, CHECKPOINT, "sample", "shapes-1")
    refuses(cli, tmp_path, CHECKPOINT, "train", "--resume", "shapes-1", "--steps", "20")


def test_what_is_no_run_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / "run.json").write_text("{}")
    for command in ("sample", "train --resume", "visualize reverse"):
        refuses(cli, tmp_path, CHECKPOINT, *command.split(), "empty", words=("empty",))
        if "train" not in command:
            refuses(cli, tmp_path, CHECKPOINT, *command.split(), "notes.md", words=("notes.md",))
        refuses(cli, tmp_path, CHECKPOINT, *command.split(), "started", words=("no checkpoint",))
        refuses(cli, tmp_path, CHECKPOINT, *command.split(), "a" * 400)
        refuses(cli, tmp_path, CHECKPOINT, *command.split(), "no/such/run", words=("no/such/run",))


def test_without_any_run_the_way_to_one_is_shown(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, CHECKPOINT, "sample", words=("diffcli train",))
    refuses(cli, tmp_path, CHECKPOINT, "visualize", "reverse", words=("diffcli train",))
    refuses(cli, tmp_path, CHECKPOINT, "sample", "digits", words=("diffcli train",))


# Places to write to


def writers(pictures: Path) -> list[list[object]]:
    """Every command that takes --out."""
    return [
        [*TINY, "--dataset", pictures],
        ["sample", "shapes-1", *FAST],
        ["visualize", "forward", "--dataset", pictures, "--count", "1"],
        ["visualize", "reverse", "shapes-1", "--steps", "2", "--count", "1"],
        ["noise"],
    ]


@pytest.mark.parametrize("command", range(5))
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_exists_is_never_overwritten(
    cli: Cli, run: Path, pictures: Path, tmp_path: Path, command: int, kind: str
) -> None:
    place = tmp_path / "taken"
    if kind == "folder":
        place.mkdir()
        (place / "thesis.tex").write_text("years of work")
    else:
        place.write_text("years of work")
    refuses(cli, tmp_path, TAKEN, *writers(pictures)[command], "--out", "taken", words=("taken", "--out"))


@pytest.mark.parametrize("command", range(5))
def test_an_empty_folder_may_be_written_to(cli: Cli, run: Path, pictures: Path, tmp_path: Path, command: int) -> None:
    (tmp_path / "free").mkdir()
    result = cli(*writers(pictures)[command], "--out", "free", "--json")
    assert result.code == 0
    assert any((tmp_path / "free").iterdir())


@pytest.mark.parametrize("command", range(5))
@pytest.mark.parametrize("place", ["file/below", "/proc/nope/below", "x" * 300])
def test_a_place_that_cannot_be_written_to_is_refused(
    cli: Cli, run: Path, pictures: Path, tmp_path: Path, command: int, place: str
) -> None:
    (tmp_path / "file").write_text("a file")
    refuses(cli, tmp_path, ENVIRONMENT, *writers(pictures)[command], "--out", place, words=("cannot write", "--out"))


def test_an_array_is_never_written_over_a_file(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("years of work")
    refuses(cli, tmp_path, TAKEN, "sample", "shapes-1", *FAST, "--array", "x.npy", words=("x.npy", "--array"))


def test_a_place_for_the_array_is_checked_before_the_images_are_drawn(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcli.core.diffusion.samplers import SAMPLERS

    def never(*_: object, **__: object) -> None:
        raise AssertionError("drawn in vain")

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=never))
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_text("a file")
    refuses(cli, tmp_path, ENVIRONMENT, "sample", "shapes-1", *FAST, "--array", "nope/x.npy", words=("nope",))
    refuses(cli, tmp_path, ENVIRONMENT, "sample", "shapes-1", *FAST, "--array", "file/x.npy", words=("file",))
    refuses(cli, tmp_path, TAKEN, "sample", "shapes-1", *FAST, "--array", "folder.npy", words=("folder.npy",))


def test_a_place_for_a_run_is_checked_before_anything_is_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    assert "data:" not in cli(*TINY, "--out", "taken").err


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be flushed any more."""

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("command", range(1, 5))
def test_a_full_disk_leaves_nothing_behind(
    cli: Cli, run: Path, pictures: Path, tmp_path: Path, full_disk: None, command: int
) -> None:
    words = ("No space left", "free some space")
    refuses(cli, tmp_path, ENVIRONMENT, *writers(pictures)[command], "--out", "new", words=words)


@pytest.mark.parametrize("out", [(), ("--out", "a/b/c")])
def test_a_failed_command_leaves_no_empty_folders_above_its_place_either(
    cli: Cli, pictures: Path, tmp_path: Path, full_disk: None, out: tuple[str, ...]
) -> None:
    refuses(cli, tmp_path, ENVIRONMENT, "visualize", "forward", "--dataset", pictures, *out)


def test_a_full_disk_ends_training_before_it_begins(cli: Cli, pictures: Path, tmp_path: Path, full_disk: None) -> None:
    refuses(cli, tmp_path, ENVIRONMENT, *TINY, "--dataset", pictures, "--out", "new", words=("No space left",))


def full_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A disk that is full when the file of this name is written."""
    from diffcli.system import files

    real_open = Path.open

    def guarded(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if name in path.name and mode != "r" and mode != "rb":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real_open(path, mode, *args, **kwargs)

    assert files.write_atomically
    monkeypatch.setattr(Path, "open", guarded)


@pytest.mark.parametrize("name", ["12.safetensors", "12.png", "metrics.jsonl"])
def test_a_disk_that_fills_while_training_costs_no_checkpoint(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command = ["train", "--recipe", "tiny", "--steps", 12, "--set", "checkpoint_every=4", "--dataset", pictures]
    with monkeypatch.context() as patch:
        full_at(patch, name)
        assert_refused(cli(*command, "--out", "mine"), ENVIRONMENT, "No space left", "free some space")
    mine = tmp_path / "mine"
    assert "safetensors" not in "".join(p.name for p in mine.glob(".*.part"))
    checkpoint.read_checkpoint(newest(mine))
    assert json.loads((mine / "run.json").read_text())["status"] != "running"
    assert cli("train", "--resume", "mine").code == 0
    assert steps_kept(mine)[-1] == 12


def test_a_sample_that_fails_in_the_middle_leaves_nothing_behind(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_at(monkeypatch, "00001.png")
    command = ["sample", "shapes-1", *FAST, "--each", "--animate"]
    refuses(cli, tmp_path, ENVIRONMENT, *command, "--array", "x.npy", "--out", "new")
    (tmp_path / "free").mkdir()
    refuses(cli, tmp_path, ENVIRONMENT, *command, "--out", "free")


# The machine


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7", "mps", "meta", "cpu:7"])
def test_a_device_that_is_not_there_is_named(
    cli: Cli, run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for command in (
        [*TINY, "--dataset", pictures],
        ["sample", "shapes-1", *FAST],
        ["visualize", "reverse", "shapes-1"],
    ):
        refuses(cli, tmp_path, ENVIRONMENT, *command, "--device", device, words=(device, "--device cpu"))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_memory_that_is_gone_is_said_in_a_line(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from diffcli.core.diffusion.samplers import SAMPLERS

    def hungry(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=hungry))
    refuses(cli, tmp_path, ENVIRONMENT, "sample", "shapes-1", *FAST, "--out", "new", words=("memory", "--batch"))


def test_a_bug_has_its_own_code_and_a_traceback_only_with_debug(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffcli.core.diffusion.samplers import SAMPLERS

    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug\nin two lines")

    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], walk=wrong))
    refuses(cli, tmp_path, 70, "sample", "shapes-1", *FAST, "--out", "new", words=("ZeroDivisionError", "--debug"))
    assert "Traceback" in cli("sample", "shapes-1", *FAST, "--debug").err


def test_debug_shows_where_a_problem_comes_from(cli: Cli) -> None:
    result = cli("train", "--recipe", "tinny", "--debug")
    assert result.code == USAGE
    assert "Traceback" in result.err


@pytest.mark.parametrize("name", ["two\nlines", "[/red]", "[bold]x", "{name}", "%s"])
def test_odd_names_are_shown_as_they_are_in_single_lines(
    cli: Cli, run: Path, pictures: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("taken")
    shown = " ".join(name.split())
    assert_refused(cli("sample", "shapes-1", *FAST, "--out", name), TAKEN, shown)
    assert_refused(cli(*TINY, "--dataset", pictures, "--out", name), TAKEN, shown)


# Help, pipes


COMMANDS = [
    "", "train", "sample", "noise", "visualize", "visualize forward", "visualize reverse", "data", "runs",
    "noise gaussian", "noise chain", "draw", "markov", "langevin", "ais",
    "vae", "vae train", "vae evaluate", "vae sample", "vae reconstruct", "vae interpolate",
    "dae", "dae train", "dae evaluate", "dae denoise", "dae score", "score", "vlb", "likelihood", "visualize weights",
]  # fmt: skip


def test_help_imports_nothing_heavy_and_fits_80_columns(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom diffcli.cli import main\n"
        f"for c in {COMMANDS!r}: assert main([*c.split(), '--help']) == 0, c\n"
        "heavy = {'torch', 'numpy', 'PIL', 'matplotlib', 'safetensors', 'rich'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, env=os.environ | {"COLUMNS": "80"}
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.count("Usage: ") == len(COMMANDS)
    assert list(tmp_path.iterdir()) == []


def test_completion_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('HEAVY', {'torch', 'numpy', 'PIL'} & sys.modules.keys(), file=sys.stderr))\n"
        "from diffcli.cli import main\nmain([])\n"
    )
    words = {"_DIFFCLI_COMPLETE": "complete_bash", "COMP_WORDS": "diffcli sam", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['diffcli']\n" + code],
        cwd=tmp_path, text=True, capture_output=True, env=os.environ | words,
    )  # fmt: skip
    assert "sample" in done.stdout
    assert "HEAVY set()" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_fits_a_screen_or_two_for_sample(cli: Cli, command: str) -> None:
    result = cli(*command.split(), "-h")
    assert result.code == 0
    assert result.err == ""
    assert len(result.out.splitlines()) <= (80 if command == "sample" else 50)


def test_the_version_is_a_line(cli: Cli) -> None:
    from importlib.metadata import version

    assert cli("--version").out.strip() == version("diffcli")


@pytest.mark.parametrize("command", [["--help"], ["visualize", "forward", "--image", "x.png", "--json", "--quiet"]])
def test_a_reader_that_left_is_no_error(tmp_path: Path, command: list[str]) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*command, cwd=tmp_path, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=120)
    assert err == ""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_a_full_disk(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("train", "--recipe", "tiny", "--help", cwd=tmp_path, stdout=full)
        _, err = process.communicate(timeout=120)
    assert_refused(Result(process.returncode, "", err), ENVIRONMENT, "No space left")


def test_a_closed_stdout_is_no_bug(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "diffcli", "train", "--help"]
    code = "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, text=True, stderr=subprocess.PIPE)
    assert "bug" not in done.stderr
    assert done.returncode == 0
