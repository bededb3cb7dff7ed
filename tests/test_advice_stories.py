"""Advice to let somebody do something first: each story is refused, does what was advised, and is applied then.

The machine in `test_advice.py` follows what can be followed without knowing the business. What it cannot follow has a
story in `advice_house.py`, `advice_deals.py` or `advice_backing.py`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

import advice_backing
import advice_house
from advice_deals import PRICE, REQUEST, SALE, guaranteed
from advice_sentences import sentences
from advising import STORIES, said
from book import digest, town
from finchain import instructions as do
from finchain.domain.rule import NONE
from finchain.errors import Refused
from following_advice import UNKNOWN, is_known
from stories import ISSUE, ISSUED, LOAN, MATURITY, agreed, apply, but, confirmed, draw, held, lent


@pytest.mark.parametrize("sentence", sorted(STORIES))
def test_who_does_what_was_advised_is_not_refused_again(sentence: str) -> None:
    wording = re.escape(sentence.partition(": ")[2]).replace(UNKNOWN, ".+")
    assert re.fullmatch(wording, STORIES[sentence]())


# --- what was wrong before
def test_nothing_is_not_an_amount_that_is_advised() -> None:
    """A claim that is wholly confirmed, a loan of which nothing is left, a guarantee under which nobody demanded."""
    assert said(confirmed(), do.ConfirmReceivable("R", 1), {"core"}).startswith(f"{NONE}: nothing is pending")
    assert said(confirmed(), do.RejectReceivable("R", 1, "no"), {"core"}).startswith(NONE)
    ledger = agreed()
    draw(ledger, date(2026, 3, 9), 72_000_000, "all")
    assert said(ledger, do.DrawLoan("L", "more", 1), {"shop", "bank"}).startswith(NONE)
    ledger, _ = guaranteed()
    paid = do.CompensateLoss("G", 1, "loss", digest("loss"))
    assert said(ledger, paid, {"guarantor", "clearer"}).startswith(NONE)


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
    assert advice_house and advice_backing
    with pytest.raises(Refused) as refusal:
        town().apply(do.SetThreshold("nobody", 1), by={"shop"})
    assert refusal.value.code == "party.not_found"


# --- nothing is left out
def test_every_sentence_of_every_rule_file_is_followed() -> None:
    spoken = list(sentences())
    assert len(spoken) > 300
    others = {f"{file}: {text}" for file, text in spoken if not is_known(text)}
    assert not others - STORIES.keys(), "neither the machine nor a story follows it"
    assert others >= STORIES.keys(), "a story of what is said no more"
