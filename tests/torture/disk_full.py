"""A disk that is full at any block: what was answered stays, what was not can be sent again, and nothing is believed.

A small file system in memory is the disk; room is taken from it and given back. It needs the right to mount one.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import finchain as fc
from finchain.errors import FinchainError
from real_ledger import claim, found, key, reopen

SEGMENT_MIB = 64
ROUNDS = 12
ROWS = 400


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of two block files and a little."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={2 * SEGMENT_MIB + 24}m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", place], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _fill(place: Path, leave: int) -> Path:
    """Takes all room of a disk but so many bytes."""
    stones = place / "stones"
    with stones.open("wb") as file:
        left = _free(place) - leave
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))
    return stones


def _free(place: Path) -> int:
    about = os.statvfs(place)
    return about.f_bavail * about.f_frsize


def test_a_disk_that_is_full_anywhere(disk: Path) -> None:
    chance = random.Random(20_261_125)
    found(disk).close()
    sent: dict[str, tuple[int, int]] = {}
    struck = 0
    for number in range(ROUNDS):
        stones = _fill(disk, chance.randrange(0, 4 << 20, 4096))
        lost = _submit_until_full(disk, number, sent)
        struck += lost is not None
        stones.unlink()
        with reopen(disk) as ledger:
            if isinstance(lost, fc.Ticket):
                _check_resolved(ledger, lost)
            for id, (height, entry) in sent.items():
                assert ledger._core.entered(height, entry)["id"] == id, "what was answered is there"
    assert struck >= ROUNDS // 2, "the disk was hardly ever full"
    audit = fc.check(disk / "real.finchain")
    with reopen(disk) as ledger:
        assert audit.blocks == ledger.height


def _submit_until_full(disk: Path, number: int, sent: dict[str, tuple[int, int]]) -> fc.Ticket | FinchainError | None:
    """What the full disk left: a ticket, or an error where nothing was sent; every answer is noted."""
    try:
        with reopen(disk) as ledger:
            for row in range(ROWS):
                outcome = ledger.submit([claim(f"r-{number}-{row}-{n}") for n in range(64)], by=key("shop"))
                sent[outcome.id] = (outcome.height, outcome.entry)
    except fc.Unknown as unknown:
        assert isinstance(unknown.ticket, fc.Ticket)
        return unknown.ticket
    except fc.StorageError as error:
        return error
    return None


def _check_resolved(ledger: fc.Ledger, ticket: fc.Ticket) -> None:
    """What the ticket says is so: the transaction is where it says, or its lane has not come so far."""
    outcome = ledger.resolve(ticket)
    reached = ledger._core.lane_sequence(f"{ticket.sender} {ticket.lane}")
    if outcome.status == "applied":
        assert ledger._core.entered(outcome.height, outcome.entry)["id"] == ticket.id
        assert reached == ticket.sequence
    else:
        assert outcome.status == "unknown"
        assert reached == ticket.sequence - 1
