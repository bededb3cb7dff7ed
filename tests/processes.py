"""Second processes for tests: with the tests on their path, told what to do by a script, heard line by line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import finchain as fc

SERVING = """
import sys
from pathlib import Path
from real_ledger import reopen

ledger = reopen(Path(sys.argv[1]))
ledger.serve()
print("serving", flush=True)
sys.stdin.readline()
ledger.close()
"""
"""Opens the ledger of a home and serves it until it is told a line."""


def python(script: str, *arguments: object, module: str = "") -> subprocess.Popen[str]:
    """A second process that runs a script, or a module."""
    path = ":".join([str(Path(__file__).parent), *sys.path])
    words = ["-m", module] if module else ["-c", script]
    return subprocess.Popen(
        [sys.executable, *words, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def finchain(*arguments: object) -> subprocess.Popen[str]:
    """The command in a second process."""
    return python("", *arguments, module="finchain")


def told(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.communicate()[1]
    return line


def only_fork_errors(*uses: Callable[[], object]) -> None:
    """In a forked child: each use of an inherited handle says that it is one, or the child ends with 3."""
    for use in uses:
        try:
            use()
        except fc.ForkError as error:
            assert "spawn" in str(error), error
        else:
            os._exit(3)


def ended(process: subprocess.Popen[str]) -> str:
    """Lets a process come to its end, with a line in case it waits for one; gives what it still printed."""
    out, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    return out


def anonymous_kib(pid: int) -> int:
    """Memory of a process that is no file's, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not say how much memory is no file's")
