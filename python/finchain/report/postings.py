"""The ledger as a journal: for each instruction that moved value, what each party books (rule `bookings`).

The ledger keeps rights and cash and no books. These are derived from them: rights out of the records as an instruction
changed them, cash out of the cash journal, and between both what it earned or cost, which must make debits and credits
the same in every book. What could be booked otherwise is a choice of presentation, and docs/operating.md lists those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, Final, Literal

import msgspec

from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.collection import RecoverReceivable, SettleReceivable
from finchain.domain.correction import ReversePayment
from finchain.domain.debts import ReceiveForDebts
from finchain.domain.part import Part
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.recourse import BuyBackLot, CancelCertificate, PayLotEarly, WaiveLot
from finchain.domain.reduction import CreditConverted
from finchain.domain.rule import Absent, Instruction, Optional
from finchain.domain.transfer import AcceptTransfer, ReverseTransfer, SettleSale
from finchain.money import format_minor
from finchain.outcome import Change
from finchain.reading import Reading
from finchain.report.books import BOOKED, MEMO, AccountName, Between, Entries, Entry, Terms, owner_of


class Line(msgspec.Struct, frozen=True):
    """A debit or a credit.

    Attributes:
        counterparty: The other side.
        instrument: Id of the claim, certificate, loan, part or guarantee that it is of; absent for cash.
        amount_minor: `> 0`.
    """

    account: AccountName
    side: Literal["debit", "credit"]
    amount_minor: int
    counterparty: str
    instrument: str | Optional = Absent


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """What one instruction is in the books of one party.

    Attributes:
        height: The block, `entry` the transaction in it, and `index` the instruction in that.
        day: The block's date, on which it is booked.
        value_date: From when it has its value.
        order: The instruction's tag.
        book: Whose books: a party, or a payee that is none under its name in the cash journal.
        reference: The bank's number of the entry.
    """

    height: int
    entry: int
    index: int
    day: date
    value_date: date
    order: str
    book: str
    currency: str
    lines: tuple[Line, ...]
    reference: str | Optional = Absent

    def sum_minor(self, side: Literal["debit", "credit"]) -> int:
        """All debits or all credits, but for those of memo accounts."""
        return sum(line.amount_minor for line in self.lines if line.side == side and line.account not in MEMO)

    @property
    def balanced(self) -> bool:
        """Whether debits and credits are the same sum (I-0)."""
        return self.sum_minor("debit") == self.sum_minor("credit")

    def __str__(self) -> str:
        reference = "" if self.reference is Absent else f" {self.reference}"
        head = f"{self.value_date}  {self.book}  {self.order}{reference}, block {self.height}, entry {self.entry}"
        lines = [head if self.balanced else f"{head}  NOT BALANCED"]
        for line in self.lines:
            amount = format_minor(line.amount_minor, self.currency)
            of = "" if line.instrument is Absent else f"  {line.instrument}"
            side = "Dr" if line.side == "debit" else "Cr"
            lines.append(f"    {side} {line.account:<11} {amount:>22} {self.currency}  {line.counterparty}{of}")
        return "\n".join(lines)


def postings(
    ledger: Reading, party: str | None = None, since: date | None = None, until: date | None = None
) -> Iterator[Posting]:
    """The journal of a ledger, in the order of its instructions; replays it. What moves no value is not in it.

    Args:
        ledger: An open ledger.
        party: Whose books; all where absent.
        since: The first day of blocks, so that what was posted back is in the run of the day on which it came.
        until: The last day.

    Raises:
        NotFound: There is no such party.
    """
    if party is not None:
        ledger.get(Party, party)
    for posting in postings_of(ledger.changes(), ledger.get):
        if until is not None and posting.day > until:
            return
        if party in (None, posting.book) and (since is None or posting.day >= since):
            yield posting


def postings_of(changes: Iterable[Change], terms: Terms) -> Iterator[Posting]:
    """The journal of some changes; `terms` finds the records whose terms they name."""
    for change in changes:
        amounts: dict[Entry, int] = defaultdict(int)
        for each in _entries(change, terms):
            amounts[each._replace(amount_minor=0)] += each.amount_minor
        sets: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for each, amount in amounts.items():
            if amount:
                side: Literal["debit", "credit"] = "debit" if amount > 0 else "credit"
                line = Line(each.account, side, abs(amount), each.counterparty, each.instrument)
                sets[each.book, each.currency].append(line)
        for (book, currency), lines in sets.items():
            yield _posting(change, book, currency, lines)


def _posting(change: Change, book: str, currency: str, lines: list[Line]) -> Posting:
    value_date = getattr(change.instruction, "value_date", Absent)
    lines.sort(key=lambda line: (line.account in MEMO, line.side != "debit"))
    return Posting(
        height=change.height, entry=change.entry, index=change.index, day=change.day,
        value_date=change.day if value_date is Absent else value_date, order=change.order, book=book,
        currency=currency, lines=tuple(lines), reference=getattr(change.instruction, "reference", Absent),
    )  # fmt: skip


def _entries(change: Change, terms: Terms) -> Entries:
    """What the records amount to, after less before; the cash; and what the instruction's own row adds."""
    for before, after in change.records:
        booked = BOOKED.get(type(after))
        if booked is not None:
            yield from booked(after, terms)
            if before is not None:
                yield from (each._replace(amount_minor=-each.amount_minor) for each in booked(before, terms))
    yield from _cash(change, terms)
    row = _ROWS.get(type(change.instruction))
    if row is not None:
        yield from row(change, terms)


