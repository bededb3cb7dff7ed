"""A doctored index: whoever can write the ledger's folder edits what questions are answered out of.

Every table of a real index is edited in every way, as somebody would who knows how rows are summed, and no command
gives a false answer with exit code 0. The blocks stay as they are, and an audit says of each row what is wrong with it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import blake3
import lmdb
import pytest

import finchain as fc
from finchain import cli
from finchain import instructions as do
from real_ledger import claim, found, key, signed

TABLES = ("records", "touches", "lanes", "blocks", "keys", "meta")
SUM_BYTES = 8
RECORD_HEAD = 12 + SUM_BYTES

QUESTIONS = (
    ["show"], ["show", "receivable"], ["show", "receivable", "r-1"], ["show", "receivable", "r-2"], ["show", "party"],
    ["history", "receivable", "r-1"], ["history", "party", "shop"], ["totals"], ["positions", "shop"],
    ["positions", "core"], ["due"], ["promises", "shop"], ["trace", "r-1"], ["postings"],
)  # fmt: skip
"""Commands that answer out of an index, with what names a record that is there, and `r-2`, which is cancelled."""


def summed(table: str, row_key: bytes, row: bytes) -> bytes:
    """A row with the sum that the index itself would give it."""
    return row + blake3.blake3(table.encode() + row_key + row).digest()[:SUM_BYTES]


def unsummed(row: bytes) -> bytes:
    return row[:-SUM_BYTES]


class Doctored:
    """The tables of an index, open for editing."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._tables = {name: environment.open_db(name.encode(), create=False) for name in TABLES}

    def rows(self, table: str) -> list[tuple[bytes, bytes]]:
        with self._environment.begin(db=self._tables[table]) as transaction:
            return [(bytes(row_key), bytes(row)) for row_key, row in transaction.cursor()]

    def put(self, table: str, row_key: bytes, row: bytes) -> None:
        with self._environment.begin(db=self._tables[table], write=True) as transaction:
            transaction.put(row_key, row)

    def remove(self, table: str, row_key: bytes) -> None:
        with self._environment.begin(db=self._tables[table], write=True) as transaction:
            assert transaction.delete(row_key)

    def record(self, text: bytes) -> tuple[bytes, bytes]:
        """The row of the one record that has this text."""
        ((row_key, row),) = [each for each in self.rows("records") if text in each[1]]
        return row_key, row


@contextmanager
def edited(path: Path) -> Iterator[Doctored]:
    """The index of a ledger that nobody has open."""
    environment = lmdb.open(str(path / "index"), max_dbs=8, map_size=1 << 30)
    try:
        yield Doctored(environment)
    finally:
        environment.close()


# ---- the edits, table by table


def another_amount(index: Doctored) -> None:
    row_key, row = index.record(b'"pending":125000')
    index.put("records", row_key, row.replace(b'"pending":125000', b'"pending":925000'))


def another_creditor(index: Doctored) -> None:
    row_key, row = index.record(b'"pending":125000')
    index.put("records", row_key, row.replace(b'"creditor":"shop"', b'"creditor":"core"'))


def another_id(index: Doctored) -> None:
    row_key, row = index.record(b'"pending":125000')
    index.put("records", row_key, row.replace(b"r-1", b"r-9"))


def a_record_less(index: Doctored) -> None:
    index.remove("records", index.record(b'"pending":125000')[0])


def a_record_twice(index: Doctored) -> None:
    _, row = index.record(b'"pending":125000')
    last = int.from_bytes(index.rows("records")[-1][0], "big")
    row_key = (last + 1).to_bytes(8, "big")
    place = summed("records", row_key, row[:12])
    index.put("records", row_key, place + row[RECORD_HEAD:])


def another_place_of_a_record(index: Doctored) -> None:
    row_key, row = index.record(b'"pending":125000')
    place = (1).to_bytes(8, "little") + (0).to_bytes(4, "little")
    index.put("records", row_key, summed("records", row_key, place) + row[RECORD_HEAD:])


