"""Everybody's books, kept from the postings alone: they balance, agree with each other, and with the ledger's records.

The records are read as they are in the end, so that what the journal made of each instruction is compared with a state
that it did not see: who owes what of each claim, certificate and loan, and where the money is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

from book import MemoryBook
from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Instruction, Optional
from finchain.outcome import Change
from finchain.reading import Reading
from finchain.report.books import AccountName
from finchain.report.postings import Posting, postings, postings_of

ASSETS = frozenset({"R", "R.cert", "LN", "LN.int", "SUB", "OFF"})
DEBTS = frozenset({"P", "P.cert", "LL", "LL.int"})

Row = tuple[str, str, int, str]
"""Side and account, counterparty, amount, instrument; an empty one for none."""


class Books:
    """The books of all parties.

    Attributes:
        amounts: Debits less credits, by book, account, counterparty, instrument and currency.
        between: What one has of another less what that owes it, by creditor, debtor, instrument and currency.
    """

    def __init__(self) -> None:
        self.amounts: dict[tuple[str, AccountName, str, str | Optional, str], int] = defaultdict(int)
        self.between: dict[tuple[str, str, str | Optional, str], int] = defaultdict(int)

    def keep(self, journal: Iterable[Posting]) -> None:
        """Books a journal; after each instruction every right of one is a debt of another (domain.md 2.11)."""
        for place, together in groupby(journal, lambda each: (each.height, each.entry, each.index)):
            touched = {key for posting in together for key in self._add(posting)}
            differing = {key: self.between[key] for key in touched if self.between[key]}
            assert not differing, f"{place}: {differing}"

    def _add(self, posting: Posting) -> Iterator[tuple[str, str, str | Optional, str]]:
        assert posting.balanced and posting.lines, str(posting)
        for line in posting.lines:
            assert line.amount_minor > 0
            amount = line.amount_minor if line.side == "debit" else -line.amount_minor
            self.amounts[
                posting.book, line.account, line.counterparty, line.instrument, posting.currency
            ] += amount  # fmt: skip
            sides = (posting.book, line.counterparty)
            if line.account in ASSETS | DEBTS:
                creditor, debtor = sides if line.account in ASSETS else sides[::-1]
                self.between[creditor, debtor, line.instrument, posting.currency] += amount
                yield creditor, debtor, line.instrument, posting.currency

    def total(self, *accounts: AccountName, book: str = "", instrument: str = "", currency: str = "CNY") -> int:
        """Debits less credits of some accounts, in a book and of an instrument where they are named."""
        return sum(
            amount
            for (own, account, _, of, in_currency), amount in self.amounts.items()
            if account in accounts and book in ("", own) and instrument in ("", of) and currency == in_currency
        )

    def check(self, ledger: Reading) -> None:
        """Compares with what the ledger's records say now."""
        cash: dict[tuple[str, str], int] = defaultdict(int)
        owed: dict[tuple[str, str], int] = defaultdict(int)
        for (book, account, _, instrument, currency), amount in self.amounts.items():
            if account in ("CASH", "CASH.ctl"):
                cash[book, currency] += amount
            if account in DEBTS:
                owed[account[0], str(instrument)] -= amount
        nets = {tuple(each.id.rsplit(" ", 1)): each.net_minor for each in ledger.find(Cash)}
        assert {key: net for key, net in cash.items() if net} == {key: net for key, net in nets.items() if net}, "I-0"
        for held in ledger.find(Account):
            there = self.total("CASH.ctl", instrument=held.id, currency=held.currency)
            assert there == held.settled_minor, held
        offered: dict[str, int] = defaultdict(int)
        for certificate in ledger.find(Certificate):
            if certificate.status == "offered":
                for share in certificate.claims:
                    offered[share.receivable] += share.amount_minor
            else:
                booked = -self.total("P.cert", instrument=certificate.id, currency=certificate.currency)
                assert booked == certificate.live_minor, certificate
        for claim in ledger.find(Receivable):
            whole = claim.open + claim.disputed_post + claim.written_off + offered[claim.id]
            assert owed["P", claim.id] == whole, claim
        paid: dict[str, int] = defaultdict(int)
        for guarantee in ledger.find(Guarantee):
            if guarantee.secures == "loan":
                paid[guarantee.debt] += guarantee.subrogated_minor
        for loan in ledger.find(Loan):
            assert owed["L", loan.id] == loan.outstanding_minor + loan.due_minor + paid[loan.id], loan


def kept(ledger: Reading) -> Books:
    """The books of a ledger's journal, which agree with its records."""
    books = Books()
    books.keep(postings(ledger))
    books.check(ledger)
    return books


def booked(ledger: MemoryBook, instruction: Instruction, by: Iterable[str]) -> dict[str, list[Row]]:
    """Applies an instruction, and gives what each party books, which balances and agrees."""
    before = dict(ledger.records)
    ledger.apply(instruction, by=by)
    records = tuple(
        (before.get(key), record) for key, record in ledger.records.items() if before.get(key) is not record
    )  # fmt: skip
    change = Change(ledger.height - 1, 0, 0, ledger.today, tuple(sorted(by)), instruction, records)
    journal = list(postings_of([change], ledger.get))
    Books().keep(journal)
    return {posting.book: rows(posting) for posting in journal}


def rows(posting: Posting) -> list[Row]:
    """The lines of a posting, for example `("Dr R", "core", 100, "R")`."""
    return [
        (f"{'Dr' if line.side == 'debit' else 'Cr'} {line.account}", line.counterparty, line.amount_minor,
         "" if line.instrument is Absent else line.instrument)
        for line in posting.lines
    ]  # fmt: skip
