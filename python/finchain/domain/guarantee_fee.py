"""The fee of a guarantee: ordered by its payer, received by the guarantor, and given back for days not covered.

The fee is owed from the day on which the creditor accepts the guarantee. Where it is a condition the guarantee takes
effect only when the fee has come. Where that was agreed, what is not earned by an early release is given back.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.guarantee import Guarantee
from finchain.domain.party import require
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule
from finchain.money import format_minor


class PayGuaranteeFee(Instruction, frozen=True, tag="guarantee.pay_fee"):
    """Orders the fee paid, to the minor unit. Signed by the payer; money moves when the guarantor has received it."""

    id: str
    amount_minor: int


class ReceiveGuaranteeFee(Instruction, frozen=True, tag="guarantee.receive_fee"):
    """States that the fee arrived. Signed by the guarantor, who would be the one to lose.

    Where the fee is a condition the guarantee takes effect with it.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class RefundGuaranteeFee(Instruction, frozen=True, tag="guarantee.refund_fee"):
    """States that the guarantor gave back what it had not earned. Signed by who paid the fee, and would lose."""

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(PayGuaranteeFee)
def _pay_fee(do: PayGuaranteeFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    require(book, "guarantee", guarantee.fee_payer, field="fee_payer")
    if guarantee.fee_ordered is not Absent:
        refuse("guarantee.bad_state", f"the fee was ordered on {guarantee.fee_ordered}", field="id", value=do.id,
               advice=f"{NONE}: it is ordered once; let the guarantor state its receipt",
        )  # fmt: skip
    _check_fee(guarantee, do.amount_minor)
    book.put(msgspec.structs.replace(guarantee, fee_ordered=book.today))


@rule(ReceiveGuaranteeFee)
def _receive_fee(do: ReceiveGuaranteeFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    require(book, "guarantee", guarantee.guarantor, field="guarantor", service_ok=True)
    ordered = guarantee.fee_ordered
    if ordered is Absent or guarantee.fee_paid_minor:
        refuse("guarantee.bad_state", "the fee was not ordered, or was received before", field="id", value=do.id,
               advice=f"{NONE}: it is received once" if guarantee.fee_paid_minor
               else f"let {guarantee.fee_payer} order it first", fee_paid=guarantee.fee_paid_minor)  # fmt: skip
    _check_fee(guarantee, do.amount_minor)
    enter_fact(
        book, "guarantee", do, by=guarantee.guarantor, amount_minor=do.amount_minor, currency=guarantee.currency,
        last=ordered, of=guarantee.id,
    )  # fmt: skip
    move_cash(book, guarantee.fee_payer, guarantee.guarantor, do.amount_minor, guarantee.currency)
    waits = guarantee.effective is Absent and guarantee.released is Absent
    effective = book.today if waits else guarantee.effective
    book.put(msgspec.structs.replace(guarantee, fee_paid_minor=do.amount_minor, effective=effective))


@rule(RefundGuaranteeFee)
def _refund_fee(do: RefundGuaranteeFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    by = require(book, "guarantee", guarantee.fee_payer, field="fee_payer", service_ok=True).id
    owed = guarantee.fee_unearned_minor
    if not owed or do.amount_minor != owed:
        refuse("guarantee.refund", f"{owed} of the fee of {do.id} are to be given back", rule="guarantee fees",
               field="amount_minor", value=do.amount_minor,
               advice=f"state {owed}" if owed
               else f"{NONE}: a fee is given back once, after an early release, where that was agreed",
               paid=guarantee.fee_paid_minor, refunded=guarantee.fee_refunded_minor)  # fmt: skip
    released = guarantee.released
    enter_fact(
        book, "guarantee", do, by=by, amount_minor=do.amount_minor, currency=guarantee.currency,
        last=None if released is Absent else released,
    )  # fmt: skip
    move_cash(book, guarantee.guarantor, guarantee.fee_payer, do.amount_minor, guarantee.currency)
    book.put(msgspec.structs.replace(guarantee, fee_refunded_minor=guarantee.fee_refunded_minor + do.amount_minor))


def _check_fee(guarantee: Guarantee, amount_minor: int) -> None:
    if guarantee.accepted is Absent or guarantee.fee_minor == 0:
        refuse("guarantee.bad_state", f"no fee of {guarantee.id} is owed", field="id", value=guarantee.id,
               advice="let the creditor accept the guarantee first; a fee is owed from then on"
               if guarantee.accepted is Absent else f"{NONE}: no fee was agreed, or it is less than a minor unit",
        )  # fmt: skip
    if amount_minor != guarantee.fee_minor:
        refuse(
            "guarantee.fee", f"the fee is {format_minor(guarantee.fee_minor, guarantee.currency)}",
            rule="guarantee fees", field="amount_minor", value=amount_minor, advice=f"state {guarantee.fee_minor}",
            covered=guarantee.covered_minor, rate=str(guarantee.fee_rate), day_count=guarantee.fee_day_count,
        )  # fmt: skip
