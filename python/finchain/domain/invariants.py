"""What is true of a whole ledger after every instruction: no money and no claim is made, lost or owned twice.

The rules keep these by themselves. Here they are said once more over all records together, in other words, so that
tests, an audit or a doubtful operator can ask. The numbers are those of `docs/rules.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NoReturn, TypeVar

from finchain.domain.account import Account, Mandate
from finchain.domain.capacity import Capacity, ClientCover
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot, Rank, lot_id
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.loan_guarantee import outstanding_minor
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Record
from finchain.money import AMOUNT_MAX_MINOR

R = TypeVar("R", bound=Record)


class InvariantError(AssertionError):
    """An invariant does not hold: a fault of the rules, or records that no rule wrote."""


class Ledger:
    """All records, by kind and id."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._kinds: dict[type[Record], dict[str, Record]] = defaultdict(dict)
        for record in records:
            self._kinds[type(record)][record.id] = record

    def all(self, kind: type[R]) -> Mapping[str, R]:
        """The records of a kind, by id."""
        return self._kinds[kind]  # type: ignore[return-value]  # filed under their type


def check_all(records: Iterable[Record]) -> None:
    """Checks every invariant over the records of one ledger.

    Raises:
        InvariantError: One does not hold; it says which, of what, with the numbers.
    """
    ledger = Ledger(records)
    for check in (
        check_cash, check_receivables, check_certificates, check_conversion, check_guarantees, check_ranks,
        check_loans, check_accounts, check_capacity,
    ):  # fmt: skip
        check(ledger)


def check_cash(ledger: Ledger) -> None:
    """I-0: in each currency, what some paid others received."""
    totals: dict[str, int] = defaultdict(int)
    for cash in ledger.all(Cash).values():
        totals[cash.id.rpartition(" ")[2]] += cash.net_minor
    for currency, total in totals.items():
        _equal("I-0", f"the cash journal in {currency}", total, 0)


def check_receivables(ledger: Ledger) -> None:
    """I-1 to I-3: every unit of a claim lies in one bucket."""
    for claim in ledger.all(Receivable).values():
        _natural("I-1", claim, "pending", "confirmed", "disputed_pre", "rejected", "cancelled", "waived")
        parts = claim.pending + claim.confirmed + claim.disputed_pre + claim.rejected + claim.cancelled
        _equal("I-1", f"claim {claim.id}", parts, claim.claimed)
        _natural("I-2", claim, "converted", "conv_settled", "settled", "credited", "setoff", "written_off")
        parts = claim.open + claim.disputed_post + claim.converted + claim.conv_settled
        parts += claim.settled + claim.credited + claim.setoff + claim.written_off
        _equal("I-2", f"claim {claim.id}", parts, claim.confirmed)
        if claim.waived + claim.disputed_post > claim.confirmed:
            _fail("I-2", f"claim {claim.id} has waived {claim.waived} of {claim.confirmed} and disputes others")
        _natural("I-3", claim, "free", "reserved", "assigned", "pledged")
        _natural("I-3", claim, "disputed_free", "disputed_assigned", "disputed_pledged")


def check_certificates(ledger: Ledger) -> None:
    """I-4 and I-5: lots cover a certificate's units without gap or overlap, and what is not live was settled."""
    lots: dict[str, dict[str, Lot]] = defaultdict(dict)
    for lot in ledger.all(Lot).values():
        lots[lot.certificate][lot.id] = lot
    for certificate in ledger.all(Certificate).values():
        what = f"certificate {certificate.id}"
        _natural("I-4", certificate, "live_minor", "settled_minor", "cancelled_minor", "suspense_minor")
        parts = certificate.live_minor + certificate.settled_minor + certificate.cancelled_minor
        _equal("I-4", what, parts, certificate.amount_minor)
        own = lots.pop(certificate.id)
        chain = _chain(certificate, own)
        _equal("I-4", f"lots that {what} reaches", len(chain), len(own))
        _equal("I-4", f"live units of {what}", sum(lot.live_minor for lot in chain), certificate.live_minor)
        settled = sum(lot.first - lot.start - lot.waived_minor for lot in chain)
        _equal("I-4", f"settled units of {what}", settled, certificate.settled_minor)
        if certificate.accepted is not Absent:
            waived = sum(lot.waived_minor for lot in chain)
            _equal("I-4", f"waived units of {what}", waived, certificate.cancelled_minor)
        _equal("I-4", f"live lots of {what}", sum(lot.live_minor > 0 for lot in chain), certificate.lots)
        for lot in chain:
            _check_one_right(certificate, lot)
    if lots:
        _fail("I-4", f"lots without a certificate: {', '.join(sorted(lots))}")


