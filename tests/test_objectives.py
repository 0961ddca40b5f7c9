"""What training minimises: the objectives on known denoisers, importance sampling, exact resumes, and refusals."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, refuses
from sessions import fresh, go_on, same, train
from torch import Tensor, nn

from diffcli.core.diffusion import bound, grids
from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.times import LossHistory, stratified
from diffcli.core.diffusion.weightings import WEIGHTINGS, rate, target_weight
from diffcli.core.draws import BatchDraws, drawn_normal, drawn_places
from diffcli.core.randomness import keyed
from diffcli.data.kinds import IMAGES, Items
from diffcli.runs import checkpoint
from diffcli.specs import schedule
from diffcli.training import recipes
from diffcli.training.objectives import HYBRID, objective
from diffcli.training.optimizers import Muon
from diffcli.training.recipes.diffusion import RECIPES, Recipe

USAGE = 2
ITEMS = Items(IMAGES, (1, 2, 2))
LIKELIHOOD = {"objective": "vlb", "variance": "learned", "draws": "importance", "prior": "pixels", "predict": "eps"}


class Guess(nn.Module):
    """A network of one number per output channel, whatever it sees."""

    nulls: dict[str, float] = {}

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        return torch.cat([v * torch.ones_like(x) for v in self.values], 1)


def losses(recipe: Recipe, denoiser: Denoiser, count: int = 4000) -> Tensor:
    """Of many draws on one image."""
    x0 = torch.linspace(-1, 1, 4).reshape(1, 1, 2, 2).expand(count, 1, 2, 2)
    return objective(recipe, ITEMS).loss(denoiser, x0, {}, draws(count)).each


def draws(count: int, step: int = 0, first: int = 0, whole: int = 0) -> BatchDraws:
    """The random numbers of a step, or of a part of its batch."""
    return BatchDraws(0, step, first, count, whole or count)


def recipe(**changes: Any) -> Recipe:
    return recipes.override(RECIPES["tiny"], changes)


def test_the_plain_objective_is_the_loss_of_what_is_predicted() -> None:
    x0 = torch.linspace(-1, 1, 4).reshape(1, 1, 2, 2).expand(8, 1, 2, 2)
    denoiser, law = Denoiser(Guess(0.3), "v"), schedule("cosine")
    level, eps = law.training_level(stratified(8, draws(8)), x0), drawn_normal(draws(8), "noise", x0.shape)
    assert torch.equal(losses(recipe(), denoiser, 8), denoiser.loss(x0, level, eps))


@pytest.mark.parametrize("name", list(WEIGHTINGS))
def test_a_weighting_multiplies_the_loss_of_each_level(name: str) -> None:
    law = schedule("vp")
    pair = (recipe(schedule="vp", predict="v", weighting=weighting) for weighting in ("target", name))
    a, b = (losses(chosen, Denoiser(Guess(0.3), "v"), 8) for chosen in pair)
    t = 1 - drawn_places(draws(8), 8)
    log_snr = law(t).log_snr
    wanted = WEIGHTINGS[name](log_snr, rate(law, t)) / target_weight("v", log_snr)
    torch.testing.assert_close((b / a).double(), wanted, rtol=1e-3, atol=0)


@pytest.mark.parametrize("variance", ["fixed", "learned"])
def test_the_objective_vlb_is_the_bound_on_average(variance: str) -> None:
    """Mean over times of chain steps drawn, against the sum over all of them with the same denoiser."""
    chain = 20
    chosen = recipe(objective="vlb", variance=variance, chain=chain, schedule="log-snr", predict="x0")
    denoiser = Denoiser(Guess(0.1, 0.4) if variance == "learned" else Guess(0.1), "x0", learned=variance == "learned")
    walk = grids.levels(schedule("log-snr"), chain)
    x0 = torch.linspace(-1, 1, 4).reshape(1, 1, 2, 2)
    x0 = ((x0 + 1) * 127.5).round() / 127.5 - 1
    total = 0.0
    for t, s in zip(walk, walk[1:], strict=False):
        estimate, share = torch.full_like(x0, 0.1), torch.full_like(x0, 0.7)
        kind = "learned" if variance == "learned" else "small"
        cost = bound.reverse_variance(kind, t, s, fraction=share)
        if s.sigma == 0:
            total += bound.decoder(x0, estimate, cost, discrete=True).sum().item()
        else:
            total += bound.transition(x0, estimate, t, s, cost).sum().item()
    got = objective(chosen, ITEMS).loss(denoiser, x0.expand(chain, 1, 2, 2), {}, draws(chain)).each
    assert got.mean().item() == pytest.approx(total / 4 / math.log(2), rel=1e-4)


def test_hybrid_teaches_the_variance_and_leaves_the_mean_to_simple() -> None:
    hybrid = recipe(objective="hybrid", variance="learned", predict="v")
    denoiser = Denoiser(Guess(0.3, 0.2), "v", learned=True)
    total = losses(hybrid, denoiser).mean()
    (slopes,) = torch.autograd.grad(total, denoiser.network.values)  # type: ignore[arg-type]
    alone = Denoiser(Guess(0.3), "v")
    (plain,) = torch.autograd.grad(losses(recipe(), alone).mean(), alone.network.values)  # type: ignore[arg-type]
    assert slopes[0].item() == pytest.approx(plain.item(), rel=1e-3)
    assert slopes[1] != 0
    bits = (total - losses(recipe(), alone).mean()).item() / HYBRID
    assert bits > 0


def test_importance_draws_keep_the_mean_and_lower_the_spread() -> None:
    keys = {"objective": "vlb", "schedule": "log-snr,most=5,least=-5", "predict": "eps"}
    uneven, even = (objective(recipe(**keys, draws=draws), ITEMS) for draws in ("importance", "uniform"))
    denoiser = Denoiser(Guess(0.0), "x0")
    x0 = (torch.randint(0, 256, (20_000, 1, 2, 2), generator=keyed(0, "x")) / 127.5 - 1).float()
    for step in range(3):
        seen = uneven.loss(denoiser, x0, {}, draws(len(x0), step)).seen
        assert seen is not None
        uneven.remember(seen)
    a, b = (one.loss(denoiser, x0, {}, draws(len(x0), 3)).each for one in (uneven, even))
    assert a.mean().item() == pytest.approx(b.mean().item(), rel=0.1)
    assert a.std() < 0.5 * b.std()


def test_what_is_remembered_is_no_part_of_the_model_and_asking_for_a_loss_changes_nothing() -> None:
    chosen = objective(recipe(draws="importance"), ITEMS)
    assert isinstance(chosen.state, LossHistory)
    assert objective(recipe(), ITEMS).state is None
    denoiser, x0 = Denoiser(Guess(0.1), "v"), torch.zeros(50, 1, 2, 2)
    first, again = (chosen.loss(denoiser, x0, {}, draws(50)) for _ in range(2))
    assert torch.equal(first.each, again.each)
    assert chosen.state.seen.sum() == 0
    assert first.seen is not None
    chosen.remember(first.seen)
    assert chosen.state.seen.sum() == 50
    assert list(denoiser.state_dict()) == ["network.values"]


@pytest.mark.parametrize("parts", [(5, 45), (25, 25), (1, 2, 47)])
@pytest.mark.parametrize(
    "changes", [{}, {"draws": "importance"}, LIKELIHOOD | {"schedule": "log-snr", "prior": "none"}]
)
def test_a_batch_in_parts_has_the_losses_of_the_whole(parts: tuple[int, ...], changes: dict[str, Any]) -> None:
    learned = changes.get("variance") == "learned"
    chosen = objective(recipe(**changes), Items(IMAGES, (1, 2, 2), ("a", "b")))
    denoiser = Denoiser(Guess(*[0.1, 0.4][: 1 + learned]), "eps" if learned else "v", learned=learned)
    x0 = torch.linspace(-1, 1, 200).reshape(50, 1, 2, 2)
    told = {"label": torch.arange(50) % 2}
    whole, each, seen, first = chosen.loss(denoiser, x0, told, draws(50, 3)), [], [], 0
    for count in parts:
        here = slice(first, first + count)
        found = chosen.loss(denoiser, x0[here], {"label": told["label"][here]}, draws(count, 3, first, 50))
        each.append(found.each)
        seen += [] if found.seen is None else [found.seen]
        first += count
    torch.testing.assert_close(torch.cat(each), whole.each, rtol=1e-6, atol=0)
    if whole.seen is not None:
        torch.testing.assert_close(torch.cat(seen), whole.seen, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "changes",
    [LIKELIHOOD | {"schedule": "log-snr"}, {"objective": "hybrid", "variance": "learned"}],
    ids=["likelihood", "hybrid"],
)
def test_a_resume_is_exact(tmp_path: Path, pictures: Path, changes: dict[str, Any]) -> None:
    # after 16 steps each of a hundred bins has ten losses
    chosen = recipe(steps=24, batch=64, dataset=str(pictures), **changes)
    whole = train(chosen, tmp_path / "whole")
    half = train(chosen, tmp_path / "half", stop_at=18)
    assert checkpoint.read_checkpoint(half)[1]["step"] == 18
    assert same(whole, go_on(tmp_path / "half"))
    if "prior" in changes:
        tensors, _ = checkpoint.read_checkpoint(whole)
        assert tensors["objective/seen"].sum() == 24 * 64
        assert tensors["model/prior.counts"].sum() == 54 * 64 + 256


def test_a_prior_is_counted_on_ten_thousand_images(tmp_path: Path) -> None:
    with fresh(recipe(schedule="log-snr", **LIKELIHOOD), tmp_path / "run") as session:
        assert session.trainer.model.state_dict()["prior.counts"].sum() == 10_000 * 784 + 256


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["variance=learned"], ("nothing with the objective simple", "vlb, hybrid", "--set objective=vlb")),
        (["objective=hybrid", "variance=fixed"], ("variance=learned",)),
        (["objective=vlb", "weighting=eps"], ("nothing with the objective vlb", "--set objective=simple")),
        (["chain=10"], ("nothing with the objective simple", "--set objective=vlb")),
        (["objective=vlb", "chain=2000"], ("chain=1000",)),
        (["objective=sample"], ("did you mean simple?",)),
        (["weighting=min-sn"], ("did you mean min-snr?",)),
        (["draws=importanc"], ("did you mean importance?",)),
        (["objective=vlb", "variance=large"], ("unknown variance", "fixed, learned")),
        (["prior=pixel"], ("did you mean pixels?",)),
        (["objective=vlb", "chain=1"], ("at least 2",)),
    ],
    ids=str,
)
def test_choices_that_do_not_go_together(cli: Cli, tmp_path: Path, settings: list[str], words: tuple[str, ...]) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    refuses(cli, tmp_path, USAGE, "train", "--recipe", "tiny", *options, words=words)


def test_a_prior_of_pixels_is_not_for_points(cli: Cli, tmp_path: Path) -> None:
    refuses(cli, tmp_path, USAGE, "train", "--dataset", "moons", "--set", "prior=pixels", words=("of images",))


def matrices(kind: Any, **options: Any) -> Iterator[Tensor]:
    """After some steps of Muon from the same start with the same gradients."""
    generator = keyed(0, "muon")
    weights = [nn.Parameter(torch.randn(*size, generator=generator)) for size in ((20, 30), (40, 10))]
    optimizer = kind(weights, lr=0.02, weight_decay=0.01, **options)
    for _ in range(4):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return (weight.detach() for weight in weights)


@pytest.mark.parametrize(("bf16", "tolerance"), [(True, 0.0), (False, 1e-3)])
def test_muon_is_torchs_own_where_bfloat16_is_and_near_it_elsewhere(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, tolerance: float
) -> None:
    monkeypatch.setattr("diffcli.training.optimizers.use_bf16", lambda *_: bf16)
    for a, b in zip(matrices(Muon), matrices(torch.optim.Muon, momentum=0.95), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
