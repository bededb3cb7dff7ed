"""What belongs to a trace: what its start was made of or secured by, and all that came of it.

What is above turns down again nowhere, or one claim would show a whole ledger: of a certificate that one lot of was
pledged for a loan the trace of the loan shows that lot and no other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from types import MappingProxyType

import msgspec

from finchain.domain.account import Account
from finchain.domain.certificate import Certificate, Lot, lot_id
from finchain.domain.collateral import PledgeLot, SecureLoan
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Optional, Record
from finchain.reading import Reading

Start = Receivable | Certificate | Loan | Payment
"""What a trace can begin with."""


class Scope(msgspec.Struct, frozen=True):
    """What belongs to a trace.

    Attributes:
        start: The record that it begins with.
        whole: Ids, by kind, of the records all of whose money belongs to it.
        above: Ids, by kind, of what secured a loan, and of the certificates of such lots, of which only what they were
            made of belongs to it.
    """

    start: Start
    currency: str
    whole: Mapping[str, Set[str]]
    above: Mapping[str, Set[str]] = MappingProxyType({})

    def owns(self, kind: str, id: str) -> bool:
        """Whether all the money of a record belongs to it; a certificate's lots and a loan's draws go with them."""
        match kind:
            case "lot":
                kind, id = "certificate", owner(id)
            case "draw":
                kind, id = "loan", owner(id)
            case "late_interest":
                kind, id = "receivable", owner(id)
        return id in self.whole.get(kind, ())

    def follows(self, kind: str, id: str) -> bool:
        """Whether what is written of a record can belong to it."""
        return id in self.above.get(kind, ()) or self.owns(kind, id)


def owner(id: str) -> str:
    """The certificate of a lot, the loan of a draw, or the claim of late interest, by their ids."""
    return id.rpartition(" ")[0]


def scope_of(ledger: Reading, record: Start) -> Scope:
    """What belongs to the trace of a record.

    A loan that has ended names its lots no more, nor they the loan: they find each other in their histories.
    """
    match record:
        case Receivable():
            made = ledger.find(Certificate, lambda each: any(share.receivable == record.id for share in each.claims))
            return _scope_of_certificates(ledger, record, record.currency, [record.id], list(made))
        case Certificate():
            return _scope_of_certificates(ledger, record, record.currency, [], [record])
        case Loan():
            return _scope_of_loans(ledger, record, record.currency, {record.id}, record.account)
        case Payment():
            account = ledger.get(Account, record.account)
            loans = {loan.id for loan in ledger.find(Loan, lambda each: each.account == account.id)}
            return _scope_of_loans(ledger, record, account.currency, loans, account.id)


def _scope_of_certificates(
    ledger: Reading, start: Receivable | Certificate, currency: str, claims: list[str], certificates: list[Certificate]
) -> Scope:
    lots = [lot for certificate in certificates for lot in _lots(ledger, certificate.id)]
    parts = [part.id for part in ledger.find(Part, lambda each: each.receivable in claims)] if claims else []
    secured = [*_secured(ledger, Lot, lots), *_secured(ledger, Part, parts)]
    loans = {each.loan if isinstance(each, PledgeLot) else each.id for each in secured}
    records = [ledger.get(Loan, id) for id in loans]
    direct = {id for each in certificates for id in each.guarantees} | {
        id for each in records for id in each.guarantees
    }
    whole = {
        "receivable": set(claims),
        "certificate": {certificate.id for certificate in certificates},
        "guarantee": _with_counters(ledger, direct),
        "loan": loans,
        "account": {loan.account for loan in records},
    }
    return Scope(start, currency, whole)


def _with_counters(ledger: Reading, guarantees: set[str]) -> set[str]:
    """Ids of guarantees, and of those behind them."""
    return guarantees | {id for each in guarantees for id in ledger.get(Guarantee, each).counters}


def _scope_of_loans(ledger: Reading, start: Loan | Payment, currency: str, loans: set[str], account: str) -> Scope:
    secured = list(_secured(ledger, Loan, loans))
    lots = {each.id for each in secured if isinstance(each, PledgeLot)}
    parts = {each.part for each in secured if isinstance(each, SecureLoan)}
    above = {"lot": lots, "part": parts, "certificate": {owner(lot) for lot in lots}}
    guarantees = _with_counters(ledger, {id for loan in loans for id in ledger.get(Loan, loan).guarantees})
    whole = {"guarantee": guarantees, "loan": loans, "account": {account}}
    return Scope(start, currency, whole, above)


def _lots(ledger: Reading, certificate: str) -> Iterator[str]:
    """Ids of all lots of a certificate, by rising units."""
    start: int | Optional = 1
    while start is not Absent:
        lot = ledger.get(Lot, lot_id(certificate, start))
        yield lot.id
        start = lot.next


def _secured(ledger: Reading, kind: type[Record], ids: Iterable[str]) -> Iterator[PledgeLot | SecureLoan]:
    """What was ever done to secure a loan, out of the histories of lots, parts or loans."""
    for id in ids:
        for step in ledger.history(kind, id, limit=sys.maxsize):
            yield from (each for each in step.instructions if isinstance(each, PledgeLot | SecureLoan))
