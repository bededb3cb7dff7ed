"""Controlled accounts and mandates: money that may go only where owner and controllers agreed beforehand.

The ledger mirrors a bank account and moves no money. A mandate names one payee with its account, what for, how much
and until when; nothing leaves the account without one.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import add_days
from finchain.domain.check import check_amount, check_currency, check_identifier, check_reference
from finchain.domain.party import require, require_role
from finchain.domain.policy import in_force
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule
from finchain.domain.trade import EvidenceForm
from finchain.money import format_minor

Category = Literal["goods", "logistics", "labour", "tax", "equipment", "rent", "other"]
"""What money may be for. Securities, property, and paying another debt are not among them (rule `mandates`)."""

CONTROLLERS_MAX: Final = 8
"""Parties that control one account: a syndicate's agents, in an approval that 16 signatures can carry."""


@record
class Account(Record, frozen=True, kw_only=True):
    """A bank account under control.

    Attributes:
        id: Not the account's number, which could be guessed.
        number: The account's number at the bank, as printed.
        posted: Value date of the last entry.
        reserved_minor: Held for payments that were requested and are not settled yet.
    """

    kind: ClassVar[str] = "account"

    owner: str
    bank: str
    controllers: tuple[str, ...]
    currency: str
    purpose: str
    number: str
    # I-14: inflow - outflow + returned + refunded = settled >= reserved >= 0
    inflow_minor: int = 0
    outflow_minor: int = 0
    returned_minor: int = 0
    refunded_minor: int = 0
    reserved_minor: int = 0
    posted: date | Optional = Absent

    @property
    def settled_minor(self) -> int:
        """The money on the account."""
        return self.inflow_minor - self.outflow_minor + self.returned_minor + self.refunded_minor

    @property
    def free_minor(self) -> int:
        """What may still be asked for."""
        return self.settled_minor - self.reserved_minor

    def __str__(self) -> str:
        settled, free = (format_minor(each, self.currency) for each in (self.settled_minor, self.free_minor))
        return f"{self.id} of {self.owner} at {self.bank}: {settled} {self.currency}, of which {free} free"


class Payee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a payment goes to; all members must match, because a changed account number is how money is diverted.

    Attributes:
        name: Name of the holder of the account.
        legal_id: Official number of the holder.
        number: Number of the account.
        party: Id of the holder on this ledger, where it has one.
    """

    name: str
    legal_id: str
    number: str
    party: str | Optional = Absent


@record
class Mandate(Record, frozen=True, kw_only=True):
    """One payee that an account may pay, for what and how much. Its id is `<account> <name>`.

    Attributes:
        cap_minor: The most that may be paid in all; what comes back may be paid again.
        per_payment_minor: The most in one payment.
        start: First day on which a payment may be requested, and `end` the last.
        evidence: Forms of paper that every payment needs.
    """

    kind: ClassVar[str] = "mandate"

    account: str
    name: str
    category: Category
    payee: Payee
    cap_minor: int
    per_payment_minor: int
    start: date
    end: date
    evidence: tuple[EvidenceForm, ...]
    # I-15: used = paid - returned - refunded, and used + reserved <= cap
    reserved_minor: int = 0
    paid_minor: int = 0
    returned_minor: int = 0
    refunded_minor: int = 0

    @property
    def used_minor(self) -> int:
        """What the payee got and kept."""
        return self.paid_minor - self.returned_minor - self.refunded_minor

    @property
    def left_minor(self) -> int:
        """What may still be asked for."""
        return self.cap_minor - self.used_minor - self.reserved_minor

    @property
    def holder(self) -> str:
        """The payee's name in the cash journal: its party, or a name that no party can have."""
        return f"{self.account}/{self.name}" if self.payee.party is Absent else self.payee.party

    def __str__(self) -> str:
        return f"{self.id}: {self.payee.name} for {self.category}, {self.used_minor} of {self.cap_minor} used"


class OpenAccount(Instruction, frozen=True, tag="account.open"):
    """Puts a bank account under control. Signed by owner and bank."""

    id: str
    owner: str
    bank: str
    controllers: list[str]
    currency: str
    purpose: str
    number: str


class SetMandate(Instruction, frozen=True, tag="mandate.set"):
    """Lets an account pay one payee. Signed by the owner and all controllers."""

    account: str
    name: str
    category: Category
    payee: Payee
    cap_minor: int
    per_payment_minor: int
    start: date
    end: date
    evidence: list[EvidenceForm]


class AmendMandate(Instruction, frozen=True, tag="mandate.amend"):
    """Changes how much a mandate allows, until when, and on which papers. Signed by the owner and all controllers.

    Payee and category stay: for another payee a new mandate is set, which waits its days.

    Attributes:
        cap_minor: The most that may be paid in all; not below what is used and reserved.
        end: Last day on which a payment may be requested; yesterday ends it at once.
    """

    account: str
    name: str
    cap_minor: int
    per_payment_minor: int
    end: date
    evidence: list[EvidenceForm]


