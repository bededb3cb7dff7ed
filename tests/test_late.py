"""A large buyer pays a small supplier late: what that costs, who gets it, and that it is not agreed away."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.late import STEPS_MAX, LateInterest, LateTerms, ReferenceRate, late_interest
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from invariants import check_all

DUE = date(2026, 8, 31)
LPR = do.SetReferenceRate("LPR1Y", date(2026, 1, 20), do.Rate(300, 10_000))
KEEPERS = {"registrar", "operator"}
CLAIM = do.SubmitReceivable("R-1", "shop", "core", 1_000_000, "CNY", DUE, "INV-7", late=LateTerms())
AGREED = LateTerms(do.Rate(300, 10_000), "act/360", "LPR1Y")


@pytest.fixture
def ledger() -> MemoryBook:
    """The LPR is known, and the shop has a confirmed claim under the rate of the law."""
    ledger = town()
    ledger.apply(LPR, by=KEEPERS)
    ledger.apply(CLAIM, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 1_000_000), by={"core"})
    return ledger


def pay(ledger: MemoryBook, amount: int, payee: str = "shop", number: int = 1, **more: object) -> None:
    settle = do.SettleReceivable("R-1", amount, payee, f"entry {number}", digest(f"camt {number}"))
    ledger.apply(msgspec.structs.replace(settle, **more), by={payee})


def owed(ledger: MemoryBook, payee: str = "shop") -> LateInterest:
    return ledger.get(LateInterest, f"R-1 {payee}")


def test_without_an_agreement_the_law_says_five_ten_thousandths_a_day(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 17: 1,000,000 late by 30 days.
    ledger.move_to(DUE + timedelta(days=30))
    pay(ledger, 1_000_000)
    assert owed(ledger).posted_minor == 15_000
    check_all(ledger)


@pytest.mark.parametrize(("days", "posted"), [(0, 0), (1, 500)])
def test_the_due_date_is_in_time_and_the_day_after_is_not(ledger: MemoryBook, days: int, posted: int) -> None:
    ledger.move_to(DUE + timedelta(days=days))
    pay(ledger, 1_000_000)
    assert sum(each.posted_minor for each in ledger.all(LateInterest)) == posted


def test_each_payment_earns_for_whoever_was_paid_late(ledger: MemoryBook) -> None:
    ledger.apply(do.AssignReceivable("A-1", "R-1", "factor", 400_000, digest("n")), by={"shop", "factor"})
    ledger.move_to(DUE + timedelta(days=10))
    pay(ledger, 100_000)
    ledger.advance(10)
    pay(ledger, 200_000, number=2)
    pay(ledger, 400_000, "factor", part="A-1")
    assert owed(ledger).posted_minor == 500 + 2_000
    assert owed(ledger, "factor").posted_minor == 4_000


def test_a_claim_without_such_terms_earns_nothing() -> None:
    ledger = town()
    ledger.apply(msgspec.structs.replace(CLAIM, late=Absent), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 1_000_000), by={"core"})
    ledger.move_to(DUE + timedelta(days=30))
    pay(ledger, 1_000_000)
    assert ledger.all(LateInterest) == []


def test_a_due_date_on_a_holiday_is_late_from_the_business_day_on(ledger: MemoryBook) -> None:
    calendar = do.SetCalendar("CN", 1, 2026, [6, 7], [], [], digest("decree"))
    ledger.apply(calendar, by=KEEPERS)
    saturday = date(2026, 8, 29)
    claim = msgspec.structs.replace(CLAIM, id="R-2", invoice="I-8", due=saturday, calendar="CN", shift="following")
    ledger.apply(claim, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-2", 1_000_000), by={"core"})
    ledger.move_to(date(2026, 9, 1))
    pay(ledger, 1_000_000, id="R-2")
    assert ledger.get(LateInterest, "R-2 shop").posted_minor == 500


# --- what was agreed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (AGREED, ""), (LateTerms(do.Rate(3, 100), "act/360", "LPR1Y"), ""),
        (LateTerms(do.Rate(299, 10_000), "act/360", "LPR1Y"), "receivable.late_terms"),
        (LateTerms(do.Rate(300, 10_000), "act/360"), "receivable.late_terms"),
        (LateTerms(rate=do.Rate(300, 10_000), floor="LPR1Y"), "receivable.late_terms"),
        (LateTerms(floor="LPR1Y"), "receivable.late_terms"),
        (LateTerms(do.Rate(300, 0), "act/360", "LPR1Y"), "receivable.rate"),
        (LateTerms(do.Rate(300, 10_000), "act/360", "LPR5Y"), "reference_rate.not_found"),
    ],
)  # fmt: skip
def test_an_agreed_rate_is_not_below_the_lpr(ledger: MemoryBook, terms: LateTerms, code: str) -> None:
    claim = msgspec.structs.replace(CLAIM, id="R-2", invoice="INV-8", late=terms)
    if code:
        with refused(ledger, code):
            ledger.apply(claim, by={"shop"})
    else:
        ledger.apply(claim, by={"shop"})


@pytest.mark.parametrize(("signed", "code"), [(date(2026, 2, 19), ""), (date(2026, 2, 20), "receivable.late_terms"),
                                              (date(2026, 1, 19), "receivable.late_terms")])  # fmt: skip
def test_the_lpr_is_that_of_the_day_on_which_the_contract_was_signed(
    ledger: MemoryBook, signed: date, code: str
) -> None:
    ledger.apply(msgspec.structs.replace(LPR, since=date(2026, 2, 20), rate=do.Rate(310, 10_000)), by=KEEPERS)
    contract = do.SignContract("C-1", "shop", "core", digest("c"), 1_000_000, "CNY", signed)
    ledger.apply(contract, by={"shop", "core"})
    claim = msgspec.structs.replace(CLAIM, id="R-2", invoice="INV-8", contract="C-1", late=AGREED)
    if code:
        with refused(ledger, code):
            ledger.apply(claim, by={"shop"})
    else:
        ledger.apply(claim, by={"shop"})
        assert ledger.get(Receivable, "R-2").late == AGREED


@given(st.integers(1, 10**12), st.integers(0, 2_000), st.sampled_from(["act/360", "act/365f"]))
def test_interest_is_exact_and_rounded_once(amount: int, days: int, day_count: str) -> None:
    paid = DUE + timedelta(days=days)
    agreed = msgspec.structs.replace(AGREED, day_count=day_count)
    for terms, exact in (
        (LateTerms(), Fraction(amount * 5 * days, 10_000)),
        (agreed, Fraction(amount * 3 * days, 100 * (360 if day_count == "act/360" else 365))),
    ):
        assert late_interest(terms, amount, DUE, paid) == int(exact + Fraction(1, 2))
    assert late_interest(LateTerms(), amount, DUE, DUE - timedelta(days=days)) == 0


# --- the reference rate -----------------------------------------------------------------------------------------


def test_a_reference_rate_is_signed_and_only_grows(ledger: MemoryBook) -> None:
    later = msgspec.structs.replace(LPR, since=date(2026, 2, 20))
    for missing in KEEPERS:
        with refused(ledger, "reference_rate.not_signed"):
            ledger.apply(later, by=KEEPERS - {missing} | {"bank"})
    for changes, code in (
        ({"since": date(2026, 1, 20)}, "reference_rate.date"), ({"since": date(2026, 3, 3)}, "reference_rate.date"),
        ({"rate": do.Rate(-1, 100)}, "reference_rate.rate"), ({"id": "L PR"}, "reference_rate.identifier"),
    ):  # fmt: skip
        with refused(ledger, code):
            ledger.apply(msgspec.structs.replace(later, **changes), by=KEEPERS)
    ledger.apply(msgspec.structs.replace(later, since=date(2026, 1, 21)), by=KEEPERS)
    held = ledger.get(ReferenceRate, "LPR1Y")
    assert [held.on(date(2026, 1, day)) is None for day in (19, 20)] == [True, False]


def test_a_reference_rate_has_so_many_changes_at_most() -> None:
    ledger = town()
    for n in range(STEPS_MAX):
        step = msgspec.structs.replace(LPR, since=date(2025, 1, 1) + timedelta(days=n), rate=do.Rate(10**14, 10**12))
        ledger.apply(step, by=KEEPERS)
    with refused(ledger, "reference_rate.range"):
        ledger.apply(LPR, by=KEEPERS)


# --- paying it --------------------------------------------------------------------------------------------------


@pytest.fixture
def late(ledger: MemoryBook) -> MemoryBook:
    """15,000 of interest are due to the shop."""
    ledger.move_to(DUE + timedelta(days=30))
    pay(ledger, 1_000_000)
    return ledger


RECEIVE = do.ReceiveLateInterest("R-1", "shop", 10_000, "entry 2", digest("camt 2"))


def test_interest_is_paid_or_waived_and_never_more_than_was_earned(late: MemoryBook) -> None:
    with refused(late, "late_interest.not_signed"):
        late.apply(RECEIVE, by={"core"})
    late.apply(RECEIVE, by={"shop"})
    assert late.get(Cash, "shop CNY").net_minor == 1_010_000
    again = msgspec.structs.replace(RECEIVE, reference="entry 3", amount_minor=5_001)
    with refused(late, "late_interest.insufficient"):
        late.apply(again, by={"shop"})
    waive = do.WaiveLateInterest("R-1", "shop", 5_000, "goodwill")
    with refused(late, "late_interest.not_signed"):
        late.apply(waive, by={"core"})
    with refused(late, "late_interest.reference"):
        late.apply(msgspec.structs.replace(waive, reason=""), by={"shop"})
    with refused(late, "late_interest.insufficient"):
        late.apply(msgspec.structs.replace(waive, amount_minor=5_001), by={"shop"})
    late.apply(waive, by={"shop"})
    assert (owed(late).paid_minor, owed(late).waived_minor, owed(late).due_minor) == (10_000, 5_000, 0)
    check_all(late)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"receivable": "R-9"}, "late_interest.not_found"), ({"payee": "bank"}, "late_interest.not_found"),
        ({"amount_minor": 0}, "late_interest.amount"), ({"reference": "entry 1"}, "late_interest.duplicate"),
        ({"reference": ""}, "late_interest.reference"), ({"digest": "x"}, "late_interest.digest"),
        ({"value_date": DUE + timedelta(days=31)}, "late_interest.value_date"),
        ({"value_date": DUE + timedelta(days=29)}, "late_interest.value_date"),
    ],
)  # fmt: skip
def test_a_payment_of_interest_that_makes_no_sense_is_refused(
    late: MemoryBook, changes: dict[str, object], code: str
) -> None:
    with refused(late, code):
        late.apply(msgspec.structs.replace(RECEIVE, **changes), by={"shop"})
