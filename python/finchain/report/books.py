"""What stands in whose books because of a record: each right once as an asset and once as a debt, and what it earned.

A function here says what a record amounts to in the accounts of the rule `bookings`, as signed entries whose debits are
positive. An instruction is posted as what the records that it wrote amount to afterwards less what they did before.
What becomes of the difference between a right and the money for it only the instruction knows: that is in `postings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from finchain.domain.account import Account, Mandate
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.dispute import Dispute
from finchain.domain.guarantee import Guarantee
from finchain.domain.late import LateInterest
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.reduction import Reduction
from finchain.domain.rule import Absent, Optional, Record

R = TypeVar("R", bound=Record)

AccountName = Literal[
    "R", "R.cert", "P", "P.cert", "CASH", "CASH.ctl", "LN", "LN.int", "LL", "LL.int", "SUB", "FI", "FI.unearned", "FE",
    "FE.deferred", "revenue", "cost", "loss", "CG", "OFF",
]  # fmt: skip
"""Receivables, of claims and of certificates, and the payables that they are to the debtor; cash, and cash on a
controlled account; a loan and its charges, to the lender and to the borrower; what a guarantor paid in the debtor's
place; income and expense of fees, interest and discounts, and what of them belongs to later days; and the memo accounts
`CG`, what is guaranteed, and `OFF`, what was written off and is owed all the same."""

MEMO: Final[frozenset[AccountName]] = frozenset({"CG", "OFF"})
"""Accounts that nothing balances."""


class Entry(NamedTuple):
    """An amount on an account: a debit where it is positive, a credit where it is negative.

    Attributes:
        book: Whose books: a party, or a payee that is none under its name in the cash journal.
        counterparty: The other side.
        instrument: Id of the claim, certificate, loan, part or guarantee that it is of; absent for cash.
    """

    book: str
    account: AccountName
    counterparty: str
    instrument: str | Optional
    currency: str
    amount_minor: int


Entries = Iterator[Entry]


class Terms(Protocol):
    """Finds a record; only members that never change are read, so that today's record serves for any day."""

    def __call__(self, kind: type[R], id: str) -> R:
        """The record of a kind with an id."""


class Between(NamedTuple):
    """Two parties, the one that is owed first, and what it is about."""

    creditor: str
    debtor: str
    instrument: str
    currency: str

    def right(self, asset: AccountName, debt: AccountName, amount_minor: int, written_off: int = 0) -> Entries:
        """A right of one is a debt of the other.

        2.11 "write-off: Dr loss / Cr R, Cr LN, Cr SUB; debtor none (debt survives)": what the creditor has written off
        is a loss in its books and noted in `OFF`, and the debtor's books do not see it.
        """
        for account, amount in ((asset, amount_minor), ("loss", written_off), ("OFF", written_off)):
            yield self._entry(self.creditor, account, self.debtor, amount)
        yield self._entry(self.debtor, debt, self.creditor, -amount_minor - written_off)

    def earned(self, income: AccountName, expense: AccountName, amount_minor: int) -> Entries:
        """What one earns costs the other as much; of what is forgiven `income` is the one's loss, less than nothing."""
        yield self._entry(self.creditor, income, self.debtor, -amount_minor)
        yield self._entry(self.debtor, expense, self.creditor, amount_minor)

    def forgiven(self, relief: AccountName, amount_minor: int) -> Entries:
        """What one gives up is its loss, and lowers the other's expense."""
        return self.earned("loss", relief, -amount_minor)

    def guaranteed(self, amount_minor: int) -> Entries:
        """What one answers for, beside its accounts."""
        yield self._entry(self.creditor, "CG", self.debtor, amount_minor)

    def _entry(self, book: str, account: AccountName, counterparty: str, amount_minor: int) -> Entry:
        return Entry(book, account, counterparty, self.instrument, self.currency, amount_minor)


