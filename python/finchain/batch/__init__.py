"""Batch loads: CSV and TSV files into a ledger, through a small TOML mapping.

Every row is applied, refused with a code, or rejected with file, row and reason; a load that was killed is run again
and ends as if nothing had happened. Nothing here rounds, repairs or guesses.
"""

from finchain.batch.load import load
from finchain.batch.mapping import Mapping, read_mapping
from finchain.batch.parties import enrol_parties
from finchain.batch.prepared import PartSummary, is_part, read_summary, sign_part
from finchain.batch.report import LoadReport

__all__ = [
    "LoadReport", "Mapping", "PartSummary", "enrol_parties", "is_part", "load", "read_mapping", "read_summary",
    "sign_part",
]  # fmt: skip
