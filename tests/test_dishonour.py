"""The day after which nobody waits any more: who may say that a debtor did not pay, when, and what it changes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.certificate import Certificate, Lot
from stories import ISSUE, MATURITY, A, agreed, apply, but, confirmed, lent, pledge, transferred

DISHONOUR = do.DishonourCertificate("C", "clearer")
PAY = do.PayCertificate("C", 50_000_000, "PAY-1", digest("payment"))


def due() -> MemoryBook:
    """It is the day of payment; the second tier and a bank as pledgee have claims."""
    ledger = lent()
    ledger.move_to(MATURITY)
    return ledger


@pytest.mark.parametrize(
    ("by", "days", "code"),
    [
        ("clearer", -1, "certificate.not_due"),
        ("clearer", 0, None),
        ("tier2", 1, "certificate.not_due"),
        ("tier2", 2, None),
        ("bank", 1, "certificate.not_due"),
        ("bank", 2, None),
        ("shop", 2, "certificate.wrong_role"),
        ("core", 2, "certificate.wrong_role"),
    ],
)
def test_the_bank_states_it_on_the_day_and_holders_two_days_later(by: str, days: int, code: str | None) -> None:
    """A pledgee exercises the pledged lot, so its holder, the shop, cannot."""
    ledger = agreed()
    ledger.move_to(MATURITY + timedelta(days))
    stated = but(DISHONOUR, by=by)
    if code is None:
        apply(ledger, stated, by=[by])
        assert ledger.get(Certificate, "C").dishonoured == MATURITY + timedelta(days)
    else:
        with refused(ledger, code):
            ledger.apply(stated, by=[by])


def test_who_states_it_signs_it() -> None:
    ledger = due()
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(DISHONOUR, by=["core"])
    ledger.advance(2)
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(but(DISHONOUR, by="tier2"), by=(), service=["tier2"])
    apply(ledger, but(DISHONOUR, by="tier2"), by=["tier2"])


def test_it_fixes_what_is_short_and_who_is_paid_first() -> None:
    ledger = due()
    apply(ledger, PAY, by=["clearer"])
    apply(ledger, DISHONOUR, by=["clearer"])
    certificate = ledger.get(Certificate, "C")
    assert (certificate.shortfall_minor, certificate.status) == (66_000_000, "dishonoured")
    assert [lot.rank for lot in ledger.all(Lot)] == ["senior", "senior"]
    # A residual stays pledged.
    assert ledger.get(Lot, "C 36000001").beneficiary == "bank"
    apply(ledger, but(PAY, reference="PAY-2", amount_minor=1_000), by=["clearer"])
    assert ledger.get(Certificate, "C").shortfall_minor == 66_000_000


def test_it_is_stated_once_and_only_of_a_debt() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(DISHONOUR, by=["clearer"])
    ledger = due()
    paid = ledger.copy()
    apply(paid, but(PAY, amount_minor=A), by=["clearer"])
    with refused(paid, "certificate.bad_state"):
        paid.apply(DISHONOUR, by=["clearer"])
    apply(ledger, DISHONOUR, by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(DISHONOUR, by=["clearer"])


def test_a_dishonoured_lot_is_not_pledged_any_more() -> None:
    ledger = due()
    apply(ledger, DISHONOUR, by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(pledge("C 1", 1_000_000), by=["tier2", "bank"])


def test_an_offer_ends_with_it() -> None:
    """Without a cut-off a lot can be under offer on the day itself; who offered it thought that it would be paid."""
    ledger = transferred()
    certificate = ledger.get(Certificate, "C")
    ledger.put(but(certificate, cut_off=MATURITY))
    ledger.move_to(MATURITY)
    apply(ledger, do.OfferTransfer("C 1", "payee", 36_000_000, digest("t"), recourse=False), by=["tier2"])
    apply(ledger, DISHONOUR, by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["payee"])


def test_the_days_are_those_of_the_policy_at_issue() -> None:
    assert transferred().get(Certificate, "C").dishonour_from == date(2026, 9, 2)
