"""A changed rule under another rulebook number: loans agreed from now on are drawn in amounts worth the paperwork.

Loans that were agreed before keep their terms, because a loan keeps the number of the rulebook that it was signed
under. Put in force like `credit_insurance`, with

    fc.RULEBOOK_1.extended(2, replacing={do.DrawLoan: smallest_draw.RULE})
"""

from __future__ import annotations

from finchain import instructions as do
from finchain.domain.loan import Loan
from finchain.domain.rule import Book, refuse
from finchain.domain.rulebook import RULEBOOK_1, since

SMALLEST_DRAW_MINOR = 100_000
"""In minor units of the loan's currency: 1,000.00 where it has cents."""

_as_before = RULEBOOK_1.rules[do.DrawLoan]


def _draw(order: do.DrawLoan, book: Book) -> None:
    if order.amount_minor < SMALLEST_DRAW_MINOR:
        refuse(
            "loan.smallest_draw", "a draw of this loan is not worth its paperwork", field="amount_minor",
            value=order.amount_minor, advice=f"draw at least {SMALLEST_DRAW_MINOR}",
        )  # fmt: skip
    _as_before(order, book)


def _signed_under(order: do.DrawLoan, book: Book) -> int:
    return book.get(Loan, order.id).rulebook


RULE = since(2, _signed_under, new=_draw, old=_as_before)
