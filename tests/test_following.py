"""Following a ledger's blocks: level with the writer, believing nobody, never reading what is not whole yet."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import time
from pathlib import Path

import pytest

import finchain as fc
from finchain import instructions as do
from processes import ended, finchain, python, told
from real_ledger import claim, found, key, reopen

WRITING = """
import sys
from pathlib import Path
from real_ledger import claim, key, reopen

ledger = reopen(Path(sys.argv[1]))
print("open", flush=True)
for n in range(int(sys.argv[2])):
    ledger.submit(claim(f"r-{n}"), by=key("shop"))
print("written", flush=True)
sys.stdin.readline()
ledger.close()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found(tmp_path).close()
    return tmp_path


def source(home: Path) -> Path:
    return home / "real.finchain"


def written(home: Path, *ids: str) -> None:
    with reopen(home) as ledger:
        for id in ids:
            ledger.submit(claim(id), by=key("shop"))


def copied(home: Path) -> Path:
    """A folder with a copy of the blocks, as a mirror would have it."""
    mirror = home / "mirror"
    shutil.copytree(source(home), mirror, ignore=shutil.ignore_patterns("index", "lock", "socket"), dirs_exist_ok=True)
    return mirror


# ---- level with the writer


def test_it_stays_level_with_a_writer_in_another_process(home: Path) -> None:
    with fc.follow(source(home), home / "own") as follower, python(WRITING, home, 200) as process:
        assert follower.height == 3
        assert told(process) == "open"
        heights = [follower.height]
        while heights[-1] < 203:
            follower.advance()
            claims = [each.id for each in follower.find(fc.Receivable)]
            assert claims == [f"r-{n}" for n in range(follower.height - 3)]
            heights.append(follower.height)
        assert told(process) == "written"
        ended(process)
        assert len(set(heights)) > 3, "it followed only when all was written"
        assert follower.advance() == 0
        with fc.open(source(home), read_only=True) as reader:
            assert (follower.name, follower.state_root, list(follower.find_all())) == (
                reader.name, reader.state_root, list(reader.find_all()),
            )  # fmt: skip
            assert follower.history(fc.Receivable, "r-7") == reader.history(fc.Receivable, "r-7")
            assert follower.totals() == reader.totals()


def test_it_goes_on_from_where_it_was(home: Path) -> None:
    told: list[tuple[int, int]] = []
    with fc.follow(source(home), home / "own", progress=lambda done, total: told.append((done, total))) as follower:
        written(home, "r-1", "r-2")
        assert follower.advance() == 2
    assert told == [(1, 3), (2, 3), (3, 3)]
    written(home, "r-3")
    told.clear()
    with fc.follow(source(home), home / "own", progress=lambda done, total: told.append((done, total))) as follower:
        assert told == [(6, 6)], "only the new block is replayed"
        assert follower.get(fc.Receivable, "r-3").id == "r-3"
    # What it knew is made anew where its own index is lost.
    shutil.rmtree(home / "own" / "index")
    with fc.follow(source(home), home / "own") as follower:
        assert follower.height == 6


