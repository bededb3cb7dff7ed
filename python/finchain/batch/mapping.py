"""The mapping: a small TOML file that says which column of a CSV or TSV is what, and what the file must add up to.

Everything that can be wrong with it is found before a row is read, and an unknown key is answered with the nearest
known one. Relative paths start at the mapping's own folder.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_type_hints

import msgspec

from finchain.errors import ConfigError, NotFound
from finchain.money import EXPONENTS, parse_amount

INSTRUCTIONS_MAX: Final = 4_096
"""Instructions of one transaction at most (format 3.1)."""

DELIMITERS: Final = {"csv": ",", "tsv": "\t"}

_LANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,31}", re.ASCII)
_SHARE: Final = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,6})?|100)%", re.ASCII)
_PLACE: Final = re.compile(r"\{([^{}]+)\}")
_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DIRECTIVES: Final = {
    "%d": r"(?P<day>[0-9]{1,2})",
    "%m": r"(?P<month>[0-9]{1,2})",
    "%b": rf"(?P<name>(?i:{'|'.join(_MONTHS)}))",
    "%y": r"(?P<short>[0-9]{2})",
    "%Y": r"(?P<year>[0-9]{4})",
}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the mapping."""


class Input(_Table, frozen=True):
    """The file.

    Attributes:
        path: The file, or a pattern such as `in/ar_*.csv`; absent where every load names its own.
        delimiter: One of `,` `;` `|` and tab; that of the format where absent.
        encoding: `gb18030` and `cp1252` are what the exports of Chinese and European systems are often written in.
    """

    format: Literal["csv", "tsv"]
    path: str | None = None
    delimiter: Literal[",", ";", "|", "\t"] | None = None
    encoding: Literal["utf-8", "gb18030", "cp1252"] = "utf-8"


class Fixed(_Table, frozen=True):
    """The same value in every row, where the file has no column for it."""

    value: str


class AmountColumn(_Table, frozen=True):
    """Where the amount stands, and in which currency.

    Attributes:
        currency: ISO 4217 code of every row; or
        currency_column: the column that has it.
        decimal: What stands before the decimals.
    """

    column: str
    currency: str | None = None
    currency_column: str | None = None
    decimal: Literal[".", ","] = "."


class DateColumn(_Table, frozen=True):
    """Where a date stands.

    Attributes:
        format: Made of `%d`, `%m`, `%b` (English, three letters), `%Y`, `%y` (69 to 99 are 1969 to 1999, as in POSIX)
            and what stands between them.
        plus_days: Added to the date, such as the days of a term of payment.
    """

    column: str
    format: str = "%Y-%m-%d"
    plus_days: int = 0


class Columns(_Table, frozen=True):
    """Which column is what. A plain text names a column.

    Attributes:
        creditor: Looked up among the parties.
        debtor: Likewise.
        invoice: Number of the invoice, as printed.
        id: Id of the claim, with columns in braces, such as `orders/{Order}`; creditor, `/`, invoice where absent.
        issued: Date of the invoice.
    """

    creditor: str | Fixed
    debtor: str | Fixed
    amount: AmountColumn
    invoice: str
    due: DateColumn
    id: str | None = None
    issued: DateColumn | None = None


class Parties(_Table, frozen=True):
    """Who the names in the file are.

    Attributes:
        lookup: A CSV in UTF-8 with the columns value, id, name, roles, key.
    """

    lookup: str


class Keys(_Table, frozen=True):
    """What the parties sign with, where the lookup names no key files.

    Attributes:
        seed: Test keys are made from it. Whoever knows it can sign: only a ledger with a simulated clock takes them.
        passphrase_env: The environment variable with the passphrase of the key files.
    """

    seed: str | None = None
    passphrase_env: str | None = None


class Totals(_Table, frozen=True):
    """Control totals of a file: what its sender says is in it.

    Attributes:
        rows: Number of rows without header and empty lines.
        sums: The sum of all amounts by currency, such as `{USD = "1627584457.29"}`.
    """

    rows: int | None = None
    sums: dict[str, str] = {}

    def sums_minor(self) -> dict[str, int]:
        """The sums in minor units.

        Raises:
            ConfigError: One is no amount.
        """
        try:
            return {currency: sum_minor(text, currency) for currency, text in self.sums.items()}
        except ValueError as error:
            raise ConfigError(f"control totals: {error}") from None