@rule(OpenAccount)
def _open(do: OpenAccount, book: Book) -> None:
    check_identifier("account", do.id)
    if book.find(Account, do.id) is not None:
        refuse("account.duplicate", f"there is an account {do.id} already", field="id", value=do.id,
               advice="choose another id")  # fmt: skip
    require(book, "account", do.owner, field="owner")
    require(book, "account", do.bank, role="settlement_bank", field="bank")
    if not 1 <= len(do.controllers) <= CONTROLLERS_MAX or len(set(do.controllers)) != len(do.controllers):
        refuse("account.controllers", f"{len(do.controllers)} controllers are named, or one twice",
               field="controllers", value=len(do.controllers), advice=f"name 1 to {CONTROLLERS_MAX}, each once",
        )  # fmt: skip
    for controller in do.controllers:
        require_role(book, "account", controller, role="controller", field="controllers")
        if controller == do.owner:
            refuse("account.wrong_role", f"{do.owner} cannot control its own account", rule="both sides",
                   field="controllers", value=controller, advice="name another controller")  # fmt: skip
    check_currency("account", do.currency)
    check_reference("account", do.purpose, "purpose")
    check_reference("account", do.number, "number")
    book.put(
        Account(
            id=do.id, owner=do.owner, bank=do.bank, controllers=tuple(do.controllers), currency=do.currency,
            purpose=do.purpose, number=do.number,
        )
    )  # fmt: skip


@rule(SetMandate)
def _set_mandate(do: SetMandate, book: Book) -> None:
    account = book.get(Account, do.account, field="account")
    require(book, "mandate", account.owner, field="owner")
    require_controllers("mandate", account, book)
    check_identifier("mandate", do.name, "name")
    check_identifier("mandate", f"{do.account}/{do.name}", "name")
    id = f"{do.account} {do.name}"
    if book.find(Mandate, id) is not None:
        refuse("mandate.duplicate", f"{do.account} has a mandate {do.name} already", field="name", value=do.name,
               advice="choose another name")  # fmt: skip
    for field in ("name", "legal_id", "number"):
        check_reference("mandate", getattr(do.payee, field), f"payee.{field}")
    if do.payee.party is not Absent:
        require_role(book, "mandate", do.payee.party, field="payee.party")
        if do.payee.party == account.owner:
            refuse("mandate.wrong_role", f"{account.owner} would pay itself", rule="both sides",
                   field="payee.party", value=account.owner, advice="name another payee")  # fmt: skip
    check_amount("mandate", do.cap_minor, "cap_minor")
    check_amount("mandate", do.per_payment_minor, "per_payment_minor")
    # A payee that can be paid at once is how stolen signatures empty an account; the days give time to notice.
    earliest = add_days(book.today, in_force(book).cooling_days)
    if not earliest <= do.start <= do.end:
        refuse("mandate.date", f"it would hold from {do.start} to {do.end}", rule="mandates", field="start",
               value=str(do.start), advice=f"let it start on {earliest} or later, and not end before it starts",
        )  # fmt: skip
    book.put(
        Mandate(
            id=id, account=do.account, name=do.name, category=do.category, payee=do.payee, cap_minor=do.cap_minor,
            per_payment_minor=do.per_payment_minor, start=do.start, end=do.end,
            evidence=tuple(sorted(set(do.evidence))),
        )
    )  # fmt: skip


@rule(AmendMandate)
def _amend_mandate(do: AmendMandate, book: Book) -> None:
    account = book.get(Account, do.account, field="account")
    require(book, "mandate", account.owner, field="owner")
    require_controllers("mandate", account, book)
    mandate = book.get(Mandate, f"{do.account} {do.name}", field="name")
    check_amount("mandate", do.cap_minor, "cap_minor")
    check_amount("mandate", do.per_payment_minor, "per_payment_minor")
    taken = mandate.used_minor + mandate.reserved_minor
    if do.cap_minor < taken:
        refuse("mandate.cap_exceeded", f"{taken} are paid or asked for under {mandate.id}", rule="I-15",
               field="cap_minor", value=do.cap_minor, advice=f"state {taken} or more",
               used=mandate.used_minor, reserved=mandate.reserved_minor)  # fmt: skip
    earliest = add_days(book.today, -1)
    if do.end < earliest:
        refuse("mandate.date", f"{do.end} is past, and what was asked for since would be without a mandate",
               field="end", value=str(do.end), advice=f"state {earliest}, which ends it at once, or later")  # fmt: skip
    book.put(
        msgspec.structs.replace(
            mandate, cap_minor=do.cap_minor, per_payment_minor=do.per_payment_minor, end=do.end,
            evidence=tuple(sorted(set(do.evidence))),
        )
    )  # fmt: skip


def credit(book: Book, id: str, amount_minor: int, on: date) -> None:
    """Enters money that came into a controlled account; the rule that calls has moved the cash."""
    account = book.get(Account, id)
    # Money that waits here can come with a payment valued before another entry; the later day stays.
    posted = on if account.posted is Absent else max(on, account.posted)
    book.put(msgspec.structs.replace(account, inflow_minor=account.inflow_minor + amount_minor, posted=posted))


def last_posting(account: Account) -> date | None:
    """Value date of the account's last entry, before which no bank may value another."""
    return None if account.posted is Absent else account.posted


def require_controllers(kind: str, account: Account, book: Book) -> None:
    """Refuses what not every controller has signed.

    Raises:
        Refused: `<kind>.not_signed` or `<kind>.wrong_role`.
    """
    for controller in account.controllers:
        require(book, kind, controller, role="controller", field="controllers")
