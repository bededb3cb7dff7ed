"""A submission whose answer is lost has a ticket, and what `resolve` says of it is true, wherever it is asked."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from conftest import PROFILE
from finchain import cli
from processes import SERVING, ended, python, told
from real_ledger import START, claim, found, key, reopen, signed

ROUNDS = {"dev": 4, "ci": 30}.get(PROFILE, 200)
CLIENTS = 6
EACH = 60


@pytest.fixture
def clock() -> fc.SimulatedClock:
    return fc.SimulatedClock(START)


@pytest.fixture
def ledger(tmp_path: Path, clock: fc.SimulatedClock) -> Iterator[fc.Ledger]:
    with found(tmp_path, clock=clock) as ledger:
        yield ledger


# ---- what an answer means


def test_a_ticket_names_what_was_sent(ledger: fc.Ledger) -> None:
    transaction = signed(ledger, claim("r-1"), lane="night", sequence=1)
    ticket = transaction.ticket
    assert (ticket.ledger, ticket.sender, ticket.lane, ticket.sequence) == (ledger.name, "shop", "night", 1)
    assert (ticket.id, ticket.expires_ms) == (transaction.id, ledger.clock.now_ms() + 3_600_000)
    assert msgspec.json.decode(msgspec.json.encode(ticket), type=fc.Ticket) == ticket


def test_applied_and_refused_are_answered_with_their_places(ledger: fc.Ledger) -> None:
    applied, refused = signed(ledger, claim("r-1")), signed(ledger, claim("r-1"), sequence=2)
    first = ledger.submit(applied)
    with pytest.raises(fc.Refused):
        ledger.submit(refused)
    found = ledger.resolve(applied.ticket)
    assert (found.status, found.id, found.height, found.entry) == ("applied", applied.id, first.height, first.entry)
    found = ledger.resolve(refused.ticket)
    assert (found.status, found.id, found.refused) == ("refused", refused.id, ((0, "receivable.duplicate"),))


def test_what_may_still_come_is_unknown_until_its_time_is_over(ledger: fc.Ledger, clock: fc.SimulatedClock) -> None:
    lost = signed(ledger, claim("r-1"), expires_ms=clock.now_ms() + 1_000)
    assert ledger.resolve(lost.ticket) == fc.Outcome(status="unknown", ticket=lost.ticket)
    clock.advance(seconds=1)
    assert ledger.resolve(lost.ticket).status == "unknown", "its last millisecond has not passed"
    clock.advance(seconds=1)
    over = ledger.resolve(lost.ticket)
    assert over.status == "rejected" and isinstance(over.error, fc.Rejected) and over.error.code == "expired"
    with pytest.raises(fc.Rejected, match="expired"):
        ledger.submit(lost)


def test_what_was_said_to_be_over_stays_so_when_the_clock_is_put_back(tmp_path: Path) -> None:
    class Wound(fc.SimulatedClock):
        """A clock that somebody puts back."""

        def back(self) -> None:
            self._ms -= 3_600_000

    clock = Wound(START)
    with found(tmp_path, clock=clock) as ledger:
        lost = signed(ledger, claim("r-1"), expires_ms=clock.now_ms() + 1_000)
        clock.advance(seconds=2)
        assert ledger.resolve(lost.ticket).status == "rejected"
        clock.back()
        with pytest.raises(fc.Rejected, match="expired"):
            ledger.submit(lost)


def test_a_sequence_that_holds_something_else_is_rejected_for_good(ledger: fc.Ledger) -> None:
    lost = signed(ledger, claim("r-1"))
    ledger.submit(signed(ledger, claim("r-2")))
    outcome = ledger.resolve(lost.ticket)
    assert outcome.status == "rejected" and isinstance(outcome.error, fc.Rejected) and outcome.error.code == "conflict"


def test_the_same_built_again_is_the_same(ledger: fc.Ledger) -> None:
    """A run that was killed builds its transactions again: another salt and id, and the same orders."""
    lost, again = signed(ledger, claim("r-1")), signed(ledger, claim("r-1"))
    assert lost.id != again.id and lost.ticket.content == again.ticket.content
    ledger.submit(again)
    outcome = ledger.resolve(lost.ticket)
    assert (outcome.status, outcome.id) == ("applied", again.id)
    assert ledger.submit(lost).status == "already"


def test_a_ticket_of_another_ledger_is_said(ledger: fc.Ledger, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with found(tmp_path / "other") as other, pytest.raises(fc.FinchainError, match="the ticket is for") as caught:
        other.resolve(signed(ledger, claim("r-1")).ticket)
    assert type(caught.value).__name__ == "WrongLedger"


def test_a_reader_answers_by_the_blocks_that_it_has(ledger: fc.Ledger, clock: fc.SimulatedClock) -> None:
    kept = signed(ledger, claim("r-1"))
    lost = signed(ledger, claim("r-2"), sequence=2, expires_ms=clock.now_ms() + 1_000)
    ledger.submit(kept)
    ledger.close()
    clock.advance(days=1)
    with fc.open(ledger.path, read_only=True, clock=clock) as reader:
        assert reader.resolve(kept.ticket).status == "applied"
        # Its clock says nothing of the writer's; a block after that time does.
        assert reader.resolve(lost.ticket).status == "unknown"
    with fc.open(ledger.path, keys=ledger.path.parent / "keys", operator=key("operator"), clock=clock) as again:
        again.submit(claim("r-3"), by=key("shop"))
    with fc.open(ledger.path, read_only=True) as reader:
        assert reader.resolve(lost.ticket).status == "rejected"


def test_the_command_resolves(ledger: fc.Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    applied, refused, lost = (signed(ledger, claim(id), sequence=n) for n, id in enumerate(["r-1", "r-1", "r-2"], 1))
    list(ledger.submit_all([applied, refused]))
    ledger.close()
    for transaction, code, word in ((applied, 0, "applied"), (refused, 8, "refused"), (lost, 20, "unknown")):
        (tmp_path / "ticket.json").write_bytes(msgspec.json.encode(transaction.ticket))
        assert cli.run(["resolve", str(ledger.path), str(tmp_path / "ticket.json")]) == code
        assert capsys.readouterr().out.startswith(f"{word}: {transaction.id}")
    (tmp_path / "ticket.json").write_text("{}")
    assert cli.run(["resolve", str(ledger.path), str(tmp_path / "ticket.json")]) == 16


# ---- a disk that fails

FAILING = """
import resource, signal, sys, threading
from pathlib import Path
import msgspec
import finchain as fc
from real_ledger import claim, key, reopen, signed

