"""Latent diffusion: exact resumes, what travels in a checkpoint, and what every command makes of a model of latents."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, rewrite_about
from PIL import Image
from sessions import go_on, same, train

from diffcli.core.diffusion.latent import drawn_latents
from diffcli.core.models import autoencoder as core_autoencoder
from diffcli.data import loading as datasets
from diffcli.data.latents import encoded
from diffcli.metrics.linear_code import linear_code
from diffcli.metrics.quality import psnr
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.codecs import codec_in, codec_of
from diffcli.runs.listing import checkpoints
from diffcli.runs.loading import load_trained, read
from diffcli.sampling.models import load_model
from diffcli.training import recipes
from diffcli.training.families.codec import scale_of
from diffcli.training.recipes import codec, diffusion

CPU = torch.device("cpu")
TINY = {"network.widths": (8, 16), "steps": 6, "batch": 16, "optimizer.warmup": 2, "dial": ()}


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of vae train --latent, of twenty steps. Read it only."""
    folder = tmp_path_factory.mktemp("codec") / "codec"
    train(codec.RECIPES["kl-tiny"], folder)
    return folder


@pytest.fixture(scope="module")
def latent_run(tmp_path_factory: pytest.TempPathFactory, autoencoder: Path) -> Path:
    """A model of its latents. Read it only."""
    folder = tmp_path_factory.mktemp("latent") / "latent"
    train(of_latents(autoencoder), folder)
    return folder


def of_latents(run: Path, **changes: Any) -> diffusion.Recipe:
    return recipes.override(diffusion.RECIPES["latent"], {**TINY, "latent": str(run), **changes})


def test_three_steps_of_an_autoencoder_and_three_more_are_six_bit_for_bit(tmp_path: Path) -> None:
    recipe = recipes.override(codec.RECIPES["kl-tiny"], {"steps": 6, "checkpoint_every": 3})
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "half", stop_at=3)
    assert same(whole, go_on(tmp_path / "half"))


def test_a_resume_needs_the_autoencoder_no_more_and_is_exact(tmp_path: Path, autoencoder: Path) -> None:
    moved = tmp_path / "codec"
    moved.mkdir()
    for file in autoencoder.iterdir():
        if file.is_file():
            (moved / file.name).write_bytes(file.read_bytes())
    recipe = of_latents(moved, checkpoint_every=3)
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "half", stop_at=3)
    for file in moved.iterdir():
        file.unlink()
    assert same(whole, go_on(tmp_path / "half"))


def test_the_checkpoint_carries_the_codec(autoencoder: Path, latent_run: Path) -> None:
    stored = read(latent_run)
    assert (stored.about["kind"], stored.about["shape"]) == ("latents", [4, 7, 7])
    carried = codec_in(stored, CPU)
    assert carried is not None
    assert carried.items.shape == (1, 28, 28)
    own = load_trained(str(autoencoder), device=CPU, family="codec").model
    x, _ = datasets.load_dataset("mnist", "test").take(range(5))
    mean, std = (carried.codec.get_buffer(name) for name in ("mean", "std"))
    assert torch.allclose(carried.codec.encode(x).mean * std + mean, own.encode(x).mean, atol=1e-5)
    assert carried.digest == stored.about["codec"]["digest"]


