"""Interest for late payment of trade debts to small and medium enterprises, and the reference rates that bound it.

An agreed rate is not below the one-year LPR of the day on which the contract was signed; where none was agreed the law
says 0.05% a day (State Council 802). It is worked out and posted with each late payment, to whoever was paid late.
What is paid by certificate is not late here: a certificate has a maturity and a dishonour of its own.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, add_days, count_days
from finchain.domain.accrual import Rates, RateStep
from finchain.domain.arithmetic import Rate, interest
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.cash_fact import require_cash_signer
from finchain.domain.check import check_amount, check_identifier, check_not_future, check_rate, check_reference
from finchain.domain.party import require, require_any
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, from_to, record, refuse, rule, up_to
from finchain.money import AMOUNT_MAX_MINOR

STATUTORY_PER_DAY: Final = Rate(5, 10_000)
"""What the law charges a day where nothing was agreed."""

STEPS_MAX: Final = 200
"""Changes of one reference rate: sixteen years of months, at 68 bytes each in a record of 16,384."""


@record
class ReferenceRate(Record, frozen=True, kw_only=True):
    """A published rate, for example `LPR1Y`.

    Attributes:
        steps: Its changes, by rising day; old ones never change.
    """

    kind: ClassVar[str] = "reference_rate"

    steps: Rates

    def on(self, day: date) -> Rate | None:
        """The rate of a day; `None` for a day before the first."""
        return next((step.rate for step in reversed(self.steps) if step.since <= day), None)


class LateTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a small or medium enterprise gets for late payment; with nothing in it, what the law says.

    Attributes:
        rate: The agreed rate per year; with it come the other two.
        day_count: How its days are counted.
        floor: The reference rate that it is not below.
    """

    rate: Rate | Optional = Absent
    day_count: DayCount | Optional = Absent
    floor: str | Optional = Absent


@record
class LateInterest(Record, frozen=True, kw_only=True):
    """Interest of one claim for one payee. Its id is `<receivable> <payee>`.

    Attributes:
        bank: The settlement bank that states payments; where absent, the payee does.
        charged: Value date of the last late payment.
    """

    kind: ClassVar[str] = "late_interest"

    receivable: str
    debtor: str
    payee: str
    currency: str
    charged: date
    # posted = due + paid + waived
    posted_minor: int
    paid_minor: int = 0
    waived_minor: int = 0
    bank: str | Optional = Absent

    @property
    def due_minor(self) -> int:
        """What is still to be paid."""
        return self.posted_minor - self.paid_minor - self.waived_minor


class SetReferenceRate(Instruction, frozen=True, tag="reference_rate.set"):
    """Records a published rate from a day on. Signed by a registrar and the operator.

    Attributes:
        id: Name of the rate, for example `LPR1Y`.
        since: First day on which it holds; after that of the change before, and not in the future.
    """

    id: str
    since: date
    rate: Rate


class ReceiveLateInterest(Instruction, frozen=True, tag="late_interest.receive"):
    """States that interest was paid. Signed by the claim's settlement bank, or the payee where the claim names none."""

    receivable: str
    payee: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class WaiveLateInterest(Instruction, frozen=True, tag="late_interest.waive"):
    """Gives interest up. Signed by the payee."""

    receivable: str
    payee: str
    amount_minor: int
    reason: str


@rule(SetReferenceRate)
def _set_rate(do: SetReferenceRate, book: Book) -> None:
    check_identifier("reference_rate", do.id)
    require_any(book, "reference_rate", "registrar")
    require_any(book, "reference_rate", "operator")
    check_rate("reference_rate", do.rate, "rate")
    check_not_future("reference_rate", do.since, book.today, "since")
    held = book.find(ReferenceRate, do.id)
    steps = () if held is None else held.steps
    if steps and do.since <= steps[-1].since:
        refuse("reference_rate.date", f"{do.id} was set from {steps[-1].since} on", field="since", value=str(do.since),
               advice=from_to(add_days(steps[-1].since, 1), book.today, f"wait until {add_days(steps[-1].since, 1)}")
               + "; what held before never changes")  # fmt: skip
    if len(steps) >= STEPS_MAX:
        refuse("reference_rate.range", f"{do.id} has {STEPS_MAX} changes", field="id", value=do.id,
               advice="go on under another name")  # fmt: skip
    book.put(ReferenceRate(id=do.id, steps=(*steps, RateStep(do.since, do.rate))))


