"""finchain: a ledger of receivables, guarantees, loans and purpose-bound money, with proofs for everybody.

Parties sign instructions; public rules apply or refuse them; blocks keep them in an order that nobody can change
unseen; and receipts prove any of it offline.

Each name is loaded when it is first asked for, so that a program waits for what it uses. `__init__.pyi` tells type
checkers what they are.
"""

import importlib
import sys
from typing import Any, Final

__version__ = "0.1.0"

_HOMES: Final = {
    "audit": ("Audit", "check"),
    "clock": ("RealClock", "SimulatedClock"),
    "connection": ("Connection", "connect"),
    "copies": ("Repair", "backup", "confirm", "predecessor", "repair", "restore"),
    "domain.founding": ("Predecessor",),
    "domain.party": ("Party",),
    "domain.receivable": ("Receivable",),
    "domain.rulebook": ("RULEBOOK_1", "Rulebook"),
    "errors": (
        "AnchorError", "Busy", "ConfigError", "DamageError", "FalseIndexError", "Fault", "FinchainError", "ForkError",
        "IdempotencyConflict", "KeyFileError", "LockedError", "NotFound", "Refused", "Rejected", "StorageError",
        "TamperError", "UnconfirmedError", "Unknown", "Unreachable", "VersionError",
    ),
    "examination": ("Examination", "examine"),
    "following": ("Follower", "follow"),
    "keys": ("EnrolmentRequest", "Holder", "Key", "request_enrolment"),
    "ledger": ("Ledger",),
    "opening": ("create", "open"),
    "outcome": ("Applied", "Attempt", "Backup", "Explanation", "Outcome", "RefusedRow", "Step", "Ticket"),
    "reader": ("Reader", "Snapshot"),
    "receipt": ("Receipt", "Verified", "verify", "verify_all"),
    "references": ("Section", "explain_rule"),
    "serving": ("Server",),
    "transaction": ("Transaction",),
    "trust": ("Vouched", "Voucher"),
}  # fmt: skip
"""The public names, by the module of this package that has them."""

_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """A public name, or a module of this package."""
    home = _HOME_OF.get(name)
    try:
        found = importlib.import_module(f"{__name__}.{home or name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__]) from None
    if home is None:
        return found
    globals()[name] = value = getattr(found, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
