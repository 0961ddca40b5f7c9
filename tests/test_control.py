"""Models that obey hints: what is trained, what is told, what strengths do, and how obedience is measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, refuses
from PIL import Image
from sessions import CPU, finish, go_on, same, train
from torch import Tensor

from diffcli.core.models.control import NOT_GIVEN
from diffcli.core.models.unet import UNet
from diffcli.core.processes import hints
from diffcli.data import loading as datasets
from diffcli.data.dataset import to_unit
from diffcli.metrics.obedience import boxes_of, edge_f1, layout_accuracy, mask_iou, way
from diffcli.ranks.launch import Place
from diffcli.runs.assignment import Assignment, opened
from diffcli.runs.controlling import begun_beside
from diffcli.runs.loading import load_trained
from diffcli.runs.session import Setting
from diffcli.sampling.from_images import varied
from diffcli.sampling.models import load_model
from diffcli.sampling.options import SamplingOptions, Variation
from diffcli.sampling.prepare import prepare
from diffcli.sampling.sharing import elsewhere
from diffcli.training import recipes
from diffcli.training.hinting import settled_hint, viewed
from diffcli.training.obeying import HintsInSight
from diffcli.training.recipes import codec, diffusion

LOG_SNR, LABEL = torch.tensor([0.3, -2.0]), torch.tensor([0, 2])


def beside(
    base: Path, folder: Path, dataset: Path | str, mode: str = "branch", condition: str = "edges", **more: Any
) -> Any:
    """The session of a run in `folder` that teaches the base to obey."""
    wanted = {"dataset": str(dataset), "steps": 4, "checkpoint_every": 2} | more
    recipe, path = begun_beside(str(base), condition, mode, wanted)
    return opened(Assignment("diffusion", Setting(CPU, out=folder), recipe, base=path))


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory, shapes_run: Path, pictures: Path) -> Path:
    """A branch beside the base that was trained for four steps. Read it only."""
    folder = tmp_path_factory.mktemp("control") / "edges"
    with beside(shapes_run, folder, pictures) as session:
        finish(session)
    return folder


@pytest.fixture
def here(cli: Cli, control: Path, run: Path, tmp_path: Path) -> Path:
    """The base and the control as shapes-1 and edges-1 in checkpoints/, an image and a hint."""
    (tmp_path / "checkpoints" / "edges-1").symlink_to(control)
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2:6, 2:6] = 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels).save(tmp_path / "hint.png")
    return tmp_path


def network(run: Path, weights: str = "ema") -> Any:
    found = load_trained(str(run), weights=weights, device=CPU).model.network
    found.bf16 = False
    return found


def hint(count: int = 2) -> Tensor:
    return 2 * (torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float() - 1


def drawn(target: Path, **wanted: Any) -> Tensor:
    prepared = prepare(str(target), SamplingOptions(sampler="ddim", steps=3, count=3, device="cpu", **wanted))
    return prepared.job.drawn(3)


@pytest.mark.parametrize("mode", ["branch", "concat"])
def test_at_the_start_a_hint_changes_nothing(shapes_run: Path, pictures: Path, tmp_path: Path, mode: str) -> None:
    x, base = torch.randn(2, 1, 8, 8), network(shapes_run)
    with beside(shapes_run, tmp_path / mode, pictures, mode) as session:
        made = session.trainer.ema.network
        made.bf16 = False
        found = made(x, LOG_SNR, label=LABEL, hint=hint())
        if mode == "branch":
            assert torch.equal(found, base(x, LOG_SNR, label=LABEL))
        else:
            assert (found - base(x, LOG_SNR, label=LABEL)).abs().max() < 1e-5
            assert made.enter.weight[:, base.enter.weight.shape[1] :].abs().max() == 0


def test_the_branch_alone_is_trained_and_the_base_stays_to_the_bit(control: Path, shapes_run: Path) -> None:
    for weights in ("ema", "raw"):
        before, after = network(shapes_run).state_dict(), network(control, weights).state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        new = [name for name in after if name not in before]
        assert new
        assert all(name.startswith("control.hint.") for name in new)
        assert after["control.hint.zeros.0.weight"].abs().max() > 0


def test_a_hint_that_is_not_given_is_the_base_item_by_item(control: Path, shapes_run: Path) -> None:
    x, told = torch.randn(2, 1, 8, 8), hint()
    told[1] = NOT_GIVEN
    plain, found = network(shapes_run)(x, LOG_SNR, label=LABEL), network(control)(x, LOG_SNR, label=LABEL, hint=told)
    assert torch.equal(found[1], plain[1])
    assert not torch.equal(found[0], plain[0])
    assert torch.equal(network(control)(x, LOG_SNR, label=LABEL), plain)


@pytest.mark.parametrize("mode", ["branch", "concat"])
def test_a_resume_is_exact(shapes_run: Path, pictures: Path, tmp_path: Path, mode: str) -> None:
    with beside(shapes_run, tmp_path / "whole", pictures, mode) as session:
        whole = finish(session)
    with beside(shapes_run, tmp_path / "parts", pictures, mode) as session:
        finish(session, stop_at=2)
    assert same(whole, go_on(tmp_path / "parts"))


def test_some_hints_are_dropped_in_concat_and_none_of_a_branch(
    shapes_run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[Tensor]()
    plain = UNet.forward

    def heard(self: UNet, x: Tensor, log_snr: Tensor, **told: Tensor) -> Tensor:
        seen.extend([told["hint"]] if self.training else [])
        return plain(self, x, log_snr, **told)

    monkeypatch.setattr(UNet, "forward", heard)
    for mode, more in (("branch", {}), ("concat", {"control.drop": 0.5})):
        with beside(shapes_run, tmp_path / mode, pictures, mode, steps=2, **more) as session:
            finish(session)
        lost = torch.cat(seen)[:, 0, 0, 0] == NOT_GIVEN
        assert (0.2 < lost.float().mean() < 0.8) if mode == "concat" else not lost.any()
        seen.clear()


def test_strength_is_linear_in_what_is_added_and_nothing_at_zero(control: Path, shapes_run: Path, here: Path) -> None:
    x, told = torch.randn(2, 1, 8, 8), hint()
    for strength in (0.0, 0.5, 1.0):
        model = load_model(str(shapes_run), device=CPU, control=[f"{control}:{strength}"])
        made = model.denoise.network  # type: ignore[attr-defined]
        made.bf16 = False
        added = made.control(torch.zeros(2, 4, 4, 4), torch.zeros(2, 32), {"hint": told})
        if strength == 0:
            assert added == []
            assert torch.equal(made(x, LOG_SNR, hint=told), network(shapes_run)(x, LOG_SNR))
        else:
            whole = network(control).control(torch.zeros(2, 4, 4, 4), torch.zeros(2, 32), {"hint": told})
            assert all(torch.equal(strength * a, b) for a, b in zip(whole, added, strict=True))
    samples = drawn(shapes_run)
    assert torch.equal(samples, drawn(shapes_run, control=(f"{control}:0",), hint=(here / "hint.png",)))
    assert not torch.equal(samples, drawn(shapes_run, control=(str(control),), hint=(here / "hint.png",)))


def test_a_control_beside_its_base_draws_as_its_own_run_does(control: Path, shapes_run: Path, here: Path) -> None:
    told = (here / "hint.png",)
    assert torch.equal(drawn(control, hint=told), drawn(shapes_run, control=(str(control),), hint=told))


def test_several_controls_add_up_and_have_hints_of_their_own(control: Path, shapes_run: Path, here: Path) -> None:
    x, other = torch.randn(2, 1, 8, 8), hint().flip(-1)
    model = load_model(str(shapes_run), device=CPU, control=[f"{control}:0.5", f"{control}:0.25"])
    assert [one.name for one in model.controls] == ["hint", "hint2"]
    made = model.denoise.network  # type: ignore[attr-defined]
    zeros = torch.zeros(2, 4, 4, 4), torch.zeros(2, 32)
    one = network(control).control(*zeros, {"hint": hint()})
    two = network(control).control(*zeros, {"hint": other})
    for a, b, both in zip(one, two, made.control(*zeros, {"hint": hint(), "hint2": other}), strict=True):
        assert torch.allclose(0.5 * a + 0.25 * b, both)
    assert made(x, LOG_SNR, hint2=other).isfinite().all()
    again = elsewhere(model, SamplingOptions(device="cpu")).loaded(Place(0, 1, 0, 1))
    assert again.digest == model.digest
    assert [c.strength for c in again.controls] == [0.5, 0.25]


@pytest.mark.parametrize("by", [None, "class", "hint", "both"])
def test_guidance_follows_class_or_hint(control: Path, here: Path, by: str | None) -> None:
    told: list[set[str]] = []
    wanted = SamplingOptions(
        sampler="ddim", steps=2, count=2, device="cpu", label="1", guidance=3.0, guide_by=by, hint=(here / "hint.png",)
    )
    prepared = prepare(str(control), wanted)
    network = prepared.job.network

    def heard(x: Tensor, level: Any, **cond: Any) -> Any:
        told.append(set(cond))
        return network(x, level, **cond)

    steered = prepared.job.steered(heard)
    conditions = {name: value.to(CPU) for name, value in prepared.job.conditions.items()}
    steered(torch.randn(2, 1, 8, 8), prepared.job.levels[1], **conditions)
    without = {None: {"hint"}, "class": {"hint"}, "hint": {"label"}, "both": set()}[by]
    assert told == [without, {"label", "hint"}]


def test_a_preview_measures_obedience_and_says_when_it_has_come(control: Path, shapes_run: Path) -> None:
    rows = [json.loads(line) for line in (control / "metrics.jsonl").read_text().splitlines()]
    found = [row["obedience"] for row in rows if "obedience" in row]
    assert found
    assert {"measure", "score", "without", "real", "share", "exact", "turned"} <= found[-1].keys()
    assert found[-1]["real"] == 1
    images = datasets.load_dataset("mnist", "test").take(range(6))[0]
    recipe = load_trained(str(control), device=CPU).recipe
    sight = HintsInSight(recipe, images, images, {"label": torch.zeros(6)})

    def noise(_: dict[str, Tensor]) -> Tensor:
        return torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1

    texts = [sight.look(samples, noise) for samples in (noise({}), images, images)]
    assert [row["obedience"]["turned"] for _, row in texts] == [False, True, False]
    assert "sudden convergence" in texts[1][0]
    assert "sudden" not in texts[2][0]


def test_edges_count_within_a_pixel_and_no_further() -> None:
    line = -torch.ones(1, 1, 9, 9)
    line[..., 4] = 1
    scores = [edge_f1(line.roll(shift, -1), line).item() for shift in (0, 1, 2, -2)]
    assert scores == [1, 1, 0, 0]
    assert edge_f1(line.roll(1, -1), line, 0).item() == 0
    half = line.clone()
    half[..., 4:, :] = -1
    assert edge_f1(half, line).item() == pytest.approx(2 * (5 / 9) / (1 + 5 / 9))  # one more is near than is found
    nothing = -torch.ones_like(line)
    assert edge_f1(nothing, nothing).item() == 1
    assert edge_f1(nothing, line).item() == 0


def test_masks_and_ways() -> None:
    a, b = -torch.ones(1, 1, 4, 4), -torch.ones(1, 1, 4, 4)
    a[..., :2], b[..., 1:3] = 1, 1
    assert mask_iou(a, b).item() == pytest.approx(1 / 3)
    assert mask_iou(-torch.ones_like(a), -torch.ones_like(a)).item() == 1
    assert way(0.75, 0.5, 1.0) == 0.5
    assert way(0.2, 0.4, 0.0) == pytest.approx(0.5)


def test_boxes_are_read_one_by_one() -> None:
    planes = -torch.ones(1, 3, 12, 12)
    planes[0, 0, 1:4, 1:5] = 1
    planes[0, 2, 6:10, 2:4] = 1
    planes[0, 2, 6:11, 7:11] = 1
    assert boxes_of(planes[0, 2] > 0) == [(2, 6, 4, 10), (7, 6, 11, 11)]
    found = layout_accuracy(torch.zeros(1, 1, 12, 12), planes, lambda cuts: torch.tensor([0, 2, 1]))
    assert found.item() == pytest.approx(2 / 3)
    assert layout_accuracy(torch.zeros(1, 1, 12, 12), -torch.ones(1, 3, 12, 12), lambda cuts: cuts).isnan().all()


@pytest.mark.parametrize("condition", ["mask", "sketch", "blur", "lowres", "hole"])
def test_every_condition_trains(shapes_run: Path, pictures: Path, tmp_path: Path, condition: str) -> None:
    with beside(shapes_run, tmp_path / condition, pictures, condition=condition, steps=1) as session:
        finish(session)
        assert session.recipe.control.hint == (1, 8, 8)
        assert session.look is not None
        assert "obedience" in session.look.row


def test_a_model_of_holes_paints_the_white_part_of_a_mask(
    shapes_run: Path, pictures: Path, here: Path, cli: Cli, tmp_path: Path
) -> None:
    with beside(shapes_run, tmp_path / "holes", pictures, condition="hole") as session:
        finish(session)
    mask = np.zeros((8, 8), np.uint8)
    mask[3:, :5] = 255
    Image.fromarray(mask).save(here / "mask.png")
    photo = to_unit(torch.from_numpy(np.asarray(Image.open(here / "photo.png")).copy()))
    where = torch.from_numpy(mask) > 0
    wanted = SamplingOptions(sampler="dpmpp-2m", steps=3, count=3, device="cpu")
    variation = Variation(inpaint=here / "photo.png", mask=here / "mask.png")
    prepared = varied(prepare(str(tmp_path / "holes"), wanted), variation)
    told = prepared.job.conditions["hint"]
    assert told.shape == (3, 1, 8, 8)
    assert torch.equal(told[1, 0], torch.where(where, 0.0, photo))
    assert not prepared.notes
    found = prepared.finished(prepared.job.drawn(3))
    assert torch.equal(found[2, 0][~where], photo[~where])
    assert (found[0] - found[1])[0][where].abs().max() > 0.01
    plain = drawn(tmp_path / "holes", hint=())
    assert not torch.equal(prepared.job.drawn(3), plain)
    how = ("--inpaint", "photo.png", "--mask", "mask.png")
    made = cli("sample", "holes", "--ddim", "--steps", 3, *how, "--each", "--out", "x")
    assert made.code == 0, made.err
    assert "no hint" not in made.err
    written = np.asarray(Image.open(here / "x" / "00000.png"))
    assert np.array_equal(written[mask == 0], np.asarray(Image.open(here / "photo.png"))[mask == 0])
    refuses(cli, here, 2, "sample", "holes", *how, "--resample", 2, words=("was taught to paint holes",))


def test_pairs_in_files_are_hints(shapes_run: Path, pictures: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "pairs"
    for path in sorted(pictures.rglob("*.png"))[::4]:
        own = folder / path.parent.name
        own.mkdir(parents=True, exist_ok=True)
        image = np.asarray(Image.open(path))
        Image.fromarray(image).save(own / path.name)
        Image.fromarray(((image > 100) * 255).astype(np.uint8)).save(own / f"{path.stem}.mask2.png")
    with beside(shapes_run, tmp_path / "run", folder, condition="mask2", steps=1) as session:
        assert session.recipe.control.condition == "paired"
        finish(session)
        assert session.look is not None
        assert "obedience" not in session.look.row
    one = next(folder.rglob("*.mask2.png"))
    one.unlink()
    refuses(
        cli, tmp_path, 3, "control", "train", shapes_run, "--condition", "mask2", "--dataset", folder, "--steps", 1,
        words=("do not match",),
    )  # fmt: skip


def test_a_model_of_latents_obeys_pictures(tmp_path: Path, pictures: Path) -> None:
    train(recipes.override(codec.RECIPES["kl-tiny"], {"dataset": str(pictures), "steps": 2}), tmp_path / "codec")
    tiny = {"dataset": str(pictures), "latent": str(tmp_path / "codec"), "widths": (8, 16), "steps": 2, "batch": 8}
    train(recipes.override(diffusion.RECIPES["latent"], tiny | {"dial": ()}), tmp_path / "latent")
    with beside(tmp_path / "latent", tmp_path / "control", pictures, steps=2) as session:
        image, _ = datasets.load_dataset(str(pictures)).take([5])
        assert torch.equal(session.dataset.take([5])[1]["hint"], hints.edges(image))
        finish(session)
        assert session.recipe.control.hint == (1, 8, 8)
    photo = next(pictures.rglob("*.png"))
    wanted = SamplingOptions(sampler="ddim", steps=2, count=2, device="cpu", hint_from=(photo,))
    prepared = prepare(str(tmp_path / "control"), wanted)
    assert prepared.finished(prepared.job.drawn(2)).shape == (2, 1, 8, 8)


def test_canvases_know_their_masks_and_layouts() -> None:
    base = recipes.override(diffusion.RECIPES["tiny"], {"dataset": "canvas-64", "steps": 1, "batch": 2})
    keys = {"control.condition": "layout", "data.hints": "layout", "control": "branch"}
    recipe = recipes.override(base, keys)
    found = viewed(recipe, datasets.load_dataset("canvas-64", reading=recipe.data.reading))
    assert settled_hint(recipe, found) == (10, 64, 64)
    own = recipes.override(base, {"control": "branch", "control.condition": "lowres"})
    assert settled_hint(own, viewed(own, datasets.load_dataset("canvas-64"))) == (3, 64, 64)


def test_the_command_trains_samples_and_measures(cli: Cli, here: Path) -> None:
    asked = ("control", "train", "shapes-1", "--condition", "edges", "--steps", 2)
    assert cli(*asked, "--dataset", here / "none").code != 0
    assert cli(*asked, "--dry-run", "--json").document["run"].endswith("edges-shapes-1")
    quick = ("--count", 2, "--ddim", "--steps", 2, "--json")
    assert "no hint is given" in cli("sample", "edges-1", *quick).err
    found = cli("sample", "edges-1", "--hint-from", "photo.png", *quick, "--out", "s")
    assert found.code == 0, found.err
    assert (here / "s" / "grid.hint.png").exists()
    again = cli("sample", "edges-1", "--hint", "s/grid.hint.png", *quick, "--out", "t")
    assert again.document["mean"] == found.document["mean"]
    measured = cli("control", "evaluate", "edges-1", "--count", 4, "--steps", 2, "--no-judge", "--json")
    assert measured.code == 0, measured.err
    wanted = {"condition", "score", "score_unconditioned", "score_real", "class_agreement"}
    assert wanted <= measured.document.keys()
    assert measured.document["score_real"] == 1


def test_what_does_not_fit_is_refused_in_one_line(
    cli: Cli, here: Path, tmp_path: Path, shapes_run: Path, pictures: Path
) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(tmp_path / "tall.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(tmp_path / "colour.png")
    np.save(tmp_path / "planes.npy", np.zeros((2, 8, 8), np.uint8))
    with beside(shapes_run, tmp_path / "concat", pictures, "concat", steps=1) as session:
        finish(session)
    train(
        recipes.override(diffusion.RECIPES["tiny"], {"dataset": str(pictures), "steps": 1, "seed": 7}),
        tmp_path / "other",
    )
    both = ("sample", "shapes-1", "--control", "edges-1")

    def no(code: int, *arguments: object, words: tuple[str, ...]) -> None:
        refuses(cli, tmp_path, code, *arguments, words=words)

    no(3, *both, "--hint", "tall.png", words=("8x9", "8x8"))
    no(3, *both, "--hint", "colour.png", words=("colours",))
    no(3, *both, "--hint", "planes.npy", words=("2x8x8", "1x8x8"))
    no(2, *both, words=("needs a picture",))
    no(2, "sample", "shapes-1", "--hint", "hint.png", words=("takes no hints",))
    no(2, *both, "--hint", "hint.png", "--hint", "hint.png", "--hint", "hint.png", words=("3 hints",))
    no(2, *both, "--hint", "hint.png", "--hint-from", "photo.png", words=("exclude",))
    no(2, *both, "--hint", "hint.png", "--guide-by", "hint", words=("--class",))
    larger = tmp_path / "larger"
    for path in sorted(pictures.rglob("*.png")):
        (larger / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).resize((12, 12)).save(larger / path.parent.name / path.name)
    with beside(shapes_run, tmp_path / "large", larger, steps=1) as session:
        finish(session)
    no(4, "sample", "shapes-1", "--control", "large", "--hint", "hint.png", words=("12x12", "8x8"))
    no(4, "sample", "other", "--control", "edges-1", "--hint", "hint.png", words=("another model",))
    no(4, "sample", "shapes-1", "--control", "concat", "--hint", "hint.png", words=("whole network",))
    no(4, "sample", "shapes-1", "--control", "shapes-1", "--hint", "hint.png", words=("obeys no hints",))
    no(2, "sample", "exact:ring", "--control", "edges-1", "--hint", "hint.png", words=("exact",))
    no(2, "control", "train", "edges-1", "--condition", "edges", words=("already",))
    no(2, "control", "train", "shapes-1", "--condition", "layout", words=("layout",))
    no(2, "control", "train", "shapes-1", words=("--condition",))
    no(2, "control", "train", "shapes-1", "--condition", "edges", "--mode", "brunch", words=("branch",))
    no(2, "control", "evaluate", "shapes-1", words=("takes no hints",))


def test_info_runs_and_export_treat_it_as_others(cli: Cli, here: Path, control: Path) -> None:
    assert "edges-1" in cli("runs").out
    assert "edges, hints of 1x8x8 (branch)" in cli("info", "edges-1").out
    whole = here / "whole.safetensors"
    assert cli("runs", "export", "edges-1", whole, "--precision", "float32").code == 0
    told = (here / "hint.png",)
    assert torch.equal(drawn(control, hint=told), drawn(whole, hint=told))
    assert torch.equal(
        drawn(control, hint=told), drawn(here / "checkpoints" / "shapes-1", control=(str(whole),), hint=told)
    )
