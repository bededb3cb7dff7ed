"""Reading a ledger in another process while one writes: without the lock, always one state, as of a height it names."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import finchain as fc
from finchain import cli, report
from processes import ended, python, told
from real_ledger import claim, found, key, reopen, signed

WRITING = """
import sys
from pathlib import Path
import finchain as fc
from real_ledger import claim, key, reopen

ledger = reopen(Path(sys.argv[1]))
print("open", flush=True)
for n in range(int(sys.argv[2])):
    ledger.submit([claim(f"a-{n}"), claim(f"b-{n}")], by=key("shop"))
    if n == 5:
        print("under way", flush=True)
print("written", flush=True)
sys.stdin.readline()
ledger.close()
"""

TRANSACTIONS = 300


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found(tmp_path).close()
    return tmp_path


@pytest.fixture
def written(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes claims in pairs, `a-n` and `b-n` in one transaction each, and is in the middle of it."""
    with python(WRITING, home, TRANSACTIONS) as process:
        assert told(process) == "open"
        assert told(process) == "under way"
        yield process
        ended(process)


def folder(home: Path) -> Path:
    return home / "real.finchain"


def names(home: Path) -> list[str]:
    return sorted(str(p.relative_to(home)) for p in folder(home).rglob("*"))


# ---- while another process writes


def test_every_answer_is_one_state_while_another_process_writes(home: Path, written: subprocess.Popen[str]) -> None:
    heights: list[int] = []
    with fc.open(folder(home), read_only=True) as reader:
        while not heights or heights[-1] < TRANSACTIONS + 3:
            with reader.snapshot() as snapshot:
                claims = [each.id for each in snapshot.find(fc.Receivable)]
                pairs = len(claims) // 2
                assert claims == [f"{side}-{n}" for n in range(pairs) for side in "ab"]
                # Three blocks found the ledger and register two parties; each block after that has its pairs.
                assert snapshot.height <= pairs + 3
                table = snapshot.totals().of("CNY")
                assert table.balanced
                assert {row.name: row.amount_minor for row in table.rows}["pending"] == 125_000 * len(claims)
                if pairs:
                    (step,) = snapshot.history(fc.Receivable, f"b-{pairs - 1}")
                    assert step.height == snapshot.height - 1 and step.by == ("shop",)
                with pytest.raises(fc.NotFound):
                    snapshot.get(fc.Receivable, f"a-{pairs}")
                heights.append(snapshot.height)
            # Not held by a snapshot, each question is about the newest state.
            both = [each.id for each in reader.find(fc.Receivable)]
            assert len(both) % 2 == 0 and len(both) >= len(claims)
    assert heights == sorted(heights)
    assert len(set(heights)) > 3, "it read only when nothing was written"
    assert told(written) == "written"


def test_a_reader_takes_no_lock_and_writes_nothing(home: Path) -> None:
    before = names(home)
    with fc.open(folder(home), read_only=True) as reader:
        with python(WRITING, home, 1) as process:
            assert told(process) == "open", "the reader would have held the lock"
            assert told(process) == "written"
            ended(process)
        assert names(home) == before
        assert reader.get(fc.Receivable, "a-0").id == "a-0"


