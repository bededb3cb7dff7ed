"""Orders about controlled accounts, the payments out of them, and loans on pledged lots."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any, Literal, get_args

from finchain import instructions as do
from finchain.domain.account import Account, Category, Mandate
from finchain.domain.accrual import RoundAt
from finchain.domain.cash_fact import CashFact
from finchain.domain.certificate import Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Draw, Loan, Prepayment, Waterfall, lendable_minor
from finchain.domain.part import Part
from finchain.domain.payment import Payment, Stage
from finchain.domain.receivable import Receivable
from finchain.domain.rescheduling import RATE_CHANGES_MAX
from finchain.domain.rule import Absent
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import Refused
from orders import Choices, Town, order
from orders_debts import movable, some_units
from orders_guarantees import next_loan, offered_for, to_lend_on

MANDATES_MAX = 8
"""So few that an order meets what others have left."""


# --- accounts and payments
def without_account(town: Town) -> list[str]:
    """Suppliers that have no controlled account yet."""
    owners = {account.owner for account in town.all(Account)}
    return [party for party in town.having("supplier") if party not in owners]


@order(do.OpenAccount, without_account)
def open_account(town: Town, owner: str, choose: Choices) -> Any:
    controllers = sorted({"bank", choose.one(town.having("controller", but=[owner]))} - {owner})
    account = do.OpenAccount(town.new_id("account"), owner, "bank", controllers, "CNY", "parts", "6222 7000 4711")
    return account, [owner, "bank"]


@order(do.SetMandate, lambda town: town.all(Account) if len(town.all(Mandate)) < MANDATES_MAX else ())
def set_mandate(town: Town, account: Account, choose: Choices) -> Any:
    name = town.new_id("mandate")
    party = choose.perhaps(choose.one(town.having(but=[account.owner])))
    payee = do.Payee("Mainboard Wholesale", "91110000MA001P1", "6222 0000 0001", party)
    category: Category = choose.one(("goods", "labour", "other"))
    start = town.in_days(town.terms.cooling_days)
    mandate = do.SetMandate(
        account.id, name, category, payee, choose.one((200, 2_000)), 1_000, start, start + timedelta(days=300),
        ["invoice"],
    )  # fmt: skip
    return mandate, [account.owner, *account.controllers]


@order(do.AmendMandate, lambda town: town.all(Mandate))
def amend_mandate(town: Town, mandate: Mandate, choose: Choices) -> Any:
    """More or less for the same payee, as long as what is paid and asked for stays within it."""
    cap = max(mandate.used_minor + mandate.reserved_minor, choose.one((1, 500, 2_000)))
    account = town.get(Account, mandate.account)
    change = do.AmendMandate(account.id, mandate.name, cap, 1_000, town.in_days(100), ["invoice"])
    return change, [account.owner, *account.controllers]


def coverable(town: Town) -> list[tuple[Account, Mandate, int]]:
    """Mandates under which something can be paid just now, and how much."""
    found = []
    for mandate in town.all(Mandate):
        account = town.get(Account, mandate.account)
        most = min(mandate.left_minor, mandate.per_payment_minor, account.free_minor)
        if most > 0 and mandate.start <= town.today <= mandate.end:
            found.append((account, mandate, most))
    return found


@order(do.RequestPayment, coverable, often=3)
def request(town: Town, about: tuple[Account, Mandate, int], choose: Choices) -> Any:
    account, mandate, most = about
    amount = choose.some(most)
    papers = [do.Paper("invoice", town.paper(), choose.perhaps(most))]
    asked = do.RequestPayment(
        town.new_id("payment"), account.id, mandate.name, amount, mandate.category, mandate.payee, papers
    )  # fmt: skip
    return asked, [account.owner]


def in_stage(town: Town, *stages: Stage) -> list[Payment]:
    return [payment for payment in town.all(Payment) if payment.stage in stages]


def in_time(town: Town, stage: Stage) -> list[Payment]:
    return [payment for payment in in_stage(town, stage) if town.today <= payment.until]


def bank_of(town: Town, payment: Payment) -> str:
    return town.get(Account, payment.account).bank


@order(do.ApprovePayment, lambda town: in_time(town, "requested"), often=2)
def approve(town: Town, payment: Payment, choose: Choices) -> Any:
    note = "as agreed by telephone" if mandate_of(town, payment).category == "other" else Absent
    return do.ApprovePayment(payment.id, note), town.get(Account, payment.account).controllers


def mandate_of(town: Town, payment: Payment) -> Mandate:
    return town.get(Mandate, f"{payment.account} {payment.mandate}")


@order(do.InstructPayment, lambda town: in_time(town, "approved"), often=2)
def instruct(town: Town, payment: Payment, choose: Choices) -> Any:
    return do.InstructPayment(payment.id), [bank_of(town, payment)]


@order(do.SettlePayment, lambda town: in_stage(town, "instructed"))
def settle_payment(town: Town, payment: Payment, choose: Choices) -> Any:
    return do.SettlePayment(payment.id, payment.amount_minor, *town.entry()), [bank_of(town, payment)]


@order(do.RejectPayment, lambda town: in_stage(town, "requested", "approved", "instructed"))
def reject_payment(town: Town, payment: Payment, choose: Choices) -> Any:
    return do.RejectPayment(payment.id, "no such account"), [bank_of(town, payment)]


def over(town: Town) -> list[Payment]:
    return [payment for payment in in_stage(town, "requested", "approved") if town.today > payment.until]


@order(do.ExpirePayment, over)
def expire(town: Town, payment: Payment, choose: Choices) -> Any:
    account = town.get(Account, payment.account)
    return do.ExpirePayment(payment.id), [choose.one((account.owner, account.bank, "operator"))]


def kept(town: Town) -> list[Payment]:
    """Payments of which the payee has something."""
    return [payment for payment in in_stage(town, "settled") if payment.kept_minor]


@order(do.ReturnPayment, kept)
def return_payment(town: Town, payment: Payment, choose: Choices) -> Any:
    back = do.ReturnPayment(payment.id, choose.some(payment.kept_minor), *town.entry())
    return back, [bank_of(town, payment)]


@order(do.RefundPayment, kept)
def refund(town: Town, payment: Payment, choose: Choices) -> Any:
    payee = mandate_of(town, payment).payee.party
    back = do.RefundPayment(payment.id, choose.some(payment.kept_minor), "goods returned", *town.entry())
    return back, [bank_of(town, payment), *([] if payee is Absent else [payee])]


# --- loans
def live_loans(town: Town) -> list[Loan]:
    return [loan for loan in town.all(Loan) if loan.ended is Absent]


def lenders(town: Town) -> list[tuple[Account, str]]:
    """Accounts of those who have something to pledge or a guarantor, each with a controller that may lend."""
    able, holders = {*town.having("lender")}, {lot.holder for lot in movable(town)}
    holders |= {each.debtor for each in town.all(Guarantee) if each.secures == "loan" and each.status == "offered"}
    accounts = [account for account in to_lend_on(town) if account.owner in holders]
    return [(account, by) for account in accounts for by in account.controllers if by in able]


@order(do.AgreeLoan, lenders, often=2)
def agree(town: Town, about: tuple[Account, str], choose: Choices) -> Any:
    """A loan with every guarantee that was offered for it."""
    account, lender = about
    id, until = next_loan(town, account.owner), town.in_days(20)
    maturity = until + timedelta(days=choose.one((1, 10)))
    prepayment, waterfall = choose.one(get_args(Prepayment)), choose.one(get_args(Waterfall))
    loan = do.AgreeLoan(
        id, lender, account.owner, choose.one((100, 1_500)), 9_000, do.Rate(1_800, 10_000), do.Rate(3_600, 10_000),
        "act/360", choose.one(get_args(RoundAt)), prepayment, choose.number(0, 2), until, maturity, account.id,
        waterfall, choose.perhaps(do.Rate(6_000, 10_000)),
        offered_for(town, "loan", id, lender, maturity) or Absent, choose.perhaps(choose.either()),
        prepayment_fee_bp=Absent if prepayment == "none" else choose.perhaps(choose.number(1, 500)),
    )  # fmt: skip
    return loan, [lender, account.owner]


def pledgeable(town: Town) -> list[tuple[Loan, Lot]]:
    free = movable(town)
    return [(loan, lot) for loan in live_loans(town) for lot in free if lot.holder == loan.borrower]


@order(do.PledgeLot, pledgeable, often=3)
def pledge_lot(town: Town, about: tuple[Loan, Lot], choose: Choices) -> Any:
    loan, lot = about
    units = some_units(town, lot, choose)
    taken = do.PledgeLot(lot.id, units, loan.id, town.new_id("register"), town.today, town.paper())
    return taken, [loan.lender, lot.holder]


def to_spare(town: Town) -> list[Lot]:
    """Pledged lots that their loan does not need."""
    spare = []
    for loan in live_loans(town):
        lots = [town.get(Lot, id) for id in loan.collateral]
        spare += [lot for lot in lots if to_spare_minor(town, loan, lot.live_minor) >= 0]
    return spare


def to_spare_minor(town: Town, loan: Loan, less_minor: int) -> int:
    """What a loan is secured by beyond what it needs, if so much of it were given back."""
    return lendable_minor(loan, town.book, less_minor=less_minor) - loan.outstanding_minor - loan.reserved_minor


@order(do.ReleaseLot, to_spare)
def release_lot(town: Town, lot: Lot, choose: Choices) -> Any:
    assert lot.pledge is not Absent
    return do.ReleaseLot(lot.id), [lot.pledge.to]


def securing(town: Town) -> list[tuple[Loan, Part]]:
    """Loans with a part that their borrower pledged to their lender and that secures none yet."""
    found = []
    for part in town.all(Part):
        sides = (town.get(Receivable, part.receivable).creditor, part.holder)
        if part.mark == "pledged" and part.loan is Absent and not part.done:
            found += [(loan, part) for loan in live_loans(town) if (loan.borrower, loan.lender) == sides]
    return found


@order(do.SecureLoan, securing, often=3)
def secure(town: Town, about: tuple[Loan, Part], choose: Choices) -> Any:
    loan, part = about
    return do.SecureLoan(loan.id, part.id), [loan.borrower, loan.lender]


def drawable(town: Town) -> list[tuple[Loan, int]]:
    """Loans that can be drawn, and how much."""
    book, found = town.book, []
    for loan in live_loans(town):
        reserved = loan.reserved_minor
        most = min(
            loan.left_to_draw(town.today) - reserved,
            lendable_minor(loan, book) - loan.outstanding_minor - reserved,
        )  # fmt: skip
        found += [(loan, most)] if most > 0 else []
    return found


@order(do.DrawLoan, drawable, often=3)
def draw(town: Town, about: tuple[Loan, int], choose: Choices) -> Any:
    loan, most = about
    return do.DrawLoan(loan.id, town.new_id("draw"), choose.some(most)), [loan.borrower, loan.lender]


def signed_for(town: Town) -> list[tuple[Loan, Draw]]:
    """Draws that wait to be paid out, of loans that are not due."""
    before = [loan for loan in live_loans(town) if town.today < loan.due_on]
    return [(loan, each) for loan in before for each in loan.draws if not each.lent_minor]


@order(do.DisburseLoan, signed_for, often=3)
def disburse(town: Town, about: tuple[Loan, Draw], choose: Choices) -> Any:
    loan, signed = about
    bank = town.get(Account, loan.account).bank
    paid = do.DisburseLoan(loan.id, signed.name, choose.some(signed.asked_minor), *town.entry())
    return paid, [loan.lender, bank]


def waiting(town: Town) -> list[tuple[Loan, Draw]]:
    """Draws that are signed for and not paid out."""
    return [(loan, each) for loan in live_loans(town) for each in loan.draws if not each.lent_minor]


@order(do.CancelDraw, waiting)
def cancel_draw(town: Town, about: tuple[Loan, Draw], choose: Choices) -> Any:
    loan, signed = about
    return do.CancelDraw(loan.id, signed.name), [loan.borrower, loan.lender]


def reversible(town: Town) -> list[tuple[Loan, Draw, CashFact]]:
    """Draws that were paid out this month and of which nothing has come, with the entry that said so."""
    found = []
    posted = {fact.of: fact for fact in town.postings()}
    for loan in (each for each in live_loans(town) if town.today < each.due_on):
        free = town.get(Account, loan.account).free_minor
        for each in loan.draws:
            fact = posted.get(f"{loan.id} {each.name}")
            untouched = 0 < each.lent_minor == each.outstanding_minor <= free and len(each.balances) == 1
            found += [(loan, each, fact)] if fact is not None and untouched else []
    return found


@order(do.ReverseDisbursement, reversible)
def reverse_disbursement(town: Town, about: tuple[Loan, Draw, CashFact], choose: Choices) -> Any:
    loan, lent, fact = about
    back = do.ReverseDisbursement(loan.id, lent.name, fact.reference, "another account")
    return back, [loan.lender, town.get(Account, loan.account).bank]


def outstanding(town: Town, *, due: bool) -> list[Loan]:
    """Loans of which principal is outstanding, before their day or from it on."""
    return [each for each in live_loans(town) if each.outstanding_minor and (town.today >= each.due_on) is due]


def prepayable(town: Town) -> list[Loan]:
    """Loans that can be prepaid; a new notice would take the place of one that can still be kept, and its days."""
    before = [each for each in outstanding(town, due=False) if each.prepayment != "none"]
    return [each for each in before if each.notice is Absent or not notice_amount(each)]


@order(do.PrepayLoan, prepayable, often=2)
def prepay(town: Town, loan: Loan, choose: Choices) -> Any:
    chosen = choose.one([each for each in loan.draws if each.outstanding_minor])
    if choose.either():
        return do.PrepayLoan(loan.id, choose.some(chosen.outstanding_minor), chosen.name), [loan.borrower]
    return do.PrepayLoan(loan.id, choose.some(loan.outstanding_minor)), [loan.borrower]


def announced(town: Town) -> list[Loan]:
    """Loans whose prepayment was announced long enough before."""
    waiting = [loan for loan in outstanding(town, due=False) if loan.notice is not Absent]
    return [loan for loan in waiting if notice_over(loan) <= town.today and notice_amount(loan)]


def notice_over(loan: Loan) -> date:
    assert loan.notice is not Absent
    return loan.notice.given + timedelta(days=loan.prepayment_days)


def notice_amount(loan: Loan) -> int:
    """What was announced, where so much is still outstanding."""
    notice = loan.notice
    assert notice is not Absent
    outstanding = sum(each.outstanding_minor for each in loan.draws if notice.draw in (Absent, each.name))
    return notice.amount_minor if notice.amount_minor <= outstanding else 0


@order(do.ReceivePrepayment, announced, often=2)
def receive_prepayment(town: Town, loan: Loan, choose: Choices) -> Any:
    """The notice's principal, with the interest and the fee that the ledger names when they are left out."""
    paid = do.ReceivePrepayment(loan.id, notice_amount(loan), *town.entry())
    try:
        RULEBOOK_1.rules[do.ReceivePrepayment](paid, town.ledger.book(by=[loan.lender]))
    except Refused as refusal:
        if (named := re.fullmatch(r"state (\d+)", refusal.advice)) and refusal.code == "loan.amount":
            paid = do.ReceivePrepayment(loan.id, int(named[1]), paid.reference, paid.digest)
    return paid, [receiver(town, loan, choose)]


