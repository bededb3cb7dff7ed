"""The invariants hold after every step of every story, and each of them can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import msgspec
import pytest

from book import digest
from finchain import instructions as do
from finchain.domain.account import Account, Mandate
from finchain.domain.capacity import Capacity, ClientCover
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot, Offer
from finchain.domain.guarantee import Guarantee
from finchain.domain.invariants import InvariantError, check_all
from finchain.domain.loan import Charge, Loan
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Record
from stories import GUARANTEE, ISSUE, MATURITY, PAYEE, A, apply, but, confirmed, lent
from test_compensation import call
from test_counter_guarantee import countered


@cache
def story() -> tuple[Record, ...]:
    """A part-paid certificate, a loan that is part repaid, and two payments, one of which waits."""
    ledger = lent()
    papers = [do.Paper("invoice", digest("invoice"))]
    for id in ("P1", "P2"):
        apply(ledger, do.RequestPayment(id, "acc", "boards", 10_000_000, "goods", PAYEE, papers), by=["shop"])
    pay = do.SettlePayment("P1", 10_000_000, "PAY-1", digest("payment"))
    apply(ledger, do.ApprovePayment("P1"), do.InstructPayment("P1"), pay, by=["bank"])
    ledger.move_to(MATURITY)
    apply(ledger, do.PayCertificate("C", 50_000_000, "PAY-2", digest("part")), by=["clearer"])
    return tuple(ledger.records.values())


@cache
def guaranteed() -> tuple[Record, ...]:
    """A guaranteed certificate, paid in full."""
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    ledger.move_to(MATURITY)
    apply(ledger, do.PayCertificate("C", A, "PAY-1", digest("payment")), by=["clearer"])
    return tuple(ledger.records.values())


@cache
def compensated() -> tuple[Record, ...]:
    """A guarantor has paid for one lot of two, and its own guarantor a fifth of that."""
    ledger = countered()
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    call(ledger, "C 1", 3_200_000)
    call(ledger, "C 1", 640_000, "K")
    return tuple(ledger.records.values())


@cache
def forgiven() -> tuple[Record, ...]:
    """One of two lots was forgiven."""
    ledger = countered()
    apply(ledger, do.WaiveLot("C 1"), by=["tier2"])
    return tuple(ledger.records.values())


def broken(records: Iterable[Record], kind: type[Record], id: str, **changes: Any) -> list[Record]:
    """The records, of which one has other members."""
    return [
        msgspec.structs.replace(each, **changes) if type(each) is kind and each.id == id else each for each in records
    ]


def one_more(kind: type[Record], id: str, member: str) -> Callable[[], list[Record]]:
    """The story with one unit too many in a member of a record."""

    def records() -> list[Record]:
        held = next(each for each in story() if type(each) is kind and each.id == id)
        return broken(story(), kind, id, **{member: getattr(held, member) + 1})

    return records


@pytest.mark.parametrize(
    ("number", "records"),
    [
        ("I-0", one_more(Cash, "core CNY", "net_minor")),
        ("I-1", one_more(Receivable, "R", "pending")),
        ("I-1", one_more(Receivable, "R", "claimed")),
        ("I-2", one_more(Receivable, "R", "settled")),
        ("I-2", one_more(Receivable, "R", "free")),
        ("I-4", one_more(Certificate, "C", "live_minor")),
        ("I-4", one_more(Certificate, "C", "settled_minor")),
        ("I-4", one_more(Certificate, "C", "lots")),
        ("I-4", one_more(Lot, "C 1", "first")),
        ("I-4", one_more(Lot, "C 1", "last")),
        ("I-4", one_more(Lot, "C 1", "next")),
        ("I-4", one_more(Lot, "C 36000001", "start")),
        ("I-10", one_more(Loan, "L", "repaid_minor")),
        ("I-14", one_more(Account, "acc", "outflow_minor")),
        ("I-14", one_more(Account, "acc", "reserved_minor")),
        ("I-15", one_more(Mandate, "acc boards", "paid_minor")),
        ("I-15", one_more(Mandate, "acc boards", "reserved_minor")),
        ("I-15", one_more(Payment, "P1", "returned_minor")),
        ("I-15", one_more(Payment, "P2", "amount_minor")),
        ("R8", one_more(Capacity, "core CNY", "issued_minor")),
        ("R8", lambda: [each for each in story() if type(each) is not Capacity]),
        ("R9", one_more(Capacity, "core CNY", "covered_minor")),
        ("R9", lambda: [*story(), ClientCover(id="guarantor shop CNY", covered_minor=1)]),
        ("I-3", lambda: broken(story(), Receivable, "R", reserved=1, free=-1)),
        ("I-4", lambda: broken(story(), Lot, "C 1", first=36_000_002)),
        ("I-4", lambda: broken(story(), Lot, "C 1", next=Absent)),
        ("I-4", lambda: [each for each in story() if each.id != "C 36000001"]),
        ("I-4", lambda: [each for each in story() if type(each) is not Certificate]),
        ("I-5", lambda: broken(story(), Lot, "C 36000001", pledge=Absent)),
        ("I-5", lambda: broken(story(), Loan, "L", collateral=())),
        ("I-6", lambda: broken(story(), Receivable, "R", converted=66_000_001, conv_settled=49_999_999)),
        ("I-7", lambda: broken(guaranteed(), Guarantee, "G", released=Absent, compensated_minor=-1)),
        ("I-7", lambda: broken(guaranteed(), Guarantee, "G", released=Absent, covered_minor=-1)),
        ("I-4", lambda: broken(forgiven(), Lot, "C 1", waived_minor=0)),
        ("I-4", lambda: broken(forgiven(), Certificate, "C", settled_minor=4_000_000, cancelled_minor=0)),
        ("I-5", lambda: broken(compensated(), Lot, "C 640001", rank="senior")),
        ("I-5", lambda: broken(compensated(), Lot, "C 3200001", rank="junior")),
        ("I-5", lambda: broken(compensated(), Lot, "C 3200001", rank="none")),
        ("I-5", lambda: broken(compensated(), Lot, "C 640001", guarantee="K")),
        ("I-5", lambda: [each for each in compensated() if each.id not in ("G", "K")]),
        ("I-7", lambda: broken(compensated(), Guarantee, "G", cap_minor=3_199_999)),
        ("I-7", lambda: broken(compensated(), Guarantee, "G", demanded_minor=3_199_999)),
        ("I-8", lambda: broken(compensated(), Guarantee, "G", demanded_minor=3_200_001)),
        ("I-8", lambda: broken(compensated(), Guarantee, "G", interest_paid_minor=1)),
        ("I-8", lambda: broken(compensated(), Guarantee, "G", interest_posted_minor=1, interest_paid_minor=1)),
        ("I-8", lambda: broken(compensated(), Lot, "C 3200001", calls=())),
        ("I-8", lambda: broken(compensated(), Guarantee, "G", counters=())),
        ("I-10", lambda: broken(story(), Loan, "L", limit_minor=1)),
        ("I-10", lambda: broken(story(), Loan, "L", draws=())),
        ("I-11", lambda: broken(story(), Loan, "L", charges={"interest": Charge(paid_minor=1)})),
        ("I-14", lambda: broken(story(), Account, "acc", inflow_minor=1)),
        ("I-15", lambda: broken(story(), Mandate, "acc boards", cap_minor=1)),
        ("I-15", lambda: broken(story(), Payment, "P1", stage="requested")),
    ],
)
def test_each_invariant_can_fail(number: str, records: Callable[[], list[Record]]) -> None:
    with pytest.raises(InvariantError, match=f"^{number}: "):
        check_all(records())


def test_stories_hold() -> None:
    check_all(story())
    check_all(guaranteed())
    check_all(compensated())
    check_all(forgiven())
    check_all([])


def test_a_lot_is_not_offered_and_pledged() -> None:
    offer = Offer("tier2", MATURITY, "transfer", recourse=False)
    with pytest.raises(InvariantError, match="I-5"):
        check_all(broken(story(), Lot, "C 36000001", offer=offer))
