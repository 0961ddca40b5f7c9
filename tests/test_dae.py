"""Corruptions, the denoisers that undo them, and what judges these."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sessions import go_on, same, train
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffcli.core.processes.corruption import CORRUPTIONS, Replacing, best_affine, draw_amounts, moments, recollection
from diffcli.core.randomness import keyed
from diffcli.errors import CheckpointProblem, UsageProblem
from diffcli.evaluation.denoisers import median_filter
from diffcli.metrics.fields import compare
from diffcli.metrics.quality import psnr, ssim
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.loading import load_trained
from diffcli.training import recipes
from diffcli.training.recipes.dae import RECIPES, DaeRecipe

CPU = torch.device("cpu")


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Images [3, 3, 20, 17], smooth and noisy."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(3, 3, 20, 1, generator=generator) * torch.linspace(-1, 1, 17)
    return smooth, (smooth + 0.3 * torch.randn(smooth.shape, generator=generator)).clamp(-1, 1)


def test_psnr_and_ssim_are_those_of_scikit_image(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 2.0}
    x, y = (images.double() for images in pair)
    found, quality = ssim(y, x), psnr(y, x)
    for i in range(3):
        truth, image = x[i].numpy(), y[i].numpy()
        assert found[i].item() == pytest.approx(
            structural_similarity(truth, image, channel_axis=0, **options), rel=1e-9
        )
        assert quality[i].item() == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=2.0), rel=1e-9)


def test_ssim_is_symmetric_and_at_most_1(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = pair
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    assert (ssim(x, y) < 1).all()


@pytest.mark.parametrize("side", [2, 3, 8, 10])
def test_ssim_of_images_below_its_window_is_finite(side: int) -> None:
    x = torch.rand(2, 1, side, side)
    assert ssim(x, 1 - x).isfinite().all()
    torch.testing.assert_close(ssim(x, x), torch.ones(2, dtype=torch.float64))


def test_psnr_of_equal_images_is_infinite() -> None:
    assert psnr(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item() == float("inf")


def test_the_median_filter_is_that_of_scipy(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    wanted = [[ndimage.median_filter(c.numpy(), size=3, mode="nearest") for c in image] for image in pair[1]]
    np.testing.assert_array_equal(median_filter(pair[1]).numpy(), np.array(wanted))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("amount", [0.15, 0.6])
def test_no_affine_map_fitted_to_many_draws_beats_the_best(name: str, amount: float) -> None:
    """Least squares on 200,000 corrupted draws of correlated images comes to the same map and the same error."""
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(200_000, 3, generator=generator, dtype=torch.float64) * 2 - 1
    x = (base @ torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.6, -0.5], [0.2, 0.0, 0.7]], dtype=torch.float64)).clamp(-1, 1)
    kind = CORRUPTIONS[name]
    y = kind.apply(x, torch.full((len(x),), amount, dtype=torch.float64), generator)
    found = best_affine(kind, *moments(x), amount)
    design = torch.cat([y, torch.ones(len(y), 1, dtype=torch.float64)], dim=1)
    fitted = design @ torch.linalg.lstsq(design, x).solution
    least, ours = ((estimate - x).square().mean().item() for estimate in (fitted, found(y)))
    assert ours == pytest.approx(least, rel=2e-4)
    assert found.error == pytest.approx(ours, rel=0.01)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_values_that_never_vary_are_known(name: str) -> None:
    images = torch.rand(50, 1, 2, 2) * 2 - 1
    images[..., 0] = -1
    found = best_affine(CORRUPTIONS[name], *moments(images), 0.5)
    estimate = found(CORRUPTIONS[name].apply(images, torch.full((50,), 0.5), keyed(0, "x")))
    torch.testing.assert_close(estimate[..., 0], images[..., 0], atol=1e-5, rtol=0)


@given(amount=st.floats(0.01, 0.99), share=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=25, deadline=None)
def test_what_is_not_lost_stays_bit_for_bit(amount: float, share: float) -> None:
    x = torch.rand(4, 1, 5, 5) * 1.8 - 0.9
    y = Replacing(share).apply(x, torch.full((4,), amount), keyed(1, "y"))
    assert ((y == x) | (y.abs() == 1)).all()


def test_of_images_unlike_each_other_the_right_one_is_remembered() -> None:
    images = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(2)) * 2 - 1
    for salt in (0.0, 0.5):
        y = Replacing(salt).apply(images, torch.full((30,), 0.4), keyed(0, "y"))
        torch.testing.assert_close(recollection(Replacing(salt), images, y, 0.4, 0.1), images, atol=1e-3, rtol=0)


@pytest.mark.parametrize("low", [0.0, 0.2])
def test_amounts_stay_in_their_range(low: float) -> None:
    for kind in CORRUPTIONS.values():
        drawn = torch.cat([draw_amounts(kind, 64, keyed(0, "a", i), low, 0.9) for i in range(20)])
        assert (low or kind.low) <= drawn.min() <= drawn.max() <= 0.9


def test_fields_that_are_equal_agree() -> None:
    field = torch.randn(10, 2)
    found = compare(field, field)
    assert (found.relative_error, found.relative_error_se) == (0, 0)
    assert found.correlation == pytest.approx(1)


# Training


def tiny(pictures: Path, **changes: Any) -> DaeRecipe:
    return recipes.override(RECIPES["tiny"], {"dataset": str(pictures), **changes})


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_six_steps_and_six_more_are_twelve_bit_for_bit(tmp_path: Path, pictures: Path, corruption: str) -> None:
    recipe = tiny(pictures, steps=12, corruption=corruption, batch=7)
    whole = train(recipe, tmp_path / "whole")
    half = train(recipe, tmp_path / "half", stop_at=6)
    assert read_checkpoint(half)[1]["step"] == 6
    assert same(whole, go_on(tmp_path / "half"))


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, pictures: Path) -> None:
    newest = train(tiny(pictures, steps=8, checkpoint_every=4), tmp_path / "run")
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    trained = load_trained(str(tmp_path / "run"), device=CPU, family="dae")
    assert trained.path.name == "step-000000004.safetensors"
    assert "damaged" in trained.stored.notes[0]
    with pytest.raises(CheckpointProblem, match="denoising autoencoder"):
        load_trained(str(tmp_path / "run"), device=CPU)


@pytest.mark.parametrize(("corruption", "enough"), [("gaussian", 120), ("masking", 60), ("salt-and-pepper", 60)])
def test_training_lowers_the_loss(tmp_path: Path, pictures: Path, corruption: str, enough: int) -> None:
    losses = []
    for steps in (1, enough):
        recipe = tiny(pictures, steps=steps, corruption=corruption)
        about = read_checkpoint(train(recipe, tmp_path / str(steps)))[1]
        losses.append(about["validation_loss"])
    assert losses[1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"corruption": "gausian"}, "unknown corruption"),
        ({"low": 0.5, "high": 0.5}, "no range"),
        ({"corruption": "masking", "high": 1.5}, "no range"),
        ({"low": 3.0}, "no range"),
        ({"attention": (2,)}, "resolution"),
        ({"dataset": "moons"}, "points"),
    ],
)
def test_recipes_that_cannot_be_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        recipes.override(RECIPES["default"], changes).check_core()


def test_keys_give_the_same_corruption_again_and_others_another() -> None:
    x = torch.zeros(2, 1, 8, 8)
    for kind in CORRUPTIONS.values():
        a, b, c = (kind.apply(x, torch.full((2,), 0.5), keyed(seed, "y")) for seed in (0, 0, 1))
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
