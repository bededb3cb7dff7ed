"""The documented web service with several workers: each post is applied once, also where a worker is killed."""

from __future__ import annotations

import asyncio
import http.client
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import Response

import finchain as fc
from finchain import instructions as do
from processes import ended, finchain, told
from real_ledger import DUE, found, key

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
WORKERS = 2
CLIENTS = 8
SECONDS_TO_START = 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with found(tmp_path):
        pass
    key("shop").save(tmp_path / "shop.pem")
    key("operator").save(tmp_path / "operator.pem")
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def service(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The ledger served, and workers before it, on a port of this machine alone."""
    words = ("--keys", home / "keys", "--operator", home / "operator.pem")
    port = free_port()
    with finchain("serve", home / "real.finchain", *words) as writer:
        assert told(writer).startswith("serving ")
        environment = {
            **os.environ, "FINCHAIN_LEDGER": str(home / "real.finchain"), "FINCHAIN_KEYS": str(home / "keys"),
            "SHOP_KEY": str(home / "shop.pem"), "PYTHONPATH": ":".join(sys.path),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--host", "127.0.0.1", "--port", str(port),
            "--workers", str(WORKERS), "--log-level", "warning", "web_service:app",
        ]  # fmt: skip
        with subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE) as workers:
            try:
                wait_for(port, workers)
                yield workers, port
            finally:
                workers.terminate()
                workers.wait(30)
                # Also where a test fails: what it waits for at its end must not go on serving.
                writer.terminate()
        ended(writer)


def wait_for(port: int, workers: subprocess.Popen[str]) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        assert workers.poll() is None, workers.stderr and workers.stderr.read()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the service does not listen")


class Client:
    """One client, who asks until it has an answer. A context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._line: http.client.HTTPConnection | None = None
        self.again = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._line is not None:
            self._line.close()

    def post(self, order: dict[str, Any] | bytes, idempotency_key: str | None) -> tuple[int, dict[str, Any]]:
        body = order if isinstance(order, bytes) else json.dumps(order).encode()
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        until = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                self._line = self._line or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                self._line.request("POST", "/claims", body, headers)
                answer = self._line.getresponse()
                status, content = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                # Whether the order was taken before the worker died is for the next one to say.
                if self._line is not None:
                    self._line.close()
                self._line, status, content = None, 0, b""
            if status not in (0, 503):
                return status, json.loads(content)
            assert time.monotonic() < until, f"no answer, the last was {status} {content!r}"
            self.again += 1
            time.sleep(0.05)


def order(n: int) -> dict[str, Any]:
    return {
        "type": "receivable.submit", "id": f"w-{n}", "creditor": "shop", "debtor": "core", "amount_minor": 100 + n,
        "currency": "CNY", "due": str(DUE), "invoice": f"W {n}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "posts", [400, pytest.param(10_000, marks=pytest.mark.slow)], ids=lambda posts: f"{posts} posts"
)
def test_every_post_is_applied_once_though_some_are_sent_again_and_a_worker_is_killed(posts: int, home: Path) -> None:
    answers: list[tuple[int, int, dict[str, Any]]] = []
    faults: list[BaseException] = []
    with service(home) as (workers, port):

        def send(thread: int) -> None:
            chance = random.Random(thread)
            try:
                with Client(port) as client:
                    for n in range(thread, posts, CLIENTS):
                        for _ in range(1 + (chance.random() < 0.1)):
                            answers.append((n, *client.post(order(n), f"order {n}")))
            except BaseException as error:
                faults.append(error)

        clients = [threading.Thread(target=send, args=(thread,)) for thread in range(CLIENTS)]
        for client in clients:
            client.start()
        while len(answers) < posts // 3 and not faults:
            time.sleep(0.01)
        os.kill(children_of(workers.pid)[0], signal.SIGKILL)
        for client in clients:
            client.join()
    assert not faults
    places = {(n, told["id"], told["height"], told["entry"]) for n, _, told in answers}
    assert len(places) == posts, "each got one place, and repetitions the same"
    assert {status for _, status, _ in answers} == {200, 201}
    with fc.open(home / "real.finchain", read_only=True, verified=True) as reader:
        ids = Counter(each.id for each in reader.find(fc.Receivable))
        assert ids == Counter(f"w-{n}" for n in range(posts))
        orders = (each.instruction for each in reader.log(order="receivable.submit", texts=False))
        sent = Counter(each.id for each in orders if isinstance(each, do.SubmitReceivable))
        assert sent == ids, "no attempt was sent twice and refused as a duplicate"


def children_of(pid: int) -> list[int]:
    """Worker processes, which uvicorn starts beside a process that keeps count of what was shared."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat, command = (path / "stat").read_text(), (path / "cmdline").read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == pid and "spawn_main" in command:
            found.append(int(path.name))
    return sorted(found)


def test_what_is_wrong_is_said_with_what_would_be_right(home: Path) -> None:
    with service(home) as (_, port), Client(port) as client:
        assert client.post(order(1), "k")[0] == 201
        assert client.post(order(1), "k")[0] == 200
        wrong = [
            (client.post(order(2), "k"), 409, "idempotency_key"),
            (client.post(order(1), "k2"), 409, "receivable.duplicate"),
            (client.post(order(3) | {"amount_minor": 0}, "k3"), 409, "receivable.amount"),
            (client.post(order(3) | {"amount_minor": 1.5}, "k4"), 422, None),
            (client.post(b"", "k5"), 422, None),
            (client.post(b" " * (64 << 10), "k6"), 422, None),
            (client.post(b" " * ((64 << 10) + 1), "k7"), 413, "too large"),
            (client.post(order(3), None), 422, "Idempotency-Key is missing"),
            (client.post(order(3), "x" * 600), 422, None),
        ]
        for (status, told), expected, error in wrong:
            assert status == expected and told["advice"], told
            assert error is None or told["error"] == error
    with fc.open(home / "real.finchain", read_only=True) as reader:
        assert [each.id for each in reader.find(fc.Receivable)] == ["w-1"]


@pytest.mark.parametrize("error", [fc.Unreachable("no writer"), fc.StorageError("the disk is full")], ids=str)
def test_who_cannot_be_answered_now_is_asked_to_come_again(
    error: fc.FinchainError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer has gone, or its disk failed: the same request is right once it is back."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    web_service = importlib.import_module("web_service")

    class Failing:
        def submit(self, *_: object, **__: object) -> fc.Outcome:
            raise error

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(order(1)).encode(), "more_body": False}

    async def answered() -> Response:
        state = {"ledger": Failing(), "key": key("shop"), "limit": anyio.CapacityLimiter(1)}
        scope = {"type": "http", "method": "POST", "headers": [(b"idempotency-key", b"k")], "state": state}
        response: Response = await web_service.claim(Request(scope, receive))
        return response

    response = asyncio.run(answered())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
