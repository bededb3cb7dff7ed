"""Which records instructions name by their members, so that those can be read before the rules ask for them.

It is advice and decides nothing: a record that is named and not read costs the time of reading it, and one that is read
and not named is read when its rule asks. What a rule finds through another record is not named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from msgspec import UNSET, inspect

from finchain.domain.rule import RECORDS, Instruction, Record

MEMBERS: Final = {
    "account": ("account",),
    "calendar": ("calendar",),
    "contract": ("contract",),
    "guarantee": ("behind", "guarantees"),
    "loan": ("loan", "loans"),
    "part": ("part", "parts"),
    "party": (
        "arbiter", "assignee", "bank", "borrower", "buyer", "by", "controllers", "creditor", "debtor", "fee_payer",
        "guarantor", "issuer", "lender", "owner", "payee", "pledgee", "seller", "to",
    ),
    "prospective": ("prospective",),
    "receivable": ("receivable", "receivables"),
}  # fmt: skip
"""What a member names, by kind; an `id` is of the kind that the instruction's tag begins with, or of the one below."""

IDS: Final = {
    "dispute": ("receivable.dispute", "receivable.resolve"),
    "lot": (
        "certificate.accept_sale", "certificate.accept_transfer", "certificate.buy_back", "certificate.offer_sale",
        "certificate.offer_transfer", "certificate.pay_early", "certificate.pledge", "certificate.release",
        "certificate.reverse_transfer", "certificate.settle_sale", "certificate.waive", "certificate.withdraw_offer",
        "certificate.write_off",
    ),
    "part": (
        "receivable.accept", "receivable.assign", "receivable.notify", "receivable.offer", "receivable.pledge",
        "receivable.register", "receivable.release", "receivable.reverse_part",
    ),
    "reduction": (
        "receivable.credit", "receivable.recover", "receivable.reverse", "receivable.set_off", "receivable.write_off",
    ),
}  # fmt: skip
"""The instructions whose `id` is of another kind than their tag begins with."""

_KIND_OF_MEMBER: Final = {member: kind for kind, members in MEMBERS.items() for member in members}
_KIND_OF_ID: Final = {tag: kind for kind, tags in IDS.items() for tag in tags}

Take = Callable[[Iterable[Any]], Iterable[Any]]
"""Takes one member of many values; optional members that are absent are among what it gives."""


def named(instructions: Iterable[Instruction]) -> dict[type[Record], set[str]]:
    """The ids that instructions name, each once, by kind."""
    of_class: defaultdict[type[Instruction], list[Instruction]] = defaultdict(list)
    for instruction in instructions:
        of_class[type(instruction)].append(instruction)
    found: defaultdict[type[Record], set[Any]] = defaultdict(set)
    for cls, those in of_class.items():
        for kind, take in _members(cls):
            found[kind].update(take(those))
    for ids in found.values():
        ids.discard(UNSET)
    return found


@cache
def _members(cls: type[Instruction]) -> tuple[tuple[type[Record], Take], ...]:
    """The members by which instructions of a class name records, with the kinds of those."""
    tag = str(cls.__struct_config__.tag)
    kinds = {"id": _KIND_OF_ID.get(tag, tag.partition(".")[0]), **_KIND_OF_MEMBER}
    return tuple((RECORDS[kind], take) for kind, take in _takes(cls, kinds) if kind in RECORDS)


def _takes(cls: type[Any], kinds: dict[str, str]) -> Iterator[tuple[str, Take]]:
    """Members that hold a name, names, or values with such members in turn, which have no `id` of a record."""
    described = inspect.type_info(cls)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        take: Take = partial(map, attrgetter(field.name))
        held = field.type
        if isinstance(held, inspect.ListType):
            held, take = held.item_type, partial(_each, take)
        if isinstance(held, inspect.StrType) and field.name in kinds:
            yield kinds[field.name], take
        elif isinstance(held, inspect.StructType) and field.type is not held:
            for kind, inner in _takes(held.cls, _KIND_OF_MEMBER):
                yield kind, partial(_after, take, inner)


def _each(take: Take, those: Iterable[Any]) -> Iterable[Any]:
    return chain.from_iterable(held for held in take(those) if held is not UNSET)


def _after(outer: Take, inner: Take, those: Iterable[Any]) -> Iterable[Any]:
    return inner(outer(those))
