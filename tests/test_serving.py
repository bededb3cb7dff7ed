"""A ledger served through its socket: what a ledger answers, and what a slow, silent or hostile peer can not do."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import re
import resource
import signal
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import finchain as fc
from conftest import REPOSITORY
from finchain import instructions as do
from finchain import serving, wire
from processes import SERVING, ended, finchain, python, told
from real_ledger import claim, found, key, reopen, signed


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    """A ledger that this process serves."""
    with found(tmp_path) as ledger:
        ledger.serve()
        yield ledger


@pytest.fixture
def connection(ledger: fc.Ledger) -> Iterator[fc.Connection]:
    with connected(ledger.path) as connection:
        yield connection


def connected(path: Path) -> fc.Connection:
    return fc.connect(path, keys=path.parent / "keys", operator=key("operator"), timeout_seconds=30)


def raw(ledger: fc.Ledger) -> socket.socket:
    """A peer that sends what it likes."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(30)
    peer.connect(os.fspath(ledger.path / "socket"))
    return peer


def asked(ledger: fc.Ledger, sent: bytes) -> bytes:
    """What comes back for these bytes, until the server ends the connection or the frame is whole."""
    with raw(ledger) as peer:
        peer.sendall(sent)
        return wire.receive(peer, first_seconds=30, seconds=30) or b""


# ---- the same questions, answers and errors


def test_a_connection_says_what_the_ledger_says(ledger: fc.Ledger, connection: fc.Connection) -> None:
    order = claim("r-1")
    assert connection.submit(order, by=key("shop")).status == "applied"
    assert connection.submit([claim("r-2"), claim("r-3")], by=key("shop")).height == ledger.height - 1
    rows = connection.submit_each([claim("r-1"), claim("r-4")], by=key("shop"))
    assert isinstance(rows[0], fc.RefusedRow) and rows[0].code == "receivable.duplicate"
    assert isinstance(rows[1], fc.Applied) and rows[1].index == 1
    assert connection.register("bank", "The bank", roles=["lender"], key=key("bank")).status == "applied"
    transaction = connection.prepare(do.ConfirmReceivable("r-1", 1), by=["core"]).sign(key("core"))
    assert connection.submit(transaction).status == "applied"
    assert connection.submit(transaction).status == "already"

    def told(by: fc.Ledger | fc.Connection) -> tuple[object, ...]:
        return (
            by.name, by.height, by.rulebook, by.today, by.hash_suite, by.state_root, by.verifier_key,
            list(by.find_all()), [each.id for each in by.find(fc.Receivable)], by.history(fc.Receivable, "r-1"),
            by.totals(), by.totals(by.today), by.look(fc.Receivable, "r-9"), by.resolve(transaction.ticket),
            by.explain(claim("r-9"), by="shop"), str(by.explain(claim("r-1"), by=key("shop"))), by.checkpoint(),
        )  # fmt: skip

    assert told(connection) == told(ledger)


def test_receipts_are_proven_through_the_socket(ledger: fc.Ledger, connection: fc.Connection) -> None:
    outcome = connection.submit(claim("r-1"), by=key("shop"))
    connection.submit(do.ConfirmReceivable("r-1", 100), by=key("core"))
    for receipt, what in (
        (connection.prove(fc.Receivable, "r-1"), "record"), (connection.prove_absent(fc.Receivable, "r-2"), "absence"),
        (connection.prove_instruction(outcome, signers=True), "instruction"),
        (connection.prove_change(outcome, fc.Receivable, "r-1"), "change"),
    ):  # fmt: skip
        assert fc.verify(receipt, trust=ledger.verifier_key, unwitnessed=True).what == what
    with pytest.raises(fc.NotFound, match="r-2"):
        connection.prove(fc.Receivable, "r-2")


def test_errors_are_those_of_the_ledger(ledger: fc.Ledger, connection: fc.Connection) -> None:
    ledger.submit(claim("r-1"), by=key("shop"))

    def fault(to: fc.Ledger | fc.Connection, what: object, **named: object) -> dict[str, object]:
        with pytest.raises(fc.FinchainError) as caught:
            to.submit(what, **named)  # type: ignore[arg-type]
        # Facts travel in the order of their names.
        return {"class": type(caught.value), "lines": str(caught.value).count("\n"), **vars(caught.value)}

    for what, named in (
        (claim("r-1"), {"by": key("shop")}), (signed(ledger, claim("x"), sequence=7), {}),
        (signed(ledger, claim("x"), expires_ms=1), {}), (claim("x"), {"by": key("stranger")}), (claim("x"), {}),
        (do.ConfirmReceivable("r-1", 2_000_000), {"by": key("core")}),
    ):  # fmt: skip
        assert fault(connection, what, **named) == fault(ledger, what, **named)


