"""Every error of finchain, each with what was wrong, where, and what would have been right.

    FinchainError
    ├── Refused                 a rule said no: kept in the block, nothing moved
    ├── Rejected                never entered a block
    │   ├── Malformed           not canonical JSON, or not a transaction, or not an instruction
    │   ├── LimitExceeded       larger, deeper or more than the format allows
    │   ├── WrongLedger         made for another ledger
    │   ├── WrongRulebook       made for rules that are not in force
    │   ├── Expired             its time is over, or lies more than 30 days ahead
    │   ├── UnknownKey          no such key or party, or the key has ended
    │   ├── BadSignature        the signature is not the key's over this header
    │   ├── MissingSignature    fewer keys or holders than the party's threshold
    │   ├── SuperfluousSignature more signatures than asked, or of a party not in `by`
    │   ├── LaneGap             a sequence of the lane was left out
    │   ├── LaneConflict        the sequence is taken by another content
    │   │   └── IdempotencyConflict  the idempotency key was used for another order
    │   ├── TooManyLanes        the sender has all the lanes it may have
    │   └── InternalError       a rule failed unexpectedly; the transaction was dropped
    ├── TamperError             bytes that are not what was signed, sealed or committed to
    │   ├── DamageError         every damaged place of a ledger, and what of it still stands
    │   ├── FalseIndexError     the blocks are sound, and the index beside them is not what they make
    │   └── AnchorError         a key, a checkpoint or a receipt that is held apart speaks of another ledger or history
    ├── Unknown                 sent, and nobody knows what became of it; its ticket finds out
    ├── Busy                    too much waits already; to be sent again in a moment
    ├── Unreachable             no process serves the ledger, or it does not answer
    ├── StorageError            the disk or the file system failed
    ├── LockedError             another process has the ledger open for writing
    ├── UnconfirmedError        the folder is a copy, and nobody has confirmed that nothing is missing in it
    ├── VersionError            a later version of finchain wrote it
    ├── ForkError               a handle was used in a child process
    ├── NotFound                no such ledger, record, block or key
    ├── KeyFileError            a key file that cannot be read, or is readable by others
    └── ConfigError             a setting, a mapping or an argument that makes no sense

Verification returns what was verified or raises; nothing here is ever a bool. A `Fault` is no error by itself, but a
place that a `DamageError` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec


class FinchainError(Exception):
    """Base of every error that finchain raises on purpose.

    Args:
        message: What was wrong and where.
        advice: What would have been right, or what to do next; may be empty.
        facts: The values that were looked at.
    """

    usual_advice: ClassVar[str] = ""
    """What to do where the place that raised it knows nothing better."""

    def __init__(self, message: str, *, advice: str = "", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice or self.usual_advice
        self.facts: dict[str, Any] = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class Refused(FinchainError):
    """A rule said no. The instruction is kept in the block and moved nothing.

    Args:
        code: Stable word such as `receivable.over_confirm`.
        message: What was wrong.
        rule: What the rule is cited by, where it has a name, for example `Civil Code 763, I-1`; `explain_rule` gives
            what that leads to.
        field: The member of the instruction that was at fault.
        value: What that member held.
        advice: What would have been accepted.
        facts: What the rule read.

    Attributes:
        instruction: Index of the refused instruction in its transaction, from 0.
        order: Tag of the refused instruction, such as `receivable.confirm`: the rule of that name refused.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        rule: str = "",
        field: str = "",
        value: Any = None,
        advice: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, advice=advice, facts=facts)
        self.code = code
        self.rule = rule
        self.field = field
        self.value = value
        self.instruction = 0
        self.order = ""

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        rule = ", ".join(filter(None, [self.order, self.rule]))
        if rule or self.field:
            lines.append(f"  rule {rule or '-'}   field {self.field or '-'} = {self.value!r}")
        if self.facts:
            lines.append("  read " + ", ".join(f"{k} = {v}" for k, v in self.facts.items()))
        if self.advice:
            lines.append(f"  try  {self.advice}")
        return "\n".join(lines)


class Rejected(FinchainError):
    """The transaction never entered a block: nothing was kept, no number was used."""

    code = "rejected"


class Malformed(Rejected):
    """Not canonical JSON, or not a transaction, or not an instruction of the rulebook."""

    code = "malformed"


class LimitExceeded(Rejected):
    """Larger, deeper or more than the format allows."""

    code = "limit"


