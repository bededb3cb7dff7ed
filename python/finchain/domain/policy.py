"""The policy: limits that the ledger's community may change without changing its rules.

A change is signed by a registrar and the operator and holds from the next day, so that nobody is judged by a limit
that they could not know. A contract copies what it needs when it is signed and keeps it.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final

import msgspec

from finchain.calendar import add_days
from finchain.domain.party import require_any
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule
from finchain.money import AMOUNT_MAX_MINOR

DAYS_MAX: Final = 3_660
"""Ten years: no deadline of a policy is longer."""


class PolicyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits themselves.

    Attributes:
        back_days: How far back a bank may value a cash fact.
        cooling_days: How long a new payee of a mandate waits before it may be paid.
        cut_off_days: How many days before maturity a lot is last transferred.
        dishonour_days: Days after maturity from which any holder may state that the debtor did not pay.
        lots_max: Live lots of one certificate.
        min_lot_minor: Smallest lot that a split may leave.
        offer_days: How long an offer or a reservation holds.
        payment_expiry_days: How long a requested payment may wait for the bank.
        tenor_max_months: Longest tenor of a certificate.
        tenor_warn_months: Tenor above which the outcome carries a note.
    """

    back_days: int
    cooling_days: int
    cut_off_days: int
    dishonour_days: int
    lots_max: int
    min_lot_minor: int
    offer_days: int
    payment_expiry_days: int
    tenor_max_months: int
    tenor_warn_months: int


DEFAULT_POLICY: Final = PolicyTerms(
    back_days=10, cooling_days=3, cut_off_days=1, dishonour_days=2, lots_max=4_096, min_lot_minor=100_000,
    offer_days=10, payment_expiry_days=5, tenor_max_months=12, tenor_warn_months=6,
)  # fmt: skip
"""Tenors are those of the Chinese rule of 2025 on certificates of receivables; the rest is custom of the trade."""

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "back_days": (0, 30),
    "cooling_days": (0, DAYS_MAX),
    "cut_off_days": (0, DAYS_MAX),
    "dishonour_days": (0, DAYS_MAX),
    "lots_max": (1, 4_096),
    "min_lot_minor": (1, AMOUNT_MAX_MINOR),
    "offer_days": (1, DAYS_MAX),
    "payment_expiry_days": (1, DAYS_MAX),
    "tenor_max_months": (1, 120),
    "tenor_warn_months": (1, 120),
}


@record
class Policy(Record, frozen=True, kw_only=True):
    """The policy of the ledger; there is one, with the id `policy`.

    Attributes:
        terms: What holds, until `next_from`.
        next: What holds from `next_from` on, once a change was signed.
    """

    kind: ClassVar[str] = "policy"

    terms: PolicyTerms
    next: PolicyTerms | Optional = Absent
    next_from: date | Optional = Absent

    def on(self, day: date) -> PolicyTerms:
        """The terms that hold on a day."""
        if self.next is not Absent and self.next_from is not Absent and day >= self.next_from:
            return self.next
        return self.terms


class SetPolicy(Instruction, frozen=True, tag="policy.set"):
    """Replaces the policy from the next day. Signed by a registrar and the operator."""

    terms: PolicyTerms


def in_force(book: Book) -> PolicyTerms:
    """The terms that hold today."""
    return book.get(Policy, "policy").on(book.today)


def first_value_date(book: Book, last: date | None, *, bank_fact: bool = True) -> date:
    """The first day on which an instruction of today may have its value; `last` and `bank_fact` as of `value_date`."""
    earliest = add_days(book.today, -in_force(book).back_days if bank_fact else 0)
    return earliest if last is None else max(earliest, last)


def value_date(
    book: Book,
    kind: str,
    given: date | Optional = Absent,
    *,
    last: date | None = None,
    bank_fact: bool = False,
    field: str = "value_date",
) -> date:
    """The date on which an instruction has its value: the given one, or today.

    Args:
        book: What the rule reads.
        kind: The instrument that refuses.
        given: The date that the instruction states.
        last: The object's last posting, which nothing may precede.
        bank_fact: Whether a bank states it; only then may it lie back, by up to the policy's `back_days`.
        field: The member of the instruction that states it.

    Raises:
        Refused: `<kind>.value_date`.
    """
    day = book.today if given is Absent else given
    earliest = first_value_date(book, last, bank_fact=bank_fact)
    if not earliest <= day <= book.today:
        refuse(
            f"{kind}.value_date", f"{day} is not a date that this may be valued at", rule="value dates", field=field,
            value=str(day), advice=f"state a date from {earliest} to {book.today}",
        )  # fmt: skip
    return day


def check_open_month(book: Book, kind: str, entered: date, id: str) -> None:
    """Refuses to reverse what was entered in a month that is over, and that books may have been closed on.

    Raises:
        Refused: `<kind>.period`.
    """
    if (entered.year, entered.month) != (book.today.year, book.today.month):
        refuse(
            f"{kind}.period", f"{id} was entered on {entered}, in a month that is over", rule="reversals",
            field="id", value=id,
            advice=f"{NONE}: adjust it by a new entry, which is a credit note, a refund or another transfer",
        )  # fmt: skip


def check_terms(terms: PolicyTerms) -> None:
    """Refuses limits that make no sense.

    Raises:
        Refused: `policy.range`.
    """
    for name, (low, high) in _RANGES.items():
        limit = getattr(terms, name)
        if not low <= limit <= high:
            refuse(
                "policy.range", f"{name} is {limit}", field=f"terms.{name}", value=limit,
                advice=f"state {low} to {high}",
            )  # fmt: skip
    if terms.tenor_warn_months > terms.tenor_max_months:
        refuse(
            "policy.range", "the tenor to warn at is longer than the longest tenor", field="terms.tenor_warn_months",
            value=terms.tenor_warn_months, advice=f"state up to {terms.tenor_max_months}",
        )  # fmt: skip


@rule(SetPolicy)
def _set_policy(do: SetPolicy, book: Book) -> None:
    require_any(book, "policy", "registrar")
    require_any(book, "policy", "operator")
    check_terms(do.terms)
    book.put(Policy(id="policy", terms=in_force(book), next=do.terms, next_from=add_days(book.today, 1)))
