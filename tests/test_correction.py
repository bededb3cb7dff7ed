"""Postings that were errors: who takes them back, until when, and that the entry is then posted where it belongs."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from stories import GUARANTEE, apply, but, lent
from test_account import ASK
from test_collateral import lent as lent_on_claims
from test_collateral import settle
from test_debts import owed
from test_guarantee import guaranteed

BOTH = ["shop", "bank"]


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash) if each.net_minor}


# --- draws -----------------------------------------------------------------------------------------------------

SECOND = do.DrawLoan("L", "two", 22_000_000)
BACK = do.ReverseDisbursement("L", "one", "OUT-one", "sent to another account")


def test_a_draw_that_is_not_paid_out_is_taken_back_by_both() -> None:
    ledger = lent()
    apply(ledger, SECOND, by=BOTH)
    with refused(ledger, "loan.cap_exceeded"):
        ledger.apply(but(SECOND, name="three", amount_minor=1), by=BOTH)
    cancel = do.CancelDraw("L", "two")
    for missing in BOTH:
        with refused(ledger, "loan.not_signed"):
            ledger.apply(cancel, by=set(BOTH) - {missing})
    apply(ledger, cancel, by=BOTH)
    assert ledger.get(Loan, "L").reserved_minor == 0
    with refused(ledger, "loan.bad_state"):
        ledger.apply(cancel, by=BOTH)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.CancelDraw("L", "one"), by=BOTH)
    apply(ledger, but(SECOND, name="three"), by=BOTH)


def test_a_disbursement_that_never_was_is_taken_back_and_stated_anew() -> None:
    """The lender's entry keeps its number and its content, and is posted once more, to the cent and the day."""
    ledger = lent()
    for missing in ("lender", "reason", "reference", "draw"):
        wrong: dict[str, Any] = {"reason": {"reason": " "}, "reference": {"reference": "OUT-1"}, "draw": {"name": "x"}}
        codes = {"lender": "loan.not_signed", "reason": "loan.reference", "reference": "loan.not_posted"}
        with refused(ledger, codes.get(missing, "loan.bad_state")):
            ledger.apply(but(BACK, **wrong.get(missing, {})), by=["shop"] if missing == "lender" else ["bank"])
    apply(ledger, BACK, by=["bank"])
    assert cash(ledger) == {}
    loan = ledger.get(Loan, "L")
    assert (loan.drawn_minor, loan.reserved_minor, ledger.get(Account, "acc").settled_minor) == (0, 50_000_000, 0)
    with refused(ledger, "loan.dependant"):
        ledger.apply(BACK, by=["bank"])
    again = do.DisburseLoan("L", "one", 50_000_000, "OUT-one", digest("one"))
    for changes in ({"amount_minor": 49_999_999}, {"digest": digest("other")}):
        with refused(ledger, "loan.duplicate"):
            ledger.apply(but(again, **changes), by=["bank"])
    apply(ledger, again, by=["bank"])
    assert ledger.get(Loan, "L").outstanding_minor == 50_000_000
    with refused(ledger, "loan.duplicate"):
        ledger.apply(SECOND, but(again, name="two", amount_minor=22_000_000), by=BOTH)


def test_a_disbursement_of_less_waits_for_no_more_when_it_is_taken_back() -> None:
    """What paying less had freed is drawn by now, and both together would be beyond the limit (I-10)."""
    ledger = lent()
    apply(ledger, SECOND, do.DisburseLoan("L", "two", 1_000_000, "OUT-two", digest("two")), by=BOTH)
    apply(ledger, but(SECOND, name="three", amount_minor=21_000_000), by=BOTH)
    apply(ledger, but(BACK, name="two", reference="OUT-two"), by=["bank"])
    assert ledger.get(Loan, "L").reserved_minor == 22_000_000
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.DisburseLoan("L", "two", 1_000_001, "OUT-three", digest("three")), by=["bank"])
    apply(ledger, do.DisburseLoan("L", "two", 1_000_000, "OUT-two", digest("two")), by=["bank"])


def test_what_came_of_a_disbursement_keeps_it() -> None:
    """Money that was asked for is on its way, a prepayment has repaid a part, a month has been closed."""
    ledger = lent()
    apply(ledger, ASK, by=["shop"])
    with refused(ledger, "loan.dependant"):
        ledger.apply(BACK, by=["bank"])
    apply(ledger, do.RejectPayment("P", "wrong"), by=["bank"])
    ledger.copy().apply(BACK, by=["bank"])
    prepaid = ledger.copy()
    apply(prepaid, do.PrepayLoan("L", 1), by=["shop"])
    apply(prepaid, do.ReceivePrepayment("L", 1, "IN-1", digest("in")), by=["bank"])
    with refused(prepaid, "loan.dependant"):
        prepaid.apply(BACK, by=["bank"])
    ledger.move_to(date(2026, 3, 31))
    ledger.copy().apply(BACK, by=["bank"])
    ledger.advance(1)
    with refused(ledger, "loan.period"):
        ledger.apply(BACK, by=["bank"])


def test_interest_that_was_posted_keeps_a_disbursement() -> None:
    """A loan that was called is due, and its interest may be in a book already."""
    ledger = lent()
    apply(ledger, do.AccelerateLoan("L", "default", digest("default")), by=["bank"])
    with refused(ledger, "loan.dependant"):
        ledger.apply(BACK, by=["bank"])


# --- fees ------------------------------------------------------------------------------------------------------

FEE = do.ReceiveGuaranteeFee("G", 464_000, "IN-1", digest("fee"))
NO_FEE = do.ReverseFee("G", "IN-1", "another guarantee's")


