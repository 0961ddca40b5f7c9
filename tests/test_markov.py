"""Finite chains and autoregressions: what is refused, identities on random chains, and how much a simulation knows."""

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffcli.core.processes.chains import finite
from diffcli.core.processes.chains.autoregression import total_variation
from diffcli.core.processes.chains.ising import Ising
from diffcli.core.processes.chains.named import CHAINS, birth_death, cycle, ehrenfest, random_walk, two_state
from diffcli.core.randomness import keyed
from diffcli.errors import DataProblem
from diffcli.lessons.markov import matrices
from diffcli.lessons.markov.measures import distances, first_within, occupation, piece_mean, portrait

NAN = math.nan


@st.composite
def stochastic(draw: st.DrawFn) -> Tensor:
    """Matrices of 1 to 6 states, many of them with zeros, reducible or periodic."""
    count = draw(st.integers(1, 6))
    row = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5]), min_size=count, max_size=count).filter(any)
    weights = torch.tensor([draw(row) for _ in range(count)], dtype=torch.float64)
    return weights / weights.sum(1, keepdim=True)


@settings(max_examples=150, deadline=None)
@given(stochastic())
def test_every_closed_class_has_a_law_that_stays(matrix: Tensor) -> None:
    seen = portrait(finite.finite(matrix))
    assert seen.closed
    torch.testing.assert_close(seen.laws @ matrix, seen.laws, rtol=0, atol=1e-12)
    torch.testing.assert_close(seen.laws.sum(1), torch.ones(len(seen.laws)).double())


@settings(max_examples=150, deadline=None)
@given(stochastic())
def test_a_chain_mixes_just_if_its_powers_settle(matrix: Tensor) -> None:
    seen = portrait(finite.finite(matrix))
    power = torch.linalg.matrix_power(matrix, 100_003)
    settled = bool(((power @ matrix - power).abs() < 1e-9).all() and ((power - power[0]).abs() < 1e-9).all())
    assert (seen.mixing_time is not None) == settled
    assert (seen.gap > 0) == settled
    assert bool(seen.obstacle) != settled


