"""The day of payment: whole, in part, too much, too early, and over lots that secure a loan."""

from __future__ import annotations

from datetime import date

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.invariants import check_all
from finchain.domain.loan import Loan
from finchain.domain.receivable import Receivable
from stories import GUARANTEE, ISSUE, LOAN, MATURITY, A, agreed, apply, but, confirmed, draw, held, lent, transferred

PAY = do.PayCertificate("C", A, "PAY-1", digest("payment"))


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash)}


def worked_example(loan: do.AgreeLoan = LOAN) -> MemoryBook:
    """50 m drawn on 9 March, 22 m on 8 April, 10 m prepaid on 8 June; today is the day of payment."""
    ledger = lent(loan)
    draw(ledger, date(2026, 4, 8), 22_000_000, "two")
    ledger.move_to(date(2026, 6, 8))
    apply(ledger, do.PrepayLoan("L", 10_000_000), by=["shop"])
    received = do.ReceivePrepayment("L", 10_000_000, "IN-1", digest("prepayment"))
    apply(ledger, received, by=["bank"])
    ledger.move_to(MATURITY)
    return ledger


def test_only_the_settlement_bank_states_a_payment() -> None:
    ledger = held()
    for by in ("core", "bank", "shop"):
        with refused(ledger, "certificate.not_signed"):
            ledger.apply(PAY, by=[by])
    ledger.apply(PAY, by=(), service=["clearer"])
    check_all(ledger.records.values())