def check_late_terms(kind: str, terms: LateTerms, signed: date, book: Book) -> None:
    """Refuses an agreed rate that is unclear or below its floor on the day on which the contract was signed.

    Raises:
        Refused: `<kind>.late_terms`, `<kind>.rate`, or `reference_rate.not_found`.
    """
    if terms.rate is Absent or terms.day_count is Absent or terms.floor is Absent:
        if (terms.rate, terms.day_count, terms.floor) != (Absent, Absent, Absent):
            refuse(f"{kind}.late_terms", "an agreed rate has a day count and a floor", field="late",
                   advice="state rate, day_count and floor, or nothing for the rate of the law")  # fmt: skip
        return
    check_rate(kind, terms.rate, "late")
    least = book.get(ReferenceRate, terms.floor, field="late").on(signed)
    if least is None:
        refuse(f"{kind}.late_terms", f"{terms.floor} is not known for {signed}", field="late", value=terms.floor,
               advice="name a contract that was signed later, or have the rate of that day set first")  # fmt: skip
    if terms.rate.value * least.scale < least.value * terms.rate.scale:
        refuse(
            f"{kind}.late_terms", f"{terms.rate} is below {terms.floor}, which was {least} on {signed}",
            rule="State Council 802", field="late", value=str(terms.rate), advice=f"agree on {least} or more",
        )  # fmt: skip


def late_rate(terms: LateTerms) -> Rate:
    """What is charged per year: the agreed rate, or what the law says for 365 days."""
    if terms.rate is not Absent:
        return terms.rate
    return Rate(STATUTORY_PER_DAY.value * DAYS_IN_YEAR["act/365f"], STATUTORY_PER_DAY.scale)


def late_interest(terms: LateTerms, amount_minor: int, due: date, paid: date) -> int:
    """Interest on an amount that was due on one day and paid on another; 0 where it was in time."""
    if paid <= due:
        return 0
    if terms.rate is Absent or terms.day_count is Absent:
        return interest(amount_minor, STATUTORY_PER_DAY, count_days(due, paid, "act/365f"), 1)
    days = count_days(due, paid, terms.day_count)
    return interest(amount_minor, terms.rate, days, DAYS_IN_YEAR[terms.day_count])


def charge_late(
    book: Book, *, receivable: str, debtor: str, payee: str, currency: str, bank: str | Optional, earned: int, on: date
) -> None:
    """Posts interest for a payee, together with the late payment that ended it.

    Raises:
        Refused: `late_interest.amount`, where all of it would leave what an amount can be.
    """
    if earned == 0:
        return
    id = f"{receivable} {payee}"
    held = book.find(LateInterest, id) or LateInterest(
        id=id, receivable=receivable, debtor=debtor, payee=payee, currency=currency, charged=on, posted_minor=0,
        bank=bank,
    )  # fmt: skip
    posted = held.posted_minor + earned
    if posted > AMOUNT_MAX_MINOR:
        refuse("late_interest.amount", "the interest would exceed 2^53-1 minor units", field="amount_minor",
               value=earned, advice="state a smaller payment: it earns less")  # fmt: skip
    book.put(msgspec.structs.replace(held, posted_minor=posted, charged=on))


@rule(ReceiveLateInterest)
def _receive(do: ReceiveLateInterest, book: Book) -> None:
    owed = _owed(do.receivable, do.payee, do.amount_minor, book)
    by = require_cash_signer(book, "late_interest", owed.bank, owed.payee)
    enter_fact(
        book, "late_interest", do, by=by, amount_minor=do.amount_minor, currency=owed.currency, last=owed.charged
    )  # fmt: skip
    move_cash(book, owed.debtor, owed.payee, do.amount_minor, owed.currency)
    book.put(msgspec.structs.replace(owed, paid_minor=owed.paid_minor + do.amount_minor))


@rule(WaiveLateInterest)
def _waive(do: WaiveLateInterest, book: Book) -> None:
    owed = _owed(do.receivable, do.payee, do.amount_minor, book)
    require(book, "late_interest", owed.payee, field="payee")
    check_reference("late_interest", do.reason, "reason")
    book.put(msgspec.structs.replace(owed, waived_minor=owed.waived_minor + do.amount_minor))


def _owed(receivable: str, payee: str, amount_minor: int, book: Book) -> LateInterest:
    owed = book.get(LateInterest, f"{receivable} {payee}", field="receivable")
    check_amount("late_interest", amount_minor)
    if amount_minor > owed.due_minor:
        refuse("late_interest.insufficient", f"{owed.due_minor} of {owed.posted_minor} are due",
               field="amount_minor", value=amount_minor,
               advice=up_to("state", owed.due_minor, "all of it is paid or waived"),
               paid=owed.paid_minor, waived=owed.waived_minor)  # fmt: skip
    return owed
