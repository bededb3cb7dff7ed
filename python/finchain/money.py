"""Amounts of money: integers of minor units, their currencies, and how they are written and read.

Nothing here is ever a float, rounds, or guesses a currency. Text with more decimals than the currency has is
refused, because the cent that would be lost belongs to somebody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

AMOUNT_MAX_MINOR: Final = 2**53 - 1
"""Largest amount: what every JSON reader holds exactly (RFC 8785)."""

_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNH CNY "
        "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
        "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
        "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
        "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}

EXPONENTS: Final[Mapping[str, int]] = MappingProxyType(
    {code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()}
)
"""Decimals of each currency, by ISO 4217 code (and CNH, as banks write offshore renminbi).

The table is part of the rulebook: a currency that is added later is a new rulebook, so that every replay agrees.
"""

_AMOUNT = re.compile(r"(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?", re.ASCII)


def exponent(currency: str) -> int:
    """How many decimals the currency has.

    Raises:
        ValueError: The currency is not in the table.
    """
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is not a currency code that this rulebook knows") from None


def format_minor(amount_minor: int, currency: str) -> str:
    """The amount as people write it: `format_minor(116000000, "CNY")` is `"1,160,000.00"`.

    Raises:
        ValueError: The currency is not in the table.
    """
    decimals = exponent(currency)
    sign, digits = ("-" if amount_minor < 0 else ""), str(abs(amount_minor)).rjust(decimals + 1, "0")
    if decimals == 0:
        return f"{sign}{int(digits):,}"
    return f"{sign}{int(digits[:-decimals]):,}.{digits[-decimals:]}"


def parse_amount(text: str, currency: str) -> int:
    """The amount in minor units, exactly.

    Args:
        text: Digits, with a point before the decimals and commas between thousands or none: `"1,234.5"`.
        currency: ISO 4217 code.

    Raises:
        ValueError: The currency is unknown, the text is no amount, it has more decimals than the currency, or it
            is beyond 2^53-1 minor units.
    """
    decimals = exponent(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no amount: write digits and a point, for example 1234.50")
    sign, whole, fraction = match[1], match[2].replace(",", ""), match[3] or ""
    if len(fraction) > decimals:
        raise ValueError(f"{text!r} has {len(fraction)} decimals, {currency} has {decimals}")
    if len(whole) > 16:
        raise ValueError(f"{text!r} is beyond {AMOUNT_MAX_MINOR} minor units")
    amount_minor = int(whole + fraction.ljust(decimals, "0"))
    if amount_minor > AMOUNT_MAX_MINOR:
        raise ValueError(f"{text!r} is beyond {AMOUNT_MAX_MINOR} minor units")
    return -amount_minor if sign else amount_minor
