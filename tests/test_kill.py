"""A process that submits under load is killed at any moment: what it acknowledged is there, once, and the rest can be.

The process prints each answer only after it has it, so every id on its output was promised to somebody.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import finchain as fc
from conftest import PROFILE
from real_ledger import START, claim, found, key, reopen

KILLS = int(os.environ.get("FINCHAIN_KILLS") or {"dev": 8, "ci": 40}.get(PROFILE, 200))
ROUNDS = min(KILLS, 40)
"""Kills of one ledger: it grows, and opening it takes longer each time."""

SENDERS = 4
EACH = 400

SUBMITTING = f"""
import sys, threading
from pathlib import Path
import finchain as fc
from real_ledger import reopen

home = Path(sys.argv[1])
ledger = reopen(home)
lines = (home / sys.argv[2]).read_bytes().split(b"\\n")
printing = threading.Lock()

def send(own):
    for text in own:
        outcome = ledger.submit(fc.Transaction.parse(text))
        with printing:
            sys.stdout.write(f"{{outcome.id}} {{outcome.height}} {{outcome.entry}}\\n")
            sys.stdout.flush()

print("open", flush=True)
for number in range({SENDERS}):
    threading.Thread(target=send, args=(lines[number::{SENDERS}],)).start()
"""


@pytest.mark.parametrize("ledger_number", range(-(-KILLS // ROUNDS)))
def test_kill_at_any_moment(tmp_path: Path, ledger_number: int) -> None:
    chance = random.Random(20_261_124 + ledger_number)
    with found(tmp_path) as ledger:
        transactions = sum(1 for _ in range(ledger.height))
        trust = ledger.name
    promised: dict[str, tuple[int, int]] = {}
    struck = 0
    for number in range(ROUNDS):
        texts = _orders(trust, number)
        (tmp_path / "orders").write_bytes(b"\n".join(texts))
        answers = _killed(tmp_path, chance.random() ** 2 * 0.5)
        assert len(answers) == len(set(answers))
        promised |= answers
        struck += 0 < len(answers) < len(texts)
        with reopen(tmp_path) as ledger:
            _check_there(ledger, answers)
            outcomes = list(ledger.submit_all(texts))
            assert {outcome.status for outcome in outcomes} <= {"applied", "already"}
            for outcome in outcomes:
                if outcome.id in answers:
                    assert (outcome.status, outcome.height, outcome.entry) == ("already", *answers[outcome.id])
            promised |= {outcome.id: (outcome.height, outcome.entry) for outcome in outcomes}
            assert sum(1 for _ in ledger.find(fc.Receivable)) == (number + 1) * len(texts)
    with reopen(tmp_path) as ledger:
        _check_there(ledger, promised)
    assert len(set(promised.values())) == len(promised) == ROUNDS * SENDERS * EACH
    assert struck >= ROUNDS // 2, "most kills came too early or too late to say anything"
    audit = fc.check(tmp_path / "real.finchain")
    assert audit.transactions == transactions + len(promised)


def _check_there(ledger: fc.Ledger, answers: dict[str, tuple[int, int]]) -> None:
    for id, (height, entry) in answers.items():
        assert ledger._core.entered(height, entry)["id"] == id


def _orders(ledger: str, number: int) -> list[bytes]:
    """As many claims for each sender's lane, in the order of their sequences, senders in turn."""
    expires_ms = fc.SimulatedClock(START).now_ms() + 3_600_000
    return [
        fc.Transaction.build(
            [claim(f"r-{number}-{sender}-{n}")], by=["shop"], ledger=ledger, lane=f"round-{number}/{sender}",
            sequence=n, expires_ms=expires_ms,
        ).sign(key("shop"), "shop/1").to_bytes()
        for n in range(1, EACH + 1) for sender in range(SENDERS)
    ]  # fmt: skip


def _killed(home: Path, seconds: float) -> dict[str, tuple[int, int]]:
    """Lets the process submit for so long and kills it; gives the ids that it had acknowledged, and where they are."""
    path = [str(Path(__file__).parent), *sys.path]
    with subprocess.Popen(
        [sys.executable, "-c", SUBMITTING, str(home), "orders"], stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": ":".join(path)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
    assert process.returncode in (-9, 0)
    # The last line may have been cut by the kill; then nobody was told.
    lines = [line.split() for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    return {id: (int(height), int(entry)) for id, height, entry in lines}