def receiver(town: Town, loan: Loan, choose: Choices) -> str:
    """Who states that money for a loan came: the lender, or the bank of its account."""
    return choose.one((loan.lender, town.get(Account, loan.account).bank))


def owed(town: Town) -> list[tuple[Loan, int]]:
    """Loans that are due, and the least that is owed on them."""
    due = [loan for loan in live_loans(town) if town.today >= loan.due_on]
    amounts = [(loan, loan.outstanding_minor + loan.due_minor) for loan in due]
    return [(loan, amount) for loan, amount in amounts if amount]


@order(do.ReceiveRepayment, owed)
def receive_repayment(town: Town, about: tuple[Loan, int], choose: Choices) -> Any:
    loan, least = about
    return do.ReceiveRepayment(loan.id, choose.some(least), *town.entry()), [receiver(town, loan, choose)]


def done(town: Town) -> list[Loan]:
    """Loans of which nothing is owed any more, or that nobody has drawn in time."""
    used = [loan for loan in live_loans(town) if loan.drawn_minor or town.today > loan.available_until]
    settled = [loan for loan in used if not loan.outstanding_minor + loan.due_minor + loan.reserved_minor]
    return [loan for loan in settled if not loan.accrued_minor(loan.due_on)]


@order(do.CloseLoan, done)
def close(town: Town, loan: Loan, choose: Choices) -> Any:
    return do.CloseLoan(loan.id), [loan.borrower]