def test_training_latents_have_mean_0_and_width_1(latent_run: Path) -> None:
    carried = codec_in(read(latent_run), CPU)
    assert carried is not None
    x, _ = datasets.load_dataset("mnist").take(range(3000))
    posterior = carried.codec.encode(x)
    drawn = posterior.at(torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(drawn.mean((0, 2, 3)), torch.zeros(4), atol=0.05)
    assert torch.allclose(drawn.std((0, 2, 3)), torch.ones(4), atol=0.05)


def test_what_was_encoded_before_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, calls = datasets.load_dataset("mnist", "test").only(torch.arange(300)), list[int]()

    def encode(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return torch.cat([x[..., ::4, ::4], 0 * x[..., ::4, ::4] + 0.5], 1)

    first, second = (encoded(dataset, encode, "an encoder") for _ in range(2))
    assert sum(calls) == 300
    pairs, conditions = second.take([0, 7])
    assert torch.equal(pairs, first.take([0, 7])[0])
    assert torch.equal(conditions["label"], dataset.take([0, 7])[1]["label"])
    assert second.shape == (1, 7, 7)
    assert torch.allclose(
        drawn_latents(pairs, torch.zeros(2, 1, 7, 7)), dataset.take([0, 7])[0][..., ::4, ::4], atol=1e-3
    )
    encoded(dataset, encode, "another")
    assert sum(calls) == 600


def test_an_item_and_its_decoding_do_not_depend_on_the_batch(latent_run: Path) -> None:
    model = load_model(str(latent_run), device=CPU)
    z = torch.randn(5, 4, 7, 7, generator=torch.Generator().manual_seed(1))
    whole, single = model.finished(z), torch.cat([model.finished(one[None]) for one in z])
    assert (whole - single).abs().max() < 0.02  # bf16 adds in another order, where the processor has it
    assert torch.equal(whole, model.finished(z))
    assert whole.abs().max() <= 1


def test_large_images_come_back_from_tiles_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = core_autoencoder.LatentAutoencoder((1, 42, 60), channels=3, widths=(4, 8), blocks=1)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    x = 2 * torch.rand(2, 1, 42, 60) - 1
    with torch.no_grad():
        law = model.encode(x)
        back, seen = model.decode(law.mean), list[tuple[int, ...]]()
        model.decoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
        monkeypatch.setattr(core_autoencoder, "TILE", 16)
        for one, other in zip((*law, back), (*model.encode(x), model.decode(law.mean)), strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
    assert len(seen) == 3 * 4
    assert max(max(sides) for sides in seen) <= 4 + 2 * model.reach < 15


def test_what_is_not_finite_stays_so(latent_run: Path) -> None:
    z = torch.zeros(2, 4, 7, 7)
    z[1, 0, 0, 0] = torch.nan
    found = load_model(str(latent_run), device=CPU).finished(z)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_the_linear_code_of_digits_is_the_known_floor() -> None:
    train_set, test_set = (datasets.load_dataset("mnist", split) for split in ("train", "test"))
    x, _ = test_set.take(range(2000))
    for numbers, wanted in ((49, 20.3), (196, 28.0)):  # of all test images
        code = linear_code(train_set, torch.arange(20_000), numbers)
        assert psnr(code.restored(x).clamp(-1, 1), x).mean().item() == pytest.approx(wanted, abs=0.4)


@pytest.fixture
def here(cli: Cli, latent_run: Path, tmp_path: Path) -> Path:
    """The run as checkpoints/latent of the folder that commands are called in, and an image and a mask."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latent").symlink_to(latent_run)
    pixels, _ = datasets.load_dataset("mnist", "test").take([0])
    Image.fromarray(((pixels[0, 0].numpy() + 1) * 127.5).round().astype(np.uint8)).save(tmp_path / "digit.png")
    half = np.zeros((28, 28), np.uint8)
    half[:, :14] = 255
    Image.fromarray(half).save(tmp_path / "mask.png")
    return tmp_path


def test_samples_are_images_and_the_array_has_the_latents_too(cli: Cli, here: Path) -> None:
    found = cli("sample", "latent", "--ddim", "--steps", 3, "--count", 4, "--array", "x.npy", "--json")
    assert found.code == 0, found.err
    images, latents = np.load("x.npy"), np.load("x.latents.npy")
    assert (images.shape, latents.shape) == ((4, 1, 28, 28), (4, 4, 7, 7))
    model = load_model("latent", device=CPU)
    again = model.finished(torch.from_numpy(latents))
    assert (again - torch.from_numpy(images)).abs().max() < 0.02


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp-2m", "heun"])
def test_every_kind_of_walk_goes_over_latents(cli: Cli, here: Path, sampler: str) -> None:
    assert cli("sample", "latent", "--sampler", sampler, "--steps", 3, "--count", 2, "--class", "all").code == 0


def test_a_walk_from_an_image_begins_at_its_latents(cli: Cli, here: Path) -> None:
    arguments = ("--ddim", "--steps", 50, "--count", 2, "--from", "digit.png", "--strength", 0.04)
    assert cli("sample", "latent", *arguments, "--array", "x.npy").code == 0
    model = load_model("latent", device=CPU)
    x, _ = datasets.load_dataset("mnist", "test").take([0])
    near = model.finished(model.encoded(x))
    found = torch.from_numpy(np.load("x.npy"))
    assert (found - near).square().mean() < (found - near.flip(-1)).square().mean() / 2


def test_what_is_known_of_a_painted_image_stays_as_it_is(cli: Cli, here: Path) -> None:
    arguments = ("--inpaint", "digit.png", "--mask", "mask.png", "--array", "x.npy")
    assert cli("sample", "latent", "--ddim", "--steps", 3, "--count", 2, *arguments).code == 0
    found = torch.from_numpy(np.load("x.npy"))
    x, _ = datasets.load_dataset("mnist", "test").take([0])
    assert torch.allclose(found[..., 14:], x[..., 14:].expand(2, 1, 28, 14), atol=1e-6)
    assert not torch.allclose(found[..., :14], x[..., :14].expand(2, 1, 28, 14), atol=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "latent", "--invert", "digit.png", "--steps", 3),
        ("info", "latent"),
        ("runs",),
        ("visualize", "reverse", "latent", "--steps", 3, "--count", 2),
        ("grid", "latent", "--steps", "2,3", "--teacher", 6, "--count", 4),
        ("evaluate", "latent", "--steps", 2, "--count", 60, "--features", "pixels", "--shrink"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:3])),
)
def test_commands_take_a_model_of_latents(cli: Cli, here: Path, arguments: tuple[Any, ...]) -> None:
    found = cli(*arguments)
    assert found.code == 0, found.err


def test_a_linear_start_is_of_pixels(cli: Cli, here: Path) -> None:
    assert_refused(cli("sample", "latent", "--start", "linear", "--steps", 2), 2, "this one has latents")


@pytest.mark.parametrize("command", ["vlb", "likelihood"])
def test_there_are_no_bits_per_pixel_in_latents(cli: Cli, here: Path, command: str) -> None:
    assert_refused(cli(command, "latent"), 2, "models latents", "many images share one latent")


def test_an_autoencoder_is_judged_beside_the_linear_code(cli: Cli, autoencoder: Path) -> None:
    found = cli("vae", "evaluate", autoencoder, "--count", 200, "--json")
    assert found.code == 0, found.err
    document = found.document
    assert {"psnr", "psnr_linear", "ssim", "frechet", "latent_std", "numbers"} <= document.keys()
    assert document["numbers"] == 196
    assert document["psnr_linear"] == pytest.approx(28, abs=0.7)
    assert document["frechet_linear"] < document["frechet"]  # twenty steps are few
    assert_refused(cli("vae", "evaluate", autoencoder, "--samples", 9), 2, "--samples changes nothing")


def test_images_come_back_with_their_quality(cli: Cli, autoencoder: Path, here: Path) -> None:
    found = cli("vae", "reconstruct", autoencoder, "--count", 3, "--json")
    assert found.code == 0, found.err
    assert [set(row) for row in found.document["images"]] == [{"psnr", "ssim"}] * 3
    single = cli("vae", "reconstruct", autoencoder, "--image", "digit.png", "--json").document["images"]
    assert single == [pytest.approx(found.document["images"][0], rel=1e-3)]
    assert_refused(cli("vae", "sample", autoencoder), 4, "holds a latent autoencoder")


def test_bare_latent_is_the_recipe(cli: Cli) -> None:
    found = cli("vae", "train", "--latent", "--dry-run", "--json", "--set", "widths=8,8", "--steps", 3)
    assert found.code == 0, found.err
    assert found.document["recipe"]["network"]["channels"] == 4
    assert (
        cli("vae", "train", "--latent", 3, "--dry-run", "--recipe", "tiny", "--json").document["recipe"]["latent"] == 3
    )
    named = cli("vae", "train", "--latent", "--recipe", "kl-f2", "--set", "channels=2", "--dry-run", "--json")
    assert named.document["recipe"]["network"]["widths"] == [64]


def refused(cli: Cli, arguments: tuple[Any, ...], code: int, *words: str) -> None:
    assert_refused(cli(*arguments), code, *words)


def test_an_autoencoder_of_other_images_is_refused(cli: Cli, autoencoder: Path, pictures: Path) -> None:
    command = ("train", "--latent", autoencoder, "--steps", 2)
    refused(cli, (*command, "--dataset", pictures), 3, "is for images of 1x28x28", "vae train --latent --dataset")
    refused(cli, (*command, "--dataset", "moons"), 3, "1x28x28")
    refused(cli, (*command, "--set", "augment=flip"), 2, "latents, not images")
    refused(cli, (*command, "--set", "prior=pixels"), 2, "not of latents")
    refused(cli, ("train", "--latent", "nothing-here", "--steps", 2), 4, "nothing-here")


def test_other_data_of_the_same_shape_are_told_by_their_latents(cli: Cli, autoencoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(noise.integers(0, 256, (28, 28)).astype(np.uint8)).save(folder / f"{i}.png")
    command = ("train", "--latent", autoencoder, "--steps", 2, "--dataset", folder)
    refused(cli, command, 3, "times the spread", "train one on them")


def test_a_run_without_its_autoencoder_says_so(cli: Cli, latent_run: Path, tmp_path: Path) -> None:
    newest = checkpoints(latent_run)[0]
    (tmp_path / "alone.safetensors").write_bytes(newest.read_bytes())
    about = {k: v for k, v in read_checkpoint(newest)[1].items() if k != "codec"}
    rewrite_about(tmp_path / "alone.safetensors", **about, codec=None)
    refused(cli, ("sample", "alone.safetensors", "--ddim", "--steps", 2), 4, "lacks the autoencoder")


def test_latents_that_are_no_smaller_are_refused(cli: Cli) -> None:
    command = ("vae", "train", "--recipe", "kl-f2", "--set", "channels=4", "--steps", 2)
    refused(cli, command, 2, "no fewer than the 784 of an image")


def test_an_export_carries_the_codec(cli: Cli, here: Path) -> None:
    assert cli("runs", "export", "latent", "small.safetensors").code == 0
    found = cli("sample", "small.safetensors", "--ddim", "--steps", 2, "--count", 2, "--array", "x.npy")
    assert found.code == 0, found.err
    assert np.load("x.npy").shape == (2, 1, 28, 28)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny AutoencoderKL of diffusers in a folder, random, with a scaling_factor that suits digits. Read it only."""
    from diffusers import AutoencoderKL

    folder = tmp_path_factory.mktemp("foreign") / "autoencoder"
    torch.manual_seed(3)
    config: dict[str, Any] = {
        "in_channels": 1, "out_channels": 1, "latent_channels": 2, "block_out_channels": (8, 16), "norm_num_groups": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "sample_size": 28,
    }  # fmt: skip
    model = AutoencoderKL(**config)
    x, _ = datasets.load_dataset("mnist").take(range(500))
    with torch.no_grad():
        std = model.encode(x).latent_dist.sample().std().item()
    model.register_to_config(scaling_factor=1 / std)
    model.save_pretrained(folder)
    return folder


def test_an_autoencoder_of_diffusers_encodes_and_decodes_as_there(foreign: Path) -> None:
    from diffusers import AutoencoderKL

    theirs = AutoencoderKL.from_pretrained(foreign).eval()
    dataset = datasets.load_dataset("mnist")
    ours = codec_of(str(foreign), dataset, CPU).codec
    x, _ = dataset.take(range(20))
    with torch.no_grad():
        found = theirs.encode(x).latent_dist
        z = found.mean * theirs.config.scaling_factor
        assert (ours.encode(x).mean - z).abs().max() < 1e-5
        assert (ours.encode(x).std - found.std * theirs.config.scaling_factor).abs().max() < 1e-5
        back = theirs.decode(z / theirs.config.scaling_factor).sample.clamp(-1, 1)
        assert (ours.decode(z) - back).abs().max() < 1e-5


def test_a_model_of_its_latents_is_trained_and_drawn(cli: Cli, foreign: Path) -> None:
    command = ("train", "--latent", foreign, "--dataset", "mnist", "--steps", 3, "--set", "widths=8,16")
    found = cli(*command, "--batch", 16, "--set", "warmup=2", "--out", "run")
    assert found.code == 0, found.err
    assert "latents of 2x14x14 numbers" in found.err
    assert cli("sample", "run", "--ddim", "--steps", 2, "--count", 2).code == 0


def test_a_foreign_autoencoder_that_does_not_suit_is_refused(cli: Cli, foreign: Path, tmp_path: Path) -> None:
    command = ("train", "--steps", 2, "--latent")
    refused(cli, (*command, foreign, "--dataset", "moons"), 3, "is for images of 1 channels")
    other = tmp_path / "other"
    other.mkdir()
    for file in foreign.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"scaling_factor": config["scaling_factor"] * 2}))
    refused(cli, (*command, other), 3, "standard deviation of 2.0", "in its config.json would suit these data")
    (other / "config.json").write_text(json.dumps(config | {"_class_name": "UNet2DModel"}))
    refused(cli, (*command, other), 4, "UNet2DModel, not an AutoencoderKL")
    (other / "config.json").write_text(json.dumps(config))
    (other / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
    refused(cli, (*command, other), 4, "holds no whole AutoencoderKL")


def test_a_run_that_was_stopped_knows_the_size_of_its_latents(cli: Cli, tmp_path: Path) -> None:
    recipe = recipes.override(codec.RECIPES["kl-tiny"], {"steps": 200, "checkpoint_every": 50})
    path = train(recipe, tmp_path / "stopped", stop_at=60)  # no preview was made there
    about = read_checkpoint(path)[1]
    trained = load_trained(str(path), device=CPU, family="codec")
    places, _ = datasets.load_dataset("mnist").holdout()
    x, _ = datasets.load_dataset("mnist").take(places[:1000])
    assert about["latents"]["std"] == pytest.approx(scale_of(trained.model, x)["std"], rel=1e-3)
    assert cli("train", "--latent", tmp_path / "stopped", "--steps", 2, "--set", "widths=8,16").code == 0
