"""Rounding, rule P and interest, by the worked examples of domain.md 2.12 and 7.1."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finchain.domain.arithmetic import (
    Rate,
    Segment,
    equal_parts,
    interest,
    interest_of,
    round_half_up,
    share_pro_rata,
    share_within,
)

AMOUNTS = st.integers(0, 2**53 - 1)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 10, 1), (-5, 10, -1), (4, 10, 0), (-4, 10, 0), (15, 10, 2), (25, 10, 3), (-25, 10, -3), (0, 7, 0), (14, 7, 2),
     (2, 3, 1), (1, 3, 0), (10**40 + 5 * 10**38, 10**39, 11)],
)  # fmt: skip
def test_halves_go_away_from_zero(numerator: int, denominator: int, rounded: int) -> None:
    assert round_half_up(numerator, denominator) == rounded


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_that_is_not_positive_is_refused(denominator: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        round_half_up(1, denominator)


@given(st.integers(), st.integers(1, 10**30))
def test_rounding_is_never_off_by_more_than_a_half(numerator: int, denominator: int) -> None:
    off = Fraction(numerator, denominator) - round_half_up(numerator, denominator)
    assert abs(off) <= Fraction(1, 2)
    assert round_half_up(-numerator, denominator) == -round_half_up(numerator, denominator)


@pytest.mark.parametrize(
    ("amount_minor", "rate", "days", "year", "charged"),
    [
        (92_800_000, Rate(100, 10_000), 180, 360, 464_000),
        (36_000_000, Rate(480, 10_000), 166, 360, 796_800),
        (50_000_000, Rate(435, 10_000), 30, 360, 181_250),
        (72_000_000, Rate(435, 10_000), 61, 360, 530_700),
        (62_000_000, Rate(435, 10_000), 84, 360, 629_300),
        (52_800_000, Rate(6_525, 100_000), 30, 360, 287_100),
        (28_858_491, Rate(6_525, 100_000), 20, 360, 104_612),
        (1_000_000, Rate(5, 10_000), 30, 1, 15_000),
        (13_200_000, Rate(610, 10_000), 55, 360, 123_017),
        (0, Rate(435, 10_000), 30, 360, 0),
        (50_000_000, Rate(435, 10_000), 0, 360, 0),
    ],
)
def test_interest_of_the_worked_examples(amount_minor: int, rate: Rate, days: int, year: int, charged: int) -> None:
    assert interest(amount_minor, rate, days, year) == charged


def test_one_rounding_differs_from_one_per_segment() -> None:
    rate = Rate(435, 10_000)
    stretches = [(50_000_000, 30), (72_000_000, 61), (62_000_000, 84)]
    by_360 = [Segment(amount, rate, days, 360) for amount, days in stretches]
    by_365 = [Segment(amount, rate, days, 365) for amount, days in stretches]
    assert interest_of(by_360) == 1_341_250
    assert interest_of(by_365) == 1_322_877
    assert sum(interest_of([segment]) for segment in by_365) == 1_322_876
    assert interest_of([]) == 0


@given(
    st.lists(
        st.builds(
            Segment, AMOUNTS, st.builds(Rate, st.integers(0, 10**6), st.sampled_from([100, 10**4, 10**6, 999_983])),
            st.integers(0, 4_000), st.sampled_from([360, 365]),
        ), max_size=8,
    )
)  # fmt: skip
def test_segments_of_any_kind_are_summed_exactly(segments: list[Segment]) -> None:
    exact = sum(
        (Fraction(s.amount_minor * s.rate.value * s.days, s.rate.scale * s.days_in_year) for s in segments), Fraction(0)
    )
    assert interest_of(segments) == round_half_up(exact.numerator, exact.denominator)


@pytest.mark.parametrize(
    ("rate", "text"),
    [(Rate(435, 10_000), "4.35%"), (Rate(48, 1_000), "4.8%"), (Rate(6_525, 100_000), "6.525%"), (Rate(1, 1), "100.0%"),
     (Rate(0, 10_000), "0.0%")],
)  # fmt: skip
def test_a_rate_reads_as_a_contract_writes_it(rate: Rate, text: str) -> None:
    assert str(rate) == text


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (50_000_000, [36_000_000, 80_000_000], [15_517_241, 34_482_759]),
        (52_800_000, [20_482_759, 45_517_241], [16_386_207, 36_413_793]),
        (30_000_000, [36_000_000, 80_000_000], [9_310_345, 20_689_655]),
        (10_000_001, [6_000, 3_000, 1_000], [6_000_001, 3_000_000, 1_000_000]),
        (500_000, [600_000, 300_000], [333_333, 166_667]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (7, [0, 1, 0], [0, 7, 0]),
    ],
)
def test_rule_p_of_the_worked_examples(total: int, weights: list[int], parts: list[int]) -> None:
    assert share_pro_rata(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1]), (1, [2, -1])])
def test_rule_p_refuses_what_cannot_be_divided(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"negative|divided"):
        share_pro_rata(total, weights)


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=40).filter(any))
def test_rule_p_divides_everything_and_favours_nobody(total: int, weights: list[int]) -> None:
    parts = share_pro_rata(total, weights)
    whole = sum(weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(total * weight, whole) - part) < 1
        assert part <= weight or total > whole


@given(AMOUNTS, st.integers(1, 20))
def test_of_equal_shares_the_lower_index_gets_the_unit_that_is_left(total: int, count: int) -> None:
    parts = share_pro_rata(total, [3] * count)
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] <= 1


def test_the_last_instalment_takes_the_rest() -> None:
    # domain.md 2.12, vector 24: three instalments of 100,001.
    assert equal_parts(100_001, 3) == [33_333, 33_333, 33_335]
    assert equal_parts(10_000_000, 12) == [833_333] * 11 + [833_337]
    assert equal_parts(0, 2) == [0, 0]
    assert equal_parts(5, 1) == [5]


@pytest.mark.parametrize(("total", "count"), [(-1, 3), (1, 0), (1, -1)])
def test_instalments_that_make_no_sense_are_refused(total: int, count: int) -> None:
    with pytest.raises(ValueError, match="instalments"):
        equal_parts(total, count)


# --- rule P within bounds ---------------------------------------------------------------------------------------

BOUNDED = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("total", "weights", "lows", "highs", "parts"),
    [
        (100, [1, 1, 1], [0, 0, 0], [100, 100, 100], [34, 33, 33]),
        (48, [28, 16, 16], [32, 0, 0], [40, 30, 30], [32, 8, 8]),
        (48, [28, 16, 16], [32, 8, 0], [40, 30, 30], [32, 8, 8]),
        (2, [1, 1], [0, 0], [0, 2], [0, 2]),
        (10, [5, 5, 0], [0, 0, 0], [4, 9, 0], [4, 6, 0]),
        (0, [], [], [], []),
    ],
)
def test_who_is_out_of_bounds_stands_there_and_the_others_share_the_rest(
    total: int, weights: list[int], lows: list[int], highs: list[int], parts: list[int]
) -> None:
    assert share_within(total, weights, lows, highs) == parts


@given(BOUNDED, st.data())
def test_bounds_hold_and_nothing_is_lost(bounded: list[tuple[int, int, int]], choices: st.DataObject) -> None:
    weights = [weight for weight, _, _ in bounded]
    lows = [low for _, low, _ in bounded]
    highs = [low + more for _, low, more in bounded]
    total = choices.draw(st.integers(sum(lows), sum(highs)))
    parts = share_within(total, weights, lows, highs)
    assert sum(parts) == total
    assert all(low <= part <= high for low, part, high in zip(lows, parts, highs, strict=True))
    # Who is served first changes nothing for the others.
    first = choices.draw(st.integers(0, len(parts) - 1))
    served = [part if index == first else low for index, (part, low) in enumerate(zip(parts, lows, strict=True))]
    assert share_within(total, weights, served, highs) == parts


def test_a_total_outside_of_the_bounds_is_refused() -> None:
    for total in (4, 11):
        with pytest.raises(ValueError, match="5 up to 10"):
            share_within(total, [1, 1], [2, 3], [5, 5])
