"""PostgreSQL beside ours: rows copied into a table with a primary key, a commit a thousand, by a server of its own.

The server listens on a Unix socket in its own folder and on no network, and is as durable as it comes: `fsync` and
`synchronous_commit` are on. It refuses to run as root, so root starts it as another user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.peers.contest import Absent, Entry, Run, needed

USERS = ("postgres", "nobody")
"""Who runs the server where root starts it: the first that exists."""

START_SECONDS_MAX = 60
SOCKET_CHARACTERS_MAX = 107
"""Longest path of a Unix socket on Linux."""

COMMIT_ROWS = 1_000


class Server:
    """A server that runs for one round at a time.

    Args:
        folder: Where its files are made. Whoever runs the server must be able to reach it.

    Raises:
        Absent: Server or client is not installed, or nobody may run it, or it does not start.
    """

    def __init__(self, folder: Path) -> None:
        socket = folder / ".s.PGSQL.5432"
        if len(str(socket)) > SOCKET_CHARACTERS_MAX:
            raise Absent(f"PostgreSQL's socket cannot be {socket}: at most {SOCKET_CHARACTERS_MAX} characters")
        self._client = needed("psycopg", "PostgreSQL", "pip install 'psycopg[binary]'")
        self._programs = _programs()
        self._user = _user()
        self._folder = folder
        self._process: subprocess.Popen[Any] | None = None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if self._user is not None:
            shutil.chown(folder, self._user)
        initdb = [str(self._programs / "initdb"), "--auth=trust", "--username=bench", f"--pgdata={folder / 'files'}"]
        made = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd="/", **self._as_user())
        if made.returncode != 0:
            raise Absent(f"PostgreSQL cannot be set up: {made.stderr.strip() or made.stdout.strip()}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}

    def start(self) -> Any:
        """Starts the server and gives a connection to it.

        Raises:
            AssertionError: It does not answer.
        """
        settings = ["listen_addresses=", "fsync=on", "synchronous_commit=on", "full_page_writes=on"]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [str(self._programs / "postgres"), f"-D{self._folder / 'files'}", f"-k{self._folder}", *options]
        with (self._folder / "log").open("ab") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as_user())
        started = time.monotonic()
        while True:
            try:
                return self._client.connect(host=str(self._folder), user="bench", dbname="postgres")
            except self._client.OperationalError as error:
                if process.poll() is not None or time.monotonic() - started > START_SECONDS_MAX:
                    raise AssertionError(f"PostgreSQL does not answer: {error}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends it as its manual says: who is connected is cut off, and everything is written."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None


def _programs() -> Path:
    """The folder of the server's programs."""
    config = shutil.which("pg_config")
    if config is None:
        raise Absent("PostgreSQL is not installed: there is no pg_config")
    folder = Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
    if not (folder / "initdb").exists():
        raise Absent(f"PostgreSQL's server is not installed: there is no initdb in {folder}")
    return folder


def _user() -> str | None:
    """Who runs the server; nobody else where this is not root."""
    if os.geteuid() != 0:
        return None
    for name in USERS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Absent(f"PostgreSQL does not run as root, and there is no user {' or '.join(USERS)}")


def postgres_copy(folder: Path, bodies: Sequence[bytes]) -> Entry:
    """Copies rows in, in the binary format."""
    server = Server(folder)

    def prepare() -> Run:
        connection = server.start()
        connection.execute("DROP TABLE IF EXISTS rows")
        connection.execute("CREATE TABLE rows (id text PRIMARY KEY, body bytea NOT NULL)")
        connection.commit()

        def run() -> int:
            for start in range(0, len(bodies), COMMIT_ROWS):
                with connection.cursor().copy("COPY rows FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["text", "bytea"])
                    for number, body in enumerate(bodies[start : start + COMMIT_ROWS], start):
                        copy.write_row((f"R-{number}", body))
                connection.commit()
            connection.close()
            return len(bodies)

        return run

    return Entry("PostgreSQL COPY, a commit a thousand, rows alone", prepare, server.stop)
