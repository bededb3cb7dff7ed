"""What a party holds and owes, what is due when, what secures a loan: read off the records, not their past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec

from finchain.domain.arithmetic import WHOLE_BP
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan, guaranteed_minor
from finchain.domain.part import Part
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from finchain.domain.totals import exposures
from finchain.money import format_minor
from finchain.reading import Reading

Side = Literal["holds", "owes"]


class Position(msgspec.Struct, frozen=True):
    """One thing that a party holds or owes.

    Attributes:
        kind: Kind of the record in which it stands, and `id` its id.
        amount_minor: What is open of it; of a loan the principal that is not repaid and the charges that are due.
        counterparty: Who owes what is held, or who is owed: of a certificate its holders, of a claim its creditor and
            the holders of its parts.
    """

    side: Side
    kind: str
    id: str
    currency: str
    amount_minor: int
    counterparty: str

    def __str__(self) -> str:
        # The amount stands where no terminal breaks the line.
        with_whom = f"{'from' if self.side == 'holds' else 'to'} {self.counterparty}"
        return f"{self.side:<5}  {self._money:>22} {self.currency}  {self.kind} {self.id} {with_whom}"

    @property
    def _money(self) -> str:
        return format_minor(self.amount_minor, self.currency)


class Security(msgspec.Struct, frozen=True):
    """What secures a loan, and what is left of it.

    Attributes:
        lots: Ids of the pledged lots.
        guarantees: Ids of the guarantees of the loan, and of the lots' certificates.
        eligible_minor: Live face of the pledged lots, and what is open and undisputed of the pledged parts of claims.
        guaranteed_minor: What guarantees of the loan itself cover of its principal.
        secured_minor: The share of what is pledged that may be lent, and what is guaranteed.
        used_minor: What is outstanding or about to be paid out.
        left_minor: What may still be drawn, by limit, date and collateral.
        over_advance_minor: What is used beyond `secured_minor`.
        claims: Ids of the pledged parts of claims.
    """

    loan: str
    currency: str
    lots: tuple[str, ...]
    guarantees: tuple[str, ...]
    eligible_minor: int
    guaranteed_minor: int
    advance_bp: int
    secured_minor: int
    used_minor: int
    left_minor: int
    over_advance_minor: int
    claims: tuple[str, ...] = ()


class Due(msgspec.Struct, frozen=True, order=True):
    """What is to be paid on a day.

    Attributes:
        kind: Kind of the record in which it stands, and `id` its id.
        debtor: Who pays.
        amount_minor: What is open of it; of a loan its principal, and the interest until then as it looks today.
    """

    day: date
    kind: str
    id: str
    debtor: str
    currency: str
    amount_minor: int

    def __str__(self) -> str:
        money = format_minor(self.amount_minor, self.currency)
        # The amount stands where no terminal breaks the line.
        return f"{self.day}  {money:>22} {self.currency}  {self.kind} {self.id} from {self.debtor}"


class Promise(msgspec.Struct, frozen=True):
    """What a guarantor owes under one guarantee, and what it may get back.

    Attributes:
        exposure_minor: The most that it may still have to pay.
        called_minor: What was demanded of it and not paid.
        paid_minor: What it paid to beneficiaries and to guarantors beside it.
        recoverable_minor: What of that the debtor owes it now.
        until: The last day on which a demand is in time.
    """

    guarantee: str
    debtor: str
    currency: str
    exposure_minor: int
    called_minor: int
    paid_minor: int
    recoverable_minor: int
    until: date

    def __str__(self) -> str:
        amounts = (self.exposure_minor, self.called_minor, self.paid_minor, self.recoverable_minor)
        exposure, called, paid, back = (format_minor(each, self.currency) for each in amounts)
        return (
            f"{self.guarantee} for {self.debtor}, {self.currency}: may have to pay {exposure} (called {called}) "
            f"until {self.until}; paid {paid}, may recover {back}"
        )


def positions(ledger: Reading, party: str) -> list[Position]:
    """What a party holds and owes of claims, parts, certificates and loans; what is 0 is left out.

    Raises:
        NotFound: There is no such party.
    """
    ledger.get(Party, party)
    return [each for each in _positions(ledger, party) if each.amount_minor]


def _positions(ledger: Reading, party: str) -> Iterator[Position]:
    for claim in ledger.find(Receivable, lambda each: party in (each.creditor, each.debtor)):
        own = claim.free + claim.reserved + claim.disputed_free
        if claim.creditor == party:
            yield Position("holds", claim.kind, claim.id, claim.currency, own, claim.debtor)
        if claim.debtor == party:
            owed, owners = claim.open + claim.disputed_post, {claim.creditor} if own else set()
            owners |= {ledger.get(Part, id).holder for id in claim.parts}
            yield Position("owes", claim.kind, claim.id, claim.currency, owed, ", ".join(sorted(owners)))
    for part in ledger.find(Part, lambda each: each.holder == party):
        debtor = ledger.get(Receivable, part.receivable).debtor
        yield Position("holds", part.kind, part.id, part.currency, part.amount_minor + part.disputed_minor, debtor)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for lot in ledger.find(Lot, lambda each: each.live_minor > 0):
        holders[lot.certificate].add(lot.holder)
    for certificate in ledger.find(Certificate, lambda each: each.issuer == party):
        others = ", ".join(sorted(holders[certificate.id]))
        yield Position("owes", certificate.kind, certificate.id, certificate.currency, certificate.live_minor, others)
    for lot in ledger.find(Lot, lambda each: each.holder == party):
        certificate = ledger.get(Certificate, lot.certificate)
        yield Position("holds", lot.kind, lot.id, certificate.currency, lot.live_minor, certificate.issuer)
    for loan in ledger.find(Loan, lambda each: party in (each.lender, each.borrower)):
        owed = loan.outstanding_minor + loan.due_minor
        if loan.lender == party:
            yield Position("holds", loan.kind, loan.id, loan.currency, owed, loan.borrower)
        else:
            yield Position("owes", loan.kind, loan.id, loan.currency, owed, loan.lender)


def security(ledger: Reading, id: str) -> Security:
    """What secures a loan today.

    Raises:
        NotFound: There is no such loan.
    """
    loan = ledger.get(Loan, id)
    lots = [ledger.get(Lot, lot) for lot in loan.collateral]
    certificates = dict.fromkeys(lot.certificate for lot in lots)
    own = [ledger.get(Guarantee, each) for each in loan.guarantees]
    guarantees = [*loan.guarantees, *(each for id in certificates for each in ledger.get(Certificate, id).guarantees)]
    eligible = sum(lot.live_minor for lot in lots) + sum(ledger.get(Part, id).amount_minor for id in loan.claims)
    guaranteed = guaranteed_minor(own)
    secured = eligible * loan.advance_bp // WHOLE_BP + guaranteed
    used = loan.outstanding_minor + loan.reserved_minor
    left = min(loan.left_to_draw(ledger.today) - loan.reserved_minor, secured - used)
    return Security(
        loan=loan.id, currency=loan.currency, lots=tuple(lot.id for lot in lots), guarantees=tuple(guarantees),
        eligible_minor=eligible, guaranteed_minor=guaranteed, advance_bp=loan.advance_bp, secured_minor=secured,
        used_minor=used, left_minor=max(0, left), over_advance_minor=max(0, used - secured), claims=loan.claims,
    )  # fmt: skip


def due(ledger: Reading, until: date | None = None) -> list[Due]:
    """What is to be paid on claims, certificates and loans, the earliest first; what is overdue comes with its day.

    Args:
        ledger: An open ledger, or a snapshot of one.
        until: The last day that is asked for; all where absent.
    """
    return sorted(each for each in _due(ledger) if each.amount_minor and (until is None or each.day <= until))


def _due(ledger: Reading) -> Iterator[Due]:
    for claim in ledger.find(Receivable):
        yield Due(claim.payable, claim.kind, claim.id, claim.debtor, claim.currency, claim.open)
    for certificate in ledger.find(Certificate, lambda each: each.accepted is not Absent):
        yield Due(
            certificate.payable, certificate.kind, certificate.id, certificate.issuer, certificate.currency,
            certificate.live_minor,
        )  # fmt: skip
    for loan in ledger.find(Loan):
        owed = loan.outstanding_minor + loan.due_minor + loan.accrued_minor(max(loan.due_on, ledger.today))
        yield Due(loan.due_on, loan.kind, loan.id, loan.borrower, loan.currency, owed)


def promises(ledger: Reading, guarantor: str) -> list[Promise]:
    """What a guarantor owes under each of its guarantees, and what it may recover.

    Raises:
        NotFound: There is no such party.
    """
    ledger.get(Party, guarantor)
    guarantees = {each.id: each for each in ledger.find(Guarantee)}
    creditors: dict[str, int] = defaultdict(int)
    for lot in ledger.find(Lot, lambda each: each.guarantee is Absent):
        creditors[lot.certificate] += lot.live_minor
    loans = {each.id: each for each in ledger.find(Loan)}
    exposure = exposures(guarantees, creditors, loans, ledger.today)
    return [
        Promise(
            guarantee=each.id, debtor=each.debtor, currency=each.currency, exposure_minor=exposure[each.id],
            called_minor=min(exposure[each.id], max(0, each.demanded_minor - each.compensated_minor)),
            paid_minor=each.compensated_minor + each.contributed_minor, recoverable_minor=each.subrogated_minor,
            until=each.period_end,
        )
        for each in guarantees.values()
        if each.guarantor == guarantor
    ]  # fmt: skip
