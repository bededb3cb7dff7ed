"""What a holder does about a lot besides waiting: is paid early, gives it back, writes it off, forgives it.

Who transferred without recourse is out, and owes nothing when the debtor does not pay. It answers for one thing only:
that what it transferred exists, is not disputed, and was transferred once (I-12).
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from finchain.domain import guarantee as guarantees
from finchain.domain.capacity import end_issued
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Certificate, Lot, lots_of
from finchain.domain.check import check_amount, check_digest
from finchain.domain.party import require
from finchain.domain.receivable import Bucket
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule
from finchain.domain.settlement import end_if_paid, move_claims, settle_lot

Grounds = Literal["recourse", "warranty"]
"""`recourse`: it was agreed, and the debtor did not pay; `warranty`: what was transferred was not what it seemed."""


class BuyBackLot(Instruction, frozen=True, tag="certificate.buy_back"):
    """Takes a lot back for money. Signed by the holder, who states that the money came, and by who takes it back.

    Attributes:
        id: Id of the lot, of which all that is live goes back.
        by: Who takes it back: one of those who answer for the debtor, or, for a breach of warranty, who transferred it.
        amount_minor: What both agree on, as a rule the price and what it has earned.
        evidence: SHA-256 of the paper that shows the breach of warranty.
    """

    id: str
    by: str
    amount_minor: int
    grounds: Grounds
    reference: str
    digest: str
    evidence: str | Optional = Absent
    value_date: date | Optional = Absent


class WaiveLot(Instruction, frozen=True, tag="certificate.waive"):
    """Forgives the debtor what is live of a lot. Signed by the holder.

    A creditor gives up its claim, a guarantor what it paid for the debtor; the lot's part of the claims is credited.
    """

    id: str


class WriteOffLot(Instruction, frozen=True, tag="certificate.write_off"):
    """States that the holder has taken a lot out of its books; nothing of the debt changes. Signed by the holder.

    Attributes:
        digest: SHA-256 of the holder's resolution.
    """

    id: str
    digest: str


class PayLotEarly(Instruction, frozen=True, tag="certificate.pay_early"):
    """States that the debtor paid a lot before it is due, for less, and nothing of it is owed any more.

    Signed by the holder, who agrees to the discount, and by the certificate's settlement bank.

    Attributes:
        id: Id of the lot, of which all that is live is paid.
        amount_minor: What the debtor paid; what is missing of the lot is credited to it.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class CancelCertificate(Instruction, frozen=True, tag="certificate.cancel"):
    """Calls a certificate off, and frees the claims that it was made of. Signed by the issuer and all holders.

    Only while nothing of it is paid, offered or pledged.
    """

    id: str


@rule(BuyBackLot)
def _buy_back(do: BuyBackLot, book: Book) -> None:
    certificate, lot = _free_lot(do.id, book)
    require(book, "certificate", lot.holder, field="holder")
    require(book, "certificate", do.by)
    check_amount("certificate", do.amount_minor)
    if do.grounds == "recourse":
        _check_recourse(certificate, lot, do)
    else:
        _check_warranty(lot, do)
    last = certificate.accepted if certificate.dishonoured is Absent else certificate.dishonoured
    enter_fact(
        book, "certificate", do, by=lot.holder, amount_minor=do.amount_minor, currency=certificate.currency,
        last=None if last is Absent else last,
    )  # fmt: skip
    move_cash(book, do.by, lot.holder, do.amount_minor, certificate.currency)
    # Those who answered towards who takes it back still do; it has itself nobody to answer to any more.
    chain = lot.recourse[: lot.recourse.index(do.by)] if do.by in lot.recourse else lot.recourse
    book.put(
        msgspec.structs.replace(
            lot, holder=do.by, source=Absent, hop=lot.hop + 1, recourse=chain, offer=Absent, written_off=Absent
        )
    )  # fmt: skip


@rule(WaiveLot)
def _waive(do: WaiveLot, book: Book) -> None:
    certificate, lot = _free_lot(do.id, book)
    require(book, "certificate", lot.holder, field="holder")
    if lot.guarantee is not Absent:
        guarantees.waive(book, lot.guarantee, lot.live_minor)
    _waive_rest(lot.id, book)
    end_if_paid(book, certificate.id)


def _waive_rest(id: str, book: Book) -> None:
    """Forgives the debtor what is live of a lot, as a credit."""
    lot = book.get(Lot, id)
    certificate = book.get(Certificate, lot.certificate)
    units = lot.live_minor
    _forgive(certificate, lot, "credited", book)
    book.put(
        msgspec.structs.replace(
            certificate, live_minor=certificate.live_minor - units, lots=certificate.lots - 1,
            cancelled_minor=certificate.cancelled_minor + units,
        )
    )  # fmt: skip
    end_issued(book, certificate.issuer, certificate.currency, units)


@rule(WriteOffLot)
def _write_off(do: WriteOffLot, book: Book) -> None:
    lot = book.get(Lot, do.id, field="id")
    require(book, "certificate", lot.holder, field="holder")
    check_digest("certificate", do.digest)
    if lot.rank == "none" or not lot.live_minor or lot.written_off is not Absent:
        refuse("certificate.bad_state", f"{do.id} is not owed after a default, or was written off", field="id",
               value=do.id, advice=f"{NONE}: a dishonoured lot is written off, once")  # fmt: skip
    book.put(msgspec.structs.replace(lot, written_off=book.today))


