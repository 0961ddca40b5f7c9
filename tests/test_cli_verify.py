"""diffcli verify: what it prints, what it returns, and that a failing check is seen."""

import pytest
from conftest import Cli

from diffcli.checks.check import CHECKS, Check, Finding
from diffcli.checks.every import all_checks


def test_a_check_is_printed_with_claim_source_truth_and_tolerance(cli: Cli) -> None:
    result = cli("verify", "linear-table", "cosine-table", "--quiet")
    assert result.code == 0
    assert "Ho et al. 2020" in result.out
    assert "truth" in result.out
    assert "allowed" in result.out
    assert "all 2 checks hold" in result.out


def test_the_document_has_every_field(cli: Cli) -> None:
    document = cli("verify", "linear-table", "--json", "--quiet").document
    assert document["passed"] is True
    (check,) = document["checks"]
    assert check["name"] == "linear-table"
    assert check["cases"] == 14
    assert abs(check["got"] - check["truth"]) <= check["tolerance"]
    assert set(check) >= {"claim", "source", "passed", "case", "error", "seconds"}


@pytest.mark.parametrize("finding", [Finding("a case", 1.0, 2.0, 0.1), Finding("a case", 1.0, float("nan"), 0.1)])
def test_a_failing_check_is_named_and_ends_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch, finding: Finding) -> None:
    all_checks()
    monkeypatch.setitem(CHECKS, "false", Check("false", "two is one", "nobody", lambda: iter([finding])))
    result = cli("verify", "linear-table", "false", "--quiet")
    assert result.code == 1
    assert "FAIL  false: two is one" in result.out
    assert "1 of 2 checks FAILED" in result.out
    document = cli("verify", "false", "--json", "--quiet")
    assert (document.code, document.document["passed"]) == (1, False)


def test_an_unknown_check_is_a_usage_error_with_the_nearest_name(cli: Cli) -> None:
    result = cli("verify", "liner-table")
    assert result.code == 2
    assert "did you mean linear-table" in result.err
