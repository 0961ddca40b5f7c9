"""`diffcli visualize` and `diffcli noise`: the pictures open, and the numbers beside them are the schedules'."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from PIL import Image

from diffcli.core.randomness import image_noise
from diffcli.data.dataset import to_pixels
from diffcli.data.examples import examples
from diffcli.data.loading import load_dataset
from diffcli.pictures.grid import GAP, best_columns

KEYS = {"figure", "animation", "metrics", "schedule", "levels", "terminal_snr", "prior_kl_bits_per_dim"}


def forward(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("visualize", "forward", *arguments, "--json", "--quiet")
    assert result.code == 0, result.err
    assert result.err == ""
    return result.document


def alpha2_of(schedule: str, t: float) -> float:
    """Closed forms: the paper's product of (1 - beta); Nichol & Dhariwal's eq. 17; the straight line."""
    if schedule == "linear":
        return float(np.prod(1 - np.linspace(1e-4, 0.02, 1000)[: round(1000 * t)]))
    if schedule == "cosine":
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    return (1 - t) ** 2


def open_both(document: dict[str, Any]) -> tuple[Image.Image, int]:
    """The figure, and the number of frames of the animation."""
    with Image.open(document["figure"]) as figure, Image.open(document["animation"]) as animation:
        figure.load()
        assert figure.format == "PNG"
        assert animation.format == "GIF"
        return figure, animation.n_frames


@pytest.mark.parametrize("schedule", ["linear", "cosine", "flow"])
def test_the_levels_are_those_of_the_schedule(cli: Cli, pictures: Path, schedule: str) -> None:
    document = forward(cli, "--schedule", schedule, "--dataset", pictures, "--columns", 11, "--count", 1)
    assert set(document) == KEYS
    assert [level["t"] for level in document["levels"]] == pytest.approx([i / 10 for i in range(11)])
    for level in document["levels"][:-1]:
        alpha2 = alpha2_of(schedule, level["t"])
        sigma2 = level["t"] ** 2 if schedule == "flow" else 1 - alpha2
        assert level["alpha"] == pytest.approx(math.sqrt(alpha2), rel=1e-9)
        assert level["sigma"] == pytest.approx(math.sqrt(sigma2), rel=1e-6, abs=1e-9)
        if sigma2 > 0:
            assert level["log_snr"] == pytest.approx(math.log(alpha2 / sigma2), rel=1e-6, abs=1e-6)
    assert document["levels"][0]["log_snr"] is None  # infinite


@pytest.mark.parametrize("schedule", ["linear", "cosine", "flow"])
def test_the_verdict_is_the_divergence_from_the_prior(cli: Cli, tmp_path: Path, schedule: str) -> None:
    """KL(N(alpha x0, sigma²) || N(0, alpha² + sigma²)) in bits per value, for one image that is known."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    document = forward(cli, "--image", "x.png", "--schedule", schedule)
    end = document["levels"][-1]
    alpha2, sigma2 = end["alpha"] ** 2, end["sigma"] ** 2
    total = alpha2 + sigma2
    x0 = pixels / 127.5 - 1
    nats = (alpha2 * (x0**2).mean() / total + sigma2 / total - 1 - math.log(sigma2 / total)) / 2
    assert document["terminal_snr"] == pytest.approx(alpha2 / sigma2, rel=1e-9)
    assert document["prior_kl_bits_per_dim"] == pytest.approx(nats / math.log(2), rel=1e-4, abs=1e-9)
    if schedule == "linear":
        assert document["terminal_snr"] == pytest.approx(4.04e-5, rel=0.01)  # Lin et al. 2024, table 1: 0.006353²
    if schedule == "flow":
        assert document["terminal_snr"] == document["prior_kl_bits_per_dim"] == 0


