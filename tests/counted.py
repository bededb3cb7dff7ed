"""A model of a ledger made of integers: what everybody has received and paid, and who owns each unit that is owed.

It is told of each instruction that was applied, by the table `MOVES`, and knows no rule: where the rules decide who
gets what, it demands only that the money goes where the units came from, and to nobody before those who rank ahead.
What is not in the table moves neither money nor units, and is found out if it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from book import MemoryBook
from finchain import instructions as do
from finchain.domain.account import Account, Mandate
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.late import LateInterest
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.reduction import Reduction
from finchain.domain.rule import Absent, Instruction, Optional, Record

RANKS = {"none": 0, "senior": 0, "junior": 1, "last": 2}
"""Who is paid first: a creditor, the guarantor that paid it, the guarantor behind that one."""

Records = Mapping[tuple[type[Record], str], Record]


class Unit(NamedTuple):
    """A unit of a certificate that is owed: to whom, after how many others, and under which guarantee it was paid."""

    owner: str
    rank: int = 0
    guarantee: str | Optional = Absent


Units = list[Unit | None]
"""All units of a certificate, unit 1 first; nothing where a unit is not owed any more."""


class Counted:
    """The model.

    Attributes:
        cash: Received less paid, by holder and currency.
        units: The units of each certificate.
    """

    def __init__(self) -> None:
        self.cash: dict[str, int] = defaultdict(int)
        self.units: dict[str, Units] = {}

    def pay(self, payer: str, payee: str, amount: int, currency: str) -> None:
        """Counts a payment."""
        self.cash[f"{payer} {currency}"] -= amount
        self.cash[f"{payee} {currency}"] += amount

    def hand(self, lot: Lot, to: Unit | None) -> None:
        """Gives what is live of a lot to somebody, or takes it out."""
        self.units[lot.certificate][lot.first - 1 : lot.last] = [to] * lot.live_minor

    def saw(self, instruction: Instruction, before: Records, ledger: MemoryBook) -> None:
        """Counts what an instruction did that was applied to the records before."""
        move = MOVES.get(type(instruction))
        if move is not None:
            move(self, instruction, Seen(before, ledger))

    def check(self, ledger: MemoryBook) -> None:
        """Compares with the ledger; the net cash of all is nothing in every currency."""
        shown = {each.id: each.net_minor for each in ledger.all(Cash)}
        assert shown == {id: net for id, net in self.cash.items() if net or id in shown}
        totals: dict[str, int] = defaultdict(int)
        for id, net in self.cash.items():
            totals[id.rpartition(" ")[2]] += net
        assert not any(totals.values()), totals
        assert units_of(ledger) == self.units


class Seen(NamedTuple):
    """The records before an instruction, and the ledger after it."""

    before: Records
    ledger: MemoryBook

    def was(self, kind: type[Any], id: str) -> Any:
        return self.before[kind, id]

    def taken_by(self, loan: str) -> int:
        """What a loan got by the instruction, of principal and charges."""
        return _got(self.ledger.get(Loan, loan)) - _got(self.was(Loan, loan))


def _got(loan: Loan) -> int:
    return loan.repaid_minor + sum(charge.paid_minor for charge in loan.charges.values())


def units_of(ledger: MemoryBook) -> dict[str, Units]:
    """Every unit of every certificate, as the ledger's lots have it."""
    units: dict[str, Units] = {each.id: [None] * each.amount_minor for each in ledger.all(Certificate)}
    for lot in ledger.all(Lot):
        if lot.live_minor > 0:
            place = slice(lot.first - 1, lot.last)
            assert not any(units[lot.certificate][place]), f"{lot.id} owns what is owned already"
            units[lot.certificate][place] = [Unit(lot.holder, RANKS[lot.rank], lot.guarantee)] * lot.live_minor
    return units


# --- what the instructions do that move money or units
def _settle(model: Counted, what: do.SettleReceivable, seen: Seen) -> None:
    _collect(model, seen.was(Receivable, what.id), what.part, what, seen)


def _recover_claim(model: Counted, what: do.RecoverReceivable, seen: Seen) -> None:
    entry = seen.was(Reduction, what.id)
    _collect(model, seen.was(Receivable, entry.receivable), entry.part, what, seen)


def _collect(model: Counted, claim: Receivable, part: str | Optional, what: Any, seen: Seen) -> None:
    """The money of a claim goes to who was paid, or to the loan that a part secures."""
    held = None if part is Absent else seen.was(Part, part)
    if held is None or held.loan is Absent or held.holder != what.payee:
        model.pay(claim.debtor, what.payee, what.amount_minor, claim.currency)
    else:
        _to_loan(model, held.loan, claim.debtor, claim.creditor, what.amount_minor, seen)


