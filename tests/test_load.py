"""Files become claims and confirmations: applied, refused or rejected, each row once, whatever interrupts the load."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest

import finchain as fc
import house
from finchain import batch
from finchain import instructions as do
from finchain.batch import reader, sending
from finchain.batch.report import RunNote
from finchain.domain.key import Duty
from loads import DAY, LOOKUP, MAPPING, altered, claims_of, founded, lines_of, loaded, orders, rejects_of

load_module = importlib.import_module("finchain.batch.load")
"""The module; `batch.load` is the function of the same name."""

EXAMPLES = house.REPOSITORY / "examples"

LOADER = """
import sys, finchain as fc
from finchain import batch
from finchain import instructions as do
from finchain.batch import reader
ledger, mapping, input, out = sys.argv[1:]
with fc.open(ledger) as opened:
    def told(done, planned):
        if planned is not None:
            print(done, flush=True)
    print(batch.load(opened, mapping, input=input, out=out, progress=told).exit_code, flush=True)
"""
"""What a job scheduler starts; it tells its progress line by line, so that a test can kill it after one of them."""


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


# ---- what becomes of rows
def test_good_rows_become_confirmed_claims(ledger: fc.Ledger, desk: Path) -> None:
    report = loaded(
        ledger, desk, lines_of("7,Sun Ltd,Côte d'Ivoire,1250.5,USD,2.1.2026", "8,Moon,Peru,30,JPY,2.1.2026")
    )
    assert (report.rows, report.applied, report.exit_code, report.rejects) == (2, 2, 0, None)
    assert report.totals == {"USD": 125_050, "JPY": 30}
    claim = ledger.get(fc.Receivable, "sun/7")
    assert (claim.creditor, claim.debtor, claim.invoice, claim.due) == ("sun", "ci", "7", date(2026, 3, 3))
    assert (claim.claimed, claim.confirmed, claim.status) == (125_050, 125_050, "confirmed")
    assert ledger.get(fc.Party, "moon").name == "月亮电子有限公司"


def test_an_overdue_claim_is_taken_and_confirmed(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, lines_of("7,Sun,Peru,1,USD,2.1.2006"))
    claim = ledger.get(fc.Receivable, "sun/7")
    assert claim.overdue(ledger.today) and claim.confirmed == claim.claimed


def test_without_confirm_the_debtors_say_nothing(ledger: fc.Ledger, desk: Path) -> None:
    altered(desk, "confirm = true", "confirm = false")
    assert loaded(ledger, desk, lines_of("7,Sun,Peru,1,USD,2.1.2026")).exit_code == 0
    assert ledger.get(fc.Receivable, "sun/7").status == "submitted"


BAD_ROWS = {
    "row.zero": b"2,Sun,Peru,0.00,USD,2.1.2026",
    "row.negative": b"3,Sun,Peru,-1,USD,2.1.2026",
    "row.amount": b"4,Sun,Peru,1.005,USD,2.1.2026",
    "row.date": b"5,Sun,Peru,1,USD,30.2.2026",
    "row.unknown_party": b"6,Mars,Peru,1,USD,2.1.2026",
    "row.one_party": b"7,Moon,Moon,1,USD,2.1.2026",
    "row.columns": b"8,Sun,Peru,1,USD",
    "row.encoding": b"9,Sun,Per\xfa,1,USD,2.1.2026",
    "row.nul": b"10,Sun,Peru\0,1,USD,2.1.2026",
    "row.quoting": b'11,5" Sun,Peru,1,USD,2.1.2026',
    "receivable.reference": b",Sun,Peru,1,USD,2.1.2026",
    "receivable.identifier": b"13 a,Sun,Peru,1,USD,2.1.2026",
}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_bad_row_is_rejected_with_place_reason_and_bytes(ledger: fc.Ledger, desk: Path, end: bytes) -> None:
    good = b"1,Sun,Peru,1,USD,2.1.2026"
    content = end.join([lines_of().strip().encode(), *BAD_ROWS.values(), good])
    report = loaded(ledger, desk, content)
    assert (report.applied, report.rejected, report.exit_code) == (1, len(BAD_ROWS), 4)
    assert report.codes == dict.fromkeys(sorted(BAD_ROWS), 1)
    rows = rejects_of(report)
    assert [row["code"] for row in rows] == list(BAD_ROWS)
    for number, (row, raw) in enumerate(zip(rows, BAD_ROWS.values(), strict=True), 2):
        assert (row["file"], row["row"], row["reason"] != "") == (str(desk / "orders.csv"), str(number), True)
        assert row["original"].encode("utf-8", "surrogateescape") == raw
        assert content[int(row["offset"]) :].startswith(raw)


def test_what_a_rule_refuses_is_counted_with_its_code(ledger: fc.Ledger, desk: Path) -> None:
    report = loaded(ledger, desk, lines_of("1,Sun,Peru,5,USD,2.1.2026", "1,Sun,Peru,3,USD,2.1.2026"))
    assert (report.applied, report.refused, report.exit_code) == (1, 1, 4)
    assert report.codes == {"receivable.duplicate": 1}
    (row,) = rejects_of(report)
    assert (row["row"], row["code"]) == ("3", "receivable.duplicate")
    assert "sun/1" in row["reason"]
    # The confirmation of a refused claim is never sent: it would speak of the other one.
    assert ledger.get(fc.Receivable, "sun/1").confirmed == 500


def test_a_side_may_be_the_same_in_every_row(ledger: fc.Ledger, desk: Path) -> None:
    altered(desk, 'debtor = "Buyer"', 'debtor = { value = "Peru" }\nid = "p/{Cur}/{No}"')
    loaded(ledger, desk, lines_of("1,Sun,nobody,5,USD,2.1.2026"))
    assert ledger.get(fc.Receivable, "p/USD/1").debtor == "pe"


def test_several_files_are_one_run(ledger: fc.Ledger, desk: Path) -> None:
    altered(desk, '"orders.csv"', '"in_*.csv"')
    (desk / "in_2.csv").write_text(lines_of("2,Sun,Peru,5,USD,2.1.2026", "x"))
    (desk / "in_1.csv").write_text(lines_of("1,Sun,Peru,5,USD,2.1.2026"))
    report = loaded(ledger, desk)
    assert [Path(name).name for name in report.files] == ["in_1.csv", "in_2.csv"]
    assert (report.applied, report.rejected) == (2, 1)
    assert [(Path(row["file"]).name, row["row"]) for row in rejects_of(report)] == [("in_2.csv", "3")]


# ---- who may sign
def test_keys_from_a_seed_are_for_ledgers_with_a_simulated_clock(desk: Path) -> None:
    with fc.create(desk / "real", name="example.org/real") as real:
        with pytest.raises(fc.ConfigError, match="real clock"):
            batch.enrol_parties(real, desk / "mapping.toml")
        with pytest.raises(fc.ConfigError, match="real clock"):
            loaded(real, desk, orders(1))


def test_key_files_sign_where_the_lookup_names_them(desk: Path) -> None:
    altered(desk, '[keys]\nseed = "a test"\n', "")
    (desk / "parties.csv").write_text(
        "value,id,name,roles,key\nSun,sun,Sonne,supplier,sun.pem\nPeru,pe,Perú,debtor,pe.pem\n", "utf-8"
    )
    fc.Key.generate().save(desk / "sun.pem")
    fc.Key.generate().save(desk / "pe.pem")
    with fc.create(desk / "real", name="example.org/real") as real:
        assert batch.enrol_parties(real, desk / "mapping.toml") == 2
        assert batch.enrol_parties(real, desk / "mapping.toml") == 0
        assert loaded(real, desk, lines_of("1,Sun,Peru,5,USD,2.1.2026")).exit_code == 0
        (desk / "sun.pem").unlink()
        assert loaded(real, desk, lines_of("2,Sun,Peru,5,USD,2.1.2026")).codes == {"row.key": 1}


def test_a_party_that_cannot_sign_costs_its_rows(ledger: fc.Ledger, desk: Path) -> None:
    with (desk / "parties.csv").open("a", encoding="utf-8") as file:
        file.write("New,new,Newcomer,supplier,\nTwo,two,Four Eyes,supplier,\nOld,old,Key of Another,supplier,\n")
    holders = [fc.Holder(fc.Key.generate(), "a"), fc.Holder(fc.Key.generate(), "b")]
    ledger.register("two", "Four Eyes", roles=["supplier"], keys=holders, threshold=2)
    ledger.register("old", "Key of Another", roles=["supplier"], key=fc.Key.generate())
    rows = [f"{n},{seller},Peru,5,USD,2.1.2026" for n, seller in enumerate(("New", "Two", "Old", "Sun"))]
    report = loaded(ledger, desk, lines_of(*rows))
    assert report.applied == 1
    assert report.codes == {"row.key": 2, "row.not_enrolled": 1}


def test_where_several_must_sign_a_load_signs_with_a_service_key_or_not_at_all(ledger: fc.Ledger, desk: Path) -> None:
    with (desk / "parties.csv").open("a", encoding="utf-8") as file:
        file.write("Two,two,Four Eyes,supplier,\nRobot,robot,Machine and Men,supplier,\n")
    duties: dict[str, Duty] = {"two": "any", "robot": "service"}
    for name, duty in duties.items():
        own = fc.Key.from_seed(hashlib.sha256(f"a test\n{name}".encode()).digest())
        holders = [fc.Holder(fc.Key.generate(), "a"), fc.Holder(fc.Key.generate(), "b")]
        holders.append(fc.Holder(own, "c", duty=duty))
        ledger.register(name, "Several", roles=["supplier"], keys=holders, threshold=2)
    report = loaded(ledger, desk, lines_of("1,Two,Peru,5,USD,2.1.2026", "2,Robot,Peru,5,USD,2.1.2026"))
    assert (report.applied, report.codes) == (1, {"row.threshold": 1})
    assert ledger.get(fc.Receivable, "robot/2").confirmed == 500


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("value,id,name\n", "columns"), ("value,id,name,roles,key\na,b,c,d,e\n", "roles"),
        ("value,id,name,roles,key\na,b,c,debtor\n", "4 fields"),
        ("value,id,name,roles,key\na,b,c,debtor,\nx,b,other,debtor,\n", "another name"),
        ("value,id,name,roles,key\na,b,c,debtor,\na,d,c,debtor,\n", "stands above"),
        ("value,id,name,roles,key\n\xff,b,c,debtor,\n", "utf-8"),
    ],
)  # fmt: skip
def test_a_lookup_that_contradicts_itself_is_not_taken(ledger: fc.Ledger, desk: Path, text: str, why: str) -> None:
    (desk / "parties.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(fc.ConfigError, match=why):
        loaded(ledger, desk, orders(1))


# ---- what keeps a file out
@pytest.mark.parametrize(
    ("control", "committed"),
    [
        ('rows = 2\nsums = { USD = "3.00" }', True), ("rows = 3", False), ('sums = { USD = "3.01" }', False),
        ('sums = { USD = "3", EUR = "1" }', False),
    ],
)  # fmt: skip
def test_control_totals_are_compared_before_anything_is_committed(
    ledger: fc.Ledger, desk: Path, control: str, committed: bool
) -> None:
    altered(desk, "[keys]", f"[control]\n{control}\n[keys]")
    # The second row is rejected for its date; its amount counts, for the sender has counted it.
    report = loaded(ledger, desk, lines_of("1,Sun,Peru,1,USD,2.1.2026", "2,Sun,Peru,2,USD,2.13.2026"))
    assert (report.exit_code, "control totals" in report.problem) == ((4, False) if committed else (8, True))
    assert bool(claims_of(ledger)) is committed


def test_control_totals_may_come_beside_the_file(ledger: fc.Ledger, desk: Path) -> None:
    altered(desk, "[keys]", '[control]\nsuffix = ".totals.toml"\n[keys]')
    with pytest.raises(fc.NotFound, match=r"orders\.csv\.totals\.toml"):
        loaded(ledger, desk, orders(2))
    (desk / "orders.csv.totals.toml").write_text("rows = 3")
    assert "orders.csv: there are 2 rows" in loaded(ledger, desk).problem
    (desk / "orders.csv.totals.toml").write_text("rows = 2")
    assert loaded(ledger, desk).exit_code == 0


@pytest.mark.parametrize(("bad", "exit_code"), [(20, 4), (21, 8)])
def test_more_rejects_than_allowed_commit_nothing(ledger: fc.Ledger, desk: Path, bad: int, exit_code: int) -> None:
    report = loaded(ledger, desk, orders(5) + "x\n" * bad)
    assert (report.exit_code, report.rejected) == (exit_code, bad)
    assert len(claims_of(ledger)) == (5 if exit_code == 4 else 0)
    assert len(rejects_of(report)) == bad


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "empty"), ("No,Seller,Buyer,Sum,Cur\n", "no column 'Day'"), ("No,No,Seller,Buyer,Sum,Cur,Day\n", "2 column"),
     ("\xff\n", "header cannot be read")],
)  # fmt: skip
def test_a_file_without_the_right_header_commits_nothing(ledger: fc.Ledger, desk: Path, content: str, why: str) -> None:
    report = loaded(ledger, desk, content.encode("latin-1"))
    assert report.exit_code == 8 and why in report.problem


def test_a_header_alone_is_a_file_of_no_rows(ledger: fc.Ledger, desk: Path) -> None:
    report = loaded(ledger, desk, lines_of())
    assert (report.rows, report.exit_code) == (0, 0)


def test_a_dry_run_tells_everything_and_commits_nothing(ledger: fc.Ledger, desk: Path) -> None:
    height = ledger.height
    report = loaded(ledger, desk, orders(5) + "x\n", dry_run=True)
    assert (report.ready, report.rejected, report.applied, report.exit_code) == (5, 1, 0, 4)
    assert report.totals == {"USD": 50_010} and len(rejects_of(report)) == 1
    assert (ledger.height, claims_of(ledger)) == (height, {})
    assert loaded(ledger, desk).applied == 5


# ---- again
def test_the_same_load_again_applies_nothing_twice(ledger: fc.Ledger, desk: Path) -> None:
    first = loaded(ledger, desk, orders(30) + "x\nI-3,Moon,Peru,9,USD,2.6.2025\n")
    claims, height = claims_of(ledger), ledger.height
    again = loaded(ledger, desk)
    assert (first.already, again.already) == (0, 31)
    assert msgspec.structs.replace(again, already=0, sent=first.sent) == first
    assert (again.sent, again.exit_code) == (0, 4)
    assert (claims_of(ledger), ledger.height) == (claims, height)
    assert [row["code"] for row in rejects_of(again)] == ["row.columns", "receivable.duplicate"]


def test_a_file_is_not_loaded_under_two_run_ids(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, orders(3), run_id="2026-03-02/ar")
    again = loaded(ledger, desk, run_id="2026-03-03/ar")
    assert again.exit_code == 8 and "2026-03-02/ar" in again.problem
    # Whoever insists is told by the rules that nothing is new.
    insisted = loaded(ledger, desk, run_id="2026-03-03/ar", allow_reload=True)
    assert (insisted.exit_code, insisted.refused, insisted.codes) == (8, 3, {"receivable.duplicate": 3})


def test_a_run_id_stands_for_one_content(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, orders(3), run_id="a")
    assert "another file" in loaded(ledger, desk, orders(4), run_id="a").problem
    # The notes are advice: without them the ledger itself finds the difference.
    shutil.rmtree(desk / "out")
    with pytest.raises(fc.Rejected, match="another mapping, lookup or file") as error:
        loaded(ledger, desk, run_id="a")
    assert error.value.code == "conflict"


def test_without_the_notes_a_load_still_applies_nothing_twice(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, orders(3))
    shutil.rmtree(desk / "out")
    assert loaded(ledger, desk).already == 3


@pytest.mark.parametrize(
    ("run_id", "taken"), [("a" * 128, True), ("a" * 129, False), ("2026/ar", True), ("../x", False), ("", False)]
)
def test_run_ids_have_limits(ledger: fc.Ledger, desk: Path, run_id: str, taken: bool) -> None:
    if taken:
        assert loaded(ledger, desk, orders(1), run_id=run_id).exit_code == 0
    else:
        with pytest.raises(fc.ConfigError, match="run id"):
            loaded(ledger, desk, orders(1), run_id=run_id)


def test_rows_of_many_windows_add_up(ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "WINDOW_ROWS", 7)
    told: list[tuple[int, int | None]] = []
    report = loaded(ledger, desk, orders(40), progress=lambda done, planned: told.append((done, planned)))
    assert (report.applied, report.totals["USD"]) == (40, 40 * 10_000 + sum(range(40)))
    assert told[-1] == (80, 80) and (7, None) in told
    assert loaded(ledger, desk).already == 40


def test_memory_does_not_grow_with_the_file(ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "WINDOW_ROWS", 100)
    monkeypatch.setattr(reader, "BLOCK_BYTES", 4_096)
    monkeypatch.setattr(reader, "ROW_BYTES_MAX", 4_096)
    monkeypatch.setattr("finchain.rehearsal.RECORDS_MAX", 500)
    monkeypatch.setattr("finchain.pipe.CACHE_RECORDS", 500)

    def peak_bytes(rows: int) -> int:
        (desk / "orders.csv").write_text(orders(rows))
        tracemalloc.start()
        try:
            assert loaded(ledger, desk, dry_run=True).ready == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(1_000)
    assert peak_bytes(10_000) < 1.3 * peak_bytes(1_000)


def test_a_transaction_twice_in_one_stream_is_answered_once(ledger: fc.Ledger) -> None:
    claim = do.SubmitReceivable("R-1", "sun", "pe", 5, "USD", DAY, "1")
    key = fc.Key.from_seed(hashlib.sha256(b"a test\nsun").digest())
    sent = ledger.prepare(claim, by=["sun"], lane="main").sign(key)
    assert [outcome.status for outcome in ledger.submit_all([sent, sent])] == ["applied", "already"]
    assert [outcome.status for outcome in ledger.submit_all([sent])] == ["already"]


# ---- what interrupts
def test_a_signal_ends_the_load_after_the_chunk(ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CHUNK_TRANSACTIONS", 2)

    def interrupt(done: int, planned: int | None) -> None:
        if done == 8 and planned is not None:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        loaded(ledger, desk, orders(30), progress=interrupt)
    assert signal.getsignal(signal.SIGTERM) is before
    (note,) = (desk / "out").glob("*/run.json")
    assert msgspec.json.decode(note.read_bytes(), type=RunNote).state == "stopped"
    assert len(claims_of(ledger)) == 8
    report = loaded(ledger, desk)
    assert (report.applied, report.already, report.exit_code) == (30, 0, 0)
    assert msgspec.json.decode(note.read_bytes(), type=RunNote).report == report


def test_a_load_runs_in_a_thread_too(ledger: fc.Ledger, desk: Path) -> None:
    reports: list[batch.LoadReport] = []
    (desk / "orders.csv").write_text(orders(3))
    thread = threading.Thread(target=lambda: reports.append(loaded(ledger, desk)))
    thread.start()
    thread.join()
    assert reports[0].applied == 3


def test_a_file_that_changes_while_it_is_loaded_is_noticed(
    ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_module, "WINDOW_ROWS", 2)

    def add_a_row(done: int, planned: int | None) -> None:
        if planned is not None:
            with (desk / "orders.csv").open("a") as file:
                file.write("x\n")

    with pytest.raises(fc.ConfigError, match="changed while it was loaded"):
        loaded(ledger, desk, orders(3), progress=add_a_row)


def killed_after(desk: Path, ledger: Path, mapping: Path, input: Path, lines: int) -> int | None:
    """Starts a load, kills it with SIGKILL after some lines of progress; gives its exit code if it ended before."""
    command = [sys.executable, "-c", LOADER, str(ledger), str(mapping), str(input), str(desk / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        read = []
        for line in process.stdout:
            read.append(line)
            if len(read) == lines:
                process.kill()
                break
        process.stdout.read()
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0, "the load failed by itself"
    return int(read[-1])


def compare_with_undisturbed(desk: Path, mapping: str, input: Path, killed: Path) -> batch.LoadReport:
    """Finishes a load that was killed, and holds it against one that was not."""
    with fc.open(killed) as ledger:
        finished = batch.load(ledger, desk / mapping, input=input, out=desk / "out")
        claims = claims_of(ledger)
    with founded(desk, "undisturbed.finchain", mapping) as ledger:
        undisturbed = batch.load(ledger, desk / mapping, input=input, out=desk / "other")
        assert claims == claims_of(ledger)
    assert fc.check(killed).blocks > 0
    same = {"already": 0, "sent": 0, "rejects": None}
    assert msgspec.structs.replace(finished, **same) == msgspec.structs.replace(undisturbed, **same)
    assert undisturbed.already == 0
    return finished


def test_a_load_that_was_killed_again_and_again_ends_like_any_other(desk: Path) -> None:
    content = orders(300) + "x\nI-3,Moon,Peru,9,USD,2.6.2025\n"
    (desk / "orders.csv").write_text(content)
    path = desk / "killed.finchain"
    founded(desk, path.name).close()
    codes = [
        killed_after(desk, path, desk / "mapping.toml", desk / "orders.csv", lines) for lines in (1, 2, 4, 6, 8)
    ]  # fmt: skip
    assert codes.count(None) >= 4, "the load was too quick to be killed"
    report = compare_with_undisturbed(desk, "mapping.toml", desk / "orders.csv", path)
    assert (report.rows, report.applied, report.refused, report.rejected) == (302, 300, 1, 1)
    assert report.already > 0


# ---- the order lines of a public programme
@pytest.fixture
def order_lines(vectors: Path) -> Path:
    return vectors / "datasets" / "trade_orders_usaid_scms" / "SCMS_Delivery_History_Dataset.csv"


@pytest.fixture
def trade(desk: Path, order_lines: Path) -> Path:
    """The example's mapping, and beside it the lookup that the example derives from the order lines."""
    shutil.copy(EXAMPLES / "trade_orders.toml", desk)
    script, lookup = EXAMPLES / "trade_orders_parties.py", desk / "trade_orders_parties.csv"
    done = subprocess.run(
        [sys.executable, str(script), str(order_lines), str(lookup)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "116 parties\n"
    return desk


def test_ten_thousand_order_lines_are_loaded_to_the_cent(trade: Path, order_lines: Path) -> None:
    with founded(trade, mapping="trade_orders.toml") as ledger:
        report = batch.load(ledger, trade / "trade_orders.toml", input=order_lines, out=trade / "out")
        claims = claims_of(ledger)
        again = batch.load(ledger, trade / "trade_orders.toml", input=order_lines, out=trade / "out")
        assert claims == claims_of(ledger)
        assert ledger.get(fc.Party, "buyer.cote-d-ivoire").name.startswith("Côte d'Ivoire · 公共")
    assert (report.rows, report.applied, report.refused, report.rejected) == (10_324, 10_307, 0, 17)
    assert report.totals == {"USD": 162_758_445_729}
    assert report.codes == {"row.zero": 17} and report.exit_code == 4
    assert all("worth nothing" in row["reason"] for row in rejects_of(report))
    assert sum(claim.confirmed for claim in claims.values()) == 162_758_445_729
    assert {claim.status for claim in claims.values()} == {"confirmed"}
    assert len({claim.creditor for claim in claims.values()}) == 73
    assert len({claim.debtor for claim in claims.values()}) == 43
    first = claims["order/1"]
    assert (first.creditor, first.claimed, first.due) == ("vendor.ranbaxy-fine-chemicals-ltd", 55_100, date(2006, 8, 1))
    assert msgspec.structs.replace(again, already=0, sent=report.sent) == report and again.already == 10_307


@pytest.mark.slow
def test_the_order_lines_survive_kills(trade: Path, order_lines: Path) -> None:
    path = trade / "killed.finchain"
    founded(trade, path.name, "trade_orders.toml").close()
    codes = [
        killed_after(trade, path, trade / "trade_orders.toml", order_lines, lines) for lines in (1, 2, 3, 4, 5, 6)
    ]  # fmt: skip
    assert Counter(codes)[None] >= 4, "the load was too quick to be killed"
    report = compare_with_undisturbed(trade, "trade_orders.toml", order_lines, path)
    assert (report.applied, report.rejected, report.totals["USD"]) == (10_307, 17, 162_758_445_729)


def test_amounts_in_the_report_are_written_for_people(ledger: fc.Ledger, desk: Path) -> None:
    text = str(loaded(ledger, desk, orders(2) + "x\n"))
    assert "3 rows, 2 applied, 0 refused, 1 rejected; 200.01 USD" in text
    assert "1 × row.columns" in text and "rejects.csv" in text
