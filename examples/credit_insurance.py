"""Credit insurance: an instrument that a bank adds to the rulebook with a file of its own.

An insurer offers to cover a share of what a debtor has confirmed, up to a limit; the creditor accepts. Put in force by
operator and registrar:

    rulebook = fc.RULEBOOK_1.extended(1001, instruments=[credit_insurance])
    ledger = fc.open(path, rulebooks=[rulebook])
    ledger.submit(do.ActivateRulebook(rulebook.number, rulebook.digest), by=operator)
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

import msgspec

from finchain.domain.check import check_amount, check_identifier
from finchain.domain.party import require
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Book, Instruction, Record, record, refuse, rule
from finchain.money import format_minor

SHARE_BP_MAX = 9_000
"""The creditor keeps a tenth of the risk, or it would not look whom it sells to."""


@record
class Cover(Record, frozen=True, kw_only=True):
    """What an insurer pays if the debtor of a claim does not.

    Attributes:
        share_bp: Its share of what is not paid, in hundredths of a per cent.
        limit_minor: The most that it pays.
        until: Last day for the creditor to accept.
        accepted: Whether the creditor has.
    """

    kind: ClassVar[str] = "cover"

    receivable: str
    insurer: str
    creditor: str
    share_bp: int
    limit_minor: int
    currency: str
    until: date
    accepted: bool

    def __str__(self) -> str:
        limit = format_minor(self.limit_minor, self.currency)
        held = "in force" if self.accepted else f"offered until {self.until}"
        return f"{self.id} {held}: {self.insurer} covers {self.share_bp} bp of {self.receivable}, up to {limit}"


class OfferCover(Instruction, frozen=True, tag="cover.offer"):
    """Offers to cover a confirmed claim. Signed by the insurer."""

    id: str
    receivable: str
    insurer: str
    share_bp: int
    limit_minor: int
    until: date


class AcceptCover(Instruction, frozen=True, tag="cover.accept"):
    """Accepts an offered cover. Signed by the creditor of the claim."""

    id: str


@rule(OfferCover)
def _offer(do: OfferCover, book: Book) -> None:
    require(book, "cover", do.insurer, role="guarantor", field="insurer")
    check_identifier("cover", do.id)
    if book.find(Cover, do.id) is not None:
        refuse("cover.duplicate", f"there is a cover {do.id}", field="id", value=do.id, advice="choose another id")
    claim = book.get(Receivable, do.receivable, field="receivable")
    check_amount("cover", do.limit_minor, "limit_minor")
    if do.limit_minor > claim.confirmed:
        refuse(
            "cover.over_confirmed", f"{claim.debtor} has confirmed {claim.confirmed}", field="limit_minor",
            value=do.limit_minor, advice=f"cover up to {claim.confirmed}", confirmed=claim.confirmed,
        )  # fmt: skip
    if not 1 <= do.share_bp <= SHARE_BP_MAX:
        refuse(
            "cover.share", "the creditor keeps a tenth of the risk", field="share_bp", value=do.share_bp,
            advice=f"state 1 to {SHARE_BP_MAX}",
        )  # fmt: skip
    book.put(
        Cover(
            id=do.id, receivable=do.receivable, insurer=do.insurer, creditor=claim.creditor, share_bp=do.share_bp,
            limit_minor=do.limit_minor, currency=claim.currency, until=do.until, accepted=False,
        )
    )  # fmt: skip


@rule(AcceptCover)
def _accept(do: AcceptCover, book: Book) -> None:
    cover = book.get(Cover, do.id)
    require(book, "cover", cover.creditor, field="id")
    if cover.accepted or book.today > cover.until:
        refuse(
            "cover.bad_state", f"{cover.id} is not open for acceptance", field="id", value=do.id,
            advice="have another one offered", accepted=cover.accepted, until=cover.until,
        )  # fmt: skip
    book.put(msgspec.structs.replace(cover, accepted=True))
