"""What a script waits for before its first line: a fresh interpreter that imports one library and ends; P13.

Bytecode is there already, as it is once pip has installed a package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benches.peers.contest import Contest, Entry, Run, Target

IMPORTS = {
    "finchain": "import finchain",
    "finchain, all that it names": "from finchain import *",
    "json and sqlite3": "import json, sqlite3",
    "asyncio": "import asyncio",
    "pyca/cryptography, its Ed25519 alone": "from cryptography.hazmat.primitives.asymmetric import ed25519",
    "nothing": "",
}
"""What is imported; the interpreter's own start is in every figure, and all there is in the last one."""

TARGET = Target("P13", 1 / 0.080, said="at most 80 ms, the interpreter's start included")


def importing(folder: Path, imports: Sequence[str] = tuple(IMPORTS)) -> Contest:
    """Each of the imports, finchain first; bytecode is kept in the folder."""
    surroundings = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    entries = [
        Entry(name, _prepared(IMPORTS[name], surroundings), targets=() if at else (TARGET,))
        for at, name in enumerate(imports)
    ]
    return Contest("P13: import in a fresh interpreter", "import", entries)


def _prepared(code: str, surroundings: dict[str, str]) -> Callable[[], Run]:
    def run() -> int:
        subprocess.run([sys.executable, "-c", code], check=True, env=surroundings)
        return 1

    def prepare() -> Run:
        run()
        return run

    return prepare