def _check_one_right(certificate: Certificate, lot: Lot) -> None:
    """A lot has one encumbrance and one rank, and who took it over ranks after those who did not."""
    if lot.pledge is not Absent and lot.offer is not Absent:
        _fail("I-5", f"lot {lot.id} is offered and pledged")
    if (lot.rank in ("junior", "last")) != (lot.guarantee is not Absent):
        _fail("I-5", f"lot {lot.id} ranks {lot.rank}, under guarantee {lot.guarantee}")
    if lot.live_minor > 0 and (lot.rank == "none") != (certificate.dishonoured is Absent):
        _fail("I-5", f"lot {lot.id} ranks {lot.rank}, the certificate is {certificate.status}")


def _chain(certificate: Certificate, own: Mapping[str, Lot]) -> list[Lot]:
    """The lots from unit 1 on, each of which ends where the next starts."""
    chain: list[Lot] = []
    start = 1
    while True:
        lot = own.get(lot_id(certificate.id, start))
        if lot is None:
            _fail("I-4", f"no lot of {certificate.id} starts at {start}")
        _equal("I-4", f"start of {lot.id}", lot.start, start)
        refused = certificate.status == "cancelled" and certificate.accepted is Absent
        if not lot.start <= lot.first <= lot.last + 1 and not refused:
            _fail("I-4", f"{lot.id} is [{lot.first}..{lot.last}], from {lot.start}")
        chain.append(lot)
        if lot.next is Absent:
            end = 0 if refused else certificate.amount_minor
            _equal("I-4", f"end of {certificate.id}", lot.last, end)
            return chain
        _equal("I-4", f"unit after {lot.id}", lot.next, lot.last + 1)
        start = lot.next


def check_conversion(ledger: Ledger) -> None:
    """I-6: what claims gave up for certificates, the certificates owe or have paid."""
    converted: dict[str, int] = defaultdict(int)
    settled: dict[str, int] = defaultdict(int)
    for certificate in ledger.all(Certificate).values():
        end = 0
        chain = _chain(certificate, ledger.all(Lot))
        for share in certificate.claims:
            start, end = end + 1, end + share.amount_minor
            for lot in chain:
                converted[share.receivable] += max(0, min(end, lot.last) - max(start, lot.first) + 1)
                paid_to = lot.first - 1 - lot.waived_minor
                settled[share.receivable] += max(0, min(end, paid_to) - max(start, lot.start) + 1)
    for claim in ledger.all(Receivable).values():
        _equal("I-6", f"converted of claim {claim.id}", claim.converted, converted[claim.id])
        _equal("I-6", f"conv_settled of claim {claim.id}", claim.conv_settled, settled[claim.id])


