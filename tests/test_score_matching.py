"""Score matching: the network, the data with their noise, and the estimators as they are trained."""

import itertools
import math

import pytest
import torch

from diffcli.core.diffusion import score_matching as losses
from diffcli.core.models.field import FieldNet
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.lessons.scores import NAMES, estimators, gradient_noise
from diffcli.lessons.scores import points as scored
from diffcli.lessons.scores.estimators import EstimatorSetting, FreshPoints

SIGMA = 0.5


@pytest.fixture(scope="module")
def setting() -> EstimatorSetting:
    return EstimatorSetting(
        scored.noised_points("mixture", 2000, SIGMA, 0), 150, 1, "rademacher", reduced=False, seed=0
    )


@pytest.fixture(scope="module")
def points(setting: EstimatorSetting) -> FreshPoints:
    return FreshPoints.of(setting.data, 0)


def a_field() -> FieldNet:
    """Weights that make a field, in double precision."""
    torch.manual_seed(1)
    network = FieldNet(2, scale=1.3, sigma=0.5, width=8, depth=2).double()
    torch.nn.init.normal_(network.leave.weight)
    return network


def test_the_trace_of_a_network_is_that_of_its_differences() -> None:
    network, x, h = a_field(), torch.randn(5, 2, dtype=torch.float64), 1e-5
    _, found = losses.trace(network, x)
    with torch.no_grad():
        steps = h * torch.eye(2, dtype=torch.float64)
        slopes = [(network(x + step) - network(x - step))[:, i] / (2 * h) for i, step in enumerate(steps)]
    assert torch.allclose(found.detach(), slopes[0] + slopes[1], atol=1e-7)


def test_the_loss_of_a_network_has_the_gradient_of_its_differences() -> None:
    network, x, h = a_field(), torch.randn(5, 2, dtype=torch.float64), 1e-6
    weight = network.layers[0][0].weight
    (gradient,) = torch.autograd.grad(losses.explicit(network, x).sum(), weight)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0] += sign * h
        values.append(losses.explicit(network, x).sum().item())
        with torch.no_grad():
            weight[0, 0] -= sign * h
    assert gradient[0, 0].item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6)


def test_the_field_begins_as_nothing_and_in_units_of_the_noise() -> None:
    x = torch.randn(4, 2)
    assert FieldNet(2, scale=1.0, sigma=0.1)(x).abs().max() == 0
    network, other = a_field(), a_field()
    other.sigma = 0.05
    assert torch.allclose(other(x.double()), 10 * network(x.double()))


def test_all_estimators_have_the_same_first_weights_and_the_same_first_gradient(setting: EstimatorSetting) -> None:
    """In expectation: over many batches the gradients agree within their noise."""
    found = {name: estimators._gradients(setting, name, setting.network()) for name in NAMES}
    for a, b in itertools.combinations(found.values(), 2):
        off = a.mean(0) - b.mean(0)
        error = ((a.var(0) + b.var(0)).sum() / len(a)).sqrt()
        assert off.norm() < 2 * error
        assert a.mean(0).norm() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_every_estimator_comes_near_to_the_true_score(
    setting: EstimatorSetting, points: FreshPoints, name: str
) -> None:
    *_, (step, _, outcome) = estimators.train_estimator(setting, name, points)
    estimators.measure_outcome(setting, name, outcome, points, unit=1.0)
    assert step == outcome.curve[-1][0] == 150
    assert outcome.agreement.relative_error == pytest.approx(outcome.curve[-1][1], abs=0.05)
    assert outcome.agreement.relative_error < 0.4 < outcome.curve[0][1] == 1.0
    assert outcome.agreement.cosine > 0.85
    whole = math.sqrt(0.1 * outcome.rare**2 + 0.9 * outcome.common**2)  # the tenth that is rare, and the rest
    assert whole == pytest.approx(outcome.agreement.relative_error, rel=1e-6)
    excess = outcome.agreement.relative_error**2 * -points.least  # half the mean squared error of the field
    assert outcome.loss - outcome.loss_least == pytest.approx(excess, abs=5 * outcome.loss_se)


def test_what_is_rare_is_a_tenth_of_the_points_and_lies_far_out(points: FreshPoints) -> None:
    assert points.rare.double().mean() == pytest.approx(0.1, abs=1e-3)
    assert points.log_density[points.rare].max() <= points.log_density[~points.rare].min()


def test_the_least_loss_is_minus_half_the_fisher_information() -> None:
    data = scored.noised_points("mixture,means=0:0,stds=0.8", 1000, 0.6, 0)
    assert FreshPoints.of(data, 0).least == pytest.approx(-1.0, abs=0.04)  # -D / (2 (0.8² + 0.6²))


def test_training_is_the_same_for_the_same_seed(setting: EstimatorSetting, points: FreshPoints) -> None:
    short = EstimatorSetting(setting.data, 5, 2, "gaussian", reduced=True, seed=3)
    first, again = ([loss for _, loss, _ in estimators.train_estimator(short, "sliced", points)] for _ in range(2))
    assert first == again
    other = EstimatorSetting(setting.data, 5, 2, "gaussian", reduced=True, seed=4)
    assert first != [loss for _, loss, _ in estimators.train_estimator(other, "sliced", points)]


def test_only_what_has_a_known_law_is_held_against_it() -> None:
    mixture, moons = (scored.noised_points(name, 500, SIGMA, 0) for name in ("mixture", "moons"))
    assert (mixture.truth, moons.truth) == ("the law of the data", "the 500 training points")
    x = torch.randn(20, 2, dtype=torch.float64)
    assert torch.equal(moons.score(x), moons.own_score(x))
    assert 0.01 < (mixture.score(x) - mixture.own_score(x)).norm() / mixture.score(x).norm() < 0.3


def test_more_directions_and_fewer_squares_are_less_noise() -> None:
    data, generator = scored.noised_points("mixture", 500, SIGMA, 0), [keyed(0, "x") for _ in range(3)]
    size = [
        {k: v.var(0).sum().sqrt().item() for k, v in gradient_noise.gradients(data, 0.3, 4000, n, law, g).items()}
        for n, law, g in zip((1, 8, 1), ("rademacher", "rademacher", "gaussian"), generator, strict=True)
    ]
    assert size[0]["explicit"] < size[0]["sliced, reduced"] < size[0]["sliced"] < size[2]["sliced"]
    assert size[0]["explicit"] < size[1]["sliced"] < size[0]["sliced"]


def test_denoising_is_noisy_at_little_noise_and_explicit_is_not() -> None:
    data = scored.noised_points("mixture", 500, SIGMA, 0)
    (low, high) = (gradient_noise.gradients(data, s, 4000, 1, "rademacher", keyed(0, "x")) for s in (0.02, 0.04))
    ratio = {name: math.sqrt(low[name].var(0).sum() / high[name].var(0).sum()) for name in ("denoising", "explicit")}
    assert ratio["denoising"] == pytest.approx(2, rel=0.1)  # as 1 / sigma
    assert ratio["explicit"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("target", ["mixtur", "moons,noise=1", "mixture,means=0/1", "mixture,stds=0.3"])
def test_other_data_are_refused(target: str) -> None:
    with pytest.raises(UsageProblem):
        scored.noised_points(target, 100, SIGMA, 0)
