"""Targets, conversions, losses; guidance and clipping."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffcli.core.diffusion import exact, grids
from diffcli.core.diffusion.denoiser import TARGETS, Denoiser, Prediction, check_pair
from diffcli.core.diffusion.guidance import clipped, dropped, guided
from diffcli.core.diffusion.schedules import SCHEDULES, Schedule
from diffcli.core.levels import Level
from diffcli.core.randomness import keyed

PAIRS = [
    (schedule, target)
    for schedule in SCHEDULES
    for target in TARGETS
    if not (schedule in ("flow", "sigmoid") and target in ("eps", "score"))
]


class Oracle(nn.Module):
    """A network that knows x0 and eps and answers as the papers define each target, written out one by one."""

    def __init__(self, target: str, x0: Tensor, eps: Tensor) -> None:
        super().__init__()
        self.target, self.x0, self.eps = target, x0, eps

    def forward(self, x: Tensor, log_snr: Tensor, **_: Any) -> Tensor:
        alpha2 = torch.sigmoid(log_snr.double()).reshape(-1, *[1] * (x.dim() - 1))
        alpha, sigma = alpha2.sqrt(), (1 - alpha2).sqrt()
        if self.target == "x0":
            return self.x0
        if self.target == "eps":
            return self.eps
        if self.target == "v":
            return alpha * self.eps - sigma * self.x0
        if self.target == "flow":
            return (self.eps - self.x0) / 2**0.5  # in units of the target
        return -self.eps  # the score -eps / sigma in units of 1 / sigma


@pytest.mark.parametrize(("schedule", "target"), PAIRS)
@pytest.mark.parametrize("t", [0.02, 0.3, 0.75, 0.97])
def test_every_target_gives_back_the_same_x0_and_eps(schedule: str, target: str, t: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x0, eps = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    level = SCHEDULES[schedule]()(torch.tensor(t, dtype=torch.float64))
    found = Denoiser(Oracle(target, x0, eps), target)(level.noised(x0, eps), level)
    torch.testing.assert_close(found.x0, x0, rtol=1e-4, atol=1e-4)  # log-SNR reaches the network in float32
    torch.testing.assert_close(found.eps, eps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("schedule", "target"), PAIRS)
def test_prediction_always_explains_x(schedule: str, target: str) -> None:
    class Anything(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return torch.sin(7 * x) + log_snr.reshape(-1, 1)

    x = torch.randn(4, 6, dtype=torch.float64)
    for level in grids.levels(SCHEDULES[schedule](), 9)[:-1]:
        found = Denoiser(Anything(), target)(x, level)
        torch.testing.assert_close(level.noised(found.x0, found.eps), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_loss_is_zero_for_the_truth_and_the_papers_loss_for_zero(target: str) -> None:
    x0, eps = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64)
    level = Level(*(p.reshape(3, 1, 1, 1) for p in SCHEDULES["cosine"]()(torch.tensor([0.2, 0.5, 0.9]).double())))
    assert Denoiser(Oracle(target, x0, eps), target).loss(x0, level, eps).max() < 1e-9

    class Zero(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return torch.zeros_like(x)

    alpha, sigma = level
    wanted = {"x0": x0, "eps": eps, "v": alpha * eps - sigma * x0, "flow": (eps - x0) / 2**0.5, "score": eps}[target]
    found = Denoiser(Zero(), target).loss(x0, level, eps)
    torch.testing.assert_close(found, wanted.square().mean((1, 2, 3)), rtol=1e-6, atol=0)


def test_network_sees_scaled_input_and_log_snr_not_the_schedule() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            seen.append((x, log_snr))
            return x

    x = torch.randn(2, 3, dtype=torch.float64)
    level = SCHEDULES["flow"]()(torch.tensor(0.3, dtype=torch.float64))
    Denoiser(Spy(), "v")(x, level)
    length = (0.7**2 + 0.3**2) ** 0.5
    torch.testing.assert_close(seen[0][0], x / length)
    torch.testing.assert_close(seen[0][1], torch.full((2,), 2 * torch.log(torch.tensor(0.7 / 0.3)).item()))


def test_a_model_trained_under_one_schedule_denoises_alike_under_another() -> None:
    """A flow level and the variance-preserving level of equal SNR are the same question on another scale."""
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double()

    class Net(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return network(x) * log_snr.reshape(-1, 1).double()

    x, t = torch.randn(2, 3, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    flow = SCHEDULES["flow"]()(t)
    length = torch.hypot(*flow)
    preserving = Level(flow.alpha / length, flow.sigma / length)
    for target in ("x0", "eps", "v", "flow", "score"):
        a, b = Denoiser(Net(), target)(x, flow), Denoiser(Net(), target)(x / length, preserving)
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("target", ["eps", "score"])
def test_targets_that_cannot_tell_x0_from_pure_noise_are_refused(target: str) -> None:
    with pytest.raises(ValueError, match="alpha"):
        check_pair(SCHEDULES["flow"](), target)
    check_pair(SCHEDULES["cosine"](), target)
    for fine in ("x0", "v", "flow"):
        check_pair(SCHEDULES["flow"](), fine)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("target", ["x0", "v", "flow"])
def test_pure_noise_gives_finite_predictions(name: str, target: str) -> None:
    schedule: Schedule = SCHEDULES[name]()
    level = schedule(torch.ones((), dtype=torch.float64))
    found = Denoiser(Oracle("x0", torch.ones(2, 2), torch.ones(2, 2)), target)(torch.randn(2, 2), level)
    assert found.x0.isfinite().all()
    assert found.eps.isfinite().all()


def exact_for(label: Tensor | None) -> Prediction:
    return (
        Prediction(torch.full((2, 1), 5.0), torch.full((2, 1), 1.0))
        if label is not None
        else Prediction(torch.full((2, 1), 2.0), torch.full((2, 1), 3.0))
    )


@pytest.mark.parametrize(("scale", "x0", "eps"), [(0, 2, 3), (1, 5, 1), (3, 2 + 3 * 3, 3 - 3 * 2)])
def test_guidance_scale_one_is_none_zero_is_unconditional(scale: float, x0: float, eps: float) -> None:
    denoise = guided(lambda x, level, label=None: exact_for(label), scale)
    found = denoise(torch.zeros(2, 1), SCHEDULES["cosine"]()(torch.tensor(0.5)), label=torch.tensor([1, 1]))
    assert found.x0.tolist() == [[x0]] * 2
    assert found.eps.tolist() == [[eps]] * 2


def test_guidance_of_exact_gaussians_is_the_papers_combination_of_scores() -> None:
    """Ho & Salimans 2022, eq. 6: eps = (1 + w) eps_c - w eps, with w = scale - 1."""
    level = SCHEDULES["cosine"]()(torch.tensor(0.6, dtype=torch.float64))
    given, null = exact.Gaussian(0.5, 0.2), exact.Gaussian(-0.1, 0.8)
    x, w = torch.randn(7, 2, dtype=torch.float64), 2.5
    denoise = guided(lambda x, level, label=None: (null if label is None else given)(x, level), 1 + w)
    found = denoise(x, level, label=0)
    torch.testing.assert_close(found.eps, (1 + w) * given(x, level).eps - w * null(x, level).eps)
    torch.testing.assert_close(level.noised(found.x0, found.eps), x)


def test_guidance_away_from_some_conditions_only_keeps_the_others() -> None:
    """Of two conditions, only `label` is followed: null is told the other, at every scale."""
    told: list[set[str]] = []

    def denoise(x: Tensor, level: Level, **conditions: Tensor) -> Prediction:
        told.append(set(conditions))
        return exact_for(conditions.get("label"))

    level = SCHEDULES["cosine"]()(torch.tensor(0.5))
    conditions = {"label": torch.tensor([1, 1]), "image": torch.zeros(2, 1)}
    found = guided(denoise, 3, drop=["label"])(torch.zeros(2, 1), level, **conditions)
    assert found.x0.tolist() == [[2 + 3 * 3]] * 2
    assert told == [{"image"}, {"label", "image"}]
    told.clear()
    guided(denoise, 0, drop=["label"])(torch.zeros(2, 1), level, **conditions)
    assert told == [{"image"}]


def test_every_condition_with_a_null_is_dropped_by_itself_at_the_asked_rate() -> None:
    count = 20_000
    given = {
        "label": torch.zeros(count, dtype=torch.int64),
        "image": torch.ones(count, 1, 2, 2),
        "size": torch.ones(count),
    }
    found = dropped(given, {"label": 3, "image": 0.0}, 0.25, keyed(0, "drop"))
    label, image = found["label"] == 3, (found["image"] == 0).flatten(1)
    assert (image.all(1) == image.any(1)).all(), "an image is lost whole"
    rates = (label, image[:, 0], label & image[:, 0])
    assert [r.float().mean().item() for r in rates] == pytest.approx([0.25, 0.25, 0.0625], abs=0.015)
    assert torch.equal(found["size"], given["size"]), "what has no null is always given"


def test_clipping_holds_x0_and_still_explains_x() -> None:
    level = SCHEDULES["cosine"]()(torch.tensor(0.4, dtype=torch.float64))
    x = torch.tensor([[-5.0, 0.1, 5.0]], dtype=torch.float64)
    found = clipped(exact.Gaussian(0.0, 3.0))(x, level)
    assert found.x0[0, 0] == -1
    assert found.x0[0, 2] == 1
    free = exact.Gaussian(0.0, 3.0)(x, level)
    assert found.x0[0, 1] == free.x0[0, 1]
    torch.testing.assert_close(level.noised(found.x0, found.eps), x)