def _uncollect(model: Counted, what: do.ReversePayment, seen: Seen) -> None:
    claim = seen.was(Receivable, what.id)
    model.pay(what.payee, claim.debtor, what.amount_minor, claim.currency)


def _for_debts(model: Counted, what: do.ReceiveForDebts, seen: Seen) -> None:
    """All of it goes to the creditor, but for what the loans that its parts secure leave of their money."""
    parts: list[Part] = [seen.was(Part, id) for id in what.parts]
    debts = [*(seen.was(Loan, id) for id in what.loans), *(seen.was(Receivable, id) for id in what.receivables)]
    debts += [seen.was(Receivable, part.receivable) for part in parts]
    currency = debts[0].currency
    if all(part.loan is Absent for part in parts):
        model.pay(what.debtor, what.creditor, what.amount_minor, currency)
        return
    # A loan can be named beside the parts that secure it: who of them got what only the whole says.
    shown = {each.id: each.net_minor for each in seen.ledger.all(Cash)}
    assert shown[f"{what.debtor} {currency}"] == model.cash[f"{what.debtor} {currency}"] - what.amount_minor
    model.cash.update(shown)


def _late(model: Counted, what: do.ReceiveLateInterest, seen: Seen) -> None:
    owed = seen.was(LateInterest, f"{what.receivable} {what.payee}")
    model.pay(owed.debtor, owed.payee, what.amount_minor, owed.currency)


def _fee(model: Counted, what: do.ReceiveGuaranteeFee, seen: Seen) -> None:
    guarantee = seen.was(Guarantee, what.id)
    model.pay(guarantee.fee_payer, guarantee.guarantor, what.amount_minor, guarantee.currency)


def _disburse(model: Counted, what: do.DisburseLoan, seen: Seen) -> None:
    loan = seen.was(Loan, what.id)
    model.pay(loan.lender, loan.borrower, what.amount_minor, loan.currency)


def _undisburse(model: Counted, what: do.ReverseDisbursement, seen: Seen) -> None:
    loan = seen.was(Loan, what.id)
    (lent,) = (draw.lent_minor for draw in loan.draws if draw.name == what.name)
    model.pay(loan.borrower, loan.lender, lent, loan.currency)


def _repay(model: Counted, what: do.ReceivePrepayment | do.ReceiveRepayment, seen: Seen) -> None:
    loan = seen.was(Loan, what.id)
    assert seen.taken_by(loan.id) == what.amount_minor
    model.pay(loan.borrower, loan.lender, what.amount_minor, loan.currency)


def _out_of_account(model: Counted, what: do.SettlePayment, seen: Seen) -> None:
    _between(model, what, seen, 1)


def _into_account(model: Counted, what: do.ReturnPayment | do.RefundPayment, seen: Seen) -> None:
    _between(model, what, seen, -1)


def _between(model: Counted, what: Any, seen: Seen, sign: int) -> None:
    payment = seen.was(Payment, what.id)
    account = seen.was(Account, payment.account)
    payee = seen.was(Mandate, f"{payment.account} {payment.mandate}").holder
    # A payee may be the owner of another account, and then pays itself nothing.
    model.pay(account.owner, payee, sign * what.amount_minor, account.currency)


def _issue(model: Counted, what: do.IssueCertificate, seen: Seen) -> None:
    model.units[what.id] = [Unit(what.issuer)] * what.amount_minor


def _accept(model: Counted, what: do.AcceptCertificate, seen: Seen) -> None:
    certificate = seen.was(Certificate, what.id)
    model.units[what.id] = [Unit(certificate.creditor)] * certificate.amount_minor


def _none_left(model: Counted, what: do.RefuseCertificate | do.CancelCertificate, seen: Seen) -> None:
    model.units[what.id] = [None] * len(model.units[what.id])


def _transfer(model: Counted, what: do.AcceptTransfer, seen: Seen) -> None:
    lot = seen.was(Lot, what.id)
    model.hand(lot, Unit(lot.offer.to))


def _untransfer(model: Counted, what: do.ReverseTransfer, seen: Seen) -> None:
    lot = seen.was(Lot, what.id)
    model.hand(lot, Unit(lot.source))


