"""The key folder: an operator's private keys and the signed mark, outside every ledger's own folder.

A copy of a ledger's folder must not carry the right to sign for it. One folder holds one subfolder for each ledger; a
file there may be read by its owner only.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from finchain.errors import NotFound, TamperError
from finchain.keys import Key

ENVIRONMENT = "FINCHAIN_KEYS"
"""Names the key folder where the caller does not."""

CheckpointSuite = Literal["ed25519", "ml-dsa-44"]
"""Suites of keys that sign checkpoints: those that C2SP has kinds for."""

FOLLOWED = "followed.json"
"""Names the ledger in the folder that it is followed into; a copy of its `ledger.json`."""


def key_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all key folders: the given one, `$FINCHAIN_KEYS`, or the user's configuration folder."""
    if given is not None:
        return Path(given)
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "finchain" / "keys"


class KeyFolder:
    """Keys and mark of one ledger."""

    def __init__(self, path: Path, given: Key | None = None) -> None:
        self.path = path
        self.given = given

    @classmethod
    def begin(
        cls,
        keys: str | os.PathLike[str] | None,
        origin: str,
        operator: Key | None,
        checkpoint_suite: CheckpointSuite = "ed25519",
    ) -> KeyFolder:
        """Makes the keys of a ledger that is being founded, in a folder with a name for the time being."""
        base = key_folder(keys)
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = base / f"{_stem(origin)}.creating-{secrets.token_hex(4)}"
        path.mkdir(mode=0o700)
        if operator is None:
            Key.generate().save(path / "operator.pem")
        Key.generate(checkpoint_suite).save(path / "checkpoint.pem")
        return cls(path, operator)

    @classmethod
    def of(cls, keys: str | os.PathLike[str] | None, ledger_path: Path) -> KeyFolder:
        """The key folder of a ledger that exists, in a folder of its own or followed into this one.

        Raises:
            NotFound: There is no ledger in that folder.
            TamperError: Its `ledger.json` cannot be read.
        """
        followed = ledger_path / FOLLOWED
        name = _named_in(followed) if followed.exists() else name_of(ledger_path)
        return cls(key_folder(keys) / _folder_name(name))

    def settle(self, name: str) -> None:
        """Gives the folder its lasting name, once block 0's hash is known."""
        target = self.path.with_name(_folder_name(name))
        os.rename(self.path, target)
        self.path = target

    def abandon(self) -> None:
        """Removes the keys of a ledger that was never founded."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def mark_path(self) -> Path:
        """The signed mark: the largest tree that the checkpoint key has signed."""
        return self.path / "signed"

    def operator_key(self) -> Key:
        """The operator's key.

        Raises:
            KeyFileError: It is not here.
        """
        return self.given or Key.load(self.path / "operator.pem")

    def checkpoint_key(self) -> Key:
        """The key that signs checkpoints, which is never a party's.

        Raises:
            KeyFileError: It is not here.
        """
        return Key.load(self.path / "checkpoint.pem")

    def verifier_key(self, origin: str) -> str:
        """The checkpoint key as others know it (C2SP signed-note)."""
        return self.checkpoint_key().verifier_key(origin)

    def durable_height(self) -> int | None:
        """Height of the last block that a signed checkpoint covers, or `None`.

        Raises:
            TamperError: The mark cannot be read.
        """
        try:
            size = msgspec.json.decode(self.mark_path.read_bytes(), type=_SignedMark).size
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise TamperError(f"{self.mark_path} is not a signed mark: {error}") from None
        return size - 1


def name_of(ledger_path: Path) -> str:
    """The full name of the ledger in a folder.

    Raises:
        NotFound: There is no ledger in that folder.
        TamperError: Its `ledger.json` cannot be read.
    """
    return _named_in(ledger_path / "ledger.json")


def _named_in(file: Path) -> str:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_LedgerFile).ledger
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{file.parent} holds no ledger", advice="create one, or name its folder") from None
    except (msgspec.MsgspecError, UnicodeError, OSError) as error:
        raise TamperError(f"{file} cannot be read: {error}") from None


class _LedgerFile(msgspec.Struct):
    """What names the key folder; the core reads the file strictly."""

    ledger: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:/-]{1,64}#[0-9a-f]{64}\Z")]


class _SignedMark(msgspec.Struct):
    """What the mark tells the recovery; the core compares all of it."""

    size: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


def _stem(origin: str) -> str:
    return origin.replace("/", "_").replace(":", "_")


def _folder_name(name: str) -> str:
    origin, _, block_zero = name.partition("#")
    return f"{_stem(origin)}-{block_zero[:16]}"