def _cash(change: Change, terms: Terms) -> Entries:
    """The cash journal: one pays and others are paid; what of it is on a controlled account is in `CASH.ctl`."""
    moved = {after.id: after.net_minor - (0 if was is None else was.net_minor) for was, after in change.of(Cash)}
    payers = [id for id, amount in moved.items() if amount < 0]
    others: dict[str, str] = {}
    for id, amount in moved.items():
        if amount > 0:
            (payer, _, currency), payee = payers[0].rpartition(" "), id.rpartition(" ")[0]
            others |= {payee: payer, payer: payee}
            yield Entry(payee, "CASH", payer, Absent, currency, amount)
            yield Entry(payer, "CASH", payee, Absent, currency, -amount)
    for old, account in change.of(Account):
        came = account.settled_minor - (0 if old is None else old.settled_minor)
        other = others.get(account.owner, account.owner)
        yield Entry(account.owner, "CASH.ctl", other, account.id, account.currency, came)
        yield Entry(account.owner, "CASH", other, Absent, account.currency, -came)


# ---- rows of instructions: what the records alone do not say
def _credit_converted(change: Change, terms: Terms) -> Entries:
    """2.11 "credit note x", after the claim became a certificate: the new claim is no sale of the debtor's.

    The debtor, now the creditor, has lower cost, and the seller lower revenue.
    """
    for before, claim in change.of(Receivable):
        if before is None:
            between = Between(claim.creditor, claim.debtor, claim.id, claim.currency)
            yield from between.earned("revenue", "cost", -claim.confirmed)
            yield from between.earned("cost", "revenue", claim.confirmed)


def _collected(change: Change, terms: Terms) -> Entries:
    """The debtor paid somebody whose part it was not: the creditor before notice, or a pledgee. It owes it the owner.

    A pledgee's own loan on this ledger is repaid instead.
    """
    do: Any = change.instruction
    payee = do.creditor if isinstance(do, ReceiveForDebts) else do.payee
    for before, part in change.of(Part):
        if before is not None and (before.loan is Absent or payee != part.holder):
            own = owner_of(part.receivable, part.id, terms)
            paid = part.settled_minor - before.settled_minor
            if payee != own.creditor:
                yield from own._replace(debtor=payee, instrument=part.id).right("R", "P", paid)


def _transferred(change: Change, terms: Terms) -> Entries:
    """2.11 "transfer to tier 2, y: Dr P[tier2] / Cr R.cert"; for tier 2 it is paid: Dr R.cert / Cr R.

    The trade that is paid for was booked elsewhere. A transfer that is reversed has paid nothing.
    """
    reversed_ = isinstance(change.instruction, ReverseTransfer)
    for lot, giver, taker in _handed(change):
        paid = -lot.live_minor
        if reversed_:
            giver, taker, paid = taker, giver, -paid
        currency = terms(Certificate, lot.certificate).currency
        yield from Between(taker, giver, lot.id, currency).right("R", "P", paid)


def _sold(change: Change, terms: Terms) -> Entries:
    """2.11 "non-recourse sale f at price q: Dr CASH q, Dr FE f-q / Cr R.cert f", and "recourse sale" with deferred FE.

    To the financier what it pays less than the face is unearned FI in both: "Dr R.cert f / Cr CASH q, Cr unearned FI
    f-q", "Dr LN f / Cr CASH q, Cr unearned FI". A buy-back is a sale the other way, for a price that may be above it.
    """
    do: Any = change.instruction
    for lot, seller, buyer in _handed(change):
        certificate = terms(Certificate, lot.certificate)
        discount = lot.live_minor - do.amount_minor
        between = Between(buyer, seller, certificate.id, certificate.currency)
        if discount < 0:
            yield from between._replace(creditor=seller, debtor=buyer).earned("FI", "FE", -discount)
            continue
        stays = any(after.id == lot.id and len(after.recourse) > len(lot.recourse) for _, after in change.of(Lot))
        yield from between.earned("FI.unearned", "FE.deferred" if stays else "FE", discount)


def _handed(change: Change) -> Iterator[tuple[Lot, str, str]]:
    """Lots that changed hands, as they were, with who gave and who took them."""
    for before, lot in change.of(Lot):
        if before is not None and before.holder != lot.holder:
            yield before, before.holder, lot.holder


def _forgiven(change: Change, terms: Terms) -> Entries:
    """A lot that is forgiven is the holder's loss, and lowers what the debtor bought cost; paid early, by the discount.

    2.11 has no row for either.
    """
    early = isinstance(change.instruction, PayLotEarly)
    for before, lot in change.of(Lot):
        if before is not None:
            certificate = terms(Certificate, lot.certificate)
            between = Between(before.holder, certificate.issuer, certificate.id, certificate.currency)
            given_up = lot.waived_minor - before.waived_minor
            yield from between.earned("FE", "FI", -given_up) if early else between.forgiven("cost", given_up)


def _called_off(change: Change, terms: Terms) -> Entries:
    """A certificate that all call off is a claim of the first creditor again, who owes it to those who held lots."""
    for before, lot in change.of(Lot):
        certificate = terms(Certificate, lot.certificate)
        if before is not None and before.holder != certificate.creditor:
            between = Between(before.holder, certificate.creditor, lot.id, certificate.currency)
            yield from between.right("R", "P", before.live_minor)


_ROWS: Final[dict[type[Instruction], Callable[[Change, Terms], Entries]]] = {
    CreditConverted: _credit_converted, SettleReceivable: _collected, RecoverReceivable: _collected,
    ReversePayment: _collected, ReceiveForDebts: _collected, AcceptTransfer: _transferred,
    ReverseTransfer: _transferred, SettleSale: _sold, BuyBackLot: _sold, WaiveLot: _forgiven, PayLotEarly: _forgiven,
    CancelCertificate: _called_off,
}  # fmt: skip
"""What instructions add to what the records amount to."""