def with_fee(**changes: Any) -> MemoryBook:
    """The fee of a guarantee of a certificate is ordered and received."""
    ledger = guaranteed(but(GUARANTEE, **changes))
    apply(ledger, do.PayGuaranteeFee("G", 464_000), by=["core"])
    apply(ledger, FEE, by=["guarantor"])
    return ledger


def test_a_fee_that_did_not_come_is_owed_again() -> None:
    ledger = with_fee()
    for by in (["core"], ["guarantor"]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(NO_FEE, by=by)
    for changes, code in (({"reference": "IN-2"}, "guarantee.not_posted"), ({"reason": " "}, "guarantee.reference")):
        with refused(ledger, code):
            ledger.apply(but(NO_FEE, **changes), by=["core", "guarantor"])
    apply(ledger, NO_FEE, by=["core", "guarantor"])
    assert (ledger.get(Guarantee, "G").fee_paid_minor, cash(ledger)) == (0, {})
    with refused(ledger, "guarantee.not_posted"):
        ledger.apply(NO_FEE, by=["core", "guarantor"])
    apply(ledger, FEE, by=["guarantor"])
    assert cash(ledger) == {"core": -464_000, "guarantor": 464_000}


def test_a_guarantee_that_rests_on_its_fee_keeps_it() -> None:
    ledger = with_fee(fee_first=True)
    with refused(ledger, "guarantee.dependant"):
        ledger.apply(NO_FEE, by=["core", "guarantor"])
    ledger = with_fee()
    apply(ledger, do.ReleaseGuarantee("G"), by=["shop"])
    with refused(ledger, "guarantee.dependant"):
        ledger.apply(NO_FEE, by=["core", "guarantor"])


# --- payments of claims ----------------------------------------------------------------------------------------

PAID = do.SettleReceivable("R-1", 600, "shop", "IN-1", digest("in"))
UNDO = do.ReversePayment("R-1", 600, "shop", "IN-1", "was for the other invoice")


def test_a_payment_posted_to_the_wrong_claim_is_posted_to_the_right_one() -> None:
    ledger = owed(bank="clearer")
    ledger.apply(PAID, by={"clearer"})
    for by in ({"clearer"}, {"shop"}):
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(UNDO, by=by)
    apply(ledger, UNDO, by={"clearer", "shop"})
    assert cash(ledger) == {}
    assert {each.id: (each.free, each.settled) for each in ledger.all(Receivable)} == {
        "R-1": (1_000, 0), "R-2": (1_000, 0),
    }  # fmt: skip
    with refused(ledger, "receivable.duplicate"):
        ledger.apply(but(PAID, id="R-2", amount_minor=601), by={"clearer"})
    apply(ledger, but(PAID, id="R-2"), by={"clearer"})
    assert ledger.get(Receivable, "R-2").settled == 600
    with refused(ledger, "receivable.not_posted"):
        ledger.apply(UNDO, by={"clearer", "shop"})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": 599}, "receivable.not_posted"), ({"reference": "IN-2"}, "receivable.not_posted"),
        ({"id": "R-2"}, "receivable.not_posted"), ({"reason": ""}, "receivable.reference"),
        ({"part": "P"}, "part.not_found"),
    ],
)  # fmt: skip
def test_only_what_was_posted_is_taken_back(changes: dict[str, Any], code: str) -> None:
    ledger = owed()
    ledger.apply(PAID, by={"shop"})
    with refused(ledger, code):
        ledger.apply(but(UNDO, **changes), by={"shop"})


def test_a_payment_of_a_part_goes_back_to_the_part() -> None:
    ledger = owed()
    ledger.apply(do.AssignReceivable("P", "R-1", "factor", 600, notice=digest("n")), by={"shop", "factor"})
    ledger.apply(but(PAID, payee="factor", part="P"), by={"factor"})
    with refused(ledger, "receivable.not_posted"):
        ledger.apply(UNDO, by={"shop"})
    apply(ledger, but(UNDO, payee="factor", part="P"), by={"factor"})
    assert ledger.get(Part, "P").amount_minor == ledger.get(Receivable, "R-1").assigned == 600


def test_the_month_of_the_payment_is_its_own() -> None:
    ledger = owed()
    ledger.apply(PAID, by={"shop"})
    ledger.advance(1)
    with refused(ledger, "receivable.period"):
        ledger.apply(UNDO, by={"shop"})


def test_a_payment_that_repaid_a_loan_or_several_debts_stays() -> None:
    ledger = lent_on_claims()
    ledger.advance(1)
    apply(ledger, settle(72_000), by={"clearer"})
    undo = do.ReversePayment("R", 72_000, "bank", "IN-1", "an error", "P")
    with refused(ledger, "receivable.not_posted"):
        ledger.apply(undo, by={"clearer", "bank"})
    ledger = owed()
    paid = do.ReceiveForDebts("core", "shop", 600, [], ["R-1", "R-2"], [], "IN-1", digest("in"))
    ledger.apply(paid, by={"shop"})
    with refused(ledger, "receivable.not_posted"):
        ledger.apply(but(UNDO, id="R-2"), by={"shop"})


def test_interest_that_came_with_a_late_payment_keeps_it() -> None:
    ledger = owed(late=do.LateTerms())
    for claim, code in (("R-1", None), ("R-2", "receivable.dependant")):
        ledger.apply(but(PAID, id=claim, reference=claim), by={"shop"})
        undo = msgspec.structs.replace(UNDO, id=claim, reference=claim)
        if code is None:
            apply(ledger, undo, by={"shop"})
            continue
        with refused(ledger, code):
            ledger.apply(undo, by={"shop"})
    assert ledger.get(Receivable, "R-2").posted is not Absent
    assert ledger.today == ledger.get(Receivable, "R-1").payable == date(2026, 6, 30)
