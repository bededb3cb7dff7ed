"""Money on a controlled account goes to the payees that were agreed, within their caps, or nowhere."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.account import Account, Mandate
from finchain.domain.cash import Cash
from finchain.domain.payment import PAPERS_MAX, PaidPaper, Payment
from stories import ACCOUNT, MANDATE, PAYEE, agreed, apply, but, held, lent

INVOICE = do.Paper("invoice", digest("invoice"))
ASK = do.RequestPayment("P", "acc", "boards", 15_000_000, "goods", PAYEE, [INVOICE])
SETTLE = do.SettlePayment("P", 15_000_000, "PAY-1", digest("payment"))
RETURN = do.ReturnPayment("P", 15_000_000, "RET-1", digest("return"))
REFUND = do.RefundPayment("P", 1, "too much", "REF-1", digest("refund"))
DAY = date(2026, 3, 9)


def requested() -> MemoryBook:
    ledger = lent()
    apply(ledger, ASK, by=["shop"])
    return ledger


def settled() -> MemoryBook:
    ledger = requested()
    apply(ledger, do.ApprovePayment("P"), do.InstructPayment("P"), SETTLE, by=["bank"])
    return ledger


def account(ledger: MemoryBook) -> tuple[int, int, int]:
    shown = ledger.get(Account, "acc")
    return shown.settled_minor, shown.reserved_minor, shown.free_minor


def mandate(ledger: MemoryBook) -> tuple[int, int, int]:
    shown = ledger.get(Mandate, "acc boards")
    return shown.used_minor, shown.reserved_minor, shown.left_minor


# --- accounts and mandates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({"id": "a c"}, ["shop", "bank"], "account.identifier"),
        ({}, ["shop"], "account.not_signed"),
        ({}, ["bank"], "account.not_signed"),
        ({"bank": "factor"}, ["shop", "factor"], "account.wrong_role"),
        ({"controllers": ["factor"]}, ["shop", "bank"], "account.wrong_role"),
        ({"owner": "bank"}, ["bank"], "account.wrong_role"),
        ({"controllers": []}, ["shop", "bank"], "account.controllers"),
        ({"controllers": ["bank", "bank"]}, ["shop", "bank"], "account.controllers"),
        ({"controllers": ["bank"] * 9}, ["shop", "bank"], "account.controllers"),
        ({"currency": ""}, ["shop", "bank"], "account.currency"),
        ({"purpose": " "}, ["shop", "bank"], "account.reference"),
        ({"number": "x" * 129}, ["shop", "bank"], "account.reference"),
    ],
)
def test_what_cannot_be_opened(changes: dict[str, Any], by: list[str], code: str) -> None:
    ledger = held()
    with refused(ledger, code):
        ledger.apply(but(ACCOUNT, **changes), by=by)


def test_an_account_is_opened_once() -> None:
    ledger = held()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    with refused(ledger, "account.duplicate"):
        ledger.apply(ACCOUNT, by=["shop", "bank"])
    assert str(ledger.get(Account, "acc")) == "acc of shop at bank: 0.00 CNY, of which 0.00 free"


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({"account": "none"}, ["shop", "bank"], "account.not_found"),
        ({}, ["shop"], "mandate.not_signed"),
        ({}, ["bank"], "mandate.not_signed"),
        ({"name": "b b"}, ["shop", "bank"], "mandate.identifier"),
        ({"name": "b" * 61}, ["shop", "bank"], "mandate.identifier"),
        ({"name": "boards"}, ["shop", "bank"], "mandate.duplicate"),
        ({"payee": but(PAYEE, name="")}, ["shop", "bank"], "mandate.reference"),
        ({"payee": but(PAYEE, legal_id="\n")}, ["shop", "bank"], "mandate.reference"),
        ({"payee": but(PAYEE, number="")}, ["shop", "bank"], "mandate.reference"),
        ({"payee": but(PAYEE, party="nobody")}, ["shop", "bank"], "party.not_found"),
        ({"payee": but(PAYEE, party="shop")}, ["shop", "bank"], "mandate.wrong_role"),
        ({"cap_minor": 0}, ["shop", "bank"], "mandate.amount"),
        ({"per_payment_minor": 0}, ["shop", "bank"], "mandate.amount"),
        ({"start": date(2026, 3, 8)}, ["shop", "bank"], "mandate.date"),
        ({"end": date(2026, 3, 8)}, ["shop", "bank"], "mandate.date"),
    ],
)
def test_what_cannot_be_mandated(changes: dict[str, Any], by: list[str], code: str) -> None:
    """A new payee waits three days: on 6 March the first day can be the 9th, and not the 8th."""
    ledger = agreed()
    with refused(ledger, code):
        ledger.apply(but(but(MANDATE, name="other"), **changes), by=by)


AMEND = do.AmendMandate("acc", "boards", 40_000_000, 5_000_000, date(2026, 7, 1), ["invoice", "delivery_note"])


def test_owner_and_controllers_change_a_mandate_but_not_its_payee() -> None:
    ledger = agreed()
    for by in (["shop"], ["bank"]):
        with refused(ledger, "mandate.not_signed"):
            ledger.apply(AMEND, by=by)
    apply(ledger, AMEND, by=["shop", "bank"])
    held = ledger.get(Mandate, "acc boards")
    assert (held.cap_minor, held.per_payment_minor, held.end) == (40_000_000, 5_000_000, date(2026, 7, 1))
    assert (held.payee, held.category, held.evidence) == (PAYEE, "goods", ("delivery_note", "invoice"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "other"}, "mandate.not_found"), ({"account": "none"}, "account.not_found"),
        ({"cap_minor": 14_999_999}, "mandate.cap_exceeded"), ({"cap_minor": 15_000_000}, None),
        ({"per_payment_minor": 0}, "mandate.amount"), ({"end": date(2026, 3, 7)}, "mandate.date"),
        ({"end": date(2026, 3, 8)}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("begin", ["requested", "settled"])
def test_what_was_asked_for_keeps_its_mandate(begin: str, changes: dict[str, Any], code: str | None) -> None:
    """15 m are asked for, or paid, on 9 March: the cap covers them still, and the last day is not moved before."""
    ledger = {"requested": requested, "settled": settled}[begin]()
    if code is None:
        apply(ledger, but(AMEND, **changes), by=["shop", "bank"])
        return
    with refused(ledger, code):
        ledger.apply(but(AMEND, **changes), by=["shop", "bank"])


def test_a_mandate_that_ended_yesterday_pays_nothing_more() -> None:
    ledger = lent()
    apply(ledger, but(AMEND, end=date(2026, 3, 8), evidence=[]), by=["shop", "bank"])
    with refused(ledger, "payment.expired"):
        ledger.apply(but(ASK, amount_minor=1), by=["shop"])


# --- requests ---------------------------------------------------------------------------------------------------


def test_a_request_reserves() -> None:
    ledger = requested()
    assert account(ledger) == (50_000_000, 15_000_000, 35_000_000)
    assert mandate(ledger) == (0, 15_000_000, 15_000_000)
    assert str(ledger.get(Payment, "P")) == "P requested: 15000000 from acc under boards"
    assert str(ledger.get(Mandate, "acc boards")) == "acc boards: Mainboard Wholesale for goods, 0 of 30000000 used"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "?"}, "payment.identifier"),
        ({"account": "none"}, "account.not_found"),
        ({"amount_minor": 0}, "payment.amount"),
        ({"mandate": "none"}, "payment.not_whitelisted"),
        ({"payee": but(PAYEE, name="Cousin Trading")}, "payment.not_whitelisted"),
        ({"payee": but(PAYEE, number="6222 0000 0009")}, "payment.not_whitelisted"),
        ({"payee": but(PAYEE, legal_id="91110000MA001P9")}, "payment.not_whitelisted"),
        ({"payee": but(PAYEE, party="payee")}, "payment.not_whitelisted"),
        ({"category": "rent"}, "payment.not_whitelisted"),
        ({"amount_minor": 20_000_001}, "payment.cap_exceeded"),
        ({"evidence": []}, "payment.evidence"),
        ({"evidence": [do.Paper("acceptance", digest("other"))]}, "payment.evidence"),
        ({"evidence": [INVOICE] * (PAPERS_MAX + 1)}, "payment.evidence"),
        ({"evidence": [do.Paper("invoice", "none")]}, "payment.digest"),
        ({"evidence": [do.Paper("invoice", digest("invoice"), 0)]}, "payment.amount"),
        ({"evidence": [do.Paper("invoice", digest(each), 1) for each in "ab"]}, "payment.evidence"),
        ({"evidence": [do.Paper("invoice", digest("invoice"), 14_999_999)]}, "payment.over_invoice"),
    ],
)
def test_a_request_that_nobody_agreed_to(changes: dict[str, Any], code: str) -> None:
    ledger = lent()
    with refused(ledger, code):
        ledger.apply(but(ASK, **changes), by=["shop"])


def test_the_most_that_may_be_asked_for() -> None:
    """20 m in one payment, 30 m in all: the second request finds 10 m left."""
    ledger = lent()
    apply(ledger, but(ASK, amount_minor=20_000_000, evidence=[INVOICE] * PAPERS_MAX), by=["shop"])
    with refused(ledger, "payment.duplicate"):
        ledger.apply(ASK, by=["shop"])
    with refused(ledger, "payment.cap_exceeded"):
        ledger.apply(but(ASK, id="P2", amount_minor=10_000_001), by=["shop"])
    apply(ledger, but(ASK, id="P2", amount_minor=10_000_000), by=["shop"])


def test_not_more_than_is_free() -> None:
    ledger = lent()
    ledger.move_to(DAY)
    apply(ledger, but(MANDATE, name="all", cap_minor=60_000_000, per_payment_minor=60_000_000,
                      start=date(2026, 3, 12)), by=["shop", "bank"])  # fmt: skip
    ledger.move_to(date(2026, 3, 12))
    with refused(ledger, "payment.insufficient_free"):
        ledger.apply(but(ASK, mandate="all", amount_minor=50_000_001), by=["shop"])
    apply(ledger, but(ASK, mandate="all", amount_minor=50_000_000), by=["shop"])


def test_a_mandate_has_its_days() -> None:
    ledger = agreed()
    ledger.move_to(date(2026, 3, 8))
    with refused(ledger, "payment.expired"):
        ledger.apply(ASK, by=["shop"])
    ledger.move_to(date(2026, 9, 1))
    with refused(ledger, "payment.expired"):
        ledger.apply(ASK, by=["shop"])


def test_only_the_owner_asks() -> None:
    ledger = lent()
    with refused(ledger, "payment.not_signed"):
        ledger.apply(ASK, by=["bank"])


def test_payments_on_one_invoice_never_exceed_it() -> None:
    """Several payments may pay one invoice; what comes back may be paid on it again."""
    ledger = lent()
    bills = [do.Paper("invoice", digest("invoice"), 20_000_000)]
    apply(ledger, but(ASK, evidence=bills), by=["shop"])
    with refused(ledger, "payment.over_invoice"):
        ledger.apply(but(ASK, id="P2", amount_minor=5_000_001, evidence=bills), by=["shop"])
    with refused(ledger, "payment.duplicate"):
        more = [do.Paper("invoice", digest("invoice"), 20_000_001)]
        ledger.apply(but(ASK, id="P2", amount_minor=1, evidence=more), by=["shop"])
    apply(ledger, do.RejectPayment("P", "wrong account"), by=["bank"])
    assert ledger.get(PaidPaper, f"acc {digest('invoice')}").taken_minor == 0
    apply(ledger, but(ASK, id="P2", amount_minor=20_000_000, evidence=bills), by=["shop"])


# --- the way of a payment ---------------------------------------------------------------------------------------


def test_a_payment_goes_its_way() -> None:
    ledger = requested()
    for early in (do.InstructPayment("P"), SETTLE, RETURN, REFUND):
        with refused(ledger, "payment.bad_state"):
            ledger.apply(early, by=["bank"])
    apply(ledger, do.ApprovePayment("P"), by=["bank"])
    with refused(ledger, "payment.bad_state"):
        ledger.apply(do.ApprovePayment("P"), by=["bank"])
    apply(ledger, do.InstructPayment("P"), by=["bank"])
    for wrong in (14_999_999, 15_000_001):
        with refused(ledger, "payment.amount"):
            ledger.apply(but(SETTLE, amount_minor=wrong), by=["bank"])
    apply(ledger, SETTLE, by=["bank"])
    assert account(ledger) == (35_000_000, 0, 35_000_000)
    assert mandate(ledger) == (15_000_000, 0, 15_000_000)
    assert ledger.get(Cash, "acc/boards CNY").net_minor == 15_000_000
    for late in (do.RejectPayment("P", "late"), do.ExpirePayment("P"), SETTLE):
        with refused(ledger, "payment.bad_state"):
            ledger.apply(late, by=["bank"])


@pytest.mark.parametrize("what", [do.ApprovePayment("P"), do.RejectPayment("P", "no"), do.InstructPayment("P"), SETTLE])
def test_who_signs(what: do.ApprovePayment) -> None:
    ledger = requested()
    if isinstance(what, do.InstructPayment):
        apply(ledger, do.ApprovePayment("P"), by=["bank"])
    if isinstance(what, do.SettlePayment):
        apply(ledger, do.ApprovePayment("P"), do.InstructPayment("P"), by=["bank"])
    with refused(ledger, "payment.not_signed"):
        ledger.apply(what, by=["shop"])


def test_a_machine_of_the_bank_pays_but_does_not_approve() -> None:
    ledger = requested()
    with refused(ledger, "payment.not_signed"):
        ledger.apply(do.ApprovePayment("P"), by=(), service=["bank"])
    apply(ledger, do.ApprovePayment("P"), by=["bank"])
    ledger.apply(do.InstructPayment("P"), SETTLE, by=(), service=["bank"])


def test_a_payment_for_something_else_needs_a_word() -> None:
    ledger = agreed()
    apply(ledger, but(MANDATE, name="else", category="other"), by=["shop", "bank"])
    ledger = lent_on(ledger)
    apply(ledger, but(ASK, mandate="else", category="other"), by=["shop"])
    with refused(ledger, "payment.note"):
        ledger.apply(do.ApprovePayment("P"), by=["bank"])
    with refused(ledger, "payment.reference"):
        ledger.apply(do.ApprovePayment("P", ""), by=["bank"])
    apply(ledger, do.ApprovePayment("P", "deposit for the workshop"), by=["bank"])


def lent_on(ledger: MemoryBook) -> MemoryBook:
    ledger.move_to(DAY)
    apply(ledger, do.DrawLoan("L", "one", 50_000_000), by=["shop", "bank"])
    apply(ledger, do.DisburseLoan("L", "one", 50_000_000, "OUT-1", digest("one")), by=["bank"])
    return ledger


def test_a_request_expires_before_the_bank_was_told_and_not_after() -> None:
    ledger = requested()
    ledger.advance(5)
    with refused(ledger, "payment.bad_state"):
        ledger.apply(do.ExpirePayment("P"), by=["shop"])
    ledger.advance(1)
    with refused(ledger, "payment.expired"):
        ledger.apply(do.ApprovePayment("P"), by=["bank"])
    with refused(ledger, "payment.not_signed"):
        ledger.apply(do.ExpirePayment("P"), by=["factor"])
    apply(ledger, do.ExpirePayment("P"), by=["operator"])
    assert account(ledger) == (50_000_000, 0, 50_000_000)
    assert ledger.get(Payment, "P").stage == "expired"


def test_an_approved_payment_is_sent_in_time() -> None:
    ledger = requested()
    ledger.advance(5)
    apply(ledger, do.ApprovePayment("P"), by=["bank"])
    ledger.advance(1)
    with refused(ledger, "payment.expired"):
        ledger.apply(do.InstructPayment("P"), by=["bank"])
    apply(ledger, do.ExpirePayment("P"), by=["shop"])


def test_an_instructed_payment_does_not_expire_but_the_bank_may_reject_it() -> None:
    ledger = requested()
    apply(ledger, do.ApprovePayment("P"), do.InstructPayment("P"), by=["bank"])
    ledger.advance(9)
    with refused(ledger, "payment.bad_state"):
        ledger.apply(do.ExpirePayment("P"), by=["shop"])
    apply(ledger, do.RejectPayment("P", "account closed"), by=["bank"])
    assert account(ledger) == (50_000_000, 0, 50_000_000)


# --- what comes back --------------------------------------------------------------------------------------------


def test_a_return_opens_the_mandate_again() -> None:
    """Vector 18: settled and returned in full, a refund of 1 has nothing to come from."""
    ledger = settled()
    with refused(ledger, "payment.over_return"):
        ledger.apply(but(RETURN, amount_minor=15_000_001), by=["bank"])
    apply(ledger, RETURN, by=["bank"])
    assert account(ledger) == (50_000_000, 0, 50_000_000)
    assert mandate(ledger) == (0, 0, 30_000_000)
    assert ledger.get(Cash, "acc/boards CNY").net_minor == 0
    with refused(ledger, "payment.over_return"):
        ledger.apply(REFUND, by=["bank"])


def test_a_refund_goes_back_to_the_same_account_and_mandate() -> None:
    ledger = settled()
    apply(ledger, but(REFUND, amount_minor=5_000_000), by=["bank"])
    assert account(ledger) == (40_000_000, 0, 40_000_000)
    assert mandate(ledger) == (10_000_000, 0, 20_000_000)
    with refused(ledger, "payment.over_return"):
        ledger.apply(but(RETURN, amount_minor=10_000_001), by=["bank"])
    apply(ledger, but(RETURN, amount_minor=10_000_000), by=["bank"])


def test_a_payee_on_the_ledger_signs_its_refund() -> None:
    ledger = agreed()
    payee = but(PAYEE, party="payee")
    apply(ledger, but(MANDATE, name="known", payee=payee), by=["shop", "bank"])
    ledger = lent_on(ledger)
    apply(ledger, but(ASK, mandate="known", payee=payee), by=["shop"])
    apply(ledger, do.ApprovePayment("P"), do.InstructPayment("P"), SETTLE, by=["bank"])
    assert ledger.get(Cash, "payee CNY").net_minor == 15_000_000
    with refused(ledger, "payment.not_signed"):
        ledger.apply(REFUND, by=["bank"])
    apply(ledger, REFUND, by=["bank", "payee"])
    assert ledger.get(Cash, "payee CNY").net_minor == 14_999_999


def test_a_banks_entry_counts_once() -> None:
    ledger = settled()
    with refused(ledger, "payment.duplicate"):
        ledger.apply(but(RETURN, reference="PAY-1"), by=["bank"])


def test_bank_entries_follow_each_other() -> None:
    ledger = settled()
    ledger.advance(20)
    with refused(ledger, "payment.value_date"):
        ledger.apply(but(RETURN, value_date=date(2026, 3, 18)), by=["bank"])
    apply(ledger, but(RETURN, value_date=date(2026, 3, 19), amount_minor=1), by=["bank"])
    with refused(ledger, "payment.value_date"):
        ledger.apply(but(RETURN, reference="RET-2", value_date=date(2026, 3, 18), amount_minor=1), by=["bank"])
