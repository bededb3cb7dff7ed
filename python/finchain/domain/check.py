"""Checks that every instrument makes on what an instruction says: ids, amounts, texts, digests, currencies.

Each takes the kind of the instrument first, because a refusal is named after it: `receivable.amount`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from finchain.domain.arithmetic import RATE_MAX_PER_YEAR, RATE_SCALE_MAX, Rate
from finchain.domain.rule import refuse
from finchain.money import AMOUNT_MAX_MINOR, EXPONENTS

IDENTIFIER_CHARACTERS_MAX: Final = 64
REFERENCE_BYTES_MAX: Final = 128
"""Business references (invoice numbers, names, purposes) keep records small and statements printable."""

_PARTY_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_RECORD_ID: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_identifier(kind: str, id: str, field: str = "id") -> None:
    """Refuses an id that no new record may have.

    Raises:
        Refused: `<kind>.identifier`.
    """
    pattern = _PARTY_ID if kind == "party" else _RECORD_ID
    if not pattern.fullmatch(id):
        allowed = "A-Z a-z 0-9 . _ : -" if kind == "party" else "A-Z a-z 0-9 . _ : / -"
        refuse(
            f"{kind}.identifier", f"{id!r} is no id of a {kind}", rule="format 5.2", field=field, value=id,
            advice=f"use 1 to {IDENTIFIER_CHARACTERS_MAX} characters of {allowed}",
        )  # fmt: skip


def check_amount(kind: str, amount_minor: int, field: str = "amount_minor") -> None:
    """Refuses an amount that is not within 1 .. 2^53-1 minor units.

    Raises:
        Refused: `<kind>.amount`.
    """
    if not 1 <= amount_minor <= AMOUNT_MAX_MINOR:
        refuse(
            f"{kind}.amount", "the amount is zero, negative or too large", field=field, value=amount_minor,
            advice=f"state 1 to {AMOUNT_MAX_MINOR} minor units",
        )  # fmt: skip


def check_currency(kind: str, currency: str, field: str = "currency") -> None:
    """Refuses a currency that the rulebook does not know.

    Raises:
        Refused: `<kind>.currency`.
    """
    if currency not in EXPONENTS:
        refuse(
            f"{kind}.currency", f"{currency!r} is no currency that this rulebook knows", field=field, value=currency,
            advice="state an ISO 4217 code such as CNY",
        )  # fmt: skip


def check_reference(kind: str, text: str, field: str) -> None:
    """Refuses a business reference that is blank, too long, or has control characters.

    Raises:
        Refused: `<kind>.reference`.
    """
    if not text.strip(" ") or len(text.encode()) > REFERENCE_BYTES_MAX or _CONTROL.search(text):
        refuse(
            f"{kind}.reference", f"{field} is blank, too long or has control characters", field=field, value=text,
            advice=f"state 1 to {REFERENCE_BYTES_MAX} bytes of printable UTF-8",
        )  # fmt: skip


def check_digest(kind: str, digest: str, field: str = "digest") -> None:
    """Refuses what is not a SHA-256 in lower-case hex.

    Raises:
        Refused: `<kind>.digest`.
    """
    if not _DIGEST.fullmatch(digest):
        refuse(
            f"{kind}.digest", f"{field} is no SHA-256", field=field, value=digest,
            advice="state the 64 lower-case hex digits of the document's SHA-256",
        )  # fmt: skip


def check_not_future(kind: str, day: date, today: date, field: str) -> None:
    """Refuses a date on which something is said to have happened already, but which is still to come.

    Raises:
        Refused: `<kind>.date`.
    """
    if day > today:
        refuse(
            f"{kind}.date", f"{field} {day} lies after today, {today}", field=field, value=str(day),
            advice=f"state a date up to {today}", today=str(today),
        )  # fmt: skip


def check_rate(kind: str, rate: Rate, field: str) -> None:
    """Refuses a rate that is negative, finer than any contract states, or a slip of the pen.

    Raises:
        Refused: `<kind>.rate`.
    """
    if not (1 <= rate.scale <= RATE_SCALE_MAX and 0 <= rate.value <= RATE_MAX_PER_YEAR * rate.scale):
        refuse(
            f"{kind}.rate", f"{rate.value} / {rate.scale} is no rate per year", rule="rates", field=field,
            value=f"{rate.value}/{rate.scale}", advice=f"state a scale of 1 to {RATE_SCALE_MAX}, and a rate from 0 on",
        )  # fmt: skip
