"""The day of payment: one payment of the debtor settles lots, repays the loans they secure, and ends what they carry.

What is short is shared by rule P, and nobody has to agree to that. After a default the holders are paid first, then
the guarantors who paid in the debtor's place, because what they took over must not harm those from whom they took it
(Civil Code 700). Everything happens in the one instruction by which the settlement bank states the payment, so that
nobody waits for somebody else to pass money on: lots, claims, loans, pledges and guarantees agree before and after it.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from finchain.domain import guarantee as guarantees
from finchain.domain.arithmetic import share_pro_rata
from finchain.domain.capacity import end_issued
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Certificate, Lot, Rank, lots_of
from finchain.domain.check import check_amount
from finchain.domain.collateral import repay_from_collateral
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import drop_collateral
from finchain.domain.party import require
from finchain.domain.receivable import Bucket, Receivable, move
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule

GUARANTORS: Final[tuple[Rank, ...]] = ("junior", "last")
"""Ranks of what guarantors took over, the first to be paid first."""


class PayCertificate(Instruction, frozen=True, tag="certificate.pay"):
    """States that the debtor paid, at maturity or at face before it. Signed by the certificate's settlement bank.

    Attributes:
        amount_minor: What the debtor paid. More than is live stays with the bank in suspense, for the debtor.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class DishonourCertificate(Instruction, frozen=True, tag="certificate.dishonour"):
    """States that the debtor did not pay, which fixes the shortfall and lets guarantees be called.

    Signed by the settlement bank from the day of payment on, or some days later by the holder or pledgee of any lot.

    Attributes:
        by: Who states it.
    """

    id: str
    by: str


@rule(PayCertificate)
def _pay(do: PayCertificate, book: Book) -> None:
    certificate = book.get(Certificate, do.id, field="id")
    by = require(book, "certificate", certificate.bank, role="settlement_bank", field="bank").id
    check_amount("certificate", do.amount_minor)
    accepted = certificate.accepted
    if accepted is Absent or certificate.live_minor == 0:
        refuse("certificate.bad_state", f"{do.id} is {certificate.status.replace('_', ' ')}", field="id", value=do.id,
               advice=f"let {certificate.creditor} accept it first" if certificate.status == "offered"
               else f"{NONE}: give money that is not owed back to the debtor", live=certificate.live_minor)  # fmt: skip
    last = accepted if certificate.posted is Absent else certificate.posted
    on = enter_fact(
        book, "certificate", do, by=by, amount_minor=do.amount_minor, currency=certificate.currency, last=last
    )  # fmt: skip
    left = _pay_creditors(certificate, do.amount_minor, on, book)
    for rank in GUARANTORS:
        left = _pay_guarantors(certificate, rank, left, on, book)
    certificate = book.get(Certificate, do.id)
    book.put(msgspec.structs.replace(certificate, suspense_minor=certificate.suspense_minor + left, posted=on))
    end_if_paid(book, do.id)


@rule(DishonourCertificate)
def _dishonour(do: DishonourCertificate, book: Book) -> None:
    certificate = book.get(Certificate, do.id, field="id")
    live = [lot for lot in lots_of(book, do.id) if lot.live_minor]
    if certificate.status not in ("active", "part_paid"):
        refuse("certificate.bad_state", f"{do.id} is {certificate.status.replace('_', ' ')}", field="id", value=do.id,
               advice=f"{NONE}: only a debt that is owed and not paid is dishonoured, and once")  # fmt: skip
    if do.by == certificate.bank:
        require(book, "certificate", do.by, role="settlement_bank")
        earliest = certificate.payable
    elif do.by in {lot.beneficiary for lot in live}:
        require(book, "certificate", do.by)
        earliest = certificate.dishonour_from
    else:
        refuse("certificate.wrong_role", f"{do.by} has no claim on {do.id}", field="by", value=do.by,
               advice=f"let {certificate.bank}, a holder or a pledgee state it")  # fmt: skip
    if book.today < earliest:
        refuse("certificate.not_due", f"{do.by} cannot state it before {earliest}", rule="dishonour", field="by",
               value=do.by, advice=f"wait until {earliest}", payable=str(certificate.payable))  # fmt: skip
    for lot in live:
        book.put(msgspec.structs.replace(lot, rank="senior", offer=Absent))
    book.put(
        msgspec.structs.replace(certificate, dishonoured=book.today, shortfall_minor=certificate.live_minor)
    )  # fmt: skip