def check_guarantees(ledger: Ledger) -> None:
    """I-5, I-7 and I-8: a guarantor owns what it paid and has not got back, and never answers for more than its cap."""
    taken: dict[str, int] = defaultdict(int)
    paid: dict[str, int] = defaultdict(int)
    demanded: dict[str, int] = defaultdict(int)
    creditors: dict[str, int] = defaultdict(int)
    loans = ledger.all(Loan)
    of_loans = (each.call for each in ledger.all(Guarantee).values() if each.call is not Absent)
    for call in (*(call for lot in ledger.all(Lot).values() for call in lot.calls), *of_loans):
        paid[call.guarantee] += call.paid_minor
        demanded[call.guarantee] += call.demanded_minor
    for lot in ledger.all(Lot).values():
        if lot.guarantee is not Absent:
            taken[lot.guarantee] += lot.live_minor
        else:
            creditors[lot.certificate] += lot.live_minor
    contributed = 0
    for guarantee in ledger.all(Guarantee).values():
        what = f"guarantee {guarantee.id}"
        _natural("I-7", guarantee, "covered_minor", "fee_minor", "fee_paid_minor", "compensated_minor", "open_minor")
        _natural("I-8", guarantee, "recovered_minor", "waived_minor", "contributed_minor", "shared_minor",
                 "subrogated_minor", "interest_paid_minor")  # fmt: skip
        contributed += guarantee.contributed_minor - guarantee.shared_minor
        if guarantee.secures == "certificate":
            _equal("I-5", f"live units that {what} took over", taken.pop(guarantee.id, 0), guarantee.subrogated_minor)
        _equal("I-8", f"paid to beneficiaries by {what}", paid.pop(guarantee.id, 0), guarantee.compensated_minor)
        _equal("I-8", f"demanded by beneficiaries of {what}", demanded.pop(guarantee.id, 0), guarantee.demanded_minor)
        if guarantee.room_minor < 0:
            _fail("I-7", f"{what} has paid {-guarantee.room_minor} more than {guarantee.cap_minor}")
        if guarantee.interest_paid_minor > guarantee.interest_posted_minor:
            _fail("I-8", f"{what} was paid interest that was not posted")
        if guarantee.secures == "loan":
            _check_loan_exposure(guarantee, creditors, loans, ledger.all(Guarantee))
            continue
        certificate = ledger.all(Certificate).get(guarantee.debt)
        if not guarantee.is_in_effect or certificate is None:
            continue
        outstanding = outstanding_behind(guarantee, creditors, loans, ledger.all(Guarantee), certificate.issued)
        exposure = guarantee.exposure_minor(outstanding, certificate.issued)
        # Of several guarantors rule P may give one an odd unit that its share alone would have rounded away.
        odd = guarantee.sharing == "several"
        if exposure + guarantee.compensated_minor > guarantee.covered_minor + odd:
            _fail("I-7", f"{guarantee.id} exposes {exposure}, more than {guarantee.covered_minor}")
        if outstanding == 0 and certificate.live_minor == 0:
            _equal("I-7", f"exposure of {guarantee.id}", exposure, 0)
    _equal("I-8", "what guarantors paid to each other", contributed, 0)
    if taken or paid or demanded:
        _fail("I-5", f"lots name guarantees that are none: {', '.join(sorted({*taken, *paid, *demanded}))}")


def _check_loan_exposure(
    guarantee: Guarantee, creditors: Mapping[str, int], loans: Mapping[str, Loan], guarantees: Mapping[str, Guarantee]
) -> None:  # fmt: skip
    """I-7: below its cap while the loan lives, whatever the interest, and nothing once it has ended."""
    if not guarantee.is_in_effect:
        return
    loan = loans[guarantee.debt]
    outstanding = outstanding_behind(guarantee, creditors, loans, guarantees, loan.due_on)
    exposure = guarantee.exposure_minor(outstanding, loan.due_on)
    if exposure > max(0, guarantee.room_minor) or (exposure and loan.ended is not Absent):
        _fail("I-7", f"{guarantee.id} exposes {exposure} of {guarantee.cap_minor}, the loan is {loan.status}")


def outstanding_behind(
    guarantee: Guarantee, creditors: Mapping[str, int], loans: Mapping[str, Loan],
    guarantees: Mapping[str, Guarantee], on: date,
) -> int:  # fmt: skip
    """What the beneficiaries of a guarantee have not been paid.

    Args:
        guarantee: The guarantee; the beneficiary of a counter-guarantee is the guarantor before it.
        creditors: The live units of each certificate that no guarantor took over.
        loans: All loans, by id.
        guarantees: All guarantees, by id.
        on: The day up to which a loan's interest counts.
    """
    if guarantee.behind is not Absent:
        return guarantees[guarantee.behind].subrogated_minor
    if guarantee.secures == "loan":
        return outstanding_minor(loans[guarantee.debt], guarantee, on)
    return creditors.get(guarantee.debt, 0)


