"""What came of a submission, an explanation or a backup, and of asking for a record's history or the ledger's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal, TypeVar

import msgspec

from finchain.domain.rule import Instruction, Record
from finchain.errors import Refused, Rejected

R = TypeVar("R", bound=Record)


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Names a transaction that was sent, so that what became of it can be asked later, by anybody and anywhere.

    Attributes:
        ledger: Full name of the ledger that it is for.
        sender: The first of its parties; lane and sequence are in the sender's series.
        id: Its id in hex.
        expires_ms: Unix time in ms after which no block may hold it.
        content: SHA-256 in hex over parties, mode, rulebook and instructions: a transaction that was built again with
            the same is the same, although its salt, expiry and id are others.
    """

    ledger: str
    sender: str
    lane: str
    sequence: int
    id: str
    expires_ms: int
    content: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one transaction.

    Attributes:
        status: `applied`; `refused`, where a rule refused at least one instruction; `already`, where the same was
            applied or refused before, and this is the first answer; `rejected`, where it never entered a block;
            `unknown`, where it may have entered one, or may still: `ticket` finds out.
        id: The transaction's id in hex; empty where it was rejected or nobody knows.
        height: Block that holds it; -1 where it is in none, or nobody knows.
        entry: Its place in the block.
        refused: Refused instructions and their codes.
        refusals: The refusals with their facts, in the order of `refused`; empty for `already`.
        error: Why it was rejected.
        notes: Warnings of the rules; where it is unknown, why no answer came.
        ticket: Names the transaction whose outcome is unknown.
    """

    status: Literal["applied", "refused", "already", "rejected", "unknown"]
    id: str = ""
    height: int = -1
    entry: int = -1
    refused: tuple[tuple[int, str], ...] = ()
    refusals: tuple[Refused, ...] = ()
    error: Rejected | None = None
    notes: tuple[str, ...] = ()
    ticket: Ticket | None = None


class Applied(msgspec.Struct, frozen=True):
    """An instruction of `submit_each` that holds."""

    instruction: Instruction
    height: int
    entry: int
    index: int


class RefusedRow(msgspec.Struct, frozen=True):
    """An instruction of `submit_each` that a rule refused.

    Attributes:
        refusal: Why, with facts; `None` where the same was refused before and only the code is kept.
    """

    instruction: Instruction
    code: str
    refusal: Refused | None
    height: int
    entry: int
    index: int


class Explanation(msgspec.Struct, frozen=True):
    """What instructions would do. Nothing was written.

    Attributes:
        refusal: Why they would be refused; `None` where they would hold.
        changes: Records before (`None` where there is none yet) and after, in the order of writing.
        notes: Warnings that would travel with the outcome.
    """

    refusal: Refused | None
    changes: tuple[tuple[Record | None, Record], ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        if self.refusal is not None:
            return f"would be refused\n{self.refusal}"
        lines = [f"{'new' if before is None else 'now'} {after}" for before, after in self.changes]
        return "\n".join(["would be applied", *lines, *(f"note {note}" for note in self.notes)])


class Step(msgspec.Struct, frozen=True):
    """One step in a record's history.

    Attributes:
        time_ms: The block's time.
        transaction: Id of the transaction.
        instructions: The instructions that wrote the record.
        by: The parties that signed.
    """

    height: int
    entry: int
    time_ms: int
    transaction: str
    instructions: tuple[Instruction, ...]
    indices: tuple[int, ...]
    by: tuple[str, ...]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One instruction that was sent and entered a block, whatever became of it.

    Attributes:
        height: The block.
        entry: The transaction's place in it.
        index: The instruction's place in its transaction.
        time_ms: The block's time.
        day: Its date in the ledger's zone.
        transaction: Id of the transaction in hex.
        by: The parties that signed; the first is the sender.
        lane: The sender's series, and `sequence` the number in it.
        mode: `all`: the transaction's instructions hold together or not at all; `each`: every one by itself.
        instruction: What was ordered.
        status: `applied`; `refused`; `held_back`, where another one of its transaction was refused and they hold
            together only.
        code: The code of the refusal, also of the one that holds it back; empty where it was applied.
        refusal: The refusal of this instruction with its facts; `None` where it was not refused, or where only the code
            was asked for.
    """

    height: int
    entry: int
    index: int
    time_ms: int
    day: date
    transaction: str
    by: tuple[str, ...]
    lane: str
    sequence: int
    mode: Literal["all", "each"]
    instruction: Instruction
    status: Literal["applied", "refused", "held_back"]
    code: str = ""
    refusal: Refused | None = None

    @property
    def order(self) -> str:
        """The instruction's tag, for example `payment.request`."""
        return str(self.instruction.__struct_config__.tag)

    @property
    def place(self) -> str:
        """Block, entry and index, as `finchain prove --at` takes them."""
        return f"{self.height}.{self.entry}.{self.index}"


class Change(msgspec.Struct, frozen=True):
    """What one instruction did to the records.

    Attributes:
        index: The instruction's place in its transaction.
        day: The block's date in the ledger's zone.
        by: The parties that signed, sorted.
        records: Records before (`None` where there was none) and after, in the order of writing.
    """

    height: int
    entry: int
    index: int
    day: date
    by: tuple[str, ...]
    instruction: Instruction
    records: tuple[tuple[Record | None, Record], ...]

    @property
    def order(self) -> str:
        """The instruction's tag, for example `certificate.pay`."""
        return str(self.instruction.__struct_config__.tag)

    def of(self, kind: type[R]) -> Iterator[tuple[R | None, R]]:
        """The records of a kind, before and after."""
        for before, after in self.records:
            if isinstance(after, kind):
                yield before, after  # type: ignore[misc]  # a record is only ever followed by one of its kind


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup or a restore has copied.

    Attributes:
        path: The copy.
        blocks: Blocks in it.
        new_blocks: Those that this run brought.
        size_bytes: Bytes that it wrote for them.
        checkpoint_size: Blocks under the checkpoint in the copy; `None` where there is none.
    """

    path: str
    blocks: int
    new_blocks: int
    size_bytes: int
    checkpoint_size: int | None

    def __str__(self) -> str:
        covered = "no checkpoint" if self.checkpoint_size is None else f"checkpoint over {self.checkpoint_size} blocks"
        return f"{self.path}: {self.blocks} blocks, {self.new_blocks} of them new, {covered}"
