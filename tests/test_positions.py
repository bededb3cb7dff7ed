"""What a party holds and owes, and what secures the loan, on the worked deal and in its default."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from default_deal import step
from finchain import cli
from finchain import instructions as do
from finchain.cli.exit_codes import FAILED
from finchain.demo_deal import Step
from finchain.domain.loan import Loan
from finchain.report import Due, Promise, Security, due, positions, promises, security
from played_deal import RECOVERY_DAY, case_a, case_b, played, recovered, until_maturity


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
            "loan-1", "CNY", ("cert-1 36000001",), ("guarantee-1",), 80_000_000, 0, 9_000, 72_000_000, 50_000_000,
            22_000_000, 0,
        )  # fmt: skip
        assert ("owes", "loan-1", 50_000_000) in shown(ledger, "shop")
        assert ("holds", "loan-1", 50_000_000) in shown(ledger, "bank")


def test_nothing_secures_a_loan_that_ended(tmp_path: Path) -> None:
    with played(tmp_path, case_a()) as ledger:
        found = security(ledger, "loan-1")
    assert (found.lots, found.eligible_minor, found.left_minor, found.over_advance_minor) == ((), 0, 0, 0)


def test_what_is_due_when(tmp_path: Path) -> None:
    """The certificate and the loan on the last day: 62 m and 13,412.50 of interest."""
    last = date(2026, 8, 31)
    with played(tmp_path, until_maturity()) as ledger:
        expected = [
            Due(last, "certificate", "cert-1", "daqi", "CNY", 116_000_000),
            Due(last, "loan", "loan-1", "shop", "CNY", 63_341_250),
        ]
        assert due(ledger) == due(ledger, last) == expected
        assert due(ledger, date(2026, 8, 30)) == []
        assert str(expected[1]).split()[1:3] == ["633,412.50", "CNY"]


def test_what_a_guarantor_owes_and_may_recover(tmp_path: Path) -> None:
    """80% of what is not paid; once it is paid the debtor owes it; 6.8 m come back a month later (7.1 steps 8, 9)."""
    until, figures = date(2027, 2, 28), {}
    steps = recovered()
    with played(tmp_path, []) as ledger:
        assert promises(ledger, "surety") == []
    for name, upto in (("before", len(until_maturity())), ("called", len(case_b()) - 1), ("after", len(steps))):
        (tmp_path / name).mkdir()
        with played(tmp_path / name, steps[:upto]) as ledger:
            (figures[name],) = promises(ledger, "surety")
            assert ledger.today <= RECOVERY_DAY
    rest = ("guarantee-1", "daqi", "CNY")
    assert figures == {
        "before": Promise(*rest, 92_800_000, 0, 0, 0, until),
        "called": Promise(*rest, 52_800_000, 52_800_000, 0, 0, until),
        "after": Promise(*rest, 0, 0, 52_800_000, 46_000_000, until),
    }
    assert "may recover 460,000.00" in str(figures["after"])


def guaranteed_loan() -> list[Step]:
    """The deal with a guarantor of the loan too, for nine tenths of principal and interest up to 60 m."""
    offer = do.OfferGuarantee(
        "guarantee-2", "surety", "shop", "loan", "loan-1", "CNY", "financing", "joint_several", "proportional", 9_000,
        60_000_000, ["principal", "interest"], do.Rate(1, 100), "act/360", "shop", date(2027, 8, 31), date(2026, 3, 6),
    )  # fmt: skip
    steps = []
    for each in until_maturity():
        orders = tuple(
            msgspec.structs.replace(order, guarantees=["guarantee-2"]) if isinstance(order, do.AgreeLoan) else order
            for order in each.instructions
        )
        if orders != each.instructions:
            steps.append(step(each.day, "The loan is to be guaranteed", ("surety",), offer))
        steps.append(replace(each, instructions=orders, figures=()))
    return steps


def test_a_guarantor_of_a_loan_may_have_to_pay_with_its_interest(tmp_path: Path) -> None:
    """Nine tenths of 62 m and 1,341,250 are 57,007,125, below the cap of 60 m."""
    with played(tmp_path, guaranteed_loan()) as ledger:
        assert security(ledger, "loan-1").guarantees == ("guarantee-2", "guarantee-1")
        assert security(ledger, "loan-1").guaranteed_minor == 60_000_000
        accrued = ledger.get(Loan, "loan-1").accrued_minor(ledger.today)
        of_loan = promises(ledger, "surety")[1]
        assert of_loan.exposure_minor == (9 * (62_000_000 + accrued) + 5) // 10
        assert (of_loan.debtor, of_loan.called_minor, of_loan.recoverable_minor) == ("shop", 0, 0)
        assert ledger.totals().balanced


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(tmp_path, until_maturity()) as ledger:
        path = str(ledger.path)
    options = ["--keys", str(tmp_path / "keys")]
    assert cli.run(["positions", path, "bank", *options, "--json"]) == 0
    assert '"id":"loan-1"' in capsys.readouterr().out
    assert cli.run(["positions", path, "bank", *options]) == 0
    assert "620,000.00 CNY" in capsys.readouterr().out
    assert cli.run(["due", path, "--until", "2026-12-31", *options]) == 0
    assert "633,412.50 CNY" in capsys.readouterr().out
    assert cli.run(["promises", path, "surety", *options, "--json"]) == 0
    assert '"exposure_minor":92800000' in capsys.readouterr().out
    assert cli.run(["security", path, "loan-1", *options]) == 0
    assert "720,000.00 CNY" in capsys.readouterr().out
    assert cli.run(["security", path, "loan-2", *options]) == FAILED
