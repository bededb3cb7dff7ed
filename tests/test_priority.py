"""Who of several that financed one claim comes first, and what each gets (Civil Code 768)."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import digest, town
from finchain import instructions as do
from finchain.domain.part import Part
from finchain.domain.priority import Title, divide_collected, ranked, title_of

A = Title(holder="A", amount_minor=100, financed_minor=90, registered_ms=2)
B = Title(holder="B", amount_minor=100, financed_minor=90, registered_ms=1)
C = Title(holder="C", amount_minor=100, financed_minor=90, notified_ms=0)
D = Title(holder="D", amount_minor=100, financed_minor=60)
E = Title(holder="E", amount_minor=100, financed_minor=30)


def names(titles: object) -> list[list[str]]:
    assert isinstance(titles, list | tuple)
    return [[title.holder for title in rank] for rank in ranked(titles)]


def test_registered_before_notified_and_by_the_time_of_the_entry() -> None:
    # domain.md 2.12, vector 12: A registered at t2, B at t1, C gave notice at t0 only.
    for order in permutations([A, B, C, D, E]):
        assert names(order) == [["B"], ["A"], ["C"], ["D", "E"]]


def test_without_evidence_all_share_by_what_they_financed() -> None:
    # domain.md 2.12, vector 13.
    first = Title(holder="first", amount_minor=600_000, financed_minor=600_000)
    second = Title(holder="second", amount_minor=300_000, financed_minor=300_000)
    assert divide_collected([first, second], 500_000) == {"first": 333_333, "second": 166_667}


@pytest.mark.parametrize(
    ("collected", "shares"),
    [
        (0, (0, 0, 0)), (99, (99, 0, 0)), (100, (100, 0, 0)), (101, (100, 1, 0)), (200, (100, 100, 0)),
        (201, (100, 100, 1)), (300, (100, 100, 100)), (301, (100, 100, 100)),
    ],
)  # fmt: skip
def test_the_better_rank_is_paid_in_full_first(collected: int, shares: tuple[int, int, int]) -> None:
    assert divide_collected([A, B, C], collected) == dict(zip("BAC", shares, strict=True))


def test_nobody_gets_more_than_its_amount_and_the_others_share_what_is_over() -> None:
    small = Title(holder="small", amount_minor=10, financed_minor=90)
    large = Title(holder="large", amount_minor=200, financed_minor=10)
    assert divide_collected([small, large], 100) == {"large": 90, "small": 10}


def test_entries_of_one_moment_rank_equally() -> None:
    twin = Title(holder="T", amount_minor=100, financed_minor=90, registered_ms=1)
    assert names([twin, B]) == [["B", "T"]]
    assert divide_collected([twin, B], 101) == {"B": 51, "T": 50}


def test_whoever_financed_nothing_has_no_share() -> None:
    with pytest.raises(ValueError, match="financed nothing"):
        divide_collected([Title(holder="A", amount_minor=1, financed_minor=0)], 1)
    with pytest.raises(ValueError, match="negative"):
        divide_collected([A], -1)


titles = st.lists(
    st.builds(
        Title, holder=st.text("abcdef", min_size=1, max_size=3), amount_minor=st.integers(0, 1_000),
        financed_minor=st.integers(1, 1_000), registered_ms=st.none() | st.integers(0, 3),
        notified_ms=st.none() | st.integers(0, 3),
    ),
    max_size=6, unique_by=lambda title: title.holder,
)  # fmt: skip


@given(titles, st.integers(0, 4_000))
def test_money_is_neither_lost_nor_made_and_a_worse_rank_waits(titles: list[Title], collected: int) -> None:
    shares = divide_collected(titles, collected)
    amounts = {title.holder: title.amount_minor for title in titles}
    assert all(0 <= share <= amounts[holder] for holder, share in shares.items())
    assert sum(shares.values()) == min(collected, sum(amounts.values()))
    paid = [all(shares[t.holder] == t.amount_minor for t in rank) for rank in ranked(titles)]
    for full, rank in zip(paid, ranked(titles)[1:], strict=False):
        assert full or not any(shares[title.holder] for title in rank)


def test_the_parts_of_a_claim_give_titles() -> None:
    ledger = town()
    due = date(2026, 8, 31)
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", due, "INV-7"), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 1_000), by={"core"})
    ledger.apply(do.AssignReceivable("A-1", "R-1", "factor", 300, financed_minor=280), by={"shop", "factor"})
    first_noon = ledger.time_ms
    ledger.advance(1)
    ledger.apply(do.NotifyDebtor("A-1", "factor", digest("n")), by={"factor"})
    pledge = do.PledgeReceivable("P-1", "R-1", "bank", 200, "0123", first_noon, digest("collateral"))
    ledger.apply(pledge, by={"shop", "bank"})
    parts = [title_of(part) for part in ledger.all(Part)]
    assert [(each.holder, each.financed_minor) for each in parts] == [("factor", 280), ("bank", 200)]
    assert names(parts) == [["bank"], ["factor"]]
    assert parts[0].notified_ms == ledger.time_ms

    # The factor registers too, but later.
    ledger.apply(do.RegisterPart("A-1", "0999", ledger.time_ms, digest("part")), by={"factor"})
    assert names([title_of(part) for part in ledger.all(Part)]) == [["bank"], ["factor"]]
