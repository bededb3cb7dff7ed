"""Changes of what a claim rests on: its due date and its contract, by both sides, and what they may no longer do.

Once the debtor knows of an assignee or pledgee, the two sides cannot change the ground of its part to its harm
(Civil Code 765): the holder signs too. The amount is changed by credit notes and disputes, never here.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain.part import live_parts
from finchain.domain.party import require
from finchain.domain.receivable import claim_of, with_due
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule
from finchain.domain.trade import check_contract


class AmendReceivable(Instruction, frozen=True, tag="receivable.amend"):
    """Changes due date or contract. Signed by creditor and debtor, and by every holder that the debtor knows of."""

    id: str
    due: date | Optional = Absent
    contract: str | Optional = Absent


@rule(AmendReceivable)
def _amend(do: AmendReceivable, book: Book) -> None:
    claim = claim_of(book, do.id)
    for party in (claim.creditor, claim.debtor):
        require(book, "receivable", party, field="by")
    for part in live_parts(claim, book):
        if part.notified is not Absent and part.holder not in book.by:
            refuse(
                "receivable.not_signed", f"{part.holder} holds {part.id} and has not signed", rule="Civil Code 765",
                field="by", value=part.holder, advice=f"let {part.holder} sign too", notified=str(part.notified),
            )  # fmt: skip
        if part.notified is not Absent:
            require(book, "receivable", part.holder, field="by")
    if do.due is Absent and do.contract is Absent:
        refuse("receivable.bad_state", "nothing would change", field="due", advice="state a due date or a contract")
    if claim.pending + claim.disputed_pre + claim.open + claim.disputed_post == 0:
        refuse("receivable.bad_state", f"nothing of {do.id} is open", rule="amendments", field="id", value=do.id,
               advice=f"{NONE}: a certificate keeps its own maturity, and a new invoice is a new claim")  # fmt: skip
    check_contract(book, "receivable", do.contract, claim.creditor, claim.debtor, claim.currency)
    due = claim.due if do.due is Absent else do.due
    if claim.issued is not Absent and due < claim.issued:
        refuse("receivable.date", f"it would be due on {due}, before its invoice of {claim.issued}", field="due",
               value=str(due), advice=f"state a date from {claim.issued} on")  # fmt: skip
    contract = claim.contract if do.contract is Absent else do.contract
    claim = msgspec.structs.replace(claim, contract=contract)
    book.put(claim if do.due is Absent else with_due(claim, due, book))
