"""Capacity: how much a party may promise, and how much of what it promised is live.

A rule cannot add up all records, so what is live stands in a record of its own, which the rules move that make promises
and end them: the live units of a party's certificates, and what its financing guarantees cover, from acceptance to
release. The limits are the community's: a registrar and the operator sign them, and where none is set there is none.
A limit refuses what is new and ends nothing that stands. Whose affiliates a client has no rule knows, so what is
covered for all of a group together is for supervision to watch.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from finchain.domain.arithmetic import WHOLE_BP
from finchain.domain.check import check_amount, check_currency, check_digest
from finchain.domain.party import require_any, require_role
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to
from finchain.money import AMOUNT_MAX_MINOR, format_minor

MULTIPLE_MAX: Final = 100
"""No law lets a guarantor cover more of its net assets; in China 10 times, or 15 for small firms and farms."""


class Leverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a guarantor may cover, as its net assets allow (R9; State Council 683).

    Attributes:
        net_assets_minor: What of its net assets stands behind its guarantees in this currency.
        multiple: How many times that all its financing guarantees may cover.
        client_bp: The share of it, in basis points, that those for one debtor may cover.
    """

    net_assets_minor: int
    multiple: int
    client_bp: int

    @property
    def whole_minor(self) -> int:
        """The most that all its financing guarantees may cover."""
        return min(self.net_assets_minor * self.multiple, AMOUNT_MAX_MINOR)

    @property
    def client_minor(self) -> int:
        """The most that those for one debtor may cover."""
        return self.net_assets_minor * self.client_bp // WHOLE_BP


@record
class Capacity(Record, frozen=True, kw_only=True):
    """What a party has promised in one currency and what it may. The id is both, for example `core CNY`.

    Attributes:
        issued_minor: The live units of the certificates that it issued, of offered ones too until they are refused.
        covered_minor: What its financing guarantees cover that were accepted and are not released.
        issue_max_minor: The most that may be live of its certificates; no limit where absent.
        leverage: How much it may cover; no limit where absent.
        document: SHA-256 of the paper that the limits rest on.
    """

    kind: ClassVar[str] = "capacity"

    issued_minor: int = 0
    covered_minor: int = 0
    issue_max_minor: int | Optional = Absent
    leverage: Leverage | Optional = Absent
    document: str | Optional = Absent

    def __str__(self) -> str:
        currency = self.id.rpartition(" ")[2]
        issued, covered = (format_minor(each, currency) for each in (self.issued_minor, self.covered_minor))
        return f"{self.id}: {issued} of certificates are live, guarantees cover {covered}"


@record
class ClientCover(Record, frozen=True, kw_only=True):
    """What a guarantor's financing guarantees cover for one debtor, its client.

    Attributes:
        id: Guarantor, debtor and currency, for example `guarantor shop CNY`.
        covered_minor: Of those that were accepted and are not released.
    """

    kind: ClassVar[str] = "client_cover"

    covered_minor: int


class SetCapacity(Instruction, frozen=True, tag="capacity.set"):
    """Replaces the limits of what a party may promise in a currency. Signed by a registrar and the operator.

    They hold at once, for what is promised from then on. A limit that is left out is lifted.

    Attributes:
        document: SHA-256 of what they rest on: the party's accounts, or a decision of the community.
        issue_max_minor: The most that may be live of the certificates that it issues.
        leverage: How much it may cover as a guarantor.
    """

    party: str
    currency: str
    document: str
    issue_max_minor: int | Optional = Absent
    leverage: Leverage | Optional = Absent


@rule(SetCapacity)
def _set_capacity(do: SetCapacity, book: Book) -> None:
    require_any(book, "capacity", "registrar")
    require_any(book, "capacity", "operator")
    require_role(book, "capacity", do.party, field="party")
    check_currency("capacity", do.currency)
    check_digest("capacity", do.document, "document")
    if do.issue_max_minor is not Absent:
        check_amount("capacity", do.issue_max_minor, "issue_max_minor")
    if do.leverage is not Absent:
        _check_leverage(do.leverage)
    book.put(
        msgspec.structs.replace(
            capacity_of(book, do.party, do.currency), issue_max_minor=do.issue_max_minor, leverage=do.leverage,
            document=do.document,
        )
    )  # fmt: skip


