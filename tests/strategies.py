"""Hypothesis strategies: one for each kind of value, and from those one for every instruction of the rulebook.

Ids and parties come from small pools, so that instructions meet the records of others, and each member is mostly one
that a rule could take. About one in twenty is not, which leaves every instruction a chance and every check some work.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from book import START, MemoryBook, digest, possession, public_key
from finchain import instructions as do
from finchain.domain import rulebook
from finchain.domain.rule import Instruction
from finchain.money import EXPONENTS

T = TypeVar("T")

PARTIES = ["shop", "core", "guarantor", "bank", "factor", "tier2", "clearer", "payee", "carrier", "court"]
"""The parties of `book.town`, of whom stories are told."""

LIKELY = {
    "arbiter": ["court"], "assignee": ["factor", "bank"], "bank": ["clearer", "bank"], "beneficiary": ["bank", "shop"],
    "borrower": ["shop"], "buyer": ["core"], "by": ["shop", "core", "carrier"], "controller": ["bank"],
    "creditor": ["shop", "tier2"], "debtor": ["core"], "factor": ["factor"], "guarantor": ["guarantor"],
    "holder": ["shop", "tier2"], "issuer": ["core"], "lender": ["bank"], "owner": ["shop"],
    "payee": ["shop", "bank", "factor", "payee"], "payer": ["core"], "pledgee": ["bank", "factor"],
    "seller": ["shop", "tier2"], "settlement_bank": ["clearer"], "transferee": ["tier2", "factor"],
    "to": ["tier2", "factor"],
}  # fmt: skip
"""Members that name a party, and who is likely to be one."""

ABOUT = {
    "part": ["accept", "assign", "notify", "offer", "pledge", "register", "release", "reverse_part", "withdraw_offer"],
    "dispute": ["dispute", "resolve"],
    "reduction": ["credit", "reverse", "set_off", "write_off"],
}  # fmt: skip
"""Instructions on claims whose id is that of another record."""

KIND_OF = {f"receivable.{name}": kind for kind, names in ABOUT.items() for name in names}

NAMED_BY = {"behind": "guarantee", "chosen": "loan"}
"""Members that name a record of this kind, and are not called after it."""

DIGEST_MEMBERS = frozenset(
    {"award", "decree", "description", "digest", "document", "evidence", "notice", "rulebook_digest"}
)
TEXT_MEMBERS = frozenset(
    {"account_number", "invoice", "invoice_code", "name", "number", "reason", "reference", "registration"}
)


def mostly(good: st.SearchStrategy[T], bad: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Nineteen times out of twenty the first."""
    return st.integers(0, 19).flatmap(lambda n: bad if n == 13 else good)


def ids_of(kind: str) -> st.SearchStrategy[str]:
    """Ids of a kind of record: three that are used, and others good and bad."""
    others = st.one_of(
        st.text("abcXYZ019._:/-", min_size=1, max_size=64), st.sampled_from(["", "x" * 65, "a b", "店", "R-1"])
    )  # fmt: skip
    return mostly(st.integers(1, 3).map(lambda n: f"{kind}-{n}"), others)


amounts = mostly(
    st.one_of(st.integers(1, 40), st.integers(1, 1_000), st.sampled_from([1, 100, 600, 1_000])),
    st.sampled_from([-1, 0, 2**53 - 1, 2**53]),
)
currencies = mostly(st.just("CNY"), st.sampled_from([*sorted(EXPONENTS), "RMB", ""]))
dates = mostly(
    st.sampled_from([0, 0, 1, 30, 180, 365]).map(lambda days: START + timedelta(days=days)),
    st.one_of(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(-15, 15).map(lambda n: START + timedelta(n))),
)
digests = mostly(st.integers(0, 5).map(lambda n: digest(str(n))), st.sampled_from(["", "00", "AB" * 32]))
references = mostly(
    st.sampled_from(["INV-7", "inv 7", *(f"entry {n}" for n in range(20))]),
    st.one_of(st.text(max_size=40), st.sampled_from(["", " ", "x" * 129])),
)
key_ids = st.builds("{}/{}".format, st.sampled_from(PARTIES), st.integers(1, 4))
anybody = st.sampled_from([*PARTIES, "operator", "registrar", "nobody", ""])
policies = mostly(
    st.just(do.DEFAULT_POLICY),
    st.builds(
        lambda name, limit: msgspec.structs.replace(do.DEFAULT_POLICY, **{name: limit}),
        st.sampled_from(do.PolicyTerms.__struct_fields__), st.integers(-1, 5_000),
    ),
)  # fmt: skip


