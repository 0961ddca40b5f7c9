"""An image of any size by tiles: what the whole gives, within the memory that is stated."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli, assert_refused, refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_cli_dae import train_dae
from torch import Tensor, nn

from diffcli.core.models.unet import Stage, UNet
from diffcli.core.processes.corruption import noise_level
from diffcli.evaluation.tiling import Tiling, by_tiles, cut
from diffcli.lessons.autoencoders import dae_image_file, dae_tiles
from diffcli.metrics.quality import QualityByStrips, psnr, ssim
from diffcli.pictures.deep import save_pixels
from diffcli.system.memory import most_in_use, taken_by

PIXEL = 2 / 255  # one step of 8 bits, in units of [-1, 1]


def whole(*args: Any, **options: Any) -> Tensor:
    return torch.cat([strip.rows.clone() for strip in by_tiles(*args, **options)], dim=-2)


# Tiles


@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(4, 9), st.integers(4, 9), st.integers(1, 3), st.integers(1, 5)
)
@settings(max_examples=60, deadline=None)
def test_an_image_of_any_size_comes_back_from_its_tiles(
    height: int, width: int, rows: int, columns: int, overlap: int, at_once: int
) -> None:
    image = torch.rand(2, 3, height, width)
    tiling = Tiling.of((height, width), (rows, columns), overlap=overlap)
    *_, last = by_tiles(lambda part: part, image, tiling, at_once=at_once)
    assert last.done == len(tiling)
    torch.testing.assert_close(whole(lambda part: part, image, tiling, at_once=at_once), image)


@given(st.integers(1, 300), st.integers(2, 6), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_tiles_lie_as_they_should(size: int, length: int, overlap: int, margin: int, step: int) -> None:
    length, overlap = length * step * 4, overlap + 2 * margin
    try:
        found = cut(size, length, overlap=overlap, margin=margin, step=step)
    except ValueError:
        assert overlap >= length
        return
    assert found.starts[0] == 0
    assert size <= found.starts[-1] + length < size + step or len(found.starts) == 1
    assert all(start % step == 0 for start in found.starts)
    assert all(b - a <= length - overlap or b - a == step for a, b in zip(found.starts, found.starts[1:], strict=False))
    total = torch.zeros(found.starts[-1] + length)
    for i, (start, share) in enumerate(zip(found.starts, found.shares, strict=True)):
        total[start : start + length] += share
        assert i == 0 or (share[:margin] == 0).all()
        assert i == len(found.starts) - 1 or (share[length - margin :] == 0).all()
    torch.testing.assert_close(total, torch.ones_like(total))


def test_tiles_leave_no_seam() -> None:
    """A denoiser that is off by more at its border than within leaves no jump between neighbours."""
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    found = whole(lambda part: part + ramp, torch.zeros(1, 1, 64, 64), Tiling.of((64, 64), (16, 16), overlap=8))
    assert found[..., 16:-16].diff(dim=-1).abs().max() < 0.25, (
        "of 1, from the right end of a tile to the left of the next"
    )


@pytest.mark.parametrize(("widths", "reach", "side"), [((4,), 24, 96), ((4, 8), 60, 192)])
def test_a_network_of_convolutions_gives_the_whole_image(widths: tuple[int, ...], reach: int, side: int) -> None:
    """The U-Net without attention sees so many pixels around: with such margins tiles are the whole, up to rounding."""
    torch.manual_seed(0)
    network = UNet(1, widths=widths, blocks=1).eval()
    for module in network.modules():
        if isinstance(module, Stage):
            module.attention = nn.Identity()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.15)  # so that nothing is 0 and everything has its influence
    step, size = network.multiple, (210, 2 * side - 90)

    @torch.no_grad()
    def denoise(y: Tensor) -> Tensor:
        return network(y, torch.zeros(len(y)))

    image = torch.randn(1, 1, *size)
    wanted = denoise(image)
    exact = Tiling.of(size, (side, side), overlap=2 * reach + 16, margin=reach + step, step=step)
    assert len(exact) > 2
    near = (whole(denoise, image, exact) - wanted).abs().max() / wanted.std()
    off = Tiling.of(size, (side, side), overlap=16, step=step)
    assert near < 1e-4
    assert (whole(denoise, image, off) - wanted).abs().max() / wanted.std() > 10 * near, "or the test sees nothing"


def test_the_memory_of_work_is_that_of_its_tensors() -> None:
    def work() -> Tensor:
        a = torch.zeros(1000)  # 4000 bytes, and as many again
        b = a + 1
        del a
        c = b.view(10, 100)  # none
        return (c * 2).sum()  # 4000 more, while b is alive

    assert 8000 <= taken_by(work) <= 8016
    weight = torch.zeros(1000, 1000)
    assert taken_by(lambda: weight.t()[:1]) == 0
    assert (most_in_use(torch.device("cpu")) or 0) > 1e8


# Quality


@given(st.integers(1, 3), st.integers(2, 40), st.integers(2, 14), st.data())
@settings(max_examples=40, deadline=None)
def test_quality_by_strips_is_that_of_the_whole(channels: int, height: int, width: int, data: st.DataObject) -> None:
    truth, image = torch.rand(2, channels, height, width) * 2 - 1
    quality, top = QualityByStrips(height), 0
    while top < height:
        below = data.draw(st.integers(top + 1, height))
        quality.add(image[:, top:below], truth[:, top:below])
        top = below
    assert quality.psnr == pytest.approx(psnr(image[None], truth[None]).item())
    assert quality.ssim == pytest.approx(ssim(image[None], truth[None]).item())


# The command


@pytest.fixture(scope="session")
def grey_run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A denoiser of 8x8 pixels, grey. Read it only."""
    return train_dae(tmp_path_factory.mktemp("dae") / "run", pictures)


