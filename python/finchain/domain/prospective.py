"""Prospective claims: what a creditor expects to invoice, kept apart from everything that anybody owes.

They may be shown, and that is all. No debtor confirms one, no lender counts one, no certificate is made of one: they
are a class of record that no such rule reads. What is invoiced becomes a claim of its own and leaves the expectation.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

import msgspec

from finchain.domain.check import check_amount, check_currency, check_identifier
from finchain.domain.party import require, require_role
from finchain.domain.reference import payload_digest, refuse_duplicate, take_reference
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to
from finchain.domain.trade import check_contract


@record
class Prospective(Record, frozen=True, kw_only=True):
    """An expectation, in minor units of `currency`.

    Attributes:
        number: The creditor's number of the order or plan that it rests on.
        expected_on: When it is expected to be invoiced.
    """

    kind: ClassVar[str] = "prospective"

    creditor: str
    debtor: str
    currency: str
    number: str
    expected_on: date
    payload: str
    # amount = expected + invoiced + withdrawn
    amount_minor: int
    expected_minor: int
    invoiced_minor: int = 0
    withdrawn_minor: int = 0
    contract: str | Optional = Absent


class SubmitProspective(Instruction, frozen=True, tag="prospective.submit"):
    """Enters an expectation. Signed by the creditor.

    Attributes:
        number: The creditor's number of the order or plan; it is used once.
        expected_on: When it is expected to be invoiced.
    """

    id: str
    creditor: str
    debtor: str
    amount_minor: int
    currency: str
    number: str
    expected_on: date
    contract: str | Optional = Absent


class WithdrawProspective(Instruction, frozen=True, tag="prospective.withdraw"):
    """Gives up an expectation, or some of it. Signed by the creditor."""

    id: str
    amount_minor: int


@rule(SubmitProspective)
def _submit(do: SubmitProspective, book: Book) -> None:
    check_identifier("prospective", do.id)
    payload = payload_digest(do)
    held = book.find(Prospective, do.id)
    if held is not None:
        refuse_duplicate("prospective", f"{do.id} is expected already", "id", do.id, payload, held.payload)
    require(book, "prospective", do.creditor, role="supplier", field="creditor", service_ok=True)
    require_role(book, "prospective", do.debtor, role="debtor", field="debtor")
    if do.creditor == do.debtor:
        refuse("prospective.wrong_role", "one party cannot be both sides of a claim", rule="both sides",
               field="debtor", value=do.debtor, advice="name another debtor")  # fmt: skip
    check_amount("prospective", do.amount_minor)
    check_currency("prospective", do.currency)
    if do.expected_on < book.today:
        refuse("prospective.date", f"{do.expected_on} is over", field="expected_on", value=str(do.expected_on),
               advice=f"submit what was invoiced as a claim, or state a day from {book.today} on")  # fmt: skip
    check_contract(book, "prospective", do.contract, do.creditor, do.debtor, do.currency)
    take_reference(
        book, "prospective", by=do.creditor, scheme="prospective", reference=do.number, field="number",
        payload=payload, of=do.id,
    )  # fmt: skip
    book.put(
        Prospective(
            id=do.id, creditor=do.creditor, debtor=do.debtor, currency=do.currency, number=do.number,
            expected_on=do.expected_on, payload=payload, amount_minor=do.amount_minor, expected_minor=do.amount_minor,
            contract=do.contract,
        )
    )  # fmt: skip


@rule(WithdrawProspective)
def _withdraw(do: WithdrawProspective, book: Book) -> None:
    prospective = book.get(Prospective, do.id, field="id")
    require(book, "prospective", prospective.creditor, field="creditor")
    check_amount("prospective", do.amount_minor)
    if do.amount_minor > prospective.expected_minor:
        refuse("prospective.insufficient", f"{prospective.expected_minor} of {do.id} are still expected",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("state", prospective.expected_minor, "all of it was invoiced or withdrawn"))  # fmt: skip
    book.put(
        msgspec.structs.replace(
            prospective, expected_minor=prospective.expected_minor - do.amount_minor,
            withdrawn_minor=prospective.withdrawn_minor + do.amount_minor,
        )
    )  # fmt: skip


def invoice(book: Book, id: str, *, creditor: str, debtor: str, currency: str, amount_minor: int) -> None:
    """Takes what was invoiced out of an expectation; an invoice may be larger than what was left of it.

    Raises:
        Refused: `prospective.not_found`, or `prospective.other_claim` where the sides or the currency differ.
    """
    held = book.get(Prospective, id, field="prospective")
    if (held.creditor, held.debtor, held.currency) != (creditor, debtor, currency):
        refuse("prospective.other_claim", f"{id} is of {held.creditor} on {held.debtor} in {held.currency}",
               field="prospective", value=id, advice="name an expectation of these two parties")  # fmt: skip
    taken = min(amount_minor, held.expected_minor)
    book.put(
        msgspec.structs.replace(
            held, expected_minor=held.expected_minor - taken, invoiced_minor=held.invoiced_minor + taken
        )
    )  # fmt: skip
