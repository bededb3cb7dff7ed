"""Advice to let somebody do something first: each story is refused, does what was advised, and is applied then.

The machine in `test_advice.py` follows what can be followed without knowing the business. What it cannot follow has a
story here, or stands in `NO_STORY_YET`, which may only shrink.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta

import pytest

from advice_sentences import sentences
from book import MemoryBook, digest, town
from finchain import instructions as do
from finchain.domain.rule import NONE, Instruction
from finchain.errors import Refused
from following_advice import UNKNOWN, is_known
from stories import (
    GUARANTEE,
    ISSUE,
    ISSUED,
    LOAN,
    MANDATE,
    MATURITY,
    PAYEE,
    A,
    agreed,
    apply,
    but,
    confirmed,
    draw,
    held,
    lent,
)  # fmt: skip

Act = tuple[Instruction, set[str]] | date

STORIES: dict[str, Callable[[], str]] = {}
"""The story of each sentence; it gives what was really said."""


def story(sentence: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    def enter(tell: Callable[[], str]) -> Callable[[], str]:
        assert sentence not in STORIES
        STORIES[sentence] = tell
        return tell

    return enter


def advised(
    ledger: MemoryBook, order: Instruction, by: set[str], *acts: Act, instead: Instruction | None = None
) -> str:  # fmt: skip
    """What the refusal of an order advises; after these acts it is applied, or the order that is given instead."""
    with pytest.raises(Refused) as refusal:
        ledger.apply(order, by=by)
    for act in acts:
        if isinstance(act, date):
            ledger.move_to(act)
        else:
            apply(ledger, act[0], by=act[1])
    apply(ledger, instead or order, by=by)
    return refusal.value.advice


def said(ledger: MemoryBook, order: Instruction, by: Iterable[str]) -> str:
    """What is advised where an order is refused."""
    with pytest.raises(Refused) as refusal:
        ledger.apply(order, by=by)
    return refusal.value.advice


OFFER = do.OfferTransfer("C 1", "tier2", 36_000_000, digest("trade"), recourse=False)
SALE = do.OfferSale("C 1", "factor", A, A, do.Rate(0, 1), "act/360", ISSUED, recourse=False)
PRICE = do.SettleSale("C 1", A, "price", digest("price"))
MONEY = do.PayCertificate("C", A, "money", digest("money"))
PART = do.OfferPart("P", "R", "factor", "assigned", 10)
REQUEST = do.RequestPayment("pay", "acc", "boards", 1_000, "goods", PAYEE, [do.Paper("invoice", digest("inv"))])


# --- certificates
@story("transfer: let ‹› offer it first")
def _() -> str:
    return advised(held(), do.AcceptTransfer("C 1"), {"tier2"}, (OFFER, {"shop"}))


@story("transfer: ask ‹› for a new one")
def _() -> str:
    ledger = held()
    apply(ledger, but(OFFER, until=ISSUED), by=["shop"])
    ledger.advance(1)
    return advised(ledger, do.AcceptTransfer("C 1"), {"tier2"}, (OFFER, {"shop"}))


@story("transfer: let ‹› accept the sale first")
def _() -> str:
    ledger = held()
    apply(ledger, SALE, by=["shop"])
    return advised(ledger, PRICE, {"clearer"}, (do.AcceptSale("C 1"), {"factor"}))


@story("transfer: state a lower rate")
def _() -> str:
    high = but(SALE, discount_rate=do.Rate(10, 1))
    return advised(held(), high, {"shop"}, instead=SALE)


@story("settlement: let ‹› accept it first")
def _() -> str:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    return advised(ledger, MONEY, {"clearer"}, (do.AcceptCertificate("C"), {"shop"}))


@story("certificate: let this one be refused, and ask the issuer for a new one")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(ISSUE, until=ISSUED), by=["core"])
    ledger.advance(1)
    acts: list[Act] = [(do.RefuseCertificate("C"), {"shop"}), (but(ISSUE, id="D"), {"core"})]
    return advised(ledger, do.AcceptCertificate("C"), {"shop"}, *acts, instead=do.AcceptCertificate("D"))


@story("certificate: name 1 to ‹› claims")
def _() -> str:
    return advised(confirmed(), but(ISSUE, claims=[]), {"core"}, instead=ISSUE)


@story("certificate: name claims of ‹› on ‹› in ‹›")
def _() -> str:
    ledger = confirmed()
    other = do.SubmitReceivable("R2", "tier2", "core", 10, "CNY", MATURITY, "INV-8")
    apply(ledger, other, by=["tier2"])
    return advised(ledger, but(ISSUE, claims=[do.ClaimShare("R2", 10)]), {"core"}, instead=ISSUE)


@story("recourse: let it be dishonoured first")
def _() -> str:
    ledger = held()
    apply(ledger, but(OFFER, recourse=True), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    back = do.BuyBackLot("C 1", "shop", 36_000_000, "recourse", "back", digest("back"))
    acts: list[Act] = [MATURITY + timedelta(days=1), (do.DishonourCertificate("C", "clearer"), {"clearer"})]
    return advised(ledger, back, {"shop", "tier2"}, *acts)


# --- claims
@story("amendment: state a due date or a contract")
def _() -> str:
    later = do.AmendReceivable("R", due=MATURITY + timedelta(days=9))
    return advised(confirmed(), do.AmendReceivable("R"), {"shop", "core"}, instead=later)


@story("part_offer: let ‹› offer it anew")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(PART, until=ISSUED), by=["shop"])
    ledger.advance(1)
    return advised(ledger, do.AcceptPart("P", "R"), {"factor"}, (PART, {"shop"}))


# --- guarantees
@story("guarantee: ask the guarantor for a new offer")
def _() -> str:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    ledger.advance(1)
    new = but(GUARANTEE, id="G2", until=ISSUED + timedelta(days=1))
    return advised(ledger, but(ISSUE, guarantees=["G"]), {"core"}, (new, {"guarantor"}),
                   instead=but(ISSUE, guarantees=["G2"]))  # fmt: skip


@story("guarantee: ask for a period that ends after ‹›")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(GUARANTEE, period_end=MATURITY), by=["guarantor"])
    return advised(ledger, but(ISSUE, guarantees=["G"]), {"core"}, (but(GUARANTEE, id="G2"), {"guarantor"}),
                   instead=but(ISSUE, guarantees=["G2"]))  # fmt: skip


def guaranteed(accepted: bool = True) -> tuple[MemoryBook, do.PayGuaranteeFee]:
    """A guaranteed certificate, and the order of the guarantee's fee: 1 per cent a year of 92.8 m for 180 days."""
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    if accepted:
        apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger, do.PayGuaranteeFee("G", 464_000)


