"""What is true of all records together, beyond what `finchain.domain.invariants` checks: parts, invoices and keys."""

from __future__ import annotations

from collections import defaultdict

from book import MemoryBook
from finchain.domain import invariants
from finchain.domain.fingerprint import Fingerprint
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.part import Part
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent


def check_parts(ledger: MemoryBook) -> None:
    """I-3 once more: what a claim says is assigned or pledged is what the parts of it say."""
    open_parts: dict[tuple[str, str], int] = defaultdict(int)
    for part in ledger.all(Part):
        assert min(part.amount_minor, part.settled_minor, part.released_minor) >= 0
        open_parts[part.receivable, part.mark] += part.amount_minor
    for claim in ledger.all(Receivable):
        for mark, amount in (("assigned", claim.assigned), ("pledged", claim.pledged)):
            disputed: int = getattr(claim, f"disputed_{mark}")
            assert open_parts[claim.id, mark] == amount + disputed, f"I-3 {claim.id} {mark}"


def check_fingerprints(ledger: MemoryBook) -> None:
    """R1: every live claim holds its invoice, and no invoice is held by two."""
    held = {each.id: each.receivable for each in ledger.all(Fingerprint) if each.receivable is not Absent}
    live = [(claim.fingerprint, claim.id) for claim in ledger.all(Receivable) if claim.live]
    assert sorted(held.items()) == sorted(live)


def check_keys(ledger: MemoryBook) -> None:
    """A public key is enrolled once, and a party's live keys are those that have not ended."""
    keys = {key.id: key for key in ledger.all(PartyKey)}
    assert {each.id: each.key for each in ledger.all(PublicKey)} == {
        public_key_id(key.public_key): id for id, key in keys.items()
    }
    for party in ledger.all(Party):
        own = {number: keys[f"{party.id}/{number}"] for number in range(1, party.keys + 1)}
        assert party.live == tuple(number for number, key in own.items() if key.ended_ms is Absent)
        assert list(party.roles) == sorted(set(party.roles))
        assert party.threshold >= 1


def check_all(ledger: MemoryBook) -> None:
    """Checks every invariant: those that the library checks itself, and those of this file."""
    invariants.check_all(ledger.records.values())
    check_parts(ledger)
    check_fingerprints(ledger)
    check_keys(ledger)
