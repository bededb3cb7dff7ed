"""A night that failed says so: refusals have a limit, a dry run runs the rules, nothing applied is no success."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
from finchain import instructions as do
from finchain.batch import sending
from finchain.batch.report import RunNote
from finchain.cli import run
from finchain.rehearsal import Rehearsal
from finchain.submitting import Submitting
from loads import DAY, LOOKUP, MAPPING, altered, founded, lines_of, loaded, orders, rejects_of

load_module = importlib.import_module("finchain.batch.load")
"""The module; `batch.load` is the function of the same name."""


@pytest.fixture
def desk(tmp_path: Path, key_folder: Path) -> Path:
    """A folder with mapping and lookup."""
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "parties.csv").write_text(LOOKUP, "utf-8")
    return tmp_path


@pytest.fixture
def ledger(desk: Path) -> Iterator[fc.Ledger]:
    """A ledger on which the parties of the lookup are registered."""
    with founded(desk) as made:
        yield made


# ---- a night that failed says so
def test_a_file_that_was_loaded_with_other_words_is_kept_out_before_anything_is_sent(
    ledger: fc.Ledger, desk: Path
) -> None:
    loaded(ledger, desk, orders(30))
    height, changed = ledger.height, orders(30).replace("I-7,Moon", "I-7,Sun")
    for dry_run in (True, False):
        report = loaded(ledger, desk, changed, dry_run=dry_run)
        # Each id but the one of the changed row is there.
        assert (report.exit_code, report.refused, report.applied) == (8, 29, 0)
        assert report.codes == {"receivable.duplicate": 29} and len(rejects_of(report)) == 29
        assert "29 of 30 rows are refused, and max_refused is 20" in report.problem
        assert "1 ready, 29 would be refused" in str(report) and "nothing was committed" in str(report)
    assert ledger.height == height


@pytest.mark.parametrize(("limit", "exit_code"), [("", 8), ("max_refused = 0\n", 8), ("max_refused = 1\n", 4)])
def test_one_refused_row_is_too_many_unless_the_mapping_says_otherwise(
    ledger: fc.Ledger, desk: Path, limit: str, exit_code: int
) -> None:
    altered(desk, "max_refused = 20\n", limit)
    height = ledger.height
    report = loaded(ledger, desk, lines_of("1,Sun,Peru,5,USD,2.1.2026", "1,Sun,Peru,3,USD,2.1.2026"))
    assert (report.exit_code, report.refused, ledger.height > height) == (exit_code, 1, exit_code == 4)


def test_nothing_applied_is_never_success(ledger: fc.Ledger, desk: Path) -> None:
    altered(desk, "max_rejects = 20\nmax_refused = 20", 'max_rejects = "100%"\nmax_refused = "100%"')
    height = ledger.height
    rejected = loaded(ledger, desk, lines_of("1,Sun,Peru,0,USD,2.1.2026"))
    assert (rejected.exit_code, rejected.problem) == (8, "no row would be applied")
    loaded(ledger, desk, orders(2))
    refused = loaded(ledger, desk, orders(2) + "\n")
    assert (refused.exit_code, refused.refused, refused.sent) == (8, 2, 0)
    assert ledger.height > height, "the good file in between"


def test_what_is_refused_only_when_it_is_sent_stops_the_load_at_the_chunk(
    ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state changes between the rehearsal and the sending: somebody else claims some of the invoices."""
    altered(desk, "max_refused = 20", "max_refused = 2")
    monkeypatch.setattr(sending, "CHUNK_TRANSACTIONS", 1)
    key = fc.Key.from_seed(hashlib.sha256(b"a test\nsun").digest())
    taken = [do.SubmitReceivable(f"sun/I-{n}", "sun", "pe", 5, "USD", DAY, f"other {n}") for n in (8, 10, 12)]

    def meanwhile(done: int, planned: int | None) -> None:
        if planned is not None and done == 4:
            ledger.submit(taken, by=key)

    report = loaded(ledger, desk, orders(30), progress=meanwhile)
    assert (report.exit_code, report.refused, report.codes) == (16, 3, {"receivable.duplicate": 3})
    assert report.rows == report.applied + report.refused + report.rejected + report.unsent
    assert (report.applied, report.unsent, report.sent) == (0, 27, 2)
    assert "stopped: 3 of 30 rows are refused, and max_refused is 2; 2 transactions" in str(report)
    assert "nothing was committed" not in str(report)
    (note,) = (desk / "out").glob("*/run.json")
    assert msgspec.json.decode(note.read_bytes(), type=RunNote).report == report
    # Whoever allows more goes on where it stopped.
    altered(desk, "max_refused = 2", "max_refused = 3")
    on = loaded(ledger, desk)
    assert (on.exit_code, on.applied, on.refused, on.unsent) == (4, 27, 3, 0)


