"""What `import finchain` gives, and that it gives it without starting or opening anything."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import finchain as fc
from finchain import instructions as do

SIGNATURES = {
    "connect": "(path, *, operator, keys, timeout_seconds, rulebooks)",
    "explain_rule": "(citation)",
    "follow": "(path, into, *, clock, progress, rulebooks)",
    "backup": "(path, to, *, progress)",
    "check": "(path, *, progress, rulebooks, other_rules, trust, checkpoints, receipts)",
    "examine": "(path, *, trust, checkpoints, receipts, rulebooks, other_rules, progress)",
    "confirm": "(path, *, checkpoint, by_mark, witnesses, witnesses_needed, keys, rulebooks, progress)",
    "create":
        "(path, *, name, operator, keys, clock, hash_suite, time_zone_minutes, policy, rulebook, durability, "
        "predecessor, checkpoint_suite)",
    "open":
        "(path, *, read_only, operator, keys, clock, after_silence, progress, rulebooks, durability, verified, "
        "own_index, trust, checkpoints, receipts)",
    "predecessor": "(path, *, checkpoint, trust)",
    "repair": "(path, source, *, write, checkpoint, keys, rulebooks, progress)",
    "request_enrolment": "(ledger, party_id, holders, *, threshold)",
    "restore": "(source, to, *, progress)",
    "verify": "(receipt, *, trust, witnesses, witnesses_needed, unwitnessed)",
    "verify_all": "(receipts, *, trust, witnesses, witnesses_needed, unwitnessed)",
    "Ledger.backup": "(self, to)",
    "Submitting.register":
        "(self, party_id, name, *, roles, key, keys, threshold, request, identifiers, registrar)",
    "Submitting.submit": "(self, what, *, by, lane, idempotency_key)",
    "Submitting.submit_each": "(self, instructions, *, by, lane, idempotency_key)",
    "Submitting.submit_all": "(self, transactions)",
    "Submitting.prepare": "(self, instructions, *, by, lane, mode, expires_ms, idempotency_key)",
    "Submitting.explain": "(self, what, *, by)",
    "Submitting.key_ids_of": "(self, party_id)",
    "Submitting.registration":
        "(self, party_id, name, *, roles, key, keys, threshold, request, identifiers)",
    "Submitting.rehearse": "(self)",
    "Reading.get": "(self, kind, id)",
    "Reading.look": "(self, kind, id)",
    "Reading.find": "(self, kind, where)",
    "Reading.find_all": "(self)",
    "Reading.totals": "(self, as_of)",
    "Reading.history": "(self, kind, id, *, limit, replayed)",
    "Reading.changes": "(self)",
    "Reading.log": "(self, *, party, code, order, status, since, until, start, texts)",
    "Reading.resolve": "(self, ticket)",
    "Reading.close": "(self)",
    "Reader.snapshot": "(self)",
    "Reader.verify": "(self)",
    "Reader.explain": "(self, what, *, by)",
    "Snapshot.explain": "(self, what, *, by)",
    "Snapshot.verify": "(self)",
    "Proving.checkpoint": "(self)",
    "Proving.prove": "(self, kind, id)",
    "Proving.prove_absent": "(self, kind, id)",
    "Proving.prove_change": "(self, at, kind, id)",
    "Proving.prove_instruction": "(self, outcome, index, *, signers)",
    "Ledger.stage_times": "(self)",
    "Ledger.serve": "(self)",
    "Follower.advance": "(self, *, progress)",
    "Follower.serve": "(self)",
    "Follower.explain": "(self, what, *, by)",
    "Server.wait": "(self)",
    "Server.close": "(self)",
    "Key.generate": "(suite, *, identity)",
    "Key.from_seed": "(seed)",
    "Key.load": "(path, passphrase, *, identity)",
    "Key.save": "(self, path, passphrase)",
    "Key.sign": "(self, message)",
    "Key.verifier_key": "(self, origin)",
    "Transaction.sign": "(self, key, key_id)",
    "Transaction.add_signature": "(self, key_id, signature)",
    "Transaction.save": "(self, path)",
    "Transaction.load": "(path, *, hash_suite)",
    "Transaction.to_bytes": "(self)",
    "Transaction.saved": "(self)",
    "Transaction.from_saved": "(text, *, hash_suite, where)",
    "Transaction.signature_of": "(self, key_id)",
}  # fmt: skip
"""A change here is a change for everybody who uses finchain."""


def shown(name: str) -> str:
    """Names of the parameters, with the star where they must be named."""
    # What ways to a ledger have in common is shown by the ledger.
    found: object = fc
    for part in re.sub("^(Reading|Submitting|Proving)[.]", "Ledger.", name).split("."):
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


SHARED = {
    fc.Ledger: ("Submitting", "Proving", "Reading"),
    fc.Connection: ("Submitting", "Proving", "Reading"),
    fc.Follower: ("Proving", "Reading"),
    fc.Reader: ("Reading",),
    fc.Snapshot: ("Reading",),
    fc.Server: (),
}
"""Ways to a ledger, and which groups of methods each has beside its own."""


@pytest.mark.parametrize("cls", SHARED, ids=lambda cls: cls.__name__)
def test_every_public_method_is_in_the_table(cls: type) -> None:
    public = {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if name[0] != "_"}
    named = {name.partition(".") for name in SIGNATURES if "." in name}
    assert public == {method for group, _, method in named if group in (cls.__name__, *SHARED[cls])}


@pytest.mark.parametrize("cls", SHARED, ids=lambda cls: cls.__name__)
def test_what_is_shared_is_called_in_the_same_way(cls: type) -> None:
    for name, signature in SIGNATURES.items():
        group, _, method = name.partition(".")
        if group in SHARED[cls]:
            assert shown(f"{cls.__name__}.{method}") == signature


def test_all_is_what_is_public_and_what_type_checkers_are_told() -> None:
    stub = ast.parse(Path(fc.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    told = {
        alias.name: f"{node.module}.{alias.name}"
        for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    listed = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert [sorted(ast.literal_eval(names)) for names in listed] == [fc.__all__]
    assert sorted(told) == fc.__all__
    for name, home in told.items():
        module = importlib.import_module(home.rpartition(".")[0])
        assert getattr(fc, name) is getattr(module, name), name
    assert {*fc.__all__, "__version__"} <= set(dir(fc))


def test_a_module_of_the_package_is_there_without_an_import_of_its_own() -> None:
    assert fresh("import finchain as fc; print(fc.money.__name__)") == "finchain.money"


def test_a_name_that_is_not_there_is_an_attribute_error_that_knows_better() -> None:
    assert not hasattr(fc, "nothing")
    with pytest.raises(AttributeError, match="module 'finchain' has no attribute 'Recipt'") as caught:
        fc.Recipt  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Recipt", fc)


def test_what_a_module_lacks_is_not_taken_for_a_name_that_is_not_there() -> None:
    lacking = "import sys, finchain; sys.modules['msgspec'] = None; finchain.Key"
    told = subprocess.run([sys.executable, "-c", lacking], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "ModuleNotFoundError: import of msgspec halted" in told.stderr


def test_each_name_can_be_the_first_that_is_asked_for() -> None:
    # Modules import each other in one order only if no circle depends on who comes first.
    first = (
        "import sys, importlib, finchain\n"
        "for name in finchain.__all__:\n"
        "    for loaded in {each for each in sys.modules if each.startswith('finchain')} - {'finchain._core'}:\n"
        "        del sys.modules[loaded]\n"
        "    getattr(importlib.import_module('finchain'), name)\n"
        "print(len(finchain.__all__))\n"
    )
    assert fresh(first) == str(len(fc.__all__))


def fresh(code: str) -> str:
    """What a fresh interpreter says."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


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
from finchain import *
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
