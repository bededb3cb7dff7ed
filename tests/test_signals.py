"""SIGTERM and Ctrl-C at any moment: the command ends with its code, and the ledger was closed cleanly."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

import finchain as fc
from conftest import PROFILE
from processes import ended, finchain
from real_ledger import found, key, reopen

ROWS = 4_000

ROUNDS = {"dev": 3, "ci": 10}.get(PROFILE, 40)

MAPPING = """
lane = "orders"
transaction_instructions = 20

[input]
format = "csv"

[columns]
creditor = { value = "Shop" }
debtor = { value = "Core" }
invoice = "Invoice"
id = "orders/{Invoice}"
amount = { column = "Amount", currency = "CNY" }
due = { column = "Due", format = "%Y-%m-%d" }

[parties]
lookup = "parties.csv"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINCHAIN_KEYS", str(tmp_path / "keys"))
    found(tmp_path).close()
    for name in ("shop", "core"):
        key(name).save(tmp_path / f"{name}.pem")
    (tmp_path / "orders.toml").write_text(MAPPING)
    (tmp_path / "parties.csv").write_text(
        "value,id,name,roles,key\nShop,shop,The shop,supplier,shop.pem\nCore,core,The customer,debtor,core.pem\n"
    )
    rows = "".join(f"{n},{n}.00,2026-09-30\n" for n in range(1, ROWS + 1))
    (tmp_path / "orders.csv").write_text(f"Invoice,Amount,Due\n{rows}")
    return tmp_path


def closed_cleanly(home: Path) -> bool:
    """Whether the index says so of itself, and nobody holds the lock."""
    with reopen(home) as ledger:
        assert ledger.recovery["replay_from"] == ledger.height, "blocks had to be replayed"
    return " closed " in (home / "real.finchain" / "index" / "mark").read_text()


def test_a_load_is_stopped_at_any_moment_and_goes_on(home: Path) -> None:
    chance = random.Random(20_261_126)
    path = home / "real.finchain"
    words = ("load", path, home / "orders.toml", "--input", home / "orders.csv", "--out", home / "out", "--json")
    stopped = 0
    for _ in range(ROUNDS):
        with finchain(*words) as process:
            while " open " not in (path / "index" / "mark").read_text():
                time.sleep(0.001)
                assert process.poll() is None, process.communicate()
            time.sleep(chance.random() ** 2)
            process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
            _, err = process.communicate(timeout=60)
        # The last two are signals that came when all was done and closed, and Python on its way out.
        assert process.returncode in (16, 0, -signal.SIGTERM, -signal.SIGINT), err
        stopped += process.returncode == 16
        assert " closed " in (path / "index" / "mark").read_text()
        assert closed_cleanly(home)
    assert stopped, "every signal came too late"
    with finchain(*words) as process:
        report = json.loads(ended(process))
    assert (report["applied"], report["rejected"]) == (ROWS, 0)
    assert fc.check(path).instructions == ROWS + 3
