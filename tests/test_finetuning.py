"""Runs that begin with another run's weights: what comes in, what is trained, and additions of low rank."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import many_pictures
import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import Cli, refuses
from PIL import Image
from sessions import CPU, finish, go_on, same
from torch import Tensor, nn

from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.models.lora import LowRank, additions_of, layers_of, merged
from diffcli.data.kinds import IMAGES, Items
from diffcli.data.published import clinical
from diffcli.evaluation.features import training as judge_training
from diffcli.evaluation.quality import diagnosis
from diffcli.ranks.launch import Place
from diffcli.runs.additions import FILE, read_additions, write_additions
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.basing import begun_with, from_scratch
from diffcli.runs.loading import load_trained
from diffcli.runs.session import Session, Setting
from diffcli.sampling.models import load_model
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.sharing import elsewhere

MEDICAL = os.environ.get("DIFFCLI_DATA", "")
LOG_SNR = torch.tensor([0.3, -2.0])


def upon(base: Path, folder: Path, dataset: Path, mode: str, **changes: Any) -> Any:
    """The session of a run in `folder` that begins with the base."""
    wanted = {"dataset": str(dataset), "adaptation": mode, "steps": 4, "checkpoint_every": 2} | changes
    wanted |= {"rank": 2} if mode == "lora" else {}
    recipe, path = begun_with(str(base), wanted)
    return opened(Assignment("diffusion", Setting(CPU, out=folder), recipe, base=path))


def weights(run: Path, name: str = "ema") -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_trained(str(run), weights=name, device=CPU).model.state_dict()
    return found


def recoloured(pictures: Path, folder: Path, names: dict[str, str]) -> Path:
    """The pictures with these classes under other names, as colour."""
    for old, new in names.items():
        (folder / new).mkdir(parents=True)
        for path in sorted((pictures / old).iterdir()):
            grey = np.asarray(Image.open(path))
            Image.fromarray(np.stack([grey, grey, grey // 2], -1)).save(folder / new / path.name)
    return folder


@pytest.fixture
def drawn(tmp_path: Path, pictures: Path, shapes_run: Path) -> Callable[[str], Path]:
    """A run upon the base by its mode, of four steps."""

    def make(mode: str) -> Path:
        with upon(shapes_run, tmp_path / mode, pictures, mode) as session:
            finish(session)
        return tmp_path / mode

    return make


@pytest.mark.parametrize("mode", ["full", "lora", "head", "frozen"])
def test_a_run_begins_with_the_base_to_the_bit(shapes_run: Path, pictures: Path, tmp_path: Path, mode: str) -> None:
    base = load_trained(str(shapes_run), device=CPU)
    x = torch.randn(2, 1, 8, 8)
    with upon(shapes_run, tmp_path / mode, pictures, mode) as session:
        made: nn.Module = session.trainer.ema
        wanted, found = (m.network(x, LOG_SNR, label=torch.tensor([0, 2])) for m in (base.model, made))  # type: ignore[operator]
        assert torch.equal(wanted, found)
        assert session.notes == ()


@pytest.mark.parametrize(
    ("mode", "moves"), [("head", ("leave", "embed_label")), ("frozen", ("embed", "condition", "middle", "up", "leave"))]
)
def test_frozen_weights_do_not_move_to_the_bit(
    drawn: Callable[[str], Path], shapes_run: Path, mode: str, moves: tuple[str, ...]
) -> None:
    before, run = weights(shapes_run), drawn(mode)
    for name in ("ema", "raw"):
        after = weights(run, name)
        moved = {k for k in before if not torch.equal(before[k], after[k])}
        assert moved
        assert all(k.removeprefix("network.").startswith(moves) for k in moved)


def test_additions_leave_what_they_are_beside_and_make_the_run(drawn: Callable[[str], Path], shapes_run: Path) -> None:
    run, base = drawn("lora"), load_trained(str(shapes_run), device=CPU).model
    model = load_trained(str(run), device=CPU).model
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in base.state_dict().items())
    added = read_additions(run / FILE, base.network)
    assert added.keys() == additions_of(model.network).keys()
    base.network.load_state_dict(merged(base.network.state_dict(), added))
    x = torch.randn(2, 1, 8, 8)
    base.network.bf16 = model.network.bf16 = False
    assert (base.network(x, LOG_SNR) - model.network(x, LOG_SNR)).abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["lora", "head"])
def test_a_resume_is_exact(shapes_run: Path, pictures: Path, tmp_path: Path, mode: str) -> None:
    with upon(shapes_run, tmp_path / "whole", pictures, mode) as session:
        whole = finish(session)
    with upon(shapes_run, tmp_path / "parts", pictures, mode) as session:
        finish(session, stop_at=2)
    resumed = go_on(tmp_path / "parts")
    assert same(whole, resumed)
    assert (tmp_path / "whole" / "begin.safetensors").exists()
    about = json.loads((tmp_path / "parts" / "run.json").read_text())["base"]
    assert about["digest"] == load_trained(str(shapes_run), device=CPU).digest
    assert about["from"] == str(shapes_run)


def network_of(session: Session) -> Callable[..., Tensor]:
    session.trainer.ema.network.bf16 = False  # type: ignore[union-attr]
    return session.trainer.ema.network  # type: ignore[return-value]


def test_grey_becomes_colour_and_colour_grey(shapes_run: Path, pictures: Path, tmp_path: Path) -> None:
    colour = recoloured(pictures, tmp_path / "colour", {name: name for name in ("circle", "cross", "stripe")})
    base = load_trained(str(shapes_run), device=CPU).model.network
    base.bf16 = False
    x, label = torch.randn(2, 1, 8, 8), torch.tensor([1, 3])
    wanted = base(x, LOG_SNR, label=label)
    with upon(shapes_run, tmp_path / "run", colour, "full") as session:
        found = network_of(session)(x.expand(-1, 3, -1, -1), LOG_SNR, label=label)
        assert (found - wanted).abs().max() < 1e-5
        assert "repeated for 3 channels" in session.notes[-1]
        finish(session)
    with upon(tmp_path / "run", tmp_path / "back", pictures, "full") as session:
        wide = load_trained(str(tmp_path / "run"), device=CPU).model.network
        wide.bf16 = False
        wanted = wide(x.expand(-1, 3, -1, -1), LOG_SNR, label=label).mean(1, keepdim=True)
        assert (network_of(session)(x, LOG_SNR, label=label) - wanted).abs().max() < 1e-5
        assert "summed for 1 channel" in session.notes[-1]


def test_classes_keep_their_embeddings_by_name_and_new_ones_begin_as_none(
    shapes_run: Path, pictures: Path, tmp_path: Path
) -> None:
    others = recoloured(pictures, tmp_path / "others", {"stripe": "bar", "cross": "cross"})
    rows = weights(shapes_run)["network.embed_label.weight"]
    with upon(shapes_run, tmp_path / "run", others, "lora") as session:
        found = session.trainer.ema.state_dict()["network.embed_label.weight"]
        assert torch.equal(found, rows[[3, 1, 3]])  # bar is new, cross was the second; the last is no class
        assert session.recipe.adaptation.labels == "yes"
        told = "classes: 1 classes keep their embeddings, 1 new ones begin as no class, 2 of the base are dropped"
        assert told in session.notes


def test_classes_of_the_base_may_stay_in_front_of_new_ones(shapes_run: Path, pictures: Path, tmp_path: Path) -> None:
    others = recoloured(pictures, tmp_path / "others", {"stripe": "bar", "cross": "cross"})
    rows = weights(shapes_run)["network.embed_label.weight"]
    with upon(shapes_run, tmp_path / "run", others, "head", classes="all") as session:
        assert session.dataset.classes == ("circle", "cross", "stripe", "bar")
        assert set(session.dataset.labels.tolist()) == {1, 3}  # type: ignore[union-attr]
        assert torch.equal(session.trainer.ema.state_dict()["network.embed_label.weight"], rows[[0, 1, 2, 3, 3]])
        whole = finish(session)
    with upon(shapes_run, tmp_path / "parts", others, "head", classes="all") as session:
        finish(session, stop_at=2)
    assert same(whole, go_on(tmp_path / "parts"))
    assert load_model(str(tmp_path / "run"), device=CPU).items.classes == ("circle", "cross", "stripe", "bar")


@pytest.fixture
def network(shapes_run: Path) -> nn.Module:
    found: nn.Module = load_trained(str(shapes_run), device=CPU).model.network
    return found


def some(network: nn.Module, alpha: float = 3.0) -> dict[str, LowRank]:
    """Additions of rank 2 to every layer of attention, and to one convolution."""
    found: dict[str, LowRank] = {}
    for i, (name, kind) in enumerate(layers_of(network).items()):
        if kind == "attention" or name.endswith("conv1"):
            weight, draw = network.get_submodule(name).get_parameter("weight"), torch.Generator().manual_seed(i)
            a = torch.randn(2, *weight.shape[1:], generator=draw)
            b = torch.randn(len(weight), 2, *[1] * (weight.dim() - 2), generator=draw)
            found[name] = LowRank(a, b, alpha)
    return found


def kohya(additions: dict[str, LowRank]) -> dict[str, Tensor]:
    found = {}
    for name, one in additions.items():
        key = f"lora_unet_{name.replace('.', '_')}"
        found |= {f"{key}.lora_down.weight": one.a, f"{key}.lora_up.weight": one.b}
        found[f"{key}.alpha"] = torch.tensor(one.alpha)
    return found


def before_peft(additions: dict[str, LowRank]) -> dict[str, Tensor]:
    downs = {f"unet.{name}.lora.down.weight": one.a for name, one in additions.items()}
    return downs | {f"unet.{name}.lora.up.weight": one.b for name, one in additions.items()}


def peft(additions: dict[str, LowRank]) -> dict[str, Tensor]:
    downs = {f"base_model.model.{name}.lora_A.weight": one.a for name, one in additions.items()}
    return downs | {f"base_model.model.{name}.lora_B.weight": one.b for name, one in additions.items()}


def test_what_is_written_is_read(network: nn.Module, tmp_path: Path) -> None:
    wanted = some(network)
    first = next(iter(wanted))
    wanted[first] = replace_alpha(wanted[first], 7.0)
    write_additions(tmp_path / FILE, wanted)
    found = read_additions(tmp_path / FILE, network)
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert torch.equal(found[name].a, one.a)
        assert torch.equal(found[name].b, one.b)
        assert found[name].alpha == one.alpha
    with safetensors.safe_open(str(tmp_path / FILE), "pt") as file:
        keys, metadata = set(file.keys()), file.metadata()
    assert {f"unet.{name}.lora_{part}.weight" for name in wanted for part in "AB"} == keys
    told = json.loads(metadata["lora_adapter_metadata"])
    assert told["unet.r"] == 2
    assert told["unet.alpha_pattern"] == {name: 3.0 for name in wanted if name != first}


def replace_alpha(one: LowRank, alpha: float) -> LowRank:
    return LowRank(one.a, one.b, alpha)


@pytest.mark.parametrize(("dialect", "alpha"), [(kohya, 3.0), (before_peft, 2.0), (peft, 2.0)])
def test_dialects_are_read(
    network: nn.Module, tmp_path: Path, dialect: Callable[..., dict[str, Tensor]], alpha: float
) -> None:
    wanted = some(network)
    safetensors.torch.save_file(dialect(wanted), tmp_path / "lora.safetensors")
    found = read_additions(tmp_path / "lora.safetensors", network)
    assert found.keys() == wanted.keys()
    assert all(one.alpha == alpha for one in found.values())  # the rank, where nothing says it
    assert all(torch.equal(found[name].b, one.b) for name, one in wanted.items())


def test_additions_are_summed_into_the_weights_and_travel(shapes_run: Path, network: nn.Module, tmp_path: Path) -> None:
    write_additions(tmp_path / "one.safetensors", some(network))
    spec = str(tmp_path / "one.safetensors")
    plain = load_model(str(shapes_run), device=CPU)
    whole, halves, gone = (
        load_model(str(shapes_run), device=CPU, lora=lora)
        for lora in ((spec,), (f"{spec}:0.5", f"{spec}:0.5"), (spec, f"{spec}:-1"))
    )
    name = next(iter(some(network)))
    for model, scale in ((whole, 1.0), (halves, 1.0), (gone, 0.0)):
        assert model.trained and plain.trained
        moved = model.trained.model.state_dict()[f"network.{name}.weight"]
        wanted = plain.trained.model.state_dict()[f"network.{name}.weight"] + scale * some(network)[name].delta
        assert (moved - wanted).abs().max() < 1e-5
    assert plain.digest != whole.digest
    (told,) = whole.added
    assert told.weights > 0.1
    assert told.output > 0.01
    assert told.note in whole.notes
    there = elsewhere(halves, SamplingOptions(device="cpu"))
    assert there.loaded(Place(1, 2)).digest == halves.digest


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (lambda t: {"unet.other.lora_A.weight": torch.zeros(2, 3)}, "unet.other.lora_A.weight"),
        (lambda t: {k: v for k, v in t.items() if "lora_B" not in k}, "missing"),
        (lambda t: {k: v[:, :1] if "lora_A" in k else v for k, v in t.items()}, "another network"),
        (lambda t: {k: v * torch.nan for k, v in t.items()}, "not finite"),
        (lambda t: {"weights": torch.zeros(3)}, "no file of low-rank additions"),
    ],
)
def test_wrong_files_are_refused(
    cli: Cli, run: Path, tmp_path: Path, network: nn.Module, spoiled: Callable[..., dict[str, Tensor]], words: str
) -> None:
    good = {k.replace("base_model.model", "unet"): v for k, v in peft(some(network)).items()}
    safetensors.torch.save_file({k: v.contiguous() for k, v in spoiled(good).items()}, tmp_path / "bad.safetensors")
    refuses(cli, tmp_path, 4, "sample", "shapes-1", "--lora", "bad.safetensors", words=(words, "bad.safetensors"))


def test_additions_that_are_not_there_or_are_there_already(cli: Cli, run: Path, tmp_path: Path, pictures: Path) -> None:
    refuses(cli, tmp_path, 4, "sample", "shapes-1", "--lora", "nowhere", words=("nowhere",))
    refuses(cli, tmp_path, 4, "sample", "shapes-1", "--lora", "shapes-1", words=("finetune --mode lora",))
    refuses(cli, tmp_path, 2, "sample", "shapes-1", "--lora", "shapes-1:1000", words=("scale",))
    refuses(cli, tmp_path, 2, "sample", "exact:digits", "--lora", "x", words=("exact",))
    (tmp_path / "text.safetensors").write_text("no")
    refuses(cli, tmp_path, 4, "sample", "shapes-1", "--lora", "text.safetensors", words=("safetensors",))


def test_the_command_from_base_to_samples(cli: Cli, run: Path, pictures: Path, tmp_path: Path) -> None:
    options = ("--dataset", pictures, "--mode", "lora", "--rank", 2, "--layers", "attention,ends", "--devices", 1)
    made = cli("finetune", "shapes-1", *options, "--steps", 3, "--out", "checkpoints/own", "--json")
    assert made.code == 0, made.err
    assert "lora" in made.err
    assert "trained" in made.err
    assert made.document["base"]["from"] == "checkpoints/shapes-1"
    assert "begun with" in cli("info", "own").out
    more = cli("finetune", "--resume", "own", "--steps", 5, "--json")
    assert more.document["steps"] == 5
    drawn = cli("sample", "shapes-1", "--lora", "own:0.5", "--count", 2, "--ddim", "--steps", 2, "--json")
    assert drawn.code == 0, drawn.err
    assert "lora: own at 0.5" in drawn.err
    refuses(cli, tmp_path, 2, "sample", "own", "--lora", "own", words=("already", "shapes-1"))
    dry = cli("finetune", "shapes-1", *options, "--minutes", 1, "--dry-run", "--json").document
    assert dry["recipe"]["adaptation"] == {
        "name": "lora", "rank": 2, "alpha": 8.0, "layers": ["attention", "ends"], "labels": "no", "classes": "data",
    }  # fmt: skip
    assert cli("train", "--dry-run", "--json", "--steps", 1, "--dataset", pictures).document["recipe"].keys() == set(
        ["latent", "schedule", "network", "objective", "sampling", "dial", "minutes", "steps", "batch", "micro_batch"]
        + ["precision", "compile", "shard", "checkpoint_every", "seed", "impl", "data", "optimizer"]
    )


def test_rates_are_lower_and_keys_are_the_bases(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_trained(str(run), device=CPU).recipe
    recipe, path = begun_with(str(run), {"adaptation": "full", "dataset": "x"})
    assert path == str(run / "step-000000012.safetensors")
    assert recipe.network == base.network
    assert recipe.optimizer.muon_lr == pytest.approx(base.optimizer.muon_lr / 2)
    assert (recipe.steps, recipe.minutes) == (0, 5.0)
    own, _ = begun_with(str(run), {"adaptation": "full", "dataset": "x", "lr": 0.3, "minutes": 2})
    assert (own.optimizer.lr, own.minutes) == (0.3, 2)


def test_a_run_may_begin_with_one_that_has_additions(
    drawn: Callable[[str], Path], tmp_path: Path, pictures: Path
) -> None:
    first = load_trained(str(drawn("lora")), device=CPU)
    with upon(tmp_path / "lora", tmp_path / "next", pictures, "full") as session:
        network = network_of(session)
        assert additions_of(session.trainer.model) == {}
        assert session.recipe.optimizer.name == "muon"
        first.model.network.bf16 = False
        x = torch.randn(2, 1, 8, 8)
        assert (network(x, LOG_SNR) - first.model.network(x, LOG_SNR)).abs().max() < 1e-5
    plain = from_scratch(session.recipe, str(tmp_path / "lora"), 60)
    assert (plain.adaptation.name, plain.minutes) == ("none", 1.0)


def test_errors_are_one_line(cli: Cli, run: Path, tmp_path: Path, pictures: Path) -> None:
    to, quick = ("--dataset", pictures), ("--steps", 1, "--devices", 1, "--quiet")
    assert cli("vae", "train", "--recipe", "tiny", *to, *quick, "--out", "vae").code == 0
    assert cli("train", "--dataset", "moons", "--set", "width=4", *quick, "--out", "points").code == 0
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", words=("--dataset",))
    refuses(cli, tmp_path, 4, "finetune", "nothing", *to, words=("nothing",))
    refuses(cli, tmp_path, 4, "finetune", "vae", *to, words=("diffusion",))
    refuses(cli, tmp_path, 3, "finetune", "shapes-1", "--dataset", "nowhere", words=("nowhere",))
    refuses(cli, tmp_path, 2, "finetune", "points", *to, words=("points",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--mode", "lora", "--rank", 900, words=("rank",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--mode", "some", words=("some",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--rank", 2, words=("lora",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--mode", "lora", "--layers", "odd", words=("odd",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--mode", "frozen", "--parts", "odd", words=("odd",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--set", "widths=4,4", words=("network",))
    every = "embeddings,encoder,middle,decoder,head"
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, "--mode", "frozen", "--parts", every, words=("left",))
    shard = ("--mode", "lora", "--set", "shard=true")
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", *to, *shard, words=("shard",))
    refuses(cli, tmp_path, 2, "finetune", "shapes-1", "--resume", "shapes-1", words=("--resume",))


def test_a_run_is_judged_beside_its_beginning_and_beside_scratch(
    cli: Cli, many_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_training, "MOST_EPOCHS", 1)
    monkeypatch.setattr(diagnosis, "BUDGET", 200)
    monkeypatch.setattr(diagnosis, "SEEDS", 2)
    monkeypatch.setitem(SAMPLERS, "ddim", replace(SAMPLERS["ddim"], steps=2))
    images, labels = many_pictures.pixels(360, seed=2)
    two = many_pictures.write(tmp_path / "two", images[labels < 2], labels[labels < 2])
    (two / "stripe").rmdir()
    asked = ("--judge", 70, "--against-scratch", "--forget-check", "--downstream")
    more = ("--set", "classes=all", "--devices", 1, "--json")
    made = cli("finetune", many_run, "--dataset", two, "--steps", 2, *asked, *more)
    assert made.code == 0, made.err
    found = made.document["judged"]
    assert list(found["models"]) == ["at step 0", "fine-tuned", "from scratch"]
    assert all(one["frechet_error"] > 0 and one["copies"] is not None for one in found["models"].values())
    assert found["models"]["at step 0"]["frechet"] != found["models"]["fine-tuned"]["frechet"]
    assert list(found["forgotten"]) == ["base", "fine-tuned"]
    assert all(one["class_agreement"] is not None for one in found["forgotten"].values())
    assert (found["diagnosis"]["positive"], found["diagnosis"]["added"]) == ("cross", 70)
    assert found["notes"] == []
    assert all(one["class_agreement"] is not None for one in found["models"].values())
    scratch = json.loads((tmp_path / made.document["scratch"] / "run.json").read_text())
    assert "base" not in scratch


def test_what_cannot_be_judged_is_told_after_the_training(cli: Cli, run: Path, pictures: Path) -> None:
    made = cli("finetune", run, "--dataset", pictures, "--steps", 1, "--forget-check", "--devices", 1, "--json")
    assert made.code == 0, made.err
    assert "too few" in made.document["judged"]["notes"][0]
    without = cli("finetune", run, "--dataset", pictures, "--steps", 1, "--judge", 0, "--devices", 1, "--json")
    assert "judged" not in without.document


def test_rates_of_classifiers() -> None:
    ill = torch.tensor([True] * 4 + [False] * 2)
    right = torch.tensor([[1, 1, 1, 0, 1, 0], [1, 1, 0, 0, 1, 1]]).double()
    rates = diagnosis.rates_of(right, ill)
    assert (rates.sensitivity, rates.specificity, rates.balanced) == (0.625, 0.75, 0.6875)
    of_images = torch.tensor([1, 1, 0.5, 0]).std() / 2
    of_classifiers = torch.tensor([0.75, 0.5]).std() / 2**0.5
    assert rates.sensitivity_error == pytest.approx(math.hypot(of_images, of_classifiers), rel=1e-5)
    assert diagnosis.positive_class(("malignant", "normal, benign")) == 0
    assert diagnosis.positive_class(("normal", "pneumonia")) == 1
    assert diagnosis.positive_class(("a", "b")) == 1


def test_images_of_patients_are_never_shown_without_a_word() -> None:
    items = Items(IMAGES, (1, 8, 8))
    assert "not for clinical use" in clinical("pneumoniamnist", items)
    assert "not for clinical use" in clinical("breastmnist", items)
    assert clinical("mnist", items) == clinical("a folder", items) == ""
    assert "not for clinical use" in clinical("a folder of scans", replace(items, patients=True))


@pytest.mark.skipif(not MEDICAL, reason="needs the files of BreastMNIST")
def test_commands_that_show_images_of_patients_say_so_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFCLI_DATA", MEDICAL)
    quick = ("--recipe", "tiny", "--steps", 1, "--devices", 1, "--out", "run")
    for arguments in (
        ("train", "--dataset", "breastmnist", *quick),
        ("sample", "run", "--ddim", "--steps", 2, "--count", 1, "--devices", 1),
        ("visualize", "forward", "--dataset", "breastmnist"),
    ):
        made = cli(*arguments)
        assert made.code == 0, made.err
        assert made.err.count("not for clinical use") == 1
