"""The same blocks under other hash seeds and other Python versions give the same roots.

An audit runs every rule again and compares the state root of every header, so it is asked for under each interpreter of
this machine that finchain supports. Where there is only one, its hash seeds remain.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from finchain import instructions as do
from played_deal import bent, played
from real_ledger import DUE, key

ROWS = int(os.environ.get("FINCHAIN_TORTURE_ROWS", "100000"))
BATCH = 1_000
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deal with its default, and then claims of the shop and their confirmations, a thousand a signature."""
    home = tmp_path_factory.mktemp("ledger")
    with played(home, bent()) as played_ledger:
        played_ledger.register("buyer", "A buyer", roles=["debtor"], key=key("buyer"))
        for start in range(0, ROWS // 2, BATCH):
            numbers = range(start, start + BATCH)
            _apply(played_ledger, "maker", [
                do.SubmitReceivable(f"R-{n}", "maker", "buyer", 1_000 + n, "CNY", DUE, f"INV-{n}") for n in numbers
            ])  # fmt: skip
            _apply(played_ledger, "buyer", [do.ConfirmReceivable(f"R-{n}", 1_000 + n) for n in numbers])
        return played_ledger.path


def _apply(ledger: fc.Ledger, by: str, instructions: list[do.SubmitReceivable] | list[do.ConfirmReceivable]) -> None:
    rows = ledger.submit_each(instructions, by=key(by))
    assert not [row for row in rows if isinstance(row, fc.RefusedRow)][:3]


@pytest.fixture(scope="module")
def here(ledger: Path) -> dict[str, object]:
    """What the audit says in this process."""
    return msgspec.structs.asdict(fc.check(ledger))


def audited(python: Path | str, ledger: Path, seed: str) -> dict[str, object]:
    """What the command says of a ledger under another interpreter or hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY / "python")}
    done = subprocess.run(
        [python, "-m", "finchain", "check", str(ledger), "--json"], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_hash_seeds(ledger: Path, here: dict[str, object], seed: str) -> None:
    assert audited(sys.executable, ledger, seed) == here


def others() -> Iterator[Path]:
    """Interpreters of other minor versions, from 3.11 on, that are installed beside this one or found by name."""
    seen = {sys.version_info[:2]}
    beside = Path(sys.base_prefix).parent.glob("3.*/bin/python3.*")
    named = (shutil.which(f"python3.{minor}") for minor in range(11, 20))
    for path in [*sorted(beside), *(Path(each) for each in named if each)]:
        match = re.fullmatch(r"python3\.(\d+)", path.name)
        version = (3, int(match[1])) if match else (0, 0)
        if version >= (3, 11) and version not in seen and _runs(path):
            seen.add(version)
            yield path


def _runs(path: Path) -> bool:
    return subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0


@pytest.mark.parametrize("python", list(others()) or [None], ids=lambda path: path.name if path else "none")
def test_python_versions(tmp_path: Path, ledger: Path, here: dict[str, object], python: Path | None) -> None:
    if python is None:
        pytest.skip("there is no other Python from 3.11 on here")
    home = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", home], check=True)
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["run-time"]
    subprocess.run([home / "bin/python", "-m", "pip", "install", "--quiet", *needed], check=True)
    assert audited(home / "bin/python", ledger, "random") == here