def changeable(town: Town) -> list[Loan]:
    """Loans whose terms can still be changed."""
    return [loan for loan in live_loans(town) if town.today < loan.due_on]


def willing(town: Town, loan: Loan, choose: Choices) -> list[Guarantee]:
    """Those guarantors in effect that sign a change of the terms."""
    held = [town.get(Guarantee, id) for id in loan.guarantees]
    return [each for each in held if each.is_in_effect and choose.either()]


@order(do.ExtendLoan, changeable)
def extend(town: Town, loan: Loan, choose: Choices) -> Any:
    later = loan.maturity + timedelta(days=choose.number(1, 10))
    with_it = willing(town, loan, choose)
    periods = [do.GuaranteePeriod(each.id, max(each.period_end, later) + timedelta(days=30)) for each in with_it]
    by = [loan.lender, loan.borrower, *(each.guarantor for each in with_it)]
    return do.ExtendLoan(loan.id, later, periods or Absent), by


def repriceable(town: Town) -> list[Loan]:
    return [loan for loan in changeable(town) if len(loan.rate_changes) < RATE_CHANGES_MAX]


@order(do.ChangeLoanRate, repriceable)
def change_rate(town: Town, loan: Loan, choose: Choices) -> Any:
    with_it = willing(town, loan, choose)
    # The number of changes makes each rate another one than before.
    rate = do.Rate(choose.one((900, 2_700)) + 1 + len(loan.rate_changes), 10_000)
    change = do.ChangeLoanRate(loan.id, rate, do.Rate(3_600, 10_000), [each.id for each in with_it] or Absent)
    return change, [loan.lender, loan.borrower, *(each.guarantor for each in with_it)]


