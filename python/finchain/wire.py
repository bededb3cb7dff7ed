"""What goes over the local socket: frames of one JSON document each, what can be asked, and how errors travel.

`docs/format.md` section 7.4 has the bytes. A frame's length is judged before any of it is read, a document is canonical
JSON and of a known kind, or the connection ends; nothing that a peer sends is trusted for its size.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Annotated, Any, Final

import msgspec

from finchain import errors
from finchain.errors import FinchainError, LimitExceeded, Malformed, Refused, Rejected
from finchain.outcome import Ticket

SOCKET_NAME: Final = "socket"
"""Name of the socket in the ledger's folder."""

SOCKET_PATH_BYTES_MAX: Final = 107
"""What an address of a Unix domain socket has room for, its last zero byte not counted."""

FRAME_BYTES_MAX: Final = 8 << 20
"""Bytes of a document at most: a transaction of 4 MiB in Base64, with room to spare."""

DEPTH_MAX: Final = 16
"""Levels of a document at most: instructions have 8."""

SCAN_LIMIT: Final = 256
"""Records in one answer at most: with 16 KiB each they fill half a frame."""

SUBMIT_TRANSACTIONS_MAX: Final = 1_024
"""Transactions in one question at most, as many as in a chunk of the pipe."""

SUBMIT_BYTES_MAX: Final = 5 << 20
"""Bytes of the transactions in one question at most; Base64 makes four of three."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""A height, a number, a sequence."""

Index = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""A place in a block or in a transaction."""

HISTORY_LIMIT: Final = 10_000
"""Steps in one answer at most."""

_LENGTH = struct.Struct(">I")

_RECEIVE_BYTES: Final = 1 << 16


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask"):
    """One question. The tag ends with the version of its members."""


class AskLedger(Ask, frozen=True, tag="ledger.1"):
    """What the ledger is now."""


class AskSubmit(Ask, frozen=True, tag="submit.1"):
    """Takes signed transactions in; their outcomes come once they are durable."""

    transactions: list[bytes]


class AskResolve(Ask, frozen=True, tag="resolve.1"):
    """What became of a transaction that was sent."""

    ticket: Ticket


class AskExplain(Ask, frozen=True, tag="explain.1"):
    """What instructions would do."""

    by: list[str]
    instructions: msgspec.Raw


class AskRecord(Ask, frozen=True, tag="record.1"):
    """A record as it is now."""

    kind: str
    id: str


class AskScan(Ask, frozen=True, tag="scan.1"):
    """A page of records of a kind, or of all kinds where it is empty, from a number on."""

    kind: str
    start: Count


class AskHistory(Ask, frozen=True, tag="history.1"):
    """The newest places that touched a record."""

    kind: str
    id: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=HISTORY_LIMIT)]


class AskEntered(Ask, frozen=True, tag="entered.1"):
    """A transaction as a block holds it."""

    height: Count
    entry: Index


class AskLane(Ask, frozen=True, tag="lane.1"):
    """The last sequence of a lane, 0 where it has not begun."""

    lane: str


class AskPlace(Ask, frozen=True, tag="place.1"):
    """The place of a lane's sequence."""

    lane: str
    sequence: Count


class AskTotals(Ask, frozen=True, tag="totals.1"):
    """The conservation statement of now."""


class AskCheckpoint(Ask, frozen=True, tag="checkpoint.1"):
    """A checkpoint over all blocks."""


class AskProve(Ask, frozen=True, tag="prove.1"):
    """A receipt for a record."""

    kind: str
    id: str


class AskProveAbsent(Ask, frozen=True, tag="prove_absent.1"):
    """A receipt for the absence of a record."""

    kind: str
    id: str


class AskProveInstruction(Ask, frozen=True, tag="prove_instruction.1"):
    """A receipt for an instruction and what became of it."""

    height: Count
    entry: Index
    index: Index
    signers: bool


class AskProveChange(Ask, frozen=True, tag="prove_change.1"):
    """A receipt for a record as a transaction left it."""

    height: Count
    entry: Index
    kind: str
    id: str


AnyAsk = (
    AskLedger | AskSubmit | AskResolve | AskExplain | AskRecord | AskScan | AskHistory | AskEntered | AskLane | AskPlace
    | AskTotals | AskCheckpoint | AskProve | AskProveAbsent | AskProveInstruction | AskProveChange
)  # fmt: skip


class LedgerFacts(msgspec.Struct, frozen=True):
    """The answer to `ledger.1`.

    Attributes:
        time_ms: Time of the last block.
        now_ms: Time that a block would have now, by the clock of the process that serves.
    """

    name: str
    hash_suite: str
    height: int
    time_ms: int
    now_ms: int
    state_root: bytes


