"""Keys: what a party signs with, and how a key is offered for enrolment without leaving its owner.

A key belongs to a signature suite: Ed25519, ECDSA over P-256, SM2 with SM3, or ML-DSA-44 (`docs/format.md` 3.3).

A private key stays inside the compiled core; it can be written to a PKCS#8 file, which only its owner may read, and
nowhere else.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, cast

import msgspec

from finchain import _core
from finchain.domain.key import SUITES, Duty, NewKey, Suite, possession_message
from finchain.domain.rule import Absent
from finchain.errors import ConfigError, KeyFileError

VECTOR_CODE = _core.vector_code
"""Which code for Ed25519 was built in; the processor's best is taken when it runs."""


class SigningKey(Protocol):
    """What signs: a key file, a command, a hardware token."""

    @property
    def public_key(self) -> bytes:
        """Its public key; empty where only the key's id says which it is."""

    def sign(self, message: bytes) -> bytes:
        """The signature over a message, in the ledger's spelling."""


class CommandKey:
    """A key behind a command: it gets a message on stdin and gives its signature on stdout.

    The signature is in Base64 or raw, in the ledger's spelling. A command that fails, or says nothing, signs nothing.

    Args:
        command: Program and arguments; no shell reads them.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    @property
    def public_key(self) -> bytes:
        """Nothing: the key's id says which it is."""
        return b""

    def sign(self, message: bytes) -> bytes:
        """The signature that the command gives.

        Raises:
            ConfigError: The command cannot be run, fails, or gives no signature.
        """
        name = self._command[0]
        try:
            done = subprocess.run(self._command, input=message, capture_output=True, check=False)
        except OSError as error:
            raise ConfigError(f"{name} cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise ConfigError(f"{name} ended with {done.returncode} and signed nothing: {said}")
        lengths = {suite.signature for suite in SUITES.values()}
        if len(done.stdout) in lengths:
            return done.stdout
        try:
            signature = base64.b64decode(done.stdout.strip(), validate=True)
        except ValueError:
            signature = b""
        if len(signature) not in lengths:
            raise ConfigError(
                f"{name} gave {len(done.stdout)} bytes that are no signature",
                advice=f"give it in Base64 or raw, {', '.join(map(str, sorted(lengths)))} bytes long",
            )
        return signature


def check_signature(
    public_key: bytes, signature: bytes, message: bytes, *, suite: Suite, identity: str | None = None
) -> None:
    """Judges a signature by docs/format.md section 3.3.

    Raises:
        ValueError: It is not the key's over the message.
    """
    why = _core.verify_signature(public_key, signature, message, suite=suite, identity=identity)
    if why is not None:
        raise ValueError(why)


class Key:
    """A private key. Two keys are equal when their public keys are."""

    __slots__ = ("_secret",)

    def __init__(self, secret: _core.SecretKey) -> None:
        self._secret = secret

    @classmethod
    def generate(cls, suite: Suite = "ed25519", *, identity: str | None = None) -> Key:
        """A new key, from the operating system's randomness.

        Args:
            suite: `ed25519`, `p256`, `sm2` or `ml-dsa-44`.
            identity: The signer's identity in suite `sm2`, where it is not `1234567812345678`.

        Raises:
            ConfigError: There is no such suite, or the identity is not 1 to 64 printable ASCII characters of an `sm2`
                key.
        """
        return cls(_core.SecretKey.generate(suite, identity))

    @classmethod
    def from_seed(cls, seed: bytes) -> Key:
        """The Ed25519 key (RFC 8032) of a seed of 32 bytes. For tests: whoever knows the seed can sign.

        Raises:
            ConfigError: The seed has not 32 bytes.
        """
        return cls(_core.SecretKey.from_seed(seed))

    @classmethod
    def load(cls, path: str | os.PathLike[str], passphrase: bytes | None = None, *, identity: str | None = None) -> Key:
        """Reads a PKCS#8 file, which says of what suite the key is.

        Args:
            path: The file.
            passphrase: What it is encrypted under.
            identity: The signer's identity in suite `sm2`, where it is not the usual one; no key file holds it.

        Raises:
            ConfigError: The identity is not 1 to 64 printable ASCII characters, or the key is of another suite.
            KeyFileError: There is no key in it, others may read it, or the passphrase does not fit.
        """
        try:
            return cls(_core.SecretKey.load(Path(path), passphrase, identity))
        except KeyFileError as error:
            # Whoever loads several keys has to know which one it was.
            named = error.message if os.fspath(path) in error.message else f"{os.fspath(path)}: {error.message}"
            raise KeyFileError(named, advice=error.advice) from None

    def save(self, path: str | os.PathLike[str], passphrase: bytes | None = None) -> None:
        """Writes a new PKCS#8 file with mode 600, encrypted where there is a passphrase.

        Raises:
            KeyFileError: The file exists, or cannot be written.
        """
        self._secret.save(Path(path), passphrase)

    @property
    def suite(self) -> Suite:
        """Name of the signature suite."""
        return cast(Suite, self._secret.suite)

    @property
    def identity(self) -> str | None:
        """The signer's identity in suite `sm2`, or `None` for the usual one."""
        return self._secret.identity

    @property
    def public_key(self) -> bytes:
        """The public key, as long as those of its suite are."""
        return self._secret.public_key

    def sign(self, message: bytes) -> bytes:
        """The signature over a message, in the ledger's spelling.

        Raises:
            ConfigError: The system gave no randomness, which the suites `p256` and `ml-dsa-44` sign with.
        """
        return self._secret.sign(message)

    def verifier_key(self, origin: str) -> str:
        """This key as others know it, where a log of that name signs its checkpoints with it (`docs/format.md` 4.4).

        Raises:
            ConfigError: The suite signs no checkpoints, which `ed25519` and `ml-dsa-44` do; or this is no name of a
                log.
        """
        return self._secret.verifier_key(origin)

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
    new = founding_key(holder)
    possession = holder.key.sign(possession_message(ledger, key_id, new.suite, new.public_key))
    return msgspec.structs.replace(new, possession=base64.b64encode(possession).decode())


def founding_key(holder: Holder) -> NewKey:
    """One key without a proof, as block 0 declares it: its founders sign the block itself."""
    public_key = base64.b64encode(holder.key.public_key).decode()
    identity = Absent if holder.key.identity is None else holder.key.identity
    return NewKey(holder.name, holder.duty, holder.key.suite, public_key, identity=identity)


def signature_from_der(suite: Suite, der: bytes) -> bytes:
    """The ledger's spelling of an ECDSA or SM2 signature that a hardware module or another library gave as DER.

    In suite `p256` the lesser of the two possible values of `s` is taken: the ledger refuses the greater one, and the
    signature holds with both by FIPS 186-5.

    Raises:
        ConfigError: It is not strict DER of two integers of at most 32 bytes, they are not of this suite's group, or
            the suite is neither `p256` nor `sm2`.
    """
    return _core.signature_from_der(suite, der)


def signature_from_raw(suite: Suite, raw: bytes) -> bytes:
    """The same for a signature of 64 bytes, `r || s`, as PKCS#11 gives it.

    Raises:
        ConfigError: It has not 64 bytes, a half is not of this suite's group, or the suite is neither `p256` nor `sm2`.
    """
    return _core.signature_from_raw(suite, raw)


def signature_to_der(signature: bytes) -> bytes:
    """A signature of 64 bytes as DER, for programs that verify no other form.

    Raises:
        ConfigError: It has not 64 bytes.
    """
    return _core.signature_to_der(signature)


def public_key_from_point(point: bytes) -> bytes:
    """The ledger's spelling of a P-256 or SM2 public key, 33 bytes, from the 65 bytes that a hardware module gives.

    Raises:
        ConfigError: It is no uncompressed point by SEC 1, 2.3.3. Enrolling it shows whether it is on the curve.
    """
    if len(point) != 65 or point[0] != 4:
        raise ConfigError(
            f"a public key of {len(point)} bytes is no uncompressed point", advice="give 0x04, x and y: 65 bytes"
        )
    return bytes([2 + (point[-1] & 1)]) + point[1:33]
