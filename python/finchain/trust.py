"""Anchors of trust: what somebody holds apart from a ledger's folder, and what it shows of the blocks in the folder.

A folder can be forged from nothing under any name: its blocks, its keys and its index then agree with each other. Only
what came another way tells it from the real one: the verifier key of the log, a checkpoint, or a receipt. Each given
anchor must be of this ledger and be held by it, or the ledger is not the one that it speaks of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from finchain import _core
from finchain.errors import AnchorError, FinchainError, NotFound, TamperError
from finchain.receipt import RECEIPT_BYTES_MAX, read_file

CHECKPOINT: Final = "checkpoint"
"""The file of a ledger's newest checkpoint, in its folder."""

CHECKPOINT_BYTES_MAX: Final = 64 * 1024
"""Largest signed note (`docs/format.md`)."""

NOBODY: Final = "nobody but the folder itself vouches for its blocks"

_OTHER_KEY: Final = (
    "where the operator has replaced its checkpoint key, learn the new one another way than from the folder, and trust "
    "both; else this is not the ledger that you know"
)

_KEY_OF_THE_PAST: Final = "one under a key that was replaced needs that key as the trusted one"

PathLike = str | os.PathLike[str]


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody holds apart from the folder.

    Attributes:
        trust: Verifier keys of the log, of which one must have signed each checkpoint and each receipt.
        checkpoints: Files of signed checkpoints.
        receipts: Files of receipts.
    """

    trust: tuple[str, ...] = ()
    checkpoints: tuple[PathLike, ...] = ()
    receipts: tuple[PathLike, ...] = ()

    @classmethod
    def of(
        cls, trust: str | Sequence[str], checkpoints: PathLike | Sequence[PathLike],
        receipts: PathLike | Sequence[PathLike],
    ) -> Anchors:  # fmt: skip
        """From the arguments of a function; one key and one file may stand alone."""
        keys = (trust,) if isinstance(trust, str) else tuple(trust)
        return cls(trust=keys, checkpoints=_several(checkpoints), receipts=_several(receipts))

    def read(self, folder: Path) -> Held:
        """Reads the files, before the blocks are: what is signed meanwhile may be over more blocks than are read.

        Args:
            folder: The ledger's folder, whose newest checkpoint is held by a key that stands alone.

        Raises:
            NotFound: A given file is not there.
            TamperError: A file is larger than what it should be.
        """
        files = (
            *(
                HeldFile("checkpoint", os.fspath(path), read_file(path, "checkpoint", CHECKPOINT_BYTES_MAX))
                for path in self.checkpoints
            ),
            *(
                HeldFile("receipt", os.fspath(path), read_file(path, "receipt", RECEIPT_BYTES_MAX))
                for path in self.receipts
            ),
        )
        if self.trust and not files:
            files = (HeldFile("key", os.fspath(folder / CHECKPOINT), own_checkpoint(folder)),)
        return Held(self.trust, files)


class HeldFile(msgspec.Struct, frozen=True):
    """The file of an anchor, as it was when it was read.

    Attributes:
        anchor: What it is; `key` is the folder's own checkpoint.
        file: Its name.
        text: What is in it; `None` where the folder has no checkpoint.
    """

    anchor: Literal["key", "checkpoint", "receipt"]
    file: str
    text: bytes | None


class Held(msgspec.Struct, frozen=True):
    """Anchors whose files were read."""

    trust: tuple[str, ...] = ()
    files: tuple[HeldFile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files)


def own_checkpoint(folder: Path) -> bytes | None:
    """The newest checkpoint in a ledger's folder; `None` where there is none.

    Of a file that is larger than a checkpoint it gives one byte too many: whoever parses it refuses it.
    """
    try:
        with (folder / CHECKPOINT).open("rb") as file:
            return file.read(CHECKPOINT_BYTES_MAX + 1)
    except FileNotFoundError:
        return None


def _several(given: PathLike | Sequence[PathLike]) -> tuple[PathLike, ...]:
    return (given,) if isinstance(given, str | os.PathLike) else tuple(given)


class Voucher(msgspec.Struct, frozen=True):
    """One anchor that holds.

    Attributes:
        anchor: What it is; `key` is the folder's own checkpoint, which a trusted key signed.
        file: Its file.
        size: The first so many blocks are those that it speaks of.
        proves: What a receipt proves beside that, in one line.
        signed: Whether a trusted key signed it; else it is held on the word of whoever gave the file.
    """

    anchor: Literal["key", "checkpoint", "receipt"]
    file: str
    size: int
    proves: str
    signed: bool

    def __str__(self) -> str:
        what = "the folder's own checkpoint" if self.anchor == "key" else f"{self.anchor} {self.file}"
        return f"{what} over {self.size} blocks{', signed by the trusted key' if self.signed else ''}"


class Vouched(msgspec.Struct, frozen=True, kw_only=True):
    """Who vouches for the blocks of a ledger, and for how many.

    Attributes:
        blocks: Blocks from block 0 on that are those of an anchor.
        by: The anchors, in the order in which they were given.
        of: Blocks that the ledger has.
    """

    blocks: int = 0
    by: tuple[Voucher, ...] = ()
    of: int = 0

    def __str__(self) -> str:
        if not self.by:
            return NOBODY
        rest = self.of - self.blocks
        later = "" if not rest else f"; {rest} later block{'s follow' if rest > 1 else ' follows'}, under no anchor"
        return f"{self.blocks} blocks are those of {', '.join(map(str, self.by))}{later}"


def vouch(
    held: Held,
    *,
    name: str,
    blocks: int,
    keys: Sequence[str],
    root_at: Callable[[int], bytes | None],
    faults: list[FinchainError] | None = None,
) -> Vouched:
    """Compares a ledger with every anchor.

    Args:
        held: What is held apart from it, read before its blocks were.
        name: Its full name.
        blocks: How many blocks it has.
        keys: Its own verifier keys, which judge a receipt where no key is trusted.
        root_at: The root of its block log over so many blocks, from blocks that were read and follow one another.
        faults: Takes what is wrong with an anchor, so that the others are compared as well; else it is raised.

    Raises:
        AnchorError: An anchor is of another ledger or another history, names more blocks than there are, or is not
            signed by a trusted key; where `faults` is given, it goes there.
        ConfigError: A verifier key cannot be read.
        NotFound: Only keys are given, and the folder has no checkpoint.
    """
    comparing = _Comparing(held.trust, name, blocks, keys, root_at)
    by: list[Voucher] = []
    for each in held.files:
        try:
            by.append(comparing.voucher(each))
        except AnchorError as error:
            if faults is None:
                raise
            faults.append(error)
    return Vouched(blocks=max((each.size for each in by), default=0), by=tuple(by), of=blocks)


class _Comparing:
    """A ledger that anchors are compared with."""

    def __init__(
        self, trust: Sequence[str], name: str, blocks: int, keys: Sequence[str],
        root_at: Callable[[int], bytes | None],
    ) -> None:  # fmt: skip
        self._trust, self._keys = list(trust), list(keys)
        self._name, self._blocks, self._root_at = name, blocks, root_at

    def voucher(self, held: HeldFile) -> Voucher:
        if held.text is None:
            raise NotFound(
                f"{os.path.dirname(held.file)} has no checkpoint, so the trusted key shows nothing of it",
                advice="give a checkpoint or a receipt that you hold, or have the operator sign a checkpoint",
            )
        proves = ""
        if held.anchor == "receipt":
            size, proves = self._receipt(held.file, held.text)
        else:
            size = self._checkpoint(held.file, held.text)
        return Voucher(held.anchor, held.file, size, proves, bool(self._trust))

    def _checkpoint(self, file: str, note: bytes) -> int:
        try:
            origin, size, root_hash = _core.checkpoint_parts(note)
        except TamperError as error:
            raise AnchorError(f"{file}: {error.message}", advice="give the file of a checkpoint") from None
        try:
            if self._trust:
                _core.verify_checkpoint(
                    note, log_keys=self._trust, witnesses=[], witnesses_needed=0, operator_alone=True
                )
        except TamperError as error:
            raise AnchorError(f"{file}: {error.message}", advice=_OTHER_KEY) from None
        self._compare(file, origin, size, root_hash)
        return size

    def _receipt(self, file: str, text: bytes) -> tuple[int, str]:
        """The size of its checkpoint, and what it proves."""
        try:
            facts = _core.verify_receipt(
                text, log_keys=self._trust or self._keys, witnesses=[], witnesses_needed=0, operator_alone=True
            )
        except TamperError as error:
            advice = _OTHER_KEY if self._trust else _KEY_OF_THE_PAST
            raise AnchorError(f"{file}: {error.message}", advice=f"see that it is a receipt; {advice}") from None
        if facts["ledger"] != self._name:
            raise AnchorError(f"{file} is of the ledger {facts['ledger']}, and this one is {self._name}")
        self._compare(file, self._name.partition("#")[0], facts["size"], bytes.fromhex(facts["root_hash"]))
        what = facts["what"] if facts["what"] == "instruction" else f"{facts['what']} of {facts['kind']} {facts['id']}"
        return facts["size"], f"{what}, block {facts['height']}"

    def _compare(self, file: str, origin: str, size: int, root_hash: bytes) -> None:
        own = self._name.partition("#")[0]
        told = {"file": file, "signed_blocks": size, "blocks": self._blocks}
        if origin != own:
            raise AnchorError(f"{file} is of the log {origin}, and this ledger is {own}", facts=told)
        if size > self._blocks:
            raise AnchorError(
                f"{file} is over {size} blocks, and this ledger has {self._blocks}: blocks are missing, or this "
                "is an old state",
                advice="look for a newer copy: finchain repair brings blocks back",
                facts=told,
            )
        if self._root_at(size) != root_hash:
            raise AnchorError(
                f"{file} is over {size} blocks with another root than these: this is another history, or another "
                "ledger under the same name",
                facts=told,
            )
