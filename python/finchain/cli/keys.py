"""`finchain key`: making keys, showing them, and asking for enrolment without giving the private key away."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import get_args

import click

import finchain as fc
from finchain.cli.options import FILE, load_key, passphrase, talks
from finchain.cli.screen import Screen
from finchain.domain.key import Suite


@click.group()
def key() -> None:
    """Makes and shows keys, and asks for their enrolment."""


def _show(screen: Screen, path: Path, made: fc.Key) -> None:
    public_key = base64.b64encode(made.public_key).decode()
    screen.show({"path": str(path), "suite": made.suite, "public_key": public_key}, public_key)


@key.command("new")
@click.argument("path", type=FILE)
@click.option("--passphrase-file", type=FILE, help="Encrypts the key with the first line of this file.")
@click.option("--suite", type=click.Choice(get_args(Suite)), default="ed25519", show_default=True)
@talks
def new(screen: Screen, path: Path, passphrase_file: Path | None, suite: Suite) -> None:
    """Writes a new key to PATH (PKCS#8, mode 600) and prints the public key."""
    made = fc.Key.generate(suite)
    made.save(path, None if passphrase_file is None else passphrase(passphrase_file))
    screen.talk(f"{path} is the only copy of this key: keep it, and keep it to yourself")
    _show(screen, path, made)


@key.command("show")
@click.argument("path", type=FILE)
@click.option("--passphrase-file", type=FILE, help="File whose first line is the passphrase.")
@click.option("--origin", help="Prints the verifier key instead, for a log of this name whose checkpoints it signs.")
@talks
def show(screen: Screen, path: Path, passphrase_file: Path | None, origin: str | None) -> None:
    """Prints the public key of the key file PATH."""
    loaded = load_key(path, passphrase_file)
    if origin is None:
        _show(screen, path, loaded)
    else:
        verifier_key = loaded.verifier_key(origin)
        screen.show({"path": str(path), "suite": loaded.suite, "verifier_key": verifier_key}, verifier_key)


@key.command("request")
@click.argument("paths", type=FILE, nargs=-1, required=True)
@click.option("--ledger", required=True, help="Full name of the ledger, origin#hash; `finchain show` prints it.")
@click.option("--party", required=True, help="Id that the party is to have.")
@click.option("--holder", "holders", multiple=True, required=True, help="Who holds each key, in the order of PATHS.")
@click.option("--threshold", default=1, show_default=True, help="How many holders must sign for the party.")
@click.option("--passphrase-file", type=FILE, help="File whose first line is the passphrase of the key files.")
@click.option("--out", type=FILE, required=True, help="File for the registrar.")
@talks
def request(
    screen: Screen,
    paths: tuple[Path, ...],
    ledger: str,
    party: str,
    holders: tuple[str, ...],
    threshold: int,
    passphrase_file: Path | None,
    out: Path,
) -> None:
    """Makes an enrolment request from key files; it holds public keys and proofs of possession only."""
    if len(holders) != len(paths):
        raise click.BadParameter(f"{len(paths)} keys and {len(holders)} holders", param_hint="--holder")
    held = [fc.Holder(load_key(path, passphrase_file), name) for path, name in zip(paths, holders, strict=True)]
    fc.request_enrolment(ledger, party, held, threshold=threshold).save(out)
    screen.show({"request": str(out), "party": party}, f"{out}: hand it to the registrar of {ledger.partition('#')[0]}")