@rule(PayLotEarly)
def _pay_early(do: PayLotEarly, book: Book) -> None:
    certificate, lot = _free_lot(do.id, book)
    require(book, "certificate", lot.holder, field="holder")
    by = require(book, "certificate", certificate.bank, role="settlement_bank", field="bank").id
    check_amount("certificate", do.amount_minor)
    if book.today >= certificate.payable or certificate.dishonoured is not Absent:
        refuse("certificate.due", f"{certificate.id} is due on {certificate.payable}", rule="early payment",
               field="id", value=do.id, advice=f"{NONE}: let the bank state a payment to all who hold it")  # fmt: skip
    if do.amount_minor > lot.live_minor:
        refuse("certificate.price", f"{lot.live_minor} of {do.id} are live", rule="early payment",
               field="amount_minor", value=do.amount_minor, advice=f"state up to {lot.live_minor}")  # fmt: skip
    last = certificate.accepted if certificate.posted is Absent else certificate.posted
    on = enter_fact(
        book, "certificate", do, by=by, amount_minor=do.amount_minor, currency=certificate.currency,
        last=None if last is Absent else last,
    )  # fmt: skip
    settle_lot(certificate, lot.id, do.amount_minor, on, book)
    book.put(msgspec.structs.replace(book.get(Certificate, certificate.id), posted=on))
    if do.amount_minor < lot.live_minor:
        _waive_rest(lot.id, book)
    end_if_paid(book, certificate.id)


@rule(CancelCertificate)
def _cancel(do: CancelCertificate, book: Book) -> None:
    certificate = book.get(Certificate, do.id, field="id")
    if certificate.status != "active":
        refuse("certificate.bad_state", f"{do.id} is {certificate.status.replace('_', ' ')}", rule="cancellation",
               field="id", value=do.id,
               advice=f"{NONE}: an offered one is refused; of one that is paid in part, holders forgive the rest",
        )  # fmt: skip
    require(book, "certificate", certificate.issuer, field="issuer")
    for each in list(lots_of(book, do.id)):
        # Lots that were forgiven are nobody's any more.
        if each.live_minor:
            _, lot = _free_lot(each.id, book)
            require(book, "certificate", lot.holder, field="holder")
            _forgive(certificate, lot, "free", book)
    book.put(
        msgspec.structs.replace(certificate, live_minor=0, cancelled_minor=certificate.amount_minor, lots=0)
    )  # fmt: skip
    end_issued(book, certificate.issuer, certificate.currency, certificate.live_minor)
    end_if_paid(book, do.id)


def _forgive(certificate: Certificate, lot: Lot, target: Bucket, book: Book) -> None:
    """Takes the live units of a lot out of the debt, and what they were made of to where it belongs then."""
    move_claims(book, certificate, lot.first, lot.last, target)
    book.put(msgspec.structs.replace(lot, first=lot.last + 1, waived_minor=lot.live_minor, offer=Absent))


def _free_lot(id: str, book: Book) -> tuple[Certificate, Lot]:
    """An accepted lot of which something is live, and which nobody but the holder has a right to."""
    lot = book.get(Lot, id, field="id")
    certificate = book.get(Certificate, lot.certificate)
    if certificate.accepted is Absent or not lot.live_minor:
        refuse("certificate.bad_state", f"nothing of {id} is owed", field="id", value=id,
               advice="name a lot of an accepted certificate that is not paid")  # fmt: skip
    encumbrance = lot.encumbrance(book.today)
    if encumbrance != "none":
        refuse("certificate.insufficient_free", f"{id} is {encumbrance}", rule="I-5", field="id", value=id,
               advice="let the pledge be released, or the offer end, first", live=lot.live_minor)  # fmt: skip
    return certificate, lot


def _check_recourse(certificate: Certificate, lot: Lot, do: BuyBackLot) -> None:
    if certificate.dishonoured is Absent:
        refuse("certificate.not_due", f"{certificate.id} was not dishonoured", field="id", value=do.id,
               advice="let it be dishonoured first")  # fmt: skip
    liable = [party for party in lot.recourse if party != lot.holder]
    if do.by not in liable:
        refuse("certificate.no_recourse", f"{do.by} does not answer for the debtor of {lot.id}", rule="Civil Code 767",
               field="by", value=do.by,
               advice=f"turn to {' or '.join(liable)}" if liable else f"{NONE}: nobody answers for the debtor",
        )  # fmt: skip


def _check_warranty(lot: Lot, do: BuyBackLot) -> None:
    if do.by != lot.source:
        refuse("certificate.no_recourse", f"{do.by} did not transfer {lot.id} to {lot.holder}", rule="I-12",
               field="by", value=do.by,
               advice=f"{NONE}: nobody transferred it to the holder" if lot.source is Absent else f"name {lot.source}",
        )  # fmt: skip
    if do.evidence is Absent:
        refuse("certificate.evidence", "a breach of warranty is shown by a paper", field="evidence",
               advice="state its SHA-256")  # fmt: skip
    check_digest("certificate", do.evidence, "evidence")