def _claim(claim: Receivable, terms: Terms) -> Entries:
    """2.11 "claim confirmed x: Dr R / Cr revenue; debtor Dr cost / Cr P".

    What is disputed after it was confirmed stays in both books until the dispute is resolved.
    """
    between = Between(claim.creditor, claim.debtor, claim.id, claim.currency)
    yield from between.right("R", "P", claim.open + claim.disputed_post, claim.written_off)
    yield from between.earned("revenue", "cost", claim.confirmed)


def _part(part: Part, terms: Terms) -> Entries:
    """An assigned part is the assignee's, which owes the creditor what it pays for it; that is paid elsewhere.

    A pledged part is still the creditor's: a pledge moves no value.
    """
    if part.mark == "pledged":
        return
    claim = terms(Receivable, part.receivable)
    open_minor = part.amount_minor + part.disputed_minor
    own = Between(part.holder, claim.debtor, claim.id, claim.currency)
    yield from own.right("R", "P", open_minor, part.written_off_minor)
    yield from own._replace(creditor=claim.creditor).right("R", "P", -open_minor, -part.written_off_minor)
    price = Between(claim.creditor, part.holder, part.id, claim.currency)
    yield from price.right("R", "P", part.face_minor - part.released_minor - part.reversed_minor)


def owner_of(receivable: str, part: str | Optional, terms: Terms) -> Between:
    """Whose a part of a claim is, or the creditor's own, towards the debtor."""
    claim = terms(Receivable, receivable)
    holder = claim.creditor
    if part is not Absent and (held := terms(Part, part)).mark == "assigned":
        holder = held.holder
    return Between(holder, claim.debtor, claim.id, claim.currency)


def _reduction(reduction: Reduction, terms: Terms) -> Entries:
    """2.11 "credit note x: Dr revenue / Cr R; debtor Dr P / Cr cost"; and set-off.

    What is set off pays a counterclaim of the debtor, which arose elsewhere: it is booked as owed by who gave up its
    claim. A write-off is in the buckets of the claim.
    """
    own = owner_of(reduction.receivable, reduction.part, terms)
    standing = 0 if reduction.reversed is not Absent else reduction.amount_minor
    if reduction.form == "credit_note":
        yield from _credited(own, reduction.receivable, standing, terms)
    elif reduction.form == "set_off":
        counter = own._replace(creditor=own.debtor, debtor=own.creditor, instrument=f"{own.debtor} {reduction.paper}")
        yield from counter.right("R", "P", -standing)


def _dispute(dispute: Dispute, terms: Terms) -> Entries:
    """What was confirmed and found not owed is credited; what was found owed of the rest is confirmed then."""
    if dispute.stage == "confirmed":
        own = owner_of(dispute.receivable, dispute.part, terms)
        yield from _credited(own, dispute.receivable, dispute.reduced_minor, terms)


def _credited(own: Between, receivable: str, amount_minor: int, terms: Terms) -> Entries:
    """The creditor has sold less; an assignee, which sold nothing, has lost it."""
    of_creditor = own.creditor == terms(Receivable, receivable).creditor
    return own.earned("revenue" if of_creditor else "loss", "cost", -amount_minor)


def _late_interest(owed: LateInterest, terms: Terms) -> Entries:
    """2.11 "interest posted i", of a claim that was paid late."""
    between = Between(owed.payee, owed.debtor, owed.id, owed.currency)
    yield from between.right("R", "P", owed.due_minor)
    yield from between.earned("FI", "FE", owed.posted_minor)
    yield from between.forgiven("FE", owed.waived_minor)


def _certificate(certificate: Certificate, terms: Terms) -> Entries:
    """An offered certificate has replaced nothing yet: the creditor still has the claims that it is made of."""
    if certificate.status == "offered":
        for share in certificate.claims:
            own = Between(certificate.creditor, certificate.issuer, share.receivable, certificate.currency)
            yield from own.right("R", "P", share.amount_minor)


