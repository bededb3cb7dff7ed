"""What is booked of each kind of instruction: the rows of domain.md 2.11, and what the ledger has besides."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from book import MemoryBook, digest, town
from finchain import instructions as do
from finchain.domain.rule import Instruction
from journal import booked
from stories import MATURITY, A, agreed, apply, but, held, lent, transferred
from test_compensation import call, unpaid
from test_contribution import FIRST, SECOND, SHARE
from test_late import CLAIM as LATE_CLAIM
from test_loan_guarantee import OFFER as LOAN_OFFER
from test_loan_guarantee import overdue
from test_reduction import COUNTER, CREDIT, LATE, SET_OFF, WRITE_OFF

LOT, PRICE, DISCOUNT = 36_000_000, 35_203_200, 796_800
AGAINST = f"core {COUNTER.digest}"


@pytest.fixture
def claim() -> MemoryBook:
    """Of 1,000 claimed 600 are confirmed, of which 200 are pledged to the bank and 100 assigned to the factor."""
    ledger = town()
    apply(ledger, do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", MATURITY, "INV-7"), by={"shop"})
    apply(ledger, do.ConfirmReceivable("R-1", 600), by={"core"})
    pledge = do.PledgeReceivable("P-1", "R-1", "bank", 200, "0123", ledger.time_ms, digest("collateral"))
    assert booked(ledger, pledge, {"shop", "bank"}) == {}
    assert booked(ledger, do.AssignReceivable("A-1", "R-1", "factor", 100), {"shop", "factor"}) == {
        "shop": [("Dr R", "factor", 100, "A-1"), ("Cr R", "core", 100, "R-1")],
        "factor": [("Dr R", "core", 100, "R-1"), ("Cr P", "shop", 100, "A-1")],
        "core": [("Dr P", "shop", 100, "R-1"), ("Cr P", "factor", 100, "R-1")],
    }
    return ledger


def paid(amount_minor: int, payee: str, **more: object) -> do.SettleReceivable:
    return msgspec.structs.replace(
        do.SettleReceivable("R-1", amount_minor, payee, "IN-1", digest("in")), **more
    )  # fmt: skip


# --- claims -----------------------------------------------------------------------------------------------------


def test_a_credit_note_and_its_reversal(claim: MemoryBook) -> None:
    assert booked(claim, CREDIT, {"shop"}) == {
        "shop": [("Dr revenue", "core", 100, "R-1"), ("Cr R", "core", 100, "R-1")],
        "core": [("Dr P", "shop", 100, "R-1"), ("Cr cost", "shop", 100, "R-1")],
    }
    assert booked(claim, do.ReverseReduction("X-1", "wrong customer"), {"shop"}) == {
        "shop": [("Dr R", "core", 100, "R-1"), ("Cr revenue", "core", 100, "R-1")],
        "core": [("Dr cost", "shop", 100, "R-1"), ("Cr P", "shop", 100, "R-1")],
    }


def test_a_credit_note_on_an_assigned_part_is_the_assignees_loss(claim: MemoryBook) -> None:
    assert booked(claim, but(CREDIT, part="A-1", amount_minor=40), {"shop", "factor"}) == {
        "factor": [("Dr loss", "core", 40, "R-1"), ("Cr R", "core", 40, "R-1")],
        "core": [("Dr P", "factor", 40, "R-1"), ("Cr cost", "factor", 40, "R-1")],
    }


def test_what_is_set_off_pays_the_counterclaim(claim: MemoryBook) -> None:
    assert booked(claim, SET_OFF, {"shop", "core"}) == {
        "shop": [("Dr P", "core", 100, AGAINST), ("Cr R", "core", 100, "R-1")],
        "core": [("Dr P", "shop", 100, "R-1"), ("Cr R", "shop", 100, AGAINST)],
    }


def test_what_is_written_off_is_a_loss_and_still_owed(claim: MemoryBook) -> None:
    """2.11 "write-off: Dr loss / Cr R; debtor none"; paid after all, the loss is less."""
    claim.move_to(LATE)
    assert booked(claim, WRITE_OFF, {"shop"}) == {
        "shop": [("Dr loss", "core", 100, "R-1"), ("Cr R", "core", 100, "R-1"), ("Dr OFF", "core", 100, "R-1")],
    }
    found = do.RecoverReceivable("X-1", 30, "shop", "IN-9", digest("late"))
    assert booked(claim, found, {"shop"}) == {
        "shop": [
            ("Dr CASH", "core", 30, ""), ("Cr loss", "core", 30, "R-1"), ("Cr OFF", "core", 30, "R-1"),
        ],
        "core": [("Dr P", "shop", 30, "R-1"), ("Cr CASH", "shop", 30, "")],
    }  # fmt: skip


def test_a_dispute_moves_nothing_until_it_is_resolved(claim: MemoryBook) -> None:
    """Of what was confirmed the reduced part is credited; of what was pending the owed part is confirmed."""
    for id, stage in (("D-1", "confirmed"), ("D-2", "pending")):
        deny = do.DisputeReceivable(id, "R-1", stage, 100, "broken screens")  # type: ignore[arg-type]
        assert booked(claim, deny, {"core"}) == {}
    assert booked(claim, do.ResolveDispute("D-1", 60, 40), {"shop", "core"}) == {
        "shop": [("Dr revenue", "core", 40, "R-1"), ("Cr R", "core", 40, "R-1")],
        "core": [("Dr P", "shop", 40, "R-1"), ("Cr cost", "shop", 40, "R-1")],
    }
    assert booked(claim, do.ResolveDispute("D-2", 60, 40), {"shop", "core"}) == {
        "shop": [("Dr R", "core", 60, "R-1"), ("Cr revenue", "core", 60, "R-1")],
        "core": [("Dr cost", "shop", 60, "R-1"), ("Cr P", "shop", 60, "R-1")],
    }


def test_a_claim_is_paid_and_the_payment_taken_back(claim: MemoryBook) -> None:
    assert booked(claim, paid(50, "shop"), {"shop"}) == {
        "shop": [("Dr CASH", "core", 50, ""), ("Cr R", "core", 50, "R-1")],
        "core": [("Dr P", "shop", 50, "R-1"), ("Cr CASH", "shop", 50, "")],
    }
    assert booked(claim, do.ReversePayment("R-1", 50, "shop", "IN-1", "another customer"), {"shop"}) == {
        "shop": [("Dr R", "core", 50, "R-1"), ("Cr CASH", "core", 50, "")],
        "core": [("Dr CASH", "shop", 50, ""), ("Cr P", "shop", 50, "R-1")],
    }


def test_who_is_paid_what_another_owns_owes_it(claim: MemoryBook) -> None:
    """The creditor before notice of an assignment; a pledgee that has no loan on the ledger."""
    assert booked(claim, paid(100, "shop", part="A-1"), {"shop"}) == {
        "shop": [("Dr CASH", "core", 100, ""), ("Cr P", "factor", 100, "A-1")],
        "factor": [("Dr R", "shop", 100, "A-1"), ("Cr R", "core", 100, "R-1")],
        "core": [("Dr P", "factor", 100, "R-1"), ("Cr CASH", "shop", 100, "")],
    }
    assert booked(claim, paid(200, "bank", part="P-1"), {"bank"}) == {
        "shop": [("Dr R", "bank", 200, "P-1"), ("Cr R", "core", 200, "R-1")],
        "bank": [("Dr CASH", "core", 200, ""), ("Cr P", "shop", 200, "P-1")],
        "core": [("Dr P", "shop", 200, "R-1"), ("Cr CASH", "bank", 200, "")],
    }


@pytest.mark.parametrize(
    ("instruction", "by"),
    [
        (do.ReleaseReceivable("A-1", 100), {"factor"}),
        (do.ReversePart("A-1", "wrong claim"), {"shop", "factor"}),
    ],
)
def test_a_part_that_goes_back_was_never_paid_for(claim: MemoryBook, instruction: Instruction, by: set[str]) -> None:
    assert booked(claim, instruction, by) == {
        "shop": [("Dr R", "core", 100, "R-1"), ("Cr R", "factor", 100, "A-1")],
        "factor": [("Dr P", "shop", 100, "A-1"), ("Cr R", "core", 100, "R-1")],
        "core": [("Dr P", "factor", 100, "R-1"), ("Cr P", "shop", 100, "R-1")],
    }


def test_a_credit_after_the_certificate_is_lower_cost_and_no_sale() -> None:
    ledger = held()
    assert booked(ledger, do.CreditConverted("B", "R", 10, "CN-1", MATURITY), {"shop"}) == {
        "shop": [("Dr revenue", "core", 10, "B"), ("Cr P", "core", 10, "B")],
        "core": [("Dr R", "shop", 10, "B"), ("Cr cost", "shop", 10, "B")],
    }


def test_interest_for_late_payment_is_posted_paid_and_given_up() -> None:
    """Vector 17: 1,000,000 late by 30 days cost 15,000."""
    ledger = town()
    apply(ledger, LATE_CLAIM, by={"shop"})
    apply(ledger, do.ConfirmReceivable("R-1", 1_000_000), by={"core"})
    ledger.move_to(MATURITY + timedelta(30))
    owed = "R-1 shop"
    late = booked(ledger, paid(1_000_000, "shop"), {"shop"})
    assert {("Dr R", "core", 15_000, owed), ("Cr FI", "core", 15_000, owed)} <= set(late["shop"])
    assert {("Dr FE", "shop", 15_000, owed), ("Cr P", "shop", 15_000, owed)} <= set(late["core"])
    receipt = do.ReceiveLateInterest("R-1", "shop", 14_000, "IN-2", digest("in 2"))
    assert booked(ledger, receipt, {"shop"})["shop"] == [
        ("Dr CASH", "core", 14_000, ""),
        ("Cr R", "core", 14_000, owed),
    ]
    assert booked(ledger, do.WaiveLateInterest("R-1", "shop", 1_000, "goodwill"), {"shop"}) == {
        "shop": [("Dr loss", "core", 1_000, owed), ("Cr R", "core", 1_000, owed)],
        "core": [("Dr P", "shop", 1_000, owed), ("Cr FE", "shop", 1_000, owed)],
    }


# --- certificates -----------------------------------------------------------------------------------------------


def agreed_sale(*, recourse: bool) -> tuple[MemoryBook, do.SettleSale]:
    """The second tier and a factor have agreed on a sale, whose price is on its way."""
    ledger, day = transferred(), date(2026, 3, 18)
    ledger.move_to(day)
    sale = do.OfferSale("C 1", "factor", LOT, PRICE, do.Rate(480, 10_000), "act/360", day, recourse=recourse)
    apply(ledger, sale, by=["tier2"])
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    return ledger, do.SettleSale("C 1", PRICE, "DVP-1", digest("dvp"))


def test_a_sale_with_recourse_is_a_loan_to_both() -> None:
    """2.11: R.cert stays with the seller; the debtor's payment ends receivable and loan at once."""
    ledger, settle = agreed_sale(recourse=True)
    assert booked(ledger, settle, {"clearer"}) == {
        "tier2": [
            ("Dr CASH", "factor", PRICE, ""), ("Dr FE.deferred", "factor", DISCOUNT, "C"),
            ("Cr LL", "factor", LOT, "C"),
        ],
        "factor": [
            ("Dr LN", "tier2", LOT, "C"), ("Cr CASH", "tier2", PRICE, ""), ("Cr FI.unearned", "tier2", DISCOUNT, "C"),
        ],
    }  # fmt: skip
    ledger.move_to(MATURITY)
    last = booked(ledger, do.PayCertificate("C", A, "PAY-1", digest("pay")), {"clearer"})
    assert last["factor"] == [("Dr CASH", "core", LOT, ""), ("Cr LN", "tier2", LOT, "C")]
    assert last["tier2"] == [("Dr LL", "factor", LOT, "C"), ("Cr R.cert", "core", LOT, "C")]