def member(tag: str, name: str, kind: Any) -> st.SearchStrategy[Any]:
    """The strategy for one member of a struct, by the instruction it is in, its name and its type."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([member(tag, name, each) for each in typing.get_args(kind)])
    if kind is msgspec.UnsetType:
        return st.just(msgspec.UNSET)
    if origin is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if origin in (list, tuple):
        return mostly(
            st.lists(member(tag, name, typing.get_args(kind)[0]), min_size=1, max_size=2, unique_by=repr),
            st.lists(member(tag, name, typing.get_args(kind)[0]), max_size=3),
        )  # fmt: skip
    if origin is dict:
        return st.dictionaries(ids_of("scheme"), references, max_size=2)
    if kind is do.PolicyTerms:
        return policies
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return struct(kind, tag)
    return {str: text_member(tag, name), int: int_member(name), bool: st.booleans(), date: dates}[kind]


def text_member(tag: str, name: str) -> st.SearchStrategy[str]:
    """The strategy for a text: what its name says, else the id of such a record."""
    kind = tag.partition(".")[0]
    if name == "id" and kind == "party":
        return mostly(st.sampled_from(PARTIES), anybody)
    if name in ("id", "successor") and kind == "key":
        return key_ids
    if name == "id":
        return ids_of(KIND_OF.get(tag, kind))
    if name in LIKELY:
        return mostly(st.sampled_from(LIKELY[name]), anybody)
    if name in DIGEST_MEMBERS:
        return digests
    if name in TEXT_MEMBERS:
        return references
    if name == "public_key":
        return st.sampled_from(["a", "b", "c"]).map(public_key)
    if name == "possession":
        return st.builds(possession, st.sampled_from(["a", "b", "c"]), key_ids)
    if name in NAMED_BY:
        return ids_of(NAMED_BY[name])
    # A member that names another record is called after its kind, in the plural where there are several.
    return currencies if name == "currency" else ids_of(name.removesuffix("s"))


def int_member(name: str) -> st.SearchStrategy[int]:
    """The strategy for a number, by the member's name and the unit at its end."""
    if name == "scale":
        return mostly(st.just(10_000), st.sampled_from([1, 0, -1, 10**12, 10**12 + 1]))
    if name == "value":
        return mostly(st.integers(0, 3_000), st.sampled_from([-1, 10**9, 2**53 - 1]))
    if name.endswith("_bp"):
        return mostly(st.integers(1, 10_000), st.sampled_from([-1, 0, 10_000, 10_001]))
    if name.endswith(("days", "months")):
        return mostly(st.integers(0, 30), st.sampled_from([-1, 4_000]))
    if name == "version":
        return mostly(st.integers(1, 3), st.integers(-1, 9))
    if name == "year":
        return mostly(st.just(START.year), st.integers(1900, 2300))
    if name == "weekend":
        return mostly(st.integers(6, 7), st.integers(-1, 9))
    if name == "registered_ms":
        return mostly(st.sampled_from([0, MemoryBook().time_ms]), st.integers(-1, 2**53 - 1))
    if name == "threshold":
        return mostly(st.just(1), st.integers(-1, 17))
    return amounts


@cache
def struct(cls: type[msgspec.Struct], tag: str = "") -> st.SearchStrategy[Any]:
    """The strategy for a struct, from those of its members."""
    tag = tag or str(cls.__struct_config__.tag)
    return st.builds(cls, **{each.name: member(tag, each.name, each.type) for each in msgspec.structs.fields(cls)})


@st.composite
def instructions(draw: st.DrawFn, kinds: Iterable[type[Instruction]] = ()) -> Instruction:
    """Any instruction of these types, or of the whole rulebook."""
    # Drawn type first: the union of all types' strategies has a text so long that Hypothesis refuses to show it.
    cls = draw(st.sampled_from(sorted(kinds or rulebook.RULEBOOK_1.rules, key=lambda each: each.__name__)))
    drawn: Instruction = draw(struct(cls))
    return drawn
