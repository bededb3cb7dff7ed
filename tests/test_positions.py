"""What a party holds and owes, and what secures the loan, on the worked deal and in its default."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import finchain as fc
from finchain import cli
from finchain.report import Security, positions, security
from played_deal import case_a, case_b, played, until_maturity


def shown(ledger: fc.Ledger, party: str) -> set[tuple[str, str, int]]:
    return {(each.side, each.id, each.amount_minor) for each in positions(ledger, party)}


def test_what_each_holds_and_owes_after_a_default(tmp_path: Path) -> None:
    """Case B: the residual claims on the debtor are those of 7.1 step 8."""
    with played(tmp_path, case_b()) as ledger:
        assert shown(ledger, "daqi") == {("owes", "cert-1", 66_000_000)}
        assert shown(ledger, "factor") == {("holds", "cert-1 31903449", 4_096_552)}
        assert shown(ledger, "shop") == {("holds", "cert-1 106896553", 9_103_448)}
        assert sum(amount for _, _, amount in shown(ledger, "surety")) == 52_800_000
        assert shown(ledger, "bank") == set(), "the loan is repaid"
        with pytest.raises(fc.NotFound):
            positions(ledger, "nobody")


def test_what_secures_the_loan(tmp_path: Path) -> None:
    steps = [step for step in until_maturity() if step.day <= date(2026, 3, 12)]
    with played(tmp_path, steps) as ledger:
        assert security(ledger, "loan-1") == Security(
            "loan-1", "CNY", ("cert-1 36000001",), ("guarantee-1",), 80_000_000, 9_000, 72_000_000, 50_000_000,
            22_000_000, 0,
        )  # fmt: skip
        assert ("owes", "loan-1", 50_000_000) in shown(ledger, "shop")
        assert ("holds", "loan-1", 50_000_000) in shown(ledger, "bank")


def test_nothing_secures_a_loan_that_ended(tmp_path: Path) -> None:
    with played(tmp_path, case_a()) as ledger:
        found = security(ledger, "loan-1")
    assert (found.lots, found.eligible_minor, found.left_minor, found.over_advance_minor) == ((), 0, 0, 0)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(tmp_path, until_maturity()) as ledger:
        path = str(ledger.path)
    options = ["--keys", str(tmp_path / "keys")]
    assert cli.run(["positions", path, "bank", *options, "--json"]) == 0
    assert '"id":"loan-1"' in capsys.readouterr().out
    assert cli.run(["positions", path, "bank", *options]) == 0
    assert "620,000.00 CNY" in capsys.readouterr().out
    assert cli.run(["security", path, "loan-1", *options]) == 0
    assert "720,000.00 CNY" in capsys.readouterr().out
    assert cli.run(["security", path, "loan-2", *options]) == cli.FAILED
