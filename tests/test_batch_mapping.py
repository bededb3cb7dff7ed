"""The mapping of a batch load: what it may say, and how it answers what it may not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from finchain.batch.mapping import (
    Totals,
    amount_minor,
    date_pattern,
    parse_date,
    read_mapping,
    read_totals,
    sum_minor,
)
from finchain.errors import ConfigError, NotFound

MINIMAL = {
    "": [],
    "input": ['format = "csv"'],
    "columns": [
        'creditor = "Seller"', 'debtor = "Buyer"', 'invoice = "No"', 'amount = { column = "Sum", currency = "CNY" }',
        'due = { column = "Due" }',
    ],
    "parties": ['lookup = "parties.csv"'],
}  # fmt: skip


def written(folder: Path, **more: str) -> Path:
    """A mapping with lines added to its tables; `top` stands before the first table."""
    tables = {name: [*lines] for name, lines in MINIMAL.items()}
    for name, line in more.items():
        tables.setdefault("" if name == "top" else name, []).append(line)
    path = folder / "mapping.toml"
    path.write_text("\n".join(f"[{name}]\n" * bool(name) + "\n".join(lines) for name, lines in tables.items()))
    return path


def test_a_minimal_mapping_sends_claims_alone_and_takes_no_reject(tmp_path: Path) -> None:
    mapping = read_mapping(written(tmp_path))
    assert (mapping.confirm, mapping.max_rejects, mapping.delimiter) == (False, 0, ",")
    assert mapping.column_names() == ["Seller", "Buyer", "Sum", "No", "Due"]
    assert mapping.folder == str(tmp_path)


def test_columns_in_an_id_are_needed_and_fixed_sides_are_not(tmp_path: Path) -> None:
    path = written(tmp_path, columns='id = "a/{Line}-{No}"')
    path.write_text(path.read_text().replace('debtor = "Buyer"', 'debtor = { value = "us" }'))
    assert read_mapping(path).column_names() == ["Seller", "Sum", "No", "Due", "Line"]


@pytest.mark.parametrize(
    ("table", "line", "known"),
    [
        ("top", "confrim = true", "confirm is the nearest"),
        ("input", 'enconding = "utf-8"', "input.encoding is the nearest"),
        ("columns", 'invoise = "No"', "columns.invoice is the nearest"),
        ("columns", 'issued = { colum = "Day" }', "columns.issued.column is the nearest"),
        ("top", 'folder = "/"', "is the nearest"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(tmp_path: Path, table: str, line: str, known: str) -> None:
    with pytest.raises(ConfigError, match="unknown key") as error:
        read_mapping(written(tmp_path, **{table: line}))
    assert known in str(error.value)


@pytest.mark.parametrize(
    ("table", "good", "bad"),
    [
        ("top", "transaction_instructions = 1", "transaction_instructions = 0"),
        ("top", "transaction_instructions = 4096", "transaction_instructions = 4097"),
        ("top", "max_rejects = 0", "max_rejects = -1"),
        ("top", 'max_rejects = "100%"', 'max_rejects = "101%"'),
        ("top", 'max_rejects = "0.5%"', 'max_rejects = "0.5"'),
        ("top", "max_refused = 0", "max_refused = -1"),
        ("top", f'lane = "{"a" * 32}"', f'lane = "{"a" * 33}"'),
        ("top", 'lane = "a.b"', 'lane = "a b"'),
        ("input", 'delimiter = "|"', 'delimiter = "x"'),
        ("input", 'encoding = "gb18030"', 'encoding = "gb18030"\ndelimiter = "|"'),
        ("input", 'encoding = "cp1252"', 'encoding = "utf-16"'),
        (
            "columns",
            'issued = { column = "Day", format = "%d.%m.%Y" }',
            'issued = { column = "Day", format = "%d.%m" }',
        ),
        ("control", 'sums = { CNY = "1.25" }', 'sums = { CNY = "1.255" }'),
        ("control", "rows = 1", 'rows = "1"'),
    ],
)
def test_each_value_is_tried_on_both_sides_of_its_limit(tmp_path: Path, table: str, good: str, bad: str) -> None:
    read_mapping(written(tmp_path, **{table: good}))
    with pytest.raises(ConfigError):
        read_mapping(written(tmp_path, **{table: bad}))


@pytest.mark.parametrize(
    "amount",
    [
        '{ column = "Sum" }', '{ column = "Sum", currency = "CNY", currency_column = "Cur" }',
        '{ column = "Sum", currency = "XXX" }',
    ],
)  # fmt: skip
def test_an_amount_has_exactly_one_known_currency(tmp_path: Path, amount: str) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace('{ column = "Sum", currency = "CNY" }', amount))
    with pytest.raises(ConfigError, match="currency"):
        read_mapping(path)


def test_a_missing_table_and_broken_toml_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    with pytest.raises(NotFound, match=r"mapping\.toml"):
        read_mapping(path)
    path.write_text("lane = ")
    with pytest.raises(ConfigError, match="no TOML"):
        read_mapping(path)
    path.write_text('[input]\nformat = "csv"')
    with pytest.raises(ConfigError, match="columns"):
        read_mapping(path)


@pytest.mark.parametrize(
    ("limit", "rejected", "rows", "too_many"),
    [
        ("0", 0, 10, False), ("0", 1, 10, True), ("2", 2, 10, False), ("2", 3, 10, True),
        ('"0.5%"', 5, 1_000, False), ('"0.5%"', 6, 1_000, True), ('"0%"', 1, 10**9, True), ('"100%"', 10, 10, False),
    ],
)  # fmt: skip
def test_limits_are_exact(tmp_path: Path, limit: str, rejected: int, rows: int, too_many: bool) -> None:
    mapping = read_mapping(written(tmp_path, top=f"max_rejects = {limit}"))
    assert ("max_rejects" in mapping.beyond_limits(rejected, 0, rows)) is too_many
    assert "max_refused is 0" in mapping.beyond_limits(0, 1, rows), "one limit is not the other"
    mapping = read_mapping(written(tmp_path, top=f"max_refused = {limit}"))
    assert ("max_refused" in mapping.beyond_limits(0, rejected, rows)) is too_many


@pytest.mark.parametrize(
    ("text", "format", "day"),
    [
        ("2-Jun-06", "%d-%b-%y", date(2006, 6, 2)), ("02-JUN-06", "%d-%b-%y", date(2006, 6, 2)),
        ("2026-03-31", "%Y-%m-%d", date(2026, 3, 31)), ("31.3.2026", "%d.%m.%Y", date(2026, 3, 31)),
        ("20260331", "%Y%m%d", date(2026, 3, 31)), ("2026年3月31日", "%Y年%m月%d日", date(2026, 3, 31)),
        ("1/1/68", "%d/%m/%y", date(2068, 1, 1)), ("1/1/69", "%d/%m/%y", date(1969, 1, 1)),
    ],
)  # fmt: skip
def test_dates_are_read_in_the_stated_form(text: str, format: str, day: date) -> None:
    assert parse_date(text, date_pattern(format)) == day


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-3-31 ", "31-03-2026", "", "２０２６-03-31"])
def test_what_is_no_date_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="no da"):
        parse_date(text, date_pattern("%Y-%m-%d"))


def test_days_are_added_up_to_the_end_of_the_calendar() -> None:
    pattern = date_pattern("%Y-%m-%d")
    assert parse_date("2028-02-01", pattern, 60) == date(2028, 4, 1)
    assert parse_date("9999-12-30", pattern, 1) == date.max
    with pytest.raises(ValueError, match="calendar"):
        parse_date("9999-12-30", pattern, 2)


@pytest.mark.parametrize("format", ["%d-%m", "%d-%m-%Y-%Y", "%d-%m-%b-%Y", "%j-%Y", "%d-%m-%Y%", ""])
def test_a_date_format_names_day_month_and_year_once(format: str) -> None:
    with pytest.raises(ConfigError, match="date format"):
        date_pattern(format)


@pytest.mark.parametrize(
    ("text", "currency", "decimal", "minor"),
    [
        ("1234.5", "USD", ".", 123_450), ("1,234.50", "USD", ".", 123_450), ("1.234,50", "EUR", ",", 123_450),
        ("100", "JPY", ".", 100), ("1.234", "BHD", ".", 1_234), ("-3", "USD", ".", -300), ("0", "USD", ".", 0),
    ],
)  # fmt: skip
def test_amounts_are_exact(text: str, currency: str, decimal: str, minor: int) -> None:
    assert amount_minor(text, currency, decimal) == minor


@pytest.mark.parametrize(
    ("text", "currency", "decimal"),
    [
        ("1.005", "USD", "."), ("1.5", "JPY", "."), ("1.234,50", "USD", "."), ("1e3", "USD", "."), ("", "USD", "."),
        ("$5", "USD", "."), ("Freight Included", "USD", "."), ("5", "XXX", "."), ("90071992547409.92", "USD", "."),
    ],
)  # fmt: skip
def test_an_amount_is_never_rounded_or_guessed(text: str, currency: str, decimal: str) -> None:
    with pytest.raises(ValueError):
        amount_minor(text, currency, decimal)


def test_a_control_total_may_be_larger_than_any_one_amount() -> None:
    assert sum_minor("123456789012345678901234567890.12", "USD") == 12345678901234567890123456789012
    assert Totals(sums={"USD": "-1.5"}).sums_minor() == {"USD": -150}


def test_control_totals_come_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "ar.csv.totals.toml"
    path.write_text('rows = 2\nsums = { CNY = "3.00" }')
    assert read_totals(path) == Totals(rows=2, sums={"CNY": "3.00"})
    path.write_text("row = 2")
    with pytest.raises(ConfigError, match="rows is the nearest"):
        read_totals(path)