def _sell(model: Counted, what: do.SettleSale, seen: Seen) -> None:
    lot = seen.was(Lot, what.id)
    model.pay(lot.offer.to, lot.holder, what.amount_minor, seen.was(Certificate, lot.certificate).currency)
    model.hand(lot, Unit(lot.offer.to))


def _buy_back(model: Counted, what: do.BuyBackLot, seen: Seen) -> None:
    lot = seen.was(Lot, what.id)
    model.pay(what.by, lot.holder, what.amount_minor, seen.was(Certificate, lot.certificate).currency)
    model.hand(lot, Unit(what.by, RANKS[lot.rank], lot.guarantee))


def _waive(model: Counted, what: do.WaiveLot, seen: Seen) -> None:
    model.hand(seen.was(Lot, what.id), None)


def _pay_early(model: Counted, what: do.PayLotEarly, seen: Seen) -> None:
    lot = seen.was(Lot, what.id)
    certificate = seen.was(Certificate, lot.certificate)
    model.pay(certificate.issuer, lot.holder, what.amount_minor, certificate.currency)
    model.hand(lot, None)


def _reverse_fee(model: Counted, what: do.ReverseFee, seen: Seen) -> None:
    guarantee = seen.was(Guarantee, what.id)
    model.pay(guarantee.guarantor, guarantee.fee_payer, guarantee.fee_paid_minor, guarantee.currency)


def _follow(model: Counted, certificate: Certificate, payer: str, seen: Seen) -> dict[str, int]:
    """Takes over which units the rules chose, pays for each whom it belonged to, and gives how many were of each lot.

    The money of a pledged lot goes to its loan.
    """
    were, now = model.units[certificate.id], units_of(seen.ledger)[certificate.id]
    changed: dict[str, int] = {}
    pledged: dict[str, int] = defaultdict(int)
    for lot in (each for each in seen.before.values() if isinstance(each, Lot) and each.certificate == certificate.id):
        units = range(lot.first - 1, lot.last)
        moved = [unit for unit in units if were[unit] != now[unit]]
        assert moved == list(units[: len(moved)]), f"of {lot.id} others than the lowest units moved"
        changed[lot.id] = len(moved)
        if lot.pledge is Absent:
            model.pay(payer, lot.holder, len(moved), certificate.currency)
        else:
            pledged[lot.pledge.loan] += len(moved)
    for id, amount in pledged.items():
        _to_loan(model, id, payer, seen.was(Loan, id).borrower, amount, seen)
    model.units[certificate.id] = now
    return changed


def _to_loan(model: Counted, id: str, payer: str, owner: str, amount: int, seen: Seen) -> None:
    """Pays a loan as far as that took some, then those who paid for the borrower, and beyond them the owner."""
    loan = seen.was(Loan, id)
    for to, taken in [(loan.lender, seen.taken_by(id)), *_got_back(loan, seen)]:
        assert 0 <= taken <= amount, f"{to} got {taken} of {amount} for {id}"
        model.pay(payer, to, taken, loan.currency)
        amount -= taken
    model.pay(payer, owner, amount, loan.currency)


def _got_back(debt: Certificate | Loan, seen: Seen) -> list[tuple[str, int]]:
    """What the guarantors of a debt got back by the instruction, interest included; the borrower's order is theirs."""
    found = []
    for id in _behind(debt, seen):
        before, after = seen.was(Guarantee, id), seen.ledger.get(Guarantee, id)
        found.append((after.guarantor, after.recovered_minor + after.interest_paid_minor
                      - before.recovered_minor - before.interest_paid_minor))  # fmt: skip
    return found


def _pay_certificate(model: Counted, what: do.PayCertificate, seen: Seen) -> None:
    certificate = seen.was(Certificate, what.id)
    were = model.units[what.id]
    interest = 0
    for id in _behind(certificate, seen):
        guarantee, later = seen.was(Guarantee, id), seen.ledger.get(Guarantee, id)
        paid = later.interest_paid_minor - guarantee.interest_paid_minor
        model.pay(certificate.issuer, guarantee.guarantor, paid, certificate.currency)
        interest += paid
    paid_by_lot = _follow(model, certificate, certificate.issuer, seen)
    now = model.units[what.id]
    settled = [were[unit] for unit in range(len(were)) if were[unit] is not None and now[unit] is None]
    kept = seen.ledger.get(Certificate, what.id).suspense_minor - certificate.suspense_minor
    assert len(settled) + interest + kept == what.amount_minor
    assert not kept or not any(now), "money was kept back while some of the debt was not paid"
    last = max((unit.rank for unit in settled if unit is not None), default=0)
    ahead = [unit for unit in now if unit is not None and unit.rank < last]
    assert not ahead, f"{ahead[0].owner} was passed over"
    creditors = [lot for lot in (seen.was(Lot, id) for id in paid_by_lot) if not RANKS[lot.rank] and lot.live_minor > 0]
    whole, money = sum(lot.live_minor for lot in creditors), sum(paid_by_lot[lot.id] for lot in creditors)
    assert money == min(what.amount_minor, whole)
    for lot in creditors:
        exact = Fraction(money * lot.live_minor, whole)
        assert abs(paid_by_lot[lot.id] - exact) < 1, f"{lot.id} got {paid_by_lot[lot.id]} instead of {exact}"


