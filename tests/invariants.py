"""The invariants of the domain, checked over all records at once. Each is named after domain.md.

A check takes anything that lists records by kind, so the same functions watch a book in memory and a whole ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from finchain.domain.fingerprint import Fingerprint
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.part import Part
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.rule import AMOUNT_MAX_MINOR, Absent, Record

R = TypeVar("R", bound=Record)


class Records(Protocol):
    """Whatever can list its records."""

    def all(self, kind: type[R]) -> list[R]:
        """All records of a kind."""


def check_claims(records: Records) -> None:
    """I-1, I-2 and I-3: every unit of a claim lies in one bucket, and none is below zero."""
    for claim in records.all(Receivable):
        buckets = {name: value for name, value in msgspec.structs.asdict(claim).items() if isinstance(value, int)}
        assert all(0 <= value <= AMOUNT_MAX_MINOR for value in buckets.values()), claim
        assert claim.claimed == (
            claim.pending + claim.confirmed + claim.disputed_pre + claim.rejected + claim.cancelled
        ), f"I-1 {claim}"  # fmt: skip
        assert claim.confirmed == (
            claim.open + claim.disputed_post + claim.converted + claim.conv_settled + claim.settled + claim.credited
            + claim.setoff + claim.written_off
        ), f"I-2 {claim}"  # fmt: skip
        assert claim.open == claim.free + claim.reserved + claim.assigned + claim.pledged, f"I-3 {claim}"
        assert claim.waived <= claim.confirmed
        assert claim.creditor != claim.debtor


def check_parts(records: Records) -> None:
    """I-3 once more: what a claim says is assigned or pledged is what the parts of it say."""
    open_parts: dict[tuple[str, str], int] = defaultdict(int)
    for part in records.all(Part):
        assert min(part.amount_minor, part.settled_minor, part.released_minor) >= 0
        open_parts[part.receivable, part.mark] += part.amount_minor
    for claim in records.all(Receivable):
        for mark, amount in (("assigned", claim.assigned), ("pledged", claim.pledged)):
            disputed: int = getattr(claim, f"disputed_{mark}")
            assert open_parts[claim.id, mark] == amount + disputed, f"I-3 {claim.id} {mark}"


def check_fingerprints(records: Records) -> None:
    """R1: every live claim holds its invoice, and no invoice is held by two."""
    held = {each.id: each.receivable for each in records.all(Fingerprint) if each.receivable is not Absent}
    live = {claim.fingerprint: claim.id for claim in records.all(Receivable) if claim.live}
    assert held == live
    assert max(Counter(claim.fingerprint for claim in records.all(Receivable) if claim.live).values(), default=1) == 1


def check_keys(records: Records) -> None:
    """A public key is enrolled once, and a party's live keys are those that have not ended."""
    keys = {key.id: key for key in records.all(PartyKey)}
    assert {each.id: each.key for each in records.all(PublicKey)} == {
        public_key_id(key.public_key): id for id, key in keys.items()
    }
    for party in records.all(Party):
        own = {number: keys[f"{party.id}/{number}"] for number in range(1, party.keys + 1)}
        assert party.live == tuple(number for number, key in own.items() if key.ended_ms is Absent)
        assert list(party.roles) == sorted(set(party.roles))
        assert party.threshold >= 1


INVARIANTS: tuple[Callable[[Records], None], ...] = (check_claims, check_parts, check_fingerprints, check_keys)
"""Every check; one more instrument is one more entry here."""


def check_all(records: Records) -> None:
    """Checks every invariant."""
    for check in INVARIANTS:
        check(records)