class WrongLedger(Rejected):
    """Made for another ledger."""

    code = "wrong_ledger"


class WrongRulebook(Rejected):
    """Made for a rulebook that is not in force."""

    code = "wrong_rulebook"


class Expired(Rejected):
    """Its time is over, or lies more than 30 days ahead."""

    code = "expired"


class UnknownKey(Rejected):
    """No such party or key in the state after the block before, or the key has ended."""

    code = "unknown_key"


class BadSignature(Rejected):
    """The signature is not this key's over this header."""

    code = "bad_signature"


class MissingSignature(Rejected):
    """Fewer keys, or fewer holders, than the party's threshold asks."""

    code = "missing_signature"


class SuperfluousSignature(Rejected):
    """More signatures than the threshold asks, or one of a party that is not in `by`."""

    code = "superfluous_signature"


class LaneGap(Rejected):
    """A sequence of the lane was left out."""

    code = "gap"


class LaneConflict(Rejected):
    """The sequence of the lane is taken by a transaction with another content."""

    code = "conflict"


class IdempotencyConflict(LaneConflict):
    """The idempotency key was used for another order, which is in a block; nothing was kept of this one."""


class TooManyLanes(Rejected):
    """The sender already has all the lanes it may have."""

    code = "too_many_lanes"


class InternalError(Rejected):
    """A rule failed unexpectedly; the transaction was dropped and the failure reported."""

    code = "internal_error"


class TamperError(FinchainError):
    """Bytes that are not what was signed, sealed or committed to."""

    usual_advice = "keep these files as they are, and compare them with a backup, a witness or a newer checkpoint"


class Fault(msgspec.Struct, frozen=True):
    """A place where blocks are missing or damaged.

    Attributes:
        file: The block file.
        offset: Where the first of them was expected in it, in bytes.
        height: Height of the first of them.
        until: Height of the first whole block behind it; `None` where none is.
        why: What is wrong there.
    """

    file: str
    offset: int
    height: int
    until: int | None
    why: str

    @classmethod
    def of(cls, row: tuple[Any, int, int, int | None, str]) -> Fault:
        """A fault as the core gives it: path, offset, height, until, why."""
        return cls(str(row[0]), *row[1:])

    def __str__(self) -> str:
        if self.until is None:
            blocks = f"from block {self.height} on"
        elif self.until > self.height + 1:
            blocks = f"blocks {self.height} to {self.until - 1}"
        else:
            blocks = f"block {self.height}"
        return f"{blocks}: {self.file}, offset {self.offset}: {self.why}"


class DamageError(TamperError):
    """A ledger that is damaged, with every damaged place and what still stands.

    Attributes:
        faults: The damaged places, in order.
        verified_blocks: Blocks from block 0 on that were executed again and are what was signed and sealed.
        whole: Heights, as ranges whose end is not in them, of blocks that are whole by their hashes.
        checkpoint_size: Blocks under the newest checkpoint in the folder; `None` where there is none.
        checkpoint_agrees: Whether its root is that of these blocks: then every whole block under it is what was
            signed. `None` where there is none, or so many blocks are lost that the root cannot be computed.
    """

    def __init__(
        self,
        message: str,
        *,
        advice: str,
        faults: tuple[Fault, ...],
        verified_blocks: int,
        whole: tuple[tuple[int, int], ...],
        checkpoint_size: int | None,
        checkpoint_agrees: bool | None,
    ) -> None:
        facts = {
            "faults": [msgspec.to_builtins(fault) for fault in faults],
            "verified_blocks": verified_blocks,
            "whole": whole,
            "checkpoint_size": checkpoint_size,
            "checkpoint_agrees": checkpoint_agrees,
        }
        super().__init__(message, advice=advice, facts=facts)
        self.faults = faults
        self.verified_blocks = verified_blocks
        self.whole = whole
        self.checkpoint_size = checkpoint_size
        self.checkpoint_agrees = checkpoint_agrees

    def __str__(self) -> str:
        lines = [self.message, *(f"  {fault}" for fault in self.faults)]
        stands = [f"blocks 0 to {self.verified_blocks - 1} verified in full" if self.verified_blocks else "no block"]
        stands += [
            f"blocks {first} to {end - 1} whole by their hashes" for first, end in self.whole
            if end > self.verified_blocks
        ]  # fmt: skip
        if self.checkpoint_size is not None:
            verdict = {True: "agrees", False: "does not agree", None: "cannot be compared"}[self.checkpoint_agrees]
            stands.append(f"the checkpoint over {self.checkpoint_size} blocks {verdict}")
        return "\n".join([*lines, "still stands: " + ", ".join(stands), f"try: {self.advice}"])


