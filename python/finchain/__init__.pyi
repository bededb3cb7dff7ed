"""The types of what `__init__.py` gives when it is asked for."""

from finchain.audit import Audit, check
from finchain.clock import RealClock, SimulatedClock
from finchain.connection import Connection, connect
from finchain.copies import Repair, backup, confirm, predecessor, repair, restore
from finchain.domain.founding import Predecessor
from finchain.domain.party import Party
from finchain.domain.receivable import Receivable
from finchain.domain.rulebook import RULEBOOK_1, Rulebook
from finchain.errors import (
    AnchorError,
    Busy,
    ConfigError,
    DamageError,
    FalseIndexError,
    Fault,
    FinchainError,
    ForkError,
    IdempotencyConflict,
    KeyFileError,
    LockedError,
    NotFound,
    Refused,
    Rejected,
    StorageError,
    TamperError,
    UnconfirmedError,
    Unknown,
    Unreachable,
    VersionError,
)
from finchain.examination import Examination, examine
from finchain.following import Follower, follow
from finchain.keys import EnrolmentRequest, Holder, Key, request_enrolment
from finchain.ledger import Ledger
from finchain.opening import create, open
from finchain.outcome import Applied, Attempt, Backup, Explanation, Outcome, RefusedRow, Step, Ticket
from finchain.reader import Reader, Snapshot
from finchain.receipt import Receipt, Verified, verify, verify_all
from finchain.references import Section, explain_rule
from finchain.serving import Server
from finchain.transaction import Transaction
from finchain.trust import Vouched, Voucher

__version__: str

__all__ = [
    "RULEBOOK_1",
    "AnchorError",
    "Applied",
    "Attempt",
    "Audit",
    "Backup",
    "Busy",
    "ConfigError",
    "Connection",
    "DamageError",
    "EnrolmentRequest",
    "Examination",
    "Explanation",
    "FalseIndexError",
    "Fault",
    "FinchainError",
    "Follower",
    "ForkError",
    "Holder",
    "IdempotencyConflict",
    "Key",
    "KeyFileError",
    "Ledger",
    "LockedError",
    "NotFound",
    "Outcome",
    "Party",
    "Predecessor",
    "Reader",
    "RealClock",
    "Receipt",
    "Receivable",
    "Refused",
    "RefusedRow",
    "Rejected",
    "Repair",
    "Rulebook",
    "Section",
    "Server",
    "SimulatedClock",
    "Snapshot",
    "Step",
    "StorageError",
    "TamperError",
    "Ticket",
    "Transaction",
    "UnconfirmedError",
    "Unknown",
    "Unreachable",
    "Verified",
    "VersionError",
    "Vouched",
    "Voucher",
    "backup",
    "check",
    "confirm",
    "connect",
    "create",
    "examine",
    "explain_rule",
    "follow",
    "open",
    "predecessor",
    "repair",
    "request_enrolment",
    "restore",
    "verify",
    "verify_all",
]
