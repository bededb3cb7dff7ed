"""Parts of a claim: pledged once, released by their holder, and paid to the one whom payment discharges."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.cash_fact import CashFact, cash_fact_id
from finchain.domain.part import PARTS_MAX, Part
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent

DUE = date(2026, 8, 31)
NOON = MemoryBook().time_ms
PLEDGE = do.PledgeReceivable("P-1", "R-1", "bank", 400, "0123-4567", NOON, digest("collateral"))
ASSIGN = do.AssignReceivable("A-1", "R-1", "factor", 300)
SHOP_AND_BANK = {"shop", "bank"}
SHOP_AND_FACTOR = {"shop", "factor"}


def with_claim(**changes: object) -> MemoryBook:
    ledger = town()
    submit = do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7")
    ledger.apply(msgspec.structs.replace(submit, **changes), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    return ledger


@pytest.fixture
def ledger() -> MemoryBook:
    """A claim of 1,000 of which 600 are confirmed; it names no bank."""
    return with_claim()


@pytest.fixture
def banked() -> MemoryBook:
    """The same, with payments stated by the clearer."""
    return with_claim(bank="clearer")


def claim(ledger: MemoryBook) -> Receivable:
    return ledger.get(Receivable, "R-1")


def paid(amount_minor: int, payee: str, number: int = 1, **more: object) -> do.SettleReceivable:
    settle = do.SettleReceivable("R-1", amount_minor, payee, f"entry {number}", digest(f"camt {number}"))
    return msgspec.structs.replace(settle, **more)


# --- assign and pledge ------------------------------------------------------------------------------------------


def test_only_what_is_confirmed_and_free_can_secure_a_loan(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 2: 600 of 1,000 confirmed, and 700 asked for.
    with refused(ledger, "receivable.insufficient_free") as refusal:
        ledger.apply(msgspec.structs.replace(PLEDGE, amount_minor=700), by=SHOP_AND_BANK)
    assert refusal.value.facts == {"free": 600, "pending": 400}
    ledger.apply(msgspec.structs.replace(PLEDGE, amount_minor=600), by=SHOP_AND_BANK)
    assert (claim(ledger).free, claim(ledger).pledged) == (0, 600)


def test_no_unit_is_financed_twice(ledger: MemoryBook) -> None:
    ledger.apply(PLEDGE, by=SHOP_AND_BANK)
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(ASSIGN, by=SHOP_AND_FACTOR)
    ledger.apply(msgspec.structs.replace(ASSIGN, amount_minor=200), by=SHOP_AND_FACTOR)
    assert (claim(ledger).free, claim(ledger).pledged, claim(ledger).assigned) == (0, 400, 200)
    assert str(ledger.get(Part, "P-1")) == "P-1 of R-1: pledged to bank, open 4.00 CNY"


@pytest.mark.parametrize("by", [{"shop"}, {"bank"}, {"factor"}])
def test_creditor_and_taker_sign_both(ledger: MemoryBook, by: set[str]) -> None:
    for instruction in (PLEDGE, ASSIGN):
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(instruction, by=by)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(PLEDGE, by={"shop"}, service={"bank"})


@pytest.mark.parametrize(
    ("member", "wrong", "code"),
    [
        ("id", "P 1", "part.identifier"), ("receivable", "R-9", "receivable.not_found"),
        ("pledgee", "shop", "receivable.wrong_role"), ("pledgee", "core", "receivable.wrong_role"),
        ("pledgee", "payee", "receivable.wrong_role"), ("amount_minor", 0, "receivable.amount"),
        ("registration", "", "receivable.reference"), ("registered_ms", NOON + 1, "receivable.date"),
        ("registered_ms", -1, "receivable.date"), ("financed_minor", 0, "receivable.amount"),
        ("description", "x", "receivable.digest"), ("notice", "x", "receivable.digest"),
    ],
)  # fmt: skip
def test_a_pledge_that_makes_no_sense_is_refused(ledger: MemoryBook, member: str, wrong: object, code: str) -> None:
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(PLEDGE, **{member: wrong}), by={"shop", "bank", "core", "payee"})


@pytest.mark.parametrize(
    ("member", "wrong", "code"),
    [("id", "", "part.identifier"), ("receivable", "R-9", "receivable.not_found"), ("amount_minor", -1,
      "receivable.amount"), ("assignee", "core", "receivable.wrong_role"), ("assignee", "shop",
      "receivable.wrong_role"), ("notice", "x", "receivable.digest")],
)  # fmt: skip
def test_an_assignment_that_makes_no_sense_is_refused(
    ledger: MemoryBook, member: str, wrong: object, code: str
) -> None:
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(ASSIGN, **{member: wrong}), by={"shop", "factor", "core"})


def test_the_id_of_a_part_is_used_once(ledger: MemoryBook) -> None:
    ledger.apply(PLEDGE, by=SHOP_AND_BANK)
    with refused(ledger, "part.duplicate"):
        ledger.apply(msgspec.structs.replace(ASSIGN, id="P-1", amount_minor=1), by=SHOP_AND_FACTOR)


def test_the_holder_releases_a_part_bit_by_bit(ledger: MemoryBook) -> None:
    ledger.apply(PLEDGE, by=SHOP_AND_BANK)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.ReleaseReceivable("P-1", 400), by={"shop"})
    with refused(ledger, "part.not_found"):
        ledger.apply(do.ReleaseReceivable("P-9", 1), by={"bank"})
    with refused(ledger, "receivable.amount"):
        ledger.apply(do.ReleaseReceivable("P-1", 0), by={"bank"})
    ledger.apply(do.ReleaseReceivable("P-1", 150), by={"bank"})
    with refused(ledger, "part.insufficient"):
        ledger.apply(do.ReleaseReceivable("P-1", 251), by={"bank"})
    ledger.apply(do.ReleaseReceivable("P-1", 250), by={"bank"})
    part = ledger.get(Part, "P-1")
    assert (part.amount_minor, part.released_minor, claim(ledger).free) == (0, 400, 600)


# --- notice -----------------------------------------------------------------------------------------------------


def test_the_debtors_signature_or_a_digest_is_notice(ledger: MemoryBook) -> None:
    ledger.apply(msgspec.structs.replace(PLEDGE, amount_minor=1), by=SHOP_AND_BANK)
    ledger.apply(msgspec.structs.replace(PLEDGE, id="P-2", amount_minor=1), by={"shop", "bank", "core"})
    ledger.apply(msgspec.structs.replace(PLEDGE, id="P-3", amount_minor=1, notice=digest("n")), by=SHOP_AND_BANK)
    assert [ledger.get(Part, id).notified for id in ("P-1", "P-2", "P-3")] == [Absent, ledger.today, ledger.today]


@pytest.mark.parametrize("by", ["bank", "shop", "core"])
def test_notice_may_be_recorded_later_and_once(ledger: MemoryBook, by: str) -> None:
    ledger.apply(PLEDGE, by=SHOP_AND_BANK)
    ledger.advance(3)
    with refused(ledger, "receivable.wrong_role"):
        ledger.apply(do.NotifyDebtor("P-1", "factor", digest("n")), by={"factor"})
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.NotifyDebtor("P-1", by, digest("n")), by={"factor"})
    with refused(ledger, "receivable.digest"):
        ledger.apply(do.NotifyDebtor("P-1", by, "n"), by={by})
    ledger.apply(do.NotifyDebtor("P-1", by, digest("n")), by={by})
    assert ledger.get(Part, "P-1").notified == date(2026, 3, 5)
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(do.NotifyDebtor("P-1", by, digest("n")), by={by})


# --- settle -----------------------------------------------------------------------------------------------------


def test_the_payee_states_a_payment_where_no_bank_is_named(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(paid(100, "shop"), by={"core"})
    ledger.apply(paid(100, "shop"), by={"shop"})
    assert (claim(ledger).settled, claim(ledger).free, claim(ledger).status) == (100, 500, "part_confirmed")
    fact = ledger.get(CashFact, cash_fact_id(ledger.ledger, "shop", "entry 1"))
    assert (fact.by, fact.amount_minor, fact.digest) == ("shop", 100, digest("camt 1"))
    assert (ledger.get(Cash, "shop CNY").net_minor, ledger.get(Cash, "core CNY").net_minor) == (100, -100)


def test_the_named_bank_states_a_payment_and_its_machine_may(banked: MemoryBook) -> None:
    for by in ({"shop"}, {"bank"}, {"core"}):
        with refused(banked, "receivable.not_signed"):
            banked.apply(paid(100, "shop"), by=by)
    banked.apply(paid(100, "shop"), by=(), service={"clearer"})
    assert claim(banked).settled == 100


def test_a_bank_that_lost_its_role_states_nothing(banked: MemoryBook) -> None:
    banked.apply(do.SetRoles("clearer", ["lender"]), by={"registrar"})
    with refused(banked, "receivable.wrong_role"):
        banked.apply(paid(100, "shop"), by={"clearer"})


def test_a_payees_machine_states_no_payment(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(paid(100, "shop"), by=(), service={"shop"})


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"id": "R-9"}, "receivable.not_found"), ({"amount_minor": 0}, "receivable.amount"),
        ({"amount_minor": 601}, "receivable.insufficient_free"), ({"payee": "tier2"}, "receivable.wrong_payee"),
        ({"reference": ""}, "receivable.reference"), ({"digest": "x"}, "receivable.digest"),
        ({"part": "P-9"}, "part.not_found"), ({"value_date": date(2026, 3, 3)}, "receivable.value_date"),
        ({"value_date": date(2026, 3, 1)}, "receivable.value_date"),
    ],
)  # fmt: skip
def test_a_payment_that_makes_no_sense_is_refused(ledger: MemoryBook, more: dict[str, object], code: str) -> None:
    settle = msgspec.structs.replace(paid(100, "shop"), **more)
    with refused(ledger, code):
        ledger.apply(settle, by={"shop", "tier2"})


def test_a_bank_entry_counts_once(banked: MemoryBook) -> None:
    banked.apply(paid(100, "shop"), by={"clearer"})
    with refused(banked, "receivable.duplicate") as refusal:
        banked.apply(paid(50, "shop", digest=digest("other")), by={"clearer"})
    assert refusal.value.facts == {"digest": digest("other"), "digest_held": digest("camt 1")}
    banked.apply(paid(50, "shop", 2), by={"clearer"})


def test_a_bank_values_back_up_to_the_policy_and_not_before_the_last_payment(banked: MemoryBook) -> None:
    banked.advance(30)
    with refused(banked, "receivable.value_date"):
        banked.apply(paid(1, "shop", 1, value_date=date(2026, 3, 21)), by={"clearer"})
    banked.apply(paid(1, "shop", 1, value_date=date(2026, 3, 22)), by={"clearer"})
    banked.apply(paid(1, "shop", 2, value_date=date(2026, 3, 25)), by={"clearer"})
    with refused(banked, "receivable.value_date"):
        banked.apply(paid(1, "shop", 3, value_date=date(2026, 3, 24)), by={"clearer"})
    assert claim(banked).posted == date(2026, 3, 25)


def test_after_notice_only_the_holder_can_be_paid(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by=SHOP_AND_FACTOR)
    ledger.apply(paid(10, "shop", 1, part="A-1"), by={"shop"})
    ledger.apply(paid(10, "factor", 2, part="A-1"), by={"factor"})
    with refused(ledger, "receivable.wrong_payee"):
        ledger.apply(paid(10, "tier2", 3, part="A-1"), by={"tier2"})
    ledger.apply(do.NotifyDebtor("A-1", "factor", digest("n")), by={"factor"})
    with refused(ledger, "receivable.wrong_payee") as refusal:
        ledger.apply(paid(10, "shop", 3, part="A-1"), by={"shop"})
    assert "factor" in refusal.value.advice
    with refused(ledger, "part.insufficient"):
        ledger.apply(paid(281, "factor", 3, part="A-1"), by={"factor"})
    ledger.apply(paid(280, "factor", 3, part="A-1"), by={"factor"})
    part = ledger.get(Part, "A-1")
    assert (part.amount_minor, part.settled_minor, claim(ledger).assigned, claim(ledger).settled) == (0, 300, 0, 300)


def test_a_payment_of_a_day_before_the_notice_still_discharges(banked: MemoryBook) -> None:
    banked.apply(ASSIGN, by=SHOP_AND_FACTOR)
    banked.advance(5)
    banked.apply(do.NotifyDebtor("A-1", "factor", digest("n")), by={"factor"})
    with refused(banked, "receivable.wrong_payee"):
        banked.apply(paid(10, "shop", 1, part="A-1", value_date=date(2026, 3, 7)), by={"clearer"})
    banked.apply(paid(10, "shop", 1, part="A-1", value_date=date(2026, 3, 6)), by={"clearer"})


def test_a_part_is_paid_on_its_own_claim(ledger: MemoryBook) -> None:
    ledger.apply(PLEDGE, by=SHOP_AND_BANK)
    other = do.SubmitReceivable("R-2", "shop", "core", 1_000, "CNY", DUE, "INV-8")
    ledger.apply(other, by={"shop"})
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(paid(1, "bank", part="P-1", id="R-2"), by={"bank"})
    ledger.apply(paid(1, "bank", part="P-1"), by={"bank"})
    assert claim(ledger).pledged == 399


# --- registration -----------------------------------------------------------------------------------------------


def test_an_assignee_registers_its_part_once(ledger: MemoryBook) -> None:
    ledger.apply(ASSIGN, by=SHOP_AND_FACTOR)
    entry = do.RegisterPart("A-1", "0999", NOON, digest("part"))
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(entry, by={"shop"})
    for changes, code in (
        ({"registered_ms": NOON + 1}, "receivable.date"), ({"registration": ""}, "receivable.reference"),
        ({"description": "x"}, "receivable.digest"), ({"id": "A-9"}, "part.not_found"),
    ):  # fmt: skip
        with refused(ledger, code):
            ledger.apply(msgspec.structs.replace(entry, **changes), by={"factor"})
    ledger.apply(entry, by={"factor"})
    assert ledger.get(Part, "A-1").registered_ms == NOON
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(msgspec.structs.replace(entry, registered_ms=NOON - 1), by={"factor"})


def test_a_claim_is_in_so_many_live_parts_at_most(ledger: MemoryBook) -> None:
    for number in range(1, PARTS_MAX + 1):
        ledger.apply(msgspec.structs.replace(ASSIGN, id=f"{number:064}", amount_minor=1), by=SHOP_AND_FACTOR)
    one_more = msgspec.structs.replace(ASSIGN, id="A-1", amount_minor=1)
    with refused(ledger, "receivable.parts"):
        ledger.apply(one_more, by=SHOP_AND_FACTOR)
    ledger.apply(do.ReleaseReceivable(f"{7:064}", 1), by={"factor"})
    ledger.apply(one_more, by=SHOP_AND_FACTOR)
    assert len(claim(ledger).parts) == PARTS_MAX
