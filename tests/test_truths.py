"""The checks of `diffcli verify`, one test each, and the whole matrix of finite walks."""

import pytest

from diffcli.checks.check import CHECKS, Check, Finding, near
from diffcli.checks.diffusion.finite import ALL, walk_all
from diffcli.checks.every import all_checks
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES


@pytest.mark.parametrize("name", all_checks())
def test_truth(name: str) -> None:
    report = CHECKS[name].run()
    assert report.passed, report


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_walk_of_fifty_steps_is_finite_and_ends_at_its_clean_estimate(schedule: str, sampler: str) -> None:
    cases = [case for case in ALL if (case[0], case[2]) == (schedule, sampler)]
    for finding in walk_all(cases, (50,)):
        assert finding.miss == 0, finding


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", ["ddpm", "predictor-corrector"])
def test_so_is_every_walk_of_a_thousand_as_the_papers_of_these_samplers_take_it(schedule: str, sampler: str) -> None:
    cases = [(schedule, target, sampler) for target in ("eps", "v")]  # noise where the schedule allows it
    finding = next(walk_all(cases, (1000,)))
    assert finding.miss == 0, finding


def report_of(*findings: Finding) -> bool:
    return Check("name", "claim", "source", lambda: iter(findings)).run().passed


def test_a_check_fails_beyond_its_tolerance_for_nan_and_for_nothing() -> None:
    assert report_of(Finding("", 1.0, 1.01, 0.02))
    assert not report_of(Finding("", 1.0, 1.03, 0.02))
    assert not report_of(Finding("", 1.0, float("nan"), 0.02))
    assert not report_of(Finding("", 1.0, 1.0 + 1e-12, 0.0))
    assert report_of(Finding("", 1.0, 1.0, 0.0))
    assert not report_of()


def test_a_check_that_raises_fails_and_says_why() -> None:
    report = Check("name", "claim", "source", lambda: (1 / 0 for _ in "x")).run()  # type: ignore[list-item]
    assert not report.passed
    assert "ZeroDivisionError" in report.error


def test_near_finds_the_element_that_is_furthest_off() -> None:
    import torch

    found = near("", torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.5, 3.1]), rel=0.1)
    assert (found.truth, found.got) == (2.0, 2.5)
    assert found.miss == pytest.approx(2.5)
    assert near("", torch.zeros(2), torch.tensor([0.0, float("nan")])).miss == float("inf")