def check_ranks(ledger: Ledger) -> None:
    """Civil Code 700: the debtor has paid a guarantor nothing while one whom it ranks behind is not paid."""
    before: dict[str, dict[Rank, int]] = defaultdict(lambda: defaultdict(int))
    for lot in ledger.all(Lot).values():
        before[lot.certificate][lot.rank] += lot.live_minor
    for loan in ledger.all(Loan).values():
        _check_loan_ranks(loan, ledger.all(Guarantee))
    for guarantee in ledger.all(Guarantee).values():
        if guarantee.secures == "loan":
            continue
        ahead: tuple[Rank, ...] = ("none", "senior") if guarantee.behind is Absent else ("none", "senior", "junior")
        unpaid = sum(before[guarantee.debt][rank] for rank in ahead)
        counters = sum(ledger.all(Guarantee)[id].compensated_minor for id in guarantee.counters)
        received = guarantee.recovered_minor - counters + guarantee.interest_paid_minor
        if received < 0 or (received and unpaid):
            _fail("I-8", f"guarantee {guarantee.id} got {received} back while {unpaid} ranked before it")


def _check_loan_ranks(loan: Loan, guarantees: Mapping[str, Guarantee]) -> None:
    """The borrower has paid a guarantor nothing while its lender is not paid, nor a fund before the guarantor.

    Costs and fees do not count here: they can be charged after all the rest was paid, and a guarantor then was too.
    Nor does what a guarantor pays of them, or as its share of what another paid: a fund behind it may have been paid.
    """
    charges = [charge for name, charge in loan.charges.items() if name in ("costs", "fees")]
    ahead = loan.outstanding_minor + loan.due_minor - sum(charge.due_minor for charge in charges)
    charged = sum(charge.compensated_minor for charge in charges)
    for own in (guarantees[id] for id in loan.guarantees):
        counters = [guarantees[id] for id in own.counters]
        received = own.recovered_minor - sum(each.compensated_minor for each in counters) + own.interest_paid_minor
        if received < 0 or (received and ahead):
            _fail("I-8", f"guarantee {own.id} got {received} back while {ahead} of {loan.id} ranked before it")
        later = min(own.compensated_minor, charged) + own.contributed_minor
        unpaid = ahead + max(0, own.subrogated_minor - later)
        for each in counters:
            back = each.recovered_minor + each.interest_paid_minor
            if back and unpaid:
                _fail("I-8", f"guarantee {each.id} got {back} back while {unpaid} of {loan.id} ranked before it")


def check_loans(ledger: Ledger) -> None:
    """I-10 and I-11, and that pledges and loans name each other."""
    pledged: dict[str, set[str]] = defaultdict(set)
    for lot in ledger.all(Lot).values():
        if lot.pledge is not Absent:
            pledged[lot.pledge.loan].add(lot.id)
    for part in ledger.all(Part).values():
        if part.loan is not Absent:
            pledged[part.loan].add(part.id)
    for loan in ledger.all(Loan).values():
        what = f"loan {loan.id}"
        for draw in loan.draws:
            if not 0 <= draw.outstanding_minor <= draw.lent_minor <= draw.asked_minor:
                _fail("I-10", f"draw {draw.name} of {what}: {draw}")
            last = draw.balances[-1].outstanding_minor if draw.balances else 0
            _equal("I-10", f"history of draw {draw.name} of {what}", last, draw.outstanding_minor)
        parts = loan.outstanding_minor + loan.repaid_minor + loan.compensated_minor
        _equal("I-10", what, parts, loan.drawn_minor)
        if loan.used_minor + loan.reserved_minor > loan.limit_minor:
            _fail("I-10", f"{what} has used {loan.used_minor} of {loan.limit_minor}")
        for name, charge in loan.charges.items():
            parts = charge.paid_minor + charge.compensated_minor + charge.due_minor + charge.waived_minor
            _equal("I-11", f"{name} of {what}", parts, charge.posted_minor)
            if min(charge.paid_minor, charge.compensated_minor, charge.due_minor, charge.waived_minor) < 0:
                _fail("I-11", f"{name} of {what}: {charge}")
        _check_compensated(loan, ledger.all(Guarantee))
        if {*loan.collateral, *loan.claims} != pledged[loan.id]:
            named = sorted((*loan.collateral, *loan.claims))
            _fail("I-5", f"{what} names {named}, pledged are {sorted(pledged[loan.id])}")


