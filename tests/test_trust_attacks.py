"""What somebody who can write the folder, or only a busy writer, could make of anchors of trust."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import finchain as fc
from finchain import cli
from kept_ledger import PAGE, frames_in
from real_ledger import claim, found, key, reopen
from test_doctored import edited, summed, unsummed


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """A ledger, and a fork of it whose last block has another claim; each with a checkpoint over all of its blocks."""
    (tmp_path / "true").mkdir()
    with found(tmp_path / "true") as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
    shutil.copytree(tmp_path / "true", tmp_path / "fork")
    for side, amount_minor in (("true", 1_000), ("fork", 999_000)):
        with reopen(tmp_path / side) as ledger:
            ledger.submit(claim("r-2", amount_minor), by=key("shop"))
            (tmp_path / side / "held.checkpoint").write_bytes(ledger.checkpoint())
    return tmp_path / "true", tmp_path / "fork"


def with_another_index(sides: tuple[Path, Path], *, height: int) -> Path:
    """The true blocks, one frame of the fork behind them, and the fork's index, whose row of that block leads there.

    The hash that the index has of its newest block is the true one.
    """
    true, fork = (side / "real.finchain" for side in sides)
    blocks, others = (path / "blocks" / "00000000.blk" for path in (true, fork))
    start, size = frames_in(others)[height]
    last, last_size = frames_in(blocks)[-1]
    end = -(-(last + last_size) // PAGE) * PAGE
    with edited(true) as index:
        true_tip = unsummed(dict(index.rows("meta"))[b"tip"])
    with blocks.open("r+b") as file:
        file.seek(end)
        file.write(others.read_bytes()[start : start + size])
    shutil.rmtree(true / "index")
    shutil.copytree(fork / "index", true / "index")
    with edited(true) as index:
        tip = bytearray(unsummed(dict(index.rows("meta"))[b"tip"]))
        tip[40:72] = true_tip[40:72]
        index.put("meta", b"tip", summed("meta", b"tip", bytes(tip)))
        row_key, row = index.rows("blocks")[height]
        body = bytearray(unsummed(row))
        assert body[36:44] == start.to_bytes(8, "little")
        body[36:44] = end.to_bytes(8, "little")
        index.put("blocks", row_key, summed("blocks", row_key, bytes(body)))
    return true


@pytest.mark.parametrize("words", [["show", "receivable", "r-2"], ["history", "receivable", "r-2"], ["totals"]])
def test_a_state_that_a_stray_block_commits_to_is_not_that_of_the_anchor(
    words: list[str], sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_another_index(sides, height=4)
    held = sides[0] / "held.checkpoint"
    assert cli.run([words[0], str(path), *words[1:], "--checkpoint", str(held)]) == 12
    shown = capsys.readouterr()
    assert not shown.out and "block 4" in shown.err
    with pytest.raises(fc.TamperError, match="block 4"):
        fc.open(path, read_only=True, checkpoints=[held])


def test_an_anchor_beside_a_busy_writer_finds_no_damage(sides: tuple[Path, Path]) -> None:
    """A checkpoint that is signed while the blocks are read may be over more than were read."""
    home, path = sides[0], sides[0] / "real.finchain"
    with reopen(home) as ledger:
        trust = ledger.verifier_key
    script = (
        "import sys\nfrom pathlib import Path\nfrom real_ledger import claim, key, reopen\n"
        "with reopen(Path(sys.argv[1])) as ledger:\n    print('open', flush=True)\n"
        "    for n in range(400):\n        ledger.submit(claim(f'w-{n}'), by=key('shop'))\n"
        "        ledger.checkpoint()\n"
    )
    command = [sys.executable, "-c", script, str(home)]
    rounds = 0
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "open\n"
        while writer.poll() is None:
            audit = fc.check(path, trust=trust)
            assert audit.checkpoint_size is not None and audit.checkpoint_size <= audit.blocks
            assert audit.vouched.blocks == audit.checkpoint_size
            fc.open(path, read_only=True, trust=trust).close()
            assert not fc.examine(path, trust=trust).faults
            rounds += 1
    assert rounds
