"""The extension of a loan: another day of maturity, agreed while the old one has not come.

Pledged lots stay pledged; what is paid on them before the new day waits in the controlled account. A guarantee of
their certificate is not touched: its period runs from the certificate's maturity, which nobody moves.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain.loan import live_loan
from finchain.domain.party import require
from finchain.domain.rule import Absent, Book, Instruction, refuse, rule


class ExtendLoan(Instruction, frozen=True, tag="loan.extend"):
    """Moves a loan's maturity to a later day; all other terms stay. Signed by the lender and the borrower.

    Attributes:
        maturity: The new day; interest at the agreed rate runs until then.
    """

    id: str
    maturity: date


@rule(ExtendLoan)
def _extend(do: ExtendLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    require(book, "loan", loan.lender, role="lender", field="lender")
    if loan.accelerated is not Absent or loan.written_off is not Absent or book.today >= loan.due_on:
        refuse(
            "loan.expired", f"{loan.id} was due on {loan.due_on}, and what is due is not extended", field="id",
            value=do.id, rule="domain.md 2.4", advice="agree another loan", due=loan.due_on,
        )  # fmt: skip
    if do.maturity <= loan.maturity:
        refuse(
            "loan.date", f"{loan.id} matures on {loan.maturity}", field="maturity", value=do.maturity,
            rule="domain.md 2.4", advice=f"state a day after {loan.maturity}",
        )  # fmt: skip
    book.put(msgspec.structs.replace(loan, maturity=do.maturity))