class FalseIndexError(TamperError):
    """The blocks of a ledger are sound, and the index beside them, out of which questions are answered, is not theirs.

    Attributes:
        count: Rows of the index that differ from what the blocks make.
        differences: The first of them: table, what the row is about, and whether it is changed, missing or added.
    """

    usual_advice = (
        "keep a copy of the folder, and find out who can write there; then remove index/, and opening the ledger makes "
        "it anew from the blocks"
    )

    def __init__(self, message: str, *, count: int, differences: tuple[tuple[str, str, str], ...]) -> None:
        rows = [{"table": table, "about": about, "fault": fault} for table, about, fault in differences]
        super().__init__(message, facts={"count": count, "differences": rows})
        self.count = count
        self.differences = differences

    def __str__(self) -> str:
        lines = [f"  {fault}: {about} ({table})" for table, about, fault in self.differences]
        if self.count > len(lines):
            lines.append(f"  and {self.count - len(lines)} more")
        return "\n".join([self.message, *lines, f"try: {self.advice}"])


class AnchorError(TamperError):
    """The ledger is not the one that an anchor of trust speaks of, or does not hold it.

    An anchor is what somebody holds apart from the ledger's folder: a verifier key, a checkpoint, a receipt.
    """

    usual_advice = "see that the file and the ledger belong together; if they do, keep both, and ask the operator"


class Unknown(FinchainError):
    """A transaction was sent, and whether it entered a block is not known: the disk or the connection failed.

    Attributes:
        ticket: The `Ticket` that `resolve` takes, here or on the ledger opened again.
    """

    usual_advice = "ask resolve() about the ticket, or submit the same transaction again, which is harmless"

    def __init__(self, message: str, *, ticket: Any, advice: str = "", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, advice=advice, facts=facts)
        self.ticket = ticket


class Busy(FinchainError):
    """More waits for the ledger than it takes on; nothing was done.

    Attributes:
        retry_after_ms: When it is worth trying again.
    """

    def __init__(
        self, message: str, *, retry_after_ms: int, advice: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, advice=advice or f"try again in {retry_after_ms} ms", facts=facts)
        self.retry_after_ms = retry_after_ms


class Unreachable(FinchainError):
    """No process serves the ledger, or the one that did has gone or does not answer."""

    usual_advice = "serve it: finchain serve, or ledger.serve() in the process that has it open"


class StorageError(FinchainError):
    """The disk or the file system failed; the handle is closed to further writing."""

    usual_advice = "open the ledger again once the disk is well: what was acknowledged is there"


class LockedError(FinchainError):
    """Another process has the ledger open for writing."""

    usual_advice = "close it there, or have it served there; questions and an audit need no lock"


class UnconfirmedError(FinchainError):
    """The folder is a copy that nobody has confirmed: it can be read, and nothing is written or signed in it."""

    usual_advice = "finchain confirm says, by a checkpoint or the signed mark, that nothing is missing in it"


class VersionError(FinchainError):
    """A later version of finchain wrote it; nothing is wrong with it."""

    usual_advice = "use the version of finchain that wrote it, or a later one"


class ForkError(FinchainError):
    """A handle was used in a child process; open the ledger anew there, or use `spawn`."""

    usual_advice = "start the process with spawn, or open the ledger there"


class NotFound(FinchainError, LookupError):
    """There is no such ledger, record, block or key."""


class KeyFileError(FinchainError):
    """A key file that cannot be read, has no key, or may be read by others."""


class ConfigError(FinchainError, ValueError):
    """A setting, a mapping or an argument that makes no sense."""


REJECTIONS: dict[str, type[Rejected]] = {
    cls.code: cls
    for cls in (
        Malformed, LimitExceeded, WrongLedger, WrongRulebook, Expired, UnknownKey, BadSignature, MissingSignature,
        SuperfluousSignature, LaneGap, LaneConflict, TooManyLanes, InternalError,
    )
}  # fmt: skip
"""Rejection codes and their classes."""


def rejection(code: str, message: str, advice: str) -> Rejected:
    """The exception for a rejection's code; an unknown code gives the base class."""
    return REJECTIONS.get(code, Rejected)(message, advice=advice)