@settings(max_examples=100, deadline=None)
@given(stochastic())
def test_the_long_run_is_the_mean_of_the_powers(matrix: Tensor) -> None:
    seen = portrait(finite.finite(matrix))
    power, period = torch.linalg.matrix_power(matrix, 60_000), seen.period
    mean = torch.stack([power @ torch.linalg.matrix_power(matrix, k) for k in range(period)]).mean(0)
    for start in range(len(matrix)):
        torch.testing.assert_close(seen.limit(start), mean[start], rtol=0, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(stochastic())
def test_the_period_divides_just_the_times_of_return(matrix: Tensor) -> None:
    for part in finite.classes(matrix):
        among = (matrix[part.members][:, part.members] > 0).double()
        power, times = torch.eye(len(among)).double(), []
        for step in range(1, 41):
            power = (power @ among).clamp(max=1)
            times += [step] if power.diagonal().any() else []
        assert math.gcd(*times) == part.period


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0.5, 0.5]], "square"),
        ([], "square"),
        ([[0.5, 0.5], [0.5, 0.4]], r"row 2 \(1\) sums to 0.9"),
        ([[1.5, -0.5], [0.5, 0.5]], r"row 1 \(0\) has a negative probability, -0.5, to 1"),
        ([[NAN, 0.5], [0.5, 0.5]], "row 1"),
        ([[0.5, 0.5], [math.inf, 0.5]], "row 2"),
    ],
)
def test_what_is_no_stochastic_matrix_is_refused_with_its_row(rows: list[list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        finite.finite(torch.tensor(rows, dtype=torch.float64))


def test_states_are_as_many_as_rows_and_all_different() -> None:
    for names in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="2 different states"):
            finite.finite(torch.eye(2), names)


def test_rounded_rows_are_divided_by_their_sum() -> None:
    chain = finite.finite(torch.tensor([[0.3333333, 0.3333333, 0.3333333]] * 3, dtype=torch.float64))
    assert chain.matrix.sum(1).tolist() == pytest.approx([1] * 3, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("two-state", {"a": 1.1}),
        ("two-state", {"b": -0.1}),
        ("random-walk", {"n": 0}),
        ("random-walk", {"n": 512}),
        ("random-walk", {"ends": "open"}),
        ("cycle", {"n": 2}),
        ("cycle", {"lazy": 2.0}),
        ("birth-death", {"up": 0.6, "down": 0.6}),
        ("ehrenfest", {"n": 10**9}),
        ("ar1", {"rho": 1.0}),
        ("ar1", {"noise": 0.0}),
        ("ou", {"rate": -1.0}),
        ("ou", {"dt": 1e9}),
        ("ising", {"side": 1}),
        ("ising", {"beta": -1.0}),
        ("ising", {"field": 1e9}),
    ],
)
def test_impossible_parameters_are_refused(name: str, parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be|is a probability"):
        CHAINS[name](**parameters)


def test_the_mixing_time_of_a_slow_chain_is_found_without_walking_it() -> None:
    a, b = 1e-9, 2e-9
    found = portrait(two_state(a, b)).mixing_time
    assert found == pytest.approx(math.log(0.25 / (2 / 3)) / math.log1p(-3e-9), rel=1e-6)


def test_a_chain_that_hardly_moves_is_taken_not_to_mix() -> None:
    seen = portrait(two_state(1e-15, 1e-15))
    assert seen.mixing_time is None
    assert "more than" in seen.obstacle


@pytest.mark.parametrize("chain", [ehrenfest(8, 0.3), cycle(9), birth_death(20), random_walk(12, 0.4), two_state()])
def test_the_mixing_time_lies_between_its_bounds(chain: finite.Finite) -> None:
    seen = portrait(chain)
    assert seen.bounds is not None
    assert seen.bounds[0] <= (seen.mixing_time or 0) <= seen.bounds[1]


def test_curves_jump_so_that_long_ones_have_few_points() -> None:
    chain = cycle(9)
    law = portrait(chain).laws[0]
    times, curve = distances(chain, law, 1000)
    assert len(times) <= 201
    exact = finite.total_variation(torch.linalg.matrix_power(chain.matrix, int(times[7])), law)
    torch.testing.assert_close(curve[7], exact, rtol=0, atol=1e-12)


def test_walks_never_take_a_step_of_no_probability() -> None:
    chain = ehrenfest(6)
    visits = torch.stack([*islice(finite.walks(chain.matrix, torch.arange(7), keyed(0, "walks")), 3000)])
    assert bool((chain.matrix[visits[:-1].flatten(), visits[1:].flatten()] > 0).all())


@pytest.mark.parametrize("chains", [1, 50])
def test_the_error_of_an_occupation_counts_the_correlation(chains: int) -> None:
    """Of two states the variance is π (1 - π) (1 + λ) / (1 - λ) per step, λ = 1 - a - b."""
    chain, steps = two_state(0.02, 0.06), 20_000 // chains
    variance = 0.25 * 0.75 * (1 + 0.92) / (1 - 0.92) / (steps * chains)
    errors, misses = [], []
    for seed in range(5):
        start = torch.bernoulli(torch.full((chains,), 0.25), generator=keyed(seed, "start")).long()
        visits = torch.stack([*islice(finite.walks(chain.matrix, start, keyed(seed, "walk")), steps)])
        share, error = occupation(visits, 2)
        errors.append(error[1].item())
        misses.append(abs(share[1].item() - 0.25) / math.sqrt(variance))
    assert sum(errors) / 5 == pytest.approx(math.sqrt(variance), rel=0.25)
    assert max(misses) < 4.5


def test_the_mean_over_pieces_leaves_out_what_does_not_fill_one() -> None:
    values = torch.cat([torch.full((5, 1), 1e9), torch.arange(64.0).unsqueeze(1)])
    mean, error = piece_mean(values)
    assert mean == pytest.approx(31.5)
    assert error == pytest.approx((torch.arange(32.0) * 2).std().item() / math.sqrt(32))


def test_first_within_is_the_first_step() -> None:
    for wanted in (0, 1, 2, 3, 4, 5, 1000, 1_000_001):
        assert first_within(lambda t, w=wanted: (t < w).double(), 0.25) == wanted  # type: ignore[misc]
    assert first_within(lambda t: torch.ones(()), 0.25) is None


@given(st.floats(-5, 5), st.floats(0.01, 10), st.floats(-5, 5), st.floats(0.01, 10))
def test_total_variation_is_symmetric_and_at_most_1(mean: float, std: float, other: float, other_std: float) -> None:
    m, s, n, r = (torch.tensor(v, dtype=torch.float64) for v in (mean, std, other, other_std))
    found = total_variation(m, s, n, r)
    assert 0 <= found <= 1 + 1e-12
    torch.testing.assert_close(found, total_variation(n, r, m, s), rtol=1e-9, atol=1e-9)


def test_spins_of_a_larger_square_keep_their_neighbours_law() -> None:
    model = Ising(4, 0.3)
    all_of_them, law = model.configurations(), model.law()
    draws = all_of_them[torch.multinomial(law, 20_000, replacement=True, generator=keyed(0, "ising"))]
    *_, after = islice(model.sweeps(draws, keyed(1, "ising")), 4)
    mean = (law @ model.bonds(all_of_them)).item()
    spread = math.sqrt((law @ (model.bonds(all_of_them) - mean) ** 2).item() / len(draws))
    assert abs(model.bonds(after).mean().item() - mean) < 4.5 * spread


@pytest.mark.parametrize(
    "text", ["0.5,0.5\n0.25,0.75\n", "a,b\n0.5,0.5\n0.25,0.75\n", "\ufeffa , b\r\n0.5, 0.5\r\n\r\n0.25,0.75"]
)
def test_csv_with_and_without_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")
    chain = matrices.read_chain(path)
    assert chain.states == (("a", "b") if "a" in text else ("0", "1"))
    assert chain.matrix.tolist() == [[0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("m.csv", "", "empty"),
        ("m.csv", "a,b\n", "no rows"),
        ("m.csv", "0.5,0.5\n1\n", "row 2 has 1 entries"),
        ("m.csv", "0.5,0.5\n0.5,x\n", "row 2, column 2"),
        ("m.csv", "nan,1\n0,1\n", "row 1"),
        ("m.csv", "0.5,0.6\n0,1\n", "row 1 (0) sums to 1.1"),
        ("m.json", "[[1,", "not JSON"),
        ("m.json", "3", "list of rows"),
        ("m.json", "[1, 2]", "list of rows"),
        ("m.json", '{"matrix": [[1]], "names": []}', "other keys"),
        ("m.json", '{"states": [1], "matrix": [[1]]}', "names"),
        ("m.json", '{"states": ["a", "b"], "matrix": [[1]]}', "1 different states"),
        ("m.json", "[[true]]", "row 1, column 1"),
        ("m.json", "[[null]]", "row 1, column 1"),
        ("m.json", "[[NaN]]", "row 1"),
        ("m.json", "[[[1]]]", "row 1, column 1"),
        ("m.json", f"[[1{'0' * 400}]]", "row 1"),
        ("m.json", "[" * 100_000, ""),
        ("m.csv", "1" * 10_000_000, "too large"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataProblem) as problem:
        matrices.read_chain(path)
    assert words in problem.value.message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataProblem, match="not text"):
        matrices.read_chain(path)