ledger = reopen(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
# No file may be written beyond this, and the block file, being the largest by now, comes to it first.
for n in range(150):
    ledger.submit(claim(f"before-{n}"), by=key("shop"))
limit = (ledger.height + int(sys.argv[2])) * 4_096 + 700
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
printing = threading.Lock()

def tell(*words):
    with printing:
        print(*words, flush=True)

def send(sender):
    for n in range(1, 200):
        transaction = signed(ledger, claim(f"r-{sender}-{n}"), lane=f"lane-{sender}", sequence=n)
        try:
            outcome = ledger.submit(transaction)
            tell("known", transaction.id, outcome.height, msgspec.json.encode(transaction.ticket).decode())
        except fc.Unknown as error:
            assert error.ticket == transaction.ticket
            tell("unknown", transaction.id, -1, msgspec.json.encode(error.ticket).decode())
            return
        except fc.StorageError as error:
            tell("unsent", transaction.id, -1, msgspec.json.encode(transaction.ticket).decode())
            return

threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
try:
    list(ledger.submit_all([signed(ledger, claim("late"), lane="late")]))
except fc.StorageError:
    tell("dead", "-", "-", "-")
try:
    ledger.close()
except fc.StorageError:
    pass
"""


@pytest.mark.parametrize("blocks", [5, 9, 14])
def test_when_the_disk_fails_each_transaction_is_known_unknown_or_unsent(tmp_path: Path, blocks: int) -> None:
    """Frames lie at multiples of 4,096 bytes; a limit within one tears it, which recovery cuts off."""
    found(tmp_path).close()
    with python(FAILING, tmp_path, blocks) as process:
        out, err = process.communicate(timeout=60)
    rows = [line.split(" ", 3) for line in out.splitlines()]
    states = [row[0] for row in rows]
    assert "dead" in states and "known" in states, err
    tickets = {row[1]: (row[0], row[2], msgspec.json.decode(row[3], type=fc.Ticket)) for row in rows[:-1]}
    with reopen(tmp_path) as ledger:
        for id, (state, height_told, ticket) in tickets.items():
            outcome = ledger.resolve(ticket)
            if state == "known":
                assert (outcome.status, outcome.id, str(outcome.height)) == ("applied", id, height_told)
            elif state == "unsent":
                assert outcome.status == "unknown", "it may still be sent"
            else:
                assert outcome.status in ("applied", "unknown")
                held = ledger.look(fc.Receivable, f"r-{ticket.lane.removeprefix('lane-')}-{ticket.sequence}")
                assert (held is not None) == (outcome.status == "applied")
    assert "unknown" in states or states.count("unsent") == 4


def test_a_dead_ledger_says_so_and_answers_nothing_and_is_served_no_longer(tmp_path: Path) -> None:
    script = FAILING.replace("[thread.start() for thread in threads]\n[thread.join() for thread in threads]", """
send(0)
ticket = signed(ledger, claim("r-0-1"), lane="lane-0").ticket
server = ledger.serve()
for use in (
    lambda: ledger.resolve(ticket), lambda: ledger.submit(claim("x"), by=key("shop")), ledger.checkpoint, server.wait,
):
    try:
        use()
    except fc.StorageError as error:
        assert "open the ledger again" in str(error), error
    else:
        raise SystemExit("it answered")
""")  # fmt: skip
    found(tmp_path).close()
    with python(script, tmp_path, 5) as process:
        ended(process)


# ---- a writer that is killed under its clients


def test_a_writer_that_is_killed_under_its_clients_loses_nothing_and_lies_to_nobody(tmp_path: Path) -> None:
    chance = random.Random(20_261_125)
    with found(tmp_path) as ledger:
        expires_ms = ledger.clock.now_ms() + 3_600_000
        name = ledger.name
    answered: dict[str, tuple[int, int]] = {}
    asked, lost = 0, 0
    for number in range(ROUNDS):
        prepared = [
            [
                fc.Transaction.build(
                    [claim(f"r-{number}-{client}-{n}")], by=["shop"], ledger=name, lane=f"{number}/{client}",
                    sequence=n, expires_ms=expires_ms,
                ).sign(key("shop"), "shop/1")
                for n in range(1, EACH + 1)
            ]
            for client in range(CLIENTS)
        ]  # fmt: skip
        known, tickets = under_load(tmp_path, prepared, chance.random() ** 2 * 0.4)
        answered |= known
        asked += CLIENTS * EACH
        lost += len(tickets)
        with reopen(tmp_path) as ledger:
            for ticket in tickets:
                outcome = ledger.resolve(ticket)
                assert outcome.status in ("applied", "unknown")
                held = ledger.look(fc.Receivable, f"r-{ticket.lane.replace('/', '-')}-{ticket.sequence}")
                assert (held is not None) == (outcome.status == "applied")
                again = next(t for own in prepared for t in own if t.id == ticket.id)
                assert ledger.submit(again).status == ("already" if outcome.status == "applied" else "applied")
            for id, (height, entry) in answered.items():
                assert ledger._core.entered(height, entry)["id"] == id
            for own in prepared:
                for outcome in ledger.submit_all(own):
                    assert outcome.status in ("applied", "already")
                    answered[outcome.id] = (outcome.height, outcome.entry)
            assert sum(1 for _ in ledger.find(fc.Receivable)) == asked
    assert len(set(answered.values())) == len(answered) == asked
    assert lost, "no kill came between a question and its answer"
    fc.check(tmp_path / "real.finchain")


def under_load(
    home: Path, prepared: list[list[fc.Transaction]], seconds: float
) -> tuple[dict[str, tuple[int, int]], list[fc.Ticket]]:
    """Clients send through the socket until the server is killed; gives what was answered, and what has a ticket."""
    known: dict[str, tuple[int, int]] = {}
    tickets: list[fc.Ticket] = []
    with python(SERVING, home) as process:
        assert told(process) == "serving"

        def send(own: list[fc.Transaction]) -> None:
            # Unreachable, unlike unknown, says that nothing was sent.
            with suppress(fc.Unreachable), fc.connect(home / "real.finchain", keys=home / "keys") as connection:
                for transaction in own:
                    try:
                        outcome = connection.submit(transaction)
                    except fc.Unknown as error:
                        assert error.ticket.id == transaction.id
                        tickets.append(error.ticket)
                        return
                    known[outcome.id] = (outcome.height, outcome.entry)

        threads = [threading.Thread(target=send, args=(own,)) for own in prepared]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        process.kill()
        for thread in threads:
            thread.join()
    return known, tickets
