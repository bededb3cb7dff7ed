"""What a command says: data on stdout, talk on stderr, and a bar only where a person watches.

With `--json` every piece of data is one JSON object on a line of its own, an error as well, which goes to stderr.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from finchain.errors import FinchainError, NotFound, Refused, Unknown
from finchain.references import explain_rule

LINE_EVERY = 1_000
"""Blocks or rows between two lines of progress: a few lines a minute at the slowest, a few a second at the quickest."""

Advance = Callable[[int, int | None], None]
"""Called with what is done and, where it is known, with how much there is."""


def at_utc(time_ms: int) -> str:
    """A block's time, as people read it."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


class Screen:
    """Where a command writes.

    Args:
        as_json: Data as JSON lines instead of text for people.
        quiet: No talk; data and errors still come.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._standing: dict[str, Any] = {}

    def show(self, content: Any, text: str) -> None:
        """Writes one piece of data: `content` as JSON, or `text`."""
        if self.as_json:
            if self._standing:
                content = msgspec.to_builtins(content, enc_hook=_plain) | self._standing
            text = msgspec.json.encode(content, enc_hook=_plain).decode()
        click.echo(text)

    def stands(self, members: dict[str, Any], text: str, *, doubtful: bool) -> None:
        """Says on what all that is shown from here on rests: in every JSON object, and once to a person.

        Args:
            members: What each JSON object says of it.
            text: The same for people.
            doubtful: The text is part of the data then, so that it is read wherever they are.
        """
        self._standing |= members
        if self.as_json:
            return
        if doubtful:
            click.echo(text)
        else:
            self.talk(text)

    def talk(self, text: str) -> None:
        """Tells a person what is going on."""
        if not self.quiet:
            click.echo(text, err=True)

    def failed(self, error: BaseException, text: str = "") -> None:
        """Says why the command ends without success."""
        text = text or (refused_text(error) if isinstance(error, Refused) else str(error))
        if isinstance(error, Unknown) and not self.as_json:
            text = f"{text}\n  ticket {msgspec.json.encode(error.ticket).decode()}"
        if not self.as_json:
            click.echo(f"{'refused' if isinstance(error, Refused) else 'error'}: {text}", err=True)
            return
        told: dict[str, Any] = {"error": type(error).__name__, "message": text}
        if isinstance(error, FinchainError):
            told |= {"message": error.message, "advice": error.advice, "facts": error.facts}
            told |= {
                name: getattr(error, name)
                for name in ("code", "rule", "field", "value", "instruction", "retry_after_ms", "ticket")
                if hasattr(error, name)
            }
        click.echo(msgspec.json.encode(told, enc_hook=_plain).decode(), err=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Advance | None]:
        """A bar on a terminal, for what may take longer than a second; with `--json` a line now and then elsewhere."""
        if self.quiet or not sys.stderr.isatty():
            yield self._lines(title) if self.as_json and not self.quiet else None
            return
        # rich takes a few hundredths of a second to import, which only a watched run has to spend.
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            row = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(row, completed=done, total=total)

    def _lines(self, title: str) -> Advance:
        """A JSON line on stderr for every so many that are done, for the log of an unattended run."""
        told = 0

        def advance(done: int, total: int | None) -> None:
            nonlocal told
            if done - told >= LINE_EVERY:
                told = done
                line = {"progress": title, "done": done, "total": total}
                click.echo(msgspec.json.encode(line).decode(), err=True)

        return advance


def refused_text(refusal: Refused) -> str:
    """A refusal for people, with the command that shows the rule which it cites, where that is one of ours."""
    if not refusal.rule:
        return str(refusal)
    try:
        explain_rule(refusal.rule)
    except NotFound:
        # Instruments of one's own cite what no page here has.
        return str(refusal)
    return f"{refusal}\n  see  finchain explain {shlex.quote(refusal.rule)}"


def _plain(value: Any) -> Any:
    """What JSON has no type for, as text."""
    return str(value)
