"""Parts of a confirmed claim: assigned, pledged, and taken back as if they had never been.

A part has one holder, and what is pledged exists only from its registration on. What is open of a part goes back to
the creditor by `collateral`, and is paid by `collection`.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final

import msgspec

from finchain.domain.check import check_amount, check_digest, check_identifier, check_reference
from finchain.domain.party import Role, require, require_role
from finchain.domain.policy import check_open_month
from finchain.domain.receivable import Bucket, Mark, Receivable, check_enough, claim_of, money_text, move
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to
from finchain.money import format_minor

PARTS_MAX: Final = 64
"""Parts of one claim of which something is open or disputed; with 64 characters each they leave room in its record."""

_MEMBERS: Final[dict[str, str]] = {
    "disputed_assigned": "disputed_minor", "disputed_pledged": "disputed_minor", "settled": "settled_minor",
    "free": "released_minor", "credited": "credited_minor", "setoff": "setoff_minor",
    "written_off": "written_off_minor",
}  # fmt: skip
"""The member of a part in which an amount lies that the claim has in this bucket."""


@record
class Part(Record, frozen=True, kw_only=True):
    """A part of a confirmed claim that was assigned or pledged.

    Attributes:
        holder: The assignee or pledgee.
        face_minor: What was taken; it never changes.
        amount_minor: What is still open of it and undisputed.
        taken: The day on which the holder took it.
        notified: The day from which the debtor must pay the holder, and nobody else; `notified_ms` is its time.
        notice: SHA-256 of the notice, or absent where the debtor signed.
        registration: Number of the entry in the public register, made at `registered_ms`.
        description: SHA-256 of the description of the part in that entry.
        financed_minor: What the holder paid or lent on it, or its fee; the last rule of the order of holders needs it.
        loan: The loan that a pledged part secures, where it is one of this ledger.
    """

    kind: ClassVar[str] = "part"

    receivable: str
    holder: str
    mark: Mark
    face_minor: int
    # face = open + disputed + settled + released + reversed + credited + setoff + written_off
    amount_minor: int
    currency: str
    taken: date
    disputed_minor: int = 0
    settled_minor: int = 0
    released_minor: int = 0
    reversed_minor: int = 0
    credited_minor: int = 0
    setoff_minor: int = 0
    written_off_minor: int = 0
    notified: date | Optional = Absent
    notified_ms: int | Optional = Absent
    notice: str | Optional = Absent
    registration: str | Optional = Absent
    registered_ms: int | Optional = Absent
    description: str | Optional = Absent
    financed_minor: int | Optional = Absent
    loan: str | Optional = Absent

    @property
    def done(self) -> bool:
        """Whether nothing of it is open or disputed any more."""
        return self.amount_minor + self.disputed_minor == 0

    def __str__(self) -> str:
        amount = format_minor(self.amount_minor, self.currency)
        return f"{self.id} of {self.receivable}: {self.mark} to {self.holder}, open {amount} {self.currency}"


class AssignReceivable(Instruction, frozen=True, tag="receivable.assign"):
    """Assigns a free part of the claim. Signed by creditor and assignee; the debtor's signature is notice to it.

    Attributes:
        id: Id of the part.
        notice: SHA-256 of the notice that was sent to the debtor.
        financed_minor: What the assignee pays for it, or its fee where it only collects.
    """

    id: str
    receivable: str
    assignee: str
    amount_minor: int
    notice: str | Optional = Absent
    financed_minor: int | Optional = Absent


class PledgeReceivable(Instruction, frozen=True, tag="receivable.pledge"):
    """Pledges a free part of the claim. Signed by creditor and pledgee.

    Attributes:
        id: Id of the part.
        registration: Number of the entry in the public register, made at `registered_ms`.
        description: SHA-256 of the description of the collateral in that entry.
        notice: SHA-256 of the notice that was sent to the debtor.
        financed_minor: What the pledgee lends on it.
    """

    id: str
    receivable: str
    pledgee: str
    amount_minor: int
    registration: str
    registered_ms: int
    description: str
    notice: str | Optional = Absent
    financed_minor: int | Optional = Absent


class RegisterPart(Instruction, frozen=True, tag="receivable.register"):
    """Records the entry of an assigned part in the public register, on which its rank rests. Signed by its holder.

    Attributes:
        registration: Number of the entry, made at `registered_ms`.
        description: SHA-256 of the description of the part in that entry.
    """

    id: str
    registration: str
    registered_ms: int
    description: str


class NotifyDebtor(Instruction, frozen=True, tag="receivable.notify"):
    """Records that the debtor knows who holds a part. Signed by the holder or the creditor, or by the debtor itself."""

    id: str
    by: str
    notice: str


class ReversePart(Instruction, frozen=True, tag="receivable.reverse_part"):
    """Takes an assignment or a pledge back as if it had never been, in its month and while all of it is untouched.

    Signed by creditor and holder, and by the debtor where it was notified.
    """

    id: str
    reason: str


@rule(AssignReceivable)
def _assign(do: AssignReceivable, book: Book) -> None:
    claim = claim_to_take(do.id, do.receivable, do.amount_minor, do.assignee, "assigned", "assignee", book)
    require(book, "receivable", claim.creditor, field="creditor")
    require(book, "receivable", do.assignee, field="assignee")
    claim = move(claim, do.amount_minor, "free", "assigned")
    put_part(
        new_part(do.id, claim, do.assignee, "assigned", do.amount_minor, book, do.notice, do.financed_minor), claim,
        book,
    )  # fmt: skip


@rule(PledgeReceivable)
def _pledge(do: PledgeReceivable, book: Book) -> None:
    claim = claim_to_take(do.id, do.receivable, do.amount_minor, do.pledgee, "pledged", "pledgee", book)
    require(book, "receivable", claim.creditor, field="creditor")
    require(book, "receivable", do.pledgee, field="pledgee")
    claim = move(claim, do.amount_minor, "free", "pledged")
    part = new_part(do.id, claim, do.pledgee, "pledged", do.amount_minor, book, do.notice, do.financed_minor)
    put_part(registered(part, do.registration, do.registered_ms, do.description, book), claim, book)


@rule(RegisterPart)
def _register(do: RegisterPart, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    require(book, "receivable", part.holder, field="holder")
    if part.registration is not Absent:
        refuse(
            "receivable.bad_state", f"{do.id} is registered as {part.registration}", rule="Civil Code 768",
            field="id", value=do.id, advice=f"{NONE}: an entry is recorded once; a second one gives no better rank",
        )  # fmt: skip
    book.put(registered(part, do.registration, do.registered_ms, do.description, book))


@rule(NotifyDebtor)
def _notify(do: NotifyDebtor, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    claim = claim_of(book, part.receivable)
    if do.by not in (part.holder, claim.creditor, claim.debtor):
        refuse(
            "receivable.wrong_role", f"{do.by} is no party of {part.id}", field="by", value=do.by,
            advice=f"let {part.holder}, {claim.creditor} or {claim.debtor} record the notice",
        )  # fmt: skip
    require(book, "receivable", do.by)
    check_digest("receivable", do.notice, "notice")
    if part.notified is not Absent:
        refuse(
            "receivable.bad_state", f"{claim.debtor} knows of {part.id} since {part.notified}", field="id",
            value=do.id, advice=f"{NONE}: a notice is recorded once",
        )  # fmt: skip
    book.put(msgspec.structs.replace(part, notified=book.today, notified_ms=book.time_ms, notice=do.notice))


@rule(ReversePart)
def _reverse(do: ReversePart, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    claim = claim_of(book, part.receivable)
    debtor = () if part.notified is Absent else (claim.debtor,)
    for party in (claim.creditor, part.holder, *debtor):
        require(book, "receivable", party, field="by")
    check_reference("receivable", do.reason, "reason")
    if part.loan is not Absent:
        refuse("receivable.dependant", f"{do.id} secures {part.loan} since", rule="reversals", field="id",
               value=do.id, advice="release it instead, where that leaves the loan enough")  # fmt: skip
    if part.amount_minor != part.face_minor:
        refuse(
            "receivable.dependant", f"of {do.id} only {money_text(claim, part.amount_minor)} are as they were taken",
            rule="reversals", field="id", value=do.id,
            advice="reverse first what came later, or release what is left" if part.amount_minor
            else f"{NONE}: nothing of it is left", face=part.face_minor,
            disputed=part.disputed_minor, settled=part.settled_minor, released=part.released_minor,
        )  # fmt: skip
    check_open_month(book, "receivable", part.taken, do.id)
    book.put(msgspec.structs.replace(part, amount_minor=0, reversed_minor=part.face_minor))
    book.put(move(claim, part.face_minor, part.mark, "free"))


def part_of(claim: Receivable, id: str | Optional, book: Book) -> Part | None:
    """The part of a claim that an instruction names; `None` stands for the creditor's own free part.

    Raises:
        Refused: `part.not_found`, or `receivable.bad_state` where it is a part of another claim.
    """
    if id is Absent:
        return None
    part = book.get(Part, id, field="part")
    if part.receivable != claim.id:
        refuse(
            "receivable.bad_state", f"{part.id} is a part of {part.receivable}", field="part", value=id,
            advice=f"name a part of {claim.id}",
        )  # fmt: skip
    return part


def take_open(claim: Receivable, part: Part | None, amount_minor: int, target: Bucket, book: Book) -> Receivable:
    """Takes an amount out of what is open of a part, or of the free part, and gives the claim with it in `target`.

    The part is written, the claim is not.

    Raises:
        Refused: `part.insufficient`, or `receivable.insufficient_free`.
    """
    if part is None:
        return move(claim, amount_minor, "free", target)
    if amount_minor > part.amount_minor:
        refuse(
            "part.insufficient", f"only {money_text(claim, part.amount_minor)} of {part.id} are open",
            field="amount_minor", value=amount_minor,
            advice=up_to("state", part.amount_minor, "name a part of which something is open"),
        )  # fmt: skip
    member = _MEMBERS[target]
    changed = {"amount_minor": part.amount_minor - amount_minor, member: getattr(part, member) + amount_minor}
    book.put(msgspec.structs.replace(part, **changed))
    return move(claim, amount_minor, part.mark, target)


def give_back(claim: Receivable, part: Part | None, amount_minor: int, source: Bucket, book: Book) -> Receivable:
    """The opposite of `take_open`, for a reversal.

    Raises:
        Refused: `receivable.parts`, where the part was done and the claim is in too many others by now.
    """
    if part is None:
        return move(claim, amount_minor, source, "free")
    claim = _naming(claim, part.id, book)
    member = _MEMBERS[source]
    changed = {"amount_minor": part.amount_minor + amount_minor, member: getattr(part, member) - amount_minor}
    book.put(msgspec.structs.replace(part, **changed))
    return move(claim, amount_minor, source, part.mark)


def require_owners(claim: Receivable, part: Part | None, book: Book) -> tuple[str, ...]:
    """Who may give up a part, all of whom have signed: its assignee; creditor and pledgee; else the creditor.

    Raises:
        Refused: `receivable.not_signed`.
    """
    owners: tuple[str, ...] = (claim.creditor,)
    if part is not None:
        owners = (part.holder,) if part.mark == "assigned" else (claim.creditor, part.holder)
    for owner in owners:
        require(book, "receivable", owner, field="by")
    return owners


def claim_to_take(
    id: str, receivable: str, amount_minor: int, taker: str, mark: Mark, field: str, book: Book
) -> Receivable:
    """The claim of whose free part so much can be assigned or pledged to somebody, under the id of a new part.

    Raises:
        Refused: `part.identifier`, `part.duplicate`, `receivable.not_found`, `receivable.amount`,
            `receivable.insufficient_free` or `receivable.wrong_role`.
    """
    check_identifier("part", id)
    held = book.find(Part, id)
    if held is not None:
        refuse(
            "part.duplicate", f"there is a part {id} already", field="id", value=id, advice="choose another id",
            held=str(held),
        )  # fmt: skip
    claim = claim_of(book, receivable, field="receivable")
    check_amount("receivable", amount_minor)
    check_enough(claim, "free", amount_minor)
    if taker in (claim.creditor, claim.debtor):
        refuse(
            "receivable.wrong_role", f"{taker} is a side of {claim.id} itself", rule="both sides", field=field,
            value=taker, advice="name a third party",
        )  # fmt: skip
    # Whoever trades may take a claim in payment; lending on one is for those who lend, buy or guarantee.
    role: tuple[Role, ...] | None = ("lender", "factor", "guarantor") if mark == "pledged" else None
    require_role(book, "receivable", taker, role=role, field=field)
    return claim


def new_part(
    id: str, claim: Receivable, holder: str, mark: Mark, amount_minor: int, book: Book, notice: str | Optional,
    financed_minor: int | Optional,
) -> Part:  # fmt: skip
    """A part that begins today; the debtor knows of it where there is a notice, or where it signs.

    Raises:
        Refused: `receivable.digest` or `receivable.amount`.
    """
    if notice is not Absent:
        check_digest("receivable", notice, "notice")
    if financed_minor is not Absent:
        check_amount("receivable", financed_minor, "financed_minor")
    part = Part(
        id=id, receivable=claim.id, holder=holder, mark=mark, face_minor=amount_minor, amount_minor=amount_minor,
        currency=claim.currency, taken=book.today, notice=notice, financed_minor=financed_minor,
    )  # fmt: skip
    if notice is not Absent or claim.debtor in book.by:
        part = msgspec.structs.replace(part, notified=book.today, notified_ms=book.time_ms)
    return part


def registered(part: Part, registration: str, registered_ms: int, description: str, book: Book) -> Part:
    """The part with its entry in the public register; a pledge of receivables exists only from it on (Civil Code 445).

    Raises:
        Refused: `receivable.reference`, `receivable.date` or `receivable.digest`.
    """
    check_reference("receivable", registration, "registration")
    if not 0 <= registered_ms <= book.time_ms:
        refuse(
            "receivable.date", "the entry would have been made later than now", rule="Civil Code 445",
            field="registered_ms", value=registered_ms, advice=f"state a Unix time in ms up to {book.time_ms}",
        )  # fmt: skip
    check_digest("receivable", description, "description")
    return msgspec.structs.replace(
        part, registration=registration, registered_ms=registered_ms, description=description
    )  # fmt: skip


def put_part(part: Part, claim: Receivable, book: Book) -> None:
    """Writes a new part, and the claim with its id.

    Raises:
        Refused: `receivable.parts`, where the claim is in too many pieces.
    """
    book.put(_naming(claim, part.id, book))
    book.put(part)


def _naming(claim: Receivable, id: str, book: Book) -> Receivable:
    """The claim with the id of a part among those that it names; parts that are done make room."""
    if id in claim.parts:
        return claim
    parts = claim.parts
    if len(parts) == PARTS_MAX:
        parts = tuple(each.id for each in live_parts(claim, book))
    if len(parts) == PARTS_MAX:
        refuse(
            "receivable.parts", f"{claim.id} is in {PARTS_MAX} parts", field="id", value=id,
            advice="wait until one is paid or released; a certificate divides further",
        )  # fmt: skip
    return msgspec.structs.replace(claim, parts=(*parts, id))


def live_parts(claim: Receivable, book: Book) -> list[Part]:
    """The parts of a claim of which something is open or disputed, in the order in which they were taken."""
    parts = [book.get(Part, id) for id in claim.parts]
    return [part for part in parts if not part.done]