def _lot(lot: Lot, terms: Terms) -> Entries:
    """2.11 "certificate issued A: Dr R.cert / Cr R; debtor Dr P / Cr P.cert", "transfer", and "sale", by the holder.

    Who passed it on with recourse keeps it in its books and owes its face to the next, for whom that is a loan: so the
    lot is the first's of those who answer for it. What a guarantor took over is in `SUB` (2.11 "compensation z"). Whom
    the debtor owes stands in its books with each holder; the total is the same.
    """
    if lot.offer is not Absent and lot.offer.aim == "issue":
        return
    certificate = terms(Certificate, lot.certificate)
    debtor, live = certificate.issuer, lot.live_minor
    debt: AccountName = "P.cert"
    asset: AccountName = "R.cert" if lot.guarantee is Absent else "SUB"
    for creditor in lot.recourse:
        yield from Between(creditor, debtor, lot.certificate, certificate.currency).right(asset, debt, live)
        asset, debt, debtor = "LN", "LL", creditor
    off = lot.written_off is not Absent
    own = Between(lot.holder, debtor, lot.certificate, certificate.currency)
    yield from own.right(asset, debt, 0 if off else live, live if off else 0)


def _loan(loan: Loan, terms: Terms) -> Entries:
    """2.11 "loan draw x: Dr LN / Cr CASH; borrower Dr CASH.ctl / Cr LL" and "interest posted i: Dr LN.int / Cr FI".

    Costs and fees that are charged are posted as interest is. What is waived is the lender's loss.
    """
    between = Between(loan.lender, loan.borrower, loan.id, loan.currency)
    off = loan.written_off is not Absent
    principal, charges = loan.outstanding_minor, loan.due_minor
    yield from between.right("LN", "LL", 0 if off else principal, principal if off else 0)
    yield from between.right("LN.int", "LL.int", 0 if off else charges, charges if off else 0)
    yield from between.earned("FI", "FE", sum(charge.posted_minor for charge in loan.charges.values()))
    yield from between.forgiven("FE", sum(charge.waived_minor for charge in loan.charges.values()))


def _guarantee(guarantee: Guarantee, terms: Terms) -> Entries:
    """2.11 "guarantee fee g: Dr FE / Cr CASH; guarantor Dr CASH / Cr unearned FI", "memo CG", and SUB of a loan.

    `CG` is what it covered at first less what it paid, until it is released; what it may still cost is in `promises`.
    """
    debtor, currency = guarantee.debtor, guarantee.currency
    fee = guarantee.fee_paid_minor - guarantee.fee_refunded_minor
    own = Between(guarantee.guarantor, debtor, guarantee.id, currency)
    yield from own._replace(debtor=guarantee.fee_payer).earned("FI.unearned", "FE", fee)
    yield from own.right("SUB", "LL.int", guarantee.interest_posted_minor - guarantee.interest_paid_minor)
    yield from own.earned("FI", "FE", guarantee.interest_posted_minor)
    if guarantee.secures == "loan":
        of_loan = own._replace(instrument=guarantee.debt)
        yield from of_loan.right("SUB", "LL", guarantee.subrogated_minor)
        yield from of_loan.forgiven("cost", guarantee.waived_minor)
    if guarantee.is_in_effect:
        paid = guarantee.compensated_minor + guarantee.contributed_minor
        yield from own.guaranteed(max(0, guarantee.covered_minor - paid))


def _payment(payment: Payment, terms: Terms) -> Entries:
    """What a payee got out of a controlled account and kept, as what the owner buys and the payee sells."""
    account = terms(Account, payment.account)
    payee = terms(Mandate, f"{account.id} {payment.mandate}").holder
    if payee != account.owner:
        yield from Between(payee, account.owner, payment.id, account.currency).earned(
            "revenue", "cost", payment.kept_minor
        )


BOOKED: Final[dict[type[Record], Callable[[Any, Terms], Entries]]] = {
    Receivable: _claim, Part: _part, Reduction: _reduction, Dispute: _dispute, LateInterest: _late_interest,
    Certificate: _certificate, Lot: _lot, Loan: _loan, Guarantee: _guarantee, Payment: _payment,
}  # fmt: skip
"""What the records of a kind amount to."""