def test_words_agree_with_the_numbers(cli: Cli, pictures: Path) -> None:
    said = {
        schedule: cli("visualize", "forward", "--schedule", schedule, "--dataset", pictures, "--count", 1).out
        for schedule in ("linear", "flow")
    }
    assert "exactly noise" in said["flow"]
    assert "exactly" not in said["linear"]


@pytest.mark.rendered
def test_the_figure_has_a_row_per_image_and_a_column_per_level(cli: Cli, pictures: Path) -> None:
    def size(columns: int, count: int) -> tuple[int, int]:
        return open_both(forward(cli, "--dataset", pictures, "--columns", columns, "--count", count))[0].size

    small, wide, tall = size(6, 1), size(9, 1), size(6, 4)
    assert wide[0] > small[0] + 2 * 100
    assert tall[1] > small[1] + 2 * 100


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("columns", [2, 3, 20])
@pytest.mark.rendered
def test_figures_of_any_width_are_laid_out_without_a_warning(cli: Cli, run: Path, pictures: Path, columns: int) -> None:
    open_both(forward(cli, "--dataset", pictures, "--columns", columns, "--count", 1))
    result = cli("visualize", "reverse", "--steps", 30, "--count", 1, "--columns", columns)
    assert result.code == 0, result.err


def frame_of(path: str, number: int, shape: tuple[int, int], count: int) -> np.ndarray:
    """The images in a frame of an animation in [-1, 1], [count, H, W]."""
    with Image.open(path) as animation:
        animation.seek(number)
        sheet = np.asarray(animation.convert("L"))
    columns, (height, width) = best_columns(count), shape
    factor = sheet.shape[1] // (columns * (width + GAP) + GAP)
    small = sheet[factor // 2 :: factor, factor // 2 :: factor] / 127.5 - 1
    places = [
        (GAP + r * (height + GAP), GAP + c * (width + GAP)) for r, c in (divmod(i, columns) for i in range(count))
    ]
    return np.stack([small[top : top + height, left : left + width] for top, left in places])


def test_the_animation_goes_from_the_image_to_its_noise(cli: Cli, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (10, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    document = forward(cli, "--image", "x.png", "--schedule", "flow", "--seed", 3)
    _, frames = open_both(document)
    first = frame_of(document["animation"], 0, (10, 12), 1)[0]
    last = frame_of(document["animation"], frames - 1, (10, 12), 1)[0]
    noise = image_noise(3, "start", [0], (1, 10, 12))[0, 0].clamp(-1, 1).numpy()
    assert np.abs(first - (pixels / 127.5 - 1)).max() < 0.05
    assert np.abs(last - noise).max() < 0.05


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P", "1"])
def test_an_image_of_any_mode_is_shown(cli: Cli, tmp_path: Path, mode: str) -> None:
    Image.effect_noise((30, 20), 80).convert(mode).save(tmp_path / "x.png")
    open_both(forward(cli, "--image", "x.png", "--columns", 4))


def test_a_grey_image_of_16_bits_is_shown_in_grey(cli: Cli, tmp_path: Path) -> None:
    """In colour each channel would get noise of its own."""
    Image.fromarray(np.full((10, 10), 30_000, np.uint16)).save(tmp_path / "x.png")
    document = forward(cli, "--image", "x.png", "--columns", 4)
    with Image.open(document["animation"]) as animation:
        animation.seek(animation.n_frames - 1)
        colours = np.asarray(animation.convert("RGB")).astype(int)
    assert np.array_equal(colours[..., 0], colours[..., 1])


def test_a_large_image_is_made_smaller_in_its_proportions(cli: Cli, tmp_path: Path) -> None:
    Image.new("L", (2000, 500), 77).save(tmp_path / "x.png")
    _, frames = open_both(document := forward(cli, "--image", "x.png", "--columns", 4))
    with Image.open(document["animation"]) as animation:
        ratio = (animation.width - 2 * GAP) / (animation.height - 2 * GAP)
    assert frames > 1
    assert ratio == pytest.approx(4, rel=0.1)


def test_a_class_of_each_comes_first() -> None:
    mnist = load_dataset("mnist")
    shown = examples(mnist, 20, 0)
    assert isinstance(mnist.storage, torch.Tensor)
    labels = []
    for image in to_pixels(shown):
        (place,) = (mnist.storage == image).flatten(1).all(1).nonzero()[0].tolist()
        labels.append(int(mnist.labels[place]))  # type: ignore[index]
    assert sorted(labels[:10]) == sorted(labels[10:]) == list(range(10))


def test_a_set_smaller_than_the_count_is_shown_whole(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for i in range(2):
        Image.effect_noise((8, 8), 80).save(tmp_path / "pics" / f"{i}.png")
    open_both(forward(cli, "--dataset", "pics", "--count", 9, "--columns", 4))


# Reverse


def test_the_walk_ends_where_sample_ends(cli: Cli, run: Path) -> None:
    """The same start, sampler and seed: the last frame shows the images, and their clean estimates beside them."""
    how = ("shapes-1", "--steps", 7, "--count", 3, "--seed", 4, "--class", "all")
    result = cli("visualize", "reverse", *how, "--sampler", "ddim", "--columns", 4, "--json", "--quiet")
    document = result.document
    assert set(document) == {"figure", "animation", "sampler", "steps"}
    assert (document["sampler"], document["steps"]) == ("ddim", 7)
    _, frames = open_both(document)
    assert frames == 7
    assert cli("sample", *how, "--ddim", "--array", "x.npy").code == 0
    images = np.load("x.npy")
    with Image.open(document["animation"]) as animation:
        animation.seek(6)
        sheet = np.asarray(animation.convert("L"))
    factor = sheet.shape[1] // (2 * (8 + GAP) + GAP)
    small = sheet[factor // 2 :: factor, factor // 2 :: factor] / 127.5 - 1
    for i, expected in enumerate(images[:, 0]):
        top = GAP + i * (8 + GAP)
        for left in (GAP, 8 + 2 * GAP):  # on the last step both are the clean image
            assert np.abs(small[top : top + 8, left : left + 8] - expected).max() < 0.06


@pytest.mark.parametrize(
    "arguments", [["--steps", "1"], ["--sampler", "ddpm", "--steps", "5"], ["--steps", "3", "--columns", "20"]]
)
@pytest.mark.rendered
def test_reverse_draws_walks_of_any_length(cli: Cli, run: Path, arguments: list[str]) -> None:
    result = cli("visualize", "reverse", *arguments, "--count", "1", "--json")
    assert result.code == 0, result.err
    open_both(result.document)


def test_reverse_takes_guidance_and_a_class(cli: Cli, run: Path) -> None:
    result = cli(
        "visualize", "reverse", "--class", "cross", "--guidance", "2", "--steps", "2", "--count", "1", "--json"
    )
    assert result.code == 0, result.err


def test_results_name_files_and_next_commands(cli: Cli, run: Path, pictures: Path) -> None:
    for command in (["forward", "--dataset", pictures], ["reverse", "--steps", 2, "--count", 1]):
        out = cli("visualize", *command, "--columns", 4).out
        files = [word for word in out.split() if word.endswith((".png", ".gif"))]
        assert len(files) == 2
        assert all(Path(name).is_file() for name in files)
        assert "next: diffcli " in out


# Noise


def test_noise_shows_eight_digits(cli: Cli) -> None:
    result = cli("noise", "--json", "--quiet", "--out", "mine")
    assert result.code == 0, result.err
    assert set(result.document) == KEYS
    assert sorted(p.name for p in Path("mine").iterdir()) == ["forward.gif", "forward.png", "metrics.json"]
    open_both(result.document)
    last = frame_of(result.document["animation"], 39, (28, 28), 8)
    noise = image_noise(0, "start", range(8), (1, 28, 28))[:, 0].clamp(-1, 1).numpy()
    assert np.abs(last - noise).mean() < 0.05
