"""What `import finchain` gives, and that it gives it without starting or opening anything."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import finchain as fc
from finchain import instructions as do

SIGNATURES = {
    "check": "(path, *, progress, rulebooks)",
    "create": "(path, *, name, operator, keys, clock, hash_suite, time_zone_minutes, policy, rulebook)",
    "open": "(path, *, operator, keys, clock, after_silence, progress, rulebooks)",
    "request_enrolment": "(ledger, party_id, holders, *, threshold)",
    "verify": "(receipt, *, trust, witnesses, witnesses_needed, unwitnessed)",
    "Ledger.register":
        "(self, party_id, name, *, roles, key, keys, threshold, request, identifiers, registrar)",
    "Ledger.submit": "(self, what, *, by, lane)",
    "Ledger.submit_each": "(self, instructions, *, by, lane)",
    "Ledger.submit_all": "(self, transactions)",
    "Ledger.prepare": "(self, instructions, *, by, lane, mode, expires_ms)",
    "Ledger.explain": "(self, what, *, by)",
    "Ledger.get": "(self, kind, id)",
    "Ledger.look": "(self, kind, id)",
    "Ledger.find": "(self, kind, where)",
    "Ledger.find_all": "(self)",
    "Ledger.totals": "(self, as_of)",
    "Ledger.history": "(self, kind, id, *, limit)",
    "Ledger.checkpoint": "(self)",
    "Ledger.prove": "(self, kind, id)",
    "Ledger.prove_absent": "(self, kind, id)",
    "Ledger.prove_change": "(self, at, kind, id)",
    "Ledger.prove_instruction": "(self, outcome, index, *, signers)",
    "Ledger.stage_times": "(self)",
    "Ledger.close": "(self)",
    "Key.generate": "()",
    "Key.from_seed": "(seed)",
    "Key.load": "(path, passphrase)",
    "Key.save": "(self, path, passphrase)",
    "Key.sign": "(self, message)",
    "Transaction.sign": "(self, key, key_id)",
    "Transaction.save": "(self, path)",
    "Transaction.load": "(path, *, hash_suite)",
    "Transaction.to_bytes": "(self)",
}  # fmt: skip
"""A change here is a change for everybody who uses finchain."""


def shown(name: str) -> str:
    """Names of the parameters, with the star where they must be named."""
    found: object = fc
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
    parts: list[str] = []
    for parameter in inspect.signature(found).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(parameter.name)
    return f"({', '.join(parts)})"


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    assert shown(name) == SIGNATURES[name]


def test_every_public_method_of_the_ledger_is_in_the_table() -> None:
    public = {name for name, found in vars(fc.Ledger).items() if inspect.isfunction(found) and name[0] != "_"}
    assert public == {name.removeprefix("Ledger.") for name in SIGNATURES if name.startswith("Ledger.")}


def test_all_is_what_is_public() -> None:
    public = {
        name for name, found in vars(fc).items()
        if not name.startswith("_") and not inspect.ismodule(found) and name != "annotations"
    }  # fmt: skip
    assert sorted(fc.__all__) == sorted(public)
    assert len(fc.__all__) == len(set(fc.__all__))


def test_everything_public_is_documented() -> None:
    for module in (fc, do):
        for name in module.__all__:
            found = getattr(module, name)
            if not inspect.isclass(found) and not inspect.isfunction(found):
                continue
            # A class that inherits its docstring says nothing about itself.
            assert vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__, name
            for method, member in vars(found).items():
                if not method.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    assert member.__doc__, f"{name}.{method}"


def test_the_types_are_shipped() -> None:
    assert (Path(fc.__file__).parent / "py.typed").is_file()
    assert (Path(fc.__file__).parent / "_core.pyi").is_file()


IMPORTING = """
import os, sys, threading
before = set(os.listdir("/proc/self/fd"))
import finchain
import finchain.instructions
assert threading.active_count() == 1
assert len(os.listdir("/proc/self/task")) == 1, "a thread"
assert set(os.listdir("/proc/self/fd")) == before, "a file"
assert not {"click", "rich"} & set(sys.modules)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_importing_starts_no_thread_and_opens_no_file() -> None:
    subprocess.run(
        [sys.executable, "-c", IMPORTING], check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)}
    )  # fmt: skip
