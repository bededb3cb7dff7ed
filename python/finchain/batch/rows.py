"""From a row to a claim: amount, date, parties and references, or the reason why not.

Nothing is rounded, guessed or repaired. What a ledger would refuse for the row's own sake is found here, before
anything is committed, under the code that the ledger would give.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import msgspec

from finchain.batch.mapping import Fixed, Mapping, amount_minor, date_pattern, parse_date
from finchain.batch.parties import PartyBook, Signer
from finchain.batch.reader import Fault, Row
from finchain.domain.check import check_identifier, check_reference
from finchain.domain.receivable import ConfirmReceivable, SubmitReceivable
from finchain.domain.rule import Absent, Optional
from finchain.errors import Refused

_PLACE: Final = re.compile(r"\{([^{}]+)\}")


class Claim(msgspec.Struct, frozen=True):
    """A row that can be sent.

    Attributes:
        creditor: Signs the claim.
        debtor: Signs the confirmation.
    """

    creditor: Signer
    debtor: Signer
    submit: SubmitReceivable

    def confirmation(self) -> ConfirmReceivable:
        """The debtor's word that the whole claim exists."""
        return ConfirmReceivable(self.submit.id, self.submit.amount_minor)


class BadHeader(Exception):
    """The first row of a file does not name the columns that the mapping reads."""


class _Unfit(Exception):
    """A row that makes no claim."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(code, reason)


class RowReader:
    """Makes claims of the rows of one file.

    Args:
        mapping: Which column is what.
        header: The file's first row.
        parties: Who the names are.

    Raises:
        BadHeader: The header cannot be read, or lacks a column, or has it twice.
    """

    def __init__(self, mapping: Mapping, header: Row, parties: PartyBook) -> None:
        if header.fault is not None:
            raise BadHeader(f"the header cannot be read: {header.fault.reason}")
        self._at: dict[str, int] = {}
        for name in mapping.column_names():
            count = header.fields.count(name)
            if count != 1:
                raise BadHeader(f"the header has {'no' if count == 0 else count} column {name!r}")
            self._at[name] = header.fields.index(name)
        self._columns = mapping.columns
        self._width = len(header.fields)
        self._parties = parties
        self._due = date_pattern(mapping.columns.due.format)
        self._issued = date_pattern(mapping.columns.issued.format) if mapping.columns.issued is not None else None

    def amount(self, row: Row) -> tuple[int, str] | Fault:
        """Amount in minor units, and currency, of a row; also of one that is rejected for another reason."""
        if row.fault is not None:
            return row.fault
        if len(row.fields) != self._width:
            return Fault("row.columns", f"the row has {len(row.fields)} fields, and the header {self._width}")
        column = self._columns.amount
        currency = column.currency or self._field(row, column.currency_column or "")
        try:
            return amount_minor(self._field(row, column.column), currency, column.decimal), currency
        except ValueError as error:
            return Fault("row.amount", str(error))

    def claim(self, row: Row, amount: tuple[int, str] | Fault) -> Claim | Fault:
        """The claim of a row with its `amount`, or why there is none."""
        if isinstance(amount, Fault):
            return amount
        try:
            return self._claim(row, *amount)
        except _Unfit as unfit:
            return unfit.fault
        except Refused as refusal:
            return Fault(refusal.code, refusal.message)

    def _claim(self, row: Row, minor: int, currency: str) -> Claim:
        columns = self._columns
        if minor == 0:
            raise _Unfit("row.zero", "the row is worth nothing: its amount is zero")
        if minor < 0:
            raise _Unfit("row.negative", "the amount is negative: a credit note is no claim")
        creditor, debtor = self._signer(row, columns.creditor), self._signer(row, columns.debtor)
        if creditor.id == debtor.id:
            raise _Unfit("row.one_party", f"{creditor.id} is creditor and debtor")
        invoice = self._field(row, columns.invoice)
        check_reference("receivable", invoice, "invoice")
        if columns.id is None:
            id = f"{creditor.id}/{invoice}"
        else:
            id = _PLACE.sub(lambda place: self._field(row, place[1]), columns.id)
        check_identifier("receivable", id)
        try:
            due = parse_date(self._field(row, columns.due.column), self._due, columns.due.plus_days)
            issued: date | Optional = Absent
            if columns.issued is not None and self._issued is not None:
                issued = parse_date(self._field(row, columns.issued.column), self._issued, columns.issued.plus_days)
        except ValueError as error:
            raise _Unfit("row.date", str(error)) from None
        submit = SubmitReceivable(id, creditor.id, debtor.id, minor, currency, due, invoice, issued=issued)
        return Claim(creditor, debtor, submit)

    def _field(self, row: Row, column: str) -> str:
        return row.fields[self._at[column]]

    def _signer(self, row: Row, column: str | Fixed) -> Signer:
        value = column.value if isinstance(column, Fixed) else self._field(row, column)
        found = self._parties.signer(value)
        if isinstance(found, Fault):
            raise _Unfit(*found)
        return found
