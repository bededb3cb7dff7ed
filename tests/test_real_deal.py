"""The deal of `demo_deal` on a real ledger: after every step each invariant holds, and no cent is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

import finchain as fc
import invariants
from book import MemoryBook
from finchain.demo_deal import NET_CASH, PARTIES, START, deal
from finchain.domain.cash import Cash
from finchain.opening import HashSuite
from real_ledger import key


def in_memory(ledger: fc.Ledger) -> MemoryBook:
    """All records of the ledger, where the invariants can be asked for."""
    book = MemoryBook(today=ledger.today, ledger=ledger.name)
    book.records = {(type(record), record.id): record for record in ledger.find_all()}
    return book


@pytest.mark.parametrize("suite", ["blake3", "sha256"])
def test_the_deal_conserves_everything(tmp_path: Path, suite: HashSuite) -> None:
    clock, folder = fc.SimulatedClock(START), tmp_path / "deal.finchain"
    with fc.create(folder, name="example.com/deal", keys=tmp_path / "keys", clock=clock, hash_suite=suite) as ledger:
        for party in PARTIES:
            ledger.register(party.id, party.name, roles=party.roles, key=key(party.id))
        for step in deal():
            clock.move_to(step.day)
            signers = [key(name) for name in step.by]
            if step.expect == "applied":
                assert ledger.submit(list(step.instructions), by=signers).status == "applied", step.title
            else:
                with pytest.raises(fc.Refused) as refusal:
                    ledger.submit(list(step.instructions), by=signers)
                assert refusal.value.code == step.expect, step.title
            for figure in step.figures:
                shown = getattr(ledger.get(figure.kind, figure.id), figure.member)
                assert shown == figure.expected, f"{step.title}: {figure.kind.kind} {figure.id} {figure.member}"
            invariants.check_all(in_memory(ledger))
        assert {cash.id.removesuffix(" CNY"): cash.net_minor for cash in ledger.find(Cash)} == dict(NET_CASH)
        state, height = ledger.state_root, ledger.height
    audit = fc.check(folder)
    assert (audit.state_root, audit.blocks) == (state.hex(), height)
