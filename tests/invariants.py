"""What is true of all records together, beyond `finchain.domain.invariants`: parts, disputes, invoices and keys."""

from __future__ import annotations

from collections import defaultdict

from book import MemoryBook
from finchain.domain import invariants
from finchain.domain.dispute import Dispute
from finchain.domain.fingerprint import Fingerprint
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.late import LateInterest
from finchain.domain.part import Part
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.reduction import Counterclaim, Reduction
from finchain.domain.rule import Absent


def check_parts(ledger: MemoryBook) -> None:
    """I-3 once more: what a claim says is assigned or pledged, disputed or not, is what the parts of it say."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for part in ledger.all(Part):
        buckets = (
            part.amount_minor, part.disputed_minor, part.settled_minor, part.released_minor, part.reversed_minor,
            part.credited_minor, part.setoff_minor, part.written_off_minor,
        )  # fmt: skip
        assert min(buckets) >= 0 and sum(buckets) == part.face_minor > 0, f"part {part.id}"
        totals[part.receivable, part.mark] += part.amount_minor
        totals[part.receivable, f"disputed_{part.mark}"] += part.disputed_minor
    for claim in ledger.all(Receivable):
        for bucket in ("assigned", "pledged", "disputed_assigned", "disputed_pledged"):
            assert totals[claim.id, bucket] == getattr(claim, bucket), f"I-3 {claim.id} {bucket}"
        assert claim.reserved == sum(offer.amount_minor for offer in claim.offers), f"I-3 {claim.id} reserved"
        live = {p.id for p in ledger.all(Part) if p.receivable == claim.id and p.amount_minor + p.disputed_minor}
        assert live <= set(claim.parts), f"{claim.id} does not know its parts"


def check_disputes(ledger: MemoryBook) -> None:
    """What a claim says is disputed is what its disputes say, in each of its parts."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    by_part: dict[str, int] = defaultdict(int)
    for dispute in ledger.all(Dispute):
        buckets = (dispute.open_minor, dispute.owed_minor, dispute.reduced_minor)
        assert min(buckets) >= 0 and sum(buckets) == dispute.face_minor > 0, f"dispute {dispute.id}"
        totals[dispute.receivable, dispute.stage] += dispute.open_minor
        if dispute.part is not Absent:
            by_part[dispute.part] += dispute.open_minor
    for claim in ledger.all(Receivable):
        assert totals[claim.id, "pending"] == claim.disputed_pre, f"I-1 {claim.id}"
        assert totals[claim.id, "confirmed"] == claim.disputed_post, f"I-3 {claim.id}"
    for part in ledger.all(Part):
        assert by_part[part.id] == part.disputed_minor, f"I-3 {part.id}"


def check_reductions(ledger: MemoryBook) -> None:
    """What was set off, written off and credited is what the entries say that were not reversed, and disputes."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    counters: dict[tuple[str, str], int] = defaultdict(int)
    for entry in ledger.all(Reduction):
        if entry.reversed is Absent:
            assert 0 <= entry.recovered_minor <= entry.amount_minor, entry.id
            totals[entry.receivable, entry.form] += entry.open_minor
            if entry.form == "set_off":
                counters[ledger.get(Receivable, entry.receivable).debtor, entry.paper] += entry.amount_minor
    for dispute in ledger.all(Dispute):
        if dispute.stage == "confirmed":
            totals[dispute.receivable, "credit_note"] += dispute.reduced_minor
    for claim in ledger.all(Receivable):
        assert claim.setoff == totals[claim.id, "set_off"], claim.id
        assert claim.written_off == totals[claim.id, "write_off"], claim.id
        # What a holder forgave of a certificate is credited too.
        assert claim.credited >= totals[claim.id, "credit_note"], claim.id
    for counter in ledger.all(Counterclaim):
        debtor, _, paper = counter.id.partition(" ")
        assert counter.used_minor == counters[debtor, paper], counter.id
        assert 0 <= counter.used_minor <= counter.terms.amount_minor


def check_late_interest(ledger: MemoryBook) -> None:
    """What was posted as interest for late payment is paid, waived or due."""
    for owed in ledger.all(LateInterest):
        assert min(owed.paid_minor, owed.waived_minor, owed.due_minor) >= 0 < owed.posted_minor, owed.id


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
    check_disputes(ledger)
    check_reductions(ledger)
    check_late_interest(ledger)
    check_fingerprints(ledger)
    check_keys(ledger)
