"""Keys: what a party signs with, and how a key is offered for enrolment without leaving its owner.

A private key stays inside the compiled core; it can be written to a PKCS#8 file, which only its owner may read, and
nowhere else.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Literal

import msgspec

from finchain import _core
from finchain.domain.key import Duty, NewKey, possession_message
from finchain.errors import ConfigError


class Key:
    """An Ed25519 private key (RFC 8032). Two keys are equal when their public keys are."""

    __slots__ = ("_secret",)

    def __init__(self, secret: _core.SecretKey) -> None:
        self._secret = secret

    @classmethod
    def generate(cls) -> Key:
        """A new key, from the operating system's randomness."""
        return cls(_core.SecretKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Key:
        """The key of a seed of 32 bytes. For tests: whoever knows the seed can sign.

        Raises:
            ConfigError: The seed has not 32 bytes.
        """
        return cls(_core.SecretKey.from_seed(seed))

    @classmethod
    def load(cls, path: str | os.PathLike[str], passphrase: bytes | None = None) -> Key:
        """Reads a PKCS#8 file.

        Raises:
            KeyFileError: There is no key in it, others may read it, or the passphrase does not fit.
        """
        return cls(_core.SecretKey.load(Path(path), passphrase))

    def save(self, path: str | os.PathLike[str], passphrase: bytes | None = None) -> None:
        """Writes a new PKCS#8 file with mode 600, encrypted where there is a passphrase.

        Raises:
            KeyFileError: The file exists, or cannot be written.
        """
        self._secret.save(Path(path), passphrase)

    @property
    def public_key(self) -> bytes:
        """The public key, 32 bytes."""
        return self._secret.public_key

    def sign(self, message: bytes) -> bytes:
        """The signature over a message, 64 bytes (RFC 8032, deterministic)."""
        return self._secret.sign(message)

    def secret(self) -> _core.SecretKey:
        """The core's handle of the key, for signing checkpoints."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.public_key == other.public_key

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"Key(public_key={self.public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled; save it to a key file")


class Holder(msgspec.Struct, frozen=True):
    """A key with the person or machine that holds it.

    Attributes:
        key: The private key.
        name: Who holds it; a threshold counts names, not keys.
        duty: `maker`, `checker`, `any`, or `service` for an unattended machine.
    """

    key: Key
    name: str
    duty: Duty = "any"


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a party hands to a registrar: public keys with proofs of possession, and no private key.

    Attributes:
        ledger: The ledger's name that the proofs were made for.
        id: The party's id.
        threshold: How many holders must sign for the party.
        keys: The keys, in the order of their numbers.
    """

    ledger: str
    id: str
    threshold: int
    keys: list[NewKey]
    type: Literal["finchain.enrolment.1"] = "finchain.enrolment.1"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the request as JSON."""
        Path(path).write_bytes(msgspec.json.encode(self, order="sorted") + b"\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EnrolmentRequest:
        """Reads a request.

        Raises:
            ConfigError: The file is not an enrolment request.
        """
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path} is not an enrolment request: {error}") from None


def request_enrolment(ledger: str, party_id: str, holders: list[Holder], *, threshold: int = 1) -> EnrolmentRequest:
    """Makes an enrolment request, on the machine where the private keys are.

    Args:
        ledger: The ledger's full name, `origin#hash`.
        party_id: The id that the party is to have.
        holders: Keys in the order of their numbers, 1 first.
        threshold: How many holders must sign for the party.
    """
    keys = [enrolment_key(ledger, f"{party_id}/{number}", holder) for number, holder in enumerate(holders, 1)]
    return EnrolmentRequest(ledger=ledger, id=party_id, threshold=threshold, keys=keys)


def enrolment_key(ledger: str, key_id: str, holder: Holder) -> NewKey:
    """One key with its proof of possession (`docs/format.md` 3.7)."""
    public_key = base64.b64encode(holder.key.public_key).decode()
    possession = holder.key.sign(possession_message(ledger, key_id, "ed25519", public_key))
    return NewKey(holder.name, holder.duty, "ed25519", public_key, base64.b64encode(possession).decode())
