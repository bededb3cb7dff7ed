"""Disputes: how much of a claim the debtor denies, why, and how that ended.

Only the disputed amount stops; the rest must be paid on time. A part that was assigned or pledged stays so while it is
disputed. A debtor that waived its defences, or whose dispute was settled once, disputes that much no more.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.domain.check import check_amount, check_digest, check_identifier, check_reference
from finchain.domain.dilution import count
from finchain.domain.loan import note_shortfall
from finchain.domain.part import Part, part_of, take_open
from finchain.domain.party import require
from finchain.domain.receivable import Bucket, Receivable, claim_of, money_text, move, put_and_free, require_award
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to

Stage = Literal["pending", "confirmed"]

_DISPUTED: Final[dict[str, Bucket]] = {"assigned": "disputed_assigned", "pledged": "disputed_pledged"}


@record
class Dispute(Record, frozen=True, kw_only=True):
    """An amount that the debtor denies.

    Attributes:
        stage: Whether it was denied before or after the debtor confirmed it.
        part: The assigned or pledged part in which it lies.
        face_minor: What was denied; it never changes.
        open_minor: What of it is not resolved.
        owed_minor: What was found owed after all.
        reduced_minor: What was found not owed.
        raised: The day on which the ledger got it.
        notice: SHA-256 of the notice to the part's holder; absent where the holder signed or there is none.
        award: SHA-256 of the last award, if there was one.
    """

    kind: ClassVar[str] = "dispute"

    receivable: str
    stage: Stage
    reason: str
    raised: date
    # face = open + owed + reduced
    face_minor: int
    open_minor: int
    owed_minor: int = 0
    reduced_minor: int = 0
    part: str | Optional = Absent
    notice: str | Optional = Absent
    award: str | Optional = Absent


class DisputeReceivable(Instruction, frozen=True, tag="receivable.dispute"):
    """Denies an amount. Signed by the debtor.

    Attributes:
        id: Id of the dispute.
        part: The assigned or pledged part in which the amount lies; absent for what is pending or free.
        notice: SHA-256 of the notice to the part's holder; needed unless the holder signs.
    """

    id: str
    receivable: str
    stage: Stage
    amount_minor: int
    reason: str
    part: str | Optional = Absent
    notice: str | Optional = Absent


class ResolveDispute(Instruction, frozen=True, tag="receivable.resolve"):
    """Ends a dispute, or some of it. Signed by creditor, debtor and the part's holder, or by an arbiter with its award.

    Attributes:
        id: Id of the dispute.
        owed_minor: How much is owed after all.
        reduced_minor: How much is not.
        arbiter: The court or arbitration commission that decided.
        award: SHA-256 of its award.
    """

    id: str
    owed_minor: int
    reduced_minor: int
    arbiter: str | Optional = Absent
    award: str | Optional = Absent


@rule(DisputeReceivable)
def _dispute(do: DisputeReceivable, book: Book) -> None:
    check_identifier("dispute", do.id)
    if book.find(Dispute, do.id) is not None:
        refuse("dispute.duplicate", f"there is a dispute {do.id} already", field="id", value=do.id,
               advice="choose another id; nothing was overwritten")  # fmt: skip
    claim = claim_of(book, do.receivable, field="receivable")
    require(book, "receivable", claim.debtor, field="debtor")
    check_amount("receivable", do.amount_minor)
    check_reference("receivable", do.reason, "reason")
    part = part_of(claim, do.part, book)
    if do.stage == "pending":
        claim = _deny_pending(do, claim)
    else:
        _check_defences(do, claim, part)
        _check_holder_knows(do, part, book)
        claim = take_open(claim, part, do.amount_minor, _bucket(part), book)
        note_shortfall(book, Absent if part is None else part.loan)
    book.put(claim)
    book.put(
        Dispute(
            id=do.id, receivable=claim.id, stage=do.stage, reason=do.reason, raised=book.today,
            face_minor=do.amount_minor, open_minor=do.amount_minor, part=do.part, notice=do.notice,
        )
    )  # fmt: skip


def _deny_pending(do: DisputeReceivable, claim: Receivable) -> Receivable:
    if do.part is not Absent or do.notice is not Absent:
        refuse("receivable.bad_state", "what is pending was neither assigned nor pledged", field="part",
               value=do.amount_minor, advice="leave part and notice out")  # fmt: skip
    if do.amount_minor > claim.pending:
        refuse(
            "receivable.over_dispute", f"only {money_text(claim, claim.pending)} of {claim.id} are pending",
            rule="I-1", field="amount_minor", value=do.amount_minor,
            advice=up_to("dispute", claim.pending, "what was confirmed is disputed at stage confirmed"),
            pending=claim.pending,
        )  # fmt: skip
    return msgspec.structs.replace(
        claim, pending=claim.pending - do.amount_minor, disputed_pre=claim.disputed_pre + do.amount_minor
    )  # fmt: skip


def _check_defences(do: DisputeReceivable, claim: Receivable, part: Part | None) -> None:
    # Units of one claim are alike. Those confirmed without defences count as the last to be paid or given up, so that
    # whoever relied on a waiver never finds that the waived units were the ones that are gone.
    most = max(claim.open - claim.waived, 0)
    there = claim.free if part is None else part.amount_minor
    if do.amount_minor > most:
        refuse(
            "receivable.waived", f"{claim.debtor} kept defences for {money_text(claim, most)} of what is open",
            rule="disputes", field="amount_minor", value=do.amount_minor,
            advice=up_to("dispute", min(most, there), "what is open was confirmed without defences"),
            open=claim.open, waived=claim.waived,
        )  # fmt: skip


def _check_holder_knows(do: DisputeReceivable, part: Part | None, book: Book) -> None:
    if do.notice is not Absent:
        check_digest("receivable", do.notice, "notice")
    elif part is not None and part.holder not in book.by:
        refuse(
            "receivable.not_notified", f"{part.holder} holds {part.id} and would not know", rule="disputes",
            field="notice", advice=f"state the SHA-256 of the notice to {part.holder}, or let it sign",
        )  # fmt: skip


def _bucket(part: Part | None) -> Bucket:
    return "disputed_free" if part is None else _DISPUTED[part.mark]


@rule(ResolveDispute)
def _resolve(do: ResolveDispute, book: Book) -> None:
    dispute = book.get(Dispute, do.id, field="id")
    claim = claim_of(book, dispute.receivable)
    part = part_of(claim, dispute.part, book)
    _require_judgement(do, claim, part, book)
    for field in ("owed_minor", "reduced_minor"):
        if getattr(do, field):
            check_amount("receivable", getattr(do, field), field)
    whole = do.owed_minor + do.reduced_minor
    if not 1 <= whole <= dispute.open_minor:
        refuse(
            "receivable.over_resolve", f"{money_text(claim, dispute.open_minor)} of {do.id} are in dispute",
            rule="disputes", field="owed_minor", value=whole,
            advice=f"let both amounts sum to 1 to {dispute.open_minor}" if dispute.open_minor
            else f"{NONE}: it is resolved",
            open=dispute.open_minor,
        )  # fmt: skip
    pending = dispute.stage == "pending"
    claim = _settle_pending(do, claim, book) if pending else _settle_confirmed(do, claim, part, book)
    put_and_free(claim, book)
    book.put(
        msgspec.structs.replace(
            dispute, open_minor=dispute.open_minor - whole, owed_minor=dispute.owed_minor + do.owed_minor,
            reduced_minor=dispute.reduced_minor + do.reduced_minor,
            award=dispute.award if do.award is Absent else do.award,
        )
    )  # fmt: skip


def _require_judgement(do: ResolveDispute, claim: Receivable, part: Part | None, book: Book) -> None:
    if require_award(book, do.arbiter, do.award):
        return
    holder = () if part is None else (part.holder,)
    for party in (claim.creditor, claim.debtor, *holder):
        require(book, "receivable", party, field="by")


def _settle_pending(do: ResolveDispute, claim: Receivable, book: Book) -> Receivable:
    count(book, claim.debtor, claim.currency, confirmed_minor=do.owed_minor)
    return msgspec.structs.replace(
        claim, disputed_pre=claim.disputed_pre - do.owed_minor - do.reduced_minor,
        confirmed=claim.confirmed + do.owed_minor, free=claim.free + do.owed_minor,
        rejected=claim.rejected + do.reduced_minor, waived=claim.waived + do.owed_minor,
    )  # fmt: skip


def _settle_confirmed(do: ResolveDispute, claim: Receivable, part: Part | None, book: Book) -> Receivable:
    bucket, back = _bucket(part), "free" if part is None else part.mark
    assert back in ("free", "assigned", "pledged")
    claim = move(move(claim, do.owed_minor, bucket, back), do.reduced_minor, bucket, "credited")
    if part is not None:
        book.put(
            msgspec.structs.replace(
                part, disputed_minor=part.disputed_minor - do.owed_minor - do.reduced_minor,
                amount_minor=part.amount_minor + do.owed_minor, credited_minor=part.credited_minor + do.reduced_minor,
            )
        )  # fmt: skip
    count(book, claim.debtor, claim.currency, credited_minor=do.reduced_minor)
    return msgspec.structs.replace(claim, waived=claim.waived + do.owed_minor)
