"""Several debts of one debtor to one creditor, paid by one amount: which of them it goes to (Civil Code 560).

The debtor chooses. What it does not choose goes first to what is due, of that to what is secured least, then to what
costs the debtor most, then to what fell due first, and at last to all in proportion. Within a debt a loan takes costs
and interest before principal (Civil Code 561). The order is a function of evidence and reads no record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Final

import msgspec

from finchain.domain.arithmetic import Rate, share_pro_rata
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.cash_fact import require_cash_signer
from finchain.domain.check import check_amount
from finchain.domain.collection import settle_claim
from finchain.domain.guarantee import Guarantee
from finchain.domain.late import late_rate
from finchain.domain.loan import Loan, collateral_minor, guaranteed_minor, live_loan
from finchain.domain.part import Part
from finchain.domain.party import require
from finchain.domain.receivable import Receivable, claim_of
from finchain.domain.repayment import posted_up_to, repay
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, from_to, refuse, rule

DEBTS_MAX: Final = 32
"""Debts under one payment: a month of invoices, in one instruction that one signature and one entry cover."""

FREE: Final = Rate(0, 1)


class Debt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides about one of several debts.

    Attributes:
        id: The ids of one list differ.
        owed_minor: What is owed of it, costs and interest included, `>= 0`.
        due: The day on which it is due.
        secured_minor: What pledges and guarantees for it are worth, `>= 0`.
        rate: What it costs the debtor per year while it is not paid.
    """

    id: str
    owed_minor: int
    due: date
    secured_minor: int = 0
    rate: Rate = FREE


class ReceiveForDebts(Instruction, frozen=True, tag="debt.receive"):
    """States that a debtor paid one amount for several debts to one creditor.

    Signed by who states a payment of each of them: the lender, who is the creditor, for its loans; for claims and parts
    their settlement bank, or the creditor where they name none; and by the debtor where it chose.

    Attributes:
        amount_minor: What was paid; not more than all of them together.
        loans: Ids of loans of the debtor that are due.
        receivables: Ids of claims, of which the creditor's own part is meant.
        parts: Ids of parts of claims that the creditor holds.
        chosen: Those that the debtor chose to pay first, in its order; absent where it chose none.
    """

    debtor: str
    creditor: str
    amount_minor: int
    loans: list[str]
    receivables: list[str]
    parts: list[str]
    reference: str
    digest: str
    chosen: list[str] | Optional = Absent
    value_date: date | Optional = Absent


@rule(ReceiveForDebts)
def _receive(do: ReceiveForDebts, book: Book) -> None:
    check_amount("debt", do.amount_minor)
    _check_named(do)
    loans = [live_loan(id, book, field="loans") for id in do.loans]
    claims = _claims(do, book)
    _check_one_debtor(do, loans, claims)
    by = _require_signers(do, loans, claims, book)
    posted = [loan.posted for loan in loans] + [claim.posted for claim, _ in claims]
    postings = [day for day in posted if day is not Absent]
    currency = loans[0].currency if loans else claims[0][0].currency
    on = enter_fact(
        book, "debt", do, by=by, amount_minor=do.amount_minor, currency=currency, last=max(postings, default=None)
    )  # fmt: skip
    debts = [_of_loan(loan, on, book) for loan in loans] + [_of_claim(claim, part) for claim, part in claims]
    whole = sum(debt.owed_minor for debt in debts)
    if do.amount_minor > whole:
        refuse("debt.over_paid", f"{whole} were owed on {on}", rule="Civil Code 560", field="amount_minor",
               value=do.amount_minor,
               advice=f"state {whole}, and give the rest back" if whole else f"{NONE}: give all of it back",
        )  # fmt: skip
    shares = divide_payment(debts, do.amount_minor, on, () if do.chosen is Absent else do.chosen)
    for loan in loans:
        if shares[loan.id]:
            repay(book, loan.id, shares[loan.id], on)
            move_cash(book, loan.borrower, loan.lender, shares[loan.id], currency)
    for claim, part in claims:
        share = shares[claim.id if part is None else part.id]
        if share:
            _settle(book, claim, part, share, do.creditor, on)


def _settle(book: Book, claim: Receivable, part: Part | None, share: int, creditor: str, on: date) -> None:
    # Both are read anew: another part of the claim may have been paid, or a loan repaid, a moment ago.
    part = None if part is None else book.get(Part, part.id)
    settle_claim(book, claim_of(book, claim.id), part, share, payee=creditor, on=on)


def _check_named(do: ReceiveForDebts) -> None:
    named = [*do.loans, *do.receivables, *do.parts]
    if not 2 <= len(named) <= DEBTS_MAX or len(set(named)) != len(named):
        refuse("debt.debts", f"{len(named)} debts are named, or an id twice", rule="Civil Code 560", field="loans",
               value=len(named), advice=f"name 2 to {DEBTS_MAX}, each once; one is paid by itself")  # fmt: skip
    chosen = [] if do.chosen is Absent else do.chosen
    if len(set(chosen)) != len(chosen) or not set(chosen) <= set(named):
        refuse("debt.chosen", "a debt is chosen twice, or is none of those that are named", rule="Civil Code 560",
               field="chosen", value=", ".join(chosen), advice="choose among the debts that are named")  # fmt: skip


