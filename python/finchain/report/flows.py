"""What money an instruction moved, from whom through what to whom: read off the records before and after it.

The cash journal says only who has more and who has less. Here every amount passes through what it was paid for: a
certificate, a lot, a loan, an account, a payment; each of these gives on what it gets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date

import msgspec

from finchain.domain.account import Account, Mandate
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.collection import RecoverReceivable, SettleReceivable
from finchain.domain.correction import ReversePayment
from finchain.domain.debts import ReceiveForDebts
from finchain.domain.guarantee import Guarantee
from finchain.domain.late import LateInterest
from finchain.domain.loan import Charge, Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.recourse import BuyBackLot
from finchain.domain.rule import Absent, Optional
from finchain.outcome import Change

AccountOf = Callable[[str], str]
"""The controlled account of a loan, by their ids; it never changes."""


class Node(msgspec.Struct, frozen=True):
    """What money comes from or goes to.

    Attributes:
        kind: The kind of a record; or `party`, `payee`, `draw`, `principal`, the name of a charge such as `interest`,
            or `suspense`, where a bank keeps what was paid too much.
        id: Its id; of a draw those of loan and draw, of principal and charges the loan's; of a payee its name in the
            cash journal.
        name: The name of a payee.
    """

    kind: str
    id: str
    name: str | Optional = Absent

    def __str__(self) -> str:
        return f"{self.kind} {self.id if self.name is Absent else self.name}"


class Flow(msgspec.Struct, frozen=True):
    """An amount on its way.

    Attributes:
        height: The block, `entry` the transaction in it, and `index` the instruction in that.
        order: The instruction's tag.
        reference: The bank's number of the entry.
        origin: Of money that leaves a controlled account, or comes back to it: whence it had come there first.
    """

    day: date
    height: int
    entry: int
    index: int
    order: str
    source: Node
    target: Node
    amount_minor: int
    reference: str | Optional = Absent
    origin: Node | Optional = Absent


def flow(change: Change, source: Node, target: Node, amount_minor: int) -> Flow:
    """An amount that an instruction moved."""
    reference = getattr(change.instruction, "reference", Absent)
    return Flow(
        change.day, change.height, change.entry, change.index, change.order, source, target, amount_minor, reference
    )  # fmt: skip


def party(id: str) -> Node:
    """A party of the ledger."""
    return Node("party", id)


def money_of(change: Change, account_of: AccountOf) -> list[Flow]:
    """What an instruction moved, in the order in which it passed; amounts that are 0 are left out."""
    return [each for each in _Money(change, account_of).flows() if each.amount_minor]


class _Money:
    """One instruction, and what of the money that it moved is still to be handed on.

    Attributes:
        taken: What each loan took, for its lender and for guarantors whom it owes what they paid.
        entered: What came onto each account.
        ended: Loans that took all they were owed, and whose other lots are free from then on.
    """

    def __init__(self, change: Change, account_of: AccountOf) -> None:
        self.change = change
        self.account_of = account_of
        self.loans = {after.id: (before, after) for before, after in change.of(Loan) if before is not None}
        self.guarantees = [(before, after) for before, after in change.of(Guarantee) if before is not None]
        self.taken: dict[str, int] = defaultdict(int)
        for before, after in self.loans.values():
            self.taken[after.id] += sum(paid for _, paid, _ in _uses(before, after))
        for was, guarantee in self.guarantees:
            self.taken[guarantee.debt] += self._paid_back(was, guarantee)
        self.entered: dict[str, int] = defaultdict(int)
        for old, account in change.of(Account):
            self.entered[account.id] = account.inflow_minor - (0 if old is None else old.inflow_minor)
        self.ended: set[str] = set()

    def flow(self, source: Node, target: Node, amount_minor: int) -> Flow:
        return flow(self.change, source, target, amount_minor)

    def flows(self) -> Iterator[Flow]:
        yield from self._claims()
        yield from self._draws()
        yield from self._certificates()
        yield from self._guarantees()
        yield from self._lots()
        yield from self._loans()
        yield from self._payments()

    def _claims(self) -> Iterator[Flow]:
        """The debtor paid a claim that is in no certificate, or interest because it paid late."""
        for before, claim in self.change.of(Receivable):
            payee = self._payee()
            if before is None or payee is None:
                continue
            node, own = Node(claim.kind, claim.id), claim.settled - before.settled
            yield from self._either_way(party(claim.debtor), node, own)
            for was, part in self.change.of(Part):
                if was is not None and part.receivable == claim.id:
                    paid, part_node = part.settled_minor - was.settled_minor, Node(part.kind, part.id)
                    own -= paid
                    yield from self._either_way(node, part_node, paid)
                    if was.loan is Absent or payee != part.holder:
                        yield from self._either_way(part_node, party(payee), paid)
                    else:
                        yield from self._passed_on(part_node, was.loan, claim.creditor, paid)
            yield from self._either_way(node, party(payee), own)
        for held, owed in self.change.of(LateInterest):
            paid = owed.paid_minor - (0 if held is None else held.paid_minor)
            yield self.flow(party(owed.debtor), Node(owed.kind, owed.id), paid)
            yield self.flow(Node(owed.kind, owed.id), party(owed.payee), paid)

    def _payee(self) -> str | None:
        """Who was paid a claim, or had to give back what was not paid."""
        match self.change.instruction:
            case SettleReceivable(payee=payee) | RecoverReceivable(payee=payee) | ReversePayment(payee=payee):
                return payee
            case ReceiveForDebts(creditor=creditor):
                return creditor
        return None

    def _either_way(self, source: Node, target: Node, amount_minor: int) -> Iterator[Flow]:
        """A flow, which goes back where the amount is negative."""
        ways = (source, target) if amount_minor > 0 else (target, source)
        yield self.flow(*ways, abs(amount_minor))

    def _draws(self) -> Iterator[Flow]:
        """The lender paid out a draw, or had not paid out what it had stated."""
        for before, loan in self.loans.values():
            lent = {draw.name: draw.lent_minor for draw in before.draws}
            for draw in loan.draws:
                paid = draw.lent_minor - lent.get(draw.name, 0)
                node, account = Node("draw", f"{loan.id} {draw.name}"), Node("account", loan.account)
                ends = (party(loan.lender), node, account) if paid > 0 else (account, node, party(loan.lender))
                yield self.flow(*ends[:2], abs(paid))
                yield self.flow(*ends[1:], abs(paid))
                self.entered[loan.account] -= paid

    def _certificates(self) -> Iterator[Flow]:
        """The debtor paid: units of lots, interest to guarantors, and what is too much."""
        for before, certificate in self.change.of(Certificate):
            if before is None:
                continue
            node = Node(certificate.kind, certificate.id)
            settled = [(Node(lot.kind, lot.id), paid) for lot, paid in self._settled(certificate.id)]
            settled += [
                (Node(after.kind, after.id), after.interest_paid_minor - was.interest_paid_minor)
                for was, after in self.guarantees
                if (after.secures, after.debt) == ("certificate", certificate.id)
            ]
            settled.append((Node("suspense", certificate.id), certificate.suspense_minor - before.suspense_minor))
            yield self.flow(party(certificate.issuer), node, sum(paid for _, paid in settled))
            for target, paid in settled:
                yield self.flow(node, target, paid)

    def _guarantees(self) -> Iterator[Flow]:
        """A fee, or one that had not come; interest of a certificate's debtor; what guarantors paid."""
        for before, after in self.guarantees:
            node, guarantor = Node(after.kind, after.id), party(after.guarantor)
            fee = after.fee_paid_minor - before.fee_paid_minor
            yield from self._either_way(party(after.fee_payer), node, fee)
            yield from self._either_way(node, guarantor, fee)
            refund = after.fee_refunded_minor - before.fee_refunded_minor
            yield self.flow(guarantor, node, refund)
            yield self.flow(node, party(after.fee_payer), refund)
            if after.secures == "certificate":
                yield self.flow(node, guarantor, after.interest_paid_minor - before.interest_paid_minor)
            yield self.flow(guarantor, node, after.compensated_minor - before.compensated_minor)
            yield from self._compensation(before, after)
            if after.contributed_minor > before.contributed_minor:
                for was, beside in self.guarantees:
                    shared = beside.shared_minor - was.shared_minor
                    yield self.flow(guarantor, node, shared)
                    yield self.flow(node, Node(beside.kind, beside.id), shared)
                    yield self.flow(Node(beside.kind, beside.id), party(beside.guarantor), shared)

    def _compensation(self, before: Guarantee, after: Guarantee) -> Iterator[Flow]:
        """What a guarantor paid goes to the lots or the loan; for a loan's guarantor to that guarantor."""
        node, paid = Node(after.kind, after.id), after.compensated_minor - before.compensated_minor
        for lot, units in self._compensated(before, after):
            yield self.flow(node, Node(lot.kind, lot.id), units)
        if after.secures == "loan" and after.behind is Absent:
            yield self.flow(node, Node("loan", after.debt), paid)
        elif after.secures == "loan" and paid:
            (own,) = (own for _, own in self.guarantees if own.id == after.behind)
            yield self.flow(node, Node(own.kind, own.id), paid)
            yield self.flow(Node(own.kind, own.id), party(own.guarantor), paid)

    def _lots(self) -> Iterator[Flow]:
        """What lots brought goes to the loan that they secured, and the rest to their holder; and what they cost."""
        paid_for = [(lot, paid) for certificate in self._certificate_ids() for lot, paid in self._settled(certificate)]
        for was, guarantee in self.guarantees:
            paid_for += self._compensated(was, guarantee)
        for lot, paid in sorted(paid_for, key=lambda each: (each[0].certificate, each[0].start)):
            secured = Absent if lot.pledge is Absent else lot.pledge.loan
            yield from self._passed_on(Node(lot.kind, lot.id), secured, lot.holder, paid)
        do = self.change.instruction
        for before, after in self.change.of(Lot):
            if before is None or before.holder == after.holder:
                continue
            node, price = Node(after.kind, after.id), 0
            if isinstance(do, BuyBackLot):
                price = do.amount_minor
            elif before.offer is not Absent and before.offer.price_minor is not Absent:
                price = before.offer.price_minor
            yield self.flow(party(after.holder), node, price)
            yield self.flow(node, party(before.holder), price)

    def _passed_on(self, node: Node, loan: str | Optional, owner: str, paid: int) -> Iterator[Flow]:
        """The money of a lot or a part: to the loan that it secured, onto the account of one not due, to its owner."""
        left = paid
        if loan is not Absent and loan not in self.ended:
            took = min(left, self.taken[loan])
            self.taken[loan] -= took
            left -= took
            yield self.flow(node, Node("loan", loan), took)
            if left and not self._is_due(loan):
                account = self.account_of(loan)
                waits = min(left, self.entered[account])
                self.entered[account] -= waits
                left -= waits
                yield self.flow(node, Node("account", account), waits)
            if loan in self.loans and self.loans[loan][1].ended is not Absent and not self.taken[loan]:
                self.ended.add(loan)
        yield self.flow(node, party(owner), left)

    def _is_due(self, id: str) -> bool:
        """Whether a loan was due, so that what it did not take was its borrower's; such a loan is written."""
        if id not in self.loans:
            return False
        _, loan = self.loans[id]
        return loan.posted is not Absent and loan.posted >= loan.due_on

    def _loans(self) -> Iterator[Flow]:
        """What a loan took from no lot its borrower paid; and what it went to."""
        borrowers = {loan.id: loan.borrower for _, loan in self.loans.values()}
        borrowers |= {each.debt: each.debtor for _, each in self.guarantees if each.secures == "loan"}
        for id, borrower in borrowers.items():
            yield self.flow(party(borrower), Node("loan", id), self.taken[id])
        for before, loan in self.loans.values():
            for use, paid, compensated in _uses(before, loan):
                yield self.flow(Node(loan.kind, loan.id), Node(use, loan.id), paid + compensated)
        for was, guarantee in self.guarantees:
            node, back = Node(guarantee.kind, guarantee.id), self._paid_back(was, guarantee)
            yield self.flow(Node("loan", guarantee.debt), node, back)
            yield self.flow(node, party(guarantee.guarantor), back)

    def _paid_back(self, before: Guarantee, after: Guarantee) -> int:
        """What a loan's guarantor got back, interest on it included, of the borrower and not of a guarantor behind."""
        if after.secures != "loan":
            return 0
        behind = sum(
            each.compensated_minor - was.compensated_minor for was, each in self.guarantees if each.behind == after.id
        )
        got = after.recovered_minor + after.interest_paid_minor
        return got - before.recovered_minor - before.interest_paid_minor - behind

    def _payments(self) -> Iterator[Flow]:
        """Money left a controlled account, or came back to it."""
        mandates = {mandate.id: mandate for _, mandate in self.change.of(Mandate)}
        for before, after in self.change.of(Payment):
            mandate = mandates.get(f"{after.account} {after.mandate}")
            if before is None or mandate is None:
                continue
            account, node = Node("account", after.account), Node(after.kind, after.id)
            payee = Node("payee", mandate.holder, mandate.payee.name)
            paid, kept = after.settled_minor - before.settled_minor, after.kept_minor - before.kept_minor
            yield self.flow(account, node, paid)
            yield self.flow(node, payee, paid)
            yield self.flow(payee, node, paid - kept)
            yield self.flow(node, account, paid - kept)

    def _certificate_ids(self) -> list[str]:
        return [after.id for before, after in self.change.of(Certificate) if before is not None]

    def _settled(self, certificate: str) -> list[tuple[Lot, int]]:
        """The lots of a certificate, as they were, and how many units of each were paid by the debtor."""
        found = []
        for before, after in self.change.of(Lot):
            if before is not None and after.certificate == certificate:
                paid = after.first - before.first - (after.waived_minor - before.waived_minor)
                found.append((before, paid))
        return sorted(found, key=lambda each: each[0].start)

    def _compensated(self, before: Guarantee, after: Guarantee) -> list[tuple[Lot, int]]:
        """The lots, as they were, of which a guarantor took units over for what it paid to their beneficiaries."""
        if after.secures != "certificate" or after.compensated_minor == before.compensated_minor:
            return []
        return [
            (was, lot.live_minor)
            for was, lot in self.change.of(Lot)
            if was is not None and lot.guarantee == after.id != was.guarantee
        ]


def _uses(before: Loan, after: Loan) -> list[tuple[str, int, int]]:
    """What a loan got, by what it went to: of its borrower, and of its guarantors."""
    charges = []
    for name, charge in sorted(after.charges.items()):
        was = before.charges.get(name, Charge())
        paid, compensated = charge.paid_minor - was.paid_minor, charge.compensated_minor - was.compensated_minor
        charges.append((name, paid, compensated))
    repaid, compensated = after.repaid_minor - before.repaid_minor, after.compensated_minor - before.compensated_minor
    return [*charges, ("principal", repaid, compensated)]