@pytest.mark.parametrize("recourse", [True, False])
@pytest.mark.parametrize(("price", "gain"), [(LOT - 5, -5), (LOT, 0), (LOT + 5, 5)])
def test_a_buy_back_is_a_sale_the_other_way(recourse: bool, price: int, gain: int) -> None:
    ledger, settle = agreed_sale(recourse=recourse)
    apply(ledger, settle, by=["clearer"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    back = do.BuyBackLot("C 1", "tier2", price, "recourse", "BACK-1", digest("back"))
    if not recourse:
        back = but(back, grounds="warranty", evidence=digest("no such delivery"))
    found = booked(ledger, back, {"factor", "tier2"})
    given, taken = ("LN", "LL") if recourse else ("R.cert", "R.cert")
    other = ("tier2", "factor") if recourse else ("core", "core")
    factor = {("Dr CASH", "tier2", price, ""), (f"Cr {given}", other[0], LOT, "C")}
    tier2 = {("Cr CASH", "factor", price, ""), (f"Dr {taken}", other[1], LOT, "C")}
    if gain < 0:
        factor.add(("Dr FE", "tier2", 5, "C"))
        tier2.add(("Cr FI.unearned", "factor", 5, "C"))
    elif gain > 0:
        factor.add(("Cr FI", "tier2", 5, "C"))
        tier2.add(("Dr FE", "factor", 5, "C"))
    assert (set(found["factor"]), set(found["tier2"])) == (factor, tier2)


def test_a_transfer_that_is_reversed_has_paid_nothing() -> None:
    assert booked(transferred(), do.ReverseTransfer("C 1"), {"tier2", "shop"}) == {
        "shop": [("Dr R.cert", "core", LOT, "C"), ("Cr P", "tier2", LOT, "C 1")],
        "tier2": [("Dr R", "shop", LOT, "C 1"), ("Cr R.cert", "core", LOT, "C")],
        "core": [("Dr P.cert", "tier2", LOT, "C"), ("Cr P.cert", "shop", LOT, "C")],
    }


def test_a_lot_is_paid_early_for_less_or_forgiven() -> None:
    early = do.PayLotEarly("C 1", LOT - 7, "EARLY-1", digest("early"))
    assert booked(transferred(), early, {"tier2", "clearer"}) == {
        "tier2": [("Dr CASH", "core", LOT - 7, ""), ("Dr FE", "core", 7, "C"), ("Cr R.cert", "core", LOT, "C")],
        "core": [("Dr P.cert", "tier2", LOT, "C"), ("Cr CASH", "tier2", LOT - 7, ""), ("Cr FI", "tier2", 7, "C")],
    }
    assert booked(transferred(), do.WaiveLot("C 1"), {"tier2"}) == {
        "tier2": [("Dr loss", "core", LOT, "C"), ("Cr R.cert", "core", LOT, "C")],
        "core": [("Dr P.cert", "tier2", LOT, "C"), ("Cr cost", "tier2", LOT, "C")],
    }


def test_a_certificate_that_is_called_off_is_a_claim_again() -> None:
    found = booked(transferred(), do.CancelCertificate("C"), {"core", "shop", "tier2"})
    assert found["tier2"] == [("Dr R", "shop", LOT, "C 1"), ("Cr R.cert", "core", LOT, "C")]
    assert set(found["shop"]) == {
        ("Dr R", "core", A, "R"), ("Cr R.cert", "core", A - LOT, "C"), ("Cr P", "tier2", LOT, "C 1"),
    }  # fmt: skip
    assert set(found["core"]) == {
        ("Dr P.cert", "shop", A - LOT, "C"), ("Dr P.cert", "tier2", LOT, "C"), ("Cr P", "shop", A, "R"),
    }  # fmt: skip


def test_a_lot_that_is_written_off_and_paid() -> None:
    ledger = transferred()
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    assert booked(ledger, do.WriteOffLot("C 1", digest("resolution")), {"tier2"}) == {
        "tier2": [("Dr loss", "core", LOT, "C"), ("Cr R.cert", "core", LOT, "C"), ("Dr OFF", "core", LOT, "C")],
    }
    last = booked(ledger, do.PayCertificate("C", A, "PAY-1", digest("pay")), {"clearer"})
    assert last["tier2"] == [("Dr CASH", "core", LOT, ""), ("Cr loss", "core", LOT, "C"), ("Cr OFF", "core", LOT, "C")]


# --- loans and guarantees ---------------------------------------------------------------------------------------


def test_a_disbursement_that_was_an_error_goes_back() -> None:
    assert booked(lent(), do.ReverseDisbursement("L", "one", "OUT-one", "sent elsewhere"), {"shop", "bank"}) == {
        "shop": [("Dr LL", "bank", 50_000_000, "L"), ("Cr CASH.ctl", "bank", 50_000_000, "acc")],
        "bank": [("Dr CASH", "shop", 50_000_000, ""), ("Cr LN", "shop", 50_000_000, "L")],
    }
    assert booked(agreed(), do.DrawLoan("L", "one", 50_000_000), {"shop", "bank"}) == {}, "reserved, and not lent"


def test_charges_of_a_loan_are_posted_waived_and_written_off() -> None:
    """175 days at 4.35% on 50 m are 1,057,292, posted when the lender gives 292 of it up."""
    ledger = lent()
    ledger.move_to(MATURITY)
    costs = do.ChargeLoan("L", "costs", 10_000, digest("bill"))
    assert booked(ledger, costs, {"shop", "bank"}) == {
        "bank": [("Dr LN.int", "shop", 10_000, "L"), ("Cr FI", "shop", 10_000, "L")],
        "shop": [("Dr FE", "bank", 10_000, "L"), ("Cr LL.int", "bank", 10_000, "L")],
    }
    assert booked(ledger, do.WaiveCharge("L", "interest", 292), {"bank"}) == {
        "bank": [
            ("Dr loss", "shop", 292, "L"), ("Dr LN.int", "shop", 1_057_000, "L"), ("Cr FI", "shop", 1_057_292, "L"),
        ],
        "shop": [("Dr FE", "bank", 1_057_000, "L"), ("Cr LL.int", "bank", 1_057_000, "L")],
    }  # fmt: skip
    assert booked(ledger, do.WriteOffLoan("L", digest("resolution")), {"bank"}) == {
        "bank": [
            ("Dr loss", "shop", 51_067_000, "L"), ("Cr LN", "shop", 50_000_000, "L"),
            ("Cr LN.int", "shop", 1_067_000, "L"), ("Dr OFF", "shop", 51_067_000, "L"),
        ]
    }  # fmt: skip
    repaid = do.ReceiveRepayment("L", 51_067_000, "IN-1", digest("repaid"))
    assert booked(ledger, repaid, {"bank"})["bank"] == [
        ("Dr CASH", "shop", 51_067_000, ""), ("Cr loss", "shop", 51_067_000, "L"),
        ("Cr OFF", "shop", 51_067_000, "L"),
    ]  # fmt: skip


def test_what_the_guarantor_of_a_loan_pays_the_borrower_owes_it() -> None:
    """Compensation, recovery and what it forgives; the borrower owes as much as before."""
    ledger = overdue(but(LOAN_OFFER, scope=["principal"]))
    apply(ledger, do.DemandCompensation("G", "L", 10_000_000), by=["bank"])
    found = booked(ledger, do.CompensateLoss("G", 10_000_000, "COMP-1", digest("c")), {"guarantor", "bank"})
    assert set(found["guarantor"]) == {
        ("Dr SUB", "shop", 10_000_000, "L"), ("Cr CASH", "bank", 10_000_000, ""), ("Cr CG", "shop", 10_000_000, "G"),
    }  # fmt: skip
    assert {("Dr LL", "bank", 10_000_000, "L"), ("Cr LL", "guarantor", 10_000_000, "L")} <= set(found["shop"])
    assert {("Dr CASH", "guarantor", 10_000_000, ""), ("Cr LN", "shop", 10_000_000, "L")} <= set(found["bank"])
    assert booked(ledger, do.WaiveRecovery("G", 1_000_000), {"guarantor"}) == {
        "guarantor": [("Dr loss", "shop", 1_000_000, "L"), ("Cr SUB", "shop", 1_000_000, "L")],
        "shop": [("Dr LL", "guarantor", 1_000_000, "L"), ("Cr cost", "guarantor", 1_000_000, "L")],
    }


def test_a_guarantor_pays_its_share_to_another() -> None:
    ledger = unpaid(FIRST, SECOND)
    call(ledger, "C 1", 3_000_000)
    call(ledger, "C 4000001", 3_000_000)
    found = booked(ledger, but(SHARE, amount_minor=2_000_000), {"guarantor", "second"})
    assert [row for row in found["guarantor"] if row[0] != "Cr CG"] == [
        ("Dr CASH", "second", 2_000_000, ""), ("Cr SUB", "core", 2_000_000, "C"),
    ]  # fmt: skip
    assert {("Dr SUB", "core", 2_000_000, "C"), ("Cr CASH", "guarantor", 2_000_000, "")} <= set(found["second"])