def test_what_cannot_be_paid() -> None:
    ledger = confirmed()
    with refused(ledger, "certificate.not_found"):
        ledger.apply(PAY, by=["clearer"])
    apply(ledger, ISSUE, by=["core"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(PAY, by=["clearer"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    with refused(ledger, "certificate.amount"):
        ledger.apply(but(PAY, amount_minor=0), by=["clearer"])
    with refused(ledger, "certificate.value_date"):
        ledger.apply(but(PAY, value_date=date(2026, 3, 3)), by=["clearer"])
    apply(ledger, PAY, by=["clearer"])
    for again in (PAY, but(PAY, reference="PAY-2")):
        with refused(ledger, "certificate.bad_state"):
            ledger.apply(again, by=["clearer"])


def test_one_fen_too_much_is_the_debtors() -> None:
    """Vector 25: it stays with the bank in suspense, and never goes to the holders."""
    ledger = transferred()
    ledger.move_to(MATURITY)
    apply(ledger, but(PAY, amount_minor=A + 1), by=["clearer"])
    assert ledger.get(Certificate, "C").suspense_minor == 1
    assert cash(ledger) == {"core": -A, "shop": 80_000_000, "tier2": 36_000_000}


def test_a_part_is_shared_and_settles_the_lowest_units() -> None:
    """Rule P over 36 m and 80 m: 15,517,241 and 34,482,759 (7.1 step 8)."""
    ledger = transferred()
    ledger.move_to(MATURITY)
    apply(ledger, but(PAY, amount_minor=50_000_000), by=["clearer"])
    assert cash(ledger) == {"core": -50_000_000, "shop": 34_482_759, "tier2": 15_517_241}
    assert [(lot.first, lot.last) for lot in ledger.all(Lot)] == [(15_517_242, 36_000_000), (70_482_760, A)]
    assert ledger.get(Certificate, "C").status == "part_paid"
    assert ledger.get(Receivable, "R").conv_settled == 50_000_000
    apply(ledger, but(PAY, reference="PAY-2", amount_minor=66_000_000), by=["clearer"])
    assert cash(ledger) == {"core": -A, "shop": 80_000_000, "tier2": 36_000_000}


def test_two_payments_may_round_otherwise_than_one() -> None:
    """30 m and then 20 m give 15,517,242 and 34,482,758 (7.1 step 10)."""
    ledger = transferred()
    ledger.move_to(MATURITY)
    apply(ledger, but(PAY, amount_minor=30_000_000), by=["clearer"])
    apply(ledger, but(PAY, reference="PAY-2", amount_minor=20_000_000), by=["clearer"])
    assert cash(ledger) == {"core": -50_000_000, "shop": 34_482_758, "tier2": 15_517_242}


def test_units_settle_the_claims_that_they_were_made_of() -> None:
    """Of two claims the first covers the lower units, whoever holds them."""
    ledger = confirmed()
    apply(ledger, do.SubmitReceivable("R2", "shop", "core", 400, "CNY", MATURITY, "INV-8"), by=["shop"])
    apply(ledger, do.ConfirmReceivable("R2", 400), by=["core"])
    claims = [do.ClaimShare("R", 600), do.ClaimShare("R2", 400)]
    apply(ledger, but(ISSUE, amount_minor=1_000, claims=claims), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    apply(ledger, but(PAY, amount_minor=700), by=["clearer"])
    assert (ledger.get(Receivable, "R").converted, ledger.get(Receivable, "R2").converted) == (0, 300)


def test_an_offer_of_units_that_were_paid_is_over() -> None:
    ledger = transferred()
    ledger.move_to(date(2026, 8, 25))
    apply(ledger, do.OfferTransfer("C 1", "payee", 36_000_000, digest("t"), recourse=False), by=["tier2"])
    apply(ledger, but(PAY, amount_minor=50_000_000), by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["payee"])


# --- lots that secure a loan ------------------------------------------------------------------------------------


def test_the_money_of_a_pledged_lot_repays_the_loan_first() -> None:
    ledger = worked_example()
    apply(ledger, PAY, by=["clearer"])
    assert ledger.get(Loan, "L").status == "ended"
    assert cash(ledger)["bank"] == 1_341_250
    assert cash(ledger)["shop"] == 72_000_000 - 10_000_000 + 16_658_750


def test_a_loan_that_is_not_due_takes_principal_where_prepayment_was_agreed() -> None:
    ledger = lent()
    ledger.move_to(date(2026, 6, 8))
    apply(ledger, but(PAY, amount_minor=A), by=["clearer"])
    loan = ledger.get(Loan, "L")
    assert (loan.outstanding_minor, loan.status, loan.collateral) == (0, "repaid", ())
    assert loan.accrued_minor(MATURITY) == 549_792
    assert cash(ledger)["bank"] == 0
    # What is left of the lot's money secures the interest that is due at maturity.
    assert ledger.get(Account, "acc").settled_minor == 50_000_000 + 30_000_000


def test_elsewhere_the_money_waits_on_the_controlled_account() -> None:
    ledger = lent(but(LOAN, prepayment="none"))
    ledger.move_to(date(2026, 6, 8))
    apply(ledger, PAY, by=["clearer"])
    assert ledger.get(Loan, "L").outstanding_minor == 50_000_000
    assert ledger.get(Account, "acc").settled_minor == 50_000_000 + 80_000_000
    assert cash(ledger)["shop"] == 50_000_000 + 80_000_000


def test_a_loan_that_nobody_drew_takes_nothing() -> None:
    ledger = agreed()
    ledger.move_to(MATURITY)
    apply(ledger, PAY, by=["clearer"])
    assert ledger.get(Loan, "L").status == "ended"
    assert cash(ledger) == {"core": -A, "shop": 80_000_000, "tier2": 36_000_000}


def test_the_payment_is_not_valued_before_the_loans_last_posting() -> None:
    ledger = worked_example()
    late = do.ReceiveRepayment("L", 1_000, "IN-2", digest("late"))
    apply(ledger, late, by=["bank"])
    ledger.advance(1)
    with refused(ledger, "loan.value_date"):
        ledger.apply(but(PAY, value_date=date(2026, 8, 30)), by=["clearer"])
    apply(ledger, but(PAY, value_date=MATURITY), by=["clearer"])


# --- and the guarantee ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("paid", "status"), [(A - 1, "effective"), (A, "released")])
def test_the_guarantee_ends_with_the_last_unit(paid: int, status: str) -> None:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    ledger.move_to(MATURITY)
    apply(ledger, but(PAY, amount_minor=paid), by=["clearer"])
    assert ledger.get(Guarantee, "G").status == status
