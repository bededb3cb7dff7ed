"""The day of payment: one payment of the debtor settles lots, repays the loans they secure, and ends what they carry.

Everything happens in the one instruction by which the settlement bank states the payment, so that nobody waits for
somebody else to pass money on: lots, claims, loans, pledges and the guarantee agree before and after it.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain import guarantee as guarantees
from finchain.domain.account import credit
from finchain.domain.arithmetic import share_pro_rata
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Certificate, Lot, lots_of
from finchain.domain.check import check_amount
from finchain.domain.loan import Loan, drop_collateral
from finchain.domain.party import require
from finchain.domain.receivable import Receivable, move
from finchain.domain.repayment import repay
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule


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


@rule(PayCertificate)
def _pay(do: PayCertificate, book: Book) -> None:
    certificate = book.get(Certificate, do.id, field="id")
    by = require(book, "certificate", certificate.bank, role="settlement_bank", field="bank").id
    check_amount("certificate", do.amount_minor)
    accepted = certificate.accepted
    if accepted is Absent or certificate.live_minor == 0:
        refuse("certificate.bad_state", f"{do.id} is {certificate.status.replace('_', ' ')}", field="id", value=do.id,
               advice="give money that is not owed back to the debtor", live=certificate.live_minor)  # fmt: skip
    last = accepted if certificate.posted is Absent else certificate.posted
    on = enter_fact(
        book, "certificate", do, by=by, amount_minor=do.amount_minor, currency=certificate.currency, last=last
    )  # fmt: skip
    paid = min(do.amount_minor, certificate.live_minor)
    emptied = 0
    for lot, share in _shares(book, certificate, paid):
        if share:
            # The lot is read again: a payment on the lot before may have ended the loan, and with it this lot's pledge.
            _settle_lot(certificate, book.get(Lot, lot.id), share, on, book)
            emptied += share == lot.live_minor
    certificate = msgspec.structs.replace(
        certificate, live_minor=certificate.live_minor - paid, settled_minor=certificate.settled_minor + paid,
        suspense_minor=certificate.suspense_minor + do.amount_minor - paid, lots=certificate.lots - emptied, posted=on,
    )  # fmt: skip
    book.put(certificate)
    if certificate.live_minor == 0 and certificate.guarantee is not Absent:
        guarantees.release(book, certificate.guarantee)


def _shares(book: Book, certificate: Certificate, paid: int) -> list[tuple[Lot, int]]:
    """Each live lot and its share of a payment: by rule P, and a guarantor's lots only after all others."""
    lots = [lot for lot in lots_of(book, certificate.id) if lot.live_minor]
    shares: list[tuple[Lot, int]] = []
    for ranked in ([lot for lot in lots if lot.rank != "junior"], [lot for lot in lots if lot.rank == "junior"]):
        weights = [lot.live_minor for lot in ranked]
        part = min(paid, sum(weights))
        shares += zip(ranked, share_pro_rata(part, weights), strict=True)
        paid -= part
    return shares


def _settle_lot(certificate: Certificate, lot: Lot, paid: int, on: date, book: Book) -> None:
    """Settles the lowest units of a lot, and passes the money on to whom it is due."""
    _settle_claims(certificate, lot.first, lot.first + paid - 1, book)
    # An offer of units that are paid has lost its object, and its price was worked out for all of them.
    lot = msgspec.structs.replace(lot, first=lot.first + paid, offer=Absent)
    book.put(lot)
    if lot.pledge is Absent:
        move_cash(book, certificate.issuer, lot.holder, paid, certificate.currency)
        return
    loan = book.get(Loan, lot.pledge.loan)
    if not lot.live_minor:
        drop_collateral(book, lot.id)
    left = repay(book, loan.id, paid, on)
    move_cash(book, certificate.issuer, loan.lender, paid - left, certificate.currency)
    move_cash(book, certificate.issuer, lot.holder, left, certificate.currency)
    if left and on < loan.maturity:
        # What a loan that is not due does not take waits under the lender's control.
        credit(book, loan.account, left, on)


def _settle_claims(certificate: Certificate, first: int, last: int, book: Book) -> None:
    """Moves the claims that these units were made of to `conv_settled` (I-6)."""
    end = 0
    for share in certificate.claims:
        start, end = end + 1, end + share.amount_minor
        settled = min(end, last) - max(start, first) + 1
        if settled > 0:
            claim = book.get(Receivable, share.receivable)
            book.put(move(claim, settled, "converted", "conv_settled"))