class Control(Totals, frozen=True):
    """Control totals in the mapping, or in a file beside each input.

    Attributes:
        suffix: Such as `.totals.toml`: `ar.csv` has its totals in `ar.csv.totals.toml`, which must be there.
    """

    suffix: str | None = None


class Mapping(_Table, frozen=True):
    """What the TOML file says.

    Attributes:
        folder: Where the file is.
        lane: What run ids begin with, unless a run id is given.
        confirm: Whether the debtors' confirmations are sent too, each of the whole claim.
        max_rejects: More rejected rows than this, a number or a share such as `"0.5%"`, and nothing is committed.
        max_refused: The same for rows that a rule would refuse.
        transaction_instructions: Instructions of one transaction, under one signature.
    """

    input: Input
    columns: Columns
    parties: Parties
    lane: str = "load"
    confirm: bool = False
    max_rejects: int | str = 0
    max_refused: int | str = 0
    transaction_instructions: int = 1_000
    keys: Keys = Keys()
    control: Control = Control()
    folder: str = "."

    @property
    def delimiter(self) -> str:
        """What stands between two fields."""
        return self.input.delimiter or DELIMITERS[self.input.format]

    def beyond_limits(self, rejected: int, refused: int, rows: int) -> str:
        """Why so many rejected and refused rows keep a file of so many rows out; empty where they do not."""
        if _beyond(self.max_rejects, rejected, rows):
            return f"{rejected} of {rows} rows are rejected, and max_rejects is {self.max_rejects}"
        if _beyond(self.max_refused, refused, rows):
            return f"{refused} of {rows} rows are refused, and max_refused is {self.max_refused}"
        return ""

    def column_names(self) -> list[str]:
        """Every column that is read, once."""
        columns = self.columns
        named: list[str | None] = [
            *(side for side in (columns.creditor, columns.debtor) if isinstance(side, str)),
            columns.amount.column, columns.amount.currency_column, columns.invoice, columns.due.column,
            columns.issued.column if columns.issued is not None else None, *_PLACE.findall(columns.id or ""),
        ]  # fmt: skip
        return list(dict.fromkeys(name for name in named if name is not None))


def _beyond(limit: int | str, count: int, rows: int) -> bool:
    """Whether so many of the rows are more than a number or a share allows."""
    if isinstance(limit, int):
        return count > limit
    return count * 100 > Fraction(limit.removesuffix("%")) * rows


def read_mapping(path: str | os.PathLike[str]) -> Mapping:
    """Reads a mapping and checks what can be checked without the input.

    Raises:
        NotFound: There is no such file.
        ConfigError: It is no TOML, has an unknown or a missing key, or a value that makes no sense.
    """
    file = Path(path)
    table = _read_toml(file)
    _check_keys(table, Mapping, "", str(file))
    try:
        mapping = msgspec.convert({**table, "folder": str(file.parent)}, Mapping)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {error}", advice="`finchain explain operating 9` shows a mapping") from None
    _check_values(mapping, str(file))
    return mapping


def read_totals(path: Path) -> Totals:
    """Reads the control totals that came with a file.

    Raises:
        NotFound: There is no such file.
        ConfigError: It is no TOML, or not of this form.
    """
    table = _read_toml(path)
    _check_keys(table, Totals, "", str(path))
    try:
        return msgspec.convert(table, Totals)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None


def _check_keys(table: dict[str, Any], cls: type[msgspec.Struct], where: str, file: str) -> None:
    """Refuses keys that no table of this kind has, naming the nearest one that it has."""
    known = [name for name in cls.__struct_fields__ if name != "folder"]
    hints = get_type_hints(cls)
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(
                f"{file}: unknown key {where + key!r}", advice=f"{where}{near[0]} is the nearest that there is"
            )
        if isinstance(value, dict):
            for inner in get_args(hints[key]) or (hints[key],):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    _check_keys(value, inner, f"{where}{key}.", file)