def _pay_creditors(certificate: Certificate, money: int, on: date, book: Book) -> int:
    """Pays those who are not guarantors by rule P over their live units, and gives what is left."""
    lots = [lot for lot in lots_of(book, certificate.id) if lot.live_minor and lot.rank not in GUARANTORS]
    weights = [lot.live_minor for lot in lots]
    paid = min(money, sum(weights))
    for lot, share in zip(lots, share_pro_rata(paid, weights), strict=True):
        settle_lot(certificate, lot.id, share, on, book)
    return money - paid


def _pay_guarantors(certificate: Certificate, rank: Rank, money: int, on: date, book: Book) -> int:
    """Pays back guarantors of a rank, each its interest and then its units, and gives what is left."""
    held = [book.get(Guarantee, id) for id in certificate.guarantees]
    if rank == "last":
        held = [book.get(Guarantee, id) for each in held for id in each.counters]
    lots: dict[str, list[Lot]] = {each.id: [] for each in held}
    for lot in lots_of(book, certificate.id):
        if lot.live_minor and lot.rank == rank and lot.guarantee is not Absent:
            lots[lot.guarantee].append(lot)
    weights = [each.interest_owed_minor(on) + sum(lot.live_minor for lot in lots[each.id]) for each in held]
    paid = min(money, sum(weights))
    for each, share in zip(held, share_pro_rata(paid, weights), strict=True):
        if not share:
            continue
        interest = min(share, each.interest_owed_minor(on))
        guarantees.recover(book, each.id, share - interest, interest, on)
        move_cash(book, certificate.issuer, each.guarantor, interest, certificate.currency)
        own = lots[each.id]
        units = share_pro_rata(share - interest, [lot.live_minor for lot in own])
        for lot, settled in zip(own, units, strict=True):
            settle_lot(certificate, lot.id, settled, on, book)
    return money - paid


def settle_lot(certificate: Certificate, id: str, paid: int, on: date, book: Book) -> None:
    """Settles the lowest units of a lot, and passes the money on to whom it is due."""
    if not paid:
        return
    # The lot is read here: a payment on the lot before may have ended the loan, and with it this lot's pledge.
    lot = book.get(Lot, id)
    move_claims(book, certificate, lot.first, lot.first + paid - 1, "conv_settled")
    # An offer of units that are paid has lost its object, and its price was worked out for all of them.
    lot = msgspec.structs.replace(lot, first=lot.first + paid, offer=Absent)
    book.put(lot)
    now = book.get(Certificate, certificate.id)
    book.put(
        msgspec.structs.replace(
            now, live_minor=now.live_minor - paid, settled_minor=now.settled_minor + paid,
            lots=now.lots - (lot.live_minor == 0),
        )
    )  # fmt: skip
    end_issued(book, now.issuer, now.currency, paid)
    if not lot.live_minor:
        drop_collateral(book, lot.id)
    pass_on(book, certificate.issuer, lot, paid, on, certificate.currency)


def pass_on(book: Book, payer: str, lot: Lot, paid: int, on: date, currency: str) -> None:
    """Hands over the money of a lot: to the loan that it secures, in the order of the law, and the rest to its holder.

    Args:
        book: What the rule reads.
        payer: Whose money it is.
        lot: The lot with the pledge for which the money came, though it may have ended with its last unit.
        paid: How much.
        on: Value date.
        currency: The certificate's.
    """
    if lot.pledge is Absent:
        move_cash(book, payer, lot.holder, paid, currency)
        return
    repay_from_collateral(book, lot.pledge.loan, payer=payer, owner=lot.holder, paid_minor=paid, on=on)


def move_claims(book: Book, certificate: Certificate, first: int, last: int, target: Bucket) -> None:
    """Moves the claims that these units were made of out of `converted` (I-6)."""
    end = 0
    for share in certificate.claims:
        start, end = end + 1, end + share.amount_minor
        units = min(end, last) - max(start, first) + 1
        if units > 0:
            claim = book.get(Receivable, share.receivable)
            book.put(move(claim, units, "converted", target))


def end_if_paid(book: Book, id: str) -> None:
    """Ends the guarantees of a certificate of which nothing is live."""
    certificate = book.get(Certificate, id)
    if certificate.live_minor == 0:
        for guarantee in certificate.guarantees:
            guarantees.release(book, guarantee)
