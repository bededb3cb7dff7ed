"""Instructions in words for people: every member that is set, and amounts as people write them, with their currency.

An instruction states its currency, or the record that it names has one. Where neither is at hand the amount is shown in
minor units, and says so: a number alone would be taken for whole units by whoever signs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from finchain.domain.rule import Instruction, Record
from finchain.money import EXPONENTS, format_minor
from finchain.named import named

_MINOR: Final = "_minor"

Look = Callable[[type[Record], str], Record | None]
"""Gives a record by kind and id, or `None`."""


def currency_of(instruction: Instruction, look: Look) -> str | None:
    """The currency of an instruction's amounts: its own, or that of the records that it names where all have the same.

    Args:
        instruction: The instruction.
        look: Where records are asked for.
    """
    own = getattr(instruction, "currency", None)
    if isinstance(own, str):
        return own
    found = set()
    for kind, ids in named([instruction]).items():
        if "currency" in kind.__struct_fields__:
            records = (look(kind, id) for id in sorted(ids))
            found |= {getattr(record, "currency", None) for record in records if record is not None}
    return found.pop() if len(found) == 1 else None


def worded(instruction: Instruction, currency: str | None = None) -> str:
    """An instruction as one line: its tag, and every member that is set.

    Args:
        instruction: The instruction.
        currency: Of its amounts, where it does not state one itself.
    """
    members = msgspec.to_builtins(instruction)
    tag = members.pop("type")
    stated = members.get("currency", currency)
    return " ".join([tag, *_members(members, stated if stated in EXPONENTS else None)])


def _members(members: dict[str, Any], currency: str | None) -> list[str]:
    return [_member(name, value, currency) for name, value in members.items()]


def _member(name: str, value: Any, currency: str | None) -> str:
    if name.endswith(_MINOR) and isinstance(value, int):
        if currency is None:
            return f"{name}={value} (minor units)"
        return f"{name.removesuffix(_MINOR)}={format_minor(value, currency)} {currency}"
    return f"{name}={_value(value, currency)}"


def _value(value: Any, currency: str | None) -> str:
    if isinstance(value, dict):
        return f"({' '.join(_members(value, value.get('currency', currency)))})"
    if isinstance(value, list):
        return f"[{', '.join(_value(each, currency) for each in value)}]"
    if isinstance(value, str) and value and not set(value) & set(' "()[],='):
        return value
    return msgspec.json.encode(value).decode()