@pytest.fixture(scope="session")
def deep_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of images of 16 bits. Read it only."""
    folder = tmp_path_factory.mktemp("deep")
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 65536, (8, 8)).astype(np.uint16)
        save_pixels(folder / f"{i}.png", pixels)
    return train_dae(tmp_path_factory.mktemp("dae") / "run", folder)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colour image of 300x200, smooth with noise on it."""
    return painted(tmp_path / "photo.png", 300, 200)


def painted(path: Path, width: int, height: int, sigma: float = 0.2) -> Path:
    y, x = np.mgrid[:height, :width] / 40
    clean = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1) * 0.5
    noisy = clean + np.random.default_rng(0).normal(0, sigma, clean.shape).astype(np.float32)
    Image.fromarray(((noisy.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)).save(path)
    return path


def denoised(cli: Cli, *arguments: object) -> tuple[dict[str, Any], np.ndarray]:
    result = cli("dae", "denoise", *arguments, "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["figures"][0]) as image:
        return result.document, np.asarray(image, dtype=int)


def test_tiles_give_nearly_what_the_whole_gives(
    cli: Cli, grey_run: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, tiled = denoised(cli, grey_run, photo)
    monkeypatch.setattr(dae_tiles, "TILE", 400)
    alone, once = denoised(cli, grey_run, photo)
    assert (document["tiles"], alone["tiles"]) == (24, 1)
    assert document["size"] == [300, 200]
    assert document["amount"] == alone["amount"] == pytest.approx(0.2, rel=0.03)
    assert np.abs(tiled - once).max() <= 2
    assert np.abs(tiled - once).mean() < 0.1


def test_the_result_does_not_depend_on_the_memory(cli: Cli, grey_run: Path, photo: Path) -> None:
    much, found = denoised(cli, grey_run, photo)
    little, again = denoised(cli, grey_run, photo, "--memory", much["memory_bytes"] // 10**6)
    assert little["memory_bytes"] < much["memory_bytes"]
    assert np.abs(found - again).max() <= 1


def test_tiles_are_told_with_what_they_take(cli: Cli, grey_run: Path, photo: Path) -> None:
    result = cli("dae", "denoise", grey_run, photo)
    assert "300x200 in 24 tiles of 64x64" in result.err
    assert "MB of memory" in result.err
    small = cli("dae", "denoise", grey_run, painted(photo.with_name("small.png"), 60, 50))
    assert small.code == 0
    assert "tiles" not in small.err


def test_an_image_of_one_tile_is_what_the_network_makes_of_it(cli: Cli, grey_run: Path, photo: Path) -> None:
    from diffcli.data.images import read_image
    from diffcli.evaluation.denoisers import by_network
    from diffcli.runs.loading import load_trained

    path = painted(photo.with_name("small.png"), 61, 34)
    document, found = denoised(cli, grey_run, path, "--amount", 0.2)
    model = load_trained(str(grey_run), device=torch.device("cpu"), family="dae").model
    image = read_image(path, (3, 34, 61)).float() / 127.5 - 1
    wanted = by_network(model, image.unsqueeze(1), 0.2).squeeze(1).permute(1, 2, 0).clamp(-1, 1)
    assert np.abs(found / 127.5 - 1 - wanted.numpy()).max() <= PIXEL * 0.6


def test_a_model_of_16_bits_reads_and_writes_16(cli: Cli, deep_run: Path, grey_run: Path, tmp_path: Path) -> None:
    y, x = np.mgrid[:70, :90]
    pixels = (20_000 + 100 * x + 10 * y).astype(np.uint16)  # finer than 8 bits
    save_pixels(tmp_path / "deep.tif", pixels)
    result = cli("dae", "denoise", deep_run, "deep.tif", "--amount", 0.05, "--json", "--quiet")
    assert result.code == 0, result.err
    with Image.open(result.document["figures"][0]) as image:
        assert (image.mode, image.size) == ("I;16", (90, 70))
        assert len(np.unique(np.asarray(image))) > 1000
    eight, _ = denoised(cli, grey_run, "deep.tif", "--amount", 0.05)
    with Image.open(eight["figures"][0]) as image:
        assert image.mode == "L"


def test_what_came_back_of_a_corrupted_image_is_judged_whole(
    cli: Cli, grey_run: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers of strips are those of the image; and bands that are corrupted one by one have noise of their own."""
    monkeypatch.setattr(dae_image_file, "ROWS", 300 * 70)
    document, found = denoised(cli, grey_run, photo, "--corrupt", "--amount", 0.3)
    clean = torch.from_numpy(np.asarray(Image.open(photo)).copy().transpose(2, 0, 1)[None]) / 127.5 - 1
    estimate = torch.from_numpy(found.transpose(2, 0, 1)[None]) / 127.5 - 1
    assert document["psnr"] == pytest.approx(psnr(estimate, clean).item(), abs=0.01)
    assert document["ssim"] == pytest.approx(ssim(estimate, clean).item(), abs=0.002)
    assert document["psnr_before"] == pytest.approx(20 * np.log10(2 / 0.3), abs=0.05)


def test_sigma_of_a_large_image_is_read_from_bands_of_it() -> None:
    image = 0.3 * torch.randn(3, 1500, 700, generator=torch.Generator().manual_seed(0))
    some = dae_image_file._sampled(image)
    assert some.numel() <= 3 * dae_image_file.SAMPLED
    assert noise_level(some) == pytest.approx(0.3, rel=0.01)
    assert torch.equal(dae_image_file._sampled(image[:, :100])[0], image[:, :100])


def test_ctrl_c_between_tiles_leaves_nothing(
    cli: Cli, grey_run: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = dae_image_file.denoised_strips

    def interrupted(*args: Any) -> Iterator[Any]:
        for strip in strips(*args):
            yield strip
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(dae_image_file, "denoised_strips", interrupted)
    result = cli("dae", "denoise", grey_run, photo, "--out", "mine")
    assert result.code == 130
    assert not (tmp_path / "mine").exists()


# Errors


def test_a_memory_that_is_too_little_is_refused_with_one_that_is_not(
    cli: Cli, tmp_path: Path, grey_run: Path, photo: Path
) -> None:
    refuses(cli, tmp_path, 2, "dae", "denoise", grey_run, photo, "--memory", 0, words=("--memory",))
    result = cli("dae", "denoise", grey_run, photo, "--memory", 22, "--quiet")
    assert_refused(result, 2, "--memory 22", "the image takes", "a tile")
    enough = result.err.split("--memory ")[-1].split()[0]
    assert cli("dae", "denoise", grey_run, photo, "--memory", enough, "--quiet").code == 0
    Image.new("L", (3000, 2000)).save(tmp_path / "large.png")
    refuses(
        cli, tmp_path, 2, "dae", "denoise", grey_run, "large.png", "--memory", 20, words=("56.0 MB", "--memory 256")
    )


# Large ones

MEASURED = """
import sys
from diffcli.cli import main
assert main(sys.argv[1:]) == 0
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read where Linux tells it")
@pytest.mark.parametrize(("mode", "corrupt"), [("RGB", False), ("L", False), ("L", True), ("I;16", False)])
def test_a_photograph_of_six_megapixels_takes_the_memory_that_is_stated(
    tmp_path: Path, grey_run: Path, deep_run: Path, mode: str, corrupt: bool
) -> None:
    """Beside what the command takes of a small image."""
    found = []
    run, more = deep_run if mode == "I;16" else grey_run, ("--corrupt",) if corrupt else ()
    for width, height in ((300, 200), (3000, 2000)):
        path = painted(tmp_path / f"{width}.png", width, height)
        with Image.open(path) as image:
            converted = image.convert("L" if mode == "I;16" else mode)
        pixels = np.asarray(converted)
        save_pixels(path, pixels.astype(np.uint16) * 257 if mode == "I;16" else pixels)
        how = ("dae", "denoise", run, path, "--out", tmp_path / f"out-{width}", "--json", "--quiet", *more)
        command = [sys.executable, "-c", MEASURED, *map(str, how)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found.append((json.loads(lines[0]), 1024 * int(lines[-1])))
        with Image.open(tmp_path / f"out-{width}" / "denoised.png") as image:
            assert (image.mode, image.size) == (mode, (width, height))
    (_, base), (large, peak) = found
    assert large["tiles"] == 63 * 42
    assert large["memory_bytes"] < 400e6
    assert peak - base < large["memory_bytes"], f"{peak / 1e6:.0f} MB and {base / 1e6:.0f} MB for the small one"
