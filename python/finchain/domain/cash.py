"""The cash journal: what each party has paid and received in all, by currency.

Every movement takes from one and gives to another, so the journal of a currency always sums to zero (I-0).
Only what a cash fact backs is entered; an order to pay moves nothing here.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Protocol

from finchain.domain.cash_fact import state_cash_fact
from finchain.domain.policy import value_date
from finchain.domain.rule import Absent, Book, Optional, Record, record, refuse, up_to
from finchain.money import AMOUNT_MAX_MINOR


class BankEntry(Protocol):
    """The members of an instruction by which a bank, or a payee whose bank is not on the ledger, states a movement."""

    @property
    def reference(self) -> str:
        """The bank's number of the entry, which it states once."""

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the bank's message, for example of a camt.054."""

    @property
    def value_date(self) -> date | Optional:
        """Absent for today; earlier by up to the policy's `back_days`."""


@record
class Cash(Record, frozen=True, kw_only=True):
    """What a holder of money has received less what it has paid, since the ledger began.

    Attributes:
        id: The holder and the currency, for example `shop CNY`. A holder is a party, or a payee that is no party
            and then has the name `<account>/<mandate>`, which no party can have.
        net_minor: Received less paid; negative where more was paid.
    """

    kind: ClassVar[str] = "cash"

    net_minor: int


def move_cash(book: Book, payer: str, payee: str, amount_minor: int, currency: str) -> None:
    """Enters one movement; nothing where the amount is 0 or payer and payee are one.

    Raises:
        Refused: `cash.amount`, where a holder's total would leave what an amount can be.
    """
    if amount_minor == 0 or payer == payee:
        return
    for holder, change in ((payer, -amount_minor), (payee, amount_minor)):
        id = f"{holder} {currency}"
        held = book.find(Cash, id)
        net_minor = change if held is None else held.net_minor + change
        if abs(net_minor) > AMOUNT_MAX_MINOR:
            room = AMOUNT_MAX_MINOR - (abs(net_minor) - amount_minor)
            refuse("cash.amount", f"the cash journal of {holder} would exceed 2^53-1 minor units", field="amount_minor",
                   value=amount_minor, net_minor=net_minor,
                   advice=up_to("enter", room, "go on in another ledger, which counts from 0"))  # fmt: skip
        book.put(Cash(id=id, net_minor=net_minor))


def enter_fact(
    book: Book, kind: str, entry: BankEntry, *, by: str, amount_minor: int, currency: str, last: date | None = None,
    of: str | Optional = Absent,
) -> date:  # fmt: skip
    """Keeps a bank's entry, so that it counts once, and gives the date on which it has its value.

    Args:
        book: What the rule reads.
        kind: The instrument that refuses.
        entry: The instruction that states it.
        by: The bank or payee that states it, and whose signature the rule has required.
        amount_minor: What was moved, `> 0`.
        currency: Its currency.
        last: The object's last posting, which the fact may not precede.
        of: Id of what it is posted to, where that can be taken back.

    Raises:
        Refused: `<kind>.value_date`, `<kind>.reference`, `<kind>.digest`, or `<kind>.duplicate`.
    """
    on = value_date(book, kind, entry.value_date, last=last, bank_fact=True)
    state_cash_fact(
        book, kind, by=by, reference=entry.reference, digest=entry.digest, amount_minor=amount_minor, currency=currency,
        on=on, of=of,
    )  # fmt: skip
    return on
