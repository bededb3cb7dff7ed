"""What each instruction changed, as a replay tells it: nothing is left out, and nothing that was refused is in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

import finchain as fc
from finchain import instructions as do
from finchain.demo_deal import Step, paper
from finchain.domain.certificate import Lot
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Record
from finchain.report import holdings, trace
from played_deal import bent, case_a, case_c, played, until_maturity
from real_ledger import claim, found, key

Key = tuple[type[Record], str]


@pytest.mark.parametrize("deal", [case_a, case_c, bent])
def test_they_lead_from_nothing_to_what_the_ledger_holds(tmp_path: Path, deal: Callable[[], list[Step]]) -> None:
    with played(tmp_path, deal()) as ledger:
        held: dict[Key, Record] = {}
        places = []
        for change in ledger.changes():
            places.append((change.height, change.entry, change.index))
            for before, after in change.records:
                assert held.get((type(after), after.id)) == before
                held[type(after), after.id] = after
        assert places == sorted(set(places))
        assert held == {(type(record), record.id): record for record in ledger.find_all()}


def test_each_instruction_of_a_transaction_is_a_change_of_its_own(tmp_path: Path) -> None:
    """Two hands in one transaction are two changes, with the record between them."""
    issued = list(takewhile(lambda step: step.title != "A part pays a supplier", until_maturity()))
    with played(tmp_path, issued) as ledger:
        steps = [
            do.OfferTransfer("cert-1 1", "maker", 36_000_000, paper("parts"), recourse=False),
            do.AcceptTransfer("cert-1 1"),
            do.OfferTransfer("cert-1 1", "factor", 36_000_000, paper("parts"), recourse=False),
            do.AcceptTransfer("cert-1 1"),
        ]
        outcome = ledger.submit(steps, by=[key("shop"), key("maker"), key("factor")])
        last = [change for change in ledger.changes() if (change.height, change.entry) == (outcome.height, 0)]
    assert [change.instruction for change in last] == steps
    assert {change.by for change in last} == {("factor", "maker", "shop")}
    holders = [[lot.holder for _, lot in change.of(Lot) if lot.id == "cert-1 1"] for change in last]
    assert holders == [["shop"], ["maker"], ["maker"], ["factor"]]
    assert [change.order for change in last][1::2] == ["certificate.accept_transfer"] * 2


def test_what_was_refused_is_no_change(tmp_path: Path) -> None:
    """Of what holds together not even the first half stays; a row that stands alone takes no other along."""
    with found(tmp_path) as ledger:
        first = ledger.submit(claim("R-1"), by=key("shop"))
        with pytest.raises(fc.Refused):
            ledger.submit([claim("R-2"), claim("R-1")], by=key("shop"))
        ledger.submit_each([claim("R-3"), claim("R-1"), claim("R-4")], by=key("shop"))
        made = [change for change in ledger.changes() if change.height >= first.height]
    assert [(change.index, record.id) for change in made for _, record in change.of(Receivable)] == [
        (0, "R-1"), (0, "R-3"), (2, "R-4"),
    ]  # fmt: skip


def test_a_reader_and_the_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Half read, the ledger is written to from another thread, and the reader sees what was there when it began."""
    with found(tmp_path) as ledger:
        ledger.submit(claim("R-1"), by=key("shop"))
        height, changes = ledger.height, ledger.changes()
        seen = [next(changes)]
        writer = threading.Thread(target=lambda: ledger.submit(claim("R-2"), by=key("shop")))
        writer.start()
        writer.join()
        assert ledger.height == height + 1
        seen += changes
    assert max(change.height for change in seen) == height - 1


def test_whoever_only_reads_the_index_sees_the_same(tmp_path: Path) -> None:
    """Holdings and traces need nothing of the process that writes."""
    with played(tmp_path, case_a()) as ledger:
        told = holdings(ledger, "cert-1"), trace(ledger, "claim-1")
        whole = list(ledger.changes())
    with fc.open(ledger.path, read_only=True) as reader, reader.snapshot() as snapshot:
        assert (holdings(reader, "cert-1"), trace(snapshot, "claim-1")) == told
        assert list(snapshot.changes()) == whole