def _check_compensated(loan: Loan, guarantees: Mapping[str, Guarantee]) -> None:
    """I-8: what guarantors paid a lender, the lender's loan lost."""
    lost = loan.compensated_minor + sum(charge.compensated_minor for charge in loan.charges.values())
    paid = sum(guarantees[id].compensated_minor for id in loan.guarantees)
    _equal("I-8", f"what guarantors paid for loan {loan.id}", lost, paid)


def check_accounts(ledger: Ledger) -> None:
    """I-14 and I-15: what accounts, mandates and payments say of the same money agrees."""
    waiting: dict[str, int] = defaultdict(int)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for payment in ledger.all(Payment).values():
        if payment.kept_minor < 0 or min(payment.returned_minor, payment.refunded_minor) < 0:
            _fail("I-15", f"payment {payment.id}: {payment}")
        mandate = f"{payment.account} {payment.mandate}"
        if payment.stage in ("requested", "approved", "instructed"):
            waiting[mandate] += payment.amount_minor
        for index, amount in enumerate((payment.settled_minor, payment.returned_minor, payment.refunded_minor)):
            totals[mandate][index] += amount
    by_account: dict[str, list[Mandate]] = defaultdict(list)
    for each in ledger.all(Mandate).values():
        by_account[each.account].append(each)
        _equal("I-15", f"reserved under {each.id}", each.reserved_minor, waiting[each.id])
        shown = [each.paid_minor, each.returned_minor, each.refunded_minor]
        if shown != totals[each.id]:
            _fail("I-15", f"mandate {each.id} shows {shown}, its payments {totals[each.id]}")
        if not 0 <= each.used_minor + each.reserved_minor <= each.cap_minor or each.used_minor < 0:
            _fail("I-15", f"mandate {each.id} has used {each.used_minor} of {each.cap_minor}")
    for account in ledger.all(Account).values():
        own = by_account[account.id]
        if not 0 <= account.reserved_minor <= account.settled_minor:
            _fail("I-14", f"account {account.id} reserves {account.reserved_minor} of {account.settled_minor}")
        for name, member in (
            ("outflow_minor", "paid_minor"), ("returned_minor", "returned_minor"),
            ("refunded_minor", "refunded_minor"), ("reserved_minor", "reserved_minor"),
        ):  # fmt: skip
            whole = sum(getattr(mandate, member) for mandate in own)
            _equal("I-14", f"{name} of account {account.id}", getattr(account, name), whole)


def check_capacity(ledger: Ledger) -> None:
    """R8 and R9: what parties are said to have promised is what their certificates and guarantees promise."""
    issued: dict[str, int] = defaultdict(int)
    covered: dict[str, int] = defaultdict(int)
    of_client: dict[str, int] = defaultdict(int)
    for certificate in ledger.all(Certificate).values():
        issued[f"{certificate.issuer} {certificate.currency}"] += certificate.live_minor
    for each in ledger.all(Guarantee).values():
        if each.purpose == "financing" and each.accepted is not Absent and each.released is Absent:
            covered[f"{each.guarantor} {each.currency}"] += each.covered_minor
            of_client[f"{each.guarantor} {each.debtor} {each.currency}"] += each.covered_minor
    for capacity in ledger.all(Capacity).values():
        _equal("R8", f"what is issued by {capacity.id}", capacity.issued_minor, issued.pop(capacity.id, 0))
        _equal("R9", f"what is covered by {capacity.id}", capacity.covered_minor, covered.pop(capacity.id, 0))
    for client in ledger.all(ClientCover).values():
        _equal("R9", f"what is covered by and for {client.id}", client.covered_minor, of_client.pop(client.id, 0))
    if any((*issued.values(), *covered.values(), *of_client.values())):
        _fail("R8", f"no capacity is kept of {', '.join(sorted({*issued, *covered, *of_client}))}")


def _natural(number: str, record: Record, *members: str) -> None:
    for member in members:
        amount = getattr(record, member)
        if not 0 <= amount <= AMOUNT_MAX_MINOR:
            _fail(number, f"{member} of {record.kind} {record.id} is {amount}")


def _equal(number: str, what: str, shown: int, expected: int) -> None:
    if shown != expected:
        _fail(number, f"{what} is {shown}, and should be {expected}")


def _fail(number: str, what: str) -> NoReturn:
    raise InvariantError(f"{number}: {what}")