def test_it_goes_on_after_an_interruption_in_the_middle_of_a_block(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fc.follow(source(home), home / "own") as follower:
        written(home, "r-1", "r-2")

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(follower._pipe, "_seal", interrupted)
            with pytest.raises(KeyboardInterrupt):
                follower.advance()
        assert follower.look(fc.Receivable, "r-1") is None
        assert follower.advance() == 2


def test_a_copy_is_followed_file_by_file(home: Path) -> None:
    """A tool that mirrors a folder puts a new file in the place of the old one; there is no index, lock or key."""
    mirror = copied(home)
    with fc.follow(mirror, home / "own") as follower:
        written(home, "r-1")
        copied(home)
        new = mirror / "blocks" / "new"
        shutil.copyfile(source(home) / "blocks" / "00000000.blk", new)
        os.replace(new, mirror / "blocks" / "00000000.blk")
        assert follower.advance() == 1
        assert [each.id for each in follower.find(fc.Receivable)] == ["r-1"]


# ---- serving what is followed


def test_what_is_followed_is_served_to_other_processes(home: Path) -> None:
    written(home, "r-1")
    own = home / "own"
    with reopen(home) as ledger:
        ledger.checkpoint()
        key_line = ledger.verifier_key
    with fc.follow(source(home), own) as follower, follower.serve() as server, fc.connect(own) as connection:
        assert server.path == own / "socket"
        assert (connection.name, connection.height, connection.state_root) == (
            follower.name, follower.height, follower.state_root,
        )  # fmt: skip
        assert connection.get(fc.Receivable, "r-1") == follower.get(fc.Receivable, "r-1")
        assert connection.history(fc.Receivable, "r-1") == follower.history(fc.Receivable, "r-1")
        assert connection.totals() == follower.totals()
        receipt = connection.prove(fc.Receivable, "r-1")
        assert fc.verify(receipt, trust=key_line, unwitnessed=True).record == follower.get(fc.Receivable, "r-1")
        # What the writer adds is there once the follower has taken it in.
        written(home, "r-2")
        assert connection.look(fc.Receivable, "r-2") is None
        follower.advance()
        assert connection.get(fc.Receivable, "r-2").id == "r-2"
        with pytest.raises(fc.ConfigError, match="follows") as refused:
            connection.submit(claim("r-3"), by=key("shop"))
        assert str(source(home)) in str(refused.value)
        with pytest.raises(fc.ConfigError, match="follows"):
            connection.explain(claim("r-3"), by="shop")
        with pytest.raises(fc.ConfigError, match="served already"):
            follower.serve()
    with pytest.raises(fc.Unreachable):
        fc.connect(own)


def test_the_command_serves_what_it_follows(home: Path) -> None:
    written(home, "r-1")
    own = home / "own"

    def shown(*arguments: str) -> tuple[str, str]:
        with finchain("show", own, "receivable", *arguments) as process:
            return process.communicate(timeout=60)

    with finchain("follow", source(home), own, "--serve", "--every", "0.05") as process:
        assert told(process) == "4 blocks verified"
        assert told(process) == f"serving {own / 'socket'}"
        assert json.loads(shown("r-1", "--json")[0])["id"] == "r-1"
        written(home, "r-2")
        assert told(process) == "5 blocks verified"
        assert json.loads(shown("r-2", "--json")[0])["id"] == "r-2"
        assert "clock is that of the process" in shown("r-2", "--today", "2030-01-01")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert "no process serves" in shown("r-1")[1]


@pytest.mark.parametrize("part", [1, 40, 64, 65, 500, -1])
def test_a_last_block_that_is_not_whole_is_not_there_yet(home: Path, part: int) -> None:
    mirror = copied(home)
    blocks = mirror / "blocks" / "00000000.blk"
    before = blocks.read_bytes()
    written(home, "r-1")
    after = (source(home) / "blocks" / "00000000.blk").read_bytes()
    at = next(n for n in range(0, len(before), 4_096) if before[n : n + 4] == b"\0\0\0\0")
    size = 64 + int.from_bytes(after[at + 4 : at + 8], "little")
    torn = bytearray(before)
    torn[at : at + (part % size)] = after[at : at + (part % size)]
    blocks.write_bytes(torn)
    with fc.follow(mirror, home / "own") as follower:
        assert follower.height == 3
        assert follower.advance() == 0
        blocks.write_bytes(after)
        assert follower.advance() == 1
        assert follower.look(fc.Receivable, "r-1") is not None


def test_a_copy_that_ends_in_the_middle_of_its_file_is_followed_up_to_there(home: Path) -> None:
    mirror = copied(home)
    blocks = mirror / "blocks" / "00000000.blk"
    content = blocks.read_bytes()
    blocks.write_bytes(content[: 2 * 4_096 + 100])
    with fc.follow(mirror, home / "own") as follower:
        assert follower.height == 2
        blocks.write_bytes(content)
        assert follower.advance() == 1


# ---- believing nobody


def test_a_damaged_block_with_others_after_it_is_damage(home: Path) -> None:
    mirror = copied(home)
    with fc.follow(mirror, home / "own") as follower:
        written(home, "r-1", "r-2")
        spoilt = bytearray((source(home) / "blocks" / "00000000.blk").read_bytes())
        spoilt[spoilt.index(b'"r-1"')] ^= 1
        (mirror / "blocks" / "00000000.blk").write_bytes(spoilt)
        with pytest.raises(fc.TamperError, match="block 3"):
            follower.advance()
        assert follower.height == 3
        assert follower.get(fc.Party, "shop").id == "shop", "what was verified is still there"


def test_blocks_that_were_taken_back_or_replaced_stop_it(home: Path) -> None:
    written(home, "r-1")
    fork = home / "fork"
    shutil.copytree(source(home), fork / "real.finchain")
    shutil.copytree(home / "keys", fork / "keys")
    written(home, "r-2")
    written(fork, "x-2")
    with fc.follow(source(home), home / "own") as follower:
        assert follower.height == 5
    short = copied(home)
    blocks = short / "blocks" / "00000000.blk"
    blocks.write_bytes(blocks.read_bytes()[: 4 * 4_096])
    for path, what in ((fork / "real.finchain", "was block"), (short, "block 4")):
        for _ in range(2):
            with pytest.raises(fc.TamperError, match=what):
                fc.follow(path, home / "own")
    shutil.rmtree(home / "own" / "index")
    with pytest.raises(fc.TamperError, match="not what was followed before"):
        fc.follow(fork / "real.finchain", home / "own")
    with fc.follow(source(home), home / "own") as follower:
        assert follower.height == 5


def test_a_checkpoint_over_other_blocks_stops_it(home: Path) -> None:
    """The operator's key, from a copied key folder, signs a fork."""
    fork = home / "fork"
    shutil.copytree(source(home), fork / "real.finchain")
    shutil.copytree(home / "keys", fork / "keys")
    written(home, "r-1")
    with reopen(fork) as ledger:
        ledger.submit(claim("x-1"), by=key("shop"))
        note = ledger.checkpoint()
    with fc.follow(source(home), home / "own") as follower:
        (source(home) / "checkpoint").write_bytes(note)
        with pytest.raises(fc.TamperError, match="not the root of these blocks"):
            follower.advance()


# ---- proving


def test_it_proves_what_a_checkpoint_covers(home: Path) -> None:
    with fc.follow(source(home), home / "own") as follower:
        with pytest.raises(fc.NotFound, match="covers 0 blocks"):
            follower.checkpoint()
        with reopen(home) as ledger:
            outcome = ledger.submit(claim("r-1"), by=key("shop"))
            note = ledger.checkpoint()
            trust = ledger.verifier_key
        follower.advance()
        assert follower.checkpoint() == note
        for receipt, what in (
            (follower.prove(fc.Receivable, "r-1"), "record"), (follower.prove_absent(fc.Receivable, "r-2"), "absence"),
            (follower.prove_instruction(outcome, signers=True), "instruction"),
            (follower.prove_change(outcome, fc.Receivable, "r-1"), "change"),
        ):  # fmt: skip
            assert fc.verify(receipt, trust=trust, unwitnessed=True).what == what
        with reopen(home) as ledger:
            ledger.submit(do.ConfirmReceivable("r-1", 5), by=key("core"))
        follower.advance()
        assert follower.prove_instruction(outcome), "its block is covered"
        with pytest.raises(fc.NotFound, match="covers 4 blocks, and block 4"):
            follower.prove(fc.Receivable, "r-1")
        (source(home) / "checkpoint").write_bytes(b"half a not")
        assert follower.advance() == 0


# ---- handles and folders


def test_a_folder_follows_one_ledger_in_one_process(home: Path) -> None:
    with pytest.raises(fc.ConfigError, match="own folder"):
        fc.follow(source(home), source(home))
    with pytest.raises(fc.ConfigError, match="own folder"):
        fc.follow(source(home), source(home) / "follower")
    with pytest.raises(fc.NotFound):
        fc.follow(home / "nothing", home / "own")
    (home / "other").mkdir()
    found(home / "other").close()
    with fc.follow(source(home), home / "own") as follower:
        script = "import sys\nimport finchain as fc\nfc.follow(sys.argv[1], sys.argv[2])"
        with python(script, source(home), home / "own") as process:
            assert "LockedError" in process.communicate(timeout=60)[1]
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(follower)
        with reopen(home) as ledger:
            ledger.submit(claim("r-1"), by=key("shop"))
            assert follower.advance() == 1, "the writer may be in the same process"
    follower.close()
    with pytest.raises(fc.ConfigError, match="another ledger"):
        fc.follow(source(home / "other"), home / "own")


FORKING = """
import os, sys
import finchain as fc
from processes import only_fork_errors

follower = fc.follow(sys.argv[1], sys.argv[2])
child = os.fork()
if child == 0:
    only_fork_errors(
        lambda: follower.advance(), lambda: follower.get(fc.Party, "shop"), lambda: follower.checkpoint(),
        lambda: follower.prove(fc.Party, "shop"), lambda: follower.totals(), lambda: list(follower.find(fc.Party)),
    )
    follower.close()
    del follower
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert follower.advance() == 0 and follower.get(fc.Party, "shop").id == "shop"
"""


def test_a_forked_child_cannot_use_a_follower(home: Path) -> None:
    with python(FORKING, source(home), home / "own") as process:
        ended(process)


# ---- the command


def test_the_command_follows_until_it_is_stopped(home: Path) -> None:
    with finchain("follow", source(home), home / "own", "--every", "0.05", "--json") as process:
        assert json.loads(told(process))["blocks"] == 3
        written(home, "r-1")
        assert json.loads(told(process))["blocks"] == 4
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - began < 30
    assert " closed " in (home / "own" / "index" / "mark").read_text()
    with finchain("follow", source(home), home / "own", "--once", "--json") as process:
        assert json.loads(ended(process))["blocks"] == 4


def test_the_command_ends_with_12_where_it_finds_tampering(home: Path) -> None:
    with finchain("follow", source(home), home / "own", "--once") as process:
        ended(process)
    blocks = source(home) / "blocks" / "00000000.blk"
    blocks.write_bytes(blocks.read_bytes()[: 2 * 4_096])
    with finchain("follow", source(home), home / "own", "--once") as process:
        process.communicate(timeout=60)
    assert process.returncode == 12
