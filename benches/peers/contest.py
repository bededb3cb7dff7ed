"""How entries are compared: in turn, several rounds, median, spread, processor time, and the target where there is one.

A figure is never asserted. Who is not on this machine is left out, with the reason on standard error.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benches import machine

Run = Callable[[], int]
"""Does the work that is timed, and gives how many items it did."""


class Absent(Exception):
    """A peer is not on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Target:
    """What an entry should reach.

    Attributes:
        name: Its number, as `docs/performance.md` has it.
        at_least: Items a second; or, where `beside` names another entry of the contest, times that entry's rate.
        beside: The other entry.
        said: The same in the words of the page, where a rate is not what people speak of.
    """

    name: str
    at_least: float
    beside: str = ""
    said: str = ""

    def verdict(self, rates: dict[str, float], entry: str) -> str:
        """The target, and whether the entry's rate reaches it; not judged where the other entry is left out."""
        if not self.beside:
            return f"{self.name} {_met(rates[entry] >= self.at_least)}: {self.said or f'{self.at_least:,.0f} a second'}"
        wanted = f"{self.at_least:g} × {self.beside}"
        if self.beside not in rates:
            return f"{self.name} not judged: {wanted}"
        reached = rates[entry] / rates[self.beside]
        return f"{self.name} {_met(reached >= self.at_least)}: {reached:.2f}, wanted {wanted}"


def _met(reached: bool) -> str:
    return "met" if reached else "missed"


def _nothing() -> None:
    """What most entries leave behind."""


@dataclass(frozen=True)
class Entry:
    """One way to do the work.

    Attributes:
        name: Who, and what is left out.
        prepare: Called before each round and not timed; gives the run.
        finish: Called after each round and not timed, also where it failed.
        targets: What it should reach.
    """

    name: str
    prepare: Callable[[], Run]
    finish: Callable[[], None] = _nothing
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Contest:
    """Entries that are compared; the first is finchain."""

    title: str
    item: str
    entries: list[Entry]


@dataclass(frozen=True)
class Round:
    """Seconds an item: as time passed, and on a processor. The latter is of this process and of ended children."""

    passed: float
    processor: float


def needed(module: str, peer: str, remedy: str) -> Any:
    """A module of a peer, imported where it is used: asv reads the contests too, in environments with finchain alone.

    Raises:
        Absent: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Absent(f"{peer} needs {module}, which is not installed: {remedy}") from None


def present(peers: Iterable[Callable[[], Entry]]) -> Iterator[Entry]:
    """The entries of those peers that are here; of the others it says why they are not."""
    for peer in peers:
        try:
            yield peer()
        except Absent as absent:
            print(f"left out: {absent}", file=sys.stderr)


def measured(contest: Contest, rounds: int) -> dict[str, list[Round]]:
    """Every entry's rounds, entries in turn, so that a busy minute hits all of them."""
    found: dict[str, list[Round]] = {entry.name: [] for entry in contest.entries}
    for _ in range(rounds):
        for entry in contest.entries:
            try:
                run = entry.prepare()
                used, started = machine.processor_seconds(), time.perf_counter()
                items = run()
                passed = time.perf_counter() - started
                used = machine.processor_seconds() - used
            finally:
                entry.finish()
            found[entry.name].append(Round(passed / items, used / items))
    return found


def table(contest: Contest, rounds: dict[str, list[Round]]) -> list[str]:
    """A line for each entry: medians, the rate of its quickest round, spread between that and the slowest, ratio."""
    medians = {name: statistics.median(each.passed for each in own) for name, own in rounds.items()}
    rates = {name: 1 / median for name, median in medians.items()}
    first = next(iter(medians.values()))
    heads = (f"µs/{contest.item}", "per second", "quickest", "spread", "processor", "time, × 1st")
    lines = [contest.title, f"  {'':50}" + "".join(f"{head:>15}" for head in heads)]
    for entry in contest.entries:
        passed, median = [each.passed for each in rounds[entry.name]], medians[entry.name]
        used = statistics.median(each.processor for each in rounds[entry.name])
        spread = (max(passed) - min(passed)) / median
        verdicts = "; ".join(target.verdict(rates, entry.name) for target in entry.targets)
        line = f"  {entry.name:50}{median * 1e6:15.2f}{rates[entry.name]:15,.0f}{1 / min(passed):15,.0f}{spread:15.0%}"
        lines.append(f"{line}{used * 1e6:15.2f}{median / first:15.2f}  {verdicts}".rstrip())
    return lines


def print_contest(contest: Contest, rounds: int) -> None:
    """Runs a contest and prints its table."""
    print("\n" + "\n".join(table(contest, measured(contest, rounds))), flush=True)