def test_a_transaction_that_is_rejected_in_the_middle_does_not_hide_those_beside_it(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody uses the first number of a lane of the run while it is sent."""
    founded(desk).close()
    (desk / "orders.csv").write_text(orders(30))
    key = fc.Key.from_seed(hashlib.sha256(b"a test\nmoon").digest())
    rehearse = Submitting.rehearse
    calls = []

    def and_meanwhile(ledger: Submitting) -> Rehearsal:
        calls.append(ledger)
        if len(calls) == 2:
            claim = do.SubmitReceivable("other", "moon", "pe", 5, "USD", DAY, "other")
            ledger.submit(claim, by=key, lane="r/claim")
        return rehearse(ledger)

    monkeypatch.setattr(Submitting, "rehearse", and_meanwhile)
    words = ["load", str(desk / "night.finchain"), str(desk / "mapping.toml"), "--out", str(desk / "out")]
    assert run([*words, "--run-id", "r"]) == 16
    assert "stopped with 7 transactions and 0 parties of this run on the ledger" in capfd.readouterr().err
    assert run([*words, "--run-id", "r"]) == 8, "now it is found on paper"


def test_a_dry_run_sees_what_is_there_and_what_the_file_says_twice(
    ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across windows, and with all but a few records of the rehearsal on disk."""
    monkeypatch.setattr(load_module, "WINDOW_ROWS", 5)
    monkeypatch.setattr("finchain.rehearsal.RECORDS_MAX", 3)
    loaded(ledger, desk, lines_of("I-2,Sun,Peru,1,USD,2.6.2025"))
    twice = orders(20) + "I-1,Moon,Peru,9,USD,2.6.2025\nI-30,Sun,Peru,9,USD,2.6.2025\n"
    checked = loaded(ledger, desk, twice, dry_run=True)
    assert [(row["row"], row["code"]) for row in rejects_of(checked)] == [
        ("4", "receivable.duplicate"), ("22", "receivable.duplicate"),
    ]  # fmt: skip
    assert (checked.exit_code, "20 ready, 2 would be refused" in str(checked)) == (4, True)
    done = loaded(ledger, desk)
    assert (done.applied, done.refused, done.totals) == (20, 2, checked.totals)


def test_a_dry_run_enrols_on_paper_and_a_bad_file_enrols_nobody(desk: Path) -> None:
    with fc.create(desk / "new", name="example.org/new", clock=fc.SimulatedClock(DAY)) as new:
        height = new.height
        assert loaded(new, desk, orders(5), dry_run=True).codes == {"row.not_enrolled": 5}
        checked = loaded(new, desk, dry_run=True, enrol=True)
        assert (checked.ready, checked.enrolled, checked.exit_code, new.height) == (5, 4, 0, height)
        assert "4 parties would be registered" in str(checked)
        bad = loaded(new, desk, orders(5) + "x\n" * 21, enrol=True)
        assert (bad.exit_code, bad.enrolled, new.height) == (8, 0, height)
        done = loaded(new, desk, orders(5), enrol=True)
        assert (done.applied, done.enrolled) == (5, 4) and new.height > height
        assert "4 parties registered" in str(done)


def test_a_role_that_is_missing_is_found_on_paper(desk: Path) -> None:
    (desk / "parties.csv").write_text(LOOKUP.replace("GmbH,supplier", "GmbH,debtor"), "utf-8")
    with fc.create(desk / "new", name="example.org/new", clock=fc.SimulatedClock(DAY)) as new:
        checked = loaded(new, desk, orders(4), dry_run=True, enrol=True)
        assert checked.codes == {"receivable.wrong_role": 2} and checked.ready - checked.refused == 2


def test_a_registration_that_a_rule_refuses_keeps_the_file_out(desk: Path) -> None:
    (desk / "parties.csv").write_text(LOOKUP.replace("月亮电子有限公司", "x" * 129), "utf-8")
    with fc.create(desk / "new", name="example.org/new", clock=fc.SimulatedClock(DAY)) as new:
        report = loaded(new, desk, orders(4), enrol=True)
        assert (report.exit_code, report.enrolled, new.height) == (8, 0, 1)
        assert "moon cannot be registered" in report.problem


def test_registrations_before_a_failure_are_counted(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody registers the third party while the load registers the first two."""
    path = desk / "new"
    fc.create(path, name="example.org/new", clock=fc.SimulatedClock(DAY)).close()
    (desk / "orders.csv").write_text(orders(5))
    register = Submitting.register

    def and_meanwhile(ledger: Submitting, party_id: str, name: str, **more: Any) -> fc.Outcome:
        if party_id == "ci":
            register(ledger, "ci", "somebody else", roles=["debtor"], key=fc.Key.generate())
        return register(ledger, party_id, name, **more)

    monkeypatch.setattr(Submitting, "register", and_meanwhile)
    assert run(["load", str(path), str(desk / "mapping.toml"), "--out", str(desk / "out"), "--enrol"]) == 16
    assert "stopped with 0 transactions and 2 parties" in capfd.readouterr().err


def test_a_dry_run_through_a_connection_says_the_same(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, lines_of("I-2,Sun,Peru,1,USD,2.6.2025"))
    here = loaded(ledger, desk, orders(8), dry_run=True)
    with ledger.serve(), fc.connect(ledger.path) as connection:
        there = loaded(connection, desk, dry_run=True)  # type: ignore[arg-type]
        assert there == here and there.codes == {"receivable.duplicate": 1}
        assert loaded(connection, desk).applied == 7  # type: ignore[arg-type]