class Entered(msgspec.Struct, frozen=True):
    """The answer to `entered.1`."""

    id: str
    time_ms: int
    header: msgspec.Raw
    instructions: msgspec.Raw
    signatures: msgspec.Raw
    refused: list[tuple[int, str]]


class Explained(msgspec.Struct, frozen=True):
    """The answer to `explain.1`; a change is kind, record before or null, record after."""

    refusal: Refused | None
    changes: list[tuple[str, msgspec.Raw | None, msgspec.Raw]]
    notes: list[str]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What comes back: an answer, or an error that has the class and the members of the one that was raised."""

    answer: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: FinchainError | None = None


_MEMBERS: Final = (
    "message", "advice", "facts", "code", "rule", "field", "value", "instruction", "order", "retry_after_ms", "ticket",
)  # fmt: skip
"""Members of errors that travel."""


def _plain(value: Any) -> Any:
    """What JSON has no type for: an error as its members, anything else as text."""
    if isinstance(value, FinchainError):
        members = {name: getattr(value, name) for name in _MEMBERS if hasattr(value, name)}
        return {"error": type(value).__name__, **members}
    return str(value)


def _error(cls: type, members: Any) -> FinchainError:
    """The error that came as its members."""
    try:
        return _raised(cls, dict(members))
    except (KeyError, TypeError, ValueError) as error:
        raise msgspec.ValidationError(f"not an error of finchain: {error}") from None


def _raised(cls: type, members: dict[str, Any]) -> FinchainError:
    found = getattr(errors, members.pop("error"), None)
    if not (isinstance(found, type) and issubclass(found, FinchainError) and issubclass(found, cls)):
        raise ValueError(f"no {cls.__name__}")
    message = members.pop("message")
    named = {name: members.pop(name) for name in ("advice", "facts")}
    if issubclass(found, Refused):
        refusal = found(
            members["code"], message, rule=members["rule"], field=members["field"], value=members["value"], **named
        )
        refusal.instruction, refusal.order = members["instruction"], members["order"]
        return refusal
    if issubclass(found, Rejected):
        return found(message, **named)
    if "ticket" in members:
        named["ticket"] = msgspec.convert(members["ticket"], Ticket)
    if "retry_after_ms" in members:
        named["retry_after_ms"] = int(members["retry_after_ms"])
    return found(message, **named)


encode = msgspec.json.Encoder(order="sorted", enc_hook=_plain).encode
"""A document's one spelling."""

_ask_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyAsk)


def decode_ask(text: bytes) -> Any:
    """A question.

    Raises:
        Malformed: It is none that this version knows.
    """
    try:
        return _ask_decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise Malformed(f"not a question: {error}", advice="`finchain explain format 7.4` lists them") from None


def decode(text: bytes | msgspec.Raw, type: Any) -> Any:
    """An answer's content.

    Raises:
        msgspec.MsgspecError: It is not of that type.
    """
    return msgspec.json.decode(text, type=type, dec_hook=_error)


def frame(text: bytes) -> bytes:
    """A document with its length before it.

    Raises:
        LimitExceeded: It is longer than a frame.
    """
    if len(text) > FRAME_BYTES_MAX:
        raise LimitExceeded(
            f"{len(text)} bytes do not go into one frame", advice=f"at most {FRAME_BYTES_MAX}: ask for less at once"
        )
    return _LENGTH.pack(len(text)) + text


def receive(peer: socket.socket, *, first_seconds: float | None, seconds: float) -> bytes | None:
    """The next document, or `None` where the peer has closed its end before one begins.

    Args:
        peer: A connected socket.
        first_seconds: How long to wait for the first byte; for ever where absent.
        seconds: How long the whole frame may take once it has begun.

    Raises:
        Malformed: Its length is 0, or the peer closed in the middle of it.
        LimitExceeded: Its length is beyond the limit.
        TimeoutError: It did not come in time.
    """
    peer.settimeout(first_seconds)
    head = peer.recv(1)
    if not head:
        return None
    deadline = time.monotonic() + seconds
    (length,) = _LENGTH.unpack(head + _exactly(peer, _LENGTH.size - 1, deadline))
    if length == 0:
        raise Malformed("an empty frame", advice="a frame holds one JSON document")
    if length > FRAME_BYTES_MAX:
        raise LimitExceeded(f"a frame of {length} bytes", advice=f"at most {FRAME_BYTES_MAX}")
    return _exactly(peer, length, deadline)


def _exactly(peer: socket.socket, size: int, deadline: float) -> bytes:
    """So many bytes, for which room is made as they come."""
    received = bytearray()
    while len(received) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("a frame was not finished in time")
        peer.settimeout(left)
        piece = peer.recv(min(size - len(received), _RECEIVE_BYTES))
        if not piece:
            raise Malformed("a frame that ends in the middle", advice="send all of it, then close")
        received += piece
    return bytes(received)
