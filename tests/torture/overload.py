"""Ten times more than a served ledger has room for: memory stays bounded, everybody is served, and it recovers at once.

Every client sends parcels as large as they may be, and more clients wait than the server takes on; who is refused comes
again when it was told to.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import finchain as fc
from finchain.serving import WAITING_TRANSACTIONS_MAX
from finchain.wire import SUBMIT_TRANSACTIONS_MAX
from processes import SERVING, anonymous_kib, ended, python, told
from real_ledger import claim, found, key

CLIENTS = 10 * WAITING_TRANSACTIONS_MAX // SUBMIT_TRANSACTIONS_MAX // int(os.environ.get("FINCHAIN_OVERLOAD_PART", "4"))
ROOM_KIB = 512 << 10
"""What the transactions that wait, two generations of cached records and their index rows may take, with room."""

RECOVERY_SECONDS = 5.0


def test_ten_times_more_than_there_is_room_for(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        name, path = ledger.name, ledger.path
        expires_ms = ledger.clock.now_ms() + 3_600_000
    parcels = [_parcel(name, client, expires_ms) for client in range(CLIENTS)]
    server = python(SERVING, tmp_path)
    assert told(server) == "serving"
    before = anonymous_kib(server.pid)
    statuses: list[str] = []
    threads = [threading.Thread(target=_send, args=(path, parcel, statuses)) for parcel in parcels]
    for thread in threads:
        thread.start()
    most = before
    while any(thread.is_alive() for thread in threads):
        most = max(most, anonymous_kib(server.pid))
        time.sleep(0.05)
    assert statuses == ["applied"] * (CLIENTS * SUBMIT_TRANSACTIONS_MAX)
    assert most < before + ROOM_KIB
    started = time.monotonic()
    with fc.connect(path, keys=tmp_path / "keys") as connection:
        connection.submit(claim("afterwards"), by=key("shop"))
    assert time.monotonic() - started < RECOVERY_SECONDS
    ended(server)
    assert fc.check(path).instructions >= CLIENTS * SUBMIT_TRANSACTIONS_MAX


def _send(path: Path, parcel: list[bytes], statuses: list[str]) -> None:
    """Sends a parcel, and again what nobody knows the outcome of: that is harmless."""
    waiting = parcel
    while waiting:
        with fc.connect(path, keys=path.parent / "keys") as connection:
            try:
                outcomes = list(connection.submit_all(waiting))
            except (fc.Unreachable, fc.Busy):
                continue
        statuses += ["applied" for outcome in outcomes if outcome.status in ("applied", "already")]
        waiting = [text for text, outcome in zip(waiting, outcomes, strict=True) if outcome.status == "unknown"]


def _parcel(name: str, client: int, expires_ms: int) -> list[bytes]:
    return [
        fc.Transaction.build(
            [claim(f"r-{client}-{n}")], by=["shop"], ledger=name, lane=f"client/{client}", sequence=n,
            expires_ms=expires_ms,
        ).sign(key("shop"), "shop/1").to_bytes()
        for n in range(1, SUBMIT_TRANSACTIONS_MAX + 1)
    ]  # fmt: skip
