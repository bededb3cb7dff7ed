"""Derives the lookup of `trade_orders.toml` from the order lines: a party for each vendor and for each country's buyer.

The vendors and countries are other people's data and stand under their licence, so no list of them is kept here: it is
made where it is needed. The names of the buyers are invented.

    python trade_orders_parties.py ORDER_LINES LOOKUP
"""

from __future__ import annotations

import csv
import re
import sys
import unicodedata
from pathlib import Path


def slug(text: str) -> str:
    """A name in the characters of a party id."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50]


def write_lookup(order_lines: Path, lookup: Path) -> int:
    """Writes the lookup, and gives the number of parties in it."""
    with order_lines.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    vendors = sorted({line["Vendor"] for line in lines})
    countries = sorted({line["Country"] for line in lines})
    parties = [(vendor, f"vendor.{slug(vendor)}", vendor, "supplier", "") for vendor in vendors]
    parties += [(land, f"buyer.{slug(land)}", f"{land} · 公共卫生采购处", "debtor", "") for land in countries]
    with lookup.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["value", "id", "name", "roles", "key"])
        writer.writerows(parties)
    return len(parties)


if __name__ == "__main__":
    print(write_lookup(Path(sys.argv[1]), Path(sys.argv[2])), "parties")