def _check_leverage(leverage: Leverage) -> None:
    check_amount("capacity", leverage.net_assets_minor, "leverage.net_assets_minor")
    for name, most in (("multiple", MULTIPLE_MAX), ("client_bp", WHOLE_BP)):
        limit = getattr(leverage, name)
        if not 1 <= limit <= most:
            refuse("capacity.range", f"{name} is {limit}", rule="R9", field=f"leverage.{name}", value=limit,
                   advice=f"state 1 to {most}")  # fmt: skip


def capacity_of(book: Book, party: str, currency: str) -> Capacity:
    """What a party has promised in a currency and may promise; nothing, and without limit, where nobody said so."""
    id = f"{party} {currency}"
    return book.find(Capacity, id) or Capacity(id=id)


def client_cover_of(book: Book, guarantor: str, client: str, currency: str) -> ClientCover:
    """What a guarantor covers for one debtor."""
    id = f"{guarantor} {client} {currency}"
    return book.find(ClientCover, id) or ClientCover(id=id, covered_minor=0)


def issue(book: Book, issuer: str, currency: str, amount_minor: int) -> None:
    """Enters what an issuer promises anew.

    Raises:
        Refused: `certificate.cap_exceeded`, where more would be live than may; `capacity.amount`.
    """
    held = capacity_of(book, issuer, currency)
    most = held.issue_max_minor
    if most is not Absent and amount_minor > most - held.issued_minor:
        room = max(0, most - held.issued_minor)
        refuse("certificate.cap_exceeded", f"{issuer} may issue {room} more", rule="R8",
               field="amount_minor", value=amount_minor,
               advice=f"issue up to {room}, with shares that sum to it" if room
               else f"{NONE}: certificates of it have to be paid, or refused, first",
               issue_max=most, live=held.issued_minor)  # fmt: skip
    book.put(msgspec.structs.replace(held, issued_minor=_sum(held.issued_minor, amount_minor)))


def end_issued(book: Book, issuer: str, currency: str, amount_minor: int) -> None:
    """Enters that so much of what an issuer promised is paid, forgiven or cancelled."""
    held = capacity_of(book, issuer, currency)
    book.put(msgspec.structs.replace(held, issued_minor=held.issued_minor - amount_minor))


def check_cover(book: Book, guarantor: str, client: str, currency: str, amount_minor: int, *, field: str) -> None:
    """Refuses that a guarantor covers so much more for a debtor than its net assets allow.

    Raises:
        Refused: `guarantee.cap_exceeded`.
    """
    held = capacity_of(book, guarantor, currency)
    leverage = held.leverage
    if leverage is Absent:
        return
    of_client = client_cover_of(book, guarantor, client, currency).covered_minor
    room = min(leverage.whole_minor - held.covered_minor, leverage.client_minor - of_client)
    if amount_minor > room:
        refuse("guarantee.cap_exceeded", f"{guarantor} may cover {max(0, room)} more for {client}",
               rule="R9", field=field, value=amount_minor,
               advice=up_to("let it cover", room, "other guarantees of it have to end first"),
               whole=leverage.whole_minor, covered=held.covered_minor, client=leverage.client_minor,
               client_covered=of_client)  # fmt: skip


def cover(book: Book, guarantor: str, client: str, currency: str, amount_minor: int) -> None:
    """Enters what a financing guarantee covers that was accepted.

    Raises:
        Refused: `guarantee.cap_exceeded`; `capacity.amount`.
    """
    check_cover(book, guarantor, client, currency, amount_minor, field="guarantee")
    _move_cover(book, guarantor, client, currency, amount_minor)


def end_cover(book: Book, guarantor: str, client: str, currency: str, amount_minor: int) -> None:
    """Enters that a financing guarantee which covered so much is released."""
    _move_cover(book, guarantor, client, currency, -amount_minor)


def _move_cover(book: Book, guarantor: str, client: str, currency: str, change_minor: int) -> None:
    held = capacity_of(book, guarantor, currency)
    of_client = client_cover_of(book, guarantor, client, currency)
    book.put(msgspec.structs.replace(held, covered_minor=_sum(held.covered_minor, change_minor)))
    book.put(msgspec.structs.replace(of_client, covered_minor=_sum(of_client.covered_minor, change_minor)))


def _sum(held_minor: int, change_minor: int) -> int:
    total = held_minor + change_minor
    if total > AMOUNT_MAX_MINOR:
        refuse("capacity.amount", "what one party has promised would exceed 2^53-1 minor units", field="amount_minor",
               value=change_minor,
               advice=up_to("promise", AMOUNT_MAX_MINOR - held_minor, "others that it gave have to end first"),
        )  # fmt: skip
    return total
