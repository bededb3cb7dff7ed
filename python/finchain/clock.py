"""Clocks: where a block's time comes from. The rules see a block's time and no clock.

A ledger says in block 0 which kind it was made with, so that no demonstration can pass for the real thing.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

Kind = Literal["real", "simulated"]


class Clock(Protocol):
    """Gives the time of the next block."""

    kind: Kind

    def now_ms(self) -> int:
        """Unix time in milliseconds."""


class RealClock:
    """The machine's clock."""

    kind: Kind = "real"

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


class SimulatedClock:
    """A clock that stands until it is moved, and never goes back.

    Args:
        start: The first date, at noon in the ledger's zone.
        zone_minutes: Offset east of UTC in minutes.
    """

    kind: Kind = "simulated"

    def __init__(self, start: date, *, zone_minutes: int = 480) -> None:
        self._zone = timedelta(minutes=zone_minutes)
        self._ms = self._noon_ms(start)

    def _noon_ms(self, day: date) -> int:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - self._zone
        return int(noon.timestamp()) * 1000

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self._ms

    @property
    def today(self) -> date:
        """The date in the ledger's zone."""
        return (datetime.fromtimestamp(self._ms // 1000, UTC) + self._zone).date()

    def move_to(self, day: date) -> None:
        """Moves to noon of a later date.

        Raises:
            ValueError: The date lies before the present one.
        """
        if day < self.today:
            raise ValueError(f"the clock shows {self.today} and does not go back to {day}")
        self._ms = max(self._ms, self._noon_ms(day))

    def advance(self, *, days: int = 0, seconds: int = 0) -> None:
        """Moves on by whole days and seconds, each >= 0."""
        if days < 0 or seconds < 0:
            raise ValueError("a clock does not go back")
        self._ms += (days * 86_400 + seconds) * 1000
