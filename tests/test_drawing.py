"""Laws and ways to draw from them: what the truth checks do not say."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from diffcli.core.processes.laws.line import Beta, Exponential, Law, LineMixture, LineNormal
from diffcli.core.processes.laws.plane import Banana, Normal2, TableLaw
from diffcli.core.processes.montecarlo.methods import METHODS, uniforms
from diffcli.core.randomness import keyed
from diffcli.lessons.drawing.measures import joined, p_value_of, pearson, thinned, worth
from diffcli.metrics.statistics import kolmogorov_distance

LAWS: dict[str, Law] = {
    "normal": LineNormal(1, 2),
    "exponential": Exponential(3),
    "beta": Beta(2, 5),
    "steep": Beta(0.6, 0.5),
    "mixture": LineMixture((0.3, 0.7), (-2.0, 1.0), (0.5, 1.0)),
    "normal2": Normal2(0.8),
    "banana": Banana(0.1, 2.0),
    "table": TableLaw((1.0, 4.0, -2.0), (0.2, 0.3, 0.5)),
}
PAIRS = [(law, method) for law in LAWS for method in METHODS if not METHODS[method].refusal(LAWS[law])]


@pytest.mark.parametrize(("law", "method"), PAIRS)
def test_a_method_finds_the_moments_of_the_law_within_its_own_errors(law: str, method: str) -> None:
    known, way = LAWS[law], METHODS[method]
    found = worth(joined(list(way.draw(known, 4000, keyed(1, f"{law} {method}")))), known, chained=way.chained)
    mean, std = known.moments()
    assert ((found.mean.value - mean).abs() < 4.5 * found.mean.error).all()
    assert ((found.std.value - std).abs() < 4.5 * found.std.error).all()
    assert found.p_value > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_equal_keys_draw_equal_numbers(method: str) -> None:
    law = Normal2(0.5)
    one, two, other = (joined(list(METHODS[method].draw(law, 500, keyed(seed, "s")))) for seed in (0, 0, 1))
    assert torch.equal(one.x, two.x)
    assert not torch.equal(one.x, other.x)


def test_what_cannot_work_says_why() -> None:
    refused = {(law, method): METHODS[method].refusal(LAWS[law]) for law in LAWS for method in METHODS}
    assert {pair for pair, why in refused.items() if why} == {
        *((law, "box-muller") for law in LAWS if not law.startswith("normal")),
        *((law, "gibbs") for law in LAWS if law != "normal2"),
        ("table", "hmc"),
    }
    with pytest.raises(ValueError, match="normal numbers only"):
        next(METHODS["box-muller"].draw(Beta(), 5, keyed(0, "")))
    with pytest.raises(ValueError, match="given the other"):
        next(METHODS["gibbs"].draw(Beta(), 5, keyed(0, "")))


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 50), st.floats(0.5, 50), st.floats(0.001, 0.999))
def test_the_beta_quantile_is_where_the_distribution_function_is_u(a: float, b: float, u: float) -> None:
    x = Beta(a, b).quantile(torch.tensor([[u]], dtype=torch.float64)).item()
    # a rounding of x is of no less than 1e-16 next to 1, where the density may be high
    assert stats.beta(a, b).cdf(x) == pytest.approx(u, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(-50, 50), st.floats(0.01, 20)), min_size=1, max_size=4))
def test_the_envelope_of_any_mixture_covers_it(parts: list[tuple[float, float, float]]) -> None:
    weights, means, stds = zip(*parts, strict=True)
    law = LineMixture(tuple(w / sum(weights) for w in weights), means, stds)
    proposal = law.proposal()
    x = torch.cat([torch.linspace(m - 5 * s, m + 5 * s, 101, dtype=torch.float64) for _, m, s in parts]).unsqueeze(1)
    assert (law.log_density(x) <= proposal.log_density(x) + proposal.log_bound + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(-2, 2), st.floats(0.1, 20))
def test_the_envelope_of_any_banana_covers_it(bend: float, std: float) -> None:
    law = Banana(bend, std)
    x = law.quantile(uniforms(2000, 2, keyed(0, "cover")))
    assert (law.log_density(x) <= law.proposal().log_density(x) + law.proposal().log_bound + 1e-9).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: LineNormal(0, 0),
        lambda: LineNormal(math.nan, 1),
        lambda: Exponential(-1),
        lambda: Beta(0.1, 1),
        lambda: Normal2(1),
        lambda: Banana(0.1, math.inf),
    ],
)
def test_impossible_parameters_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must be from"):
        make()  # type: ignore[operator]


# The numbers that judge


@pytest.mark.parametrize(("law", "method"), [("normal", "importance"), ("mixture", "metropolis"), ("normal2", "gibbs")])
def test_p_values_of_right_draws_are_spread_over_0_to_1(law: str, method: str) -> None:
    """Weighted draws and thinned chains are tested as if independent; over 150 samples it must hold well enough."""
    known, way, found = LAWS[law], METHODS[method], []
    options = {"chains": 30, "burn_in": 30} if way.chained else {}
    for seed in range(150):
        sample = joined(list(way.draw(known, 3000, keyed(seed, f"p {law} {method}"), **options)))
        found.append(worth(sample, known, chained=way.chained).p_value)
    values = torch.tensor(found, dtype=torch.float64)
    assert (values < 0.05).double().mean() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 150)
    assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("law", ["normal", "banana", "table"])
def test_draws_of_another_law_are_found_out(law: str) -> None:
    wrong = {
        "normal": LineNormal(1.1, 2),
        "banana": Banana(0.12, 2.0),
        "table": TableLaw((1.0, 4.0, -2.0), (0.25, 0.25, 0.5)),
    }
    x = wrong[law].quantile(uniforms(20_000, wrong[law].dim, keyed(0, "wrong")))
    assert p_value_of(x, LAWS[law], 20_000) < 1e-3


def test_too_few_draws_are_not_tested() -> None:
    x = torch.zeros(5, 1, dtype=torch.float64)
    assert math.isnan(p_value_of(x, LineNormal(), 5))
    assert math.isnan(pearson(torch.zeros(20).long(), torch.ones(1).double(), torch.full((20,), 0.05).double(), 20))


def test_draws_are_kept_and_chains_thinned_by_twice_their_time() -> None:
    fresh = torch.randn(2000, 10, 1, generator=keyed(0, "fresh"), dtype=torch.float64)
    assert thinned(fresh, LineNormal()).shape == fresh.shape
    held = fresh.repeat_interleave(5, dim=0)
    assert len(thinned(held, LineNormal())) == pytest.approx(len(held) / 10, rel=0.2)


def test_a_chain_that_stands_still_is_worth_nothing_much() -> None:
    sample = joined(list(METHODS["metropolis"].draw(LineNormal(), 1000, keyed(0, "still"), chains=5, scale=1e9)))
    found = worth(sample, LineNormal(), chained=True)
    assert found.acceptance < 1e-3
    assert found.effective < 10
    assert math.isnan(found.p_value)


def test_the_entries_of_a_long_table_are_tested_in_groups() -> None:
    law = TableLaw(tuple(range(3000)), (1 / 3000,) * 3000)
    x = law.quantile(uniforms(2000, 1, keyed(0, "long")))
    assert 1e-4 < p_value_of(x, law, 2000) < 1
    assert p_value_of((x**1.02).floor().clamp(max=2999), law, 2000) < 1e-4


def test_weights_move_the_distance() -> None:
    u = torch.tensor([0.25, 0.75], dtype=torch.float64)
    assert kolmogorov_distance(u, torch.tensor([0.5, 0.5]).double()) == pytest.approx(0.25)
    assert kolmogorov_distance(u, torch.tensor([1.0, 0.0]).double()) == pytest.approx(0.75)
