"""How claims are paid: to whom paying discharges the debtor, and what becomes of the money of a pledged part.

After notice only the holder of a part can be paid: a payment to anybody else is refused, and the attempt is kept. What
is paid on a part that secures a loan goes to the loan in the same instruction, so that nobody counts it twice.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain.cash import move_cash
from finchain.domain.cash_fact import require_cash_signer, state_cash_fact
from finchain.domain.check import check_amount
from finchain.domain.collateral import repay_from_collateral
from finchain.domain.late import charge_late, late_interest
from finchain.domain.loan import note_shortfall
from finchain.domain.part import Part, give_back, part_of, take_open
from finchain.domain.policy import value_date
from finchain.domain.receivable import Receivable, claim_of, money_text
from finchain.domain.reduction import Reduction
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule, up_to


class SettleReceivable(Instruction, frozen=True, tag="receivable.settle"):
    """States that the debtor paid. Signed by the claim's settlement bank, or the payee where the claim names none.

    Attributes:
        payee: Who got the money; that of a part that secures a loan repays it, and the surplus is the creditor's.
        reference: The bank's number of the entry; it counts once.
        digest: SHA-256 of the bank's message.
        part: The part that was paid; absent for the creditor's own free part.
    """

    id: str
    amount_minor: int
    payee: str
    reference: str
    digest: str
    part: str | Optional = Absent
    value_date: date | Optional = Absent


class RecoverReceivable(Instruction, frozen=True, tag="receivable.recover"):
    """States that the debtor paid what had been written off, which by law it owed all the time.

    Signed by the claim's settlement bank, or the payee where the claim names none.

    Attributes:
        id: Id of the reduction by which it was written off.
        payee: Who got the money.
    """

    id: str
    amount_minor: int
    payee: str
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(SettleReceivable)
def _settle(do: SettleReceivable, book: Book) -> None:
    claim = claim_of(book, do.id)
    by = require_cash_signer(book, "receivable", claim.bank, do.payee)
    check_amount("receivable", do.amount_minor)
    part = part_of(claim, do.part, book)
    on = _enter(do, claim, by, book, of=posted_to(claim, part, do.payee))
    settle_claim(book, claim, part, do.amount_minor, payee=do.payee, on=on)


@rule(RecoverReceivable)
def _recover(do: RecoverReceivable, book: Book) -> None:
    entry = book.get(Reduction, do.id, field="id")
    claim = claim_of(book, entry.receivable)
    by = require_cash_signer(book, "receivable", claim.bank, do.payee)
    check_amount("receivable", do.amount_minor)
    if entry.form != "write_off" or do.amount_minor > entry.open_minor:
        most = entry.open_minor if entry.form == "write_off" else 0
        refuse("receivable.over_recover", f"{money_text(claim, most)} are written off by {do.id} and not paid",
               rule="write-offs", field="amount_minor", value=do.amount_minor,
               advice=up_to("state", most, "name a write-off of which something is not paid"),
               recovered=entry.recovered_minor)  # fmt: skip
    on = _enter(do, claim, by, book, of=Absent)
    book.put(msgspec.structs.replace(entry, recovered_minor=entry.recovered_minor + do.amount_minor))
    claim = give_back(claim, part_of(claim, entry.part, book), do.amount_minor, "written_off", book)
    settle_claim(book, claim, part_of(claim, entry.part, book), do.amount_minor, payee=do.payee, on=on)


def _enter(
    do: SettleReceivable | RecoverReceivable, claim: Receivable, by: str, book: Book, *, of: str | Optional
) -> date:  # fmt: skip
    """Keeps the statement of a payment of a claim, and gives its value date."""
    last = None if claim.posted is Absent else claim.posted
    on = value_date(book, "receivable", do.value_date, last=last, bank_fact=claim.bank is not Absent)
    state_cash_fact(
        book, "receivable", by=by, reference=do.reference, digest=do.digest, amount_minor=do.amount_minor,
        currency=claim.currency, on=on, of=of,
    )  # fmt: skip
    return on


def posted_to(claim: Receivable, part: Part | None, payee: str) -> str | Optional:
    """What a payment is posted to, as cash facts name it: absent where its money repays a loan."""
    if part is None:
        return claim.id
    return part.id if part.loan is Absent or payee != part.holder else Absent


def settle_claim(
    book: Book, claim: Receivable, part: Part | None, amount_minor: int, *, payee: str, on: date
) -> None:  # fmt: skip
    """Settles what is open of a part, or of the creditor's own, and moves the cash that a fact was stated of.

    Raises:
        Refused: `receivable.wrong_payee`, `part.insufficient` or `receivable.insufficient_free`, and what `repay`
            raises where the part secures a loan.
    """
    _check_payee(claim, payee, _payees(claim, part, on))
    claim = take_open(claim, part, amount_minor, "settled", book)
    if claim.late is not Absent:
        charge_late(
            book, receivable=claim.id, debtor=claim.debtor, payee=payee, currency=claim.currency, bank=claim.bank,
            earned=late_interest(claim.late, amount_minor, claim.payable, on), on=on,
        )  # fmt: skip
    book.put(msgspec.structs.replace(claim, posted=on))
    loan = Absent if part is None else part.loan
    if loan is Absent or posted_to(claim, part, payee) is not Absent:
        move_cash(book, claim.debtor, payee, amount_minor, claim.currency)
        note_shortfall(book, loan)
        return
    repay_from_collateral(book, loan, payer=claim.debtor, owner=claim.creditor, paid_minor=amount_minor, on=on)


def _payees(claim: Receivable, part: Part | None, on: date) -> set[str]:
    """Whom to pay to be free: until notice the creditor as well, after it only the holder (Civil Code 546)."""
    if part is None:
        return {claim.creditor}
    told = part.notified is not Absent and part.notified <= on
    return {part.holder} if told else {part.holder, claim.creditor}


def _check_payee(claim: Receivable, payee: str, owed: set[str]) -> None:
    if payee not in owed:
        refuse(
            "receivable.wrong_payee", f"paying {payee} does not discharge this part of {claim.id}",
            rule="Civil Code 546", field="payee", value=payee, advice=f"pay {' or '.join(sorted(owed))}",
        )  # fmt: skip
