"""Advice that somebody follows first, of what stands behind a debt: collateral, guarantors, the order among them."""

from __future__ import annotations

from datetime import date

import test_collateral as claims
import test_correction as corrections
import test_counter_guarantee as counters
import test_debts as debts
import test_loan_guarantee as behind
import test_repayment as repayments
from advising import Act, advised, said, story
from book import MemoryBook, digest
from finchain import instructions as do
from finchain.domain.certificate import RECOURSE_MAX, Lot
from finchain.domain.loan import COLLATERAL_MAX, Loan
from finchain.domain.part import PARTS_MAX, Part
from stories import A, apply, but, confirmed, held, lent, pledge
from test_account import ASK
from test_compensation import OFFER, call, unpaid
from test_contribution import FIRST, SECOND, SHARE

BOTH = {"shop", "bank"}


@story("collateral: let the loan be repaid, or pledge something else, first")
def _() -> str:
    ledger = claims.lent(4_500)
    more = do.PledgeReceivable("P2", "R", "bank", 20_000, "0306-7002", 0, digest("more"), notice=digest("notice"))
    acts: list[Act] = [(more, BOTH), (do.SecureLoan("L", "P2"), BOTH)]
    return advised(ledger, do.ReleaseReceivable("P", 75_001), {"bank"}, *acts)


@story("collateral: pledge the borrower's own lots, in the loan's currency")
def _() -> str:
    ledger = lent()
    wrong = pledge("C 1", 36_000_000)
    acts: list[Act] = [
        (do.OfferTransfer("C 1", "shop", 36_000_000, digest("back"), recourse=False), {"tier2"}),
        (do.AcceptTransfer("C 1"), {"shop"}),
    ]
    return advised(ledger, wrong, {"tier2", *BOTH}, *acts)


@story("part: release it instead, where that leaves the loan enough")
def _() -> str:
    ledger = claims.pledged()
    apply(ledger, claims.SECURE, by=BOTH)
    everyone = {"shop", "bank", "core"}
    return advised(ledger, do.ReversePart("P", "wrong claim"), everyone, instead=do.ReleaseReceivable("P", 80_000))


def in_parts(count: int) -> MemoryBook:
    """A claim of which so many parts of one cent are assigned."""
    ledger = confirmed()
    for number in range(count):
        apply(ledger, do.AssignReceivable(f"A-{number}", "R", "factor", 1), by={"shop", "factor"})
    return ledger


@story("part: wait until one is paid or released; a certificate divides further")
def _() -> str:
    more = do.AssignReceivable("A", "R", "factor", 1)
    freed = (do.ReleaseReceivable("A-7", 1), {"factor"})
    return advised(in_parts(PARTS_MAX), more, {"shop", "factor"}, freed)


@story("part: reverse first what came later, or release what is left")
def _() -> str:
    ledger = confirmed()
    apply(ledger, do.AssignReceivable("A", "R", "factor", 10), by={"shop", "factor"})
    apply(ledger, do.CreditReceivable("X", "R", 1, "CN-1", digest("note"), part="A"), by={"shop", "factor"})
    undo = do.ReversePart("A", "wrong factor")
    return advised(ledger, undo, {"shop", "factor"}, (do.ReverseReduction("X", "first this"), {"shop", "factor"}))


@story("transfer: transfer it without recourse; ‹› are the most")
def _() -> str:
    ledger = held()
    ledger.put(but(ledger.get(Lot, "C 1"), recourse=("x" * 64,) * RECOURSE_MAX))
    offer = do.OfferTransfer("C 1", "tier2", A, digest("trade"), recourse=True)
    apply(ledger, offer, by={"shop"})
    acts: list[Act] = [(do.WithdrawOffer("C 1"), {"shop"}), (but(offer, recourse=False), {"shop"})]
    return advised(ledger, do.AcceptTransfer("C 1"), {"tier2"}, *acts)


@story("compensation: agree a lower rate")
def _() -> str:
    agree = do.AgreeRecovery("G", do.Rate(2, 100), "act/360")
    lower = but(agree, rate=do.Rate(1, 100))
    return advised(unpaid(but(OFFER, cap_minor=2**53 - 1)), agree, {"guarantor", "core"}, instead=lower)


@story("compensation: ask for a guarantee behind the first one")
def _() -> str:
    ledger = counters.countered(but(counters.COUNTER, sharing="several"))
    ledger.register("third", "guarantor")
    third = but(counters.COUNTER, id="T", guarantor="third", behind="K", fee_payer="fund", period_end=date(2028, 2, 28))
    first = but(third, id="U", behind="G", sharing="several", fee_payer="guarantor")
    apply(ledger, third, by={"third"})
    accept = do.AcceptCounterGuarantee("T")
    return advised(ledger, accept, {"fund", "guarantor"}, (first, {"third"}), instead=but(accept, id="U"))


@story("contribution: name joint guarantees that state the same document")
def _() -> str:
    ledger = unpaid(FIRST, SECOND)
    call(ledger, "C 1", 1_000_000)
    return advised(
        ledger, but(SHARE, to="H", amount_minor=1), {"guarantor", "second"}, instead=but(SHARE, amount_minor=1)
    )


@story("loan_guarantee: let those before it be paid first, the lender before all")
def _() -> str:
    ledger = behind.overdue(behind.OFFER)
    behind.compensate(ledger, 40_845_834)
    rest = behind.owed(ledger)["bank"]
    return advised(ledger, but(behind.RECOVERED, amount_minor=1), {"guarantor"},
                   (but(behind.REPAID, amount_minor=rest), {"bank"}))  # fmt: skip


@story("debts: name claims of one settlement bank; one entry is of one bank")
def _() -> str:
    ledger = debts.owed(bank="clearer")
    other = but(debts.CLAIM, id="R-3", invoice="INV-3", bank="bank")
    ledger.apply(other, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-3", 1_000), by={"core"})
    return advised(ledger, but(debts.PAID, receivables=["R-1", "R-3"]), {"clearer", "bank"}, instead=debts.PAID)


@story("collateral: let one be paid or released first; ‹› are the most")
def _() -> str:
    ledger = claims.pledged()
    names = tuple(f"P{number}" for number in range(COLLATERAL_MAX))
    for name in names:
        ledger.put(but(ledger.get(Part, "P"), id=name, loan="L"))
    ledger.put(but(ledger.get(Loan, "L"), claims=names))
    said_first = said(ledger, claims.SECURE, BOTH)
    ledger.put(but(ledger.get(Part, "P7"), amount_minor=0, settled_minor=80_000))
    ledger.apply(claims.SECURE, by=BOTH)
    return said_first


@story("correction: let the money come back first")
def _() -> str:
    ledger = lent()
    apply(ledger, ASK, by={"shop"})
    return advised(ledger, corrections.BACK, {"bank"}, (do.RejectPayment("P", "wrong"), {"bank"}))


@story("repayment: let ‹› give another notice, and prepay up to ‹›")
def _() -> str:
    ledger = repayments.two_draws()
    notice = but(repayments.NOTICE, amount_minor=50_000_000, draw="one")
    apply(ledger, notice, by={"shop"})
    apply(ledger, do.PayCertificate("C", 29_000_000, "PAY-1", digest("early")), by={"clearer"})
    late = but(repayments.PREPAID, amount_minor=50_000_000)
    return advised(ledger, late, {"bank"}, (but(notice, amount_minor=30_000_000), {"shop"}),
                   instead=but(late, amount_minor=30_000_000))  # fmt: skip
