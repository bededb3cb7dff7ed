"""The command `finchain`: what the library does, for shells and job schedulers.

Data goes to stdout and talk to stderr, nothing is asked unless a person sits at a terminal, and every end has one of
the exit codes of `docs/operating.md`. Nothing is decided here: each command is a few calls of the library.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from finchain import __version__
from finchain.cli import copies, demo, keys, ledgers, load, log, proofs, reports, serving, transactions
from finchain.cli.exit_codes import BUSY, DONE, FAILED, NOTHING_COMMITTED, TAMPERED
from finchain.cli.screen import Screen
from finchain.errors import Busy, FinchainError, LockedError, Refused, Rejected, TamperError, Unreachable
from finchain.keys import VECTOR_CODE


class Commands(click.Group):
    """The commands in the order of a first day with them, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they were added."""
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="finchain", message=f"%(prog)s %(version)s, {VECTOR_CODE} for signatures")
def finchain() -> None:
    """A ledger of receivables, guarantees, loans and purpose-bound money, with proofs for everybody.

    Exit codes: 0 done, 4 done with refused rows, 8 nothing was applied, 12 tampering was found,
    16 wrong usage, failure, or stopped, 20 the ledger is locked or busy.
    """


for command in (
    demo.demo, ledgers.init, keys.key, ledgers.register, transactions.submit, transactions.explain,
    transactions.prepare, transactions.sign, load.load, ledgers.show, ledgers.history, reports.totals,
    log.log, reports.positions, reports.due, reports.promises, reports.security, reports.holdings, reports.trace,
    reports.postings, proofs.prove, proofs.verify, serving.serve, serving.resolve, serving.follow, copies.backup,
    copies.restore, copies.confirm, copies.repair, copies.check, copies.audit,
):  # fmt: skip
    finchain.add_command(command)


def exit_code(error: FinchainError) -> int:
    """The exit code that an error of the library ends the command with."""
    match error:
        case TamperError():
            return TAMPERED
        case LockedError() | Busy() | Unreachable():
            return BUSY
        case Refused() | Rejected():
            return NOTHING_COMMITTED
        case _:
            return FAILED


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs the command and gives its exit code; a usage error is 16, because 2 would pass for success."""
    screen = Screen(as_json="--json" in arguments)
    try:
        with _ended_by_sigterm():
            code = finchain.main(args=list(arguments), prog_name="finchain", standalone_mode=False)
        sys.stdout.flush()
    except FinchainError as error:
        screen.failed(error)
        return exit_code(error)
    except click.ClickException as error:
        screen.failed(error, error.format_message())
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        screen.failed(KeyboardInterrupt(), "stopped; what was acknowledged is kept")
        return FAILED
    except BrokenPipeError:
        # Whoever read stdout has gone; without this, Python would complain about it once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        screen.failed(error, str(error))
        return FAILED
    return code if isinstance(code, int) else DONE


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM what Ctrl-C is, so that whatever is open is closed on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, at: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