def test_questions_of_the_command_neither_wait_nor_hold_up(
    home: Path, written: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["show"], ["show", "receivable", "a-0"], ["history", "receivable", "a-0"], ["totals"], ["positions", "shop"],
        ["due"], ["promises", "shop"],
    ):  # fmt: skip
        assert cli.run([words[0], str(folder(home)), *words[1:], "--json"]) == 0, words
        shown = capsys.readouterr().out
        assert shown or words[0] in ("positions", "due", "promises"), "only these have nothing to show of the claims"
    assert told(written) == "written"
    assert cli.run(["show", str(folder(home)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] == TRANSACTIONS + 3


# ---- what it can know


def test_a_reader_says_what_the_ledger_says(home: Path) -> None:
    with reopen(home) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        transaction = signed(ledger, claim("r-2"))
        ledger.submit(transaction)
        wanted = (
            ledger.name, ledger.height, ledger.rulebook, ledger.today, ledger.hash_suite, ledger.state_root,
            ledger.verifier_key, list(ledger.find_all()), ledger.history(fc.Receivable, "r-2"), ledger.totals(),
            ledger.totals(ledger.today), report.positions(ledger, "shop"), ledger.resolve(transaction.ticket),
        )  # fmt: skip
    with fc.open(folder(home), read_only=True) as reader:
        assert wanted == (
            reader.name, reader.height, reader.rulebook, reader.today, reader.hash_suite, reader.state_root,
            reader.verifier_key, list(reader.find_all()), reader.history(fc.Receivable, "r-2"), reader.totals(),
            reader.totals(reader.today), report.positions(reader, "shop"), reader.resolve(transaction.ticket),
        )  # fmt: skip
        assert reader.verify() == reader.height
        assert not reader.behind
        assert reader.look(fc.Receivable, "r-3") is None
        with pytest.raises(fc.NotFound, match="no receivable 'r-3'"):
            reader.get(fc.Receivable, "r-3")


def test_a_record_that_was_changed_in_the_index_is_found_by_verify(home: Path) -> None:
    with reopen(home) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
    pages = folder(home) / "index" / "data.mdb"
    content = pages.read_bytes()
    assert b'"amount_minor":125000' in content or b'"pending":125000' in content
    pages.write_bytes(content.replace(b'"pending":125000', b'"pending":125009'))
    with fc.open(folder(home), read_only=True) as reader, pytest.raises(fc.TamperError, match="do not give the state"):
        reader.verify()


def content(home: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the ledger with the time of its last change and its bytes."""
    files = [path for path in folder(home).rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("changes", [True, False], ids=["with changes", "blocks alone"])
def test_an_index_that_cannot_be_read_is_made_elsewhere(
    home: Path, changes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with reopen(home) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        height, state_root = ledger.height, ledger.state_root
    (home / "order.json").write_text('{"type":"receivable.confirm","id":"r-1","amount_minor":1}')
    (folder(home) / "index" / "mark").write_text("torn")
    if not changes:
        shutil.rmtree(folder(home) / "changes")
    told: list[tuple[int, int]] = []
    for missing in (False, True):
        if missing:
            shutil.rmtree(folder(home) / "index")
        before = names(home), content(home)
        with fc.open(folder(home), read_only=True, progress=lambda *done: told.append(done)) as reader:
            assert (reader.height, reader.state_root) == (height, state_root)
            assert reader.made_anew and reader.verified and told[-1] == (height, height)
            assert reader._own is not None
            place = reader._own.path
            assert place.is_dir()
        assert not place.exists()
        for words in (
            ["show"], ["show", "receivable", "r-1"], ["history", "receivable", "r-1"], ["totals"], ["due"],
            ["positions", "shop"], ["trace", "r-1"], ["postings"], ["check"], ["log"], ["audit"],
            ["explain", str(home / "order.json"), "--by", "core"],
        ):  # fmt: skip
            assert cli.run([words[0], str(folder(home)), *words[1:]]) == 0, words
        assert "temporary index" in capsys.readouterr().err
        assert (names(home), content(home)) == before, "reading wrote into the folder"
    with pytest.raises(fc.NotFound):
        fc.open(home / "nothing", read_only=True)


def test_only_reading_is_verified_or_has_an_index_of_its_own(home: Path) -> None:
    for option in ("verified", "own_index"):
        with pytest.raises(fc.ConfigError, match="speak of reading only"):
            fc.open(folder(home), **{option: True})  # type: ignore[call-overload]


def test_an_index_that_a_crash_left_behind_is_noticed(home: Path, tmp_path: Path) -> None:
    old = tmp_path / "old index"
    shutil.copytree(folder(home) / "index", old)
    with reopen(home) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
    shutil.rmtree(folder(home) / "index")
    shutil.copytree(old, folder(home) / "index")
    with fc.open(folder(home), read_only=True) as reader:
        assert reader.behind and reader.height == 3
    before = content(home)
    assert cli.run(["show", str(folder(home)), "receivable", "r-1"]) == 0
    assert {name: each for name, each in content(home).items() if "lock.mdb" not in name} == {
        name: each for name, each in before.items() if "lock.mdb" not in name
    }
    with fc.open(folder(home), read_only=True, own_index=True) as reader:
        assert not reader.behind and reader.height == 4


def test_a_reader_goes_on_where_the_writer_had_to_make_the_index_anew(home: Path) -> None:
    with fc.open(folder(home), read_only=True) as reader:
        assert reader.height == 3
        (folder(home) / "index" / "mark").write_text("torn")
        with python(WRITING, home, 2) as process:
            assert told(process) == "open"
            assert told(process) == "written"
            ended(process)
        assert reader.height == 5
        assert reader.get(fc.Receivable, "a-1").id == "a-1"


# ---- handles


def test_one_process_opens_an_index_once(home: Path) -> None:
    with reopen(home), pytest.raises(fc.ConfigError, match="already open in this process"):
        fc.open(folder(home), read_only=True)
    with fc.open(folder(home), read_only=True), pytest.raises(fc.ConfigError, match="already open in this process"):
        fc.open(folder(home), read_only=True)


def test_threads_share_a_reader(home: Path, written: subprocess.Popen[str]) -> None:
    faults: list[object] = []

    def look(reader: fc.Reader) -> None:
        try:
            for _ in range(50):
                claims = [each.id for each in reader.find(fc.Receivable)]
                assert len(claims) % 2 == 0
                assert reader.get(fc.Party, "shop").id == "shop"
        except BaseException as error:
            faults.append(error)

    with fc.open(folder(home), read_only=True) as reader:
        threads = [threading.Thread(target=look, args=(reader,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not faults


def test_a_closed_reader_says_so_and_handles_are_not_pickled(home: Path) -> None:
    reader = fc.open(folder(home), read_only=True)
    snapshot = reader.snapshot()
    for handle in (reader, snapshot):
        with pytest.raises(TypeError, match="pass its path"):
            pickle.dumps(handle)
    snapshot.close()
    snapshot.close()
    with pytest.raises(fc.ConfigError, match="closed"):
        snapshot.get(fc.Party, "shop")
    reader.close()
    reader.close()
    with pytest.raises(fc.ConfigError, match="closed"):
        reader.get(fc.Party, "shop")


def test_places_of_readers_that_were_killed_are_given_back(home: Path) -> None:
    """LMDB has 126 places; a reader that was killed in a question leaves its own taken."""
    script = (
        "import sys, os, signal\nfrom pathlib import Path\nimport finchain as fc\n"
        "reader = fc.open(Path(sys.argv[1]), read_only=True)\n"
        "held = [reader.snapshot() for _ in range(60)]\nprint('held', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    # Were nobody else there, LMDB would begin with an empty table of readers each time.
    with fc.open(folder(home), read_only=True) as reader:
        for _ in range(3):
            with python(script, folder(home)) as process:
                assert told(process) == "held"
        held = [reader.snapshot() for _ in range(60)]
        assert all(snapshot.height == 3 for snapshot in held)
        for snapshot in held:
            snapshot.close()


def read_in_a_worker(path: Path) -> tuple[str, int]:
    """What a spawned worker does: it opens a reader of its own."""
    with fc.open(path, read_only=True) as reader:
        return reader.get(fc.Party, "shop").name, reader.height


def test_a_spawned_worker_opens_a_reader(home: Path) -> None:
    with reopen(home), multiprocessing.get_context("spawn").Pool(2) as workers:
        answers = workers.map(read_in_a_worker, [folder(home)] * 4)
    assert answers == [("The shop", 3)] * 4


FORKING = """
import os, sys
from pathlib import Path
import finchain as fc
from processes import only_fork_errors

reader = fc.open(Path(sys.argv[1]), read_only=True)
snapshot = reader.snapshot()
child = os.fork()
if child == 0:
    only_fork_errors(
        lambda: reader.get(fc.Party, "shop"), lambda: list(reader.find(fc.Party)), lambda: reader.height,
        lambda: reader.snapshot(), lambda: reader.verify(), lambda: reader.totals(), lambda: reader.close(),
        lambda: snapshot.get(fc.Party, "shop"), lambda: list(snapshot.find_all()), lambda: snapshot.close(),
        lambda: reader.history(fc.Party, "shop"), lambda: fc.open(Path(sys.argv[1]), read_only=True),
    )
    del reader, snapshot
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert snapshot.get(fc.Party, "shop").name == reader.get(fc.Party, "shop").name == "The shop"
"""


def test_a_forked_child_cannot_use_a_reader_and_does_no_harm(home: Path) -> None:
    with python(FORKING, folder(home)) as process:
        ended(process)
