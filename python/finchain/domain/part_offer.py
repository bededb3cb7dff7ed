"""Offers of a part of a claim: reserved for one taker until a day, accepted by its signature alone, or over.

What is reserved is nobody else's to take. With its last day an offer ends and the amount is free again at once; nobody
has to say so.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.calendar import add_days
from finchain.domain.part import claim_to_take, new_part, put_part, registered
from finchain.domain.party import require
from finchain.domain.policy import in_force
from finchain.domain.receivable import OFFERS_MAX, Mark, PartOffer, Receivable, claim_of, move
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule


class OfferPart(Instruction, frozen=True, tag="receivable.offer"):
    """Offers a free part for assignment or pledge. Signed by the creditor.

    Attributes:
        id: Id that the part will have.
        until: Last day for acceptance; absent for the policy's term.
    """

    id: str
    receivable: str
    to: str
    mark: Mark
    amount_minor: int
    until: date | Optional = Absent


class AcceptPart(Instruction, frozen=True, tag="receivable.accept"):
    """Takes an offered part. Signed by whom it was offered to; the debtor's signature is notice to it.

    Attributes:
        id: Id of the part.
        registration: Number of the entry in the public register, made at `registered_ms`; a pledge needs all three.
        description: SHA-256 of the description of the part in that entry.
        notice: SHA-256 of the notice that was sent to the debtor.
        financed_minor: What the taker pays or lends on it, or its fee.
    """

    id: str
    receivable: str
    registration: str | Optional = Absent
    registered_ms: int | Optional = Absent
    description: str | Optional = Absent
    notice: str | Optional = Absent
    financed_minor: int | Optional = Absent


class WithdrawPartOffer(Instruction, frozen=True, tag="receivable.withdraw_offer"):
    """Ends an offer that nobody has accepted. Signed by the creditor, or by whom it was offered to."""

    id: str
    receivable: str


@rule(OfferPart)
def _offer(do: OfferPart, book: Book) -> None:
    claim = claim_to_take(do.id, do.receivable, do.amount_minor, do.to, do.mark, "to", book)
    require(book, "receivable", claim.creditor, field="creditor")
    if any(offer.id == do.id for offer in claim.offers):
        refuse("part.duplicate", f"{do.id} is offered already", field="id", value=do.id,
               advice="choose another id, or withdraw that offer")  # fmt: skip
    if len(claim.offers) >= OFFERS_MAX:
        refuse("receivable.offers", f"{OFFERS_MAX} offers of {claim.id} stand", field="id", value=do.id,
               advice="withdraw one, or wait until one is over")  # fmt: skip
    longest = add_days(book.today, in_force(book).offer_days)
    until = longest if do.until is Absent else do.until
    if not book.today <= until <= longest:
        refuse("receivable.until", f"an offer until {until} is none", rule="offers", field="until",
               value=str(until), advice=f"state a day from {book.today} to {longest}")  # fmt: skip
    offer = PartOffer(do.id, do.to, do.mark, do.amount_minor, until)
    claim = move(claim, do.amount_minor, "free", "reserved")
    book.put(msgspec.structs.replace(claim, offers=(*claim.offers, offer)))


@rule(AcceptPart)
def _accept(do: AcceptPart, book: Book) -> None:
    claim, offer = _standing(do.id, do.receivable, book)
    require(book, "receivable", offer.to, field="to")
    # The claim is written free, so that one rule judges what can be taken, and what it says of the taker is of today.
    book.put(_without(claim, offer))
    claim = claim_to_take(do.id, do.receivable, offer.amount_minor, offer.to, offer.mark, "to", book)
    part = new_part(do.id, claim, offer.to, offer.mark, offer.amount_minor, book, do.notice, do.financed_minor)
    if offer.mark == "pledged" or do.registration is not Absent:
        if do.registration is Absent or do.registered_ms is Absent or do.description is Absent:
            refuse("receivable.not_registered", "a pledge exists only from its registration on", rule="Civil Code 445",
                   field="registration", advice="state number, time and description of the entry")  # fmt: skip
        part = registered(part, do.registration, do.registered_ms, do.description, book)
    put_part(part, move(claim, offer.amount_minor, "free", offer.mark), book)


@rule(WithdrawPartOffer)
def _withdraw(do: WithdrawPartOffer, book: Book) -> None:
    claim, offer = _standing(do.id, do.receivable, book)
    by = offer.to if offer.to in book.by else claim.creditor
    require(book, "receivable", by, field="by")
    book.put(_without(claim, offer))


def _standing(id: str, receivable: str, book: Book) -> tuple[Receivable, PartOffer]:
    claim = claim_of(book, receivable, field="receivable")
    for offer in claim.offers:
        if offer.id == id:
            return claim, offer
    refuse("receivable.expired", f"no offer {id} of {claim.id} stands", rule="offers", field="id", value=id,
           advice=f"let {claim.creditor} offer it anew")  # fmt: skip


def _without(claim: Receivable, offer: PartOffer) -> Receivable:
    """The claim with an offer gone and its amount free."""
    claim = move(claim, offer.amount_minor, "reserved", "free")
    return msgspec.structs.replace(claim, offers=tuple(each for each in claim.offers if each.id != offer.id))
