"""Tessera's POSIX driver beside ours: a small Go program appends the same bytes, unsigned and without rules.

It is built where Go is present, from modules at the versions of `go.mod` and with the sums of `go.sum`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benches.peers.contest import Absent, Entry, Run

SOURCE = Path(__file__).parent

BUILD_SECONDS_MAX = 600
"""A first build fetches and compiles some fifteen modules."""


def built(folder: Path) -> Path:
    """Compiles the program into a folder.

    Raises:
        Absent: There is no Go, or it does not build.
    """
    if shutil.which("go") is None:
        raise Absent("Tessera needs Go, which is not installed")
    program = folder / "tessera"
    try:
        subprocess.run(
            ["go", "build", "-o", str(program), "."], cwd=SOURCE, check=True, capture_output=True, text=True,
            timeout=BUILD_SECONDS_MAX,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Absent(f"Tessera was not built within {BUILD_SECONDS_MAX} seconds") from None
    except subprocess.CalledProcessError as error:
        raise Absent(f"Tessera does not build: {error.stderr.strip()}") from None
    return program


class _Log:
    """One log a round: a process that holds the leaves and waits for the word to begin."""

    def __init__(self, program: Path, folder: Path, leaves: list[bytes], batch: int | None) -> None:
        self._program, self._folder = program, folder
        self._leaves = b"\n".join(leaves) + b"\n\n"
        self._count = len(leaves)
        self._options = [] if batch is None else ["-batch", str(batch)]
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> Run:
        shutil.rmtree(self._folder, ignore_errors=True)
        process = self._process = subprocess.Popen(
            [self._program, *self._options, self._folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        into, out = process.stdin, process.stdout
        into.write(self._leaves)
        into.flush()
        if out.readline() != b"ready\n":
            raise AssertionError("the program does not begin")

        def run() -> int:
            into.write(b"go\n")
            into.close()
            leaves: int = json.loads(out.read())["leaves"]
            process.wait()
            if leaves != self._count:
                raise AssertionError(f"{leaves} of {self._count} leaves are in the log")
            return leaves

        return run

    def finish(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def tessera(program: Path, folder: Path, leaves: list[bytes], batch: int | None = None) -> Entry:
    """Appends leaves, which hold no line end, in the batches of the driver's default or larger ones."""
    log = _Log(program, folder, leaves, batch)
    size = "its default batches" if batch is None else f"batches of {batch:,}"
    return Entry(f"Tessera POSIX, {size}, unsigned", log.prepare, log.finish)