@story("guarantee_fee: let the creditor accept the guarantee first; a fee is owed from then on")
def _() -> str:
    ledger, fee = guaranteed(accepted=False)
    return advised(ledger, fee, {"core"}, (do.AcceptCertificate("C"), {"shop"}))


@story("guarantee_fee: let ‹› order it first")
def _() -> str:
    ledger, fee = guaranteed()
    came = do.ReceiveGuaranteeFee("G", fee.amount_minor, "fee", digest("fee"))
    return advised(ledger, came, {"guarantor"}, (fee, {"core"}))


# --- loans and payments
@story("repayment: let ‹› give notice first, ‹› days before")
def _() -> str:
    money = do.ReceivePrepayment("L", 1_000, "early", digest("early"))
    return advised(lent(), money, {"bank"}, (do.PrepayLoan("L", 1_000), {"shop"}))


@story("payment: let ‹› and ‹› sign a mandate for this payee first")
def _() -> str:
    boards = but(MANDATE, name="more", start=date(2026, 3, 9))
    return advised(lent(), but(REQUEST, mandate="more"), {"shop"}, (boards, {"shop", "bank"}))


@story("payment: have the mandate's end set later, or set a new mandate")
def _() -> str:
    ledger = lent()
    end = do.AmendMandate("acc", "boards", 30_000_000, 20_000_000, ledger.today - timedelta(days=1), ["invoice"])
    apply(ledger, end, by=["shop", "bank"])
    return advised(ledger, REQUEST, {"shop"}, (but(end, end=MATURITY), {"shop", "bank"}))


@story("payment: pay ‹› for ‹›, or have the change signed by all controllers")
def _() -> str:
    return advised(lent(), but(REQUEST, category="labour"), {"shop"}, instead=REQUEST)


@story("payment: this needs a payment that is ‹›")
def _() -> str:
    ledger = lent()
    apply(ledger, REQUEST, by=["shop"])
    return advised(ledger, do.InstructPayment("pay"), {"bank"}, (do.ApprovePayment("pay"), {"bank"}))


@story("payment: expire it and request another")
def _() -> str:
    ledger = lent()
    apply(ledger, REQUEST, by=["shop"])
    ledger.advance(60)
    acts: list[Act] = [(do.ExpirePayment("pay"), {"shop"}), (but(REQUEST, id="pay-2"), {"shop"})]
    return advised(ledger, do.ApprovePayment("pay"), {"bank"}, *acts, instead=do.ApprovePayment("pay-2"))


@story("payment: ask for one payment for each invoice")
def _() -> str:
    two = [do.Paper("invoice", digest(each), 1_000) for each in "ab"]
    return advised(lent(), but(REQUEST, evidence=two), {"shop"}, instead=but(REQUEST, evidence=two[:1]))


@pytest.mark.parametrize("sentence", sorted(STORIES))
def test_who_does_what_was_advised_is_not_refused_again(sentence: str) -> None:
    wording = re.escape(sentence.partition(": ")[2]).replace(UNKNOWN, ".+")
    assert re.fullmatch(wording, STORIES[sentence]())


