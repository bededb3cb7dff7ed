"""A part is offered, reserved until a day, and accepted by one signature; after its day it is free at once."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.part import Part
from finchain.domain.receivable import OFFERS_MAX, Receivable, claim_of
from finchain.domain.rule import Absent
from invariants import check_all

DUE = date(2026, 8, 31)
LAST = date(2026, 3, 12)
ASSIGN = do.OfferPart("A-1", "R-1", "factor", "assigned", 300)
PLEDGE = do.OfferPart("P-1", "R-1", "bank", "pledged", 400)
TAKE = do.AcceptPart("P-1", "R-1", "0123", MemoryBook().time_ms, digest("collateral"))


@pytest.fixture
def ledger() -> MemoryBook:
    """A claim of 1,000 of which 600 are confirmed."""
    ledger = town()
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7"), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    return ledger


def claim(ledger: MemoryBook) -> Receivable:
    return ledger.get(Receivable, "R-1")


def test_an_offer_reserves_and_acceptance_takes(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    assert (claim(ledger).free, claim(ledger).reserved, claim(ledger).open) == (300, 300, 600)
    check_all(ledger)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.AcceptPart("A-1", "R-1"), by={"shop"})
    ledger.apply(do.AcceptPart("A-1", "R-1", financed_minor=280), by={"factor"})
    assert (claim(ledger).reserved, claim(ledger).assigned, claim(ledger).offers) == (0, 300, ())
    part = ledger.get(Part, "A-1")
    assert (part.holder, part.face_minor, part.financed_minor, part.notified) == ("factor", 300, 280, Absent)
    check_all(ledger)


def test_no_unit_is_offered_twice(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(PLEDGE, by={"shop"})
    ledger.apply(msgspec.structs.replace(PLEDGE, amount_minor=300), by={"shop"})
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(do.SettleReceivable("R-1", 1, "shop", "entry 1", digest("camt")), by={"shop"})


def test_a_pledge_is_taken_with_its_registration_only(ledger: MemoryBook) -> None:
    """Civil Code 445."""
    ledger.apply(PLEDGE, by={"shop"})
    for missing in ("registration", "registered_ms", "description"):
        with refused(ledger, "receivable.not_registered"):
            ledger.apply(msgspec.structs.replace(TAKE, **{missing: Absent}), by={"bank"})
    with refused(ledger, "receivable.date"):
        ledger.apply(msgspec.structs.replace(TAKE, registered_ms=ledger.time_ms + 1), by={"bank"})
    ledger.apply(TAKE, by={"bank"})
    assert ledger.get(Part, "P-1").registration == "0123"
    assert claim(ledger).pledged == 400


def test_an_offer_that_is_over_is_free_at_once(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    ledger.move_to(LAST)
    assert claim_of(ledger.book(), "R-1").free == 300
    accept = do.AcceptPart("A-1", "R-1")
    ledger.copy().apply(accept, by={"factor"})
    ledger.advance(1)
    assert claim_of(ledger.book(), "R-1").free == 600
    with refused(ledger, "receivable.expired"):
        ledger.apply(accept, by={"factor"})
    with refused(ledger, "receivable.expired"):
        ledger.apply(do.WithdrawPartOffer("A-1", "R-1"), by={"shop"})
    ledger.apply(do.AssignReceivable("A-1", "R-1", "bank", 600), by={"shop", "bank"})
    assert (claim(ledger).reserved, claim(ledger).offers, claim(ledger).assigned) == (0, (), 600)
    check_all(ledger)


def test_a_certificate_may_be_made_of_what_an_old_offer_reserved(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    issue = do.IssueCertificate(
        "C-1", "core", "shop", 600, "CNY", DUE, [do.ClaimShare("R-1", 600)], "clearer", "pro_solvendo"
    )  # fmt: skip
    ledger.move_to(LAST)
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(issue, by={"core"})
    ledger.advance(1)
    ledger.apply(issue, by={"core"})
    assert claim(ledger).converted == 600


@pytest.mark.parametrize("by", ["shop", "factor"])
def test_either_side_ends_an_offer(ledger: MemoryBook, by: str) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.WithdrawPartOffer("A-1", "R-1"), by={"core"})
    ledger.apply(do.WithdrawPartOffer("A-1", "R-1"), by={by})
    assert (claim(ledger).free, claim(ledger).reserved) == (600, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "A 1"}, "part.identifier"), ({"receivable": "R-9"}, "receivable.not_found"),
        ({"to": "core"}, "receivable.wrong_role"), ({"to": "shop"}, "receivable.wrong_role"),
        ({"to": "nobody"}, "party.not_found"), ({"to": "payee", "mark": "pledged"}, "receivable.wrong_role"),
        ({"amount_minor": 0}, "receivable.amount"), ({"amount_minor": 601}, "receivable.insufficient_free"),
        ({"until": date(2026, 3, 1)}, "receivable.until"), ({"until": date(2026, 3, 13)}, "receivable.until"),
    ],
)  # fmt: skip
def test_an_offer_that_makes_no_sense_is_refused(ledger: MemoryBook, changes: dict[str, object], code: str) -> None:
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(ASSIGN, **changes), by={"shop"})
    for until in (date(2026, 3, 2), LAST):
        ledger.copy().apply(msgspec.structs.replace(ASSIGN, until=until), by={"shop"})


def test_offers_have_ids_of_their_own_and_are_not_many(ledger: MemoryBook) -> None:
    one = msgspec.structs.replace(ASSIGN, amount_minor=1)
    ledger.apply(one, by={"shop"})
    with refused(ledger, "part.duplicate"):
        ledger.apply(one, by={"shop"})
    for number in range(2, OFFERS_MAX + 1):
        ledger.apply(msgspec.structs.replace(one, id=f"A-{number}"), by={"shop"})
    with refused(ledger, "receivable.offers"):
        ledger.apply(msgspec.structs.replace(one, id="A-9"), by={"shop"})
    ledger.apply(do.WithdrawPartOffer("A-1", "R-1"), by={"shop"})
    ledger.apply(msgspec.structs.replace(one, id="A-9"), by={"shop"})


def test_a_taker_that_lost_its_role_cannot_accept(ledger: MemoryBook) -> None:
    ledger.apply(PLEDGE, by={"shop"})
    ledger.apply(do.SetRoles("bank", ["settlement_bank"]), by={"registrar"})
    with refused(ledger, "receivable.wrong_role"):
        ledger.apply(TAKE, by={"bank"})


def test_what_is_reserved_is_not_disputed(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by={"shop"})
    deny = do.DisputeReceivable("D-1", "R-1", "confirmed", 301, "broken")
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(deny, by={"core"})
    ledger.move_to(date(2026, 3, 13))
    ledger.apply(deny, by={"core"})
    check_all(ledger)
