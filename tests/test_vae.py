"""Variational autoencoders: exact resumes, the same bits for the same image, and the limit of linear maps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sessions import go_on, same, train

from diffcli.core.processes import variational
from diffcli.core.processes.laws import ppca
from diffcli.data import loading as datasets
from diffcli.data.bits import BinarisedStorage, binarised
from diffcli.data.kinds import IMAGES, POINTS, Items
from diffcli.errors import UsageProblem
from diffcli.evaluation import vae_bounds
from diffcli.runs.checkpoint import read_checkpoint
from diffcli.runs.loading import load_trained
from diffcli.training import recipes
from diffcli.training.families import FAMILIES
from diffcli.training.recipes.vae import RECIPES, VaeRecipe

CPU = torch.device("cpu")


def tiny(**changes: Any) -> VaeRecipe:
    return recipes.override(RECIPES["tiny"], changes)


@pytest.mark.parametrize("pixels", ["dynamic", "static", "8bit"])
def test_three_steps_and_three_more_are_six_bit_for_bit(tmp_path: Path, pixels: str) -> None:
    recipe = tiny(steps=6, checkpoint_every=3, pixels=pixels)
    whole = train(recipe, tmp_path / "whole")
    about = read_checkpoint(train(recipe, tmp_path / "half", stop_at=3))[1]
    assert (about["family"], about["step"]) == ("vae", 3)
    assert same(whole, go_on(tmp_path / "half"))


@pytest.mark.parametrize("model", ["conv", "mlp", "linear"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 10)])
def test_every_network_gives_back_the_shape_of_its_images(model: str, shape: tuple[int, int, int]) -> None:
    recipe = tiny(network=model, pixels="8bit")
    found = FAMILIES["vae"].build(recipe, Items(IMAGES, shape), False)
    x = torch.rand(2, *shape) * 2 - 1
    posterior = found.encode(x)  # type: ignore[operator]
    assert posterior.mean.shape == (2, recipe.latent)
    assert found.decode(posterior.mean).shape == (2, 2 * shape[0], *shape[1:])  # type: ignore[operator]


def test_an_image_has_the_same_bits_whatever_else_is_read() -> None:
    dataset = datasets.load_dataset("mnist", "test")
    bits = binarised(dataset, "test")
    alone = BinarisedStorage(dataset.storage, "test")[130]
    assert torch.equal(bits.storage[130], alone)
    assert set(alone.unique().tolist()) == {0, 255}
    share = (bits.take(range(2000))[0] > 0).float().mean().item()
    assert share == pytest.approx(((dataset.take(range(2000))[0] + 1) / 2).mean().item(), abs=0.002)


def test_colours_are_no_bits_and_points_no_images() -> None:
    with pytest.raises(UsageProblem, match="colours"):
        FAMILIES["vae"].build(tiny(), Items(IMAGES, (3, 8, 8)), False)
    with pytest.raises(UsageProblem, match="points"):
        FAMILIES["vae"].build(tiny(), Items(POINTS, (2,)), False)


def test_a_linear_autoencoder_learns_the_components_of_its_data() -> None:
    """Its bound comes to the likelihood of probabilistic PCA with the best weights (Lucas et al. 2019)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.linalg.qr(torch.randn(16, 2, generator=generator)).Q * torch.tensor([2.0, 1.0])
    x = (
        torch.randn(2000, 2, generator=generator) @ weight.T + 0.5 * torch.randn(2000, 16, generator=generator)
    ).reshape(-1, 1, 4, 4)
    changes = {"network": "linear", "pixels": "real", "noise": 0.5, "latent": 2, "precision": "fp32"}
    recipe, items = recipes.override(VaeRecipe(), changes), Items(IMAGES, (1, 4, 4))
    torch.manual_seed(0)
    model = FAMILIES["vae"].build(recipe, items, False)
    loss, optimizer = FAMILIES["vae"].objective(recipe, items).loss, torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 600)
        optimizer.zero_grad()
        loss(model, x, {}, generator).each.mean().backward()
        optimizer.step()
    flat = x.flatten(1).double()
    centred = flat - flat.mean(0)
    spread = centred.T @ centred / len(flat)
    best = ppca.mean_log_density(spread, ppca.best_weight(spread, 2, 0.5), 0.5).item()
    found = vae_bounds.bound(model, x, 0).elbo.mean().item()  # type: ignore[arg-type]
    assert best - 0.1 < found < best + 0.1


def test_bounds_rise_from_one_sample_to_many(tmp_path: Path) -> None:
    train(tiny(), tmp_path / "run")
    trained = load_trained(str(tmp_path / "run"), device=CPU, family="vae")
    model = vae_bounds.in_full_precision(trained)
    _, x, labels = vae_bounds.test_images(trained, 30, None)
    assert labels is not None
    weights = torch.cat(list(vae_bounds.log_weights(model, x, 64, 0)), dim=1)
    assert weights.shape == (30, 64)
    values = [variational.iwae(weights, k).mean().item() for k in (1, 4, 16, 64)]
    assert values == sorted(values)
    assert weights.mean().item() == pytest.approx(vae_bounds.bound(model, x, 0).elbo.mean().item(), abs=1.0)
