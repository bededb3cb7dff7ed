"""A certificate that matures on a free day: when it is paid, and up to which day a sale is discounted.

The debtor pays on the next business day of the calendar that the certificate names. Whether who sells a lot pays for
those days as well is a term of each sale, and no rule guesses it.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.rule import Absent
from finchain.report import due
from real_ledger import key
from stories import GUARANTEE, ISSUED, A, apply, but, confirmed
from test_holiday import CN, KEEPERS

SATURDAY, MONDAY = date(2026, 8, 29), date(2026, 8, 31)
SOLD = date(2026, 3, 16)
"""A Monday, 166 days before the Saturday."""

ISSUE = do.IssueCertificate(
    "C", "core", "shop", A, "CNY", SATURDAY, [do.ClaimShare("R", A)], "clearer", "pro_solvendo", calendar="CN",
    shift="following",
)  # fmt: skip
RATE = do.Rate(480, 10_000)
TO_MATURITY, TO_PAYMENT = 36_000_000 - 796_800, 36_000_000 - 806_400
"""36 m less 4.80% of 360 days for 166 and for 168 days."""


def sale(extends: bool | None, price_minor: int) -> do.OfferSale:
    flag = Absent if extends is None else extends
    return do.OfferSale(
        "C 1", "factor", 36_000_000, price_minor, RATE, "act/360", SOLD, recourse=False, extends_days=flag
    )  # fmt: skip


def issued(**changes: Any) -> MemoryBook:
    """The shop holds a certificate that matures on a Saturday."""
    ledger = confirmed()
    ledger.apply(CN, by=KEEPERS)
    apply(ledger, but(ISSUE, **changes), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger


def test_vector_26_the_contract_says_whether_the_discount_runs_over_the_holiday(tmp_path: Path) -> None:
    """Issued, sold with 168 days of discount, and paid on the Monday, on a ledger on disk that is verified at the end.

    The same sale with the flag the other way has 166 days; without the flag nobody could say which.
    """
    clock, folder = fc.SimulatedClock(date(2026, 3, 2)), tmp_path / "sale.finchain"
    with fc.create(
        folder, name="example.com/sale", keys=tmp_path / "keys", operator=key("operator"), clock=clock
    ) as at:
        at.register("shop", "The shop", roles=["supplier"], key=key("shop"))
        at.register("core", "The customer", roles=["debtor"], key=key("core"))
        at.register("factor", "The factor", roles=["factor"], key=key("factor"))
        at.register("clearer", "The bank", roles=["settlement_bank"], key=key("clearer"))
        at.submit([CN], by=[key("operator")])
        clock.move_to(ISSUED)
        at.submit([do.SubmitReceivable("R", "shop", "core", A, "CNY", SATURDAY, "INV-7")], by=[key("shop")])
        at.submit([do.ConfirmReceivable("R", A), ISSUE], by=[key("core")])
        at.submit([do.AcceptCertificate("C")], by=[key("shop")])
        certificate = at.get(Certificate, "C")
        kept = (certificate.maturity, certificate.payable, certificate.calendar, certificate.calendar_version)
        assert kept == (SATURDAY, MONDAY, "CN", 1)
        clock.move_to(SOLD)
        for extends, price, code in (
            (None, TO_PAYMENT, "certificate.days"), (True, TO_MATURITY, "certificate.price"),
            (False, TO_PAYMENT, "certificate.price"),
        ):  # fmt: skip
            with pytest.raises(fc.Refused) as refusal:
                at.submit([sale(extends, price)], by=[key("shop")])
            assert refusal.value.code == code
        at.submit([sale(extends=False, price_minor=TO_MATURITY)], by=[key("shop")])
        at.submit([do.WithdrawOffer("C 1")], by=[key("shop")])
        at.submit([sale(extends=True, price_minor=TO_PAYMENT)], by=[key("shop")])
        at.submit([do.AcceptSale("C 1")], by=[key("factor")])
        at.submit([do.SettleSale("C 1", TO_PAYMENT, "DVP-1", digest("sale"))], by=[key("clearer")])
        assert at.get(Lot, "C 1").holder == "factor"
        assert [each.day for each in due(at)] == [MONDAY]
        clock.move_to(MONDAY)
        at.submit([do.PayCertificate("C", A, "PAY-1", digest("pay"))], by=[key("clearer")])
        assert at.get(Certificate, "C").status == "paid"
    assert fc.check(folder).blocks > 0


def test_a_sale_of_what_is_not_moved_needs_no_word_about_it() -> None:
    ledger = issued(maturity=MONDAY)
    assert ledger.get(Certificate, "C").shifted is Absent
    ledger.move_to(SOLD)
    to_monday = 36_000_000 - 806_400
    for extends in (None, True, False):
        ledger.copy().apply(sale(extends, to_monday), by=["shop"])


@pytest.mark.parametrize(
    ("shift", "payable", "days"),
    [("following", MONDAY, 168), ("modified_following", MONDAY, 168), ("preceding", date(2026, 8, 28), 165)],
)
def test_days_are_counted_to_wherever_the_day_is_moved(shift: str, payable: date, days: int) -> None:
    ledger = issued(shift=shift)
    assert ledger.get(Certificate, "C").payable == payable
    ledger.move_to(SOLD)
    discount = 36_000_000 * 480 * days // 3_600_000
    apply(ledger, sale(extends=True, price_minor=36_000_000 - discount), by=["shop"])


def test_a_shift_needs_a_calendar_that_knows_the_day() -> None:
    ledger = confirmed()
    ledger.apply(CN, by=KEEPERS)
    with refused(ledger, "certificate.shift"):
        ledger.apply(but(ISSUE, calendar=Absent), by=["core"])
    with refused(ledger, "calendar.not_covered"):
        ledger.apply(but(ISSUE, maturity=date(2027, 1, 2)), by=["core"])
    apply(ledger, but(ISSUE, shift=Absent), by=["core"])
    assert ledger.get(Certificate, "C").payable == SATURDAY


def test_a_day_of_payment_lies_ahead() -> None:
    """On a Friday nobody promises to pay on Saturday and means the Friday."""
    ledger = confirmed()
    ledger.apply(CN, by=KEEPERS)
    ledger.move_to(date(2026, 8, 28))
    with refused(ledger, "certificate.tenor"):
        ledger.apply(but(ISSUE, shift="preceding"), by=["core"])
    ledger.copy().apply(ISSUE, by=["core"])


def test_nobody_is_in_default_on_a_holiday() -> None:
    """The bank waits for the Monday, holders for two business days more; a lot is last sold on the Friday before."""
    ledger = issued()
    certificate = ledger.get(Certificate, "C")
    assert (certificate.cut_off, certificate.dishonour_from) == (date(2026, 8, 28), date(2026, 9, 2))
    for by, first in (("clearer", MONDAY), ("shop", date(2026, 9, 2))):
        for day, code in ((first - timedelta(1), "certificate.not_due"), (first, None)):
            then = ledger.copy()
            then.move_to(day)
            if code is None:
                apply(then, do.DishonourCertificate("C", by), by=[by])
                continue
            with refused(then, code):
                then.apply(do.DishonourCertificate("C", by), by=[by])


def test_a_guarantee_outlasts_the_day_of_payment() -> None:
    """A period that ends on the Saturday's Monday would be over when the debtor has barely failed to pay."""
    ledger = confirmed()
    ledger.apply(CN, by=KEEPERS)
    for id, period_end in (("G", MONDAY), ("H", MONDAY + timedelta(1))):
        offer = but(GUARANTEE, id=id, period_end=period_end)
        apply(ledger, offer, by=["guarantor"])
    with refused(ledger, "guarantee.period"):
        ledger.apply(but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, msgspec.structs.replace(ISSUE, guarantees=["H"]), by=["core"])
