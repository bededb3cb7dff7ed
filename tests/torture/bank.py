"""Fifty clients offer, take back and take over parts of the same claims, through a writer that is killed now and then.

What each of them saw and when is compared with the one order of the blocks. An answer that came before another question
was asked stands before it. A claim that was read was once what it was read as: no earlier than its reader knew, and no
later than it asked. All the while the writer's clock jumps by an hour either way, and at no height is a unit lost.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import finchain as fc
from finchain import instructions as do
from finchain.domain.rule import Instruction
from processes import ended, python, told
from real_ledger import claim, found, key

T = TypeVar("T")

CLIENTS = 50
QUESTIONS = int(os.environ.get("FINCHAIN_BANK_QUESTIONS", "40"))
"""What each client asks, one after the other."""

CLAIMS = 4
AMOUNT_MINOR = 1_000
KILLS = 3

SERVING = """
import sys, time
from pathlib import Path
from typing import TypeVar
import finchain as fc
from real_ledger import key

class Jumping:
    kind = "simulated"

    def __init__(self, start_ms):
        self.start_ms = start_ms
        self.begun = time.monotonic()

    def now_ms(self):
        passed = int((time.monotonic() - self.begun) * 1000)
        return self.start_ms + passed + (passed // 100 % 3 - 1) * 3_600_000

home = Path(sys.argv[1])
ledger = fc.open(
    home / "real.finchain", keys=home / "keys", operator=key("operator"), clock=Jumping(int(sys.argv[2]))
)
ledger.serve()
print("serving", flush=True)
sys.stdin.readline()
ledger.close()
"""
"""Serves until it is told a line; its clock is an hour behind, right, and an hour ahead, a tenth of a second each."""


@dataclass
class Seen:
    """What clients saw: times are those of one clock, in seconds.

    Attributes:
        placed: For each transaction when it was first sent, when its answer came, and its place.
        read: For each look at a claim when it was asked, when it was answered, and the claim.
    """

    placed: list[tuple[float, float, tuple[int, int]]] = field(default_factory=list)
    read: list[tuple[float, float, fc.Receivable]] = field(default_factory=list)
    refused: int = 0
    broken: int = 0


class Client:
    """One of those who ask, with a lane of its own for each party that it signs for."""

    def __init__(self, home: Path, name: str, number: int, now_ms: int, seen: Seen) -> None:
        self._home = home
        self._name = name
        self._number = number
        self._expires_ms = now_ms + 20 * 86_400_000
        self._seen = seen
        self._chance = random.Random(20_261_125 + number)
        self._sequences = {"shop": 0, "factor": 0}
        self._connection: fc.Connection | None = None

    def run(self) -> None:
        """Asks one thing after the other."""
        for question in range(QUESTIONS):
            target = f"r-{self._chance.randrange(CLAIMS)}"
            if self._chance.random() < 0.4:
                self._look(target)
                continue
            id = f"o-{self._number}-{question}"
            offered = self._send("shop", do.OfferPart(id, target, "factor", "assigned", self._chance.randint(1, 300)))
            if not offered:
                continue
            if self._chance.random() < 0.4:
                self._look(target)
            if self._chance.random() < 0.1:
                self._send("factor", do.AcceptPart(id, target))
            else:
                self._send("shop", do.WithdrawPartOffer(id, target))
        if self._connection is not None:
            self._connection.close()

    def _look(self, id: str) -> None:
        asked = time.monotonic()
        found = self._until_answered(lambda connection: connection.get(fc.Receivable, id))
        self._seen.read.append((asked, time.monotonic(), found))

    def _send(self, party: str, instruction: Instruction) -> bool:
        """Sends one transaction until its outcome is known; says whether it was applied."""
        self._sequences[party] += 1
        text = fc.Transaction.build(
            [instruction], by=[party], ledger=self._name, lane=f"client/{self._number}",
            sequence=self._sequences[party], expires_ms=self._expires_ms,
        ).sign(key(party), f"{party}/1").to_bytes()  # fmt: skip
        sent = time.monotonic()
        while True:
            (outcome,) = self._until_answered(lambda connection: list(connection.submit_all([text])))
            if outcome.status != "unknown":
                break
        assert outcome.error is None, outcome
        self._seen.placed.append((sent, time.monotonic(), (outcome.height, outcome.entry)))
        self._seen.refused += bool(outcome.refused)
        return not outcome.refused

    def _until_answered(self, ask: Callable[[fc.Connection], T]) -> T:
        while True:
            with suppress(fc.Unreachable, fc.Busy):
                if self._connection is None:
                    self._connection = fc.connect(self._home / "real.finchain", keys=self._home / "keys")
                return ask(self._connection)
            self._seen.broken += 1
            self._connection = None
            time.sleep(0.02)


def test_what_fifty_clients_saw_is_one_history(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        ledger.register("factor", "The factor", roles=["factor"], key=key("factor"))
        for number in range(CLAIMS):
            ledger.submit(claim(f"r-{number}", AMOUNT_MINOR), by=key("shop"))
            ledger.submit(do.ConfirmReceivable(f"r-{number}", AMOUNT_MINOR), by=key("core"))
        name, now_ms = ledger.name, ledger.clock.now_ms()
    seen = Seen()
    clients = [Client(tmp_path, name, number, now_ms + 3_600_000, seen) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    server = python(SERVING, tmp_path, now_ms + 3_600_000)
    assert told(server) == "serving"
    for thread in threads:
        thread.start()
    whole = CLIENTS * QUESTIONS
    for kill in range(1, KILLS + 1):
        while any(thread.is_alive() for thread in threads) and len(seen.read) * 2 < whole * kill // (KILLS + 2):
            time.sleep(0.01)
        server.kill()
        server.communicate()
        server = python(SERVING, tmp_path, now_ms + (kill + 1) * 3_600_000)
        assert told(server) == "serving"
    for thread in threads:
        thread.join()
    ended(server)

    assert len(seen.read) > whole // 4 and len(seen.placed) > whole // 2
    assert seen.refused > CLIENTS, "too few collided to say anything"
    assert seen.broken > KILLS
    _check_places(seen)
    _check_reads(seen, tmp_path)


def _check_places(seen: Seen) -> None:
    """No transaction stands before one whose answer had come before it was sent; none stands twice."""
    assert len({place for _, _, place in seen.placed}) == len(seen.placed)
    answered = sorted((done, place) for _, done, place in seen.placed)
    newest, at = (-1, -1), 0
    for sent, _, place in sorted(seen.placed):
        while at < len(answered) and answered[at][0] < sent:
            newest, at = max(newest, answered[at][1]), at + 1
        assert place > newest, f"{place} was sent after {newest} was answered"


def _check_reads(seen: Seen, home: Path) -> None:
    """Each look at a claim has a place in the claim's history that fits all others; and the sums of each hold."""
    times = {place: (sent, done) for sent, done, place in seen.placed}
    with fc.open(home / "real.finchain", read_only=True) as ledger:
        changes = list(ledger.changes())
    for number in range(CLAIMS):
        id = f"r-{number}"
        versions: list[fc.Receivable] = []
        written: list[tuple[float, float]] = []
        for change in changes:
            for _, after in change.of(fc.Receivable):
                if after.id == id:
                    versions.append(after)
                    written.append(times.get((change.height, change.entry), (0.0, 0.0)))
        for version in versions[1:]:
            assert version.free + version.reserved + version.assigned == AMOUNT_MINOR, version
            assert version.reserved == sum(offer.amount_minor for offer in version.offers), version
        looks = sorted((each for each in seen.read if each[2].id == id), key=lambda each: each[0])
        _place_looks(looks, versions, written)


def _place_looks(
    looks: list[tuple[float, float, fc.Receivable]], versions: list[fc.Receivable], written: list[tuple[float, float]]
) -> None:
    """Gives each look the earliest version that it can have seen; the looks come in the order of asking."""
    placed: list[tuple[float, int]] = []
    for asked, done, looked in looks:
        known = max((n for n, (_, answered) in enumerate(written) if answered < asked), default=0)
        known = max([known, *(version for answered, version in placed if answered < asked)])
        fitting = [n for n in range(known, len(versions)) if versions[n] == looked and written[n][0] < done]
        assert fitting, f"{looked} is not what {looked.id} was between {asked} and {done}"
        placed.append((done, fitting[0]))