def _behind(debt: Certificate | Loan, seen: Seen) -> list[str]:
    """The guarantees of a debt, and those behind them."""
    return [*debt.guarantees, *(id for own in debt.guarantees for id in seen.was(Guarantee, own).counters)]


def _compensate(model: Counted, what: do.CompensateLoss, seen: Seen) -> None:
    guarantee = seen.was(Guarantee, what.id)
    if guarantee.secures == "certificate":
        _take_over(model, guarantee, guarantee.guarantor, what.amount_minor, seen)
        return
    to = seen.was(Loan, guarantee.debt).lender
    if guarantee.behind is not Absent:
        to = seen.was(Guarantee, guarantee.behind).guarantor
    model.pay(guarantee.guarantor, to, what.amount_minor, guarantee.currency)


def _contribute(model: Counted, what: do.ContributeShare, seen: Seen) -> None:
    payer, payee = seen.was(Guarantee, what.id), seen.was(Guarantee, what.to)
    if payer.secures == "loan":
        model.pay(payer.guarantor, payee.guarantor, what.amount_minor, payer.currency)
        return
    changed = _take_over(model, payer, payer.guarantor, what.amount_minor, seen)
    assert {seen.was(Lot, id).guarantee for id, units in changed.items() if units} == {payee.id}


def _recover(model: Counted, what: do.ReceiveRecovery, seen: Seen) -> None:
    guarantee = seen.was(Guarantee, what.id)
    model.pay(seen.was(Loan, guarantee.debt).borrower, guarantee.guarantor, what.amount_minor, guarantee.currency)


def _refund_fee(model: Counted, what: do.RefundGuaranteeFee, seen: Seen) -> None:
    guarantee = seen.was(Guarantee, what.id)
    model.pay(guarantee.guarantor, guarantee.fee_payer, what.amount_minor, guarantee.currency)


def _take_over(model: Counted, guarantee: Guarantee, payer: str, amount: int, seen: Seen) -> dict[str, int]:
    certificate = seen.was(Certificate, guarantee.debt)
    changed = _follow(model, certificate, payer, seen)
    assert sum(changed.values()) == amount
    for lot in (seen.was(Lot, id) for id, units in changed.items() if units):
        rank = RANKS[lot.rank]
        own = Unit(guarantee.guarantor, 1 if guarantee.behind is Absent else 2, guarantee.id)
        assert model.units[certificate.id][lot.first - 1] == own and rank <= own.rank, "it ranks before whom it paid"
    return changed


MOVES: dict[type[Instruction], Callable[[Counted, Any, Seen], None]] = {
    do.PayLotEarly: _pay_early, do.ReverseFee: _reverse_fee, do.CancelCertificate: _none_left,
    do.RecoverReceivable: _recover_claim, do.ReversePayment: _uncollect,
    do.ReceiveForDebts: _for_debts, do.ReverseDisbursement: _undisburse,
    do.SettleReceivable: _settle, do.ReceiveLateInterest: _late, do.ReceiveGuaranteeFee: _fee,
    do.DisburseLoan: _disburse, do.ReceivePrepayment: _repay, do.ReceiveRepayment: _repay,
    do.SettlePayment: _out_of_account, do.ReturnPayment: _into_account, do.RefundPayment: _into_account,
    do.IssueCertificate: _issue, do.AcceptCertificate: _accept, do.RefuseCertificate: _none_left,
    do.AcceptTransfer: _transfer, do.ReverseTransfer: _untransfer, do.SettleSale: _sell, do.BuyBackLot: _buy_back,
    do.WaiveLot: _waive, do.PayCertificate: _pay_certificate, do.CompensateLoss: _compensate,
    do.ContributeShare: _contribute, do.ReceiveRecovery: _recover, do.RefundGuaranteeFee: _refund_fee,
}  # fmt: skip
