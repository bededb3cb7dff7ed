"""Transactions: built by one party, signed by all that must agree, carried from machine to machine as a file.

What is signed is the header alone (`docs/format.md` section 3); it holds the tree over the instructions, so nothing
about them can change under a signature.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from finchain import _core
from finchain.domain.rule import Instruction
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import ConfigError
from finchain.keys import SigningKey
from finchain.outcome import Ticket

Mode = Literal["all", "each"]

EXPIRY_MS = 7 * 24 * 3_600_000
"""How long a transaction stays valid unless its builder says otherwise: a week, for a co-signer on holiday."""

EXPIRY_MAX_MS = 30 * 24 * 3_600_000
"""Longest that a transaction may stay valid (`docs/format.md` 3.1)."""

INSTRUCTIONS_MAX = 4_096
"""Most instructions of a transaction (`docs/format.md` 3.1)."""

ONCE = "once/"
"""What the name of a lane begins with that holds one transaction, and of which a party may have any number."""

IDEMPOTENCY_KEY_CHARACTERS_MAX = 512
"""Longest idempotency key: longer than any id that another system makes."""

_HASHED = "sha256:"
_PLAIN_KEY = re.compile(rf"(?!{_HASHED})[A-Za-z0-9._:/-]{{1,{64 - len(ONCE)}}}", re.ASCII)

_encode = msgspec.json.Encoder(order="sorted").encode


def once_lane(idempotency_key: str) -> str:
    """The lane of an idempotency key: the key itself where a lane may have that name, else a hash of it.

    Raises:
        ConfigError: It is empty, or longer than 512 characters.
    """
    if not 1 <= len(idempotency_key) <= IDEMPOTENCY_KEY_CHARACTERS_MAX:
        raise ConfigError(
            f"an idempotency key of {len(idempotency_key)} characters",
            advice=f"give 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX}, for example the order's own number",
        )
    if _PLAIN_KEY.fullmatch(idempotency_key):
        return f"{ONCE}{idempotency_key}"
    digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{ONCE}{_HASHED}{digest[: 64 - len(ONCE) - len(_HASHED)]}"


class Transaction:
    """A transaction with the signatures it has so far. Made by `Ledger.prepare`, `build` or `load`."""

    __slots__ = ("_instructions", "_salt", "_signatures", "currencies", "header", "id", "key_ids")

    def __init__(
        self,
        header: bytes,
        instructions: bytes,
        salt: bytes,
        id: bytes,
        *,
        signatures: Mapping[str, bytes] | None = None,
        key_ids: Mapping[bytes, str] | None = None,
    ) -> None:
        self.header = header
        self._instructions = instructions
        self._salt = salt
        self.id = id.hex()
        self._signatures: dict[str, bytes] = dict(signatures or {})
        self.key_ids: dict[bytes, str] = dict(key_ids or {})
        self.currencies: dict[int, str] = {}
        """Currencies of instructions that state none, by their places, as who prepared the transaction found them on
        the ledger. They help a signer to read amounts, and nobody has signed them."""

    @classmethod
    def build(
        cls,
        instructions: Sequence[Instruction],
        *,
        by: Sequence[str],
        ledger: str,
        lane: str,
        sequence: int,
        expires_ms: int,
        mode: Mode = "all",
        hash_suite: str = "blake3",
        key_ids: Mapping[bytes, str] | None = None,
        salt: bytes | None = None,
        rulebook: int = RULEBOOK_1.number,
    ) -> Transaction:
        """Builds an unsigned transaction.

        Args:
            instructions: 1 to 4,096 of them.
            by: The parties that must sign; the first is the sender.
            ledger: The ledger's full name, `origin#hash`.
            lane: The sender's series.
            sequence: Place in the lane, from 1.
            expires_ms: Unix time in ms after which no block may hold it, at most 30 days ahead.
            mode: `all` for together or not at all, `each` for every instruction on its own.
            hash_suite: The ledger's.
            key_ids: Key ids of public keys that may sign, so that `sign` needs no ledger.
            salt: 16 random bytes; drawn where absent.
            rulebook: Number of the rulebook in force.

        Raises:
            Rejected: A limit or the format is broken.
        """
        salt = secrets.token_bytes(16) if salt is None else salt
        text = _encode(instructions)
        sender, *others = by
        header, id = _core.transaction_header(
            by=[sender, *sorted(others)], expires_ms=expires_ms, hash_suite=hash_suite, instructions=text, lane=lane,
            ledger=ledger, mode=mode, rulebook=rulebook, salt=salt, sequence=sequence,
        )  # fmt: skip
        return cls(header, text, salt, id, key_ids=key_ids)

    @property
    def by(self) -> tuple[str, ...]:
        """The parties that must sign; the first is the sender."""
        return tuple(self._member("by"))

    @property
    def expires_ms(self) -> int:
        """Unix time in ms after which no block may hold it."""
        return int(self._member("expires_ms"))

    @property
    def lane(self) -> str:
        """The sender's series."""
        return str(self._member("lane"))

    @property
    def sequence(self) -> int:
        """Place in the lane."""
        return int(self._member("sequence"))

    @property
    def mode(self) -> Mode:
        """`all` or `each`."""
        return "each" if self._member("mode") == "each" else "all"

    def _member(self, name: str) -> Any:
        return msgspec.json.decode(self.header)[name]

    @property
    def ticket(self) -> Ticket:
        """What `resolve` needs to find out what became of this transaction, once it was sent."""
        header = msgspec.json.decode(self.header)
        return Ticket(
            ledger=header["ledger"], sender=header["by"][0], lane=header["lane"], sequence=header["sequence"],
            id=self.id, expires_ms=header["expires_ms"], content=content_of(self.header, self._instructions),
        )  # fmt: skip

    def content(self, names: Sequence[str]) -> str:
        """As `content_of`, with those members of the header."""
        return content_of(self.header, self._instructions, names)

    @property
    def instructions(self) -> list[Instruction]:
        """What is ordered, as typed values.

        Raises:
            ConfigError: An instruction is not of this rulebook.
        """
        try:
            decoded: list[Instruction] = RULEBOOK_1.decode_one(self._instructions)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"an instruction of transaction {self.id} is not of this rulebook: {error}") from None
        return decoded

    @property
    def signed_by(self) -> tuple[str, ...]:
        """Ids of the keys that have signed."""
        return tuple(sorted(self._signatures))

    def sign(self, key: SigningKey, key_id: str | None = None) -> Transaction:
        """Adds a signature, and gives the transaction back.

        Args:
            key: The private key, or what signs in its place.
            key_id: Its id, such as `shop/1`; not needed where the transaction was made by `Ledger.prepare`.

        Raises:
            ConfigError: The key's id is not known.
        """
        key_id = key_id or self.key_ids.get(key.public_key)
        if key_id is None:
            raise ConfigError(
                f"the key {key.public_key.hex()} is not one of {', '.join(self.by)}",
                advice="name its id, such as key_id='shop/1', or let the ledger prepare the transaction again",
            )
        return self.add_signature(key_id, key.sign(self.header))

    def add_signature(self, key_id: str, signature: bytes) -> Transaction:
        """Adds a signature over `header` that a hardware module made, and gives the transaction back.

        Args:
            key_id: Id of the key that made it, such as `shop/1`.
            signature: In the ledger's spelling, which `signature_from_der` and `signature_from_raw` of `finchain.keys`
                give. The ledger judges it when it is sent.
        """
        self._signatures[key_id] = signature
        return self

    def signature_of(self, key_id: str) -> bytes:
        """The signature that a key of `signed_by` made."""
        return self._signatures[key_id]

    def to_bytes(self) -> bytes:
        """The transaction's one spelling, as it is sent to a ledger."""
        signatures = b",".join(
            b'{"key":"%b","signature":"%b"}' % (key_id.encode(), base64.b64encode(self._signatures[key_id]))
            for key_id in self.signed_by
        )
        return b'{"header":%b,"instructions":%b,"salt":"%b","signatures":[%b]}' % (
            self.header, self._instructions, self._salt.hex().encode(), signatures,
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the transaction with the key ids that may sign it, for the next signer."""
        Path(path).write_bytes(self.saved())

    def saved(self) -> bytes:
        """What `save` writes: one line, with a line feed."""
        keys = {base64.b64encode(public).decode(): id for public, id in self.key_ids.items()}
        stated = {str(index): currency for index, currency in self.currencies.items()}
        parts = (b'"currencies":%b,' % _encode(stated) if stated else b"", _encode(keys), self.to_bytes())
        return b'{%b"keys":%b,"transaction":%b,"type":"finchain.unsent.1"}\n' % parts

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, hash_suite: str = "blake3") -> Transaction:
        """Reads a saved transaction, or a bare one as it is sent.

        Raises:
            Rejected: It is not a transaction, or its header does not fit its instructions.
            ConfigError: The file is something else.
        """
        return cls.from_saved(Path(path).read_bytes(), hash_suite=hash_suite, where=str(path))

    @classmethod
    def from_saved(cls, text: bytes, *, hash_suite: str = "blake3", where: str = "the transaction") -> Transaction:
        """As `load`, of bytes that came from `where`.

        Raises:
            Rejected: As `load`.
            ConfigError: As `load`.
        """
        text = text.removesuffix(b"\n")
        try:
            saved = msgspec.json.decode(text, type=_Saved)
        except msgspec.MsgspecError:
            return cls.parse(text, hash_suite=hash_suite)
        try:
            key_ids = {base64.b64decode(public, validate=True): id for public, id in saved.keys.items()}
        except ValueError as error:
            raise ConfigError(f"{where}: a public key is not Base64: {error}") from None
        loaded = cls.parse(bytes(saved.transaction), hash_suite=hash_suite, key_ids=key_ids)
        loaded.currencies = saved.currencies
        return loaded

    @classmethod
    def parse(
        cls, text: bytes, *, hash_suite: str = "blake3", key_ids: Mapping[bytes, str] | None = None
    ) -> Transaction:
        """Takes a transaction's bytes apart, checking everything that needs no ledger.

        Raises:
            Rejected: It is not a transaction, or its header does not fit its instructions.
        """
        header, instructions, salt, signatures, id = _core.transaction_parts(text, hash_suite)
        signed = {s["key"]: base64.b64decode(s["signature"]) for s in msgspec.json.decode(signatures)}
        return cls(header, instructions, salt, id, signatures=signed, key_ids=key_ids)

    def __repr__(self) -> str:
        signed = ", ".join(self.signed_by) or "nobody"
        return f"Transaction({self.id[:16]}…, by {', '.join(self.by)}, signed by {signed})"


def content_of(header: bytes, instructions: bytes, names: Sequence[str] = ("by", "mode", "rulebook")) -> str:
    """What makes two transactions of one sequence the same (`docs/format.md` 3.5), as SHA-256 in hex.

    Args:
        header: The signed header.
        instructions: The instructions as one array.
        names: The members of the header that count.
    """
    members = msgspec.json.decode(header)
    same = _encode({name: members[name] for name in names})
    return hashlib.sha256(same + b"\n" + instructions).hexdigest()


class _Saved(msgspec.Struct, forbid_unknown_fields=True):
    keys: dict[str, str]
    transaction: msgspec.Raw
    type: Literal["finchain.unsent.1"]
    currencies: dict[int, str] = {}