def records_change_places(index: Doctored) -> None:
    (one, first), (other, second) = index.record(b'"pending":125000'), index.record(b'"cancelled":7000')
    index.put("records", one, summed("records", one, second[:12]) + second[RECORD_HEAD:])
    index.put("records", other, summed("records", other, first[:12]) + first[RECORD_HEAD:])


def every_record_less(index: Doctored) -> None:
    for row_key, _ in index.rows("records"):
        index.remove("records", row_key)


def another_instruction_of_a_touch(index: Doctored) -> None:
    row_key, row = next(each for each in index.rows("touches")[::-1] if int.from_bytes(each[1][20:22], "little"))
    body = bytearray(unsummed(row))
    body[22:24] = (1 - int.from_bytes(body[22:24], "little")).to_bytes(2, "little")
    index.put("touches", row_key, summed("touches", row_key, bytes(body)))


def an_older_touch_less(index: Doctored) -> None:
    """The last touch of each record says that there was none before."""
    for row_key, row in index.rows("touches")[::-1]:
        body = bytearray(unsummed(row))
        if body[8:20] != b"\xff" * 12:
            body[8:20] = b"\xff" * 12
            index.put("touches", row_key, summed("touches", row_key, bytes(body)))
            return
    raise AssertionError("no record was written twice")


def every_older_touch_less(index: Doctored) -> None:
    """Each touch says that it was the first one of its record."""
    for row_key, row in index.rows("touches"):
        body, at = bytearray(unsummed(row)), 0
        while at < len(body):
            body[at + 8 : at + 20] = b"\xff" * 12
            at += 22 + 2 * int.from_bytes(body[at + 20 : at + 22], "little")
        index.put("touches", row_key, summed("touches", row_key, bytes(body)))


def a_list_of_touches_less(index: Doctored) -> None:
    index.remove("touches", index.rows("touches")[-1][0])


def another_place_of_a_lane(index: Doctored) -> None:
    row_key, row = index.rows("lanes")[-1]
    body = (1).to_bytes(8, "little") + unsummed(row)[8:]
    index.put("lanes", row_key, summed("lanes", row_key, body))


def a_place_of_a_lane_less(index: Doctored) -> None:
    index.remove("lanes", index.rows("lanes")[-1][0])


def another_time_of_a_block(index: Doctored) -> None:
    row_key, row = index.rows("blocks")[2]
    body = unsummed(row)
    index.put("blocks", row_key, summed("blocks", row_key, body[:-8] + (1).to_bytes(8, "little")))


def another_frame_of_a_block(index: Doctored) -> None:
    (_, other), (row_key, _) = index.rows("blocks")[-2:]
    index.put("blocks", row_key, summed("blocks", row_key, unsummed(other)))


def a_block_less(index: Doctored) -> None:
    index.remove("blocks", index.rows("blocks")[-1][0])


def a_row_of_keys_more(index: Doctored) -> None:
    row_key = bytes(8)
    index.put("keys", row_key, summed("keys", row_key, bytes(10)))


def an_older_tip(index: Doctored) -> None:
    rows = dict(index.rows("meta"))
    height, block = index.rows("blocks")[-2]
    body = bytearray(unsummed(rows[b"tip"]))
    body[32:40] = int.from_bytes(height, "big").to_bytes(8, "little")
    body[40:72] = block[:32]
    index.put("meta", b"tip", summed("meta", b"tip", bytes(body)))


def fewer_records_in_the_tip(index: Doctored) -> None:
    body = bytearray(unsummed(dict(index.rows("meta"))[b"tip"]))
    count = int.from_bytes(body[72:80], "little")
    body[72:80] = (count - 2).to_bytes(8, "little")
    index.put("meta", b"tip", summed("meta", b"tip", bytes(body)))


EDITS: dict[str, list[Callable[[Doctored], None]]] = {
    "records": [
        another_amount, another_creditor, another_id, a_record_less, a_record_twice, another_place_of_a_record,
        records_change_places, every_record_less,
    ],
    "touches": [
        another_instruction_of_a_touch, an_older_touch_less, every_older_touch_less, a_list_of_touches_less,
    ],
    "lanes": [another_place_of_a_lane, a_place_of_a_lane_less],
    "blocks": [another_time_of_a_block, another_frame_of_a_block, a_block_less],
    "keys": [a_row_of_keys_more],
    "meta": [an_older_tip, fewer_records_in_the_tip],
}  # fmt: skip
ALL = [edit for edits in EDITS.values() for edit in edits]