def _claims(do: ReceiveForDebts, book: Book) -> list[tuple[Receivable, Part | None]]:
    """The claims and parts that are named, as they are today."""
    own: list[tuple[Receivable, Part | None]] = [
        (claim_of(book, id, field="receivables"), None) for id in do.receivables
    ]
    parts = [book.get(Part, id, field="parts") for id in do.parts]
    return own + [(claim_of(book, part.receivable), part) for part in parts]


def _check_one_debtor(
    do: ReceiveForDebts, loans: Sequence[Loan], claims: Sequence[tuple[Receivable, Part | None]]
) -> None:  # fmt: skip
    sides = [(loan.id, loan.borrower, loan.lender, loan.currency) for loan in loans]
    for claim, part in claims:
        named = (claim.id, claim.creditor) if part is None else (part.id, part.holder)
        sides.append((named[0], claim.debtor, named[1], claim.currency))
    for id, debtor, creditor, currency in sides:
        if (debtor, creditor, currency) != (do.debtor, do.creditor, sides[0][3]):
            refuse("debt.other_debt", f"{id} is owed by {debtor} to {creditor}, in {currency}", rule="Civil Code 560",
                   field="debtor", value=do.debtor,
                   advice=f"name debts of {do.debtor} to {do.creditor}, all in {sides[0][3]}")  # fmt: skip


def _require_signers(
    do: ReceiveForDebts, loans: Sequence[Loan], claims: Sequence[tuple[Receivable, Part | None]], book: Book
) -> str:
    """Who states the payment, after all have signed who must: one bank at most, else the creditor."""
    banks = sorted({claim.bank for claim, _ in claims if claim.bank is not Absent})
    if len(banks) > 1:
        refuse("debt.banks", f"{', '.join(banks)} would each state a part", rule="cash facts", field="receivables",
               value=len(banks), advice="name claims of one settlement bank; one entry is of one bank")  # fmt: skip
    for claim, _ in claims:
        require_cash_signer(book, "debt", claim.bank, do.creditor)
    if loans:
        require(book, "debt", do.creditor, role="lender", field="creditor", service_ok=True)
    if do.chosen is not Absent:
        require(book, "debt", do.debtor, field="debtor")
    return banks[0] if banks else do.creditor


def _of_loan(loan: Loan, on: date, book: Book) -> Debt:
    if on < loan.due_on:
        refuse("loan.not_due", f"{loan.id} is due on {loan.due_on}", rule="Civil Code 560", field="loans",
               value=loan.id,
               advice=from_to(loan.due_on, book.today, "name loans that are due; a prepayment needs its notice"),
        )  # fmt: skip
    owed = posted_up_to(loan, on)
    covered = guaranteed_minor(book.get(Guarantee, id) for id in loan.guarantees)
    return Debt(
        id=loan.id, owed_minor=owed.outstanding_minor + owed.due_minor, due=loan.due_on,
        secured_minor=collateral_minor(loan, book) + covered, rate=loan.late_rate,
    )  # fmt: skip


def _of_claim(claim: Receivable, part: Part | None) -> Debt:
    return Debt(
        id=claim.id if part is None else part.id, owed_minor=claim.free if part is None else part.amount_minor,
        due=claim.payable, rate=FREE if claim.late is Absent else late_rate(claim.late),
    )  # fmt: skip


def ranked(debts: Iterable[Debt], on: date, chosen: Sequence[str] = ()) -> list[list[Debt]]:
    """The debts in the order in which a payment of a day goes to them; those that share it stand together.

    Of two debts that is secured less of which a smaller part is secured; what is secured in full is secured alike.
    What nothing is owed of is left out.
    """

    def rank(debt: Debt) -> tuple[int, bool, Fraction, Fraction, date]:
        secured = min(Fraction(debt.secured_minor, debt.owed_minor), Fraction(1))
        place = chosen.index(debt.id) if debt.id in chosen else len(chosen)
        return place, debt.due > on, secured, -Fraction(debt.rate.value, debt.rate.scale), debt.due

    return [list(group) for _, group in groupby(sorted((each for each in debts if each.owed_minor), key=rank), rank)]


def divide_payment(debts: Sequence[Debt], paid_minor: int, on: date, chosen: Sequence[str] = ()) -> dict[str, int]:
    """What each debt gets of a payment: rank by rank, within a rank in proportion to what is owed (rule P).

    Args:
        debts: The debts.
        paid_minor: What was paid, `0 <= paid_minor <=` what is owed of all of them.
        on: The day of the payment.
        chosen: Ids of those that the debtor chose, in its order.

    Raises:
        ValueError: More was paid than is owed, or less than nothing.
    """
    if not 0 <= paid_minor <= sum(debt.owed_minor for debt in debts):
        raise ValueError(f"{paid_minor} is not between nothing and what is owed")
    shares = dict.fromkeys((debt.id for debt in debts), 0)
    for rank in ranked(debts, on, chosen):
        owed = [debt.owed_minor for debt in rank]
        now = min(paid_minor, sum(owed))
        paid_minor -= now
        shares.update(zip((debt.id for debt in rank), share_pro_rata(now, owed), strict=True))
    return shares
