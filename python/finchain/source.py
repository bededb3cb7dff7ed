"""Where answers about a ledger come from, whoever gives them: plain bytes and places, in the shape of the core."""

from __future__ import annotations

from typing import Any, Protocol


class Source(Protocol):
    """Where answers come from: the core of a writer or a follower, a view of an index, or the other end of a socket."""

    @property
    def name(self) -> str:
        """Origin, `#`, hash of block 0."""

    @property
    def hash_suite(self) -> str:
        """Name of the hash suite inside blocks."""

    @property
    def height(self) -> int:
        """Number of blocks."""

    @property
    def time_ms(self) -> int:
        """Time of the last block."""

    @property
    def state_root(self) -> bytes:
        """Root of the state map after the last block."""

    def record(self, kind: str, id: str) -> bytes | None:
        """A record as JSON, or `None`."""

    def scan(self, kind: str | None, start: int, limit: int) -> tuple[list[tuple[str, bytes]], int | None]:
        """At most `limit` records from a number on: kind and JSON each, and the number to go on from."""

    def history(self, kind: str, id: str, limit: int) -> list[tuple[int, int, list[int]]]:
        """Places that touched a record, newest first: height, entry, instructions."""

    def entered(self, height: int, entry: int) -> dict[str, Any]:
        """A transaction as a block holds it."""

    def lane_sequence(self, lane_id: str) -> int:
        """Last sequence of a lane, 0 where it has not begun."""

    def lane_place(self, lane_id: str, sequence: int) -> tuple[int, int] | None:
        """Height and entry of a lane's sequence, `None` where no durable block used it."""
