"""An image depends on its number and the seed, and on nothing that is drawn with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Cli
from PIL import Image
from torch import Tensor

from diffcli.core.diffusion.job import Job, last
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.sampling import from_images
from diffcli.sampling.options import SamplingOptions
from diffcli.sampling.prepare import prepare

ROUNDING = 2e-3  # of float32 in networks and matrices, which sum in another order for another batch

STOCHASTIC: list[tuple[str, dict[str, Any]]] = [
    ("ddim", {"eta": 1.0}),
    ("ddpm", {"variance": "large"}),
    ("dpmpp-2m", {"eta": 0.5}),
    ("edm", {"churn": 40.0, "churn_noise": 1.01}),
    ("predictor-corrector", {"corrections": 3, "snr": 0.1}),
]
EVERY = [*((name, {}) for name in SAMPLERS), *STOCHASTIC]


def wish(sampler: str, options: dict[str, Any], count: int, **more: Any) -> SamplingOptions:
    return SamplingOptions(sampler=sampler, options=options, steps=4, seed=11, device="cpu", count=count, **more)


def assert_the_same_whatever_is_drawn_with_it(ten: Job, three: Job, rounding: float) -> None:
    whole = ten.drawn(10, 10)
    assert whole.isfinite().all()
    assert (whole[0] - whole[1]).abs().max() > 0.05
    for batch in (2, 7):
        assert (ten.drawn(10, batch) - whole).abs().max() <= rounding
    for batch in (1, 3):
        assert (three.drawn(3, batch) - whole[:3]).abs().max() <= rounding


@pytest.mark.parametrize(("sampler", "options"), EVERY)
def test_images_of_a_trained_model(shapes_run: Path, sampler: str, options: dict[str, Any]) -> None:
    ten, three = (prepare(str(shapes_run), wish(sampler, options, n, label="all")).job for n in (10, 3))
    assert_the_same_whatever_is_drawn_with_it(ten, three, ROUNDING)


@pytest.mark.parametrize(("sampler", "options"), EVERY)
def test_points_are_equal_to_the_bit(sampler: str, options: dict[str, Any]) -> None:
    target = "exact:gaussian,mean=1:-1,std=0.3:0.8"
    ten, three = (prepare(target, wish(sampler, options, n)).job for n in (10, 3))
    assert_the_same_whatever_is_drawn_with_it(ten, three, 0)


@pytest.mark.parametrize(("sampler", "options"), EVERY)
def test_points_beyond_the_first_block_of_noise_are_equal_too(sampler: str, options: dict[str, Any]) -> None:
    """Points share generators by the thousand: the 1022nd to 1027th lie in two blocks."""
    job = prepare("exact:mixture", wish(sampler, options, 2000)).job
    places = range(1022, 1028)
    whole = last(job.walk(range(1030)))[1022:1028]
    single = torch.cat([last(job.walk([place])) for place in places])
    assert (single - whole).abs().max() < 1e-5
    assert len(whole.unique(dim=0)) == 6


@pytest.mark.parametrize(("sampler", "options"), [(s, o) for s, o in EVERY if SAMPLERS[s].separable])
@pytest.mark.parametrize("resample", [1, 2])
def test_painted_images(
    shapes_run: Path, pictures: Path, tmp_path: Path, sampler: str, options: dict[str, Any], resample: int
) -> None:
    where = np.zeros((8, 8), np.uint8)
    where[3:] = 255
    Image.fromarray(where).save(tmp_path / "mask.png")
    jobs = []
    for count in (10, 3):
        plain = prepare(str(shapes_run), wish(sampler, options, count))
        painted = from_images.inpaint(plain, pictures / "circle" / "00.png", tmp_path / "mask.png", resample)
        jobs.append(painted.job)
    assert_the_same_whatever_is_drawn_with_it(*jobs, ROUNDING)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_variations_of_an_image(shapes_run: Path, pictures: Path, sampler: str) -> None:
    picture = pictures / "cross" / "00.png"
    plain = (prepare(str(shapes_run), wish(sampler, {}, n)) for n in (10, 3))
    jobs = [from_images.from_image(prepared, picture, 0.75).job for prepared in plain]
    assert_the_same_whatever_is_drawn_with_it(*jobs, ROUNDING)


def test_fresh_noise_is_new_at_every_draw_and_for_every_image() -> None:
    """RePaint draws several times in a step: none may come twice."""
    seen: list[Tensor] = []

    def listening(denoise: Any, x: Tensor, levels: Any, *, noise: Any, **cond: Any) -> Any:
        return SAMPLERS["ddpm"](denoise, x, levels, noise=lambda i: seen.append(noise(i)) or seen[-1], **cond)

    job = prepare("exact:gaussian,dim=3", wish("ddpm", {}, 4)).job
    last(replace(job, sampler=listening).walk(range(4)))
    rows = torch.cat(seen)
    assert len(rows) == 12
    assert len(rows.unique(dim=0)) == 12


@pytest.mark.parametrize("sampler", [*SAMPLERS])
def test_the_command_says_the_same_for_any_batch(cli: Cli, run: Path, sampler: str) -> None:
    arrays = []
    for number, (count, batch) in enumerate([(10, 7), (3, 1)]):
        how = ("--count", count, "--batch", batch, "--sampler", sampler, "--steps", 4, "--seed", 2)
        assert cli("sample", "shapes-1", *how, "--array", f"{number}.npy", "--quiet").code == 0
        arrays.append(np.load(f"{number}.npy"))
    assert np.abs(arrays[0][:3] - arrays[1]).max() <= ROUNDING


def test_a_job_is_drawn_batch_by_batch_and_tells_how_far_it_is() -> None:
    job = prepare("exact:gaussian,dim=3", wish("ddim", {}, 5)).job
    parts = list(job.draw(5, 2))
    assert [(part.first, part.step) for part in parts] == [(first, step) for first in (0, 2, 4) for step in range(4)]
    assert [part.done for part in parts] == [2, 4, 6, 8, 10, 12, 14, 16, 17, 18, 19, 20]
    assert [len(part.x) for part in parts] == [2] * 8 + [1] * 4
    assert torch.equal(torch.cat([part.x for part in parts if part.step == 3]), job.drawn(5, 2))