# --- what was wrong before
def test_nothing_is_not_an_amount_that_is_advised() -> None:
    """A claim that is wholly confirmed, a loan of which nothing is left to draw, a guarantee that nobody demanded of."""
    assert said(confirmed(), do.ConfirmReceivable("R", 1), {"core"}).startswith(f"{NONE}: nothing is pending")
    assert said(confirmed(), do.RejectReceivable("R", 1, "no"), {"core"}).startswith(NONE)
    ledger = agreed()
    draw(ledger, date(2026, 3, 9), 72_000_000, "all")
    assert said(ledger, do.DrawLoan("L", "more", 1), {"shop", "bank"}).startswith(NONE)
    ledger, _ = guaranteed()
    paid = do.CompensateLoss("G", 1, "loss", digest("loss"))
    assert said(ledger, paid, {"guarantor"}).startswith(NONE)


@pytest.mark.parametrize("maturity", [date(2020, 1, 1), ISSUED, date(2027, 12, 1), date(2030, 1, 1)])
def test_a_tenor_that_is_too_short_and_one_that_is_too_long_are_told_both_ends(maturity: date) -> None:
    advice = said(confirmed(), but(ISSUE, maturity=maturity), {"core"})
    first, last = map(date.fromisoformat, re.findall(r"\d{4}-\d\d-\d\d", advice))
    for day in (first, last):
        apply(confirmed(), but(ISSUE, maturity=day), by=["core"])
    for day in (first - timedelta(days=1), last + timedelta(days=1)):
        assert said(confirmed(), but(ISSUE, maturity=day), {"core"})


def test_a_draw_is_advised_of_what_both_limit_and_pledges_leave() -> None:
    ledger = agreed(but(LOAN, limit_minor=100_000_000))
    assert said(ledger, do.DrawLoan("L", "one", 100_000_001), {"shop", "bank"}) == "draw up to 72000000"
    apply(ledger, do.DrawLoan("L", "one", 72_000_000), by=["shop", "bank"])


def test_a_draw_that_waits_is_paid_out_up_to_what_was_asked() -> None:
    ledger = agreed()
    apply(ledger, do.DrawLoan("L", "one", 100), by=["shop", "bank"])
    out = do.DisburseLoan("L", "one", 101, "out", digest("out"))
    assert said(ledger, out, {"bank"}) == "pay out up to 100"
    apply(ledger, but(out, amount_minor=100), by=["bank"])


def test_the_price_of_a_sale_is_not_advised_for_a_day_that_cannot_be_stated() -> None:
    """The price was worked out for a day ahead, is paid too early, and then too late to be stated."""
    ledger, tomorrow = held(), ISSUED + timedelta(days=1)
    apply(ledger, but(SALE, on=tomorrow), by=["shop"])
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    assert said(ledger, PRICE, {"clearer"}).startswith(f"wait until {tomorrow}")
    ledger.advance(2)
    assert said(ledger, PRICE, {"clearer"}) == f"state {tomorrow}"
    apply(ledger, but(PRICE, value_date=tomorrow), by=["clearer"])


def test_a_repayment_before_the_loan_is_due_is_told_the_day() -> None:
    ledger = lent(but(LOAN, prepayment="none"))
    money = do.ReceiveRepayment("L", 1_000, "back", digest("back"))
    assert said(ledger, money, {"bank"}) == f"wait until {MATURITY}"
    ledger.move_to(MATURITY + timedelta(days=1))
    early = but(money, value_date=MATURITY - timedelta(days=1))
    assert said(ledger, early, {"bank"}) == f"state a date from {MATURITY} to {ledger.today}"
    apply(ledger, but(money, value_date=MATURITY), by=["bank"])


def test_a_request_is_advised_of_what_mandate_account_and_invoice_leave_together() -> None:
    ledger = lent()
    bill = but(REQUEST, amount_minor=60_000_000, evidence=[do.Paper("invoice", digest("inv"), 700)])
    assert said(ledger, bill, {"shop"}) == "ask for up to 700"
    apply(ledger, but(bill, amount_minor=700), by=["shop"])
    assert said(ledger, but(bill, id="more", amount_minor=60_000_000), {"shop"}).startswith(NONE)


def test_a_party_that_there_is_not_is_not_asked_to_sign() -> None:
    with pytest.raises(Refused) as refusal:
        town().apply(do.SetThreshold("nobody", 1), by={"shop"})
    assert refusal.value.code == "party.not_found"


# --- what no story follows
NO_STORY_YET: frozenset[str] = frozenset({
})  # fmt: skip
"""Acts of somebody that neither the machine nor a story has followed so far; it may only shrink."""


def test_every_sentence_of_every_rule_file_is_followed() -> None:
    spoken = list(sentences())
    assert len(spoken) > 300
    others = {f"{file}: {text}" for file, text in spoken if not is_known(text)}
    assert not STORIES.keys() & NO_STORY_YET
    assert others - STORIES.keys() == NO_STORY_YET
    assert others >= STORIES.keys(), "a story of what is said no more"