# ---- the ledger


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with two claims in one transaction, of which one is cancelled, and its keys."""
    home = tmp_path_factory.mktemp("honest")
    with found(home) as ledger:
        ledger.submit([claim("r-1"), claim("r-2", 7_000)], by=key("shop"))
        ledger.submit(do.CancelReceivable("r-2"), by=key("shop"))
        ledger.submit(signed(ledger, claim("r-3", 1_000)))
        ledger.submit(do.ConfirmReceivable("r-3", 1_000), by=key("core"))
    return home


@pytest.fixture
def home(honest: Path, tmp_path: Path) -> Path:
    shutil.copytree(honest, tmp_path / "copy")
    return tmp_path / "copy"


def answers(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, tuple[int, str]]:
    """What each question ends with and shows."""
    found = {}
    for words in QUESTIONS:
        code = cli.run([words[0], str(path), *words[1:], *options])
        found[" ".join(words)] = code, capsys.readouterr().out
    return found


def lines(shown: str) -> list[str]:
    """What is shown, whatever its order: no block says which of two records of one transaction was born first."""
    return sorted(shown.splitlines())


def test_the_tables_are_all_of_them() -> None:
    assert list(EDITS) == list(TABLES)


@pytest.mark.parametrize("edit", ALL, ids=lambda edit: edit.__name__)
def test_no_command_gives_a_false_answer_with_exit_code_0(
    edit: Callable[[Doctored], None], honest: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = answers(honest / "real.finchain", capsys)
    with edited(home / "real.finchain") as index:
        edit(index)
    told = answers(home / "real.finchain", capsys)
    assert not {words for words, (code, shown) in told.items() if code == 0 and lines(shown) != lines(true[words][1])}


@pytest.mark.parametrize("edit", ALL, ids=lambda edit: edit.__name__)
def test_an_audit_finds_every_edit(edit: Callable[[Doctored], None], home: Path) -> None:
    path = home / "real.finchain"
    assert fc.check(path).index == "agrees"
    with edited(path) as index:
        edit(index)
    try:
        state = fc.check(path).index
    except fc.FalseIndexError as error:
        assert error.count >= 1
        assert {table for table, _, _ in error.differences} <= set(TABLES)
        assert "sound" in error.message and error.advice
    else:
        # No question is answered out of such an index: readers make one of their own.
        assert (edit.__name__, state) in {("an_older_tip", "behind"), ("a_block_less", "unreadable")}


def test_an_audit_names_what_differs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "real.finchain"
    with edited(path) as index:
        another_amount(index)
        another_place_of_a_lane(index)
        an_older_touch_less(index)
    with pytest.raises(fc.FalseIndexError) as caught:
        fc.check(path)
    assert caught.value.count == 3
    assert [each for each in caught.value.differences if each[0] != "lanes"] == [
        ("records", "receivable r-1", "changed"),
        ("touches", "history at block 4, entry 0", "changed"),
    ]
    assert next(about for table, about, _ in caught.value.differences if table == "lanes").startswith("lane ")
    assert cli.run(["check", str(path)]) == 12
    assert "changed: receivable r-1 (records)" in capsys.readouterr().err


def test_what_is_not_verified_says_so_in_every_output(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "real.finchain"
    for words, (code, shown) in answers(path, capsys, "--unverified").items():
        assert code == 0 and shown.startswith("NOT VERIFIED: "), words
    for words, (code, shown) in answers(path, capsys, "--unverified", "--json").items():
        assert code == 0 and all('"verified":false' in line for line in shown.splitlines()), words
    for words, (code, shown) in answers(path, capsys, "--json").items():
        assert code == 0 and all('"verified":true' in line for line in shown.splitlines()), words
    assert cli.run(["show", str(path), "receivable", "r-1"]) == 0
    assert "every record is what block 6 commits to" in capsys.readouterr().err


def test_a_verified_reader_answers_nothing_out_of_a_doctored_index(home: Path) -> None:
    path = home / "real.finchain"
    with edited(path) as index:
        another_amount(index)
    with fc.open(path, read_only=True) as reader:
        assert reader.get(fc.Receivable, "r-1").pending == 925_000, "it takes the index at its word, and says so"
        assert not reader.verified
    with pytest.raises(fc.TamperError, match="state root"):
        fc.open(path, read_only=True, verified=True)


def test_a_verified_reader_tells_no_history_out_of_a_doctored_index(honest: Path, home: Path) -> None:
    def told(reader: fc.Reader | fc.Snapshot) -> list[tuple[int, int]]:
        return [(step.height, step.entry) for step in reader.history(fc.Receivable, "r-3")]

    with fc.open(honest / "real.finchain", read_only=True) as reader:
        true = told(reader)
    with edited(home / "real.finchain") as index:
        every_older_touch_less(index)
    with fc.open(home / "real.finchain", read_only=True) as reader:
        assert told(reader) == true[1:], "it takes the index at its word, and says so"
        assert not reader.verified
    with fc.open(home / "real.finchain", read_only=True, verified=True) as reader, reader.snapshot() as snapshot:
        assert reader.verified and told(reader) == told(snapshot) == true


def test_a_verified_reader_verifies_another_index_of_the_same_height_too(honest: Path, home: Path) -> None:
    path = home / "real.finchain" / "index" / "data.mdb"
    doctored = home / "doctored"
    shutil.copytree(honest / "real.finchain", doctored)
    with edited(doctored) as index:
        another_creditor(index)
    with fc.open(home / "real.finchain", read_only=True, verified=True) as reader:
        assert reader.get(fc.Receivable, "r-1").creditor == "shop"
        (doctored / "index" / "data.mdb").replace(path)
        with pytest.raises(fc.TamperError, match="state root"):
            reader.get(fc.Receivable, "r-1")


def test_a_place_that_the_index_made_up_decides_nothing_about_a_ticket(honest: Path, home: Path) -> None:
    path = home / "real.finchain"
    with fc.open(honest / "real.finchain", read_only=True) as reader:
        ticket = signed(reader, claim("r-3", 1_000)).ticket  # type: ignore[arg-type]  # A reader has what it needs.
        assert reader.resolve(ticket).status == "applied"
    with edited(path) as index:
        for row_key, row in index.rows("lanes"):
            body = (1).to_bytes(8, "little") + unsummed(row)[8:]
            index.put("lanes", row_key, summed("lanes", row_key, body))
    with fc.open(path, read_only=True) as reader, pytest.raises(fc.TamperError, match="and the block has sequence"):
        reader.resolve(ticket)


def test_whoever_writes_uses_nothing_of_a_doctored_index(honest: Path, home: Path) -> None:
    """Its sum is not the one of its mark; and where the mark is forged as well, records are compared with the state."""
    with fc.open(honest / "real.finchain", keys=honest / "keys") as ledger:
        true = list(ledger.find_all())
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for mark in (None, f"finchain-index 6 open {boot}\n"):
        with edited(home / "real.finchain") as index:
            another_creditor(index)
        if mark is not None:
            (home / "real.finchain" / "index" / "mark").write_text(mark)
        with fc.open(home / "real.finchain", keys=home / "keys") as ledger:
            assert list(ledger.find_all()) == true
            assert ledger.recovery["index_rebuilt_because"]


def test_an_audit_beside_a_writer_compares_the_index_as_it_moves(home: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom real_ledger import claim, key, reopen\n"
        "with reopen(Path(sys.argv[1])) as ledger:\n    print('open', flush=True)\n"
        "    for n in range(150):\n        ledger.submit(claim(f'w-{n}'), by=key('shop'))\n"
    )
    command = [sys.executable, "-c", script, str(home)]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "open\n"
        states = {fc.check(home / "real.finchain").index}
        while writer.poll() is None:
            states.add(fc.check(home / "real.finchain").index)
    assert states == {"agrees"}