def _check_values(mapping: Mapping, file: str) -> None:
    def wrong(text: str, advice: str) -> ConfigError:
        return ConfigError(f"{file}: {text}", advice=advice)

    if not _LANE.fullmatch(mapping.lane):
        raise wrong(f"lane {mapping.lane!r}", "1 to 32 characters of A-Z a-z 0-9 . _ : -, the first no sign")
    if not 1 <= mapping.transaction_instructions <= INSTRUCTIONS_MAX:
        raise wrong(f"transaction_instructions {mapping.transaction_instructions}", f"1 to {INSTRUCTIONS_MAX}")
    for name, limit in (("max_rejects", mapping.max_rejects), ("max_refused", mapping.max_refused)):
        if limit < 0 if isinstance(limit, int) else not _SHARE.fullmatch(limit):
            raise wrong(f"{name} {limit!r}", 'a number of rows such as 20, or a share such as "0.5%"')
    amount = mapping.columns.amount
    if (amount.currency is None) == (amount.currency_column is None):
        raise wrong("columns.amount has no currency, or two", "give currency or currency_column")
    if amount.currency is not None and amount.currency not in EXPONENTS:
        raise wrong(f"columns.amount.currency {amount.currency!r}", "an ISO 4217 code such as USD")
    for dated in (mapping.columns.due, mapping.columns.issued):
        if dated is not None:
            date_pattern(dated.format)
    if mapping.input.encoding == "gb18030" and mapping.delimiter == "|":
        raise wrong("a | can be half a character of gb18030", "another delimiter")
    mapping.control.sums_minor()


def date_pattern(format: str) -> re.Pattern[str]:
    """The pattern of a date format, whatever the locale of the machine.

    Raises:
        ConfigError: It has an unknown directive, or does not name day, month and year once each.
    """
    pieces = re.findall(r"%.|[^%]+|%", format)
    named = sorted(piece for piece in pieces if piece.startswith("%"))
    if named not in [sorted(["%d", month, year]) for month in ("%m", "%b") for year in ("%y", "%Y")]:
        raise ConfigError(
            f"the date format {format!r} is not understood",
            advice="use %d, %m or %b, and %Y or %y, once each, for example %d-%b-%y",
        )
    return re.compile("".join(_DIRECTIVES.get(piece) or re.escape(piece) for piece in pieces), re.ASCII)


def parse_date(text: str, pattern: re.Pattern[str], plus_days: int = 0) -> date:
    """The date that a text shows, and days more.

    Raises:
        ValueError: It is no such date.
    """
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date of the form that the mapping states")
    part = found.groupdict()
    short = part.get("short")
    year = int(part["year"]) if short is None else int(short) + (1900 if int(short) >= 69 else 2000)
    month = _MONTHS.index(part["name"].lower()) + 1 if "name" in part else int(part["month"])
    try:
        return date(year, month, int(part["day"])) + timedelta(days=plus_days)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no day of the calendar") from None


def sum_minor(text: str, currency: str) -> int:
    """A control total in minor units. Unlike one amount it may be of any size.

    Raises:
        ValueError: It is no amount of the currency.
    """
    if currency not in EXPONENTS or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text, re.ASCII):
        raise ValueError(f"{text!r} {currency} is no sum: write digits and a point, and an ISO 4217 code")
    decimals = EXPONENTS[currency]
    whole, _, fraction = text.partition(".")
    if len(fraction) > decimals:
        raise ValueError(f"{text!r} has {len(fraction)} decimals, {currency} has {decimals}")
    return int(whole + fraction.ljust(decimals, "0"))


def amount_minor(text: str, currency: str, decimal: str) -> int:
    """An amount of a row in minor units, exactly.

    Raises:
        ValueError: It is no amount, or has more decimals than the currency.
    """
    if decimal == ",":
        text = text.translate({ord(","): ".", ord("."): ","})
    return parse_amount(text, currency)
