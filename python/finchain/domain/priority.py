"""The order of competing factors, assignees and pledgees of one claim, and what each gets (Civil Code 768).

Registered before unregistered, and by the time of the entry; else by the first notice to the debtor; else in
proportion to what each financed. The ledger itself lets no unit be taken twice: these functions order evidence, of
which some may come from elsewhere. Who cannot be told apart shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from finchain.domain.arithmetic import share_pro_rata
from finchain.domain.part import Part
from finchain.domain.rule import Absent


class Title(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody can show for its right to a claim.

    Attributes:
        holder: Factor, assignee or pledgee; the names of one list differ.
        amount_minor: What it may collect at most.
        financed_minor: What it paid or lent, or its fee, `> 0`.
        registered_ms: Unix time of its entry in the public register.
        notified_ms: Unix time at which the notice reached the debtor.
    """

    holder: str
    amount_minor: int
    financed_minor: int
    registered_ms: int | None = None
    notified_ms: int | None = None


def title_of(part: Part) -> Title:
    """The title that a part on the ledger gives; what was financed is the face where nothing else was stated."""
    return Title(
        holder=part.holder, amount_minor=part.amount_minor + part.disputed_minor,
        financed_minor=part.face_minor if part.financed_minor is Absent else part.financed_minor,
        registered_ms=None if part.registered_ms is Absent else part.registered_ms,
        notified_ms=None if part.notified_ms is Absent else part.notified_ms,
    )  # fmt: skip


def ranked(titles: Iterable[Title]) -> list[list[Title]]:
    """The titles in their order, best first; those of one rank stand together, by their holders' names."""
    ordered = sorted(titles, key=lambda title: (_rank(title), title.holder))
    return [list(group) for _, group in groupby(ordered, key=_rank)]


def divide_collected(titles: Iterable[Title], collected_minor: int) -> dict[str, int]:
    """What each holder gets of money collected: rank by rank, within a rank in proportion to what was financed.

    Nobody gets more than its amount; what is left when all have theirs is nobody's here and belongs to the creditor.

    Raises:
        ValueError: The money or an amount is negative, or somebody financed nothing.
    """
    shares: dict[str, int] = {}
    left = collected_minor
    for rank in ranked(titles):
        for holder, share in _within(rank, min(left, sum(title.amount_minor for title in rank))).items():
            shares[holder] = share
            left -= share
    return shares


def _rank(title: Title) -> tuple[int, int]:
    if title.registered_ms is not None:
        return 0, title.registered_ms
    if title.notified_ms is not None:
        return 1, title.notified_ms
    return 2, 0


def _within(rank: Sequence[Title], money_minor: int) -> dict[str, int]:
    """Divides money among equals; whoever would get more than its amount gets that, and the others share again."""
    if any(title.financed_minor <= 0 or title.amount_minor < 0 for title in rank):
        raise ValueError("whoever financed nothing has no share in proportion to it")
    parts = share_pro_rata(money_minor, [title.financed_minor for title in rank])
    full = {
        title.holder: title.amount_minor
        for title, part in zip(rank, parts, strict=True)
        if part > title.amount_minor
    }  # fmt: skip
    if not full:
        return {title.holder: part for title, part in zip(rank, parts, strict=True)}
    rest = [title for title in rank if title.holder not in full]
    return full | _within(rest, money_minor - sum(full.values()))
