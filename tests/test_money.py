"""Amounts are integers of minor units; what is written and what is read agree, and no cent is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finchain.money import AMOUNT_MAX_MINOR, EXPONENTS, exponent, format_minor, parse_amount


@pytest.mark.parametrize(
    ("currency", "decimals"), [("CNY", 2), ("USD", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLP", 0)]
)
def test_currencies_have_the_decimals_that_iso_4217_gives_them(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


@pytest.mark.parametrize("currency", ["", "cny", "RMB", "XXX", "CNY "])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="currency code"):
        exponent(currency)


def test_the_table_of_currencies_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        EXPONENTS["RMB"] = 2  # type: ignore[index]
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (116_000_000, "CNY", "1,160,000.00"),
        (1, "CNY", "0.01"),
        (0, "CNY", "0.00"),
        (-5, "CNY", "-0.05"),
        (-123_456, "USD", "-1,234.56"),
        (1_234, "JPY", "1,234"),
        (0, "JPY", "0"),
        (1_234_567, "KWD", "1,234.567"),
        (AMOUNT_MAX_MINOR, "CNY", "90,071,992,547,409.91"),
    ],
)
def test_amounts_are_written_as_people_write_them(amount_minor: int, currency: str, text: str) -> None:
    assert format_minor(amount_minor, currency) == text
    assert parse_amount(text, currency) == amount_minor


@pytest.mark.parametrize(
    ("text", "currency", "amount_minor"),
    [
        ("1234.50", "USD", 123_450),
        ("1234.5", "USD", 123_450),
        ("1234", "USD", 123_400),
        ("0007", "CNY", 700),
        ("7", "JPY", 7),
    ],
)
def test_decimals_may_be_left_out(text: str, currency: str, amount_minor: int) -> None:
    assert parse_amount(text, currency) == amount_minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.234", "USD"), ("1.0", "JPY"), ("1.2345", "KWD"), ("", "USD"), (".5", "USD"), ("5.", "USD"), ("1e3", "USD"),
        ("+1", "USD"), ("1 000", "USD"), ("1,00", "USD"), ("1,0000.00", "USD"), ("1000,000", "USD"), ("--1", "USD"),
        ("0x10", "USD"), ("١٢", "USD"), ("NaN", "USD"), ("1_000", "USD"), ("1.00\n", "USD"),
        ("90071992547409.92", "CNY"), ("9" * 5_000, "CNY"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_exact_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|decimals|beyond"):
        parse_amount(text, currency)


@given(st.integers(-AMOUNT_MAX_MINOR, AMOUNT_MAX_MINOR), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_written_is_read_back(amount_minor: int, currency: str) -> None:
    assert parse_amount(format_minor(amount_minor, currency), currency) == amount_minor
