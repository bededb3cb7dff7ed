"""What stories of advice have in common: an order is refused, somebody does what was advised, and it is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import pytest

from book import MemoryBook
from finchain.domain.rule import Instruction
from finchain.errors import Refused
from stories import apply

Act = tuple[Instruction, set[str]] | date

STORIES: dict[str, Callable[[], str]] = {}
"""The story of each sentence; it gives what was really said."""


def story(sentence: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    def enter(tell: Callable[[], str]) -> Callable[[], str]:
        assert sentence not in STORIES
        STORIES[sentence] = tell
        return tell

    return enter


def advised(
    ledger: MemoryBook, order: Instruction, by: set[str], *acts: Act, instead: Instruction | None = None
) -> str:  # fmt: skip
    """What the refusal of an order advises; after these acts it is applied, or the order that is given instead."""
    with pytest.raises(Refused) as refusal:
        ledger.apply(order, by=by)
    for act in acts:
        if isinstance(act, date):
            ledger.move_to(act)
        else:
            apply(ledger, act[0], by=act[1])
    apply(ledger, instead or order, by=by)
    return refusal.value.advice


def said(ledger: MemoryBook, order: Instruction, by: Iterable[str]) -> str:
    """What is advised where an order is refused."""
    with pytest.raises(Refused) as refusal:
        ledger.apply(order, by=by)
    return refusal.value.advice