@order(do.AccelerateLoan, lambda town: outstanding(town, due=False))
def accelerate(town: Town, loan: Loan, choose: Choices) -> Any:
    return do.AccelerateLoan(loan.id, choose.one(("default", "misuse")), town.paper()), [loan.lender]


@order(do.ChargeLoan, lambda town: [loan for loan in live_loans(town) if town.today >= loan.due_on])
def charge(town: Town, loan: Loan, choose: Choices) -> Any:
    name: Literal["costs", "fees"] = choose.one(("costs", "fees"))
    award = choose.perhaps(town.paper())
    alone = award is not Absent and name == "costs"
    by = [loan.lender] if alone else [loan.lender, loan.borrower]
    return do.ChargeLoan(loan.id, name, choose.number(1, 50), town.paper(), award), by


def charged(town: Town) -> list[tuple[Loan, Any, int]]:
    """Charges that were posted and not paid."""
    return [
        (loan, name, held.due_minor) for loan in live_loans(town) for name, held in sorted(loan.charges.items())
        if held.due_minor
    ]  # fmt: skip


@order(do.WaiveCharge, charged)
def waive_charge(town: Town, about: tuple[Loan, Any, int], choose: Choices) -> Any:
    loan, name, most = about
    return do.WaiveCharge(loan.id, name, choose.some(most)), [loan.lender]


@order(do.WriteOffLoan, lambda town: [loan for loan in outstanding(town, due=True) if loan.written_off is Absent])
def write_off_loan(town: Town, loan: Loan, choose: Choices) -> Any:
    return do.WriteOffLoan(loan.id, town.paper()), [loan.lender]