def test_what_many_clients_send_shares_syncs(ledger: fc.Ledger) -> None:
    clients, each, height = 12, 10, ledger.height
    prepared = [
        [signed(ledger, claim(f"r-{c}-{n}"), sequence=n, lane=f"lane-{c}") for n in range(1, each + 1)]
        for c in range(clients)
    ]
    answers: list[list[str]] = [[] for _ in range(clients)]

    def send(number: int) -> None:
        with connected(ledger.path) as connection:
            for transaction in prepared[number]:
                answers[number].append(connection.submit(transaction).id)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[t.id for t in own] for own in prepared]
    assert ledger.height - height < clients * each


def test_a_stream_has_an_outcome_for_each(ledger: fc.Ledger, connection: fc.Connection) -> None:
    texts = [signed(ledger, claim(f"r-{n}"), sequence=n).to_bytes() for n in range(1, 1_200)]
    outcomes = list(connection.submit_all([*texts, b"rubbish", texts[0]]))
    assert [outcome.status for outcome in outcomes] == ["applied"] * len(texts) + ["rejected", "already"]
    assert isinstance(outcomes[-2].error, fc.Rejected) and outcomes[-2].error.code == "malformed"


# ---- the bytes


def test_the_bytes_of_a_question_and_its_answer(ledger: fc.Ledger) -> None:
    """Those of docs/format.md section 7.4."""
    page = (REPOSITORY / "docs" / "format.md").read_text("utf-8")
    sent, back = re.findall(r"^([0-9a-f]{8}) (\{.*\})$", page, re.MULTILINE)
    with raw(ledger) as peer:
        peer.sendall(bytes.fromhex(sent[0]) + sent[1].encode())
        assert peer.recv(100) == bytes.fromhex(back[0]) + back[1].encode()
    asks = {str(ask.__struct_config__.tag) for ask in wire.Ask.__subclasses__()}
    assert asks == set(re.findall(r"`(\w+\.\d)`", page.partition("### 7.4")[2].partition("## 8")[0]))
    nobody = asked(ledger, b'\x00\x00\x00\x2a{"ask":"record.1","id":"r-1","kind":"lot"}')
    assert nobody == b'{"answer":null}'
    unknown = asked(ledger, b'\x00\x00\x00\x10{"ask":"money.1"}'[:3] + bytes([17]) + b'{"ask":"money.1"}')
    assert json.loads(unknown)["error"]["error"] == "Malformed"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"ask" : "ledger.1"}', "Malformed"), (b'{"ask":"ledger.1","more":1}', "Malformed"), (b"[]", "Malformed"),
        (b'{"ask":"lane.1"}', "Malformed"), (b'{"ask":"lane.1","lane":7}', "Malformed"), (b"\xff\xfe", "Malformed"),
        (b'{"ask":"submit.1","transactions":[]}', "LimitExceeded"),
        (b'{"ask":"prove.1","id":"x","kind":"y"}', "NotFound"),
        (b'{"ask":"submit.1","transactions":["?"]}', "Malformed"), (b"[" * 2_000 + b"]" * 2_000, "Malformed"),
        (b'{"ask":"entered.1","entry":0,"height":99}', "NotFound"),
        (b'{"ask":"history.1","id":"x","kind":"y","limit":-1}', "Malformed"),
        (b'{"ask":"entered.1","entry":-1,"height":-1}', "Malformed"),
        (b'{"ask":"submit.1","transactions":[' + b",".join([b'""'] * 1_025) + b"]}", "LimitExceeded"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_costs_an_error(ledger: fc.Ledger, text: bytes, error: str) -> None:
    answer = json.loads(asked(ledger, struct.pack(">I", len(text)) + text))
    assert (answer["error"]["error"], bool(answer["error"]["message"])) == (error, True), answer


def test_a_frame_has_its_limit(ledger: fc.Ledger) -> None:
    assert json.loads(asked(ledger, b"\x00\x00\x00\x00"))["error"]["error"] == "Malformed"
    beyond = struct.pack(">I", wire.FRAME_BYTES_MAX + 1)
    assert json.loads(asked(ledger, beyond))["error"]["error"] == "LimitExceeded"
    assert json.loads(asked(ledger, b"\xff\xff\xff\xff"))["error"]["error"] == "LimitExceeded"
    full = b'{"ask":"lane.1","lane":"%b"}'
    full %= b"x" * (wire.FRAME_BYTES_MAX - len(full) + 2)
    assert asked(ledger, struct.pack(">I", len(full)) + full) == b'{"answer":0}'


# ---- peers that do harm to nobody


def test_peers_that_break_off_or_say_nothing_harm_nobody(ledger: fc.Ledger) -> None:
    held = [raw(ledger) for _ in range(10)]
    for sent in (b"\x00", b"\x00\x00\x00\x05", b"\x00\x00\x00\x05{", b"GET / HTTP/1.1\r\n\r\n"):
        peer = raw(ledger)
        peer.sendall(sent)
        held.append(peer)
        broken = raw(ledger)
        broken.sendall(sent)
        broken.close()
    for n in range(50):
        with raw(ledger) as peer:
            # The answer to this is more than the peer will ever read.
            peer.sendall(b'\x00\x00\x00\x23{"ask":"lane.1","lane":"shop main"}' * (n + 1))
    with connected(ledger.path) as connection:
        assert connection.submit(claim("r-1"), by=key("shop")).status == "applied"
    for peer in held:
        peer.close()


def test_a_thousand_connections_that_say_nothing(ledger: fc.Ledger) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        connection = held.enter_context(connected(ledger.path))
        for n in range(10):
            for _ in range(100):
                held.enter_context(raw(ledger))
            assert connection.submit(claim(f"r-{n}"), by=key("shop")).status == "applied"
            peers = sum(thread.name == "finchain peer" for thread in threading.enumerate())
            assert peers <= serving.CONNECTIONS_MAX + 1, "one comes before another has gone"


def test_a_frame_that_drips_is_cut_off(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is that of the whole frame: a byte now and then does not prolong it."""
    monkeypatch.setattr(serving, "FRAME_SECONDS", 0.3)
    with raw(ledger) as peer, pytest.raises(OSError):
        for _ in range(600):
            peer.sendall(b"\x00\x00\x00\x40"[:1])
            peer.sendall(b"{" if _ > 3 else b"\x00")
            time.sleep(0.01)


def test_more_than_may_wait_is_refused_before_any_work(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WAITING_TRANSACTIONS_MAX", 3)
    texts = [signed(ledger, claim(f"r-{n}"), sequence=n).to_bytes() for n in range(1, 5)]
    answers: list[list[fc.Outcome]] = []
    with connected(ledger.path) as connection, connected(ledger.path) as other:
        sending = threading.Thread(target=lambda: answers.append(connection._send(texts[:3])))
        with ledger._lock:
            sending.start()
            while not ledger._queue:
                time.sleep(0.001)
            with pytest.raises(fc.Busy) as caught:
                other._send(texts[3:])
            assert caught.value.retry_after_ms >= serving.RETRY_MS_MIN and str(caught.value.retry_after_ms) in str(
                caught.value
            )
        sending.join()
        assert [outcome.status for outcome in answers[0]] == ["applied"] * 3
        assert [outcome.status for outcome in other._send(texts[3:])] == ["applied"]
        assert [outcome.status for outcome in other._send(texts[:3])] == ["already"] * 3, "as many as may wait"


def test_a_stream_waits_where_the_server_is_busy(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WAITING_BYTES_MAX", 1_000)
    texts = [signed(ledger, claim(f"r-{n}"), sequence=n).to_bytes() for n in range(1, 3)]
    assert len(texts[0]) < 1_000 < len(texts[0]) + len(texts[1])
    with connected(ledger.path) as connection:
        outcomes: list[fc.Outcome] = []
        sending = threading.Thread(target=lambda: outcomes.extend(connection.submit_all(texts[1:])))
        with connected(ledger.path) as other, ledger._lock:
            first = threading.Thread(target=lambda: outcomes.extend(other._send(texts[:1])))
            first.start()
            while not ledger._queue:
                time.sleep(0.001)
            sending.start()
            time.sleep(0.1)
            assert not outcomes
        first.join()
        sending.join()
    assert [outcome.status for outcome in outcomes] == ["applied", "applied"]


# ---- the file


def test_the_socket_is_this_users_alone(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    mode = (ledger.path / "socket").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(fc.ConfigError, match=f"user {own} may not"):
        connected(ledger.path)
    monkeypatch.undo()
    with connected(ledger.path) as connection:
        assert connection.height == 3


def test_a_path_that_is_too_long_is_said_and_a_link_helps(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with found(deep) as ledger:
        for use in (ledger.serve, lambda: connected(ledger.path)):
            with pytest.raises(fc.ConfigError, match=f"at most {wire.SOCKET_PATH_BYTES_MAX} are allowed"):
                use()
    short = tmp_path / "s"
    short.symlink_to(deep)
    with reopen(short) as ledger:
        ledger.serve()
        with connected(ledger.path) as connection:
            assert connection.height == 3


def test_the_longest_path_serves_and_one_byte_more_does_not(tmp_path: Path) -> None:
    room = wire.SOCKET_PATH_BYTES_MAX - len(os.fsencode(tmp_path)) - len("//socket")
    exact, beyond = tmp_path / ("x" * room), tmp_path / ("x" * (room + 1))
    assert serving.socket_address(exact) == os.fspath(exact / "socket")
    with pytest.raises(fc.ConfigError, match="108 bytes"):
        serving.socket_address(beyond)
    exact.mkdir()
    with serving._listening(exact / "socket"), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.fspath(exact / "socket"))


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    found(tmp_path).close()
    path = tmp_path / "real.finchain"
    with python(SERVING, tmp_path) as process:
        assert told(process) == "serving"
        left = connected(path)
        process.kill()
        process.wait()
    assert (path / "socket").exists()
    with pytest.raises(fc.Unreachable, match="no process serves"):
        left.submit(claim("r-1"), by=key("shop"))
    with pytest.raises(fc.Unreachable, match="no process serves"):
        connected(path)
    with reopen(tmp_path) as ledger, ledger.serve():
        assert left.submit(claim("r-1"), by=key("shop")).status == "applied", "it finds its way again"
        left.close()
    assert not (path / "socket").exists()


def test_something_else_in_its_place_is_not_removed(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        (ledger.path / "socket").write_text("mine")
        with pytest.raises(fc.ConfigError, match="no socket"):
            ledger.serve()
        assert (ledger.path / "socket").read_text() == "mine"


def test_a_server_ends_by_itself_with_its_ledger_and_once(tmp_path: Path) -> None:
    ledger = found(tmp_path)
    server = ledger.serve()
    with pytest.raises(fc.ConfigError, match="served already"):
        ledger.serve()
    server.close()
    server.close()
    assert server.closed
    assert not server.path.exists()
    again = ledger.serve()
    connection = connected(ledger.path)
    ledger.close()
    assert again.closed and not server.path.exists()
    with pytest.raises(fc.Unreachable):
        connection.checkpoint()
    connection.close()
    with pytest.raises(fc.Unreachable, match="connect again"):
        connection.checkpoint()
    with pytest.raises(fc.NotFound, match="holds no ledger"):
        fc.connect(tmp_path / "nothing")
    for handle in (server, connection):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(handle)


# ---- processes


def work(path: Path) -> str:
    """What a spawned worker does: it connects, and writes in a lane of its own."""
    with connected(path) as connection:
        return connection.submit(claim(f"of-{os.getpid()}"), by=key("shop"), lane=f"worker-{os.getpid()}").status


def test_spawned_workers_connect_and_write(ledger: fc.Ledger) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        answers = [workers.apply_async(work, (ledger.path,)) for _ in range(2)]
        assert {answer.get(60) for answer in answers} <= {"applied"}
    assert list(ledger.find(fc.Receivable))


FORKING = """
import os, sys
from pathlib import Path
import finchain as fc
from processes import only_fork_errors
from real_ledger import claim, found, key, signed

home = Path(sys.argv[1])
ledger = found(home)
server = ledger.serve()
connection = fc.connect(ledger.path, keys=home / "keys")
outcome = connection.submit(claim("r-1"), by=key("shop"))
ticket = signed(ledger, claim("r-2")).ticket
child = os.fork()
if child == 0:
    only_fork_errors(
        lambda: connection.submit(claim("r-2"), by=key("shop")), lambda: connection.get(fc.Party, "shop"),
        lambda: connection.height, lambda: list(connection.find(fc.Party)), lambda: connection.totals(),
        lambda: connection.prove(fc.Party, "shop"), lambda: connection.checkpoint(),
        lambda: connection.resolve(ticket), lambda: ledger.resolve(ticket), lambda: ledger.serve(),
        lambda: connection.prove_instruction(outcome), lambda: connection.explain(claim("r-2"), by="shop"),
        lambda: list(connection.submit_all([b"x"])), lambda: connection.history(fc.Party, "shop"),
    )
    server.close()
    connection.close()
    ledger.close()
    with fc.connect(ledger.path, keys=home / "keys") as own:
        assert own.submit(claim("r-2"), by=key("shop")).status == "applied", "a child connects for itself"
    del server, connection, ledger
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert server.path.exists(), "the child removed the socket"
assert connection.submit(claim("r-3"), by=key("shop")).status == "applied"
assert [each.id for each in ledger.find(fc.Receivable)] == ["r-1", "r-2", "r-3"]
if os.fork() == 0:
    # A child that outlives its parent must not keep those waiting who call the parent.
    os.close(0), os.close(1), os.close(2)
    import time
    time.sleep(30)
    os._exit(0)
print("forked", flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_forked_child_cannot_use_what_it_inherits_and_does_no_harm(tmp_path: Path) -> None:
    with python(FORKING, tmp_path) as process:
        assert told(process) == "forked"
        process.wait(60)
    with pytest.raises(fc.Unreachable, match="no process serves"):
        connected(tmp_path / "real.finchain")
    with reopen(tmp_path) as ledger:
        assert ledger.height == 6, "nor keep its lock"


# ---- the command


@pytest.fixture
def home(tmp_path: Path, key_folder: Path) -> Path:
    with found(tmp_path):
        pass
    (tmp_path / "claim.json").write_text(json.dumps({
        "type": "receivable.submit", "id": "R-1", "creditor": "shop", "debtor": "core", "amount_minor": 5,
        "currency": "CNY", "due": "2026-08-31", "invoice": "INV-77",
    }))  # fmt: skip
    key("shop").save(tmp_path / "shop.pem")
    key("bank").save(tmp_path / "bank.pem")
    key("operator").save(tmp_path / "operator.pem")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_stopped(home: Path, number: signal.Signals) -> None:
    path, operator = home / "real.finchain", ("--operator", home / "operator.pem")
    with finchain("serve", path, *operator, "--json") as server:
        assert json.loads(told(server))["serving"].endswith("/socket")

        def run(*words: object) -> str:
            with finchain(words[0], path, *words[1:], "--json") as process:
                out = ended(process)
            return out

        assert json.loads(run("submit", home / "claim.json", "--key", home / "shop.pem"))["status"] == "applied"
        run("register", "bank", "The bank", "--role", "lender", "--key", home / "bank.pem", *operator)
        receipt = json.loads(run("prove", "receivable", "R-1", "--out", home / "it.receipt"))
        trust = receipt["verifier_key"]
        assert fc.verify(home / "it.receipt", trust=trust, unwitnessed=True).record.id == "R-1"
        assert json.loads(run("show", "receivable", "R-1"))["pending"] == 5
        run("prepare", home / "claim.json", "--by", "shop", "--out", home / "unsent.tx")
        with finchain("explain", path, home / "claim.json", "--by", "shop") as process:
            assert "receivable.duplicate" in process.communicate(timeout=60)[1]
        assert process.returncode == 8
        with finchain("show", path, "--today", "2026-03-09") as process:
            process.communicate(timeout=60)
        assert process.returncode == 0, "a question has a clock of its own"
        with finchain("submit", path, home / "unsent.tx", "--today", "2026-03-09") as process:
            assert "serves" in process.communicate(timeout=60)[1]
        assert process.returncode == 16
        began = time.monotonic()
        server.send_signal(number)
        assert server.wait(timeout=30) == 0
        assert time.monotonic() - began < 30
    assert not (path / "socket").exists()
    assert " closed " in (path / "index" / "mark").read_text()
    with reopen(home) as ledger:
        assert ledger.recovery == {**ledger.recovery, "cut": None, "index_rebuilt_because": None}
        assert ledger.recovery["replay_from"] == ledger.height == 5


def test_a_ledger_that_is_open_and_not_served_is_locked(home: Path) -> None:
    with reopen(home), finchain("prove", home / "real.finchain", "party", "shop", "--out", home / "r") as process:
        assert "served" in process.communicate(timeout=60)[1]
    assert process.returncode == 20
